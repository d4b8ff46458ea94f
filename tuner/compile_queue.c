/*
 * compile_queue.c - two lists, waiting and finished, under one lock. What is
 * no longer wanted is ended from outside: whatever program a thread of the
 * queue has started is a child of that thread, and leads a group.
 */
#include "compile_queue.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

typedef struct job_list {
    gdr_compile_job *first, *last;
    int n;
} job_list;

typedef struct compile_thread {
    pthread_t id;
    pid_t number; /* the kernel's; 0 until it runs */
    gdr_compile_queue *q;
    const gdr_compile_job *job; /* what it runs, or NULL */
} compile_thread;

struct gdr_compile_queue {
    const gdr_target *target;
    double limit_s;
    pthread_mutex_t lock;
    pthread_cond_t work;  /* something waits, or the end */
    pthread_cond_t ended; /* a compilation ended */
    job_list waiting, finished;
    int running, paused, closing;
    int fd; /* eventfd: one count per finished job */
    int threads;
    compile_thread thread[];
};

static void append(job_list *l, gdr_compile_job *job)
{
    job->next_job = NULL;
    if (l->last)
        l->last->next_job = job;
    else
        l->first = job;
    l->last = job;
    l->n++;
}

static gdr_compile_job *take_first(job_list *l)
{
    gdr_compile_job *job = l->first;

    if (!job)
        return NULL;
    l->first = job->next_job;
    if (!l->first)
        l->last = NULL;
    l->n--;
    return job;
}

static void compile(gdr_compile_queue *q, gdr_compile_job *job)
{
    job->log[0] = 0;
    job->status =
        q->target->compile(job->source, job->bytes, job->arch, q->limit_s,
                           &job->image, job->log, sizeof job->log);
}

/* The next job to run, or NULL when the queue closes. Holds the lock. */
static gdr_compile_job *wait_for_job(gdr_compile_queue *q)
{
    while (!q->closing && (q->paused || !q->waiting.first))
        pthread_cond_wait(&q->work, &q->lock);
    return q->closing ? NULL : take_first(&q->waiting);
}

static void *serve(void *arg)
{
    compile_thread *t = arg;
    gdr_compile_queue *q = t->q;
    const uint64_t one = 1;
    gdr_compile_job *job;

    /* On Linux the priority is the thread's own, and the compiler inherits
     * it: gates and timings come first. Best effort. */
    setpriority(PRIO_PROCESS, 0, 19);
    pthread_mutex_lock(&q->lock);
    t->number = gettid();
    while ((job = wait_for_job(q))) {
        t->job = job;
        q->running++;
        pthread_mutex_unlock(&q->lock);
        compile(q, job);
        pthread_mutex_lock(&q->lock);
        t->job = NULL;
        q->running--;
        append(&q->finished, job);
        pthread_cond_broadcast(&q->ended);
        (void)!write(q->fd, &one, sizeof one);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

/* Signals are the main thread's: the workers of the queue block them all. */
static int start_threads(gdr_compile_queue *q, int threads)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    while (q->threads < threads) {
        compile_thread *t = &q->thread[q->threads];
        t->q = q;
        if (pthread_create(&t->id, NULL, serve, t))
            break;
        q->threads++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return q->threads > 0;
}

gdr_status gdr_compile_queue_open(const gdr_target *target, int threads,
                                  double limit_s, gdr_compile_queue **out)
{
    gdr_compile_queue *q =
        calloc(1, sizeof *q + sizeof *q->thread * (size_t)threads);

    *out = NULL;
    if (!q)
        return GDR_ERR_NO_MEMORY;
    q->target = target;
    q->limit_s = limit_s;
    q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->work, NULL);
    pthread_cond_init(&q->ended, NULL);
    if (q->fd < 0 || !start_threads(q, threads)) {
        gdr_compile_queue_close(q);
        return GDR_ERR_NO_MEMORY;
    }
    *out = q;
    return GDR_OK;
}

/* ---- ending what runs ---- */

/* Signals the groups of the thread's children. Best effort: without this file
 * of the kernel one waits for them, as for compilers that are no program. */
static void signal_children(const compile_thread *t, int signal_number)
{
    char path[64];
    FILE *f;
    int pid;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)t->number);
    f = fopen(path, "re");
    while (f && fscanf(f, "%d", &pid) == 1)
        kill(-pid, signal_number);
    if (f)
        fclose(f);
}

/* Waits for the end of a compilation, but not long. Holds the lock. */
static void wait_a_little(gdr_compile_queue *q)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 50000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&q->ended, &q->lock, &until);
}

static int runs_for(const compile_thread *t, const void *owner)
{
    return t->job && (!owner || t->job->owner == owner);
}

/* Ends whatever runs for an owner, NULL: for anyone. SIGTERM first: gcc then
 * removes its temporary files. Again and again, since a compilation may start
 * more than one program. Holds the lock. */
static void end_running(gdr_compile_queue *q, const void *owner)
{
    enum { PATIENCE = 10 };
    int n = 1;

    for (int tries = 0; n; tries++) {
        n = 0;
        for (int i = 0; i < q->threads; i++) {
            if (!runs_for(&q->thread[i], owner))
                continue;
            signal_children(&q->thread[i],
                            tries < PATIENCE ? SIGTERM : SIGKILL);
            n++;
        }
        if (n)
            wait_a_little(q);
    }
}

static void free_images(job_list *l)
{
    for (gdr_compile_job *job; (job = take_first(l));) {
        free(job->image.code);
        job->image.code = NULL;
    }
}

void gdr_compile_queue_close(gdr_compile_queue *q)
{
    if (!q)
        return;
    pthread_mutex_lock(&q->lock);
    q->closing = 1;
    pthread_cond_broadcast(&q->work);
    end_running(q, NULL);
    pthread_mutex_unlock(&q->lock);
    for (int i = 0; i < q->threads; i++)
        pthread_join(q->thread[i].id, NULL);
    free_images(&q->finished);
    if (q->fd >= 0)
        close(q->fd);
    pthread_cond_destroy(&q->ended);
    pthread_cond_destroy(&q->work);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

void gdr_compile_queue_put(gdr_compile_queue *q, gdr_compile_job *job)
{
    memset(&job->image, 0, sizeof job->image);
    pthread_mutex_lock(&q->lock);
    append(&q->waiting, job);
    pthread_cond_signal(&q->work);
    pthread_mutex_unlock(&q->lock);
}

gdr_compile_job *gdr_compile_queue_next(gdr_compile_queue *q)
{
    gdr_compile_job *job;
    uint64_t count;

    pthread_mutex_lock(&q->lock);
    job = take_first(&q->finished);
    if (job)
        (void)!read(q->fd, &count, sizeof count);
    pthread_mutex_unlock(&q->lock);
    return job;
}

int gdr_compile_queue_fd(const gdr_compile_queue *q)
{
    return q->fd;
}

void gdr_compile_queue_pause(gdr_compile_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->paused = 1;
    while (q->running)
        pthread_cond_wait(&q->ended, &q->lock);
    pthread_mutex_unlock(&q->lock);
}

void gdr_compile_queue_resume(gdr_compile_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->paused = 0;
    pthread_cond_broadcast(&q->work);
    pthread_mutex_unlock(&q->lock);
}

/* Takes the owner's jobs out of a list; their images go too. */
static int remove_owner(job_list *l, const void *owner)
{
    job_list rest = {0};
    int removed = 0;

    for (gdr_compile_job *job; (job = take_first(l));) {
        if (job->owner != owner) {
            append(&rest, job);
            continue;
        }
        free(job->image.code);
        job->image.code = NULL;
        removed++;
    }
    *l = rest;
    return removed;
}

void gdr_compile_queue_withdraw(gdr_compile_queue *q, const void *owner)
{
    uint64_t count;

    pthread_mutex_lock(&q->lock);
    remove_owner(&q->waiting, owner);
    end_running(q, owner);
    for (int n = remove_owner(&q->finished, owner); n > 0; n--)
        (void)!read(q->fd, &count, sizeof count);
    pthread_mutex_unlock(&q->lock);
}
