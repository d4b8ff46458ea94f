/*
 * compile_only.h - gdr-tune --compile-only: every variant of every static
 * problem for chips that are not there. Needs NVRTC, and no card or driver.
 *
 * Each source is compiled once per chip; what follows from the extents of a
 * call (block, dynamic shared memory, bytes in flight) is that of the problem
 * with the most work.
 */
#ifndef GDR_COMPILE_ONLY_H
#define GDR_COMPILE_ONLY_H

#include "tune.h"

/* A tuning run has more variants to time than it has time for. */
enum { GDR_COMPILE_ONLY_CONFIGS = 24 };

typedef struct gdr_compile_only_result {
    int64_t variants, good, refused, errors;
    int64_t missing;     /* problems x chips without a good variant */
    int64_t ptx_missing; /* problems without a default as PTX */
    int64_t most;        /* variants of one problem on one chip */
    int64_t compiled;    /* sources, PTX included */
    int interrupted;
} gdr_compile_only_result;

/*
 * archs: "sm_75,sm_90a"; NULL: all chips that are tested. Of o it uses shapes,
 * only, templates, jobs, stop, report, and effort: quick compiles the defaults
 * alone. print: what report was opened with.
 *
 * GDR_OK whatever the compiler refuses: the result says so. An error (msg says
 * what to do) is of usage or environment: an unknown arch, one that this NVRTC
 * does not know, no NVRTC, a spec that is wrong.
 */
gdr_status gdr_compile_only(const gdr_tune_options *o, const char *archs,
                            const gdr_report_options *print,
                            gdr_compile_only_result *result, char *msg,
                            size_t n);

#endif
