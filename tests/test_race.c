/*
 * The race under a scripted clock: every way to end, every way to fail, and
 * simulations of the three efforts on noisy, drifting, spiky machines.
 */
#include "../tuner/order.h"
#include "../tuner/race.h"
#include "../tuner/stats.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX = 500 };

/* A machine: candidate i takes time[i] ns, more or less. */
typedef struct bench {
    double time[MAX];
    double noise;   /* standard deviation of the logarithm, a sample */
    double drift;   /* amplitude of a slow swing of the whole machine */
    double spikes;  /* how many samples in 100 are up to 4 times too long */
    int64_t budget; /* samples until GDR_ERR_BUSY; 0: no end */
    int refused;    /* GDR_ERR_BUSY was returned */
    int fail_after[MAX]; /* fails from this sample on; 0: never */
    double lie[MAX];     /* returned as it is, when not 0 */
    int runs[MAX];
    int64_t samples, final_samples;
    int quiet, quiet_calls;
    int log[4096]; /* who ran */
    uint64_t random;
} bench;

static double uniform(uint64_t *s)
{
    return (double)(gdr_order_random(s) >> 11) * 0x1p-53;
}

static double normal(uint64_t *s)
{
    double r = sqrt(-2 * log(1 - uniform(s)));
    return r * cos(6.283185307179586 * uniform(s));
}

static gdr_status sample(void *ctx, int i, double *ns)
{
    bench *b = ctx;
    if (b->budget && b->samples >= b->budget) {
        b->refused = 1;
        return GDR_ERR_BUSY;
    }
    if (b->samples < 4096)
        b->log[b->samples] = i;
    b->samples++;
    b->final_samples += b->quiet;
    b->runs[i]++;
    if (b->fail_after[i] && b->runs[i] >= b->fail_after[i])
        return GDR_ERR_LAUNCH;
    double at = (double)b->samples;
    double t = b->time[i] * exp(b->noise * normal(&b->random));
    t *= 1 + b->drift * (sin(at / 97) + sin(at / 1013));
    if (uniform(&b->random) < b->spikes / 100)
        t *= 1 + 3 * uniform(&b->random);
    *ns = b->lie[i] != 0 ? b->lie[i] : t;
    return GDR_OK;
}

static void quiet(void *ctx, int on)
{
    bench *b = ctx;
    assert_int_not_equal(b->quiet, on);
    b->quiet = on;
    b->quiet_calls++;
}

static gdr_race_options effort(const char *name, uint64_t seed)
{
    gdr_race_options o;
    assert_true(gdr_race_effort(name, &o));
    o.seed = seed;
    o.quiet = quiet;
    return o;
}

/* Times 100, 101, ... */
static bench *steps(int n)
{
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    for (int i = 0; i < n; i++)
        b->time[i] = 100 + i;
    b->random = 1;
    return b;
}

static void run(const bench *b, const gdr_race_options *o, int n, int anchor,
                int incumbent, gdr_race *race)
{
    gdr_status s =
        gdr_race_run(o, n, anchor, incumbent, NULL, sample, (void *)b, race);
    assert_int_equal(s, GDR_OK);
    assert_int_equal(race->n, n);
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < race->racer[i].rounds; k++)
            assert_true(race->racer[i].samples[k] > 0);
}

static void test_efforts(void **state)
{
    (void)state;
    static const char *const names[] = {"quick", "measure", "exhaustive"};
    gdr_race_options o, before = {0};
    for (int i = 0; i < 3; i++) {
        assert_true(gdr_race_effort(names[i], &o));
        assert_true(o.screen_rounds >= 4 && o.screen_drop > 1);
        assert_true(o.final_rounds_min >= 6);
        assert_true(o.final_rounds_max > before.final_rounds_max);
        assert_true(o.finalists > before.finalists);
        before = o;
    }
    assert_false(gdr_race_effort("", &o));
    assert_false(gdr_race_effort("quickly", &o));
}

static void test_balanced_order(void **state)
{
    (void)state;
    for (int n = 1; n <= 9; n++) {
        int place[9][9] = {{0}}, after[9][9] = {{0}}, out[9];
        int rows = gdr_order_rows(n);
        for (int row = 0; row < rows; row++) {
            gdr_order_balanced(n, row, out);
            for (int i = 0; i < n; i++) {
                assert_in_range(out[i], 0, n - 1);
                place[i][out[i]]++;
                if (i)
                    after[out[i - 1]][out[i]]++;
            }
        }
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                assert_int_equal(place[i][j], rows / n);
                if (i != j)
                    assert_int_equal(after[i][j], rows / n);
            }
    }
}

static void test_clear_winner(void **state)
{
    (void)state;
    gdr_race_options o = effort("measure", 1);
    gdr_race race;
    bench *b = steps(30);
    b->time[7] = 50;
    b->noise = 0.01;
    run(b, &o, 30, 3, -1, &race);
    assert_int_equal(race.winner, 7);
    assert_int_equal(race.anchor, 3);
    assert_int_equal(race.racer[7].stage, GDR_RACE_FINALIST);
    assert_true(fabs(race.racer[7].ratio / (50 / 103.) - 1) < 0.01);
    assert_true(race.racer[7].ratio_lo < race.racer[7].ratio);
    assert_true(race.racer[7].ratio_hi > race.racer[7].ratio);
    assert_true(fabs(race.racer[7].time_ns / 50 - 1) < 0.01);
    assert_true(race.racer[7].spread > 0 && race.racer[7].spread < 0.01);
    assert_true(race.racer[3].ratio == 1);
    assert_string_equal(race.stopped, "ci");
    assert_true(race.noise > 0 && race.noise < 0.02);
    assert_int_equal(b->quiet_calls, 2);
    assert_int_equal(race.racer[20].stage, GDR_RACE_SCREENED);
    gdr_race_free(&race);
    free(b);
}

/* The anchor runs in every round, twice in those of the final, and its place
 * in the round is anywhere. */
static void test_anchor_everywhere(void **state)
{
    (void)state;
    gdr_race_options o = effort("measure", 7);
    gdr_race race;
    bench *b = steps(24);
    b->noise = 0.01;
    run(b, &o, 24, 5, -1, &race);
    assert_int_equal(race.racer[5].rounds, race.rounds + race.final_rounds);
    double mean = 0; /* of the place in the first 4 rounds, full ones */
    for (int i = 0; i < 4 * 24; i++)
        if (b->log[i] == 5)
            mean += (i % 24) / 4.;
    assert_true(mean > 5 && mean < 18);
    gdr_race_free(&race);
    free(b);
}

static void test_default_stands(void **state)
{
    (void)state;
    gdr_race_options o = effort("measure", 3);
    gdr_race race;
    bench *b = steps(10); /* 0 is the fastest; the anchor loses 0.3 % */
    for (int i = 0; i < 10; i++)
        b->time[i] = 100 + (i == 4 ? 0.3 : 0.01 * i);
    run(b, &o, 10, 4, -1, &race);
    assert_int_equal(race.winner, 4);
    assert_string_equal(race.stopped, "equivalent");
    assert_true(race.noise == 0 && race.epsilon == o.epsilon_min);
    gdr_race_free(&race);
    free(b);
}

/* Equals: the incumbent stays; without one the tie order decides. */
static void test_equals(void **state)
{
    (void)state;
    gdr_race_options o = effort("quick", 3);
    gdr_race race;
    const int tie[] = {0, 3, 2, 1};
    static const double times[] = {100, 80.1, 80, 80.2};
    for (int incumbent = -1; incumbent < 4; incumbent++) {
        bench *b = steps(4);
        memcpy(b->time, times, sizeof times);
        gdr_status s = gdr_race_run(&o, 4, 0, incumbent, tie, sample, b, &race);
        assert_int_equal(s, GDR_OK);
        assert_int_equal(race.winner, incumbent > 0 ? incumbent : 3);
        gdr_race_free(&race);
        free(b);
    }
}

static void test_one(void **state)
{
    (void)state;
    gdr_race_options o = effort("quick", 3);
    gdr_race race;
    for (int anchor = -1; anchor <= 0; anchor++) {
        bench *b = steps(1);
        b->noise = 0.01;
        run(b, &o, 1, anchor, -1, &race);
        assert_int_equal(race.winner, 0);
        assert_int_equal(race.anchor, 0);
        assert_string_equal(race.stopped, "single");
        assert_true(race.noise > 0 && race.racer[0].ratio == 1);
        assert_int_equal(race.final_rounds, o.final_rounds_min);
        gdr_race_free(&race);
        free(b);
    }
}

static void test_all_fail(void **state)
{
    (void)state;
    gdr_race_options o = effort("quick", 3);
    gdr_race race;
    for (int after = 1; after < 60; after += 3) {
        bench *b = steps(12);
        b->noise = 0.02;
        for (int i = 0; i < 12; i++)
            b->fail_after[i] = after;
        run(b, &o, 12, 3, -1, &race);
        int alive = 0;
        for (int i = 0; i < 12; i++)
            alive += race.racer[i].alive;
        /* who was dropped in time is alive; nobody who is alive wins */
        if (after < o.screen_rounds)
            assert_int_equal(alive, 0);
        if (strcmp(race.stopped, "failed") == 0)
            assert_int_equal(race.winner, -1);
        else
            assert_true(race.racer[race.winner].alive);
        assert_int_equal(b->quiet, 0);
        gdr_race_free(&race);
        free(b);
    }
}

static void test_bad_times(void **state)
{
    (void)state;
    static const double bad[] = {-1, INFINITY, -INFINITY, NAN};
    gdr_race_options o = effort("quick", 3);
    gdr_race race;
    bench *b = steps(8);
    for (int i = 0; i < 4; i++)
        b->lie[i] = bad[i];
    b->time[4] = 0;
    run(b, &o, 8, 6, -1, &race);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(race.racer[i].alive, 0);
        assert_int_equal(race.racer[i].rounds, 0);
        assert_true(race.racer[i].time_ns == 0);
        assert_true(isnan(race.racer[i].ratio));
    }
    assert_int_equal(race.winner, 5); /* 105 against 106: 0.9 % */
    gdr_race_free(&race);
    free(b);
}

/* The anchor may fail at any sample: the best that is left replaces it, and
 * the race says so. */
static void test_anchor_fails(void **state)
{
    (void)state;
    gdr_race_options o = effort("quick", 3);
    gdr_race race;
    for (int after = 1; after < 80; after++) {
        bench *b = steps(9);
        b->time[2] = 80;
        b->noise = 0.005;
        b->fail_after[5] = after;
        run(b, &o, 9, 5, -1, &race);
        if (race.racer[5].alive) {
            assert_int_equal(race.anchor, 5);
        } else {
            assert_int_not_equal(race.anchor, 5);
            assert_true(race.anchor >= 0);
            assert_true(race.racer[race.anchor].alive);
        }
        assert_int_equal(race.winner, 2);
        gdr_race_free(&race);
        free(b);
    }
}

/* Whatever the budget, there is an answer, and it is no worse than the
 * default; a gap this wide is seen after the screen. */
static void test_budget(void **state)
{
    (void)state;
    gdr_race_options o = effort("quick", 3);
    gdr_race race;
    for (int budget = 1; budget < 700; budget += budget < 100 ? 1 : 17) {
        bench *b = steps(20);
        b->time[11] = 60;
        b->noise = 0.01;
        b->budget = budget;
        run(b, &o, 20, 2, -1, &race);
        if (race.racer[2].rounds == 0)
            assert_int_equal(race.winner, -1);
        else
            assert_true(race.winner == 2 || race.winner == 11);
        if (budget >= 80)
            assert_int_equal(race.winner, 11);
        assert_int_equal(strcmp(race.stopped, "budget") == 0, b->refused);
        assert_int_equal(b->quiet, 0);
        gdr_race_free(&race);
        free(b);
    }
}

static void test_bad_arguments(void **state)
{
    (void)state;
    gdr_race_options o = effort("quick", 3);
    bench *b = steps(4);
    gdr_race race;
    static const int bad[][3] = {{0, 0, -1},  {-5, 0, -1}, {4, 4, -1},
                                 {4, -2, -1}, {4, 0, 4},   {4, 0, -2}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gdr_status s = gdr_race_run(&o, bad[i][0], bad[i][1], bad[i][2], NULL,
                                    sample, b, &race);
        assert_int_equal(s, GDR_ERR_ARG);
        assert_int_equal(race.winner, -1);
        gdr_race_free(&race);
    }
    gdr_race_free(NULL);
    assert_int_equal(b->samples, 0);
    free(b);
}

static void test_deterministic(void **state)
{
    (void)state;
    gdr_race race[3];
    bench *b[3];
    for (int i = 0; i < 3; i++) {
        gdr_race_options o = effort("measure", i < 2 ? 5 : 6);
        b[i] = steps(40);
        b[i]->noise = 0.02;
        run(b[i], &o, 40, 9, -1, &race[i]);
    }
    assert_int_equal(b[0]->samples, b[1]->samples);
    assert_memory_equal(b[0]->log, b[1]->log, sizeof b[0]->log);
    assert_memory_not_equal(b[0]->log, b[2]->log, sizeof b[0]->log);
    assert_int_equal(race[0].winner, race[1].winner);
    for (int i = 0; i < 40; i++)
        assert_true(race[0].racer[i].time_ns == race[1].racer[i].time_ns);
    for (int i = 0; i < 3; i++) {
        gdr_race_free(&race[i]);
        free(b[i]);
    }
}

/* Nothing to tell apart, and very many: it ends, and the default stands. */
static void test_many(void **state)
{
    (void)state;
    gdr_race_options o = effort("measure", 5);
    gdr_race race;
    bench *b = steps(500);
    b->noise = 0.02;
    for (int i = 0; i < 500; i++)
        b->time[i] = 100;
    run(b, &o, 500, 250, -1, &race);
    assert_int_equal(race.winner, 250);
    assert_true(b->samples < 500 * 30);
    gdr_race_free(&race);
    for (int i = 0; i < 500; i++) { /* and a needle in the hay */
        b->time[i] = i == 123 ? 90 : 100 + i % 50;
        b->runs[i] = 0;
    }
    run(b, &o, 500, 250, -1, &race);
    assert_int_equal(race.winner, 123);
    gdr_race_free(&race);
    free(b);
}

/* ---- simulation ---- */

typedef struct machine {
    const char *name;
    double noise, drift, spikes;
} machine;

/* 32 variants as a real space has them: a few near the best, most 1.1 to 3
 * times slower; the default is one of the better half. */
static void draw_space(bench *b, int n, uint64_t *random, int *anchor)
{
    for (int i = 0; i < n; i++)
        b->time[i] = 1e5 * exp(fabs(0.4 * normal(random)));
    *anchor = 0;
    for (int i = 1; i < n / 2; i++)
        if (b->time[i] < b->time[*anchor] * (0.9 + 0.2 * uniform(random)))
            *anchor = i;
}

typedef struct figures {
    double good;  /* share of the runs that picked within 1 % of the best */
    double worse; /* share whose winner is slower than the default */
    double loss50, loss95;     /* winner over best */
    double differ50, differ95; /* winners of two runs */
    double samples, seconds;
} figures;

static int race_once(bench *b, const gdr_race_options *o, int n, int anchor,
                     uint64_t seed)
{
    gdr_race race;
    gdr_race_options seeded = *o;
    seeded.seed = b->random = seed;
    b->samples = 0;
    memset(b->runs, 0, sizeof b->runs);
    run(b, &seeded, n, anchor, -1, &race);
    int winner = race.winner;
    gdr_race_free(&race);
    return winner;
}

static figures simulate(const char *level, const machine *m, int n, int runs)
{
    gdr_race_options o = effort(level, 0);
    figures f = {0};
    uint64_t random = 2024;
    bench *b = steps(0);
    double *loss = calloc(2 * (size_t)runs, sizeof *loss);
    double *differ = calloc((size_t)runs, sizeof *differ);
    assert_true(loss && differ);
    b->noise = m->noise;
    b->drift = m->drift;
    b->spikes = m->spikes;
    for (int i = 0; i < runs; i++) {
        int anchor, won[2];
        draw_space(b, n, &random, &anchor);
        double best = INFINITY;
        for (int j = 0; j < n; j++)
            best = fmin(best, b->time[j]);
        for (int k = 0; k < 2; k++) {
            won[k] = race_once(b, &o, n, anchor, gdr_order_random(&random));
            loss[2 * i + k] = b->time[won[k]] / best - 1;
            f.good += b->time[won[k]] <= 1.01 * best;
            f.worse += b->time[won[k]] > b->time[anchor];
            f.samples += (double)b->samples;
        }
        differ[i] = fabs(log(b->time[won[0]] / b->time[won[1]]));
    }
    gdr_stats_sort(loss, 2 * runs);
    gdr_stats_sort(differ, runs);
    f.loss50 = gdr_stats_quantile(loss, 2 * runs, 0.5);
    f.loss95 = gdr_stats_quantile(loss, 2 * runs, 0.95);
    f.differ50 = gdr_stats_quantile(differ, runs, 0.5);
    f.differ95 = gdr_stats_quantile(differ, runs, 0.95);
    f.good /= 2 * runs;
    f.worse /= 2 * runs;
    f.samples /= 2 * runs;
    free(loss);
    free(differ);
    free(b);
    return f;
}

/* Means over many seeded spaces; what a user is promised is asserted where the
 * machine is fit to measure on, and printed everywhere. */
static void test_simulation(void **state)
{
    (void)state;
    static const machine machines[] = {{"steady", 0.005, 0.01, 0.5},
                                       {"usual", 0.01, 0.05, 1},
                                       {"noisy", 0.03, 0.10, 3},
                                       {"awful", 0.08, 0.20, 10}};
    static const char *const levels[] = {"quick", "measure", "exhaustive"};
    int runs = getenv("GDR_THOROUGH") ? 2000 : 60;
    print_message("effort     machine  within 1 %%  worse than default  "
                  "loss 50/95 %%     two runs differ 50/95 %%  samples\n");
    for (int l = 0; l < 3; l++)
        for (int m = 0; m < 4; m++) {
            figures f = simulate(levels[l], &machines[m], 32, runs);
            print_message("%-10s %-8s %9.3f  %18.4f  %6.2f%% %6.2f%%   "
                          "%10.2f%% %10.2f%%   %7.0f\n",
                          levels[l], machines[m].name, f.good, f.worse,
                          100 * f.loss50, 100 * f.loss95, 100 * f.differ50,
                          100 * f.differ95, f.samples);
            assert_true(f.worse <= 0.01);
            if (m < 2 && l > 0) {
                assert_true(f.good >= 0.9);
                assert_true(f.differ50 <= 0.01 && f.differ95 <= 0.03);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_efforts),
                                       cmocka_unit_test(test_balanced_order),
                                       cmocka_unit_test(test_clear_winner),
                                       cmocka_unit_test(test_anchor_everywhere),
                                       cmocka_unit_test(test_default_stands),
                                       cmocka_unit_test(test_equals),
                                       cmocka_unit_test(test_one),
                                       cmocka_unit_test(test_all_fail),
                                       cmocka_unit_test(test_bad_times),
                                       cmocka_unit_test(test_anchor_fails),
                                       cmocka_unit_test(test_budget),
                                       cmocka_unit_test(test_bad_arguments),
                                       cmocka_unit_test(test_deterministic),
                                       cmocka_unit_test(test_many),
                                       cmocka_unit_test(test_simulation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
