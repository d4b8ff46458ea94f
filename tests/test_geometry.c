/* Launch terms: every form, overflow, and hostile text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../runtime/geometry.h"

#include <stdlib.h>
#include <string.h>

static const gdr_term_env env = {{8, 4, 16, 32}, 128, 100, 6};

static int64_t value_of(const char *text, const gdr_term_env *e)
{
    char msg[256] = "";
    gdr_term term;

    if (gdr_term_parse(text, &term, msg, sizeof msg))
        fail_msg("%s", msg);
    return gdr_term_eval(&term, e);
}

static void test_values(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {
        {"0", 0},
        {"128", 128},
        {"2147483647", 2147483647},
        {"b", 8},
        {"t", 4},
        {"hk", 16},
        {"hv", 32},
        {"k", 128},
        {"v", 100},
        {"sms", 6},
        {"b*hv*ceil(v/32)", 8 * 32 * 4},
        {"ceil(v/100)", 1},
        {"ceil(v/99)", 2},
        {"ceil(v/1)", 100},
        {"ceil(v/2147483647)", 1},
        {"min(b*hv*4, sms*8)", 48},
        {"min(b*hv*4,sms*8)", 48},
        {"min(b, t)", 4},
        {"min(b, 0)", 0},
        {"b*t*hk*hv*k*v*sms*2", 8LL * 4 * 16 * 32 * 128 * 100 * 6 * 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (value_of(cases[i].text, &env) != cases[i].value)
            fail_msg("%s is %lld", cases[i].text,
                     (long long)value_of(cases[i].text, &env));
}

static void test_overflow(void **state)
{
    gdr_term_env big = {{INT64_MAX, INT64_MAX, 1, 2}, 1024, 4096, 1};

    (void)state;
    assert_int_equal(value_of("b", &big), INT64_MAX);
    assert_int_equal(value_of("ceil(b/2)", &big), INT64_MAX / 2 + 1);
    assert_int_equal(value_of("b*hv", &big), -1);
    assert_int_equal(value_of("b*t*0", &big), 0);
    assert_int_equal(value_of("0*b*t", &big), 0);
    assert_int_equal(value_of("min(b*t, 7)", &big), 7);
    assert_int_equal(value_of("min(7, b*t)", &big), 7);
    assert_int_equal(value_of("min(b*t, b*hv)", &big), -1);
    assert_int_equal(value_of("2147483647*2147483647*2147483647", &big), -1);
    big.x.B = -5;
    assert_int_equal(value_of("b*t", &big), -1);
    assert_int_equal(value_of("ceil(b/2)", &big), -1);
}

/* The widest exact product, beside 128-bit arithmetic. */
static void test_overflow_is_exact(void **state)
{
    gdr_term_env e = env;
    uint64_t seed = 3;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        __extension__ unsigned __int128 want;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        e.x.B = (int64_t)(seed >> 33) + 1;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        e.x.T = (int64_t)(seed >> 33) + 1;
        e.x.Hv = (i % 9) + 1;
        want = (unsigned __int128)e.x.B * (uint64_t)e.x.T * (uint64_t)e.x.Hv;
        assert_int_equal(value_of("b*t*hv", &e),
                         want > INT64_MAX ? -1 : (int64_t)want);
    }
}

static void test_errors(void **state)
{
    static const char *const cases[][2] = {
        {"", "a number"},
        {" 1", "a number"},
        {"1 ", "the end"},
        {"x", "b t hk hv k v sms"},
        {"bb", "b t hk hv k v sms"},
        {"b*", "a number"},
        {"b**t", "a number"},
        {"b+t", "the end"},
        {"-1", "a number"},
        {"2147483648", "2147483647"},
        {"99999999999999999999999999", "2147483647"},
        {"ceil(v/0)", "1 .. 2147483647"},
        {"ceil(v/32", "')'"},
        {"ceil(v)", "'/'"},
        {"ceil(8/2)", "b t hk"},
        {"ceil(v/b)", "1 .. 2147483647"},
        {"ceil(v*2/3)", "'/'"},
        {"min(b)", "','"},
        {"min(b, t", "')'"},
        {"min(b, t, k)", "')'"},
        {"min(b, t)*2", "the end"},
        {"2*min(b, t)", "a number"},
        {"min(min(b, t), k)", "b t hk"},
        {"b*b*b*b*b*b*b*b*b", "at most 8"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char msg[256] = "";
        gdr_term term;

        if (gdr_term_parse(cases[i][0], &term, msg, sizeof msg) !=
            GDR_ERR_PARSE)
            fail_msg("accepted: %s", cases[i][0]);
        if (!strstr(msg, cases[i][1]))
            fail_msg("%s: no \"%s\" in: %s", cases[i][0], cases[i][1], msg);
    }
}

static void test_null(void **state)
{
    gdr_term term;
    char msg[64];

    (void)state;
    assert_int_equal(gdr_term_parse(NULL, &term, msg, sizeof msg), GDR_ERR_ARG);
    assert_int_equal(gdr_term_parse("b", NULL, NULL, 0), GDR_ERR_ARG);
    assert_int_equal(gdr_term_parse("?", &term, NULL, 0), GDR_ERR_PARSE);
}

/* Any mutation is refused or evaluates without trouble. */
static void test_mutations(void **state)
{
    static const char *const texts[] = {"b*hv*ceil(v/32)",
                                        "min(b*hv*4, sms*8)"};
    gdr_term term;
    char copy[64];

    (void)state;
    for (int i = 0; i < 2; i++)
        for (size_t at = 0; at < strlen(texts[i]); at++)
            for (int byte = 0; byte < 256; byte++) {
                strcpy(copy, texts[i]);
                copy[at] = (char)byte;
                if (gdr_term_parse(copy, &term, NULL, 0) == GDR_OK)
                    assert_true(gdr_term_eval(&term, &env) >= 0);
            }
}

/* What a plan fixes must change no value, that of an overflow included. */
static void a_geometry_is_its_terms(void **state)
{
    static const char *const texts[] = {"1",
                                        "0",
                                        "2",
                                        "128",
                                        "2*k",
                                        "b*hv*ceil(v/8)",
                                        "b*b*2147483647*v",
                                        "k*v*sms*2147483647",
                                        "k*v*k*v*k*v*k*v",
                                        "2147483647*2147483647*4*k",
                                        "min(b*hv*4, sms*8)",
                                        "min(k, v)",
                                        "7*b*t",
                                        "ceil(k/7)*t*ceil(hv/4)*hk",
                                        "b*t*hk*hv*b*t*hk*hv",
                                        "0*b*k",
                                        "sms"};
    enum { N = sizeof texts / sizeof *texts };
    static const gdr_term_env envs[] = {
        {{1, 1, 1, 1}, 128, 128, 132},
        {{3, 2, 2, 6}, 8, 17, 1},
        {{1 << 20, 4, 16, 32}, 1024, 4096, 2},
        {{INT64_C(1) << 40, INT64_C(1) << 40, 16, 32}, 128, 128, 132},
        {{0, 1, 1, 1}, 64, 1, 7}};

    (void)state;
    for (int at = 0; at < N; at++)
        for (size_t k = 0; k < sizeof envs / sizeof *envs; k++) {
            const gdr_term_env *e = &envs[k];
            gdr_term term[GDR_TERMS];
            int64_t want[GDR_TERMS];
            gdr_launch_dims got;
            gdr_geometry g;
            int whole = 1;

            for (int i = 0; i < GDR_TERMS; i++) {
                assert_int_equal(
                    gdr_term_parse(texts[(at + i) % N], &term[i], NULL, 0),
                    GDR_OK);
                want[i] = gdr_term_eval(&term[i], e);
                whole &= want[i] >= 0;
            }
            gdr_geometry_make(&g, term, e->K, e->V, e->sms);
            assert_int_equal(gdr_geometry_eval(&g, e, &got), whole);
            if (whole)
                assert_memory_equal(&got, want, sizeof want);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_geometry_is_its_terms),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_overflow_is_exact),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests_name("geometry", tests, NULL, NULL);
}
