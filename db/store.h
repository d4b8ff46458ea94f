/*
 * store.h - the tuning database: devices, runs, trials, images, choices.
 * Only db/ speaks SQL or includes sqlite3.h; schema.sql's comments are the
 * documentation of the tables.
 *
 * Life cycle: open, any calls, close (NULL is harmless). One handle belongs to
 * one thread and, after a fork, to the parent. Each put is its own
 * transaction: what returned GDR_OK survives kill -9. A reader sees one
 * snapshot from open to close and holds writers up meanwhile: close it soon.
 * Texts in rows passed to a callback live until it returns; the callback may
 * use the handle.
 *
 * A put refuses a row that the schema forbids with GDR_ERR_ARG, and names the
 * rule. A row comes after the rows that it names: device, run, variant, then
 * trials and steps, then choices and defaults (of steps put before).
 */
#ifndef GDR_STORE_H
#define GDR_STORE_H

#include "gdr.h"

typedef struct gdr_store gdr_store;

typedef enum gdr_store_mode {
    GDR_STORE_READ,        /* never writes, works on read-only media */
    GDR_STORE_READ_SIGNED, /* the same where others may write: the caller checks
                              a signature before it uses what it read */
    GDR_STORE_WRITE        /* creates the file and its folders, migrates */
} gdr_store_mode;

/* *out is set on failure too (unless memory ran out) so that errmsg works.
 * GDR_ERR_NOT_FOUND, _FORMAT, _NEWER, _READONLY, _FULL, _BUSY, _IO, _UNSAFE
 * (the file is writable by others, so its code cannot be trusted). A reader
 * takes an older file as it is: what it lacks is unknown. */
gdr_status gdr_store_open(const char *path, gdr_store_mode mode,
                          gdr_store **out);
void gdr_store_close(gdr_store *st);
const char *gdr_store_errmsg(const gdr_store *st);

/* Where the database is: explicit path if not NULL, else $GDR_DB, else the
 * user's; readers (write = 0) fall back to the system's when the user's does
 * not exist. GDR_ERR_NOT_FOUND with a message when HOME is missing. */
gdr_status gdr_store_path(const char *path, int write, char *out, size_t n,
                          char *msg, size_t msg_n);

/* ---- rows ---- */

typedef struct gdr_device_row {
    const char *fingerprint; /* unique */
    const char *kind, *arch, *isa, *name;
} gdr_device_row;

typedef struct gdr_run_row { /* provenance: who made the results, and how */
    int64_t device;
    const char *version;  /* of gdr-tune */
    const char *compiler; /* "gcc 12.2.0", with its flags */
    const char *protocol; /* how it was measured: "cold-state/1" */
    const char *command;  /* the command line */
    const char *host;     /* kernel, governor, memory, container limits */
    const char *effort;
    int64_t seed;
} gdr_run_row;

/* A variant's source, named by its SHA-256. */
typedef struct gdr_variant_row {
    const char *hash;      /* SHA-256 of the source, lower-case hex */
    const char *statics;   /* canonical static text */
    const char *kernel;    /* "cpu/recurrent" */
    const char *config;    /* "rows=4 tile_v=32 width=16" */
    const char *reduction; /* bitwise class */
    int64_t abi;           /* the op's parameter ABI */
} gdr_variant_row;

/* One attempt at one variant. problem is static text for the correctness gate
 * and full text for a timing. Unique per (device, problem, variant, stamp). */
typedef struct gdr_trial_row {
    int64_t run, device;
    const char *problem;
    const char *variant; /* hash */
    const char *stamp;   /* freshness: source, compiler, flags, protocol */
    const char *outcome; /* ok pruned compile launch wrong race timeout crash */
    double error_o, error_s; /* worst error over its bound; < 0: not checked */
    double time_ns;          /* median; 0: not timed */
    double spread;           /* relative half-width of the median's CI */
    int64_t rounds;
    const double *samples; /* raw seconds-per-launch in ns, may be NULL */
    int64_t n_samples;
    const char *note; /* why it failed, with the command that repeats it */
    int64_t stage;    /* 0 screened, 1 halved, 2 finalist: sweep keeps it */
    /* of a card, from the compiler's figures; 0: unknown */
    double occupancy;  /* resident warps over the most that an SM holds */
    int64_t in_flight; /* bytes that an SM has asked for at a time */
    double eager_ns;   /* launched one by one, where time_ns is in a graph */
} gdr_trial_row;

/* What the compiler of a device said of a step of a variant. */
typedef struct gdr_compiled_row {
    int64_t device;
    const char *variant, *stamp;
    int64_t n;
    int known; /* 0: a cpu, which has none of the figures */
    int64_t registers, spill_bytes, stack_bytes, smem_static, smem_dynamic;
    int64_t barriers, min_driver; /* 12080: CUDA 12.8 */
    const char *log;              /* "" when it had no words */
} gdr_compiled_row;

/* Code that must not be loaded on a device again. */
typedef struct gdr_quarantine_row {
    int64_t device, run;
    const char *image;   /* SHA-256 of the code */
    const char *outcome; /* crash timeout */
    const char *note;
} gdr_quarantine_row;

/* One step of a variant as built for a device: geometry terms and code. */
typedef struct gdr_step_row {
    const char *variant, *stamp;
    int64_t n;         /* 0, 1, ... */
    const char *entry; /* symbol */
    const char *grid_x, *grid_y, *grid_z, *block, *smem, *workspace;
    const char *pdl; /* put: NULL means "0" */
    const char *isa; /* what the code needs, '+' between */
    const void *code;
    int64_t bytes;
    const char *hash; /* SHA-256 of code */
} gdr_step_row;

/* The decision for one problem on one device; the newest replaces. */
typedef struct gdr_choice_row {
    int64_t run, device;
    const char *problem;
    const char *stamp; /* of the whole space it was chosen from */
    const char *variant, *variant_stamp;   /* the winner (may be the default) */
    const char *fallback, *fallback_stamp; /* the default variant */
    double time_ns, spread;                /* winner */
    double gain;                 /* default time / winner time, >= 1 */
    double gain_lo, gain_hi;     /* confidence interval of gain */
    double noise;                /* A/A floor, relative */
    double bytes;                /* compulsory traffic of the call */
    double roofline_bytes_per_s; /* measured in the same run */
    double regret; /* of the fastest measured; put sets 0, bundles others */
} gdr_choice_row;

/* A default of a static problem: for work (B*T*Hv) up to max_work. */
typedef struct gdr_default_row {
    int64_t device;
    const char *statics;
    int64_t max_work;
    const char *variant, *variant_stamp;
} gdr_default_row;

gdr_status gdr_store_put_device(gdr_store *st, const gdr_device_row *row,
                                int64_t *id); /* same fingerprint, same id */
gdr_status gdr_store_begin_run(gdr_store *st, const gdr_run_row *row,
                               int64_t *id);
gdr_status gdr_store_end_run(gdr_store *st, int64_t run, const char *outcome);
gdr_status gdr_store_put_variant(gdr_store *st, const gdr_variant_row *row);
gdr_status gdr_store_put_trial(gdr_store *st, const gdr_trial_row *row);
gdr_status gdr_store_put_compiled(gdr_store *st, const gdr_compiled_row *row);
gdr_status gdr_store_put_quarantine(gdr_store *st,
                                    const gdr_quarantine_row *row);
/* GDR_OK also when there was no such row. */
gdr_status gdr_store_lift_quarantine(gdr_store *st, int64_t device,
                                     const char *image);
gdr_status gdr_store_put_pruned(gdr_store *st, int64_t run, const char *statics,
                                const char *kernel, const char *reason,
                                int64_t count);
/* The variant comes first, the steps before a choice or default of them. */
gdr_status gdr_store_put_step(gdr_store *st, const gdr_step_row *row);
gdr_status gdr_store_put_choice(gdr_store *st, const gdr_choice_row *row);
gdr_status gdr_store_put_default(gdr_store *st, const gdr_default_row *row);

/* Deletes code that no choice, default or finalist names any more. */
gdr_status gdr_store_sweep(gdr_store *st);

/* ---- reading: a callback per row; it returns 0 to go on, else stops. ---- */

/* GDR_ERR_NOT_FOUND when there is no such trial. The row's texts live until
 * the next call on the handle. */
gdr_status gdr_store_get_trial(gdr_store *st, int64_t device,
                               const char *problem, const char *variant,
                               const char *stamp, gdr_trial_row *row);
/* The same of code that must not be loaded. */
gdr_status gdr_store_get_quarantine(gdr_store *st, int64_t device,
                                    const char *image, gdr_quarantine_row *row);
gdr_status gdr_store_get_choice(gdr_store *st, int64_t device,
                                const char *problem, gdr_choice_row *row);

typedef int (*gdr_trial_fn)(void *ctx, const gdr_trial_row *trial,
                            const gdr_variant_row *variant);
gdr_status gdr_store_each_trial(gdr_store *st, int64_t device,
                                const char *problem, gdr_trial_fn fn,
                                void *ctx);

/* Every choice with all a reader wants beside it. */
typedef struct gdr_winner_row {
    gdr_choice_row choice;
    gdr_variant_row variant, fallback; /* the winner's, the default's */
    gdr_device_row device;
    int64_t device_id;
    const char *version, *compiler, *began; /* of the run; UTC, ISO 8601 */
} gdr_winner_row;
typedef int (*gdr_winner_fn)(void *ctx, const gdr_winner_row *row);
gdr_status gdr_store_each_winner(gdr_store *st, gdr_winner_fn fn, void *ctx);

typedef struct gdr_fallback_row { /* a default with its variant and device */
    gdr_default_row dflt;
    gdr_variant_row variant;
    gdr_device_row device;
    int64_t device_id;
} gdr_fallback_row;
typedef int (*gdr_fallback_fn)(void *ctx, const gdr_fallback_row *row);
gdr_status gdr_store_each_default(gdr_store *st, gdr_fallback_fn fn, void *ctx);

/* Is hash the SHA-256 of the code, in lower-case hex? */
int gdr_store_hash_fits(const char *hash, const void *code, int64_t bytes);

/* The code has not been compared with its hash: that takes longer than reading
 * all else, and is for who is going to run it. */
typedef int (*gdr_step_fn)(void *ctx, const gdr_step_row *row);
gdr_status gdr_store_each_step(gdr_store *st, const char *variant,
                               const char *stamp, gdr_step_fn fn, void *ctx);

typedef int (*gdr_compiled_fn)(void *ctx, const gdr_compiled_row *row);
gdr_status gdr_store_each_compiled(gdr_store *st, int64_t device,
                                   const char *variant, const char *stamp,
                                   gdr_compiled_fn fn, void *ctx);

typedef int (*gdr_pruned_fn)(void *ctx, const char *kernel, const char *reason,
                             int64_t count);
gdr_status gdr_store_each_pruned(gdr_store *st, int64_t device,
                                 const char *statics, gdr_pruned_fn fn,
                                 void *ctx);

/* ---- bundles ---- */

/* What a bundle keeps; none of a list: all. */
typedef struct gdr_bundle_filter {
    const char *const *arch; /* "sm_90a", "x86-64" */
    int n_arch;
    const char *const *statics; /* static texts of problems */
    int n_statics;
    int force; /* in place of a file that is there */
    /* Fewer codes: each choice may be slower than the fastest measured by this
     * (0.05: 5 %), and of each static problem on a device this many variants
     * stay, whatever they cost. 0: all that won. */
    double max_regret;
    int max_kernels;
    /* Called with the path of the whole file before it takes its place; what it
     * returns other than GDR_OK ends all. NULL: nothing is to be done. */
    gdr_status (*finish)(void *ctx, const char *path);
    void *ctx;
} gdr_bundle_filter;

/*
 * Writes winners and defaults with their code to a read-only database at path,
 * whole or not at all: no trials, no samples, nothing that nobody names. The
 * same rows give the same bytes. The default as PTX stays where cards stay.
 *
 * GDR_ERR_NOT_FOUND: nothing would be left. GDR_ERR_ARG: there is a file.
 */
gdr_status gdr_store_bundle(gdr_store *from, const gdr_bundle_filter *filter,
                            const char *path);

/* The name of a file that is made on the way to path, beside it: that of the
 * bundle itself is gdr_store_beside(path, "new", ..). 0: too long. */
int gdr_store_beside(const char *path, const char *word, char *out, size_t n);

/* All of it, brought up to date, to a file that is not there yet. */
gdr_status gdr_store_copy(gdr_store *from, const char *path);

/*
 * Adds the choices and defaults of another database, a copy of gdr_store_copy,
 * with their code to this one; neither trials nor signatures come along. Of two
 * choices for a problem on a device the later stays, of two of one second the
 * one that is here. A device keeps the defaults of a static problem that it
 * has. GDR_ERR_FORMAT: the two hold different code of one build.
 */
gdr_status gdr_store_merge(gdr_store *to, const char *other);

/* Hex, as schema.sql has it. A key's newer signature replaces the old. */
gdr_status gdr_store_put_signature(gdr_store *st, const char *key,
                                   const char *signature);
/* GDR_ERR_NOT_FOUND: none by this key. n: room for 128 digits and the 0. */
gdr_status gdr_store_get_signature(gdr_store *st, const char *key, char *out,
                                   size_t n);

/* Is every page whole, every row where its table says, every name known?
 * GDR_ERR_FORMAT with the first that is not. Hashes of code are for who runs
 * it. */
gdr_status gdr_store_verify(gdr_store *st);

#endif
