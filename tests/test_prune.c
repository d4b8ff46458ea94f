/* Which variants a bundle keeps, and what its places then cost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/bundle.h"
#include "../tuner/hash.h"
#include "store_kit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Times of variants a, b, c at three places; the winner is the fastest, but for
 * the last place, where a and b are equal within noise and b won. */
enum { PLACES = 3, VARIANTS = 3 };
static const double times[PLACES][VARIANTS] = {
    {100, 103, 150}, {100, 130, 104}, {100, 101, 300}};
static const int winner[PLACES] = {0, 0, 1};

static void put_variant(gdr_store *st, int i, char hash[GDR_HASH_TEXT])
{
    char name[2] = {(char)('a' + i), 0}, code[GDR_HASH_TEXT];
    gdr_variant_row v = {hash, KIT_STATICS, "cpu/test", name, name, 1};
    gdr_step_row s = {.variant = hash,
                      .stamp = "s",
                      .entry = "k",
                      .grid_x = "1",
                      .grid_y = "1",
                      .grid_z = "1",
                      .block = "1",
                      .smem = "0",
                      .workspace = "0",
                      .isa = "",
                      .hash = code,
                      .code = name,
                      .bytes = 1};

    gdr_hash_bytes(name, 1, hash);
    gdr_hash_bytes(name, 1, code);
    assert_ok(st, gdr_store_put_variant(st, &v));
    assert_ok(st, gdr_store_put_step(st, &s));
}

static void make(const char *db)
{
    gdr_store *st = kit_open(db, GDR_STORE_WRITE);
    const gdr_device_row device = {"here", "cpu", "toy", "", "toy"};
    gdr_run_row run = {.version = "0",
                       .compiler = "cc",
                       .protocol = "p",
                       .command = "c",
                       .host = "h",
                       .effort = "quick"};
    char hash[VARIANTS][GDR_HASH_TEXT], problem[GDR_PROBLEM_TEXT];
    int64_t id;

    assert_ok(st, gdr_store_put_device(st, &device, &run.device));
    assert_ok(st, gdr_store_begin_run(st, &run, &id));
    for (int i = 0; i < VARIANTS; i++)
        put_variant(st, i, hash[i]);
    for (int p = 0; p < PLACES; p++) {
        gdr_choice_row c = {.run = id,
                            .device = run.device,
                            .problem = problem,
                            .stamp = "space",
                            .variant = hash[winner[p]],
                            .variant_stamp = "s",
                            .fallback = hash[0],
                            .fallback_stamp = "s",
                            .time_ns = times[p][winner[p]],
                            .gain = 1,
                            .gain_lo = 1,
                            .gain_hi = 1};
        snprintf(problem, sizeof problem, KIT_STATICS " / b%dt1hk1hv1", p + 1);
        for (int i = 0; i < VARIANTS; i++) {
            const gdr_trial_row t = {.run = id,
                                     .device = run.device,
                                     .problem = problem,
                                     .variant = hash[i],
                                     .stamp = "s",
                                     .outcome = "ok",
                                     .stage = 2,
                                     .error_o = 0,
                                     .error_s = 0,
                                     .time_ns = times[p][i]};
            assert_ok(st, gdr_store_put_trial(st, &t));
        }
        assert_ok(st, gdr_store_put_choice(st, &c));
    }
    gdr_store_close(st);
}

typedef struct seen {
    char config[PLACES + 1];
    double regret[PLACES];
    int n;
} seen;

static int see(void *ctx, const gdr_winner_row *w)
{
    seen *s = ctx;

    s->config[s->n] = w->variant.config[0];
    s->regret[s->n++] = w->choice.regret;
    return 0;
}

static seen bundle(const kit_place *place, double regret, int kernels)
{
    const gdr_bundle_options o = {
        .filter = {.force = 1, .max_regret = regret, .max_kernels = kernels}};
    gdr_bundle_sum sum;
    char path[256], msg[1024] = "";
    gdr_store *st;
    seen s = {.n = 0};

    snprintf(path, sizeof path, "%s.gdrb", place->db);
    if (gdr_bundle_build(place->db, &o, path, &sum, msg, sizeof msg))
        fail_msg("%s", msg);
    st = kit_open(path, GDR_STORE_READ);
    assert_ok(st, gdr_store_each_winner(st, see, &s));
    gdr_store_close(st);
    unlink(path);
    assert_int_equal(s.n, PLACES);
    return s;
}

static void keeps_winners_unless_told(void **state)
{
    const kit_place *place = *state;
    seen s;

    make(place->db);
    s = bundle(place, 0, 0);
    assert_string_equal(s.config, "aab");
    for (int i = 0; i < PLACES; i++)
        assert_float_equal(s.regret[i], 0, 0);
}

/* a wins twice and is as fast as b at the third place. */
static void one_that_is_as_fast_serves(void **state)
{
    const kit_place *place = *state;
    seen s;

    make(place->db);
    s = bundle(place, 0.02, 0);
    assert_string_equal(s.config, "aaa");
    assert_float_equal(s.regret[2], 0, 1e-12); /* 100 ns, b had 101 */
}

static void one_kernel_costs_what_it_costs(void **state)
{
    const kit_place *place = *state;
    seen s;

    make(place->db);
    s = bundle(place, 0, 1);
    assert_string_equal(s.config, "aaa");
}

/* Without a at the last two places b serves all at 30 % and less, or b and c
 * together at 4 % and less. */
static void a_tight_bound_keeps_more(void **state)
{
    const kit_place *place = *state;
    seen s;

    make(place->db);
    kit_vandalise(place->db,
                  "DELETE FROM trial WHERE variant = (SELECT hash FROM variant"
                  " WHERE config = 'a') AND problem NOT LIKE '% / b1t1%'");
    s = bundle(place, 0.35, 0);
    assert_string_equal(s.config, "bbb");
    assert_float_equal(s.regret[0], 0.03, 1e-9);
    assert_float_equal(s.regret[1], 0.3, 1e-9);
    assert_float_equal(s.regret[2], 0, 0);
    s = bundle(place, 0.1, 0);
    assert_string_equal(s.config, "bcb");
    assert_float_equal(s.regret[1], 0.04, 1e-9);
}

#define placed(test)                                                           \
    cmocka_unit_test_setup_teardown(test, kit_place_make_fast, kit_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        placed(keeps_winners_unless_told),
        placed(one_that_is_as_fast_serves),
        placed(one_kernel_costs_what_it_costs),
        placed(a_tight_bound_keeps_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
