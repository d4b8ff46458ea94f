/*
 * report.h - everything gdr-tune shows a person or a program: the progress
 * line, the table of winners, JSON lines, explain. Reads the store, decides
 * nothing.
 */
#ifndef GDR_REPORT_H
#define GDR_REPORT_H

#include "../db/store.h"
#include <stdio.h>

typedef struct gdr_report gdr_report;

typedef struct gdr_report_options {
    int json, quiet, verbose; /* json: results as JSON lines on stdout */
    FILE *out, *err;          /* results; progress and messages */
} gdr_report_options;

gdr_status gdr_report_open(const gdr_report_options *o, gdr_report **out);
void gdr_report_close(gdr_report *r);

/* Progress of a run. On a terminal one line is redrawn, else a line per
 * problem. done and total count variants x problems still to do. */
typedef struct gdr_progress {
    const char *phase;   /* "compile", "verify", "screen", "final" */
    const char *problem; /* what is being worked on */
    int64_t done, total, failures;
    double best_ns, elapsed_s, left_s; /* left_s < 0: unknown */
} gdr_progress;
void gdr_report_progress(gdr_report *r, const gdr_progress *p);

/* A line for a person, on err; level 0 always, 1 unless quiet, 2 verbose. */
void gdr_report_say(gdr_report *r, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A problem is finished: JSON object or a line. */
void gdr_report_winner(gdr_report *r, const gdr_winner_row *row);

/* The table of all winners: problem, config, time, GB/s, gain, % of roofline.
 * only: device fingerprint, or NULL for all. Returns how many. */
gdr_status gdr_report_show(gdr_report *r, gdr_store *st, const char *only,
                           int64_t *n);

/* Which plan a call would get, how good the match is, why the others lost. */
gdr_status gdr_report_explain(gdr_report *r, gdr_store *st, const char *db,
                              const gdr_problem *p);

#endif
