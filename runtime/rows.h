/*
 * rows.h - what libgdr keeps of a database: for each plan that could be
 * dispatched to, what it was tuned for, where, and its code. Everything is
 * copied and checked when it is put, so that the file may vanish and no later
 * step meets rubbish. A row that does not hold up is skipped, and a note says
 * which and why.
 *
 * Life cycle: open, put every row, put every code's steps, then read only.
 * Rows do not know where they came from.
 */
#ifndef GDR_ROWS_H
#define GDR_ROWS_H

#include "recipe.h"

/* A device that rows come from. */
typedef struct gdr_origin {
    const char *fingerprint, *kind, *arch, *isa;
} gdr_origin;

/* Is this the hash of the image? */
typedef int (*gdr_hash_fits)(const char *hash, const void *image,
                             int64_t bytes);

/* A variant as built once: its steps. */
typedef struct gdr_code {
    const char *variant, *stamp; /* together unique */
    uint32_t id;                 /* 0, 1, ... */
    const char *why;             /* not NULL: unusable, and why */
    int n_steps;
    struct {
        gdr_step_text text;
        const char *isa;
        const void *image;
        size_t bytes;
        gdr_cpu_kernel run; /* where there is no image */
        const char *hash;   /* what the image must hash to; NULL: unsaid */
        gdr_hash_fits fits;
    } step[GDR_RECIPE_STEPS];
} gdr_code;

/* One row to put, as a stranger may have written it: anything may be NULL. */
typedef struct gdr_row {
    gdr_origin origin;
    const char *problem; /* full: tuned for it. statics alone: a default */
    int64_t max_work;    /* a default: for B*T*Hv up to this */
    const char *variant, *stamp;
    const char *kernel, *config, *reduction;
    int64_t abi;
    const char *run; /* which made it, for people; NULL: unknown */
    double time_ns;  /* 0: never timed */
    double regret;   /* of the fastest known there; negative: unknown */
    int spare;       /* measured, but not chosen: serves where it is pinned */
} gdr_row;

/* The same, checked. */
typedef struct gdr_entry {
    const gdr_origin *origin;
    const gdr_code *code;
    gdr_problem problem; /* extents 0: a default */
    int64_t max_work;
    const char *text; /* the problem's */
    const char *kernel, *config, *reduction, *run;
    int64_t abi;
    double time_ns, regret;
    int spare;
} gdr_entry;

enum { GDR_ROWS_NOTES = 32 };

typedef struct gdr_rows {
    gdr_entry *entry;
    gdr_code **code;
    gdr_origin **origin;
    uint32_t n_entries, n_codes, n_origins;
    const char *note[GDR_ROWS_NOTES]; /* the first skipped rows */
    uint32_t n_skipped;               /* all of them */
    /* private: memory, index of codes */
    struct gdr_rows_chunk *chunks;
    void *codes_by_name;
} gdr_rows;

gdr_status gdr_rows_open(gdr_rows **out);
void gdr_rows_close(gdr_rows *rows);

/* GDR_OK when skipped, too. GDR_ERR_NO_MEMORY leaves the rows as they were. */
gdr_status gdr_rows_put(gdr_rows *rows, const gdr_row *row);

/* Step n of code id. Steps come in order, from 0. A bad one makes the whole
 * code unusable. */
gdr_status gdr_rows_put_step(gdr_rows *rows, uint32_t id, int64_t n,
                             const gdr_step_text *text, const char *isa,
                             const void *image, int64_t bytes);

/* What the step that was put last must hash to. It is asked when the code is
 * wanted, not for all that nobody will load. */
gdr_status gdr_rows_put_hash(gdr_rows *rows, uint32_t id, const char *hash,
                             gdr_hash_fits fits);

/* Is every image of it what its hash says? */
int gdr_code_intact(const gdr_code *code);

/* The same as gdr_rows_put_step, where the code is a function of this process.
 */
gdr_status gdr_rows_put_kernel(gdr_rows *rows, uint32_t id, int64_t n,
                               const gdr_step_text *text, const char *isa,
                               gdr_cpu_kernel run);

/* The code of this id is unusable, because ... */
gdr_status gdr_rows_refuse_code(gdr_rows *rows, uint32_t id, const char *why);

#endif
