/* What was asked for and not tuned: counts, also of many threads, and lines. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../runtime/misses.h"
#include "rows_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void read_lines(char *text, size_t n)
{
    FILE *f = fopen(path, "r");
    size_t bytes = f ? fread(text, 1, n - 1, f) : 0;

    text[bytes] = 0;
    if (f)
        fclose(f);
}

static void counts_each_extents(void **state)
{
    const gdr_extents a = {3, 1, 4, 8}, b = {3, 2, 4, 8}, no = {0, 1, 4, 8};
    const gdr_static s = fixture_static();
    gdr_misses *m = gdr_misses_open();
    char text[512], msg[256];

    (void)state;
    unlink(path);
    assert_int_equal(gdr_misses_total(m), 0);
    assert_int_equal(gdr_misses_write(m, &s, path, msg, sizeof msg), GDR_OK);
    assert_int_equal(access(path, F_OK), -1); /* nothing missed, no file */
    for (int i = 0; i < 3; i++)
        gdr_misses_count(m, &a);
    gdr_misses_count(m, &b);
    gdr_misses_count(m, &no);
    assert_int_equal(gdr_misses_total(m), 4);
    assert_int_equal(gdr_misses_write(m, &s, path, msg, sizeof msg), GDR_OK);
    assert_int_equal(gdr_misses_total(m), 0);
    gdr_misses_count(m, &b);
    assert_int_equal(gdr_misses_write(m, &s, path, msg, sizeof msg), GDR_OK);
    read_lines(text, sizeof text);
    assert_non_null(strstr(text, "3 " FIXTURE_STATICS " / b3t1hk4hv8\n"));
    assert_non_null(strstr(text, "1 " FIXTURE_STATICS " / b3t2hk4hv8\n"));
    /* appended, not written over */
    assert_string_equal(text + strlen(text) -
                            strlen("1 " FIXTURE_STATICS " / b3t2hk4hv8\n"),
                        "1 " FIXTURE_STATICS " / b3t2hk4hv8\n");
    gdr_misses_close(m);
}

static void more_extents_than_room_still_count(void **state)
{
    gdr_misses *m = gdr_misses_open();

    (void)state;
    for (int64_t b = 1; b <= 1000; b++) {
        const gdr_extents x = {b, 1, 4, 8};
        gdr_misses_count(m, &x);
    }
    assert_int_equal(gdr_misses_total(m), 1000);
    gdr_misses_close(m);
}

static void keeps_counts_that_could_not_be_written(void **state)
{
    const gdr_extents x = {3, 1, 4, 8};
    const gdr_static s = fixture_static();
    gdr_misses *m = gdr_misses_open();
    char msg[256] = "";

    (void)state;
    gdr_misses_count(m, &x);
    assert_int_equal(
        gdr_misses_write(m, &s, "/nowhere/misses", msg, sizeof msg),
        GDR_ERR_IO);
    assert_non_null(strstr(msg, "/nowhere/misses: No such file"));
    assert_int_equal(gdr_misses_total(m), 1);
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(gdr_misses_write(m, &s, "/dev/full", msg, sizeof msg),
                         GDR_ERR_FULL);
        assert_int_equal(gdr_misses_total(m), 1);
    }
    gdr_misses_close(m);
}

enum { THREADS = 4, ROUNDS = 20000, KINDS = 40 };

static void *count_many(void *m)
{
    for (int i = 0; i < ROUNDS; i++) {
        const gdr_extents x = {1 + i % KINDS, 1, 4, 8};
        gdr_misses_count(m, &x);
    }
    return NULL;
}

/* Some may be lost, none may be invented, and no extents be torn. */
static void threads_share_it(void **state)
{
    const gdr_static s = fixture_static();
    gdr_misses *m = gdr_misses_open();
    pthread_t thread[THREADS];
    char text[64 * 128], msg[256];
    uint64_t total;
    int lines = 0;

    (void)state;
    unlink(path);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, count_many, m), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    total = gdr_misses_total(m);
    assert_true(total >= ROUNDS && total <= (uint64_t)THREADS * ROUNDS);
    assert_int_equal(gdr_misses_write(m, &s, path, msg, sizeof msg), GDR_OK);
    read_lines(text, sizeof text);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        gdr_problem p;
        assert_int_equal(
            gdr_problem_parse(strchr(line, ' ') + 1, &p, msg, sizeof msg),
            GDR_OK);
        assert_true(p.x.B >= 1 && p.x.B <= KINDS);
        lines++;
    }
    assert_true(lines > KINDS / 2 && lines <= KINDS);
    gdr_misses_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_each_extents),
        cmocka_unit_test(more_extents_than_room_still_count),
        cmocka_unit_test(keeps_counts_that_could_not_be_written),
        cmocka_unit_test(threads_share_it),
    };
    int failed;

    snprintf(path, sizeof path, "/tmp/gdr-misses-%ld", (long)getpid());
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
