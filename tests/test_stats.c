/* Order statistics: against values worked out by hand, tables, and coverage. */
#include "../tuner/stats.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>

static void test_quantile(void **state)
{
    (void)state;
    double x[] = {1, 2, 4, 8};
    assert_true(isnan(gdr_stats_quantile(x, 0, 0.5)));
    assert_true(gdr_stats_quantile(x, 1, 0.95) == 1);
    assert_true(gdr_stats_quantile(x, 4, 0) == 1);
    assert_true(gdr_stats_quantile(x, 4, 0.5) == 3);
    assert_true(gdr_stats_quantile(x, 4, 1) == 8);
    double inf[] = {1, INFINITY, INFINITY}; /* no inf - inf */
    assert_true(gdr_stats_quantile(inf, 3, 0.75) == INFINITY);
}

/* Ranks from any table of the sign test's interval of the median. */
static void test_sign_rank(void **state)
{
    (void)state;
    static const int table[][2] = {{1, 0},   {5, 0},   {6, 1},    {8, 1},
                                   {9, 2},   {10, 2},  {16, 4},   {20, 6},
                                   {50, 18}, {64, 24}, {100, 40}, {400, 180}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(gdr_stats_sign_rank(table[i][0]), table[i][1]);
    int exact = gdr_stats_sign_rank(1000), normal = gdr_stats_sign_rank(1001);
    assert_true(normal - exact >= -1 && normal - exact <= 1);
    for (int n = 0, k = 0; n < 2000; n++) { /* monotone, below the middle */
        int rank = gdr_stats_sign_rank(n);
        assert_true(rank >= k - 1 && rank <= n / 2);
        k = rank;
    }
}

static void test_median(void **state)
{
    (void)state;
    double x[] = {9, 1, 8, 2, 7, 3, 6, 4, 5};
    gdr_interval m = gdr_stats_median(x, 9);
    assert_true(m.mid == 5 && m.lo == 2 && m.hi == 8);
    m = gdr_stats_median(x, 6);
    assert_true(m.mid == 3.5 && m.lo == 1 && m.hi == 6);
    m = gdr_stats_median(x, 1);
    assert_true(m.mid == 1 && m.lo == -INFINITY && m.hi == INFINITY);
    m = gdr_stats_median(x, 0);
    assert_true(isnan(m.mid) && isnan(m.lo) && isnan(m.hi));
    double few[] = {1, 3, 2};
    m = gdr_stats_median(few, 3);
    assert_true(m.mid == 2);
    assert_true(fabs(m.lo - (2 - 2 * 1.304)) < 1e-12);
    assert_true(fabs(m.hi - (2 + 2 * 1.304)) < 1e-12);
    double skew[] = {0, 0, 0, 0, 100};
    m = gdr_stats_median(skew, 5);
    assert_true(m.lo <= 0 && m.mid == 0 && m.hi >= 100);
    double same[] = {7, 7, 7, 7, 7, 7, 7};
    m = gdr_stats_median(same, 7);
    assert_true(m.mid == 7 && m.lo == 7 && m.hi == 7);
}

static double uniform(uint64_t *s)
{
    *s ^= *s << 13, *s ^= *s >> 7, *s ^= *s << 17;
    return (double)(*s >> 11) * 0x1p-53;
}

static double normal(uint64_t *s)
{
    double r = sqrt(-2 * log(1 - uniform(s)));
    return r * cos(6.283185307179586 * uniform(s));
}

/* The interval must hold the true median in 95 % of the experiments: normal
 * noise for every n, and heavy-tailed, skewed noise from 6 on. */
static void test_coverage(void **state)
{
    (void)state;
    static const int sizes[] = {2, 3, 4, 5, 6, 9, 16, 64, 200};
    enum { RUNS = 4000 };
    uint64_t seed = 88172645463325252ULL;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int held[2] = {0, 0}, n = sizes[i];
        for (int run = 0; run < RUNS; run++)
            for (int skewed = 0; skewed < 2; skewed++) {
                double x[200];
                for (int j = 0; j < n; j++) {
                    double z = normal(&seed);
                    x[j] = skewed ? exp(2 * z) - 1 : z; /* median 0 */
                }
                gdr_interval m = gdr_stats_median(x, n);
                held[skewed] += m.lo <= 0 && 0 <= m.hi;
            }
        print_message("n=%-3d covers: normal %.3f, skewed %.3f\n", n,
                      held[0] / (double)RUNS, held[1] / (double)RUNS);
        assert_true(held[0] > 0.94 * RUNS);
        if (n >= 6)
            assert_true(held[1] > 0.94 * RUNS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantile), cmocka_unit_test(test_sign_rank),
        cmocka_unit_test(test_median), cmocka_unit_test(test_coverage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
