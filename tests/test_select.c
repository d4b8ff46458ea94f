/* What a caller and its environment ask of a set: the worst match, misses,
 * digests, preloading; many handles in one process, and a fork. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gdr.h"
#include "store_kit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { SANITIZER = 1 };
#else
enum { SANITIZER = 0 };
#endif

#define STATICS "recurrent:final:vk:f32/f32:k8v4:g"

typedef struct engine {
    gdr *g;
    gdr_device *dev;
    gdr_set *set;
} engine;

static const gdr_select_options generic = {sizeof generic, GDR_MATCH_GENERIC, 0,
                                           NULL};

static gdr_static statics(void)
{
    gdr_problem p;

    assert_int_equal(gdr_problem_parse(STATICS, &p, NULL, 0), GDR_OK);
    return p.s;
}

static engine start(const char *db, const gdr_select_options *options,
                    gdr_status wanted)
{
    const gdr_device_options two = {.size = sizeof two, .threads = 2};
    const gdr_static s = statics();
    engine e;
    gdr_status status;

    if (gdr_open(db, &e.g) || gdr_device_open(e.g, "cpu", &two, &e.dev))
        fail_msg("%s", gdr_errmsg(e.g));
    status = gdr_select(e.dev, &s, options, &e.set);
    if (status != wanted)
        fail_msg("%s, not %s: %s", gdr_strerror(status), gdr_strerror(wanted),
                 gdr_errmsg(e.g));
    return e;
}

static void stop(engine *e)
{
    gdr_set_close(e->set);
    gdr_device_close(e->dev);
    gdr_close(e->g);
}

/* 0 when a call through the set gives what the reference gives. */
static int serve(const gdr_set *set)
{
    enum { B = 3, T = 2, HK = 1, HV = 2, K = 8, V = 4 };
    float q[B * T * HK * K], k[B * T * HK * K], v[B * T * HV * V];
    float o[2][B * T * HV * V], s[2][B * HV * K * V];
    gdr_problem p = {.s = statics(), .x = {B, T, HK, HV}};
    gdr_plan plan;
    gdr_args a;
    int wrong = 0;

    for (int i = 0; i < B * T * HK * K; i++)
        q[i] = (float)(i % 5) / 5, k[i] = (float)(i % 3) / 3;
    for (int i = 0; i < B * T * HV * V; i++)
        v[i] = (float)(i % 7) / 7;
    memset(s, 0, sizeof s);
    gdr_args_init(&a, &p);
    a.q.data = q, a.k.data = k, a.v.data = v;
    a.o.data = o[0], a.state = s[0];
    if (gdr_set_find(set, &p.x, &plan) || gdr_launch(&plan, &a, NULL, NULL, 0))
        return 1;
    a.o.data = o[1], a.state = s[1];
    if (gdr_reference(&p.s, &a, NULL, 0))
        return 1;
    for (int i = 0; i < B * T * HV * V; i++)
        wrong += !(o[0][i] - o[1][i] < 1e-5f && o[1][i] - o[0][i] < 1e-5f);
    return wrong;
}

/* ---- the worst match ---- */

static void nothing_said_wants_code_that_is_fast(void **state)
{
    const kit_place *place = *state;
    engine e;

    kit_database(place->db, 1);
    e = start(place->db, NULL, GDR_ERR_NO_PLAN);
    assert_null(e.set);
    assert_non_null(strstr(gdr_errmsg(e.g), "match ptx or better"));
    assert_non_null(strstr(gdr_errmsg(e.g), "gdr-tune --device cpu --only"));
    stop(&e);
}

static void the_environment_has_the_last_word(void **state)
{
    const kit_place *place = *state;
    engine e;

    kit_database(place->db, 1);
    setenv("GDR_MATCH", "exact", 1);
    e = start(place->db, &generic, GDR_ERR_NO_PLAN);
    assert_non_null(strstr(gdr_errmsg(e.g), "match exact or better"));
    stop(&e);
    setenv("GDR_MATCH", "generic", 1);
    e = start(place->db, NULL, GDR_OK);
    assert_int_equal(serve(e.set), 0);
    stop(&e);
    setenv("GDR_MATCH", "best", 1);
    e = start(place->db, &generic, GDR_ERR_ARG);
    assert_non_null(strstr(gdr_errmsg(e.g), "GDR_MATCH is 'best'; allowed: "
                                            "exact, near"));
    stop(&e);
    setenv("GDR_MATCH", "", 1); /* as if it were not there */
    e = start(place->db, &generic, GDR_OK);
    stop(&e);
    unsetenv("GDR_MATCH");
}

static void options_are_checked(void **state)
{
    const kit_place *place = *state;
    gdr_select_options o = generic;
    engine e;

    kit_database(place->db, 1);
    o.size = 8;
    e = start(place->db, &o, GDR_ERR_ARG);
    assert_non_null(strstr(gdr_errmsg(e.g), "size"));
    stop(&e);
    o = generic;
    o.reduction = "another";
    e = start(place->db, &o, GDR_ERR_NO_PLAN);
    assert_non_null(strstr(gdr_errmsg(e.g), "'another'"));
    stop(&e);
    o.reduction = "generic/recurrent";
    e = start(place->db, &o, GDR_OK);
    assert_int_equal(serve(e.set), 0);
    stop(&e);
}

/* ---- misses, digest, preload ---- */

static void misses_reach_the_file(void **state)
{
    const kit_place *place = *state;
    char path[512], line[256] = "", msg[256];
    engine e;
    FILE *f;

    kit_database(place->db, 1);
    snprintf(path, sizeof path, "%s.misses", place->db);
    unlink(path);
    e = start(place->db, &generic, GDR_OK);
    assert_int_equal(serve(e.set), 0);
    assert_int_equal(serve(e.set), 0);
    assert_int_equal(gdr_set_misses(e.set), 2);
    assert_int_equal(gdr_misses_append(e.set, path, msg, sizeof msg), GDR_OK);
    assert_int_equal(gdr_set_misses(e.set), 0);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    fclose(f);
    assert_string_equal(line, "2 " STATICS " / b3t2hk1hv2\n");
    assert_int_equal(gdr_misses_append(e.set, NULL, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_int_equal(gdr_misses_append(NULL, path, NULL, 0), GDR_ERR_ARG);
    assert_int_equal(gdr_set_misses(NULL), 0);
    stop(&e);
    unlink(path);
}

static void a_copy_has_the_same_digest(void **state)
{
    const kit_place *place = *state;
    char a[GDR_DIGEST_TEXT], b[GDR_DIGEST_TEXT], copy[512], command[1200];
    gdr *g;

    kit_database(place->db, 4);
    snprintf(copy, sizeof copy, "%s.copy", place->db);
    snprintf(command, sizeof command, "cp '%s' '%s'", place->db, copy);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    assert_int_equal(gdr_open(place->db, &g), GDR_OK);
    assert_int_equal(gdr_digest(g, a), GDR_OK);
    gdr_close(g);
    assert_int_equal(gdr_open(copy, &g), GDR_OK);
    assert_int_equal(gdr_digest(g, b), GDR_OK);
    gdr_close(g);
    assert_string_equal(a, b);
    unlink(copy);
}

static void preload_is_harmless(void **state)
{
    const kit_place *place = *state;
    char msg[256] = "";
    engine e;

    kit_database(place->db, 1);
    e = start(place->db, &generic, GDR_OK);
    assert_int_equal(gdr_preload(e.set, msg, sizeof msg), GDR_OK);
    assert_int_equal(gdr_preload(e.set, NULL, 0), GDR_OK);
    assert_int_equal(gdr_preload(NULL, msg, sizeof msg), GDR_ERR_ARG);
    assert_non_null(strstr(msg, "set"));
    assert_int_equal(serve(e.set), 0);
    stop(&e);
}

/* ---- one process, many of everything ---- */

static void *serve_often(void *set)
{
    intptr_t failed = 0;

    for (int i = 0; i < 20; i++)
        failed += serve(set) != 0;
    return (void *)failed; /* NOLINT(performance-no-int-to-ptr) */
}

/* Handles share nothing: each thread has another set of another handle, and one
 * set is everybody's. */
static void handles_do_not_meet(void **state)
{
    enum { N = 4 };
    const kit_place *place = *state;
    engine e[N];
    pthread_t own[N], shared[N];
    void *failed;

    kit_database(place->db, 1);
    for (int i = 0; i < N; i++)
        e[i] = start(place->db, &generic, GDR_OK);
    for (int i = 0; i < N; i++) {
        assert_int_equal(pthread_create(&own[i], NULL, serve_often, e[i].set),
                         0);
        assert_int_equal(
            pthread_create(&shared[i], NULL, serve_often, e[0].set), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(own[i], &failed);
        assert_null(failed);
        pthread_join(shared[i], &failed);
        assert_null(failed);
    }
    for (int i = 0; i < N; i++)
        stop(&e[i]);
}

/* A child that was forked after everything was opened and used serves, too. */
static void a_forked_child_serves(void **state)
{
    const kit_place *place = *state;
    engine e;
    int status = -1;
    pid_t child;

    if (SANITIZER) { /* as test_pool.c says, they do not survive this */
        print_message("skipped: a fork beside threads under a sanitizer\n");
        skip();
    }
    kit_database(place->db, 1);
    e = start(place->db, &generic, GDR_OK);
    assert_int_equal(serve(e.set), 0);
    child = fork();
    if (child == 0)
        _exit(serve(e.set) != 0);
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(serve(e.set), 0);
    stop(&e);
}

#define placed(test)                                                           \
    cmocka_unit_test_setup_teardown(test, kit_place_make_fast, kit_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        placed(nothing_said_wants_code_that_is_fast),
        placed(the_environment_has_the_last_word),
        placed(options_are_checked),
        placed(misses_reach_the_file),
        placed(a_copy_has_the_same_digest),
        placed(preload_is_harmless),
        placed(handles_do_not_meet),
        placed(a_forked_child_serves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
