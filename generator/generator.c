/*
 * generator.c - the C side of the generator: owns the Lua state, runs every
 * script under a limit of memory and instructions, and turns what they give
 * into C values. All Lua that can fail runs inside one lua_pcall (enter);
 * outside it only calls that never allocate are made.
 */
#include "generator.h"
#include "files.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* A template needs well under 1 MiB; a space of 100000 configs some 100. */
static const size_t memory_limit = (size_t)256 << 20;
/* Backstop for what costs much time in few instructions, such as long copies;
 * wrong on a machine a hundred times slower than today's. */
static const double cpu_limit_s = 20;
enum { HOOK_EVERY = 1000 };

struct gdr_generator {
    gdr_alloc_fn alloc;
    void *ctx;
    lua_State *L;
    char *folder; /* NULL: none */
    gdr_bytes scratch;
    size_t lua_bytes;
    int over_limit; /* why the last allocation failed: the limit, or memory */
    int64_t instructions, instruction_limit;
    double cpu_start_s;
    gdr_status status; /* wanted by host.fail */
    char subject[256]; /* the script that runs, for messages */
    char errmsg[2048];
};

/* ---- limits --------------------------------------------------------------- */

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

static gdr_generator *generator_of(lua_State *L)
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

/* Pushes "file:line: " of the innermost function that is not ours. */
static void push_place(lua_State *L)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0 && strncmp(ar.short_src, "generator/", 10)) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushfstring(L, "%s: ", generator_of(L)->subject);
}

static void count_hook(lua_State *L, lua_Debug *ar)
{
    gdr_generator *g = generator_of(L);
    (void)ar;
    g->instructions += HOOK_EVERY;
    if (g->instructions <= g->instruction_limit &&
        cpu_now_s() - g->cpu_start_s <= cpu_limit_s)
        return;
    push_place(L);
    lua_pushstring(L, "runs too long: an endless loop?");
    lua_concat(L, 2);
    lua_error(L);
}

static void set_limit(gdr_generator *g, int64_t millions, const char *subject)
{
    g->instructions = 0;
    g->instruction_limit = millions * 1000000;
    g->cpu_start_s = cpu_now_s();
    snprintf(g->subject, sizeof(g->subject), "%s", subject);
}

/* ---- host: what the scripts of this folder ask of C ----------------------- */

static int raise_status(lua_State *L, gdr_status st, const char *message)
{
    generator_of(L)->status = st;
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

/* host.limit(millions, subject): a new budget of instructions */
static int host_limit(lua_State *L)
{
    set_limit(generator_of(L), luaL_checkinteger(L, 1), luaL_checkstring(L, 2));
    return 0;
}

static int host_warn(lua_State *L)
{
    gdr_generator *g = generator_of(L);
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
    gdr_generator *g = generator_of(L);
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
    gdr_generator *g = generator_of(L);
    const char *name = luaL_checkstring(L, 1);
    if (g->folder && strncmp(name, "templates/", 10) == 0) {
        const char *path =
            lua_pushfstring(L, "%s/%s", g->folder, name + 10);
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
    gdr_generator *g = generator_of(L);
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
    gdr_generator *g = generator_of(L);
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

static const luaL_Reg host_functions[] = {
    {"before", host_before}, {"fail", host_fail},   {"file", host_file},
    {"limit", host_limit},   {"list", host_list},   {"lists", host_lists},
    {"problem", host_problem}, {"read", host_read}, {"warn", host_warn},
    {NULL, NULL}};

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
                         lua_pushfstring(L, "@%s", file), "t"))
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
    luaL_newlib(L, host_functions);
    lua_setfield(L, -2, "host");
    lua_pushcfunction(L, require);
    lua_setglobal(L, "require");
    return 0;
}

/* ---- entering Lua --------------------------------------------------------- */

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
    if (st == GDR_ERR_TEMPLATE && !strncmp(g->errmsg, "generator/", 10))
        st = GDR_ERR_INTERNAL;
    return st;
}

/* Runs fn(request) protected. On success its results are on the stack, which
 * the caller pops; on failure the stack is as before. */
static gdr_status enter(gdr_generator *g, lua_CFunction fn, void *request,
                        int results)
{
    int top = lua_gettop(g->L);
    g->errmsg[0] = 0;
    g->status = GDR_OK;
    set_limit(g, 20, "generator");
    lua_pushcfunction(g->L, fn);
    lua_pushlightuserdata(g->L, request);
    int rc = lua_pcall(g->L, 1, results, 0);
    if (rc == LUA_OK)
        return GDR_OK;
    gdr_status st = failed(g, rc);
    lua_settop(g->L, top);
    return st;
}

/* Pushes the function `name` of the module generator/<module>.lua. */
static void push_function(lua_State *L, const char *module, const char *name)
{
    lua_pushcfunction(L, require);
    lua_pushstring(L, module);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

/* ---- open, close ---------------------------------------------------------- */

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

static gdr_status start(gdr_generator *g, const char *folder)
{
    gdr_status st = folder ? set_folder(g, folder) : GDR_OK;
    if (st)
        return st;
    g->L = lua_newstate(allocate_lua, g);
    if (!g->L)
        return GDR_ERR_NO_MEMORY;
    lua_sethook(g->L, count_hook, LUA_MASKCOUNT, HOOK_EVERY);
    return enter(g, boot, NULL, 0);
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
    gdr_status st = start(g, folder);
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

/* ---- space ---------------------------------------------------------------- */

/* One block: this, the two arrays, the bytes that all texts point into. */
struct space_block {
    gdr_space space;
    gdr_alloc_fn alloc;
    void *ctx;
    size_t bytes;
};

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
    push_function(L, "space", "space");
    lua_pushstring(L, r->statics);
    push_device(L, r->device);
    lua_call(L, 2, 1);
    return 1;
}

static int64_t take_integer(const char **at)
{
    int64_t value;
    memcpy(&value, *at, sizeof(value));
    *at += sizeof(value);
    return value;
}

static const char *take_text(const char **at)
{
    const char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

static void take_candidate(const char **at, gdr_candidate *c)
{
    c->kernel = take_text(at);
    c->config = take_text(at);
    c->reduction = take_text(at);
    c->default_max_work = take_integer(at);
    c->n_steps = (int)take_integer(at);
    for (int i = 0; i < c->n_steps; i++) {
        c->step[i].entry = take_text(at);
        c->step[i].grid_x = take_text(at);
        c->step[i].grid_y = take_text(at);
        c->step[i].grid_z = take_text(at);
        c->step[i].block = take_text(at);
        c->step[i].smem = take_text(at);
        c->step[i].workspace = take_text(at);
    }
}

/* The bytes that space.lua packed -> a space. */
static gdr_status take_space(gdr_generator *g, const char *data, size_t n,
                             gdr_space **out)
{
    const char *at = data;
    int64_t n_candidates = take_integer(&at), n_pruned = take_integer(&at);
    size_t candidates = (size_t)n_candidates * sizeof(gdr_candidate);
    size_t pruned = (size_t)n_pruned * sizeof(gdr_pruned);
    size_t bytes = sizeof(struct space_block) + candidates + pruned + n;
    struct space_block *block = g->alloc(g->ctx, NULL, 0, bytes);
    if (!block)
        return GDR_ERR_NO_MEMORY;
    *block = (struct space_block){
        .alloc = g->alloc, .ctx = g->ctx, .bytes = bytes};
    gdr_candidate *c = (gdr_candidate *)(block + 1);
    gdr_pruned *p = (gdr_pruned *)(c + n_candidates);
    char *text = (char *)(p + n_pruned);
    memcpy(text, data, n);
    at = text + 2 * sizeof(int64_t);
    block->space =
        (gdr_space){n_candidates, n_pruned, c, p, take_integer(&at)};
    for (int64_t i = 0; i < n_candidates; i++)
        take_candidate(&at, &c[i]);
    for (int64_t i = 0; i < n_pruned; i++) {
        p[i].kernel = take_text(&at);
        p[i].reason = take_text(&at);
        p[i].count = take_integer(&at);
    }
    *out = &block->space;
    return GDR_OK;
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
        st = enter(g, enter_space, &r, 1);
    if (st)
        return st;
    size_t n;
    const char *data = lua_tolstring(g->L, -1, &n);
    st = take_space(g, data, n, out);
    lua_pop(g->L, 1);
    return st;
}

void gdr_space_close(gdr_space *space)
{
    struct space_block *block = (struct space_block *)space;
    if (block)
        block->alloc(block->ctx, block, block->bytes, 0);
}

int64_t gdr_space_default(const gdr_space *space, int64_t work)
{
    int64_t best = -1, largest = -1;
    for (int64_t i = 0; i < space->n_candidates; i++) {
        int64_t max = space->candidate[i].default_max_work;
        if (max >= work && max > 0 &&
            (best < 0 || max < space->candidate[best].default_max_work))
            best = i;
        if (largest < 0 || max > space->candidate[largest].default_max_work)
            largest = i;
    }
    return best >= 0 ? best : largest;
}

/* ---- expand --------------------------------------------------------------- */

struct expand_request {
    char statics[GDR_PROBLEM_TEXT];
    const char *kernel, *config;
    int n;
};

static int enter_expand(lua_State *L)
{
    const struct expand_request *r = lua_touserdata(L, 1);
    push_function(L, "variant", "expand");
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
        st = enter(g, enter_expand, &r, 1);
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

/* ---- shapes --------------------------------------------------------------- */

static int enter_problems(lua_State *L)
{
    const char *name = lua_touserdata(L, 1);
    push_function(L, "shapes", "problems");
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
    return 1;
}

static int enter_lists(lua_State *L)
{
    push_function(L, "shapes", "lists");
    lua_call(L, 0, 1);
    return 1;
}

/* The list stays on the stack while fn runs, which may call us again. */
gdr_status gdr_generator_each_shape(gdr_generator *g, const char *name,
                                    gdr_shape_fn fn, void *ctx)
{
    gdr_status st = enter(g, enter_problems, (void *)name, 1);
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
    gdr_status st = enter(g, enter_lists, NULL, 1);
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
