/*
 * race.h - which of n candidates is fastest: interleaved, paired against an
 * anchor (the default), successive halving, then a final with a stated stop
 * rule. Pure statistics: time comes from a callback, so that a scripted clock
 * tests every branch. docs/measuring.md tells people what is done here.
 */
#ifndef GDR_RACE_H
#define GDR_RACE_H

#include "gdr.h"

/* One sample of one candidate, ns per launch. A failure drops the candidate
 * (its outcome is the callback's to record), and so does a time that is not
 * finite and positive; GDR_ERR_BUSY stops the race (budget or interrupt) and
 * the best so far stands. */
typedef gdr_status (*gdr_sampler)(void *ctx, int candidate, double *ns);

typedef struct gdr_race_options {
    int screen_rounds;  /* rounds of everything, the first is discarded */
    double screen_drop; /* drop above this multiple of the best */
    int halve_rounds;   /* longest halving stage; 0: 8 */
    int finalists;      /* halve until at most this many */
    int final_rounds_min, final_rounds_max;
    double ci_stop;     /* relative half-width at which a final ends */
    double epsilon_min; /* smallest difference that counts (0.005) */
    uint64_t seed;      /* order shuffles; same seed, same order */
    /* called when the finals begin (1) and end (0): be quiet now */
    void (*quiet)(void *ctx, int on);
} gdr_race_options;

/* How far a racer came. */
enum { GDR_RACE_SCREENED, GDR_RACE_HALVED, GDR_RACE_FINALIST };

typedef struct gdr_racer {
    int alive;      /* reached the end of its stage without failing */
    int stage;      /* 0 screened out, 1 halved out, 2 finalist */
    int64_t rounds; /* samples; the anchor runs twice in rounds of the final */
    double time_ns; /* median over the final, else all but the first; 0: none */
    double spread;  /* relative half-width of its CI; infinite for one sample */
    double ratio;   /* median of time / anchor in the same round; NaN: none */
    double ratio_lo, ratio_hi; /* confidence interval (95 %), maybe infinite */
    double *samples;           /* raw, in order, first included; n = rounds */
} gdr_racer;

typedef struct gdr_race {
    int winner; /* anchor unless beaten beyond noise; -1: nothing ran */
    int anchor; /* what the ratios are against: the anchor given or, when that
                 * failed, the best that was left; -1: nothing ran */
    int64_t rounds, final_rounds; /* all, and those of the final */
    double noise;   /* A/A floor: how far the anchor's second run may be from
                     * its first: the CI's outer end; 0: no final was run */
    double epsilon; /* smallest difference that counted */
    const char *stopped; /* "ci", "equivalent", "rounds", "budget", "single",
                          * "failed" (nothing ran); static text */
    int n;
    gdr_racer *racer; /* [n] */
} gdr_race;

/* anchor: index of the default (-1: none, the best of the screen serves);
 * incumbent: index of the stored winner of an earlier run or -1 (kept among
 * equals). tie[i]: order among equals, smaller wins; NULL: the index.
 * GDR_ERR_ARG for n < 1 or indices out of range, GDR_ERR_NO_MEMORY; failing
 * candidates, even all of them, are no error. out is valid either way. */
gdr_status gdr_race_run(const gdr_race_options *o, int n, int anchor,
                        int incumbent, const int *tie, gdr_sampler sampler,
                        void *ctx, gdr_race *out);
void gdr_race_free(gdr_race *out); /* NULL is harmless */

/* Rigour levels: "quick", "measure", "exhaustive". 0 if unknown. */
int gdr_race_effort(const char *name, gdr_race_options *out);

#endif
