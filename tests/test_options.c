/* test_options.c - the command line, and what is said of a wrong one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/options.h"

#include <string.h>

enum { MOST_WORDS = 24 };

/* Reads a list of words that ends with NULL. */
static gdr_status read_words(const char *const *word, gdr_options *o, char *msg,
                             size_t n)
{
    static char *argv[MOST_WORDS + 1];
    int argc = 1;

    argv[0] = (char *)"gdr-tune";
    for (; word[argc - 1]; argc++)
        argv[argc] = (char *)word[argc - 1];
    argv[argc] = NULL;
    return gdr_options_read(argc, argv, o, msg, n);
}

static void takes_everything(void **state)
{
    static const char *const words[] = {
        "--device",  "cpu",       "--shapes", "smoke",  "--shapes", "mine.lua",
        "--budget",  "1.5",       "--effort", "quick",  "--jobs",   "3",
        "--seed",    "42",        "--fresh",  "--json", "explain",  "problem",
        "--db=x.db", "--dry-run", NULL};
    static gdr_options o;
    char msg[256];

    (void)state;
    assert_int_equal(read_words(words, &o, msg, sizeof msg), GDR_OK);
    assert_string_equal(o.tune.device, "cpu");
    assert_int_equal(o.tune.n_shapes, 2);
    assert_string_equal(o.tune.shapes[1], "mine.lua");
    assert_true(o.tune.budget_s == 1.5);
    assert_string_equal(o.tune.effort, "quick");
    assert_int_equal(o.tune.jobs, 3);
    assert_int_equal(o.tune.seed, 42);
    assert_true(o.tune.fresh && o.report.json && o.tune.dry_run);
    assert_string_equal(o.tune.db, "x.db");
    assert_string_equal(o.command, "explain");
    assert_int_equal(o.n_args, 1);
    assert_string_equal(o.args[0], "problem");
    assert_non_null(strstr(o.tune.command, "--seed 42"));
}

static void has_defaults(void **state)
{
    static const char *const words[] = {NULL};
    static gdr_options o;
    char msg[256];

    (void)state;
    assert_int_equal(read_words(words, &o, msg, sizeof msg), GDR_OK);
    assert_string_equal(o.tune.device, "auto");
    assert_string_equal(o.tune.effort, "measure");
    assert_int_equal(o.tune.seed, 1);
    assert_null(o.tune.db);
    assert_null(o.command);
    assert_int_equal(o.tune.n_shapes, 0);
}

static void compiles_only(void **state)
{
    static const char *const words[] = {"--compile-only", "--arch",
                                        "sm_75,sm_90a", NULL};
    static gdr_options o;
    char msg[256];

    (void)state;
    assert_int_equal(read_words(words, &o, msg, sizeof msg), GDR_OK);
    assert_true(o.compile_only);
    assert_string_equal(o.arch, "sm_75,sm_90a");
}

static void explains_what_is_wrong(void **state)
{
    static const struct {
        const char *words[4], *says;
    } cases[] = {
        {{"--nonsense", NULL}, "--nonsense: no such option"},
        {{"--db", NULL}, "--db: an argument is missing"},
        {{"--json=1", NULL}, "--json=1"},
        {{"--effort", "hard", NULL}, "quick, measure or exhaustive"},
        {{"--jobs", "0", NULL}, "1 to 1024"},
        {{"--jobs", "2.5", NULL}, "1 to 1024"},
        {{"--budget", "-1", NULL}, "seconds"},
        {{"--budget", "1h", NULL}, "seconds"},
        {{"--budget", "nan", NULL}, "seconds"},
        {{"--seed", "1e30", NULL}, "whole number"},
        {{"--seed", "", NULL}, "whole number"},
        {{"--arch", "sm_80", NULL}, "--compile-only"},
        {{"--arch", NULL}, "an argument is missing"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static gdr_options o;
        char msg[256] = "";
        gdr_status st = read_words(cases[i].words, &o, msg, sizeof msg);
        if (st != GDR_ERR_ARG || !strstr(msg, cases[i].says))
            fail_msg("%s: status %d, '%s' lacks '%s'", cases[i].words[0], st,
                     msg, cases[i].says);
    }
}

static void too_many_are_refused(void **state)
{
    static char *argv[2 * GDR_OPTIONS_TEXTS + 8];
    static gdr_options o;
    char msg[256];
    int argc = 0;

    (void)state;
    argv[argc++] = (char *)"gdr-tune";
    for (int i = 0; i <= GDR_OPTIONS_TEXTS; i++) {
        argv[argc++] = (char *)"--only";
        argv[argc++] = (char *)"x";
    }
    assert_int_equal(gdr_options_read(argc, argv, &o, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_non_null(strstr(msg, "256"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_everything),
        cmocka_unit_test(has_defaults),
        cmocka_unit_test(compiles_only),
        cmocka_unit_test(explains_what_is_wrong),
        cmocka_unit_test(too_many_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
