/*
 * bundle_diff.h - what dispatch would do otherwise with another file.
 */
#ifndef GDR_BUNDLE_DIFF_H
#define GDR_BUNDLE_DIFF_H

#include "gdr.h"

/* One place where they differ; NULL: only the other file has a plan there. */
typedef struct gdr_bundle_change {
    const char *device;         /* fingerprint */
    const char *problem;        /* with extents, or of a default without */
    int64_t max_work;           /* of a default; else 0 */
    const char *before, *after; /* "kernel config" */
    int same_config;            /* the same, of other code */
} gdr_bundle_change;

typedef void (*gdr_bundle_change_fn)(void *ctx, const gdr_bundle_change *c);

/* In the order of devices, problems and work. *n: how many. Statuses of
 * gdr_open, with msg. */
gdr_status gdr_bundle_diff(const char *a, const char *b,
                           gdr_bundle_change_fn fn, void *ctx, int64_t *count,
                           char *msg, size_t n);

#endif
