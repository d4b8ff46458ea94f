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
    int csv;                  /* show: a table for programs */
} gdr_report_options;

/* Colour and the redrawn line are for terminals only, colour not with NO_COLOR;
 * whether out and err are terminals is looked up here. Texts from anywhere are
 * printed with control characters and broken UTF-8 replaced. */
gdr_status gdr_report_open(const gdr_report_options *o, gdr_report **out);
void gdr_report_close(gdr_report *r); /* NULL is harmless */

/* Where gdr_report_winner looks up the default's config; NULL: nowhere. Not
 * owned, must outlive its use. */
void gdr_report_attach(gdr_report *r, gdr_store *st);

/* Progress of a run: on a terminal one line, redrawn at most 10 times a second
 * and cut to the width; elsewhere, and with quiet, nothing. done and total
 * count variants x problems still to do. */
typedef struct gdr_progress {
    const char *phase;   /* "compile", "verify", "screen", "final" */
    const char *problem; /* what is being worked on */
    int64_t done, total, failures;
    double best_ns; /* of this problem so far; 0: none */
    double elapsed_s;
    double left_s; /* < 0: unknown, taken from the rate so far */
} gdr_progress;
void gdr_report_progress(gdr_report *r, const gdr_progress *p);
/* Takes the progress line away: before anything else is printed. */
void gdr_report_clear(gdr_report *r);

/* A line for a person, on err; level 0 always, 1 unless quiet, 2 verbose. */
void gdr_report_say(gdr_report *r, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A problem is finished: a JSON object on out or, unless quiet, a line on err.
 */
void gdr_report_winner(gdr_report *r, const gdr_winner_row *row);

/* A problem had its winner before this run: JSON object, nothing for a person.
 */
void gdr_report_stored(gdr_report *r, const gdr_winner_row *row);

/* What a device that checks and never times found of a static problem. */
typedef struct gdr_failure {
    const char *kernel, *config, *outcome, *note;
} gdr_failure;

typedef struct gdr_checked {
    const char *statics, *device; /* fingerprint */
    int64_t variants, clean;
    const gdr_failure *failed; /* [variants - clean] */
} gdr_checked;

/* A JSON object on out with keys problem device variants clean failed (a list
 * of kernel config outcome note), or lines on err: one, and one a failure. */
void gdr_report_checked(gdr_report *r, const gdr_checked *c);

/*
 * The table of all winners: problem, config, time, GB/s, gain, % of roofline,
 * or JSON objects as gdr_report_winner's. only: device fingerprint, or NULL for
 * all. *n: how many; with none, says how to tune. "match" is what this machine
 * would call the row: exact, sibling, or nothing when it cannot run it.
 *
 * JSON keys: problem device kernel config time_ns spread gain gain_lo gain_hi
 * gbps roofline default match run noise bytes regret. Times in ns, ratios as
 * they are (roofline 0.9 is 90 %), default the config of the default, regret
 * against the fastest measured where a bundle has another. What is unknown or
 * not finite is null.
 */
gdr_status gdr_report_show(gdr_report *r, gdr_store *st, const char *only,
                           int64_t *n);

/*
 * Which plan a call would get, how good the match is, why the others lost. The
 * plan is the answer of libgdr itself, on the database at path db, which st has
 * open, on the device of that name ("auto", "cpu", "cuda:N"); the rest is read
 * from st. With JSON, one object with keys problem
 * device plan note remedy trials failed pruned.
 *
 * GDR_ERR_NO_PLAN: nothing tuned fits this machine, and the output says which
 * command would tune it. GDR_ERR_ARG: p has no extents; those that are tuned
 * are listed. Failures of libgdr and of the store as they come, with a message.
 */
gdr_status gdr_report_explain(gdr_report *r, gdr_store *st, const char *db,
                              const char *device, const gdr_problem *p);

#endif
