/* test_spec.c - every message that a malformed spec can give. */
#include "generator_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* needs some of the above */
#include <cmocka.h>

struct row {
    const char *spec, *message;
};

/* A whole spec from a few parts; NULL: a part that is right. */
#define STEPS "steps = { { entry = 'x', grid = { 'b*hv' } } },"
#define TUNE "tune = { w = { values = { 4, 8 }, doc = 'lanes' } },"
#define HEAD "return { op = 'recurrent', doc = 'x', "
#define SPEC(parts) HEAD STEPS TUNE parts " }"
#define STEP(parts) HEAD TUNE "steps = { { " parts " } } }"
#define TUNED(parts) HEAD STEPS "tune = { " parts " } }"

static const struct row rows[] = {
    /* the file */
    {"return 7", "k/x.lua: must return a table, not a number"},
    {"local x = 1", "k/x.lua: must return a table, not nothing"},
    {"return {", "k/x.lua:1: unexpected symbol near <eof>"},
    {"return { op = oops }", "k/x.lua:1: undeclared name 'oops'"},
    {"x = 1", "k/x.lua:1: 'x' is not a local: write local x"},
    {"\x1bLua", "k/x.lua: attempt to load a binary chunk"},
    {"error('why')", "k/x.lua:1: why"},
    {"error({})", "k/x.lua:1: error: a string is needed"},
    {"assert(false)", "k/x.lua:1: assertion failed"},
    {SPEC("doc2 = 1"), "k/x.lua: doc2: unknown; known here: applies"},
    {SPEC("[1] = 1"), "k/x.lua: [1]: unknown"},
    {SPEC("[{}] = 1"), "unknown"},
    {"return { doc = 'x' }", "k/x.lua: op: is missing; must be a string"},
    {"return { op = 'recurrent' }", "k/x.lua: doc: is missing"},
    {"return { op = 5 }", "k/x.lua: op: must be a string, not a number"},
    {"return { op = '' }", "k/x.lua: op: must be one line of text"},
    {"return { op = 'other', doc = 'x', " STEPS "}", "x: its op is other"},
    /* what a sandbox does not have */
    {"os.exit(1)", "undeclared name 'os'"},
    {"io.open('x')", "undeclared name 'io'"},
    {"require 'host'", "undeclared name 'require'"},
    {"load('x')", "undeclared name 'load'"},
    {"pcall(error)", "undeclared name 'pcall'"},
    {"getmetatable('').x = 1", "undeclared name 'getmetatable'"},
    {"setmetatable({}, {})", "undeclared name 'setmetatable'"},
    {"print(1)", "undeclared name 'print'"},
    {"math.random()", "attempt to call a nil value (field 'random')"},
    {"return ('x'):gsub('x', 'y')", "attempt to call a nil value"},
    {"tostring({})", "k/x.lua:1: a table has no stable text"},
    {"tostring(print)", "undeclared name 'print'"},
    {"tostring(tostring)", "a function has no stable text"},
    {"string.format('%p', 1)", "k/x.lua:1: format: only %d"},
    {"string.format('%g', 1)", "k/x.lua:1: format: only %d"},
    {"string.format('%s', {})", "format: argument 1 is a table"},
    {"for k in pairs({ [{}] = 1 }) do end", "k/x.lua:1: pairs: only"},
    {"for k in pairs(3) do end", "k/x.lua:1: pairs: a table is needed"},
    /* limits */
    {"while true do end", "k/x.lua:1: runs too long: an endless loop?"},
    {"local function f() return f() end f()", "k/x.lua:1: runs too long"},
    {"local function f() return 1 + f() end f()", "stack overflow"},
    {"local t = {} while true do t[#t + 1] = #t end", "k/x.lua"},
    {"local s = 'x' while true do s = s .. s end",
     "k/x.lua: uses more than 256 MiB"},
    {"return ('x'):rep(1 << 40)", "k/x.lua"},
    {HEAD STEPS TUNE "where = { { 'x', function() while true do end end } } }",
     "k/x.lua:1: runs too long"},
    /* tune */
    {HEAD STEPS "tune = 3 }", "k/x.lua: tune: must be a table, not a number"},
    {TUNED("w = 3"), "k/x.lua: tune.w: must be a table, not a number"},
    {TUNED("w = { 4, 8 }"), "k/x.lua: tune.w[1]: unknown; known here: doc val"},
    {TUNED("w = { values = { 4 } }"), "k/x.lua: tune.w.doc: is missing"},
    {TUNED("w = { doc = 'x' }"), "k/x.lua: tune.w.values: is missing"},
    {TUNED("w = { doc = 'x', values = {} }"),
     "k/x.lua: tune.w.values: is empty: a tunable has a domain"},
    {TUNED("w = { doc = 'x', values = { 4, 4 } }"),
     "k/x.lua: tune.w.values[2]: 4 stands twice"},
    {TUNED("w = { doc = 'x', values = { 1.5 } }"),
     "k/x.lua: tune.w.values[1]: must be an integer, not 1.5"},
    {TUNED("w = { doc = 'x', values = { 4.0 } }"),
     "k/x.lua: tune.w.values[1]: must be an integer, not 4.0"},
    {TUNED("w = { doc = 'x', values = { 0/0 } }"), "must be an integer"},
    {TUNED("w = { doc = 'x', values = { '4' } }"),
     "k/x.lua: tune.w.values[1]: must be an integer, not a string"},
    {TUNED("w = { doc = 'x', values = { 4, nil, 8 } }"),
     "k/x.lua: tune.w.values: must be a list of integers"},
    {TUNED("w = { doc = 'x', values = { a = 4 } }"),
     "k/x.lua: tune.w.values: must be a list of integers"},
    {TUNED("W = { doc = 'x', values = { 4 } }"),
     "k/x.lua: tune.W: a tunable's name is lower-case"},
    {TUNED("['end'] = { doc = 'x', values = { 4 } }"), "no Lua keyword"},
    {TUNED("['a b'] = { doc = 'x', values = { 4 } }"), "tune.a b: a tunable's"},
    {TUNED("[1] = { doc = 'x', values = { 4 } }"), "tune[1]: a tunable's name"},
    {TUNED("layout = { doc = 'x', values = { 4 } }"),
     "k/x.lua: tune.layout: this name is taken by a static or a helper"},
    {TUNED("bytes = { doc = 'x', values = { 4 } }"), "tune.bytes: this name"},
    {TUNED("math = { doc = 'x', values = { 4 } }"), "tune.math: this name"},
    {"local v = {} for i = 1, 101 do v[i] = i end return { op = 'recurrent', "
     "doc = 'x', " STEPS " tune = { a = { doc = 'x', values = v }, b = { doc = "
     "'x', values = v }, c = { doc = 'x', values = v } } }",
     "k/x.lua: tune: more than 1000000 configs"},
    /* where, applies */
    {SPEC("where = { 3 }"), "k/x.lua: where[1]: must be a table"},
    {SPEC("where = { { 'why' } }"), "k/x.lua: where[1][2]: is missing"},
    {SPEC("where = { { function() end } }"),
     "k/x.lua: where[1][1]: must be a string, not a function"},
    {SPEC("where = { { '', function() end } }"), "where[1][1]: must be one"},
    {SPEC("where = { { 'a', function() end, 3 } }"), "must be {reason, funct"},
    {SPEC("where = { a = { 'a', function() end } }"),
     "k/x.lua: where: must be a list of {reason, function}"},
    {SPEC("where = { { 'a', function() end } }"),
     "k/x.lua: where[1]: must return true or false, not nil"},
    {SPEC("where = { { 'a', function(c) return c.w end } }"),
     "k/x.lua: where[1]: must return true or false, not a number"},
    {SPEC("where = { { 'a', function(c) return c.width == 4 end } }"),
     "k/x.lua:1: the config has no field 'width'"},
    {SPEC("where = { { 'a', function(c, s) return s.k == 4 end } }"),
     "k/x.lua:1: the static problem has no field 'k'"},
    {SPEC("where = { { 'a', function(c, s, d) return d.T == 4 end } }"),
     "k/x.lua:1: the device has no field 'T'"},
    {SPEC("where = { { 'a', function(c) c.w = 4 return true end } }"),
     "k/x.lua:1: the config cannot be changed"},
    {SPEC("where = { { 'a', function(c, s) s.K = 4 return true end } }"),
     "k/x.lua:1: the static problem cannot be changed"},
    {SPEC("applies = { { 'a', function(s) return s.T == 1 end } }"),
     "k/x.lua:1: the static problem has no field 'T'"},
    {SPEC("applies = { { 'only kv', function(s) return s.layout == 'kv' end } "
          "}"),
     "serves recurrent:final:vk:bf16/f32:k128v128:l2norm:g; k/x: only kv"},
    /* defaults */
    {SPEC("defaults = 3"), "k/x.lua: defaults: must be a table"},
    {SPEC("defaults = { 3 }"), "k/x.lua: defaults[1]: must be a table"},
    {SPEC("defaults = { { w = 4 } }"),
     "k/x.lua: defaults[1].max_work: must be an integer, not a nil"},
    {SPEC("defaults = { { max_work = math.huge } }"),
     "k/x.lua: defaults[1].w: is missing"},
    {SPEC("defaults = { { max_work = math.huge, w = 5 } }"),
     "k/x.lua: defaults[1].w: 5 is not in the domain 4 8"},
    {SPEC("defaults = { { max_work = math.huge, w = 4, z = 4 } }"),
     "k/x.lua: defaults[1].z: unknown; known here: max_work w"},
    {SPEC("defaults = { { max_work = 64, w = 4 } }"),
     "k/x.lua: defaults: the last entry needs max_work=math.huge"},
    {SPEC("defaults = { { max_work = 64, w = 4 }, { max_work = 64, w = 8 } }"),
     "k/x.lua: defaults[2].max_work: must grow from entry to entry"},
    {SPEC("defaults = { { max_work = 0, w = 4 } }"), "must grow"},
    {SPEC("defaults = { { max_work = 1.5, w = 4 } }"),
     "k/x.lua: defaults[1].max_work: must be an integer, not 1.5"},
    {SPEC("defaults = { { max_work = math.huge, w = function() end } }"),
     "k/x.lua: defaults[1].w: must be an integer, not a nil"},
    /* reduction */
    {SPEC("reduction = { 'v' }"), "k/x.lua: reduction[1]: is no tunable"},
    {SPEC("reduction = { 3 }"), "k/x.lua: reduction[1]: is no tunable"},
    {SPEC("reduction = 'w'"), "k/x.lua: reduction: must be a table"},
    /* steps */
    {HEAD TUNE "}", "k/x.lua: steps: is missing; must be a table"},
    {HEAD TUNE "steps = {} }", "k/x.lua: steps: must have 1 to 8 entries"},
    {HEAD TUNE "steps = { entry = 'x' } }", "k/x.lua: steps: must be a list"},
    {STEP("grid = 'b'"), "k/x.lua: steps[1].entry: is missing"},
    {STEP("entry = 'x'"), "k/x.lua: steps[1].grid: is missing"},
    {STEP("entry = 'x', grid = 'b', gird = 1"), "steps[1].gird: unknown"},
    {STEP("entry = 'a b', grid = 'b'"),
     "k/x.lua: steps[1].entry: \"a b\" is no C identifier"},
    {STEP("entry = 'x', grid = { 'b', 'b', 'b', 'b' }"),
     "k/x.lua: steps[1].grid: must be one to three terms"},
    {STEP("entry = 'x', grid = function() return 1 end"),
     "k/x.lua: steps[1].grid[1]: a function is refused: launch geometry is"},
    {STEP("entry = 'x', grid = 'b', smem = function() return 1 end"),
     "k/x.lua: steps[1].smem: a function is refused"},
    {STEP("entry = 'x', grid = 'b', block = 32"),
     "k/x.lua: steps[1].block: must be a string, not a number"},
    {STEP("entry = 'x', grid = 'b+1'"),
     "k/x.lua: steps[1].grid[1]: \"b+1\": 'b+1' is no integer, no extent"},
    {STEP("entry = 'x', grid = 'b*n'"), "'n' is no integer, no extent (b t hk"},
    {STEP("entry = 'x', grid = 'b**t'"), "'' is no integer"},
    {STEP("entry = 'x', grid = '-1'"), "'-1' is no integer"},
    {STEP("entry = 'x', grid = 'ceil(v/0)'"), "division by 0"},
    {STEP("entry = 'x', grid = 'ceil(q/2)'"), "'q' is no extent"},
    {STEP("entry = 'x', grid = 'ceil(v/w)'"), "'ceil(v/w)' is no integer"},
    {STEP("entry = 'x', grid = 'min(b,t'"), "'min(b,t' is no integer"},
    {STEP("entry = 'x', grid = 'min(b,t,v)'"), "'t,v' is no integer"},
    {STEP("entry = 'x', grid = '3000000000'"), "is larger than 2147483647"},
    {STEP("entry = 'x', grid = '99999999999999999999'"), "is larger than"},
    {STEP("entry = 'x', grid = 'b*b*b*b*b*b*b*b*b'"), "more than 8 factors"},
    {STEP("entry = 'x', grid = 'b*@(oops)'"),
     "k/x.lua: steps[1].grid[1]: undeclared name 'oops'"},
    {STEP("entry = 'x', grid = 'b*@(w'"), "@( is not closed on its line"},
    {STEP("entry = 'x', grid = 'b*@(w w)'"), "@(w w): "},
    {STEP("entry = 'x', grid = 'b', template = 'y.c'"),
     "k/x.lua: steps[1].template: no template y.c beside the spec"},
    {STEP("entry = 'x', grid = 'b', template = '../x.c'"),
     "k/x.lua: steps[1].template: must be a file beside the spec"},
};

static gdr_status space_of(const char *folder, char *message, size_t n)
{
    gdr_generator *g = NULL;
    gdr_space *space = NULL;
    gdr_generator_device d = device_of("k");
    gdr_static s = static_of(plain_statics);
    gdr_status st = gdr_generator_open(folder, &g);
    if (!st)
        st = gdr_generator_space(g, &s, &d, &space);
    snprintf(message, n, "%s", gdr_generator_errmsg(g));
    gdr_space_close(space);
    gdr_generator_close(g);
    return st;
}

static void malformed_specs_give_messages(void **state)
{
    struct folder f;
    char message[2048];
    int bad = 0;
    (void)state;
    folder_open(&f);
    folder_write(&f, "k/x.c", "int x;\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        folder_write(&f, "k/x.lua", rows[i].spec);
        gdr_status st = space_of(f.path, message, sizeof(message));
        if ((st == GDR_ERR_TEMPLATE || st == GDR_ERR_NOT_FOUND) &&
            strstr(message, rows[i].message))
            continue;
        print_error("spec:   %s\nwanted: %s\ngot:    %s: %s\n", rows[i].spec,
                    rows[i].message, gdr_strerror(st), message);
        bad++;
    }
    folder_close(&f);
    assert_int_equal(bad, 0);
}

/* Few instructions, each of which copies much: five seconds to find out. */
static void slow_copies_end(void **state)
{
    struct folder f;
    char message[2048];
    (void)state;
    if (!getenv("GDR_THOROUGH"))
        skip();
    folder_open(&f);
    folder_write(&f, "k/x.lua",
                 "local t = {} for i = 1, 4e6 do table.insert(t, 1, i) end");
    assert_int_equal(space_of(f.path, message, sizeof(message)),
                     GDR_ERR_TEMPLATE);
    assert_non_null(strstr(message, "k/x.lua:1: runs too long"));
    folder_close(&f);
}

static void a_spec_without_a_template_is_refused(void **state)
{
    struct folder f;
    char message[2048];
    (void)state;
    folder_open(&f);
    folder_write(&f, "k/x.lua", SPEC(""));
    assert_int_equal(space_of(f.path, message, sizeof(message)),
                     GDR_ERR_TEMPLATE);
    assert_non_null(strstr(message, "no template x.c or x.cu beside the spec"));
    folder_close(&f);
}

static void common_may_not_take_the_name_of_a_static(void **state)
{
    struct folder f;
    char message[2048];
    (void)state;
    folder_open(&f);
    folder_write(&f, "common.lua", "return { K = 3 }");
    folder_write(&f, "k/x.lua", SPEC(""));
    folder_write(&f, "k/x.c", "");
    assert_int_equal(space_of(f.path, message, sizeof(message)),
                     GDR_ERR_TEMPLATE);
    assert_non_null(strstr(message, "common.lua: entry 'K' has the name"));
    folder_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_specs_give_messages),
        cmocka_unit_test(slow_copies_end),
        cmocka_unit_test(a_spec_without_a_template_is_refused),
        cmocka_unit_test(common_may_not_take_the_name_of_a_static),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
