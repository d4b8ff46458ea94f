/*
 * pool.h - a few threads that share one range at a time. Made for calls of tens
 * of microseconds: threads spin a little before they sleep, and the caller
 * takes part.
 *
 * Life cycle: open, any launches, close (NULL is harmless). Threads start at
 * the first launch, and again at the first launch after a fork. Launches may
 * come from any threads at once: the first has the pool, the others run on
 * their own thread and never wait. So does a launch from inside a body.
 */
#ifndef GDR_POOL_H
#define GDR_POOL_H

#include "gdr.h"

typedef struct gdr_pool gdr_pool;

enum { GDR_POOL_MAX = 1024 };

/* threads counts the caller: 1 .. GDR_POOL_MAX. The threads will run on the
 * cpus that the thread which opens the pool may use, wherever the launching
 * thread is pinned. */
gdr_status gdr_pool_open(int threads, gdr_pool **out);
void gdr_pool_close(gdr_pool *pool);

/* Calls body(ctx, begin, end) on ranges that cover [0, n) once, each range
 * contiguous and equal to within one unit; returns when all are done. */
void gdr_pool_run(gdr_pool *pool, int64_t n, gdr_body body, void *ctx);

#endif
