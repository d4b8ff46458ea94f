/*
 * pool.c - the thread pool of the cpu device.
 *
 * What must stay true:
 * - A launch is cut into at most `threads` pieces. A piece is claimed by moving
 *   its claim from an older launch number to this one, so it runs once; whoever
 *   has nothing to do claims what is left, so a thread that the system has
 *   not scheduled delays nobody.
 * - The fields of a launch are read only by the owner of a claimed piece: the
 *   launch cannot end, and the fields cannot change, before that piece is done.
 * - Every piece is claimed in every launch it belongs to, so a thread that
 * wakes up late with an old launch number finds no claim that is older.
 * - Threads do not survive a fork. What is owned by another process id counts
 * as free, and threads started by another as never started.
 */
#include "pool.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE = 64, /* bytes of a cache line; 128 on some, which costs speed only */
    /* How long to spin before sleeping: twice what sleeping costs, since a
     * futex wake-up reached its thread after 26 us on a virtual machine and
     * after 5 to 10 on bare ones. Decode launches often follow within that. */
    SPIN_NS = 50000,
    PIECE_BITS =
        16 /* of a ticket: pieces of the launch; the rest: its number */
};

typedef struct claim {
    _Alignas(LINE) atomic_ullong launch; /* the last launch that claimed it */
} claim;

typedef struct worker {
    gdr_pool *pool;
    int index;
    pthread_t thread;
} worker;

struct gdr_pool {
    /* written by the launching thread, read by all */
    _Alignas(LINE) atomic_ullong ticket; /* launch << PIECE_BITS | pieces */
    atomic_uint bell;                    /* changes with each ticket */
    atomic_int stop;
    gdr_body body;
    void *ctx;
    int64_t n;

    _Alignas(LINE) atomic_uint pending; /* pieces not yet done */
    atomic_int caller_sleeps;
    _Alignas(LINE) atomic_uint sleepers; /* workers asleep, or about to be */

    _Alignas(LINE) atomic_llong owner; /* pid << 1 | busy */
    pid_t started_by; /* process that has the workers; 0 none */
    int threads;      /* the caller and the workers to start */
    int running;      /* the caller and the workers started */
    int has_cpus;
    cpu_set_t cpus;
    worker *worker; /* [threads], 0 is the caller and unused */
    claim *claim;   /* [threads] */
};

/* ---- waiting ------------------------------------------------------------ */

static void futex_wait(atomic_uint *word, unsigned seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, int n)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* yield is a no-op on most cores */
#endif
}

/* 1 as soon as ready(pool, seen), 0 when the time is over. */
static int spin(gdr_pool *p, int (*ready)(gdr_pool *, unsigned long long),
                unsigned long long seen)
{
    int64_t end = 0;
    for (unsigned i = 0;; i++) {
        if (ready(p, seen))
            return 1;
        relax();
        if (i % 32 != 31)
            continue;
        /* Who we wait for may want this very cpu: on a loaded machine, without
         * this, a launch of 64 us took 92 instead of 65 (90th percentile). */
        sched_yield();
        int64_t now = now_ns();
        if (!end)
            end = now + SPIN_NS;
        else if (now > end)
            return 0;
    }
}

static int has_news(gdr_pool *p, unsigned long long seen)
{
    return atomic_load(&p->ticket) != seen || atomic_load(&p->stop);
}

static int all_done(gdr_pool *p, unsigned long long seen)
{
    (void)seen;
    return atomic_load(&p->pending) == 0;
}

/* ---- pieces ------------------------------------------------------------- */

static int claim_piece(claim *c, unsigned long long launch)
{
    unsigned long long last = atomic_load(&c->launch);
    while (last < launch)
        if (atomic_compare_exchange_weak(&c->launch, &last, launch))
            return 1;
    return 0;
}

static void run_piece(gdr_pool *p, int64_t piece, int64_t pieces)
{
    int64_t each = p->n / pieces, extra = p->n % pieces;
    int64_t begin = each * piece + (piece < extra ? piece : extra);
    p->body(p->ctx, begin, begin + each + (piece < extra));
    if (atomic_fetch_sub(&p->pending, 1) == 1 && atomic_load(&p->caller_sleeps))
        futex_wake(&p->pending, 1);
}

/* Own piece first: launch after launch a thread sees the same units, whose
 * states may still be in its cache. */
static void run_pieces(gdr_pool *p, unsigned long long ticket, int index)
{
    int pieces = (int)(ticket & ((1u << PIECE_BITS) - 1));
    for (int i = 0; i < pieces; i++) {
        int piece = (index + i) % pieces;
        if (claim_piece(&p->claim[piece], ticket >> PIECE_BITS))
            run_piece(p, piece, pieces);
    }
}

/* ---- workers ------------------------------------------------------------ */

static void wait_for_news(gdr_pool *p, unsigned long long seen)
{
    if (spin(p, has_news, seen))
        return;
    /* The launching thread writes the ticket and then reads sleepers; we write
     * sleepers and then read the ticket: one of us sees the other. */
    atomic_fetch_add(&p->sleepers, 1);
    unsigned bell = atomic_load(&p->bell);
    while (!has_news(p, seen)) {
        futex_wait(&p->bell, bell);
        bell = atomic_load(&p->bell);
    }
    atomic_fetch_sub(&p->sleepers, 1);
}

static void *work(void *arg)
{
    worker *w = arg;
    gdr_pool *p = w->pool;
    char name[16];
    snprintf(name, sizeof name, "gdr-%d", w->index % 10000);
    pthread_setname_np(pthread_self(), name);
    if (p->has_cpus) /* else, or if refused: as the launching thread */
        sched_setaffinity(0, sizeof p->cpus, &p->cpus);
    unsigned long long seen = 0;
    for (;;) {
        wait_for_news(p, seen);
        if (atomic_load(&p->stop))
            return NULL;
        seen = atomic_load(&p->ticket);
        run_pieces(p, seen, w->index);
    }
}

static void reset(gdr_pool *p)
{
    atomic_store(&p->ticket, 0);
    atomic_store(&p->bell, 0);
    atomic_store(&p->stop, 0);
    atomic_store(&p->pending, 0);
    atomic_store(&p->caller_sleeps, 0);
    atomic_store(&p->sleepers, 0);
    for (int i = 0; i < p->threads; i++)
        atomic_store(&p->claim[i].launch, 0);
}

/* Fewer threads than asked for is a slower pool, not an error. Signals belong
 * to the program: its handlers must not run on our threads. */
static void start_workers(gdr_pool *p, pid_t pid)
{
    sigset_t all, old;
    reset(p);
    p->started_by = pid;
    p->running = 1;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    for (int i = 1; i < p->threads; i++) {
        worker *w = &p->worker[i];
        *w = (worker){p, i, 0};
        if (pthread_create(&w->thread, NULL, work, w) != 0)
            break;
        p->running++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void stop_workers(gdr_pool *p)
{
    atomic_store(&p->stop, 1);
    atomic_fetch_add(&p->bell, 1);
    futex_wake(&p->bell, INT_MAX);
    for (int i = 1; i < p->running; i++)
        pthread_join(p->worker[i].thread, NULL);
}

/* ---- launching ---------------------------------------------------------- */

/* 1: the pool is this thread's until release. */
static int acquire(gdr_pool *p, pid_t pid)
{
    long long free_word = (long long)pid << 1;
    long long owner = atomic_load(&p->owner);
    if (owner == (free_word | 1))
        return 0;
    return atomic_compare_exchange_strong(&p->owner, &owner, free_word | 1);
}

static void release(gdr_pool *p, pid_t pid)
{
    atomic_store(&p->owner, (long long)pid << 1);
}

static void publish(gdr_pool *p, int64_t n, gdr_body body, void *ctx)
{
    unsigned pieces = (unsigned)(n < p->running ? n : p->running);
    unsigned long long launch = (atomic_load(&p->ticket) >> PIECE_BITS) + 1;
    p->body = body;
    p->ctx = ctx;
    p->n = n;
    atomic_store(&p->pending, pieces);
    atomic_store(&p->ticket, launch << PIECE_BITS | pieces);
    atomic_fetch_add(&p->bell, 1);
    if (atomic_load(&p->sleepers))
        futex_wake(&p->bell, (int)pieces - 1);
}

static void wait_for_pieces(gdr_pool *p)
{
    if (spin(p, all_done, 0))
        return;
    atomic_store(&p->caller_sleeps, 1);
    unsigned left;
    while ((left = atomic_load(&p->pending)) != 0)
        futex_wait(&p->pending, left);
    atomic_store(&p->caller_sleeps, 0);
}

void gdr_pool_run(gdr_pool *p, int64_t n, gdr_body body, void *ctx)
{
    assert(n >= 0);
    pid_t pid = getpid();
    if (n <= 0)
        return;
    if (p->threads == 1 || n == 1 || !acquire(p, pid)) {
        body(ctx, 0, n);
        return;
    }
    if (p->started_by != pid)
        start_workers(p, pid);
    publish(p, n, body, ctx);
    run_pieces(p, atomic_load(&p->ticket), 0);
    wait_for_pieces(p);
    release(p, pid);
}

gdr_status gdr_pool_open(int threads, gdr_pool **out)
{
    assert(threads >= 1 && threads <= GDR_POOL_MAX);
    *out = NULL;
    gdr_pool *p = aligned_alloc(LINE, sizeof *p);
    size_t n = (size_t)threads;
    if (!p)
        return GDR_ERR_NO_MEMORY;
    memset(p, 0, sizeof *p);
    p->threads = threads;
    p->has_cpus = sched_getaffinity(0, sizeof p->cpus, &p->cpus) == 0;
    p->worker = calloc(n, sizeof *p->worker);
    p->claim = aligned_alloc(LINE, n * sizeof *p->claim);
    if (!p->worker || !p->claim) {
        gdr_pool_close(p);
        return GDR_ERR_NO_MEMORY;
    }
    reset(p);
    *out = p;
    return GDR_OK;
}

void gdr_pool_close(gdr_pool *p)
{
    if (!p)
        return;
    if (p->started_by == getpid())
        stop_workers(p);
    free(p->worker);
    free(p->claim);
    free(p);
}
