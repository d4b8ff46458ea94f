/*
 * bundle_run.h - the correctness gate once more, for code that comes from a
 * file: it was right where it was tuned; is it here?
 */
#ifndef GDR_BUNDLE_RUN_H
#define GDR_BUNDLE_RUN_H

#include "gdr.h"

/* What came of one code on one device. Texts live until the callback returns.
 */
typedef struct gdr_bundle_trial {
    const char *device; /* "cpu", "cuda:0" */
    const char *statics, *kernel, *config;
    const char *outcome;     /* "ok", "wrong", "crash", ... as in schema.sql */
    const char *note;        /* of a failure */
    double error_o, error_s; /* worst error over its bound */
} gdr_bundle_trial;
typedef void (*gdr_bundle_trial_fn)(void *ctx, const gdr_bundle_trial *t);

typedef struct gdr_bundle_trials {
    int codes;  /* of the file */
    int ran;    /* those that could run on a device here, once for each */
    int failed; /* of these */
    int idle;   /* codes that no device here can run */
} gdr_bundle_trials;

/*
 * Loads each code of a database in a process of its own, on every device that
 * it may run on: the cpu and the first card, or `device` alone, and judges it
 * on the gate's inputs and at extents that it serves. A crash or a hang fails
 * that one code. The program must answer gdr_worker_asked first thing in its
 * main.
 *
 * GDR_ERR_NO_DEVICE: `device` does not open. Else trouble of the judge.
 */
gdr_status gdr_bundle_run(const char *path, const char *device,
                          gdr_bundle_trial_fn fn, void *ctx,
                          gdr_bundle_trials *sum, char *msg, size_t n);

#endif
