/* One reduction id for all extents: which is chosen, and what it costs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../runtime/pin.h"
#include "../runtime/set.h"
#include "rows_fixture.h"

#include <stdio.h>
#include <string.h>

typedef struct given {
    const char *extents; /* NULL: a default */
    const char *reduction;
    double regret;
    int spare;
} given;

static void put(gdr_rows *rows, const given *g, int i)
{
    char problem[GDR_PROBLEM_TEXT] = "", variant[32] = "";
    gdr_row row = fixture_row(problem, g->extents ? 0 : 100, variant);

    snprintf(problem, sizeof problem, FIXTURE_STATICS "%s%s",
             g->extents ? " / " : "", g->extents ? g->extents : "");
    snprintf(variant, sizeof variant, "v%d", i);
    row.reduction = g->reduction;
    row.regret = g->regret;
    row.spare = g->spare;
    assert_int_equal(gdr_rows_put(rows, &row), GDR_OK);
    assert_int_equal(rows->n_skipped, 0);
}

static gdr_rows *make(const given *list, int n)
{
    gdr_rows *rows;

    assert_int_equal(gdr_rows_open(&rows), GDR_OK);
    for (int i = 0; i < n; i++)
        put(rows, &list[i], i);
    fixture_put_steps(rows);
    return rows;
}

/* "a" wins once, "b" once; "b" was measured at both, "c" at both but slower. */
static const given race[] = {
    {"b1t1hk4hv8", "a", 0, 0},    {"b1t1hk4hv8", "b", 0.25, 1},
    {"b1t1hk4hv8", "c", 0.5, 1},  {"b64t1hk4hv8", "b", 0, 0},
    {"b64t1hk4hv8", "c", 0.1, 1},
};
enum { RACE = sizeof race / sizeof *race };

static gdr_status select_with(const gdr_rows *rows, fixture_device *d,
                              uint32_t flags, const char *reduction,
                              gdr_set **set, char *msg, size_t n)
{
    const gdr_select_options o = {sizeof o, GDR_MATCH_EDGE, flags, reduction};
    const gdr_static s = fixture_static();

    return gdr_set_open(rows, &fixture_backend, d, &s, &o, set, msg, n);
}

static void expect(const gdr_set *set, int64_t B, gdr_match match,
                   const char *reduction, double regret)
{
    const gdr_extents x = {B, 1, 4, 8};
    gdr_plan_info info = {.size = sizeof info};
    gdr_plan plan;

    assert_int_equal(gdr_set_find(set, &x, &plan), GDR_OK);
    assert_int_equal(gdr_plan_describe(&plan, &x, &info), GDR_OK);
    assert_string_equal(gdr_match_name(info.match), gdr_match_name(match));
    assert_string_equal(info.reduction, reduction);
    assert_float_equal(info.regret, regret, 1e-12);
}

static void winners_where_nothing_is_pinned(void **state)
{
    gdr_rows *rows = make(race, RACE);
    fixture_device d;
    char msg[512];
    gdr_set *set;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    assert_int_equal(select_with(rows, &d, 0, NULL, &set, msg, sizeof msg),
                     GDR_OK);
    expect(set, 1, GDR_MATCH_EXACT, "a", 0);
    expect(set, 64, GDR_MATCH_EXACT, "b", 0);
    expect(set, 2, GDR_MATCH_NEAR, "a", -1);
    gdr_set_close(set);
    gdr_rows_close(rows);
}

static void pins_what_most_extents_have(void **state)
{
    gdr_rows *rows = make(race, RACE);
    fixture_device d;
    char msg[512];
    gdr_set *set;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    assert_int_equal(
        select_with(rows, &d, GDR_SELECT_PIN, NULL, &set, msg, sizeof msg),
        GDR_OK);
    expect(set, 1, GDR_MATCH_EXACT, "b", 0.25);
    expect(set, 64, GDR_MATCH_EXACT, "b", 0);
    expect(set, 4096, GDR_MATCH_EDGE, "b", -1);
    gdr_set_close(set);
    gdr_rows_close(rows);
}

static void pins_what_is_named(void **state)
{
    gdr_rows *rows = make(race, RACE);
    fixture_device d;
    char msg[512];
    gdr_set *set;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    assert_int_equal(select_with(rows, &d, 0, "c", &set, msg, sizeof msg),
                     GDR_OK);
    expect(set, 1, GDR_MATCH_EXACT, "c", 0.5);
    expect(set, 64, GDR_MATCH_EXACT, "c", 0.1);
    gdr_set_close(set);
    /* tuned at one place alone: there it is exact, elsewhere the nearest */
    assert_int_equal(select_with(rows, &d, 0, "a", &set, msg, sizeof msg),
                     GDR_OK);
    expect(set, 1, GDR_MATCH_EXACT, "a", 0);
    expect(set, 64, GDR_MATCH_EDGE, "a", -1);
    gdr_set_close(set);
    gdr_rows_close(rows);
}

static void says_which_ids_there_are(void **state)
{
    gdr_rows *rows = make(race, RACE);
    fixture_device d;
    char msg[512] = "";
    gdr_set *set;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    assert_int_equal(select_with(rows, &d, 0, "z", &set, msg, sizeof msg),
                     GDR_ERR_NO_PLAN);
    assert_null(set);
    assert_non_null(strstr(msg, "'z'"));
    assert_non_null(strstr(msg, "there are: a, b, c"));
    assert_int_equal(select_with(rows, &d, 2, NULL, &set, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_non_null(strstr(msg, "flags"));
    gdr_rows_close(rows);
}

/* Fewer places lose, whatever they cost; then the name decides. */
static void ties_are_decided(void **state)
{
    static const given even[] = {{"b1t1hk4hv8", "y", 0, 0},
                                 {"b2t1hk4hv8", "x", 0, 0}};
    static const given few[] = {{"b1t1hk4hv8", "y", 0, 0},
                                {"b1t1hk4hv8", "x", 9, 1},
                                {"b2t1hk4hv8", "x", 9, 1},
                                {"b2t1hk4hv8", "z", 0, 0}};
    static const given defaults[] = {{NULL, "d", -1, 0}};
    const gdr_static s = fixture_static();
    fixture_device d;
    gdr_rows *rows;

    (void)state;
    fixture_device_init(&d, "here", "a+b");
    rows = make(even, 2);
    assert_string_equal(
        gdr_pin_best(rows, &fixture_backend, &d, &s, GDR_MATCH_EXACT), "x");
    assert_null(
        gdr_pin_best(rows, &fixture_backend, &d, &s, GDR_MATCH_DEFAULT));
    gdr_rows_close(rows);
    rows = make(few, 4);
    assert_string_equal(
        gdr_pin_best(rows, &fixture_backend, &d, &s, GDR_MATCH_EXACT), "x");
    gdr_rows_close(rows);
    rows = make(defaults, 1);
    assert_string_equal(
        gdr_pin_best(rows, &fixture_backend, &d, &s, GDR_MATCH_DEFAULT), "d");
    gdr_rows_close(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(winners_where_nothing_is_pinned),
        cmocka_unit_test(pins_what_most_extents_have),
        cmocka_unit_test(pins_what_is_named),
        cmocka_unit_test(says_which_ids_there_are),
        cmocka_unit_test(ties_are_decided),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
