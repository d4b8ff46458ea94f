/* test_compile_log.c - what ptxas says, and what is made of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/compile_log.h"

#include <string.h>

static const char clean[] =
    "ptxas info    : 0 bytes gmem\n"
    "ptxas info    : Compiling entry function 'gdr_kernel' for 'sm_75'\n"
    "ptxas info    : Function properties for gdr_kernel\n"
    "ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes "
    "spill loads\n"
    "ptxas info    : Used 11 registers, used 1 barriers, 400 bytes smem\n"
    "ptxas info    : Compile time = 9.142 ms\n";

static void finds_spills(void **state)
{
    (void)state;
    assert_int_equal(gdr_compile_log_spills(""), -1); /* code from a cache */
    assert_int_equal(gdr_compile_log_spills(clean), 0);
    assert_int_equal(
        gdr_compile_log_spills("    8 bytes stack frame, 12 bytes spill "
                               "stores, 16 bytes spill loads\n"
                               "    8 bytes stack frame, 44 bytes spill "
                               "stores, 4 bytes spill loads"),
        44);
    assert_int_equal(gdr_compile_log_spills(" bytes spill stores"), -1);
}

static void refuses(void **state)
{
    static const struct {
        const char *log, *why; /* NULL: nothing against it */
    } cases[] = {
        {"", NULL},
        {clean, NULL},
        {"ptxas info : (C7509) something else", NULL},
        {"ptxas info : (C7518) something else", NULL},
        {"ptxas info : (C7507) Potential Performance Loss: wgmma", "wgmma"},
        {"a\nptxas info : (C7510) Potential Performance Loss: wgmma.mma_async "
         "instructions are serialized\nb",
         "wgmma is serialised: (C7510)"},
        {"ptxas info : (C7517) x", "wgmma"},
        {"ptxas info : (C7508) setmaxnreg ignored", "setmaxnreg"},
        {"ptxas . 8 bytes stack frame, 4 bytes spill stores, 8 bytes spill "
         "loads",
         "spills 8 bytes"},
    };
    char why[128];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int refused = gdr_compile_log_refuses(cases[i].log, why, sizeof why);
        assert_int_equal(refused, cases[i].why != NULL);
        if (cases[i].why)
            assert_non_null(strstr(why, cases[i].why));
        assert_null(strchr(refused ? why : "", '\n'));
    }
}

static void keeps_what_matters(void **state)
{
    char out[512], small[16];

    (void)state;
    gdr_compile_log_clean(clean, out, sizeof out);
    assert_null(strstr(out, "Compile time"));
    assert_null(strstr(out, "gmem"));
    assert_non_null(strstr(out, "Used 11 registers"));
    assert_null(strstr(out, "\n\n"));
    gdr_compile_log_clean(clean, small, sizeof small);
    assert_int_equal(strlen(small), sizeof small - 1);
    gdr_compile_log_clean("k.cu(3): warning: Compile time is no noise here",
                          out, sizeof out);
    assert_non_null(strstr(out, "no noise"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_spills),
        cmocka_unit_test(refuses),
        cmocka_unit_test(keeps_what_matters),
    };
    return cmocka_run_group_tests_name("compile_log", tests, NULL, NULL);
}
