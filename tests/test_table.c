/* The matching policy: every rung with made-up rows, the table against a search
 * over all rows, hostile rows. A failure names the seed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../runtime/set.h"
#include "rows_fixture.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static gdr_rows *new_rows(void)
{
    gdr_rows *rows;

    assert_int_equal(gdr_rows_open(&rows), GDR_OK);
    return rows;
}

static void put(gdr_rows *rows, const gdr_row *row)
{
    uint32_t before = rows->n_entries;

    assert_int_equal(gdr_rows_put(rows, row), GDR_OK);
    if (rows->n_entries != before + 1)
        fail_msg("skipped: %s", rows->note[rows->n_skipped - 1]);
}

static void put_tuned(gdr_rows *rows, const char *extents, const char *variant)
{
    char problem[GDR_PROBLEM_TEXT] = "";
    gdr_row row = fixture_row(problem, 0, variant);

    snprintf(problem, sizeof problem, FIXTURE_STATICS " / %s", extents);
    put(rows, &row);
}

static const char *problem_of(const gdr_plan *plan)
{
    return plan->recipe->entry[plan->index]->text;
}

/* Expects the plan for the extents: its variant by way of `config`. */
static void expect(const gdr_set *set, gdr_extents x, gdr_match match,
                   const char *problem)
{
    gdr_plan plan;
    gdr_plan_info info = {.size = sizeof info};

    assert_int_equal(gdr_set_find(set, &x, &plan), GDR_OK);
    assert_int_equal(gdr_plan_describe(&plan, &x, &info), GDR_OK);
    if (info.match != match || !strstr(info.problem, problem))
        fail_msg("b%d t%d hk%d hv%d: %s %s, not %s %s", (int)x.B, (int)x.T,
                 (int)x.Hk, (int)x.Hv, gdr_match_name(info.match), info.problem,
                 gdr_match_name(match), problem);
}

/* Options that accept matches down to this one. */
#define WORST(m)                                                               \
    (&(const gdr_select_options){.size = sizeof(gdr_select_options),           \
                                 .worst = (m)})

static gdr_set *open_set(const gdr_rows *rows, fixture_device *d,
                         gdr_match worst)
{
    gdr_static s = fixture_static();
    char msg[1024] = "";
    gdr_set *set;

    if (gdr_set_open(rows, &fixture_backend, d, &s, WORST(worst), &set, msg,
                     sizeof msg))
        fail_msg("%s", msg);
    return set;
}

/* ---- rungs ---- */

static void test_exact_near_edge(void **state)
{
    const gdr_extents most = {INT64_MAX, INT64_MAX, 1, INT64_MAX};
    gdr_plan_info info = {.size = sizeof info};
    gdr_plan plan;
    fixture_device d;
    gdr_rows *rows = new_rows();
    gdr_set *set;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    put_tuned(rows, "b1t1hk4hv8", "v1");
    put_tuned(rows, "b64t1hk4hv8", "v2");
    put_tuned(rows, "b1t4hk4hv8", "v1");
    put_tuned(rows, "b64t4hk4hv8", "v3");
    fixture_put_steps(rows);
    set = open_set(rows, &d, GDR_MATCH_EDGE);
    assert_int_equal(d.loads, 3); /* v1 once */
    expect(set, (gdr_extents){64, 4, 4, 8}, GDR_MATCH_EXACT, "b64t4hk4hv8");
    expect(set, (gdr_extents){1, 1, 4, 8}, GDR_MATCH_EXACT, "b1t1hk4hv8");
    expect(set, (gdr_extents){32, 4, 4, 8}, GDR_MATCH_NEAR, "b64t4hk4hv8");
    expect(set, (gdr_extents){2, 3, 4, 8}, GDR_MATCH_NEAR, "b1t4hk4hv8");
    expect(set, (gdr_extents){2, 1, 4, 4}, GDR_MATCH_NEAR, "b1t1hk4hv8");
    expect(set, (gdr_extents){1, 5, 4, 8}, GDR_MATCH_EDGE, "b1t4hk4hv8");
    expect(set, (gdr_extents){4096, 1, 4, 8}, GDR_MATCH_EDGE, "b64t1hk4hv8");
    expect(set, (gdr_extents){0, 0, 4, 8}, GDR_MATCH_EDGE, "b1t1hk4hv8");
    /* Found, though no workspace of that size can be named. */
    assert_int_equal(gdr_set_find(set, &most, &plan), GDR_OK);
    assert_int_equal(plan.match, GDR_MATCH_EDGE);
    assert_true(strstr(problem_of(&plan), "b64t4hk4hv8") != NULL);
    assert_int_equal(gdr_plan_describe(&plan, &most, &info), GDR_ERR_ARG);
    gdr_set_close(set);
    assert_int_equal(d.loaded, 0);
    gdr_rows_close(rows);
}

/* Same amount of work: the same ratio of heads first, then order. */
static void test_heads_break_ties(void **state)
{
    fixture_device d;
    gdr_rows *rows = new_rows();
    gdr_set *set;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    put_tuned(rows, "b8t1hk16hv16", "v1");
    put_tuned(rows, "b4t1hk16hv32", "v2");
    put_tuned(rows, "b8t1hk4hv16", "v3");
    fixture_put_steps(rows);
    set = open_set(rows, &d, GDR_MATCH_EDGE);
    expect(set, (gdr_extents){9, 1, 16, 16}, GDR_MATCH_EDGE, "b8t1hk16hv16");
    expect(set, (gdr_extents){5, 1, 16, 32}, GDR_MATCH_EDGE, "b4t1hk16hv32");
    expect(set, (gdr_extents){8, 1, 2, 4}, GDR_MATCH_EDGE, "b4t1hk16hv32");
    expect(set, (gdr_extents){8, 1, 2, 8}, GDR_MATCH_EDGE, "b8t1hk4hv16");
    expect(set, (gdr_extents){8, 1, 3, 3}, GDR_MATCH_EDGE, "b8t1hk16hv16");
    expect(set, (gdr_extents){8, 1, 1, 8}, GDR_MATCH_EDGE, "b4t1hk16hv32");
    expect(set, (gdr_extents){1, 1, 1, 300}, GDR_MATCH_EDGE, "b4t1hk16hv32");
    gdr_set_close(set);
    gdr_rows_close(rows);
}

/* Extents that share a half of their key stay apart in the hash map. */
static void test_exact_heads(void **state)
{
    enum { TUNED = 40, ASKED = 600, RATIO = 6 };
    fixture_device d;
    gdr_rows *rows = new_rows();
    gdr_set *set;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    for (int i = 1; i <= TUNED; i++)
        for (int j = 1; j <= RATIO; j++) {
            char text[64];

            snprintf(text, sizeof text, "b1t1hk%dhv%d", i, i * j);
            put_tuned(rows, text, "v");
        }
    fixture_put_steps(rows);
    set = open_set(rows, &d, GDR_MATCH_EDGE);
    for (int i = 1; i <= ASKED; i++)
        for (int j = 1; j <= RATIO; j++) {
            gdr_plan plan;
            const gdr_extents x = {1, 1, i, i * j};

            assert_int_equal(gdr_set_find(set, &x, &plan), GDR_OK);
            assert_int_equal(plan.match == GDR_MATCH_EXACT, i <= TUNED);
        }
    gdr_set_close(set);
    gdr_rows_close(rows);
}

static void put_on(gdr_rows *rows, const char *fingerprint, const char *isa,
                   const char *extents, const char *variant)
{
    char problem[GDR_PROBLEM_TEXT] = "";
    gdr_row row = fixture_row(problem, 0, variant);

    row.origin.fingerprint = fingerprint;
    row.origin.isa = isa;
    snprintf(problem, sizeof problem, FIXTURE_STATICS " / %s", extents);
    put(rows, &row);
}

static const char *config_of(const gdr_set *set, gdr_extents x)
{
    gdr_plan plan;

    assert_int_equal(gdr_set_find(set, &x, &plan), GDR_OK);
    return plan.recipe->entry[plan.index]->config;
}

/* Siblings serve when the device has nothing of its own; of equal extents the
 * likest device's. Another architecture never serves. */
static void test_sibling(void **state)
{
    static const struct {
        const char *fingerprint, *isa, *arch, *config;
    } from[] = {{"z", "a", "toy", "less"},
                {"y", "a+b", "toy", "same"},
                {"x", "a+b+c", "toy", "more"},
                {"w", "a+b", "other", "alien"}};
    fixture_device d;
    gdr_rows *rows = new_rows();
    gdr_set *set;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    for (int i = 0; i < 4; i++) {
        gdr_row row =
            fixture_row(FIXTURE_STATICS " / b8t1hk4hv8", 0, from[i].config);

        row.origin =
            (gdr_origin){from[i].fingerprint, "toy", from[i].arch, from[i].isa};
        row.config = from[i].config;
        put(rows, &row);
    }
    put_on(rows, "z", "a", "b64t1hk4hv8", "far");
    fixture_put_steps(rows);
    set = open_set(rows, &d, GDR_MATCH_SIBLING);
    expect(set, (gdr_extents){8, 1, 4, 8}, GDR_MATCH_SIBLING, "b8t1hk4hv8");
    expect(set, (gdr_extents){900, 1, 4, 8}, GDR_MATCH_SIBLING, "b64t1hk4hv8");
    assert_string_equal(config_of(set, (gdr_extents){8, 1, 4, 8}), "same");
    gdr_set_close(set);
    put_tuned(rows, "b1t1hk4hv8", "own");
    fixture_put_steps(rows);
    set = open_set(rows, &d, GDR_MATCH_SIBLING);
    expect(set, (gdr_extents){8, 1, 4, 8}, GDR_MATCH_EDGE, "b1t1hk4hv8");
    gdr_set_close(set);
    gdr_rows_close(rows);
}

static void no_plan(const gdr_rows *rows, fixture_device *d, gdr_match worst,
                    const char *why)
{
    gdr_static s = fixture_static();
    char msg[1024] = "";
    gdr_set *set;

    assert_int_equal(gdr_set_open(rows, &fixture_backend, d, &s, WORST(worst),
                                  &set, msg, sizeof msg),
                     GDR_ERR_NO_PLAN);
    assert_null(set);
    if (!strstr(msg, why))
        fail_msg("no \"%s\" in: %s", why, msg);
    if (!strstr(msg, "gdr-tune --device toy --only '" FIXTURE_STATICS
                     " / b8t1hk16hv32'"))
        fail_msg("no remedy in: %s", msg);
    assert_int_equal(d->loaded, 0);
}

/* Code for an ISA that the device lacks is not for it, whoever tuned it. */
static void test_isa(void **state)
{
    const gdr_step_text text = {"kern", "b", "1", "1", "1", "0", "0", NULL};
    fixture_device d;
    gdr_rows *rows = new_rows();

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    put_tuned(rows, "b8t1hk4hv8", "v1");
    put_on(rows, "there", "a+b+c", "b8t1hk4hv8", "v2");
    assert_int_equal(gdr_rows_put_step(rows, 0, 0, &text, "a+c", "x", 1),
                     GDR_OK);
    no_plan(rows, &d, GDR_MATCH_DEFAULT, "needs a+c");
    assert_int_equal(gdr_rows_put_step(rows, 1, 0, &text, "a", "x", 1), GDR_OK);
    gdr_set_close(open_set(rows, &d, GDR_MATCH_SIBLING));
    no_plan(rows, &d, GDR_MATCH_EDGE, "needs a+c");
    gdr_rows_close(rows);
}

static void put_default(gdr_rows *rows, const char *fingerprint,
                        int64_t max_work, const char *config)
{
    gdr_row row = fixture_row(FIXTURE_STATICS, max_work, config);

    row.origin.fingerprint = fingerprint;
    row.config = config;
    put(rows, &row);
}

/* A default as PTX serves where no other does: the newest that loads. */
static void test_ptx(void **state)
{
    static const char *const languages[] = {"compute_75", "compute_90",
                                            "compute_100", "compute_80"};
    const gdr_step_text text = {"kern", "b", "1", "1", "1", "0", "0", NULL};
    fixture_device d;
    gdr_rows *rows = new_rows();
    gdr_set *set;

    (void)state;
    fixture_device_init(&d, "here", "a+b+compute_75+compute_80+compute_90");
    for (uint32_t i = 0; i < 4; i++) {
        gdr_row row = fixture_row(FIXTURE_STATICS, 100, languages[i]);
        row.origin = (gdr_origin){languages[i], "toy", "ptx", languages[i]};
        row.config = languages[i];
        put(rows, &row);
        assert_int_equal(
            gdr_rows_put_step(rows, i, 0, &text, languages[i], "x", 1), GDR_OK);
    }
    no_plan(rows, &d, GDR_MATCH_DEFAULT, "of kind ptx");
    set = open_set(rows, &d, GDR_MATCH_PTX);
    expect(set, (gdr_extents){1, 1, 1, 1}, GDR_MATCH_PTX, FIXTURE_STATICS);
    expect(set, (gdr_extents){99, 99, 1, 1}, GDR_MATCH_PTX, FIXTURE_STATICS);
    assert_string_equal(config_of(set, (gdr_extents){1, 1, 1, 1}),
                        "compute_90");
    gdr_set_close(set);
    put_default(rows, "there", 50, "compiled");
    fixture_put_steps(rows);
    set = open_set(rows, &d, GDR_MATCH_GENERIC);
    expect(set, (gdr_extents){1, 1, 1, 1}, GDR_MATCH_DEFAULT, FIXTURE_STATICS);
    gdr_set_close(set);
    gdr_rows_close(rows);
}

/* Of another kind of device it is nothing, and tuned it cannot be. */
static void test_ptx_of_others(void **state)
{
    fixture_device d;
    gdr_rows *rows = new_rows();
    gdr_row row = fixture_row(FIXTURE_STATICS, 100, "v1");

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    row.origin = (gdr_origin){"p", "other", "ptx", "a"};
    put(rows, &row);
    row = fixture_row(FIXTURE_STATICS " / b8t1hk4hv8", 0, "v2");
    row.origin = (gdr_origin){"q", "toy", "ptx", "a"};
    put(rows, &row);
    fixture_put_steps(rows);
    no_plan(rows, &d, GDR_MATCH_PTX, "made for other ptx");
    gdr_rows_close(rows);
}

static void test_default(void **state)
{
    fixture_device d;
    gdr_rows *rows = new_rows();
    gdr_set *set;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    put_default(rows, "there", 50, "foreign");
    put_default(rows, "here", 1000, "large");
    put_default(rows, "here", 100, "small");
    fixture_put_steps(rows);
    no_plan(rows, &d, GDR_MATCH_SIBLING, "of kind default");
    set = open_set(rows, &d, GDR_MATCH_DEFAULT);
    expect(set, (gdr_extents){1, 1, 1, 1}, GDR_MATCH_DEFAULT, FIXTURE_STATICS);
    assert_string_equal(config_of(set, (gdr_extents){0, 1, 1, 1}), "small");
    assert_string_equal(config_of(set, (gdr_extents){10, 1, 1, 10}), "small");
    assert_string_equal(config_of(set, (gdr_extents){101, 1, 1, 1}), "large");
    assert_string_equal(config_of(set, (gdr_extents){5, 300, 1, 1}), "large");
    assert_string_equal(
        config_of(set, (gdr_extents){INT64_MAX, INT64_MAX, 1, 1}), "large");
    gdr_set_close(set);
    gdr_rows_close(rows);
}

/* Many thresholds, against a walk over all of them. */
static void test_default_search(void **state)
{
    int64_t max_work[500];
    fixture_device d;
    uint64_t seed = 3;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    for (int n = 1; n <= 500; n += n < 9 ? 1 : 70) {
        gdr_rows *rows = new_rows();
        gdr_set *set;

        for (int i = 0; i < n; i++) {
            char config[32];

            max_work[i] = 1 + (int64_t)(next(&seed) >> next(&seed) % 31);
            snprintf(config, sizeof config, "%" PRId64, max_work[i]);
            put_default(rows, "here", max_work[i], config);
        }
        fixture_put_steps(rows);
        set = open_set(rows, &d, GDR_MATCH_DEFAULT);
        for (int i = 0; i < 500; i++) {
            const gdr_extents x = {(int64_t)(next(&seed) >> next(&seed) % 31),
                                   1, 1, 1};
            int64_t fits = INT64_MAX, most = 0, got;

            for (int j = 0; j < n; j++) {
                if (max_work[j] >= x.B && max_work[j] < fits)
                    fits = max_work[j];
                most = max_work[j] > most ? max_work[j] : most;
            }
            got = strtoll(config_of(set, x), NULL, 10);
            if (got != (fits < INT64_MAX ? fits : most))
                fail_msg("%d thresholds, work %" PRId64 ": %" PRId64, n, x.B,
                         got);
        }
        gdr_set_close(set);
        gdr_rows_close(rows);
    }
}

/* ---- limits ---- */

static void test_worst(void **state)
{
    const gdr_extents near = {4, 1, 4, 8}, edge = {1, 9, 4, 8};
    fixture_device d;
    gdr_rows *rows = new_rows();
    gdr_set *set;
    gdr_plan plan;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    no_plan(rows, &d, GDR_MATCH_GENERIC, "no plan of match generic");
    put_tuned(rows, "b1t1hk4hv8", "v1");
    put_tuned(rows, "b64t1hk4hv8", "v2");
    fixture_put_steps(rows);
    set = open_set(rows, &d, GDR_MATCH_EXACT);
    expect(set, (gdr_extents){64, 1, 4, 8}, GDR_MATCH_EXACT, "b64");
    assert_int_equal(gdr_set_find(set, &near, &plan), GDR_ERR_NO_PLAN);
    gdr_set_close(set);
    set = open_set(rows, &d, GDR_MATCH_NEAR);
    expect(set, near, GDR_MATCH_NEAR, "b1t1");
    assert_int_equal(gdr_set_find(set, &edge, &plan), GDR_ERR_NO_PLAN);
    gdr_set_close(set);
    gdr_rows_close(rows);
}

static void test_arguments(void **state)
{
    static const gdr_extents bad[] = {{-1, 1, 1, 1},
                                      {1, -1, 1, 1},
                                      {1, 1, -1, 1},
                                      {1, 1, 1, -1},
                                      {1, 1, 0, 1},
                                      {1, 1, 1, 0},
                                      {1, 1, 2, 3},
                                      {1, 1, 2, 1},
                                      {1, 1, INT64_MIN, INT64_MIN},
                                      {1, 1, INT64_MAX - 1, INT64_MAX}};
    fixture_device d;
    gdr_rows *rows = new_rows();
    gdr_static s = fixture_static();
    char msg[256];
    gdr_plan plan;
    gdr_set *set;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    put_tuned(rows, "b1t1hk4hv8", "v1");
    fixture_put_steps(rows);
    set = open_set(rows, &d, GDR_MATCH_GENERIC);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(gdr_set_find(set, &bad[i], &plan), GDR_ERR_ARG);
    gdr_set_close(set);
    assert_int_equal(gdr_set_open(rows, &fixture_backend, &d, NULL,
                                  WORST(GDR_MATCH_EDGE), &set, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_int_equal(gdr_set_open(rows, &fixture_backend, &d, &s,
                                  WORST((gdr_match)99), &set, msg, sizeof msg),
                     GDR_ERR_ARG);
    s.K = 7;
    assert_int_equal(gdr_set_open(rows, &fixture_backend, &d, &s,
                                  WORST(GDR_MATCH_EDGE), &set, msg, sizeof msg),
                     GDR_ERR_ARG);
    gdr_rows_close(rows);
}

/* ---- code that does not load ---- */

static void test_broken_code(void **state)
{
    const gdr_step_text text = {"kern", "b", "1", "1", "1", "0", "0", NULL};
    fixture_device d;
    gdr_rows *rows = new_rows();
    gdr_set *set;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    put_tuned(rows, "b1t1hk4hv8", "broken");
    put_tuned(rows, "b2t1hk4hv8", "broken");
    assert_int_equal(gdr_rows_put_step(rows, 0, 0, &text, "a", "good", 4),
                     GDR_OK);
    assert_int_equal(gdr_rows_put_step(rows, 0, 1, &text, "a", "broken", 6),
                     GDR_OK);
    no_plan(rows, &d, GDR_MATCH_GENERIC, "does not load: this system forbids");
    put_on(rows, "there", "a+b", "b8t1hk4hv8", "v2");
    fixture_put_steps(rows);
    set = open_set(rows, &d, GDR_MATCH_GENERIC);
    expect(set, (gdr_extents){1, 1, 4, 8}, GDR_MATCH_SIBLING, "b8");
    gdr_set_close(set);
    put_tuned(rows, "b64t1hk4hv8", "v3");
    fixture_put_steps(rows);
    set = open_set(rows, &d, GDR_MATCH_GENERIC);
    expect(set, (gdr_extents){1, 1, 4, 8}, GDR_MATCH_EDGE, "b64");
    gdr_set_close(set);
    assert_int_equal(d.loaded, 0);
    gdr_rows_close(rows);
}

/* ---- the table against the policy spelled out ---- */

/* The rules of table.h and nearest.h for rows of one device, from scratch. */
static long eighths(int64_t x)
{
    long e = 0;

    for (; x >> (e + 1); e++)
        ;
    return 8 * e + (e >= 3 ? x >> (e - 3) & 7 : x << (3 - e) & 7);
}

static void keys_of(const gdr_extents *x, const gdr_extents *y, int64_t *key)
{
    long dw = labs(eighths(x->B * x->Hv) - eighths(y->B * y->Hv));
    long dt = labs(eighths(x->T) - eighths(y->T));
    const int64_t keys[] = {
        memcmp(x, y, sizeof *x) != 0,
        dw + 2 * dt,
        dt,
        eighths(y->T),
        eighths(y->B * y->Hv),
        x->Hv / x->Hk != y->Hv / y->Hk,
        y->B,
        y->T,
        y->Hk,
        y->Hv,
    };

    memcpy(key, keys, sizeof keys);
}

static uint32_t search(const gdr_extents *x, const gdr_rows *rows)
{
    int64_t best[10], key[10];
    uint32_t at = 0;

    keys_of(x, &rows->entry[0].problem.x, best);
    for (uint32_t i = 1; i < rows->n_entries; i++) {
        keys_of(x, &rows->entry[i].problem.x, key);
        for (int k = 0; k < 10; k++)
            if (key[k] != best[k]) {
                if (key[k] < best[k]) {
                    memcpy(best, key, sizeof best);
                    at = i;
                }
                break;
            }
    }
    return at;
}

static gdr_extents random_extents(uint64_t *seed)
{
    int64_t Hk = 1LL << next(seed) % 5, ratio = 1 + (int64_t)next(seed) % 4;

    return (gdr_extents){1 + (int64_t)(next(seed) % 4096 >> next(seed) % 12),
                         1 + (int64_t)(next(seed) % 64 >> next(seed) % 7), Hk,
                         Hk * ratio};
}

/* The first contender is the chosen one. */
static int first_chosen(void *ctx, const gdr_contender *c)
{
    *(const gdr_entry **)ctx = c->chosen ? c->entry : NULL;
    return 1;
}

static void compare_search(int n, uint64_t seed)
{
    uint64_t start = seed;
    fixture_device d;
    gdr_rows *rows = new_rows();
    gdr_set *set;

    fixture_device_init(&d, "here", "a+b");
    for (int i = 0; i < n; i++) {
        gdr_extents x = random_extents(&seed);
        char text[64];

        snprintf(text, sizeof text, "b%dt%dhk%dhv%d", (int)x.B, (int)x.T,
                 (int)x.Hk, (int)x.Hv);
        put_tuned(rows, text, i % 2 ? "v1" : "v2");
    }
    fixture_put_steps(rows);
    set = open_set(rows, &d, GDR_MATCH_EDGE);
    for (int i = 0; i < 500; i++) {
        gdr_extents x = random_extents(&seed);
        const char *want = rows->entry[search(&x, rows)].text;
        const gdr_entry *chosen = NULL;
        gdr_plan plan;

        assert_int_equal(gdr_set_find(set, &x, &plan), GDR_OK);
        if (strcmp(problem_of(&plan), want))
            fail_msg("compare_search(%d, %llu), query %d: %s, not %s", n,
                     (unsigned long long)start, i, problem_of(&plan), want);
        if (i % 50)
            continue;
        assert_int_equal(gdr_set_explain(set, &x, first_chosen, &chosen),
                         GDR_OK);
        assert_non_null(chosen);
        assert_string_equal(chosen->text, want);
    }
    gdr_set_close(set);
    gdr_rows_close(rows);
}

static void test_search(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 30; seed++) {
        compare_search(1, seed);
        compare_search(5, seed);
        compare_search(60, seed);
    }
    compare_search(2000, 1);
}

/* The order of the rows does not matter. */
static void test_order_of_rows(void **state)
{
    fixture_device d;
    gdr_rows *rows[2] = {new_rows(), new_rows()};
    gdr_set *set[2];
    char text[100][64];
    uint64_t seed = 5;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    for (int i = 0; i < 100; i++) {
        gdr_extents x = random_extents(&seed);

        snprintf(text[i], sizeof text[i], "b%dt%dhk%dhv%d", (int)x.B, (int)x.T,
                 (int)x.Hk, (int)x.Hv);
    }
    for (int i = 0; i < 100; i++) {
        /* two siblings, so that equal extents meet */
        put_on(rows[0], i % 2 ? "p" : "q", "a", text[i], "v");
        put_on(rows[1], i % 2 ? "q" : "p", "a", text[99 - i], "v");
    }
    for (int i = 0; i < 2; i++) {
        fixture_put_steps(rows[i]);
        set[i] = open_set(rows[i], &d, GDR_MATCH_SIBLING);
    }
    for (int i = 0; i < 2000; i++) {
        gdr_extents x = random_extents(&seed);
        gdr_plan plan[2];

        for (int j = 0; j < 2; j++)
            assert_int_equal(gdr_set_find(set[j], &x, &plan[j]), GDR_OK);
        assert_string_equal(problem_of(&plan[0]), problem_of(&plan[1]));
        assert_int_equal(plan[0].match, plan[1].match);
    }
    for (int i = 0; i < 2; i++) {
        gdr_set_close(set[i]);
        gdr_rows_close(rows[i]);
    }
}

/* ---- explain ---- */

typedef struct listing {
    char text[2048];
} listing;

static int list(void *ctx, const gdr_contender *c)
{
    listing *l = ctx;
    size_t used = strlen(l->text);

    snprintf(l->text + used, sizeof l->text - used, "%s %s %.2f %d %s\n",
             gdr_match_name(c->match), c->entry ? c->entry->code->variant : "-",
             c->octaves, c->chosen, c->why);
    return 0;
}

static void test_explain(void **state)
{
    fixture_device d;
    gdr_rows *rows = new_rows();
    const gdr_extents x = {8, 2, 4, 8};
    listing got = {""};
    gdr_set *set;
    gdr_row alien = fixture_row(FIXTURE_STATICS " / b8t2hk4hv8", 0, "alien");

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    put_default(rows, "here", 100, "default");
    put_tuned(rows, "b1t1hk4hv8", "far");
    put_tuned(rows, "b64t4hk4hv8", "farther");
    put_tuned(rows, "b16t2hk4hv8", "near");
    put_on(rows, "there", "a", "b8t2hk4hv8", "sibling");
    alien.origin.fingerprint = "alien";
    alien.origin.arch = "vax";
    put(rows, &alien);
    fixture_put_steps(rows);
    set = open_set(rows, &d, GDR_MATCH_SIBLING);
    assert_int_equal(gdr_set_explain(set, &x, list, &got), GDR_OK);
    assert_string_equal(
        got.text,
        "near near 1.00 1 chosen\n"
        "near far 5.00 0 another is nearer, or has likelier heads\n"
        "near farther 5.00 0 another is nearer, or has likelier heads\n"
        "sibling sibling 0.00 0 a better kind of match serves\n"
        "default default 0.00 0 a worse match than the caller accepts\n"
        "generic - 0.00 0 a better kind of match serves\n"
        "sibling alien 0.00 0 made for toy vax\n");
    gdr_set_close(set);
    gdr_rows_close(rows);
}

/* ---- hostile rows ---- */

/* Everything that a row can lack or get wrong is skipped with a note. */
static void test_hostile_rows(void **state)
{
    static const char *const why[] = {
        "fingerprint", "kind",    "arch",   "isa",       "no problem",
        "variant",     "stamp",   "kernel", "config",    "reduction",
        "parse",       "extents", "work",   "ABI 0",     "ABI 2",
        "time_ns",     "time_ns", "op is",  "a default", "time_ns"};
    enum { N = sizeof why / sizeof *why };
    const char *const problem = FIXTURE_STATICS " / b1t1hk1hv1";
    gdr_rows *rows = new_rows();
    gdr_row bad[N];

    (void)state;
    for (int i = 0; i < N; i++)
        bad[i] = fixture_row(problem, 0, "v");
    bad[0].origin.fingerprint = NULL;
    bad[1].origin.kind = NULL;
    bad[2].origin.arch = NULL;
    bad[3].origin.isa = NULL;
    bad[4].problem = NULL;
    bad[5].variant = NULL;
    bad[6].stamp = NULL;
    bad[7].kernel = NULL;
    bad[8].config = NULL;
    bad[9].reduction = NULL;
    bad[10].problem = "parse me";
    bad[11].problem = FIXTURE_STATICS;
    bad[12] = fixture_row(FIXTURE_STATICS, -5, "v");
    bad[13].abi = 0;
    bad[14].abi = 2;
    bad[15].time_ns = -1;
    bad[16].time_ns = 0.0 / 0.0;
    bad[17].problem = "";
    bad[18].max_work = 7;
    bad[19].time_ns = 1.0 / 0.0;
    for (int i = 0; i < N; i++) {
        assert_int_equal(gdr_rows_put(rows, &bad[i]), GDR_OK);
        assert_int_equal(rows->n_entries, 0);
        assert_int_equal(rows->n_skipped, i + 1);
        if (!strstr(rows->note[i], why[i]))
            fail_msg("row %d: no \"%s\" in: %s", i, why[i], rows->note[i]);
    }
    for (int i = 0; i < 100; i++) /* notes are bounded */
        assert_int_equal(gdr_rows_put(rows, &bad[0]), GDR_OK);
    assert_int_equal(rows->n_skipped, N + 100);
    gdr_rows_close(rows);
}

/* A bad step makes its code unusable, once and for all. */
static void test_hostile_steps(void **state)
{
    const gdr_step_text good = {"kern", "b", "1", "1", "1", "0", "0", NULL};
    gdr_step_text bad[4];
    fixture_device d;
    char long_term[4096];

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    memset(long_term, '1', sizeof long_term);
    long_term[sizeof long_term - 1] = 0;
    for (int i = 0; i < 4; i++)
        bad[i] = good;
    bad[0].grid_x = "ceil(v/0)";
    bad[1].workspace = NULL;
    bad[2].entry = "";
    bad[3].smem = long_term;
    for (int i = 0; i < 9; i++) {
        gdr_rows *rows = new_rows();
        const gdr_step_text *text = i < 4 ? &bad[i] : &good;
        int64_t bytes = i == 5 ? -1 : i == 6 ? INT64_MAX : 4;

        put_tuned(rows, "b1t1hk4hv8", "v");
        assert_int_equal(gdr_rows_put_step(rows, 0, i == 4 ? 1 : 0, text,
                                           i == 7 ? NULL : "a",
                                           i == 8 ? NULL : "code", bytes),
                         GDR_OK);
        assert_int_equal(rows->n_skipped, 1);
        assert_int_equal(gdr_rows_put_step(rows, 0, 0, &good, "a", "code", 4),
                         GDR_OK);
        no_plan(rows, &d, GDR_MATCH_GENERIC, "unusable: ");
        gdr_rows_close(rows);
    }
}

static void test_too_many_steps(void **state)
{
    const gdr_step_text good = {"kern", "b", "1", "1", "1", "0", "0", NULL};
    fixture_device d;
    gdr_rows *rows = new_rows();

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    put_tuned(rows, "b1t1hk4hv8", "v");
    no_plan(rows, &d, GDR_MATCH_GENERIC, "not in the database");
    for (int i = 0; i <= GDR_RECIPE_STEPS; i++)
        assert_int_equal(gdr_rows_put_step(rows, 0, i, &good, "a", "code", 4),
                         GDR_OK);
    no_plan(rows, &d, GDR_MATCH_GENERIC, "step 8 is out of place");
    gdr_rows_close(rows);
}

/* ---- threads ---- */

typedef struct worker {
    pthread_t thread;
    const gdr_set *set;
    uint64_t seed;
    int wrong;
} worker;

static void *find_many(void *arg)
{
    worker *w = arg;

    for (int i = 0; i < 20000; i++) {
        gdr_extents x = random_extents(&w->seed);
        gdr_plan plan, again;

        w->wrong |= gdr_set_find(w->set, &x, &plan) != GDR_OK;
        w->wrong |= gdr_set_find(w->set, &x, &again) != GDR_OK;
        w->wrong |= plan.recipe != again.recipe || plan.index != again.index ||
                    plan.match != again.match;
    }
    return NULL;
}

static void test_threads(void **state)
{
    fixture_device d;
    gdr_rows *rows = new_rows();
    worker w[4];
    gdr_set *set;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    put_tuned(rows, "b1t1hk4hv8", "v1");
    put_tuned(rows, "b64t4hk4hv8", "v2");
    fixture_put_steps(rows);
    set = open_set(rows, &d, GDR_MATCH_EDGE);
    for (int i = 0; i < 4; i++) {
        w[i] = (worker){.set = set, .seed = (uint64_t)i};
        assert_int_equal(pthread_create(&w[i].thread, NULL, find_many, &w[i]),
                         0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(w[i].thread, NULL);
        assert_false(w[i].wrong);
    }
    gdr_set_close(set);
    gdr_rows_close(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_near_edge),
        cmocka_unit_test(test_heads_break_ties),
        cmocka_unit_test(test_exact_heads),
        cmocka_unit_test(test_sibling),
        cmocka_unit_test(test_isa),
        cmocka_unit_test(test_ptx),
        cmocka_unit_test(test_ptx_of_others),
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_default_search),
        cmocka_unit_test(test_worst),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_broken_code),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_order_of_rows),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_hostile_rows),
        cmocka_unit_test(test_hostile_steps),
        cmocka_unit_test(test_too_many_steps),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
