/* test_pool.c - every unit once, whoever launches, before and after a fork. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../runtime/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { SANITIZER = 1 };
#else
enum { SANITIZER = 0 };
#endif

enum { UNITS = 5000 };

typedef struct tally {
    atomic_int hits[UNITS];
    atomic_int bodies, bad;
    int64_t n;
} tally;

static void count(void *ctx, int64_t begin, int64_t end)
{
    tally *t = ctx;
    atomic_fetch_add(&t->bodies, 1);
    if (begin < 0 || begin > end || end > t->n)
        atomic_fetch_add(&t->bad, 1);
    else
        for (int64_t i = begin; i < end; i++)
            atomic_fetch_add_explicit(&t->hits[i], 1, memory_order_relaxed);
}

static int64_t faults(const tally *t)
{
    int64_t n = atomic_load(&t->bad);
    for (int64_t i = 0; i < t->n; i++)
        n += atomic_load(&t->hits[i]) != 1;
    return n;
}

static int64_t run_once(gdr_pool *pool, tally *t, int64_t n)
{
    memset(t, 0, sizeof *t);
    t->n = n;
    gdr_pool_run(pool, n, count, t);
    return faults(t);
}

static void every_unit_runs_once(void **state)
{
    static const int threads[] = {1, 2, 3, 4, 8, 33};
    static const int64_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 31, 32, 33, 100, 4999};
    static tally t;
    (void)state;
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        gdr_pool *pool;
        assert_int_equal(gdr_pool_open(threads[i], &pool), GDR_OK);
        for (int round = 0; round < 5; round++)
            for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++)
                if (run_once(pool, &t, sizes[j]) ||
                    atomic_load(&t.bodies) > threads[i])
                    fail_msg("threads %d n %d round %d: %d faults, %d ranges",
                             threads[i], (int)sizes[j], round, (int)faults(&t),
                             atomic_load(&t.bodies));
        gdr_pool_close(pool);
    }
}

static void launches_in_a_row_stay_whole(void **state)
{
    static tally t;
    gdr_pool *pool;
    (void)state;
    assert_int_equal(gdr_pool_open(4, &pool), GDR_OK);
    for (int i = 0; i < 3000; i++)
        if (run_once(pool, &t, 1 + i % 17))
            fail_msg("launch %d", i);
    gdr_pool_close(pool);
}

typedef struct range {
    int64_t least, most;
    pthread_mutex_t lock;
} range;

static void note_range(void *ctx, int64_t begin, int64_t end)
{
    range *r = ctx;
    int64_t n = end - begin;
    pthread_mutex_lock(&r->lock);
    r->least = n < r->least ? n : r->least;
    r->most = n > r->most ? n : r->most;
    pthread_mutex_unlock(&r->lock);
}

static void ranges_differ_by_one_at_most(void **state)
{
    gdr_pool *pool;
    (void)state;
    assert_int_equal(gdr_pool_open(7, &pool), GDR_OK);
    for (int64_t n = 2; n < 100; n++) {
        range r = {INT64_MAX, 0, PTHREAD_MUTEX_INITIALIZER};
        gdr_pool_run(pool, n, note_range, &r);
        if (r.least < 1 || r.most - r.least > 1)
            fail_msg("n %d: ranges of %d to %d", (int)n, (int)r.least,
                     (int)r.most);
    }
    gdr_pool_close(pool);
}

/* ---- several launching threads ------------------------------------------ */

static void *launch_many(void *arg)
{
    gdr_pool *pool = arg;
    tally *t = malloc(sizeof *t);
    intptr_t bad = !t;
    for (int i = 0; t && i < 500; i++)
        bad += run_once(pool, t, 1 + i % 50) != 0;
    free(t);
    return (void *)bad;
}

static void launches_at_once_do_not_mix(void **state)
{
    gdr_pool *pool;
    pthread_t thread[4];
    void *bad;
    (void)state;
    assert_int_equal(gdr_pool_open(3, &pool), GDR_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, launch_many, pool),
                         0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(thread[i], &bad), 0);
        assert_null(bad);
    }
    gdr_pool_close(pool);
}

typedef struct nest {
    gdr_pool *pool;
    atomic_int units;
} nest;

static void inner(void *ctx, int64_t begin, int64_t end)
{
    atomic_fetch_add((atomic_int *)ctx, (int)(end - begin));
}

static void outer(void *ctx, int64_t begin, int64_t end)
{
    nest *n = ctx;
    for (int64_t i = begin; i < end; i++)
        gdr_pool_run(n->pool, 10, inner, &n->units);
}

static void a_launch_inside_a_launch_ends(void **state)
{
    nest n = {0};
    (void)state;
    assert_int_equal(gdr_pool_open(3, &n.pool), GDR_OK);
    gdr_pool_run(n.pool, 20, outer, &n);
    assert_int_equal(atomic_load(&n.units), 200);
    gdr_pool_close(n.pool);
}

/* ---- sleeping, names, signals, cpus -------------------------------------- */

static void sleeping_threads_wake(void **state)
{
    static tally t;
    const struct timespec nap = {0, 2000000}; /* far longer than the spin */
    gdr_pool *pool;
    (void)state;
    assert_int_equal(gdr_pool_open(4, &pool), GDR_OK);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(run_once(pool, &t, 64), 0);
        nanosleep(&nap, NULL);
    }
    gdr_pool_close(pool);
}

typedef struct look {
    pthread_t caller;
    atomic_int workers, named, masked, cpus, arrived;
    int want; /* bodies to wait for, so that all threads take part */
} look;

static void look_around(void *ctx, int64_t begin, int64_t end)
{
    look *l = ctx;
    char name[16] = "";
    sigset_t mask;
    cpu_set_t cpus;
    (void)begin;
    (void)end;
    atomic_fetch_add(&l->arrived, 1);
    while (atomic_load(&l->arrived) < l->want)
        sched_yield();
    if (pthread_equal(pthread_self(), l->caller))
        return;
    pthread_getname_np(pthread_self(), name, sizeof name);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    sched_getaffinity(0, sizeof cpus, &cpus);
    atomic_fetch_add(&l->workers, 1);
    atomic_fetch_add(&l->named, strncmp(name, "gdr-", 4) == 0);
    atomic_fetch_add(&l->masked, sigismember(&mask, SIGINT) == 1 &&
                                     sigismember(&mask, SIGALRM) == 1);
    atomic_store(&l->cpus, CPU_COUNT(&cpus));
}

static void threads_are_named_and_deaf_to_signals(void **state)
{
    look l = {.caller = pthread_self(), .want = 3};
    sigset_t before, after;
    gdr_pool *pool;
    (void)state;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(gdr_pool_open(3, &pool), GDR_OK);
    gdr_pool_run(pool, 3, look_around, &l);
    assert_int_equal(atomic_load(&l.workers), 2);
    assert_int_equal(atomic_load(&l.named), 2);
    assert_int_equal(atomic_load(&l.masked), 2);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGINT), sigismember(&before, SIGINT));
    gdr_pool_close(pool);
}

/* An engine that pins its launching thread must not pull all of ours there. */
static void threads_keep_the_cpus_of_the_open(void **state)
{
    look l = {.caller = pthread_self(), .want = 2};
    cpu_set_t all, one;
    gdr_pool *pool;
    int cpu = 0;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    if (CPU_COUNT(&all) < 2) {
        print_message("skipped: only one cpu\n");
        skip();
    }
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    assert_int_equal(gdr_pool_open(2, &pool), GDR_OK);
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    gdr_pool_run(pool, 2, look_around, &l);
    sched_setaffinity(0, sizeof all, &all);
    gdr_pool_close(pool);
    assert_int_equal(atomic_load(&l.cpus), CPU_COUNT(&all));
}

/* ---- fork --------------------------------------------------------------- */

/* The child inherits the sanitizer's own locks as they are: the one of the
 * address sanitizer's allocator was seen held by a thread that was just ending
 * its start, and the child waited for it for ever. */
static void skip_under_sanitizers(void)
{
    if (!SANITIZER)
        return;
    print_message("skipped: sanitizers do not survive a fork beside threads\n");
    skip();
}

/* Exit status of a child that launches and closes; 99 if it hangs. */
static int child_launches(gdr_pool *pool)
{
    static tally t;
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        int bad = 0;
        for (int i = 0; i < 20; i++)
            bad |= run_once(pool, &t, 100) != 0;
        gdr_pool_close(pool);
        _exit(bad);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 98;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static void a_forked_child_has_threads_again(void **state)
{
    static tally t;
    gdr_pool *pool;
    (void)state;
    skip_under_sanitizers();
    assert_int_equal(gdr_pool_open(4, &pool), GDR_OK);
    assert_int_equal(child_launches(pool), 0); /* before the first launch */
    assert_int_equal(run_once(pool, &t, 100), 0);
    assert_int_equal(child_launches(pool), 0); /* after it */
    assert_int_equal(run_once(pool, &t, 100), 0);
    gdr_pool_close(pool);
}

static void fork_inside(void *ctx, int64_t begin, int64_t end)
{
    (void)end;
    if (begin == 0)
        *(int *)((void **)ctx)[1] = child_launches(((void **)ctx)[0]);
}

/* The pool is busy at the fork, and stays so in the child's copy of it. */
static void a_child_forked_during_a_launch_launches(void **state)
{
    gdr_pool *pool;
    int result = -1;
    (void)state;
    skip_under_sanitizers();
    assert_int_equal(gdr_pool_open(2, &pool), GDR_OK);
    void *ctx[] = {pool, &result};
    gdr_pool_run(pool, 2, fork_inside, ctx);
    assert_int_equal(result, 0);
    gdr_pool_close(pool);
}

static void closing_is_harmless(void **state)
{
    gdr_pool *pool;
    (void)state;
    gdr_pool_close(NULL);
    assert_int_equal(gdr_pool_open(4, &pool), GDR_OK);
    gdr_pool_close(pool); /* no thread was ever started */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_unit_runs_once),
        cmocka_unit_test(launches_in_a_row_stay_whole),
        cmocka_unit_test(ranges_differ_by_one_at_most),
        cmocka_unit_test(launches_at_once_do_not_mix),
        cmocka_unit_test(a_launch_inside_a_launch_ends),
        cmocka_unit_test(sleeping_threads_wake),
        cmocka_unit_test(threads_are_named_and_deaf_to_signals),
        cmocka_unit_test(threads_keep_the_cpus_of_the_open),
        cmocka_unit_test(a_forked_child_has_threads_again),
        cmocka_unit_test(a_child_forked_during_a_launch_launches),
        cmocka_unit_test(closing_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
