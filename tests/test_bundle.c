/* A bundle with any byte changed, or cut anywhere, is refused or serves right
 * results: libgdr never crashes on it. Offsets are drawn from a seed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/bundle.h"
#include "../tuner/hash.h"
#include "store_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t seed = 20;

static size_t below(size_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(seed >> 33) % n;
}

/* A bundle of the kit's rows. */
static void make(const kit_place *place, char *path, size_t n)
{
    const gdr_bundle_options all = {.filter.force = 1};
    gdr_bundle_sum sum;
    char msg[1024] = "";

    kit_database(place->db, 3);
    snprintf(path, n, "%s.gdrb", place->db);
    if (gdr_bundle_build(place->db, &all, path, &sum, msg, sizeof msg))
        fail_msg("%s", msg);
}

static char *read_file(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    struct stat s;
    char *data;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &s), 0);
    data = malloc((size_t)s.st_size + 1);
    assert_non_null(data);
    *bytes = fread(data, 1, (size_t)s.st_size, f);
    fclose(f);
    return data;
}

/* Opens it and asks for plans, whatever it says. 1: it was taken. */
static int serve(const char *path)
{
    const gdr_select_options any = {sizeof any, GDR_MATCH_GENERIC, 0, NULL};
    gdr_device *dev = NULL;
    gdr_set *set = NULL;
    gdr_problem p;
    gdr *g = NULL;
    int taken = gdr_open(path, &g) == GDR_OK;

    assert_int_equal(gdr_problem_parse(KIT_PROBLEM, &p, NULL, 0), GDR_OK);
    assert_int_equal(gdr_device_open(g, "cpu", NULL, &dev), GDR_OK);
    if (gdr_select(dev, &p.s, &any, &set) == GDR_OK) {
        gdr_plan_info info = {.size = sizeof info};
        gdr_plan plan;
        if (gdr_set_find(set, &p.x, &plan) == GDR_OK)
            gdr_plan_describe(&plan, &p.x, &info);
    }
    gdr_set_close(set);
    gdr_device_close(dev);
    gdr_close(g);
    return taken;
}

static void a_whole_one_is_taken(void **state)
{
    gdr_bundle_sum sum;
    char path[256], msg[1024] = "";

    make(*state, path, sizeof path);
    if (gdr_bundle_verify(path, &sum, msg, sizeof msg))
        fail_msg("%s", msg);
    assert_true(sum.plans > 0 && sum.codes > 0 && sum.bytes > 0);
    assert_int_equal(serve(path), 1);
    unlink(path);
}

static void changed_bytes_do_not_crash(void **state)
{
    enum { TRIES = 300 };
    char path[256], bad[300];
    size_t bytes;
    char *whole;
    int taken = 0;

    make(*state, path, sizeof path);
    whole = read_file(path, &bytes);
    snprintf(bad, sizeof bad, "%s.bad", path);
    for (int i = 0; i < TRIES; i++) {
        char *copy = malloc(bytes);
        size_t run = 1 + below(8), at = below(bytes - 8);

        assert_non_null(copy);
        memcpy(copy, whole, bytes);
        for (size_t k = 0; k < run; k++)
            copy[at + k] ^= (char)(1 + below(255));
        unlink(bad);
        kit_save(bad, copy, bytes);
        taken += serve(bad);
        free(copy);
    }
    /* free pages and slack may change; most of a file does not */
    print_message("%d of %d were taken\n", taken, TRIES);
    unlink(bad);
    unlink(path);
    free(whole);
}

static void cut_ones_are_refused(void **state)
{
    enum { TRIES = 100 };
    char path[256], bad[300];
    size_t bytes;
    char *whole;

    make(*state, path, sizeof path);
    whole = read_file(path, &bytes);
    snprintf(bad, sizeof bad, "%s.bad", path);
    for (int i = 0; i < TRIES; i++) {
        size_t length = below(bytes - 1) + 1;
        unlink(bad);
        kit_save(bad, whole, length);
        if (serve(bad))
            fail_msg("%zu of %zu bytes were taken", length, bytes);
    }
    unlink(bad);
    unlink(path);
    free(whole);
}

/* A code that is not what its hash says is not served: verify names it. */
static void changed_code_is_found(void **state)
{
    gdr_bundle_sum sum;
    char path[256], bad[300], msg[1024] = "";
    kit_rows rows;
    size_t bytes, at = 0;
    char *data;

    make(*state, path, sizeof path);
    kit_rows_make(&rows, 0);
    data = read_file(path, &bytes);
    while (at + (size_t)rows.step.bytes <= bytes &&
           memcmp(data + at, rows.step.code, (size_t)rows.step.bytes) != 0)
        at++;
    assert_true(at + (size_t)rows.step.bytes <= bytes);
    data[at] ^= 1;
    snprintf(bad, sizeof bad, "%s.bad", path);
    unlink(bad);
    kit_save(bad, data, bytes);
    assert_int_equal(gdr_bundle_verify(bad, &sum, msg, sizeof msg),
                     GDR_ERR_FORMAT);
    assert_non_null(strstr(msg, "is not what its hash says"));
    unlink(bad);
    unlink(path);
    free(data);
}

/* A row that says something else is as good as any, but nobody signed it. */
static void a_signature_covers_the_rows(void **state)
{
    const kit_place *place = *state;
    gdr_bundle_options all = {.filter.force = 1};
    gdr_bundle_sum sum;
    static const char was[] = " / b";
    char keys[200], secret[256], public[256], path[256], msg[1024] = "";
    size_t bytes, at = 0;
    char *data;
    gdr *g;

    kit_database(place->db, 3);
    snprintf(keys, sizeof keys, "%s-us", place->db);
    snprintf(secret, sizeof secret, "%s.key", keys);
    snprintf(public, sizeof public, "%s.pub", keys);
    snprintf(path, sizeof path, "%s.gdrb", place->db);
    all.secret = secret;
    if (gdr_bundle_keygen(keys, msg, sizeof msg) ||
        gdr_bundle_build(place->db, &all, path, &sum, msg, sizeof msg))
        fail_msg("%s", msg);
    data = read_file(path, &bytes);
    while (at + sizeof was <= bytes && memcmp(data + at, was, sizeof was - 1))
        at++;
    assert_true(at + sizeof was <= bytes);
    setenv("GDR_VERIFY_KEY", public, 1);
    assert_int_equal(gdr_open(path, &g), GDR_OK);
    gdr_close(g);
    at += sizeof was - 1;
    data[at] = data[at] == '7' ? '8' : '7'; /* another batch */
    unlink(path);
    kit_save(path, data, bytes);
    assert_int_equal(gdr_open(path, &g), GDR_ERR_UNSAFE);
    assert_non_null(strstr(gdr_errmsg(g), "is not of what the file holds"));
    gdr_close(g);
    unsetenv("GDR_VERIFY_KEY");
    assert_int_equal(gdr_open(path, &g), GDR_OK);
    gdr_close(g);
    unlink(path);
    unlink(secret);
    unlink(public);
    free(data);
}

#define placed(test)                                                           \
    cmocka_unit_test_setup_teardown(test, kit_place_make_fast, kit_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        placed(a_whole_one_is_taken),        placed(changed_bytes_do_not_crash),
        placed(cut_ones_are_refused),        placed(changed_code_is_found),
        placed(a_signature_covers_the_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
