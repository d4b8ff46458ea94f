/*
 * retime.h - two stored kernels of one problem timed side by side: x, y and x
 * again in each round, in balanced order on one ring of states, so that the
 * machine's mood cancels and x against itself (A/A) is the yardstick of what a
 * difference means. Programs of bench/ only.
 */
#ifndef RETIME_H
#define RETIME_H

#include "../db/store.h"
#include "../tuner/stats.h"
#include "../tuner/winners.h"

/* The device that is timed on. */
typedef struct retime retime;

/* NULL with a message on stderr. */
retime *retime_open(void);
void retime_close(retime *r);

/* A database and the winners of it that were tuned on this machine. */
typedef struct retime_base {
    const char *path;
    gdr_store *store;
    gdr_winners winners;
} retime_base;

/* 0 with a message on stderr. */
int retime_load(const retime *r, const char *path, retime_base *out);
void retime_unload(retime_base *b);

/* A stored build. */
typedef struct retime_code {
    gdr_store *store;
    const char *variant, *stamp;
} retime_code;

typedef struct retime_result {
    double x_ns;
    gdr_interval other; /* log(y / x) */
    gdr_interval same;  /* log(x again / x) */
    int rounds;
} retime_result;

/* 0 with a message on stderr: it does not fit, load or launch. */
int retime_pair(retime *r, const gdr_problem *p, const retime_code *x,
                const retime_code *y, retime_result *out);

/* "median 0.12 %, 95th percentile 0.80 %" of n values, sorted in place. */
void retime_summary(const char *name, double *x, int n);

#endif
