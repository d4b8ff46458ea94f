/*
 * generator.c - the generator's calls: each enters Lua once and turns what the
 * scripts give into C values.
 */
#include "generator.h"
#include "machine.h"
#include "space.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void *allocate_default(void *ctx, void *p, size_t old_bytes,
                              size_t bytes)
{
    (void)ctx;
    (void)old_bytes;
    if (bytes)
        return realloc(p, bytes);
    free(p);
    return NULL;
}

/* ---- open, close ---- */

static gdr_status set_folder(gdr_generator *g, const char *folder)
{
    struct stat st;
    size_t n = strlen(folder) + 1;
    if (stat(folder, &st) != 0 || !S_ISDIR(st.st_mode)) {
        snprintf(g->errmsg, sizeof(g->errmsg),
                 "templates: '%s' is not a folder", folder);
        return GDR_ERR_NOT_FOUND;
    }
    g->folder = g->alloc(g->ctx, NULL, 0, n);
    if (!g->folder)
        return GDR_ERR_NO_MEMORY;
    memcpy(g->folder, folder, n);
    return GDR_OK;
}

gdr_status gdr_generator_open_with(const char *folder, gdr_alloc_fn alloc,
                                   void *ctx, gdr_generator **out)
{
    gdr_generator *g = alloc(ctx, NULL, 0, sizeof(*g));
    *out = g;
    if (!g)
        return GDR_ERR_NO_MEMORY;
    memset(g, 0, sizeof(*g));
    g->alloc = g->scratch.alloc = alloc;
    g->ctx = g->scratch.ctx = ctx;
    gdr_status st = folder ? set_folder(g, folder) : GDR_OK;
    if (!st)
        st = gdr_machine_start(g);
    if (st == GDR_ERR_NO_MEMORY) {
        gdr_generator_close(g);
        *out = NULL;
    }
    return st;
}

gdr_status gdr_generator_open(const char *folder, gdr_generator **out)
{
    return gdr_generator_open_with(folder, allocate_default, NULL, out);
}

void gdr_generator_close(gdr_generator *g)
{
    if (!g)
        return;
    if (g->L)
        lua_close(g->L);
    gdr_bytes_free(&g->scratch);
    if (g->folder)
        g->alloc(g->ctx, g->folder, strlen(g->folder) + 1, 0);
    g->alloc(g->ctx, g, sizeof(*g), 0);
}

const char *gdr_generator_errmsg(const gdr_generator *g)
{
    return g ? g->errmsg : "out of memory";
}

/* ---- space ---- */

struct space_request {
    char statics[GDR_PROBLEM_TEXT];
    const gdr_generator_device *device;
};

static void set_text(lua_State *L, const char *name, const char *value)
{
    lua_pushstring(L, value ? value : "");
    lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static void push_device(lua_State *L, const gdr_generator_device *d)
{
    lua_newtable(L);
    set_text(L, "kind", d->kind);
    set_text(L, "arch", d->arch);
    set_text(L, "isa", d->isa);
    set_integer(L, "vector_bytes", d->vector_bytes);
    set_integer(L, "l1_bytes", d->l1_bytes);
    set_integer(L, "l2_bytes", d->l2_bytes);
    set_integer(L, "smem_bytes", d->smem_bytes);
    set_integer(L, "sms", d->sms);
}

static int enter_space(lua_State *L)
{
    const struct space_request *r = lua_touserdata(L, 1);
    gdr_machine_push(L, "space", "space");
    lua_pushstring(L, r->statics);
    push_device(L, r->device);
    lua_call(L, 2, 1);
    return 1;
}

/* Canonical text of the static part. */
static gdr_status format_statics(gdr_generator *g, const gdr_static *s,
                                 char text[GDR_PROBLEM_TEXT])
{
    gdr_problem p = {.s = *s};
    g->errmsg[0] = 0;
    gdr_status st = gdr_problem_check(&p, g->errmsg, sizeof(g->errmsg));
    if (!st)
        gdr_problem_format(&p, text, GDR_PROBLEM_TEXT);
    return st;
}

gdr_status gdr_generator_space(gdr_generator *g, const gdr_static *s,
                               const gdr_generator_device *dev, gdr_space **out)
{
    struct space_request r = {.device = dev};
    *out = NULL;
    gdr_status st = format_statics(g, s, r.statics);
    if (!st)
        st = gdr_machine_enter(g, enter_space, &r, 1);
    if (st)
        return st;
    size_t n;
    const char *data = lua_tolstring(g->L, -1, &n);
    st = gdr_space_unpack(data, n, g->alloc, g->ctx, out);
    lua_pop(g->L, 1);
    return st;
}

/* ---- expand ---- */

struct expand_request {
    char statics[GDR_PROBLEM_TEXT];
    const char *kernel, *config;
    int n;
};

static int enter_expand(lua_State *L)
{
    const struct expand_request *r = lua_touserdata(L, 1);
    gdr_machine_push(L, "variant", "expand");
    lua_pushstring(L, r->statics);
    lua_pushstring(L, r->kernel);
    lua_pushstring(L, r->config);
    lua_pushinteger(L, r->n + 1);
    lua_call(L, 4, 1);
    return 1;
}

gdr_status gdr_generator_expand(gdr_generator *g, const gdr_static *s,
                                const char *kernel, const char *config, int n,
                                char **source, size_t *bytes)
{
    struct expand_request r = {.kernel = kernel, .config = config, .n = n};
    *source = NULL;
    *bytes = 0;
    gdr_status st = format_statics(g, s, r.statics);
    if (!st)
        st = gdr_machine_enter(g, enter_expand, &r, 1);
    if (st)
        return st;
    size_t length;
    const char *text = lua_tolstring(g->L, -1, &length);
    *source = g->alloc(g->ctx, NULL, 0, length + 1);
    if (*source) {
        memcpy(*source, text, length + 1);
        *bytes = length;
    }
    lua_pop(g->L, 1);
    return *source ? GDR_OK : GDR_ERR_NO_MEMORY;
}

/* ---- shapes ---- */

static int enter_problems(lua_State *L)
{
    const char *name = lua_touserdata(L, 1);
    gdr_machine_push(L, "shapes", "problems");
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
    return 1;
}

static int enter_lists(lua_State *L)
{
    gdr_machine_push(L, "shapes", "lists");
    lua_call(L, 0, 1);
    return 1;
}

/* The list stays on the stack while fn runs, which may call us again. */
gdr_status gdr_generator_each_shape(gdr_generator *g, const char *name,
                                    gdr_shape_fn fn, void *ctx)
{
    gdr_status st = gdr_machine_enter(g, enter_problems, (void *)name, 1);
    int at = lua_gettop(g->L);
    int go = !st;
    for (lua_Integer i = 1; go && lua_rawgeti(g->L, at, i) != LUA_TNIL; i++) {
        go = fn(ctx, lua_tostring(g->L, -1)) == 0;
        lua_settop(g->L, at);
    }
    if (!st)
        lua_settop(g->L, at - 1);
    return st;
}

gdr_status gdr_generator_each_list(gdr_generator *g, gdr_shapes_fn fn,
                                   void *ctx)
{
    gdr_status st = gdr_machine_enter(g, enter_lists, NULL, 1);
    int at = lua_gettop(g->L);
    int go = !st;
    for (lua_Integer i = 1; go && lua_rawgeti(g->L, at, i) != LUA_TNIL;
         i += 2) {
        lua_rawgeti(g->L, at, i + 1);
        go = fn(ctx, lua_tostring(g->L, -2), lua_tostring(g->L, -1)) == 0;
        lua_settop(g->L, at);
    }
    if (!st)
        lua_settop(g->L, at - 1);
    return st;
}
