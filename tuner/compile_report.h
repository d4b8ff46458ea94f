/*
 * compile_report.h - what --compile-only shows: variants, problems, and what
 * was refused. Decides nothing.
 */
#ifndef GDR_COMPILE_REPORT_H
#define GDR_COMPILE_REPORT_H

#include "chip.h"
#include "columns.h"
#include "compile_once.h"
#include "report.h"

/* One step of one variant on one chip. */
typedef struct gdr_compile_row {
    const char *arch, *problem; /* problem: the static text */
    const gdr_candidate *candidate;
    int step;
    const gdr_compiled *compiled;
    const char *outcome; /* "ok", "refused" (no card should run it), "error" */
    char reason[256];    /* unless ok */
    int64_t threads, dynamic_smem_bytes;
    int64_t in_flight_bytes; /* of all resident blocks of a multiprocessor */
    gdr_occupancy occupancy;
} gdr_compile_row;

/* What became of a static problem on one chip. */
typedef struct gdr_compile_sum {
    int64_t variants, good, refused, errors; /* variants = the other three */
    int most_registers;                      /* the rest of the good alone */
    double least_warps, most_warps;
    int64_t most_in_flight_bytes;
} gdr_compile_sum;

typedef struct gdr_compile_report gdr_compile_report;

/* Prints through r by the options that r was opened with. NULL without memory.
 */
gdr_compile_report *gdr_compile_report_open(gdr_report *r,
                                            const gdr_report_options *o);
void gdr_compile_report_close(gdr_compile_report *c);

/* A JSON object; with verbose a line of the problem's table; and, when it is
 * not ok, its reason for people. */
void gdr_compile_report_row(gdr_compile_report *c, const gdr_compile_row *row);

/* The default of the problem as PTX, for cards that are newer than the file. */
void gdr_compile_report_ptx(gdr_compile_report *c, const gdr_compile_row *row);

/* A problem is through: its table, and its line of the chip's. */
void gdr_compile_report_problem(gdr_compile_report *c, const gdr_chip *chip,
                                const char *problem,
                                const gdr_compile_sum *sum);

/* A chip is through: its table. */
void gdr_compile_report_chip(gdr_compile_report *c, const gdr_chip *chip);

#endif
