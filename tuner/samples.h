/*
 * samples.h - the times of a race: a table of rounds by candidates. Times are
 * only compared within a round, so that drift cancels, and kept as logarithms:
 * a ratio is a difference, and noise that scales with the time is the same for
 * all.
 */
#ifndef GDR_SAMPLES_H
#define GDR_SAMPLES_H

#include "gdr.h"
#include "stats.h"

typedef struct gdr_samples {
    int n;      /* candidates; column n is the anchor's second run */
    int anchor; /* -1: none */
    int64_t rounds, capacity;
    double *log_ns;  /* [rounds][n + 1]; NaN: was not run */
    double *scratch; /* [capacity] */
} gdr_samples;

/* An empty table holds no memory. Close leaves it empty. */
void gdr_samples_open(int n, int anchor, gdr_samples *s);
void gdr_samples_close(gdr_samples *s);

/* A new round, of which nothing has run yet. */
gdr_status gdr_samples_add_round(gdr_samples *s);

/* A time in the newest round; slot n is the anchor's second run. */
void gdr_samples_put(gdr_samples *s, int slot, double ns);

/* The anchor is someone else from now on; the second runs so far are gone. */
void gdr_samples_set_anchor(gdr_samples *s, int anchor);

/* Median of log(time of i / time of j), and its interval, over those rounds
 * from `from` on that have both; j = -1: of log(time of i in ns). The anchor's
 * two runs of a round count as their mean. All NaN when there is no such round.
 */
gdr_interval gdr_samples_compare(const gdr_samples *s, int i, int j,
                                 int64_t from);

/* A/A: log(second run / first run) of the anchor, n: how many. */
gdr_interval gdr_samples_noise(const gdr_samples *s, int64_t from, int *n);

#endif
