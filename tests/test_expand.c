/* test_expand.c - templates: what they expand to, and what they may not say. */
#include "generator_fixture.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* needs some of the above */
#include <cmocka.h>

static const char spec[] =
    "return { op = 'recurrent', doc = 'x', steps = { { entry = 'x', grid = 'b' "
    "} }, tune = { n = { values = { 1, 3 }, doc = 'x' } } }";

/* Text after the three lines of the header; freed by the caller. */
static char *expand(const char *folder, gdr_status *st, char *message, size_t n)
{
    gdr_generator *g = NULL;
    gdr_static s = static_of(plain_statics);
    char *source = NULL;
    size_t bytes = 0;
    *st = gdr_generator_open(folder, &g);
    if (!*st)
        *st = gdr_generator_expand(g, &s, "k/x", "n=3", 0, &source, &bytes);
    snprintf(message, n, "%s", gdr_generator_errmsg(g));
    gdr_generator_close(g);
    if (!source)
        return NULL;
    assert_int_equal(strlen(source), bytes);
    char *end = strstr(source, "*/\n");
    assert_non_null(end);
    memmove(source, end + 3, strlen(end + 3) + 1);
    return source;
}

struct row {
    const char *text, *wanted;
};

#define LINE1 "#line 1 \"templates/k/x.c\"\n"
#define LINE2 "#line 2 \"templates/k/x.c\"\n"
#define LINE3 "#line 3 \"templates/k/x.c\"\n"

static const struct row good[] = {
    {"", LINE1 "\n"},
    {"a", LINE1 "a\n"},
    {"a\r\nb\r\n", LINE1 "a\nb\n"},
    {"\xEF\xBB\xBF"
     "a\n",
     LINE1 "a\n"},
    {"@(n)@(n + 1)b@(n)", LINE1 "34b3\n"},
    {"@(select(2, 7, 8, 9))", LINE1 "8\n"},
    {"@@(n) @n ( @ (n)", LINE1 "@(n) @n ( @ (n)\n"},
    {"@(((n)))", LINE1 "3\n"},
    {"@(\")\")@(')(')@([[)]])@([==[)]]]==])", LINE1 "))())]]\n"},
    {"@(\"\\\")\")", LINE1 "\")\n"},
    {"@(({ 7, 8 })[2])", LINE1 "8\n"},
    {"@(layout) @(state) @(io) @(K) @(V) @(gate) @(contract) @(op)",
     LINE1 "vk f32 bf16 128 128 g final recurrent\n"},
    {"@(l2norm) @(round_between_tokens)", LINE1 "true false\n"},
    {"@(bytes(state)) @(ctype(io)) @(ceil_div(7, 2))",
     LINE1 "4 unsigned short 4\n"},
    {"@(0.1) @(1e300) @(-2.0) @(1 // 1) @(math.tointeger(4.0))",
     LINE1 "0.1 1e+300 -2.0 1 4\n"},
    {"@(0x7fffffffffffffff)", LINE1 "9223372036854775807\n"},
    {"\"\\n\\\"?\?/\" %d\t'", LINE1 "\"\\n\\\"?\?/\" %d\t'\n"},
    {"//@ local x = n\n@(x)", LINE2 "3\n"},
    {"  //@\tlocal x = n\na\n@(x)", LINE2 "a\n3\n"},
    {"//@\na", LINE2 "a\n"},
    {"//@ -- a remark\na", LINE2 "a\n"},
    {"//@ if n > 9 then\na\n//@ end", ""},
    {"//@ for i = 1, 2 do\n@(i)\n//@ end\nb",
     LINE2 "1\n" LINE2 "2\n#line 4 \"templates/k/x.c\"\nb\n"},
    {"//@ for i = 1, 2 do\n@(i)\n-\n//@ end", LINE2 "1\n-\n" LINE2 "2\n-\n"},
    {"#define A \\\n//@ if n == 3 then\n  b \\\n//@ end\n  c\nd",
     LINE1 "#define A \\\n  b \\\n  c\n#line 6 \"templates/k/x.c\"\nd\n"},
    {"//@ local t = {\n//@   1, 2,\n//@ }\n@(t[2])",
     "#line 4 \"templates/k/x.c\"\n2\n"},
    {"//@ include 'k/s.h'\na", "#line 1 \"templates/k/s.h\"\ns3\n" LINE2 "a\n"},
    {"//@ for key, value in pairs { c = 1, a = 2, b = 3, [2] = 4 } do\n"
     "@(key)@(value)\n//@ end",
     LINE2 "24\n" LINE2 "a2\n" LINE2 "b3\n" LINE2 "c1\n"},
    {"//@ local function f(x)\n[@(x)]\n//@ end\n//@ f(1)\n//@ f(\"b\")",
     LINE2 "[1]\n" LINE2 "[b]\n"},
};

static const struct row bad[] = {
    {"a\n@(m)", "k/x.c:2: undeclared name 'm'"},
    {"a\n\n//@ if m then\n//@ end", "k/x.c:3: undeclared name 'm'"},
    {"//@ m = 3", "k/x.c:1: 'm' is not a local: write local m"},
    {"//@ n = 4", "k/x.c:1: 'n' is not a local: write local n"},
    {"a\r\n@(m)\r\n", "k/x.c:2: undeclared name 'm'"},
    {"@(n", "k/x.c:1: @( is not closed on its line"},
    {"\n@((n)", "k/x.c:2: @( is not closed on its line"},
    {"@(\")", "k/x.c:1: @( is not closed on its line"},
    {"@([[)", "k/x.c:1: @( is not closed on its line"},
    {"@()", "k/x.c:1: @(): unexpected symbol"},
    {"\n@(n n)", "k/x.c:2: @(n n): ')' expected near 'n'"},
    {"@(n -- why)", "k/x.c:1: @(n -- why): ')' expected near <eof>"},
    {"@(n, n)", "k/x.c:1: @(n, n): ')' expected near ','"},
    {"@(table.insert({}, 1))", "k/x.c:1: @(...) is nil"},
    {"@({})", "k/x.c:1: @(...) is a table"},
    {"\n\n@(nil)", "k/x.c:3: @(...) is nil"},
    {"@(bytes)", "k/x.c:1: @(...) is a function"},
    {"@(1 / 0)", "k/x.c:1: @(...) is not finite"},
    {"@(0 / 0)", "k/x.c:1: @(...) is not finite"},
    {"@(n.x)", "k/x.c:1: attempt to index a number value (global 'n')"},
    {"//@ if", "k/x.c:1: unexpected symbol near <eof>"},
    {"//@ local x =\na", "k/x.c:2: unexpected symbol near ';'"},
    {"//@ for i = 1, 2 do\na", "k/x.c:2: 'end' expected"},
    {"a\n//@ end", "k/x.c:2: <eof> expected near 'end'"},
    {"//@if n then", "k/x.c:1: write a blank after //@"},
    {"a; //@ b", "k/x.c:1: //@ must stand first on its line"},
    {"//@ error('no')", "k/x.c:1: no"},
    {"//@ assert(n == 4, 'four')", "k/x.c:1: four"},
    {"//@ bytes('f64')", "k/x.c:1: 'f64' is no dtype"},
    {"//@ include 'k/none.h'",
     "k/x.c:1: include \"k/none.h\": no such file in templates/"},
    {"//@ include '../x'", "k/x.c:1: include \"../x\": no such file"},
    {"//@ include '/etc/passwd'", "no such file"},
    {"//@ include(3)", "k/x.c:1: write include \"name\""},
    {"//@ include 'k/x.c'", "k/x.c:1: include \"k/x.c\": nested too deeply"},
    {"//@ include 'k/bad.h'", "k/bad.h:2: undeclared name 'oops'"},
    {"//@ while true do\na\n//@ end", "runs too long: an endless loop?"},
    {"//@ while true do\n//@ end", "k/x.c:1: runs too long"},
    {"@(('x'):rep(1 << 33))", "k/x."},
    {"//@ os.exit(3)", "k/x.c:1: undeclared name 'os'"},
    {"//@ local function f() return 1 + f() end\n//@ f()", "stack overflow"},
};

static void open_folder(struct folder *f)
{
    folder_open(f);
    folder_write(f, "k/x.lua", spec);
    folder_write(f, "k/s.h", "s@(n)\n");
    folder_write(f, "k/bad.h", "a\n@(oops)\n");
}

static int expand_all_good(void)
{
    struct folder f;
    char message[2048];
    gdr_status st;
    int wrong = 0;
    open_folder(&f);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        folder_write(&f, "k/x.c", good[i].text);
        char *got = expand(f.path, &st, message, sizeof(message));
        if (!got || strcmp(got, good[i].wanted) != 0) {
            print_error("template:\n%s\nwanted:\n%s\ngot:\n%s%s\n",
                        good[i].text, good[i].wanted, got ? got : "", message);
            wrong++;
        }
        free(got);
    }
    folder_close(&f);
    return wrong;
}

static void templates_expand(void **state)
{
    (void)state;
    assert_int_equal(expand_all_good(), 0);
}

/* A decimal comma, and an order of names that is not that of bytes. */
static void the_locale_changes_nothing(void **state)
{
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8"))
        skip();
    int wrong = expand_all_good();
    setlocale(LC_ALL, "C");
    assert_int_equal(wrong, 0);
}

static void errors_name_the_line(void **state)
{
    struct folder f;
    char message[2048];
    gdr_status st;
    int wrong = 0;
    (void)state;
    open_folder(&f);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        folder_write(&f, "k/x.c", bad[i].text);
        char *got = expand(f.path, &st, message, sizeof(message));
        if (got || st != GDR_ERR_TEMPLATE || !strstr(message, bad[i].wanted)) {
            print_error("template:\n%s\nwanted: %s\ngot:    %s: %s\n",
                        bad[i].text, bad[i].wanted, gdr_strerror(st), message);
            wrong++;
        }
        free(got);
    }
    folder_close(&f);
    assert_int_equal(wrong, 0);
}

static void an_unread_tunable_is_a_warning(void **state)
{
    struct folder f;
    char message[2048];
    gdr_status st;
    (void)state;
    open_folder(&f);
    folder_write(&f, "k/x.c", "a\n");
    free(expand(f.path, &st, message, sizeof(message)));
    assert_int_equal(st, GDR_OK);
    assert_non_null(
        strstr(message, "k/x.lua: warning: never read by the template: n"));
    folder_write(&f, "k/x.c", "@(n)\n");
    free(expand(f.path, &st, message, sizeof(message)));
    assert_string_equal(message, "");
    folder_close(&f);
}

static void a_binary_template_is_refused(void **state)
{
    struct folder f;
    char message[2048], path[128];
    gdr_status st;
    (void)state;
    open_folder(&f);
    snprintf(path, sizeof(path), "%s/k/x.c", f.path);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    fwrite("a\0b", 1, 3, out);
    fclose(out);
    assert_null(expand(f.path, &st, message, sizeof(message)));
    assert_int_equal(st, GDR_ERR_TEMPLATE);
    assert_non_null(strstr(message, "k/x.c: is not a text file"));
    folder_close(&f);
}

/* A file without end, and one that is a folder. */
static void what_is_no_file_is_an_error(void **state)
{
    struct folder f;
    char message[2048], path[128];
    gdr_status st;
    (void)state;
    open_folder(&f);
    snprintf(path, sizeof(path), "%s/k/x.c", f.path);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_null(expand(f.path, &st, message, sizeof(message)));
    assert_int_equal(st, GDR_ERR_IO);
    assert_non_null(strstr(message, "k/x.c: larger than 4 MiB"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_null(expand(f.path, &st, message, sizeof(message)));
    assert_int_equal(st, GDR_ERR_IO);
    assert_non_null(strstr(message, "k/x.c: Is a directory"));
    folder_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_expand),
        cmocka_unit_test(the_locale_changes_nothing),
        cmocka_unit_test(errors_name_the_line),
        cmocka_unit_test(an_unread_tunable_is_a_warning),
        cmocka_unit_test(a_binary_template_is_refused),
        cmocka_unit_test(what_is_no_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
