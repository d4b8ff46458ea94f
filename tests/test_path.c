/*
 * test_path.c - which database is meant: the option, the environment, the
 * user's place, the system's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "../db/store_internal.h"
#include "store_kit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* %s is the test's folder, which has a database in data/gdr/ and in sys2/. */
static const struct path_case {
    const char *name, *arg, *gdr_db, *xdg, *home;
    int write;
    gdr_status status;
    const char *expected; /* path, or words of the message */
} cases[] = {
    {"option", "x.db", "y.db", "/d", "/h", 0, GDR_OK, "x.db"},
    {"GDR_DB", NULL, "y.db", "/d", "/h", 0, GDR_OK, "y.db"},
    {"GDR_DB missing", NULL, "/none", "/d", "/h", 0, GDR_OK, "/none"},
    {"empty option", "", "y.db", "/d", "/h", 0, GDR_ERR_ARG, "empty"},
    {"empty GDR_DB", NULL, "", "/d", "/h", 1, GDR_OK, "/d/gdr/gdr.db"},
    {"XDG", NULL, NULL, "/d", "/h", 1, GDR_OK, "/d/gdr/gdr.db"},
    {"XDG is there", NULL, NULL, "%s/data", "/h", 0, GDR_OK,
     "%s/data/gdr/gdr.db"},
    {"relative XDG", NULL, NULL, "d", "/h", 1, GDR_OK,
     "/h/.local/share/gdr/gdr.db"},
    {"empty XDG", NULL, NULL, "", "/h", 1, GDR_OK,
     "/h/.local/share/gdr/gdr.db"},
    {"HOME", NULL, NULL, NULL, "/h", 1, GDR_OK, "/h/.local/share/gdr/gdr.db"},
    {"reader falls back", NULL, NULL, NULL, "/h", 0, GDR_OK, "%s/sys2"},
    {"XDG falls back", NULL, NULL, "/d", NULL, 0, GDR_OK, "%s/sys2"},
    {"no HOME, reader", NULL, NULL, NULL, NULL, 0, GDR_OK, "%s/sys2"},
    {"no HOME, writer", NULL, NULL, NULL, NULL, 1, GDR_ERR_NOT_FOUND,
     "HOME is not set"},
    {"empty HOME", NULL, NULL, NULL, "", 1, GDR_ERR_NOT_FOUND, "--db"},
    {"relative HOME", NULL, NULL, NULL, "h", 1, GDR_ERR_NOT_FOUND, "GDR_DB"},
};

/* Puts the folder for %s. */
static const char *filled(const char *text, const char *dir, char out[160])
{
    const char *at = strstr(text, "%s");
    if (!at)
        return text;
    snprintf(out, 160, "%.*s%s%s", (int)(at - text), text, dir, at + 2);
    return out;
}

static void set(const char *name, const char *value, const char *dir)
{
    char text[160];
    if (value)
        setenv(name, filled(value, dir, text), 1);
    else
        unsetenv(name);
}

static void check_case(const struct path_case *c, const char *dir,
                       const char *const *system)
{
    char out[256], msg[256] = "", expected[160];
    set("GDR_DB", c->gdr_db, dir);
    set("XDG_DATA_HOME", c->xdg, dir);
    set("HOME", c->home, dir);
    gdr_status status = gdr_store_path_in(c->arg, c->write, system, out,
                                          sizeof out, msg, sizeof msg);
    const char *want = filled(c->expected, dir, expected);
    int fits =
        status == GDR_OK ? strcmp(out, want) == 0 : strstr(msg, want) != NULL;
    if (status != c->status || !fits)
        fail_msg("%s: status %d, %s%s, not %s", c->name, (int)status, out, msg,
                 want);
}

static void test_order(void **state)
{
    kit_place *p = *state;
    char a[96], b[96];
    snprintf(a, sizeof a, "%s/data/gdr/gdr.db", p->dir);
    kit_database(a, 0);
    snprintf(a, sizeof a, "%s/sys1", p->dir);
    snprintf(b, sizeof b, "%s/sys2", p->dir);
    kit_save(b, "", 0);
    const char *const system[] = {a, b, NULL};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case(&cases[i], p->dir, system);
}

static void test_no_system_database(void **state)
{
    static const char *const none[] = {"/nowhere/gdr.db", NULL};
    char out[256], msg[256] = "";
    (void)state;
    unsetenv("GDR_DB");
    unsetenv("XDG_DATA_HOME");
    setenv("HOME", "/h", 1);
    assert_int_equal(
        gdr_store_path_in(NULL, 0, none, out, sizeof out, msg, sizeof msg),
        GDR_OK);
    assert_string_equal(out, "/h/.local/share/gdr/gdr.db");
    unsetenv("HOME");
    assert_int_equal(
        gdr_store_path_in(NULL, 0, none, out, sizeof out, msg, sizeof msg),
        GDR_ERR_NOT_FOUND);
    assert_non_null(strstr(msg, "HOME is not set"));
    assert_int_equal(gdr_store_path(NULL, 1, out, sizeof out, NULL, 0),
                     GDR_ERR_NOT_FOUND);
}

static void test_too_long(void **state)
{
    char out[16], msg[128] = "";
    (void)state;
    assert_int_equal(
        gdr_store_path("123456789012345", 0, out, sizeof out, msg, sizeof msg),
        GDR_OK);
    assert_int_equal(
        gdr_store_path("1234567890123456", 0, out, sizeof out, msg, sizeof msg),
        GDR_ERR_ARG);
    assert_non_null(strstr(msg, "longer than 15 bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, kit_place_make,
                                        kit_place_remove),
        cmocka_unit_test(test_no_system_database),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
