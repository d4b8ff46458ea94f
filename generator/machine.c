/* machine.c - see machine.h. */
#include "machine.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A template needs well under 1 MiB; a space of 100000 configs some 100. */
static const size_t memory_limit = (size_t)256 << 20;
/* Backstop for what costs much time in few instructions, such as long copies. A
 * million instructions take 10 ms: ten times that, and a start for machines
 * that are emulated. */
static const double cpu_start_s = 5, cpu_per_million_s = 0.1;
enum { HOOK_EVERY = 1000 };

/* ---- limits ---- */

/* Lua passes a type instead of a size where p is NULL. */
static void *allocate_lua(void *ud, void *p, size_t old_bytes, size_t bytes)
{
    gdr_generator *g = ud;
    size_t held = p ? old_bytes : 0;
    void *block;
    if (bytes > held && bytes - held > memory_limit - g->lua_bytes) {
        g->over_limit = 1;
        return NULL;
    }
    block = g->alloc(g->ctx, p, held, bytes);
    if (block || !bytes)
        g->lua_bytes += bytes - held;
    else
        g->over_limit = 0;
    return block;
}

gdr_generator *gdr_machine_generator(lua_State *L)
{
    void *ud;
    lua_getallocf(L, &ud);
    return ud;
}

static double cpu_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Scripts of this folder are no place to send a template author to. */
static const char own_prefix[] = "<generator>/";

static int is_own(const char *source)
{
    return strncmp(source, own_prefix, sizeof(own_prefix) - 1) == 0;
}

void gdr_machine_place(lua_State *L, int64_t nth)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0 && !is_own(ar.short_src) && --nth <= 0) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushfstring(L, "%s: ", gdr_machine_generator(L)->subject);
}

static void count_hook(lua_State *L, lua_Debug *ar)
{
    gdr_generator *g = gdr_machine_generator(L);
    (void)ar;
    g->instructions += HOOK_EVERY;
    if (g->instructions <= g->instruction_limit && cpu_now_s() <= g->cpu_end_s)
        return;
    gdr_machine_place(L, 1);
    lua_pushstring(L, "runs too long: an endless loop?");
    lua_concat(L, 2);
    lua_error(L);
}

void gdr_machine_limit(gdr_generator *g, int64_t millions, const char *subject)
{
    g->instructions = 0;
    g->instruction_limit = millions * 1000000;
    g->cpu_end_s =
        cpu_now_s() + cpu_start_s + cpu_per_million_s * (double)millions;
    snprintf(g->subject, sizeof(g->subject), "%s", subject);
}

/* ---- scripts ---- */

/* require "name": generator/name.lua out of the pack, run once */
static int require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, 2, name) != LUA_TNIL)
        return 1;
    const char *file = lua_pushfstring(L, "generator/%s.lua", name);
    const struct gdr_packed_file *f = gdr_packed_find(file);
    if (!f)
        return luaL_error(L, "%s is not packed", file);
    if (luaL_loadbufferx(L, f->text, f->bytes,
                         lua_pushfstring(L, "@%s%s.lua", own_prefix, name),
                         "t"))
        return lua_error(L);
    lua_call(L, 0, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

static int boot(lua_State *L)
{
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
    luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
    luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    gdr_host_push(L);
    lua_setfield(L, -2, "host");
    lua_pushcfunction(L, require);
    lua_setglobal(L, "require");
    return 0;
}

/* ---- entering ---- */

/* A failed pcall left its message at the top: it goes to errmsg. */
static gdr_status failed(gdr_generator *g, int rc)
{
    const char *message = lua_tostring(g->L, -1);
    gdr_status st = g->status ? g->status : GDR_ERR_TEMPLATE;
    if (rc == LUA_ERRMEM && !g->over_limit)
        st = GDR_ERR_NO_MEMORY;
    if (rc == LUA_ERRMEM && g->over_limit)
        snprintf(g->errmsg, sizeof(g->errmsg), "%s: uses more than %d MiB",
                 g->subject, (int)(memory_limit >> 20));
    else if (st == GDR_ERR_NO_MEMORY)
        snprintf(g->errmsg, sizeof(g->errmsg), "out of memory");
    else
        snprintf(g->errmsg, sizeof(g->errmsg), "%s",
                 message ? message : "the error is not a text");
    if (st == GDR_ERR_TEMPLATE && is_own(g->errmsg))
        st = GDR_ERR_INTERNAL;
    return st;
}

gdr_status gdr_machine_enter(gdr_generator *g, lua_CFunction fn, void *request,
                             int results)
{
    if (!g->L)
        return GDR_ERR_ARG; /* open failed; its message stays */
    int top = lua_gettop(g->L);
    g->errmsg[0] = 0;
    g->status = GDR_OK;
    gdr_machine_limit(g, 20, "generator");
    lua_pushcfunction(g->L, fn);
    lua_pushlightuserdata(g->L, request);
    int rc = lua_pcall(g->L, 1, results, 0);
    if (rc == LUA_OK)
        return GDR_OK;
    gdr_status st = failed(g, rc);
    lua_settop(g->L, top);
    return st;
}

void gdr_machine_push(lua_State *L, const char *module, const char *name)
{
    lua_pushcfunction(L, require);
    lua_pushstring(L, module);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

gdr_status gdr_machine_start(gdr_generator *g)
{
    g->L = lua_newstate(allocate_lua, g);
    if (!g->L)
        return GDR_ERR_NO_MEMORY;
    lua_sethook(g->L, count_hook, LUA_MASKCOUNT, HOOK_EVERY);
    return gdr_machine_enter(g, boot, NULL, 0);
}
