/*
 * bundle.h - what ships: a smaller database with winners and defaults.
 */
#ifndef GDR_BUNDLE_H
#define GDR_BUNDLE_H

#include "../db/store.h"

/* What is in one. */
typedef struct gdr_bundle_sum {
    int64_t bytes; /* of the file */
    uint32_t plans, codes;
    uint32_t tuned,
        slower;    /* places; those with a plan that is not the fastest */
    double regret; /* the most that one of these costs: 0.03 is 3 % */
    int absent;    /* static problems that were asked for and are not in it */
    char first_absent[GDR_PROBLEM_TEXT];
    char digest[GDR_DIGEST_TEXT]; /* "": of C source */
    char table[64];               /* its name in C source; "": a database */
} gdr_bundle_sum;

typedef struct gdr_bundle_options {
    gdr_bundle_filter filter; /* finish and ctx are ours */
    const char *secret; /* a file of gdr_bundle_keygen whose key signs what
                           libgdr will read; NULL: not signed */
    int as_c;           /* C source, see bundle_c.h; it cannot be signed */
} gdr_bundle_options;

/*
 * filter.arch: "sm_90" is "sm_90a". For a card's architecture that db has
 * nothing for, the defaults of the problems that db has are compiled, and serve
 * there as defaults. What was written is read again and summed up. GDR_ERR_ARG
 * lists what db has where an arch is neither; GDR_ERR_COMPILE: no NVRTC.
 */
gdr_status gdr_bundle_build(const char *db, const gdr_bundle_options *options,
                            const char *path, gdr_bundle_sum *sum, char *msg,
                            size_t n);

/*
 * The same of several databases or bundles, each verified before: of two
 * choices for a problem on a device the later, of two of one second the first
 * file's; defaults of the first file that has any. Signatures do not come
 * along.
 */
gdr_status gdr_bundle_merge(const char *const *from, int n_from,
                            const gdr_bundle_options *options, const char *path,
                            gdr_bundle_sum *sum, char *msg, size_t n);

/* A new pair of keys: NAME.key, which only the owner may read, and NAME.pub.
 * GDR_ERR_ARG: one of them is there. */
gdr_status gdr_bundle_keygen(const char *name, char *msg, size_t n);

/*
 * Reads all of a bundle and executes nothing: signature where $GDR_VERIFY_KEY
 * asks for one, pages, rows, the SHA-256 of each
 * code, that this libgdr could load it. GDR_ERR_FORMAT with the first fault.
 */
gdr_status gdr_bundle_verify(const char *path, gdr_bundle_sum *sum, char *msg,
                             size_t n);

#endif
