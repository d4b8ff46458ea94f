/* test_merge.c - one file from several: whose decision stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../tuner/bundle.h"
#include "store_kit.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A has rows 0 and 1, B has 0 to 2; all was chosen in one second. */
typedef struct pair {
    char a[200], b[200], out[200];
} pair;

static const char same_time[] =
    "UPDATE choice SET chosen = '2026-01-01T00:00:00Z'";

static pair make_pair(const kit_place *place)
{
    pair p;

    snprintf(p.a, sizeof p.a, "%s-a", place->db);
    snprintf(p.b, sizeof p.b, "%s-b", place->db);
    snprintf(p.out, sizeof p.out, "%s-out", place->db);
    kit_database(p.a, 2);
    kit_database(p.b, 3);
    kit_vandalise(p.a, same_time);
    kit_vandalise(p.b, same_time);
    return p;
}

static void drop_pair(const pair *p)
{
    unlink(p->a);
    unlink(p->b);
    unlink(p->out);
}

static gdr_status merge(const char *a, const char *b, const char *out,
                        char *msg, size_t n)
{
    const char *const from[] = {a, b};
    const gdr_bundle_options o = {.filter.force = 1};
    gdr_bundle_sum sum;

    msg[0] = 0;
    return gdr_bundle_merge(from, 2, &o, out, &sum, msg, n);
}

static void merge_well(const char *a, const char *b, const char *out)
{
    char msg[1024];

    if (merge(a, b, out, msg, sizeof msg))
        fail_msg("%s", msg);
    assert_true(kit_sound(out));
}

static void all_of_both_is_there(void **state)
{
    const pair p = make_pair(*state);
    unsigned char *one, *two;
    size_t n, m;

    merge_well(p.a, p.b, p.out);
    assert_int_equal(kit_ask(p.out, "SELECT count(*) FROM choice"), 3);
    assert_int_equal(kit_ask(p.out, "SELECT count(*) FROM trial"), 0);
    assert_int_equal(
        kit_ask(p.out, "SELECT count(*) FROM choice c JOIN run r ON r.id ="
                       " c.run AND r.device = c.device"),
        3);
    one = kit_load(p.out, &n);
    merge_well(p.a, p.b, p.out);
    two = kit_load(p.out, &m);
    assert_int_equal(n, m);
    assert_memory_equal(one, two, n);
    free(one);
    free(two);
    drop_pair(&p);
}

static void the_later_choice_stays(void **state)
{
    const pair p = make_pair(*state);
    static const char ask[] = "SELECT count(*) FROM choice WHERE time_ns = 7";

    kit_vandalise(p.b, "UPDATE choice SET time_ns = 7");
    merge_well(p.a, p.b, p.out);
    assert_int_equal(kit_ask(p.out, ask), 1); /* the one that A has not */
    merge_well(p.b, p.a, p.out);
    assert_int_equal(kit_ask(p.out, ask), 3);
    kit_vandalise(p.b, "UPDATE choice SET chosen = '2026-01-01T00:00:01Z'");
    merge_well(p.a, p.b, p.out);
    assert_int_equal(kit_ask(p.out, ask), 3);
    kit_vandalise(p.b, "UPDATE choice SET chosen = '2025-12-31T23:59:59Z'");
    merge_well(p.b, p.a, p.out);
    assert_int_equal(kit_ask(p.out, ask), 1);
    drop_pair(&p);
}

static void lists_of_defaults_stay_whole(void **state)
{
    const pair p = make_pair(*state);
    static const char sum[] = "SELECT sum(max_work) FROM fallback";

    kit_vandalise(p.b, "UPDATE fallback SET max_work = max_work + 9");
    merge_well(p.a, p.b, p.out);
    assert_int_equal(kit_ask(p.out, sum), 1 + 2);
    merge_well(p.b, p.a, p.out);
    assert_int_equal(kit_ask(p.out, sum), 10 + 11 + 12);
    drop_pair(&p);
}

static void other_devices_keep_their_runs(void **state)
{
    const pair p = make_pair(*state);

    kit_vandalise(p.b, "UPDATE device SET fingerprint = fingerprint || '2',"
                       " name = 'another'");
    merge_well(p.a, p.b, p.out);
    assert_int_equal(kit_ask(p.out, "SELECT count(*) FROM choice"), 5);
    assert_int_equal(kit_ask(p.out, "SELECT count(*) FROM choice c JOIN run r"
                                    " ON r.id = c.run JOIN device d"
                                    " ON d.id = r.device"
                                    " WHERE r.device = c.device AND"
                                    " d.name = 'another'"),
                     3);
    drop_pair(&p);
}

static void one_build_has_one_code(void **state)
{
    const pair p = make_pair(*state);
    char msg[1024];

    kit_vandalise(p.b, "UPDATE step SET entry = 'other'");
    for (int turn = 0; turn < 2; turn++) {
        const char *first = turn ? p.b : p.a, *second = turn ? p.a : p.b;

        assert_int_equal(merge(first, second, p.out, msg, sizeof msg),
                         GDR_ERR_FORMAT);
        assert_non_null(strstr(msg, "is not that of"));
        assert_non_null(strstr(msg, p.a));
        assert_non_null(strstr(msg, p.b));
        assert_int_not_equal(access(p.out, F_OK), 0);
    }
    kit_vandalise(p.b, "UPDATE build SET stamp = 'another';"
                       "UPDATE step SET stamp = 'another';"
                       "UPDATE choice SET variant_stamp = 'another',"
                       " fallback_stamp = 'another';"
                       "UPDATE fallback SET variant_stamp = 'another'");
    merge_well(p.a, p.b, p.out);
    drop_pair(&p);
}

static void what_is_not_ours_stays_behind(void **state)
{
    const pair p = make_pair(*state);

    kit_vandalise(p.a, "CREATE TABLE \"their \"\"notes\" (x);"
                       "INSERT INTO \"their \"\"notes\" VALUES ('secret');"
                       "CREATE INDEX theirs ON choice (time_ns);"
                       "CREATE VIEW peek AS SELECT * FROM choice; ANALYZE");
    merge_well(p.a, p.b, p.out);
    assert_int_equal(kit_ask(p.out, "SELECT count(*) FROM sqlite_schema"
                                    " WHERE name NOT LIKE 'sqlite_autoindex%'"),
                     kit_ask(p.b, "SELECT count(*) FROM sqlite_schema"
                                  " WHERE name NOT LIKE 'sqlite_autoindex%'"));
    drop_pair(&p);
}

static void damage_is_named_and_nothing_stays(void **state)
{
    const kit_place *place = *state;
    const pair p = make_pair(place);
    char msg[1024], pattern[128];
    glob_t found;

    kit_vandalise(p.b, "DELETE FROM run");
    assert_int_equal(merge(p.a, p.b, p.out, msg, sizeof msg), GDR_ERR_FORMAT);
    assert_non_null(strstr(msg, p.b));
    assert_int_equal(merge(p.b, p.a, p.out, msg, sizeof msg), GDR_ERR_FORMAT);
    assert_non_null(strstr(msg, p.b));
    kit_save(p.b, "no database", 11);
    assert_int_equal(merge(p.a, p.b, p.out, msg, sizeof msg), GDR_ERR_FORMAT);
    snprintf(pattern, sizeof pattern, "%s-out*", place->db);
    assert_int_equal(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
    drop_pair(&p);
}

#define placed(test)                                                           \
    cmocka_unit_test_setup_teardown(test, kit_place_make_fast, kit_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        placed(all_of_both_is_there),
        placed(the_later_choice_stays),
        placed(lists_of_defaults_stay_whole),
        placed(other_devices_keep_their_runs),
        placed(one_build_has_one_code),
        placed(what_is_not_ours_stays_behind),
        placed(damage_is_named_and_nothing_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
