/*
 * store_put.c - writing rows. Each put is one transaction; the newest row of a
 * key replaces the older one.
 */
#include "store_internal.h"
#include <assert.h>
#include <math.h>
#include <sodium.h>
#include <string.h>

#define NOW "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"

/* Runs a statement that gives no rows. */
static gdr_status finish(gdr_query *q)
{
    gdr_query_step(q);
    return gdr_query_close(q);
}

/* Runs a statement that gives one id. The statement must reach its end, or it
 * is not committed. */
static gdr_status finish_id(gdr_query *q, int64_t *id)
{
    if (gdr_query_step(q)) {
        *id = gdr_query_int(q, 1, INT64_MAX);
        gdr_query_step(q);
    }
    return gdr_query_close(q);
}

gdr_status gdr_store_put_device(gdr_store *st, const gdr_device_row *row,
                                int64_t *id)
{
    gdr_query q;
    assert(st && row && id);
    gdr_query_open(&q, st,
                   "INSERT INTO device (fingerprint, kind, arch, isa, name)"
                   " VALUES (?, ?, ?, ?, ?)"
                   " ON CONFLICT (fingerprint) DO UPDATE SET"
                   " kind = excluded.kind, arch = excluded.arch,"
                   " isa = excluded.isa, name = excluded.name"
                   " RETURNING id");
    gdr_query_bind_text(&q, row->fingerprint);
    gdr_query_bind_text(&q, row->kind);
    gdr_query_bind_text(&q, row->arch);
    gdr_query_bind_text(&q, row->isa);
    gdr_query_bind_text(&q, row->name);
    return finish_id(&q, id);
}

gdr_status gdr_store_begin_run(gdr_store *st, const gdr_run_row *row,
                               int64_t *id)
{
    gdr_query q;
    assert(st && row && id);
    gdr_query_open(&q, st,
                   "INSERT INTO run (device, version, compiler, protocol,"
                   " command, host, effort, seed, began)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, " NOW ") RETURNING id");
    gdr_query_bind_int(&q, row->device);
    gdr_query_bind_text(&q, row->version);
    gdr_query_bind_text(&q, row->compiler);
    gdr_query_bind_text(&q, row->protocol);
    gdr_query_bind_text(&q, row->command);
    gdr_query_bind_text(&q, row->host);
    gdr_query_bind_text(&q, row->effort);
    gdr_query_bind_int(&q, row->seed);
    return finish_id(&q, id);
}

gdr_status gdr_store_end_run(gdr_store *st, int64_t run, const char *outcome)
{
    gdr_query q;
    assert(st && outcome);
    gdr_query_open(&q, st,
                   "UPDATE run SET ended = " NOW ", outcome = ?1"
                   " WHERE id = ?2");
    gdr_query_bind_text(&q, outcome);
    gdr_query_bind_int(&q, run);
    gdr_status status = finish(&q);
    if (status == GDR_OK && sqlite3_changes(st->db) == 0)
        return gdr_store_fail(st, GDR_ERR_NOT_FOUND, "no run %lld",
                              (long long)run);
    return status;
}

gdr_status gdr_store_put_variant(gdr_store *st, const gdr_variant_row *row)
{
    gdr_query q;
    assert(st && row);
    gdr_query_open(&q, st,
                   "INSERT INTO variant (hash, statics, kernel, config,"
                   " reduction, abi) VALUES (?, ?, ?, ?, ?, ?)"
                   " ON CONFLICT (hash) DO UPDATE SET"
                   " statics = excluded.statics, kernel = excluded.kernel,"
                   " config = excluded.config, reduction = excluded.reduction,"
                   " abi = excluded.abi");
    gdr_query_bind_text(&q, row->hash);
    gdr_query_bind_text(&q, row->statics);
    gdr_query_bind_text(&q, row->kernel);
    gdr_query_bind_text(&q, row->config);
    gdr_query_bind_text(&q, row->reduction);
    gdr_query_bind_int(&q, row->abi);
    return finish(&q);
}

/* NULL below `min`; SQLite would make NULL of a NaN, and a NaN error must not
 * look like one that was not checked. */
static void bind_real_from(gdr_query *q, double value, double min)
{
    if (value < min)
        gdr_query_bind_null(q);
    else
        gdr_query_bind_real(q, isnan(value) ? INFINITY : value);
}

static void bind_int_from(gdr_query *q, int64_t value, int64_t min)
{
    if (value < min)
        gdr_query_bind_null(q);
    else
        gdr_query_bind_int(q, value);
}

/* Samples are stored little-endian; this is its own inverse. */
static void *swap_samples(const double *samples, int64_t n)
{
    unsigned char *out = sqlite3_malloc64((uint64_t)n * 8);
    if (!out)
        return NULL;
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, samples + i, 8);
        for (int b = 0; b < 8; b++)
            out[i * 8 + b] = (unsigned char)(bits >> (8 * b));
    }
    return out;
}

gdr_status gdr_store_put_trial(gdr_store *st, const gdr_trial_row *row)
{
    gdr_query q;
    assert(st && row && row->n_samples >= 0);
    int64_t n = row->samples ? row->n_samples : 0;
    void *samples = NULL;
    if (n > 0 && !(samples = swap_samples(row->samples, n)))
        return gdr_store_fail_sql(st, SQLITE_NOMEM);
    gdr_query_open(&q, st,
                   "INSERT OR REPLACE INTO trial (run, device, problem,"
                   " variant, stamp, outcome, stage, error_o, error_s,"
                   " time_ns, spread, rounds, samples, note, occupancy,"
                   " in_flight, eager_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
                   " ?, ?, ?, ?, ?, ?, ?)");
    gdr_query_bind_int(&q, row->run);
    gdr_query_bind_int(&q, row->device);
    gdr_query_bind_text(&q, row->problem);
    gdr_query_bind_text(&q, row->variant);
    gdr_query_bind_text(&q, row->stamp);
    gdr_query_bind_text(&q, row->outcome);
    gdr_query_bind_int(&q, row->stage);
    bind_real_from(&q, row->error_o, 0);
    bind_real_from(&q, row->error_s, 0);
    bind_real_from(&q, row->time_ns, 1e-300);
    bind_real_from(&q, row->time_ns > 0 ? row->spread : -1, 0);
    gdr_query_bind_int(&q, row->rounds);
    gdr_query_bind_blob(&q, samples, n * 8);
    gdr_query_bind_text(&q, row->note);
    bind_real_from(&q, row->occupancy, 1e-300);
    bind_int_from(&q, row->in_flight, 1);
    bind_real_from(&q, row->eager_ns, 1e-300);
    gdr_status status = finish(&q);
    sqlite3_free(samples);
    return status;
}

gdr_status gdr_store_put_compiled(gdr_store *st, const gdr_compiled_row *row)
{
    gdr_query q;
    assert(st && row);
    const int64_t figures[] = {
        row->registers,    row->spill_bytes, row->stack_bytes, row->smem_static,
        row->smem_dynamic, row->barriers,    row->min_driver};
    gdr_query_open(&q, st,
                   "INSERT OR REPLACE INTO compiled (device, variant, stamp, n,"
                   " registers, spill_bytes, stack_bytes, smem_static,"
                   " smem_dynamic, barriers, min_driver, log)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    gdr_query_bind_int(&q, row->device);
    gdr_query_bind_text(&q, row->variant);
    gdr_query_bind_text(&q, row->stamp);
    gdr_query_bind_int(&q, row->n);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        bind_int_from(&q, figures[i], row->known ? INT64_MIN : INT64_MAX);
    gdr_query_bind_text(&q, row->log);
    return finish(&q);
}

gdr_status gdr_store_put_quarantine(gdr_store *st,
                                    const gdr_quarantine_row *row)
{
    gdr_query q;
    assert(st && row);
    gdr_query_open(&q, st,
                   "INSERT OR REPLACE INTO quarantine (device, image, outcome,"
                   " note, run, since) VALUES (?, ?, ?, ?, ?, " NOW ")");
    gdr_query_bind_int(&q, row->device);
    gdr_query_bind_text(&q, row->image);
    gdr_query_bind_text(&q, row->outcome);
    gdr_query_bind_text(&q, row->note);
    gdr_query_bind_int(&q, row->run);
    return finish(&q);
}

gdr_status gdr_store_lift_quarantine(gdr_store *st, int64_t device,
                                     const char *image)
{
    gdr_query q;
    assert(st && image);
    gdr_query_open(&q, st,
                   "DELETE FROM quarantine WHERE device = ? AND image = ?");
    gdr_query_bind_int(&q, device);
    gdr_query_bind_text(&q, image);
    return finish(&q);
}

gdr_status gdr_store_put_pruned(gdr_store *st, int64_t run, const char *statics,
                                const char *kernel, const char *reason,
                                int64_t count)
{
    gdr_query q;
    assert(st);
    gdr_query_open(&q, st,
                   "INSERT OR REPLACE INTO pruned (run, statics, kernel,"
                   " reason, count) VALUES (?, ?, ?, ?, ?)");
    gdr_query_bind_int(&q, run);
    gdr_query_bind_text(&q, statics);
    gdr_query_bind_text(&q, kernel);
    gdr_query_bind_text(&q, reason);
    gdr_query_bind_int(&q, count);
    return finish(&q);
}

/* ---- steps and their code ---- */

static gdr_status put_image(gdr_store *st, const gdr_step_row *row)
{
    gdr_query q;
    gdr_query_open(&q, st,
                   "INSERT INTO image (hash, code) VALUES (?, ?)"
                   " ON CONFLICT (hash) DO NOTHING");
    gdr_query_bind_text(&q, row->hash);
    gdr_query_bind_blob(&q, row->code, row->bytes);
    return finish(&q);
}

static gdr_status put_build(gdr_store *st, const gdr_step_row *row)
{
    gdr_query q;
    gdr_query_open(&q, st,
                   "INSERT INTO build (variant, stamp) VALUES (?, ?)"
                   " ON CONFLICT (variant, stamp) DO NOTHING");
    gdr_query_bind_text(&q, row->variant);
    gdr_query_bind_text(&q, row->stamp);
    return finish(&q);
}

static gdr_status put_terms(gdr_store *st, const gdr_step_row *row)
{
    gdr_query q;
    gdr_query_open(&q, st,
                   "INSERT OR REPLACE INTO step (variant, stamp, n, entry,"
                   " grid_x, grid_y, grid_z, block, smem, workspace, isa,"
                   " image, pdl)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    gdr_query_bind_text(&q, row->variant);
    gdr_query_bind_text(&q, row->stamp);
    gdr_query_bind_int(&q, row->n);
    gdr_query_bind_text(&q, row->entry);
    gdr_query_bind_text(&q, row->grid_x);
    gdr_query_bind_text(&q, row->grid_y);
    gdr_query_bind_text(&q, row->grid_z);
    gdr_query_bind_text(&q, row->block);
    gdr_query_bind_text(&q, row->smem);
    gdr_query_bind_text(&q, row->workspace);
    gdr_query_bind_text(&q, row->isa);
    gdr_query_bind_text(&q, row->hash);
    gdr_query_bind_text(&q, row->pdl ? row->pdl : "0");
    return finish(&q);
}

int gdr_store_hash_fits(const char *hash, const void *code, int64_t bytes)
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof digest + 1];
    crypto_hash_sha256(digest, code, (unsigned long long)bytes);
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    return hash && strcmp(hash, hex) == 0;
}

gdr_status gdr_store_put_step(gdr_store *st, const gdr_step_row *row)
{
    assert(st && row && row->variant && row->code && row->bytes > 0);
    if (!gdr_store_hash_fits(row->hash, row->code, row->bytes))
        return gdr_store_fail(st, GDR_ERR_ARG,
                              "step %d of variant %s: the hash of its code is "
                              "not its SHA-256",
                              (int)row->n, row->variant);
    gdr_status status = gdr_store_exec(st, "BEGIN IMMEDIATE");
    if (status != GDR_OK)
        return status;
    status = put_image(st, row);
    if (status == GDR_OK)
        status = put_build(st, row);
    if (status == GDR_OK)
        status = put_terms(st, row);
    return gdr_store_end(st, status);
}

/* ---- decisions ---- */

gdr_status gdr_store_put_choice(gdr_store *st, const gdr_choice_row *row)
{
    gdr_query q;
    assert(st && row);
    gdr_query_open(&q, st,
                   "INSERT OR REPLACE INTO choice (run, device, problem, stamp,"
                   " variant, variant_stamp, fallback, fallback_stamp, time_ns,"
                   " spread, gain, gain_lo, gain_hi, noise, bytes,"
                   " roofline_bytes_per_s, chosen)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
                   " ?, " NOW ")");
    gdr_query_bind_int(&q, row->run);
    gdr_query_bind_int(&q, row->device);
    gdr_query_bind_text(&q, row->problem);
    gdr_query_bind_text(&q, row->stamp);
    gdr_query_bind_text(&q, row->variant);
    gdr_query_bind_text(&q, row->variant_stamp);
    gdr_query_bind_text(&q, row->fallback);
    gdr_query_bind_text(&q, row->fallback_stamp);
    gdr_query_bind_real(&q, row->time_ns);
    gdr_query_bind_real(&q, row->spread);
    gdr_query_bind_real(&q, row->gain);
    gdr_query_bind_real(&q, row->gain_lo);
    gdr_query_bind_real(&q, row->gain_hi);
    gdr_query_bind_real(&q, row->noise);
    gdr_query_bind_real(&q, row->bytes);
    gdr_query_bind_real(&q, row->roofline_bytes_per_s);
    return finish(&q);
}

gdr_status gdr_store_put_default(gdr_store *st, const gdr_default_row *row)
{
    gdr_query q;
    assert(st && row);
    gdr_query_open(&q, st,
                   "INSERT OR REPLACE INTO fallback (device, statics,"
                   " max_work, variant, variant_stamp) VALUES (?, ?, ?, ?, ?)");
    gdr_query_bind_int(&q, row->device);
    gdr_query_bind_text(&q, row->statics);
    gdr_query_bind_int(&q, row->max_work);
    gdr_query_bind_text(&q, row->variant);
    gdr_query_bind_text(&q, row->variant_stamp);
    return finish(&q);
}

gdr_status gdr_store_sweep(gdr_store *st)
{
    assert(st);
    gdr_status status = gdr_store_exec(st, "BEGIN IMMEDIATE");
    if (status != GDR_OK)
        return status;
    /* A finalist is one of the trials of the run that made the choice. */
    status = gdr_store_exec(
        st, "DELETE FROM build WHERE (variant, stamp) NOT IN ("
            " SELECT variant, variant_stamp FROM choice"
            " UNION SELECT fallback, fallback_stamp FROM choice"
            " UNION SELECT variant, variant_stamp FROM fallback"
            " UNION SELECT t.variant, t.stamp FROM trial t JOIN choice c"
            "  ON c.device = t.device AND c.problem = t.problem"
            "  AND c.run = t.run WHERE t.stage = 2 AND t.outcome = 'ok');"
            "DELETE FROM image WHERE hash NOT IN (SELECT image FROM step)");
    return gdr_store_end(st, status);
}
