/*
 * verify.h - the correctness gate. A variant that passes agrees with the
 * float64 oracle within the forward-error bound on ordinary and hostile inputs,
 * writes nothing it should not, repeats itself bitwise and does not depend on
 * the batch it is in.
 */
#ifndef GDR_VERIFY_H
#define GDR_VERIFY_H

#include "target.h"

typedef struct gdr_verdict {
    const char *outcome;     /* "ok" "wrong" "launch" "race" "crash": static */
    double error_o, error_s; /* worst error over its bound (<= 1 passes) */
    int64_t cases;
    char note[768]; /* what, where, by how much; and the case's name */
    int poisoned;   /* the device is: only a new process helps */
} gdr_verdict;

typedef struct gdr_verify_options {
    uint64_t seed;
    int thorough; /* 0: the gate (tens of ms); then every axis of a call as
                     well: 1: all pairs of levels, 2: all triples (check-all) */
    const gdr_extents *extents; /* also check a sample of heads at these */
    int n_extents;
    /* called before each case with its name, so that a crash can be blamed */
    void (*progress)(void *ctx, const char *name);
    void *ctx;
} gdr_verify_options;

/* Runs the gate on a loaded recipe. Status is for trouble of the judge
 * (memory); the verdict speaks of the variant. */
gdr_status gdr_verify(const gdr_target *target, const gdr_recipe *recipe,
                      const gdr_verify_options *options, gdr_verdict *verdict);

#endif
