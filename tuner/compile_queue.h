/*
 * compile_queue.h - compiles beside everything else, on threads that yield to
 * all other work (nice 19), and not at all while paused.
 *
 * Life cycle: open, put jobs, take them back with next, close. The caller owns
 * the jobs, which must live until they came back or the queue is closed. All
 * calls from one thread.
 */
#ifndef GDR_COMPILE_QUEUE_H
#define GDR_COMPILE_QUEUE_H

#include "target.h"

typedef struct gdr_compile_queue gdr_compile_queue;

typedef struct gdr_compile_job {
    const char *source;
    size_t bytes;
    const char *arch; /* what to compile for */
    void *user;
    const void *owner; /* who may withdraw it */
    /* filled in */
    gdr_status status;
    gdr_image image; /* the taker's */
    char log[2048];
    struct gdr_compile_job *next_job; /* the queue's */
} gdr_compile_job;

gdr_status gdr_compile_queue_open(const gdr_target *target, int threads,
                                  double limit_s, gdr_compile_queue **out);
/* Drops what waits, ends what runs. NULL is harmless. */
void gdr_compile_queue_close(gdr_compile_queue *q);

void gdr_compile_queue_put(gdr_compile_queue *q, gdr_compile_job *job);

/* A finished job, or NULL when there is none. */
gdr_compile_job *gdr_compile_queue_next(gdr_compile_queue *q);
/* Readable when there is a finished job: for poll. */
int gdr_compile_queue_fd(const gdr_compile_queue *q);

/* Starts no more, and returns when nothing runs. */
void gdr_compile_queue_pause(gdr_compile_queue *q);
void gdr_compile_queue_resume(gdr_compile_queue *q);

/* Forgets all jobs of an owner, and ends those that run. */
void gdr_compile_queue_withdraw(gdr_compile_queue *q, const void *owner);

#endif
