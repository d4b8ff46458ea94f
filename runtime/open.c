/*
 * open.c - a database is read once, when it is opened; this is the only file
 * of libgdr that knows the store.
 */
#include "../db/store.h"
#include "digest.h"
#include "gdr_internal.h"
#include "signature.h"
#include "status.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the callbacks of one reading share. */
typedef struct reading {
    gdr_rows *rows;
    uint32_t code; /* whose steps are read */
    int64_t run;   /* that is told of in words; 0: none yet */
    char words[512];
    gdr_status status;
} reading;

static gdr_origin origin_of(const gdr_device_row *d)
{
    return (gdr_origin){d->fingerprint, d->kind, d->arch, d->isa};
}

/* The winner, and the default that was measured beside it where that has
 * another reduction id: slower, but perhaps the one that a caller pins. */
static int read_winner(void *ctx, const gdr_winner_row *w)
{
    reading *r = ctx;
    gdr_row row = {.origin = origin_of(&w->device),
                   .problem = w->choice.problem,
                   .variant = w->choice.variant,
                   .stamp = w->choice.variant_stamp,
                   .kernel = w->variant.kernel,
                   .config = w->variant.config,
                   .reduction = w->variant.reduction,
                   .abi = w->variant.abi,
                   .run = r->words,
                   .time_ns = w->choice.time_ns,
                   .regret = w->choice.regret};

    if (r->run != w->choice.run)
        snprintf(r->words, sizeof r->words,
                 "gdr-tune %.64s, %.32s, %.200s, %.160s", w->version, w->began,
                 w->device.name, w->compiler);
    r->run = w->choice.run;
    r->status = gdr_rows_put(r->rows, &row);
    if (r->status || !strcmp(w->variant.reduction, w->fallback.reduction))
        return r->status != GDR_OK;
    row.variant = w->choice.fallback;
    row.stamp = w->choice.fallback_stamp;
    row.kernel = w->fallback.kernel;
    row.config = w->fallback.config;
    row.reduction = w->fallback.reduction;
    row.abi = w->fallback.abi;
    row.time_ns = w->choice.time_ns * w->choice.gain;
    row.regret = (1 + w->choice.regret) * w->choice.gain - 1;
    row.spare = 1;
    r->status = gdr_rows_put(r->rows, &row);
    return r->status != GDR_OK;
}

static int read_default(void *ctx, const gdr_fallback_row *f)
{
    reading *r = ctx;
    const gdr_row row = {.origin = origin_of(&f->device),
                         .problem = f->dflt.statics,
                         .max_work = f->dflt.max_work,
                         .variant = f->dflt.variant,
                         .stamp = f->dflt.variant_stamp,
                         .kernel = f->variant.kernel,
                         .config = f->variant.config,
                         .reduction = f->variant.reduction,
                         .abi = f->variant.abi,
                         .regret = -1};

    r->status = gdr_rows_put(r->rows, &row);
    return r->status != GDR_OK;
}

static int read_step(void *ctx, const gdr_step_row *s)
{
    reading *r = ctx;
    const gdr_step_text text = {s->entry, s->grid_x, s->grid_y,    s->grid_z,
                                s->block, s->smem,   s->workspace, s->pdl};

    r->status = gdr_rows_put_step(r->rows, r->code, s->n, &text, s->isa,
                                  s->code, s->bytes);
    if (!r->status)
        r->status =
            gdr_rows_put_hash(r->rows, r->code, s->hash, gdr_store_hash_fits);
    return r->status != GDR_OK;
}

/* The code of every row. One that is damaged is left out, with a note. */
static gdr_status read_codes(gdr_store *st, reading *r)
{
    for (r->code = 0; r->code < r->rows->n_codes; r->code++) {
        const gdr_code *code = r->rows->code[r->code];
        gdr_status status =
            gdr_store_each_step(st, code->variant, code->stamp, read_step, r);

        if (status == GDR_ERR_FORMAT)
            status =
                gdr_rows_refuse_code(r->rows, r->code, gdr_store_errmsg(st));
        if (status || r->status)
            return status ? status : r->status;
    }
    return GDR_OK;
}

static gdr_status read_all(gdr_store *st, gdr_rows *rows)
{
    reading r = {.rows = rows};
    gdr_status status = gdr_store_each_winner(st, read_winner, &r);

    if (!status && !r.status)
        status = gdr_store_each_default(st, read_default, &r);
    if (status || r.status)
        return status ? status : r.status;
    return read_codes(st, &r);
}

/* ---- database ---- */

/* What was read is what the key signed. */
static gdr_status check_signature(const gdr *g, gdr_store *st, const char *key,
                                  char *msg, size_t n)
{
    char signature[GDR_SIGNATURE_TEXT], digest[GDR_DIGEST_TEXT];
    gdr_status status =
        gdr_store_get_signature(st, key, signature, sizeof signature);

    if (status == GDR_ERR_NOT_FOUND)
        return gdr_fail(GDR_ERR_UNSAFE, msg, n,
                        "%s, which GDR_VERIFY_KEY asks "
                        "for",
                        gdr_store_errmsg(st));
    if (status)
        return gdr_fail(status, msg, n, "%s", gdr_store_errmsg(st));
    status = gdr_rows_digest(g->rows, digest);
    if (status || gdr_signature_fits(digest, key, signature))
        return status;
    return gdr_fail(GDR_ERR_UNSAFE, msg, n,
                    "the signature by the key %.16s... is not of what the file "
                    "holds: it was changed, or is damaged",
                    key);
}

/* Nothing of a file that is not believed stays. */
static void forget_rows(gdr *g)
{
    gdr_rows *none;

    if (gdr_rows_open(&none))
        return;
    gdr_rows_close(g->rows);
    g->rows = none;
}

gdr_status gdr_read_file(gdr *g, const char *path, const char *key)
{
    gdr_store *st = NULL;
    char why[1024] = "";
    gdr_status status =
        gdr_store_open(path, key ? GDR_STORE_READ_SIGNED : GDR_STORE_READ, &st);

    if (!status)
        status = read_all(st, g->rows);
    if (status)
        gdr_fail(status, why, sizeof why, "%s",
                 st && *gdr_store_errmsg(st) ? gdr_store_errmsg(st)
                                             : gdr_strerror(status));
    else if (key)
        status = check_signature(g, st, key, why, sizeof why);
    gdr_store_close(st);
    if (status) {
        snprintf(g->msg, sizeof g->msg, "%s", why);
        forget_rows(g);
        return status;
    }
    g->path = strdup(path);
    return g->path ? GDR_OK
                   : gdr_fail(GDR_ERR_NO_MEMORY, g->msg, sizeof g->msg,
                              "out of memory");
}

gdr_status gdr_open(const char *path, gdr **out)
{
    const char *wanted = getenv("GDR_VERIFY_KEY");
    char file[PATH_MAX], key[GDR_KEY_TEXT];
    gdr_status status = gdr_new(out);
    gdr *g = status ? NULL : *out;

    if (!g)
        return status;
    status = gdr_store_path(path, 0, file, sizeof file, g->msg, sizeof g->msg);
    if (!status && wanted && *wanted)
        status = gdr_key_read(wanted, sizeof key, key, g->msg, sizeof g->msg);
    return status ? status
                  : gdr_read_file(g, file, wanted && *wanted ? key : NULL);
}
