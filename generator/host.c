/*
 * host.c - the table `host`: what the scripts of this folder ask of C. Scripts
 * written by others never see it.
 */
#include "machine.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

static int raise_status(lua_State *L, gdr_status st, const char *message)
{
    gdr_machine_generator(L)->status = st;
    lua_pushstring(L, message);
    return lua_error(L);
}

/* host.fail("not_found", message): a failure that has a status of its own */
static int host_fail(lua_State *L)
{
    static const char *const names[] = {"arg", "parse", "not_found", NULL};
    static const gdr_status status[] = {GDR_ERR_ARG, GDR_ERR_PARSE,
                                        GDR_ERR_NOT_FOUND};
    int i = luaL_checkoption(L, 1, NULL, names);
    return raise_status(L, status[i], luaL_checkstring(L, 2));
}

/* host.blame(message, nth): an error of who called us, at the place of the nth
 * function from here that others wrote */
static int host_blame(lua_State *L)
{
    gdr_machine_place(L, luaL_optinteger(L, 2, 1));
    lua_pushvalue(L, 1);
    lua_concat(L, 2);
    return lua_error(L);
}

/* host.limit(millions, subject): a new budget of instructions */
static int host_limit(lua_State *L)
{
    gdr_machine_limit(gdr_machine_generator(L), luaL_checkinteger(L, 1),
                      luaL_checkstring(L, 2));
    return 0;
}

static int host_warn(lua_State *L)
{
    gdr_generator *g = gdr_machine_generator(L);
    snprintf(g->errmsg, sizeof(g->errmsg), "%s", luaL_checkstring(L, 1));
    return 0;
}

/* host.before(a, b): byte order, where Lua's own < follows the locale */
static int host_before(lua_State *L)
{
    const char *a = luaL_checkstring(L, 1), *b = luaL_checkstring(L, 2);
    lua_pushboolean(L, strcmp(a, b) < 0);
    return 1;
}

/* Reads a file into a Lua string; nil where it does not exist. The bytes pass
 * through g->scratch, so that no error of Lua can leak them. */
static int push_file(lua_State *L, const char *path)
{
    gdr_generator *g = gdr_machine_generator(L);
    char msg[512] = "out of memory";
    g->scratch.used = 0;
    gdr_status st = gdr_file_read(path, &g->scratch, msg, sizeof(msg));
    if (st && st != GDR_ERR_NOT_FOUND)
        return raise_status(L, st, msg);
    if (st)
        lua_pushnil(L);
    else
        lua_pushlstring(L, g->scratch.data, g->scratch.used);
    return 1;
}

/* host.read(name) -> text, name for messages; nil. The overlay comes first. */
static int host_read(lua_State *L)
{
    gdr_generator *g = gdr_machine_generator(L);
    const char *name = luaL_checkstring(L, 1);
    if (g->folder && strncmp(name, "templates/", 10) == 0) {
        const char *path = lua_pushfstring(L, "%s/%s", g->folder, name + 10);
        push_file(L, path);
        if (!lua_isnil(L, -1)) {
            lua_pushvalue(L, -2);
            return 2;
        }
    }
    const struct gdr_packed_file *f = gdr_packed_find(name);
    if (!f)
        return 0;
    lua_pushlstring(L, f->text, f->bytes);
    lua_pushvalue(L, 1);
    return 2;
}

/* host.file(path) -> text of a user's file */
static int host_file(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    push_file(L, path);
    if (!lua_isnil(L, -1))
        return 1;
    return raise_status(L, GDR_ERR_NOT_FOUND,
                        lua_pushfstring(L, "%s: no such file", path));
}

/* Marks in the set at the top every packed "<prefix>NAME.lua". */
static void add_packed(lua_State *L, const char *prefix)
{
    size_t n = strlen(prefix);
    for (const struct gdr_packed_file *f = gdr_packed_files; f->name; f++) {
        size_t length = strlen(f->name);
        const char *rest = f->name + n;
        if (strncmp(f->name, prefix, n) != 0 || strchr(rest, '/') ||
            length < n + 5 || strcmp(f->name + length - 4, ".lua") != 0)
            continue;
        lua_pushlstring(L, rest, length - n - 4);
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
    }
}

static void add_folder(lua_State *L, const char *path)
{
    gdr_generator *g = gdr_machine_generator(L);
    char msg[512] = "out of memory";
    g->scratch.used = 0;
    gdr_status st =
        gdr_folder_list(path, ".lua", &g->scratch, msg, sizeof(msg));
    if (st)
        raise_status(L, st, msg);
    const char *end = g->scratch.data + g->scratch.used;
    for (const char *p = g->scratch.data; p < end; p += strlen(p) + 1) {
        lua_pushlstring(L, p, strlen(p) - 4);
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
    }
}

/* host.list(kind) -> set of the stems in templates/<kind>/, packed or not */
static int host_list(lua_State *L)
{
    gdr_generator *g = gdr_machine_generator(L);
    const char *kind = luaL_checkstring(L, 1);
    const char *prefix = lua_pushfstring(L, "templates/%s/", kind);
    const char *path =
        lua_pushfstring(L, "%s/%s", g->folder ? g->folder : "", kind);
    lua_newtable(L);
    add_packed(L, prefix);
    if (g->folder)
        add_folder(L, path);
    return 1;
}

/* host.lists() -> set of the packed shape lists */
static int host_lists(lua_State *L)
{
    lua_newtable(L);
    add_packed(L, "tuner/shapes/");
    return 1;
}

/* host.problem(text) -> canonical text, or nil and why not */
static int host_problem(lua_State *L)
{
    gdr_problem p;
    char text[GDR_PROBLEM_TEXT], msg[256] = "";
    lua_pushnil(L);
    if (gdr_problem_parse(luaL_checkstring(L, 1), &p, msg, sizeof(msg))) {
        lua_pushstring(L, msg);
        return 2;
    }
    if (p.x.B <= 0) {
        lua_pushstring(L, "the extents are missing (/ b1t1hk16hv32)");
        return 2;
    }
    gdr_problem_format(&p, text, sizeof(text));
    lua_pushstring(L, text);
    return 1;
}

static const luaL_Reg host_functions[] = {{"before", host_before},
                                          {"blame", host_blame},
                                          {"fail", host_fail},
                                          {"file", host_file},
                                          {"limit", host_limit},
                                          {"list", host_list},
                                          {"lists", host_lists},
                                          {"problem", host_problem},
                                          {"read", host_read},
                                          {"warn", host_warn},
                                          {NULL, NULL}};

int gdr_host_push(lua_State *L)
{
    luaL_newlib(L, host_functions);
    return 1;
}
