/*
 * store_internal.h - the handle of the store and what its files share. Only
 * files of db/ (and their tests) include this or sqlite3.h.
 *
 * All memory of the store comes from sqlite3_malloc, so that one allocator,
 * replaceable through sqlite3_config, sees every request.
 */
#ifndef GDR_STORE_INTERNAL_H
#define GDR_STORE_INTERNAL_H

#include "store.h"
#include <sqlite3.h>

enum {
    GDR_STORE_APPLICATION = 0x67647274, /* "gdrt", as in schema.sql */
    GDR_STORE_VERSION = 3,              /* as in schema.sql */
    GDR_STORE_STATEMENTS = 32,
    /* How long to wait for another process: each of its transactions takes
     * milliseconds, so that ten seconds mean that one is stuck. */
    GDR_STORE_BUSY_MS = 10000
};

/* How messages end. */
#define GDR_STORE_CHOOSE "or choose another file with --db or GDR_DB"
#define GDR_STORE_RESTORE                                                      \
    "restore a copy of the file, or move it away and run gdr-tune again"

struct gdr_store {
    sqlite3 *db;
    char *path;       /* as SQLite gets it */
    const char *name; /* as the caller wrote it, for messages */
    gdr_store_mode mode;
    int version; /* of the tables that are there: a reader may find old ones */
    void *kept;  /* what the last get_* row points to */
    struct {
        const char *sql; /* compared as a pointer */
        sqlite3_stmt *stmt;
    } cache[GDR_STORE_STATEMENTS];
    char msg[1024];
};

/* Sets the message, prefixed with the file's name, and returns the status. */
gdr_status gdr_store_fail(gdr_store *st, gdr_status status, const char *format,
                          ...) __attribute__((format(printf, 3, 4)));
/* The same about another file, whose name the caller gives. */
gdr_status gdr_store_fail_plain(gdr_store *st, gdr_status status,
                                const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same from an SQLite result code and the connection's last error. */
gdr_status gdr_store_fail_sql(gdr_store *st, int rc);

/* Runs statements that return nothing. */
gdr_status gdr_store_exec(gdr_store *st, const char *sql);

/* Ends a transaction: commits if status is GDR_OK, else rolls back. Returns
 * the first failure. */
gdr_status gdr_store_end(gdr_store *st, gdr_status status);

/* Before SQLite opens the file: is it a file, does it hold code that others
 * can write; a writer makes the folders above it. */
gdr_status gdr_store_check_file(gdr_store *st);
/* May a journal be made beside it? */
gdr_status gdr_store_check_folder(gdr_store *st);

/* Is it ours? A writer brings an empty or older one up to date; a reader takes
 * an older one as it is, and what it lacks as unknown. */
gdr_status gdr_store_check_version(gdr_store *st);
/* The tables that we use are ordinary ones, and no trigger runs behind us. */
gdr_status gdr_store_check_tables(gdr_store *st);

/* Brings the database to `version` in one transaction: an empty one gets
 * schema, a version v one steps[v - 1] and those after it. */
gdr_status gdr_store_migrate(gdr_store *st, const char *schema,
                             const char *const *steps, int version);

/* gdr_store_path with the system's places given, NULL-terminated. */
gdr_status gdr_store_path_in(const char *path, int write,
                             const char *const *system, char *out, size_t n,
                             char *msg, size_t msg_n);

/* Choices of fewer variants, from the trials that are there: see
 * gdr_bundle_filter. Within a transaction. */
gdr_status gdr_store_prune(gdr_store *st, double max_regret, int max_kernels);

/* ---- one statement in use ---- */

/* Open, bind the parameters in order, step, read the columns in order, close.
 * Errors stick: the first one is what close returns. */
typedef struct gdr_query {
    gdr_store *st;
    const char *sql;
    sqlite3_stmt *stmt;
    int at;         /* parameter or column last touched */
    int rc;         /* first SQLite error */
    char wrong[64]; /* first cell that is not what it must be, or "" */
} gdr_query;

/* sql must be a static string: the statement is kept for the next use. */
void gdr_query_open(gdr_query *q, gdr_store *st, const char *sql);
void gdr_query_bind_text(gdr_query *q, const char *text); /* NULL: NULL */
void gdr_query_bind_null(gdr_query *q);
void gdr_query_bind_int(gdr_query *q, int64_t value);
void gdr_query_bind_real(gdr_query *q, double value); /* NaN: NULL */
void gdr_query_bind_blob(gdr_query *q, const void *data, int64_t bytes);
/* 1: a row to read, 0: no more, or an error that close will report */
int gdr_query_step(gdr_query *q);
/* Cells are checked as if a stranger had written the file. The pointers live
 * until the next step. */
const char *gdr_query_text(gdr_query *q); /* never NULL */
const char *gdr_query_text_or_null(gdr_query *q);
int64_t gdr_query_int(gdr_query *q, int64_t min, int64_t max);
int64_t gdr_query_int_or(gdr_query *q, int64_t min, int64_t max, int64_t null);
double gdr_query_real(gdr_query *q, double min, double max);
double gdr_query_real_or(gdr_query *q, double min, double max, double null);
const void *gdr_query_blob(gdr_query *q, int64_t *bytes); /* NULL: NULL */
/* Marks the cell last read as wrong. */
void gdr_query_refuse(gdr_query *q, const char *why);
int gdr_query_failed(const gdr_query *q);
gdr_status gdr_query_close(gdr_query *q);

/* ---- groups of columns, and the functions that read them ---- */

#define GDR_STORE_DEVICE "d.id, d.fingerprint, d.kind, d.arch, d.isa, d.name"
#define GDR_STORE_VARIANT                                                      \
    "v.hash, v.statics, v.kernel, v.config, v.reduction, v.abi"
#define GDR_STORE_CHOICE                                                       \
    "c.run, c.device, c.problem, c.stamp, c.variant, c.variant_stamp,"         \
    " c.fallback, c.fallback_stamp, c.time_ns, c.spread, c.gain, c.gain_lo,"   \
    " c.gain_hi, c.noise, c.bytes, c.roofline_bytes_per_s"
/* behind it, what version 2 did not know */
#define GDR_STORE_REGRET ", c.regret"
#define GDR_STORE_NO_REGRET ", 0.0 AS regret"

void gdr_query_device(gdr_query *q, gdr_device_row *row, int64_t *id);
void gdr_query_variant(gdr_query *q, gdr_variant_row *row);
void gdr_query_choice(gdr_query *q, gdr_choice_row *row);

/* Copies n texts, and `bytes` of data before them, into one block of
 * sqlite3_malloc, and points them there. NULL: out of memory, nothing moved. */
void *gdr_store_pack(const char **const *texts, int n, const void **data,
                     size_t bytes);

#endif
