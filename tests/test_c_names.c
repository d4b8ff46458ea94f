/* test_c_names.c - two sources share a file when each has its own names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../tuner/c_names.h"

#include <stdlib.h>
#include <string.h>

static char *renamed(const char *source)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    assert_non_null(out);
    assert_int_equal(gdr_c_names_write(source, "_x", out), GDR_OK);
    fclose(out);
    return text;
}

static void names_of_file_scope_get_the_suffix(void **state)
{
    static const struct {
        const char *before, *after;
    } cases[] = {
        {"int f(int a) { return a; }", "int f_x(int a) { return a; }"},
        {"#define A(x) x\nint b = A(1);",
         "#define A_x(x) x\nint b_x = A_x(1);"},
        {"#if defined(__FMA__)\n#endif\n", "#if defined(__FMA__)\n#endif\n"},
        {"typedef float v __attribute__((vector_size(8)));\nv g(v a);",
         "typedef float v_x __attribute__((vector_size(8)));\nv_x g_x(v_x a);"},
        {"typedef unsigned short a, b;", "typedef unsigned short a_x, b_x;"},
        {"struct s { int m; } t[2];", "struct s_x { int m; } t_x[2];"},
        {"enum { A = 1, B, C };", "enum { A_x = 1, B_x, C_x };"},
        {"enum e { A }; void f(void) { enum { L }; g(L, A); }",
         "enum e_x { A_x }; void f_x(void) { enum { L }; g(L, A_x); }"},
        {"/* f(); */ int f(void); // f\n\"f\" 'f' 1f",
         "/* f(); */ int f_x(void); // f\n\"f\" 'f' 1f"},
        {"char q[] = \"}\\\"\"; int f(void);",
         "char q_x[] = \"}\\\"\"; int f_x(void);"},
        {"#include <h.h>\nint h;", "#include <h.h>\nint h_x;"},
        {"#line 3 \"a\"\nint a;\n#line 9\n", "int a_x;\n"},
        {"#define A { \\\n (\nint b;", "#define A_x { \\\n (\nint b_x;"},
        {"_Static_assert(1, \"\"); int _a;",
         "_Static_assert(1, \"\"); int _a;"},
        {"int a = { 1 }, b(int c), *d;", "int a_x = { 1 }, b_x(int c), *d_x;"},
        {"int f(void) { return sqrtf(2); }",
         "int f_x(void) { return sqrtf(2); }"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = renamed(cases[i].before);

        assert_string_equal(text, cases[i].after);
        free(text);
    }
}

/* Sources are ours, but a cut one must not send the reader past its end. */
static void cut_sources_end(void **state)
{
    static const char *const cases[] = {
        "",   "#",   "#define", "/*",     "//",    "\"\\", "'",       "int a",
        "\\", "(((", "}}}",     "enum {", "#line", "f(",   "#include"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        free(renamed(cases[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_file_scope_get_the_suffix),
        cmocka_unit_test(cut_sources_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
