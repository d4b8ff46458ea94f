/*
 * store_read.c - reading rows. A row reaches the caller only after each of its
 * cells was checked as if a stranger had written the file.
 */
#include "store_internal.h"
#include <assert.h>
#include <math.h>
#include <string.h>

static const double REAL_MAX = 1e18; /* of times in ns, as in the schema */

/* ---- groups of columns, in the order in which they are read ---- */

#define TRIAL_COLUMNS                                                          \
    "t.run, t.device, t.problem, t.variant, t.stamp, t.outcome, t.stage,"      \
    " t.error_o, t.error_s, t.time_ns, t.spread, t.rounds, t.samples, t.note"
/* what version 1 did not know */
#define CARD_COLUMNS ", t.occupancy, t.in_flight, t.eager_ns"
#define NO_CARD_COLUMNS                                                        \
    ", NULL AS occupancy, NULL AS in_flight, NULL AS eager_ns"
void gdr_query_device(gdr_query *q, gdr_device_row *row, int64_t *id)
{
    *id = gdr_query_int(q, 1, INT64_MAX);
    row->fingerprint = gdr_query_text(q);
    row->kind = gdr_query_text(q);
    row->arch = gdr_query_text(q);
    row->isa = gdr_query_text(q);
    row->name = gdr_query_text(q);
}

static const char *read_hash(gdr_query *q)
{
    const char *hash = gdr_query_text(q);
    if (strlen(hash) != 64 || strspn(hash, "0123456789abcdef") != 64)
        gdr_query_refuse(q, "is not a SHA-256");
    return hash;
}

void gdr_query_variant(gdr_query *q, gdr_variant_row *row)
{
    row->hash = read_hash(q);
    row->statics = gdr_query_text(q);
    row->kernel = gdr_query_text(q);
    row->config = gdr_query_text(q);
    row->reduction = gdr_query_text(q);
    row->abi = gdr_query_int(q, 0, INT32_MAX);
}

static const char *read_outcome(gdr_query *q)
{
    static const char *const known[] = {"ok",    "pruned", "compile", "launch",
                                        "wrong", "race",   "timeout", "crash"};
    const char *text = gdr_query_text(q);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(text, known[i]) == 0)
            return text;
    gdr_query_refuse(q, "is no outcome");
    return text;
}

static void read_trial(gdr_query *q, gdr_trial_row *row)
{
    row->run = gdr_query_int(q, 1, INT64_MAX);
    row->device = gdr_query_int(q, 1, INT64_MAX);
    row->problem = gdr_query_text(q);
    row->variant = read_hash(q);
    row->stamp = gdr_query_text(q);
    row->outcome = read_outcome(q);
    row->stage = gdr_query_int(q, 0, 2);
    row->error_o = gdr_query_real_or(q, 0, INFINITY, -1);
    row->error_s = gdr_query_real_or(q, 0, INFINITY, -1);
    row->time_ns = gdr_query_real_or(q, 0, REAL_MAX, 0);
    row->spread = gdr_query_real_or(q, 0, INFINITY, 0);
    row->rounds = gdr_query_int(q, 0, INT64_MAX);
    int64_t bytes;
    row->samples = gdr_query_blob(q, &bytes);
    if (bytes % 8)
        gdr_query_refuse(q, "is cut off");
    row->n_samples = bytes / 8;
    row->note = gdr_query_text_or_null(q);
    row->occupancy = gdr_query_real_or(q, 0, 1, 0);
    row->in_flight = gdr_query_int_or(q, 0, INT64_MAX, 0);
    row->eager_ns = gdr_query_real_or(q, 0, REAL_MAX, 0);
}

void gdr_query_choice(gdr_query *q, gdr_choice_row *row)
{
    row->run = gdr_query_int(q, 1, INT64_MAX);
    row->device = gdr_query_int(q, 1, INT64_MAX);
    row->problem = gdr_query_text(q);
    row->stamp = gdr_query_text(q);
    row->variant = read_hash(q);
    row->variant_stamp = gdr_query_text(q);
    row->fallback = read_hash(q);
    row->fallback_stamp = gdr_query_text(q);
    row->time_ns = gdr_query_real(q, 0, REAL_MAX);
    row->spread = gdr_query_real(q, 0, INFINITY);
    row->gain = gdr_query_real(q, 1, INFINITY);
    row->gain_lo = gdr_query_real(q, 0, INFINITY);
    row->gain_hi = gdr_query_real(q, 0, INFINITY);
    row->noise = gdr_query_real(q, 0, INFINITY);
    row->bytes = gdr_query_real(q, 0, INFINITY);
    row->roofline_bytes_per_s = gdr_query_real(q, 0, INFINITY);
    row->regret = gdr_query_real(q, 0, INFINITY);
}

/* ---- one row, kept in the handle until the next get ---- */

static size_t text_bytes(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

void *gdr_store_pack(const char **const *texts, int n, const void **data,
                     size_t bytes)
{
    size_t total = bytes;
    for (int i = 0; i < n; i++)
        total += text_bytes(*texts[i]);
    char *block = sqlite3_malloc64(total + 1), *p = block;
    if (!block)
        return NULL;
    if (bytes > 0) {
        memcpy(p, *data, bytes);
        *data = p;
        p += bytes;
    }
    for (int i = 0; i < n; i++) {
        size_t length = text_bytes(*texts[i]);
        if (length == 0)
            continue;
        memcpy(p, *texts[i], length);
        *texts[i] = p;
        p += length;
    }
    return block;
}

/* 0: out of memory. */
static int keep(gdr_store *st, const char **const *texts, int n,
                const void **data, size_t bytes)
{
    void *block = gdr_store_pack(texts, n, data, bytes);
    if (!block)
        return 0;
    sqlite3_free(st->kept);
    st->kept = block;
    return 1;
}

static void keep_trial(gdr_query *q, gdr_trial_row *row)
{
    const char **texts[] = {&row->problem, &row->variant, &row->stamp,
                            &row->outcome, &row->note};
    const void *samples = row->samples;
    if (!keep(q->st, texts, 5, &samples, (size_t)row->n_samples * 8))
        q->rc = SQLITE_NOMEM;
    row->samples = samples;
}

static void keep_choice(gdr_query *q, gdr_choice_row *row)
{
    const char **texts[] = {&row->problem,  &row->stamp,
                            &row->variant,  &row->variant_stamp,
                            &row->fallback, &row->fallback_stamp};
    if (!keep(q->st, texts, 6, NULL, 0))
        q->rc = SQLITE_NOMEM;
}

#define GET_TRIAL(card)                                                        \
    "SELECT " TRIAL_COLUMNS card " FROM trial t WHERE device = ?"              \
    " AND problem = ? AND variant = ? AND stamp = ?"

gdr_status gdr_store_get_trial(gdr_store *st, int64_t device,
                               const char *problem, const char *variant,
                               const char *stamp, gdr_trial_row *row)
{
    gdr_query q;
    assert(st && problem && variant && stamp && row);
    gdr_query_open(&q, st,
                   st->version < 2 ? GET_TRIAL(NO_CARD_COLUMNS)
                                   : GET_TRIAL(CARD_COLUMNS));
    gdr_query_bind_int(&q, device);
    gdr_query_bind_text(&q, problem);
    gdr_query_bind_text(&q, variant);
    gdr_query_bind_text(&q, stamp);
    int found = gdr_query_step(&q);
    if (found) {
        read_trial(&q, row);
        if (!gdr_query_failed(&q))
            keep_trial(&q, row);
    }
    gdr_status status = gdr_query_close(&q);
    if (status == GDR_OK && !found)
        return gdr_store_fail(st, GDR_ERR_NOT_FOUND,
                              "no trial of variant %s for %s", variant,
                              problem);
    return status;
}

static void read_quarantine(gdr_query *q, gdr_quarantine_row *row)
{
    row->device = gdr_query_int(q, 1, INT64_MAX);
    row->run = gdr_query_int(q, 1, INT64_MAX);
    row->image = read_hash(q);
    row->outcome = read_outcome(q);
    row->note = gdr_query_text(q);
}

gdr_status gdr_store_get_quarantine(gdr_store *st, int64_t device,
                                    const char *image, gdr_quarantine_row *row)
{
    gdr_query q;
    assert(st && image && row);
    const char **texts[] = {&row->image, &row->outcome, &row->note};
    if (st->version < 2)
        return gdr_store_fail(st, GDR_ERR_NOT_FOUND, "no quarantine");
    gdr_query_open(&q, st,
                   "SELECT device, run, image, outcome, note FROM quarantine"
                   " WHERE device = ? AND image = ?");
    gdr_query_bind_int(&q, device);
    gdr_query_bind_text(&q, image);
    int found = gdr_query_step(&q);
    if (found) {
        read_quarantine(&q, row);
        if (!gdr_query_failed(&q) && !keep(st, texts, 3, NULL, 0))
            q.rc = SQLITE_NOMEM;
    }
    gdr_status status = gdr_query_close(&q);
    if (status == GDR_OK && !found)
        return gdr_store_fail(st, GDR_ERR_NOT_FOUND,
                              "image %.16s is in no quarantine", image);
    return status;
}

#define GET_CHOICE(regret)                                                     \
    "SELECT " GDR_STORE_CHOICE regret " FROM choice c"                         \
    " WHERE device = ? AND problem = ?"

gdr_status gdr_store_get_choice(gdr_store *st, int64_t device,
                                const char *problem, gdr_choice_row *row)
{
    gdr_query q;
    assert(st && problem && row);
    gdr_query_open(&q, st,
                   st->version < 3 ? GET_CHOICE(GDR_STORE_NO_REGRET)
                                   : GET_CHOICE(GDR_STORE_REGRET));
    gdr_query_bind_int(&q, device);
    gdr_query_bind_text(&q, problem);
    int found = gdr_query_step(&q);
    if (found) {
        gdr_query_choice(&q, row);
        if (!gdr_query_failed(&q))
            keep_choice(&q, row);
    }
    gdr_status status = gdr_query_close(&q);
    if (status == GDR_OK && !found)
        return gdr_store_fail(st, GDR_ERR_NOT_FOUND,
                              "nothing was chosen for %s on this device",
                              problem);
    return status;
}

/* ---- many rows ---- */

#define EACH_TRIAL(card)                                                       \
    "SELECT " TRIAL_COLUMNS card ", " GDR_STORE_VARIANT                        \
    " FROM trial t JOIN variant v ON v.hash = t.variant"                       \
    " WHERE t.device = ? AND t.problem = ? ORDER BY t.id"

gdr_status gdr_store_each_trial(gdr_store *st, int64_t device,
                                const char *problem, gdr_trial_fn fn, void *ctx)
{
    gdr_query q;
    assert(st && problem && fn);
    gdr_query_open(&q, st,
                   st->version < 2 ? EACH_TRIAL(NO_CARD_COLUMNS)
                                   : EACH_TRIAL(CARD_COLUMNS));
    gdr_query_bind_int(&q, device);
    gdr_query_bind_text(&q, problem);
    while (gdr_query_step(&q)) {
        gdr_trial_row trial;
        gdr_variant_row variant;
        read_trial(&q, &trial);
        gdr_query_variant(&q, &variant);
        if (gdr_query_failed(&q) || fn(ctx, &trial, &variant))
            break;
    }
    return gdr_query_close(&q);
}

gdr_status gdr_store_each_default(gdr_store *st, gdr_fallback_fn fn, void *ctx)
{
    gdr_query q;
    assert(st && fn);
    gdr_query_open(&q, st,
                   "SELECT f.device, f.statics, f.max_work, f.variant,"
                   " f.variant_stamp, " GDR_STORE_VARIANT ", " GDR_STORE_DEVICE
                   " FROM fallback f JOIN variant v ON v.hash = f.variant"
                   " JOIN device d ON d.id = f.device"
                   " ORDER BY f.device, f.statics, f.max_work");
    while (gdr_query_step(&q)) {
        gdr_fallback_row row;
        row.dflt.device = gdr_query_int(&q, 1, INT64_MAX);
        row.dflt.statics = gdr_query_text(&q);
        row.dflt.max_work = gdr_query_int(&q, 1, INT64_MAX);
        row.dflt.variant = read_hash(&q);
        row.dflt.variant_stamp = gdr_query_text(&q);
        gdr_query_variant(&q, &row.variant);
        gdr_query_device(&q, &row.device, &row.device_id);
        if (gdr_query_failed(&q) || fn(ctx, &row))
            break;
    }
    return gdr_query_close(&q);
}

static void read_step(gdr_query *q, gdr_step_row *row, int64_t expected)
{
    row->variant = read_hash(q);
    row->stamp = gdr_query_text(q);
    row->n = gdr_query_int(q, expected, expected);
    row->entry = gdr_query_text(q);
    row->grid_x = gdr_query_text(q);
    row->grid_y = gdr_query_text(q);
    row->grid_z = gdr_query_text(q);
    row->block = gdr_query_text(q);
    row->smem = gdr_query_text(q);
    row->workspace = gdr_query_text(q);
    row->pdl = gdr_query_text(q);
    row->isa = gdr_query_text(q);
    row->hash = read_hash(q);
    row->code = gdr_query_blob(q, &row->bytes);
    if (!row->code && !gdr_query_failed(q))
        gdr_query_refuse(q, "of an image is not there");
}

#define EACH_STEP(pdl)                                                         \
    "SELECT s.variant, s.stamp, s.n, s.entry, s.grid_x, s.grid_y, s.grid_z,"   \
    " s.block, s.smem, s.workspace, " pdl ", s.isa, s.image, i.code"           \
    " FROM step s LEFT JOIN image i ON i.hash = s.image"                       \
    " WHERE s.variant = ? AND s.stamp = ? ORDER BY s.n"

gdr_status gdr_store_each_step(gdr_store *st, const char *variant,
                               const char *stamp, gdr_step_fn fn, void *ctx)
{
    gdr_query q;
    assert(st && variant && stamp && fn);
    gdr_query_open(
        &q, st, st->version < 2 ? EACH_STEP("'0' AS pdl") : EACH_STEP("s.pdl"));
    gdr_query_bind_text(&q, variant);
    gdr_query_bind_text(&q, stamp);
    for (int64_t n = 0; gdr_query_step(&q); n++) {
        gdr_step_row row;
        read_step(&q, &row, n);
        if (gdr_query_failed(&q) || fn(ctx, &row))
            break;
    }
    return gdr_query_close(&q);
}

static void read_compiled(gdr_query *q, gdr_compiled_row *row)
{
    int64_t *const figures[] = {&row->registers,    &row->spill_bytes,
                                &row->stack_bytes,  &row->smem_static,
                                &row->smem_dynamic, &row->barriers,
                                &row->min_driver};
    row->device = gdr_query_int(q, 1, INT64_MAX);
    row->variant = read_hash(q);
    row->stamp = gdr_query_text(q);
    row->n = gdr_query_int(q, 0, 7);
    row->known = 1;
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        *figures[i] = gdr_query_int_or(q, 0, INT32_MAX, -1);
        row->known = row->known && *figures[i] >= 0;
    }
    row->log = gdr_query_text(q);
}

gdr_status gdr_store_each_compiled(gdr_store *st, int64_t device,
                                   const char *variant, const char *stamp,
                                   gdr_compiled_fn fn, void *ctx)
{
    gdr_query q;
    assert(st && variant && stamp && fn);
    if (st->version < 2)
        return GDR_OK;
    gdr_query_open(&q, st,
                   "SELECT device, variant, stamp, n, registers, spill_bytes,"
                   " stack_bytes, smem_static, smem_dynamic, barriers,"
                   " min_driver, log FROM compiled"
                   " WHERE device = ? AND variant = ? AND stamp = ?"
                   " ORDER BY n");
    gdr_query_bind_int(&q, device);
    gdr_query_bind_text(&q, variant);
    gdr_query_bind_text(&q, stamp);
    while (gdr_query_step(&q)) {
        gdr_compiled_row row;
        read_compiled(&q, &row);
        if (gdr_query_failed(&q) || fn(ctx, &row))
            break;
    }
    return gdr_query_close(&q);
}

gdr_status gdr_store_each_pruned(gdr_store *st, int64_t device,
                                 const char *statics, gdr_pruned_fn fn,
                                 void *ctx)
{
    gdr_query q;
    assert(st && statics && fn);
    /* of the newest run that looked at this problem */
    gdr_query_open(&q, st,
                   "SELECT kernel, reason, count FROM pruned"
                   " WHERE statics = ?1 AND run ="
                   "  (SELECT max(p.run) FROM pruned p JOIN run r"
                   "   ON r.id = p.run WHERE p.statics = ?1 AND r.device = ?2)"
                   " ORDER BY kernel, count DESC, reason");
    gdr_query_bind_text(&q, statics);
    gdr_query_bind_int(&q, device);
    while (gdr_query_step(&q)) {
        const char *kernel = gdr_query_text(&q);
        const char *reason = gdr_query_text(&q);
        int64_t count = gdr_query_int(&q, 1, INT64_MAX);
        if (gdr_query_failed(&q) || fn(ctx, kernel, reason, count))
            break;
    }
    return gdr_query_close(&q);
}
