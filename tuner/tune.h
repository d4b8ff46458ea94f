/*
 * tune.h - the whole of a tuning run: problems to variants to winners, in a
 * database that is whole after each step. Below it: session (what is open),
 * agenda (which problems), batch (the variants of one static problem, compiled
 * and gated), contest (the race of one problem).
 */
#ifndef GDR_TUNE_H
#define GDR_TUNE_H

#include "report.h"

#include <signal.h>

typedef struct gdr_tune_options {
    const char *device;        /* "auto", "cpu", "N", "cuda:N"; one */
    const char *db;            /* path, or NULL for the user's own */
    const char *const *shapes; /* names or files */
    int n_shapes;
    const char *const *only; /* problems, or static texts that filter */
    int n_only;
    const char *misses;    /* a file of gdr_misses_append, or NULL */
    const char *effort;    /* quick, measure, exhaustive */
    const char *templates; /* folder, or NULL */
    const char *clock;     /* NULL: the real one; "script:SEED": for tests */
    const char *command;   /* the command line, for the record */
    double budget_s;       /* 0: none */
    double deadline_s;     /* least silence that kills a worker; 0: 2 s */
    int jobs;              /* 0: as many as there are threads */
    int64_t seed;
    int fresh, dry_run;
    int check_only;    /* every variant is judged, nothing is timed */
    int share, shares; /* this process's part of the problems, 0-based; shares
                          0: all of them, and nobody else is at work */
    int loud_workers;  /* keep their stderr */
    gdr_report *report;
    const volatile sig_atomic_t *stop; /* set by a signal; may be NULL */
} gdr_tune_options;

typedef struct gdr_tune_result {
    int64_t problems; /* asked for */
    int64_t current;  /* had a winner already */
    int64_t tuned;    /* got one now */
    int64_t missing;  /* have none */
    int interrupted;
    int checked; /* the device never times: "tuned" have no variant that
                    failed, "missing" some */
} gdr_tune_result;

/* GDR_OK even when problems got no winner or the run was interrupted: the
 * result says so. An error (msg says what to do) is of usage or environment. */
gdr_status gdr_tune(const gdr_tune_options *o, gdr_tune_result *result,
                    char *msg, size_t n);

#endif
