/*
 * stopwatch.h - times variants of one problem in a worker that has them all
 * loaded. A worker may die at any launch: then the variant is tried once more
 * alone, to tell the culprit from the victim of a neighbour, and a new worker
 * loads the survivors. A culprit becomes a row, and is not loaded again.
 *
 * Life cycle: open, samples, close (harmless when zeroed).
 */
#ifndef GDR_STOPWATCH_H
#define GDR_STOPWATCH_H

#include "batch.h"

typedef struct gdr_stopwatch {
    gdr_batch *b;
    gdr_problem p;
    char problem[GDR_PROBLEM_TEXT];
    gdr_entrant **e; /* [n], the caller's */
    int n;
    char *dead;         /* [n] */
    char *suspect;      /* [n] died once beside others, lived alone */
    gdr_worker *worker; /* NULL: to be started */
    double launch_ns;   /* expected, for deadlines; 0: unknown */
    int hopeless;       /* the workload cannot be made: nothing can be timed */
    gdr_status status;  /* BUSY: interrupted; else trouble with the database */
} gdr_stopwatch;

/* Over the first n of e, in the caller's memory, which must outlive it. */
gdr_status gdr_stopwatch_open(gdr_stopwatch *w, gdr_batch *b,
                              const gdr_problem *p, gdr_entrant **e, int n);
void gdr_stopwatch_close(gdr_stopwatch *w);

/* ns per launch of entrant i. GDR_ERR_LAUNCH: it is dead, now or before;
 * GDR_ERR_BUSY: no sample can be had, see status and hopeless. */
gdr_status gdr_stopwatch_sample(gdr_stopwatch *w, int i, int64_t launches,
                                double *ns);

/* ns that rewriting the states' traffic takes, on the same memory. 0: failed.
 */
double gdr_stopwatch_roofline(gdr_stopwatch *w);

/* ns per launch of entrant i, launched one by one. 0: failed, which is no word
 * about the entrant: it has been timed. */
double gdr_stopwatch_eager(gdr_stopwatch *w, int i, int64_t launches);

#endif
