/*
 * gdr.c - the handles of gdr.h. A database is read once, when it is opened;
 * this is the only file of libgdr that knows where rows come from.
 */
#include "../db/store.h"
#include "digest.h"
#include "gdr_internal.h"
#include "set.h"
#include "signature.h"
#include "status.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gdr {
    gdr_rows *rows;
    char *path; /* of the database, for messages; NULL: there was none */
    char msg[2048];
};

struct gdr_device {
    gdr *g;
    const gdr_backend *backend;
    void *dev;
};

/* ---- reading ---- */

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

/* key: who must have signed the file; NULL: nobody, and then nobody else may be
 * able to write it. */
static gdr_status read_file(gdr *g, const char *path, const char *key)
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
    gdr_status status;
    gdr *g;

    if (!out)
        return GDR_ERR_ARG;
    *out = NULL;
    g = calloc(1, sizeof *g);
    if (!g || gdr_rows_open(&g->rows)) {
        free(g);
        return GDR_ERR_NO_MEMORY;
    }
    *out = g;
    status = gdr_store_path(path, 0, file, sizeof file, g->msg, sizeof g->msg);
    if (!status && wanted && *wanted)
        status = gdr_key_read(wanted, sizeof key, key, g->msg, sizeof g->msg);
    return status ? status : read_file(g, file, wanted && *wanted ? key : NULL);
}

void gdr_close(gdr *g)
{
    if (!g)
        return;
    gdr_rows_close(g->rows);
    free(g->path);
    free(g);
}

const char *gdr_errmsg(const gdr *g)
{
    return g ? g->msg : "";
}

const gdr_rows *gdr_rows_of(const gdr *g)
{
    return g->rows;
}

/* ---- device ---- */

gdr_status gdr_device_open(gdr *g, const char *name,
                           const gdr_device_options *options, gdr_device **out)
{
    gdr_status status;
    gdr_device *d;

    if (!g || !out)
        return GDR_ERR_ARG;
    *out = NULL;
    d = calloc(1, sizeof *d);
    if (!d)
        return gdr_fail(GDR_ERR_NO_MEMORY, g->msg, sizeof g->msg,
                        "out of memory");
    d->g = g;
    status = gdr_backend_open(name, options, &d->backend, &d->dev, g->msg,
                              sizeof g->msg);
    if (status)
        free(d);
    else
        *out = d;
    return status;
}

void gdr_device_close(gdr_device *dev)
{
    if (!dev)
        return;
    dev->backend->close(dev->dev);
    free(dev);
}

const char *gdr_device_fingerprint(const gdr_device *dev)
{
    return dev->backend->info(dev->dev)->fingerprint;
}

gdr_status gdr_digest(const gdr *g, char digest[GDR_DIGEST_TEXT])
{
    return g && digest ? gdr_rows_digest(g->rows, digest) : GDR_ERR_ARG;
}

/* ---- dispatch ---- */

/* The match of a name; 0: there is none. */
static int match_of(const char *name, gdr_match *match)
{
    for (int m = GDR_MATCH_EXACT; m <= GDR_MATCH_GENERIC; m++)
        if (!strcmp(name, gdr_match_name((gdr_match)m))) {
            *match = (gdr_match)m;
            return 1;
        }
    return 0;
}

/* What the environment says has the last word. */
static gdr_status effective(const gdr_select_options *given,
                            gdr_select_options *o, char *msg, size_t n)
{
    const char *name = getenv("GDR_MATCH");

    *o = given
             ? *given
             : (gdr_select_options){.size = sizeof *o, .worst = GDR_MATCH_PTX};
    if (!name || !*name || match_of(name, &o->worst))
        return GDR_OK;
    return gdr_fail(GDR_ERR_ARG, msg, n,
                    "GDR_MATCH is '%.64s'; allowed: exact, near, edge, "
                    "sibling, default, ptx, generic",
                    name);
}

gdr_status gdr_select(gdr_device *dev, const gdr_static *s,
                      const gdr_select_options *options, gdr_set **out)
{
    gdr_select_options o;
    gdr_status status;
    char why[sizeof dev->g->msg];

    if (!dev || !out)
        return GDR_ERR_ARG;
    *out = NULL;
    status = effective(options, &o, dev->g->msg, sizeof dev->g->msg);
    if (!status)
        status = gdr_set_open(dev->g->rows, dev->backend, dev->dev, s, &o, out,
                              dev->g->msg, sizeof dev->g->msg);
    if (status == GDR_ERR_NO_PLAN && dev->g->path) {
        memcpy(why, dev->g->msg, sizeof why);
        gdr_fail(status, dev->g->msg, sizeof dev->g->msg, "%.400s: %.1600s",
                 dev->g->path, why);
    }
    return status;
}
