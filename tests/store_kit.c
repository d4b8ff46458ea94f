/*
 * store_kit.c - see store_kit.h.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "../db/store_internal.h"
#include "store_kit.h"
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- places ---- */

static int place_in(void **state, const char *parent)
{
    kit_place *p = calloc(1, sizeof *p);
    if (!p)
        return 1;
    snprintf(p->dir, sizeof p->dir, "%.32s/gdr-store-XXXXXX", parent);
    if (!mkdtemp(p->dir))
        return 1;
    snprintf(p->db, sizeof p->db, "%s/gdr.db", p->dir);
    *state = p;
    return 0;
}

int kit_place_make(void **state)
{
    return place_in(state, "/tmp");
}

int kit_place_make_fast(void **state)
{
    return place_in(state, access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
}

int kit_place_remove(void **state)
{
    kit_place *p = *state;
    char command[192];
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", p->dir,
             p->dir);
    int failed = system(command);
    free(p);
    return failed;
}

/* ---- rows ---- */

static void hash_of(const char *text, char hex[65])
{
    unsigned char digest[32];
    crypto_hash_sha256(digest, (const void *)text, strlen(text));
    sodium_bin2hex(hex, 65, digest, sizeof digest);
}

static void make_trial(kit_rows *r, int i)
{
    for (int s = 0; s < 4; s++)
        r->samples[s] = 1000.5 + i + s / 8.0;
    r->trial = (gdr_trial_row){.problem = r->problem,
                               .variant = r->hash,
                               .stamp = "stamp",
                               .outcome = "ok",
                               .error_o = 0.25,
                               .error_s = -1,
                               .time_ns = r->samples[0],
                               .spread = 0.01,
                               .rounds = 4,
                               .samples = r->samples,
                               .n_samples = 4,
                               .note = r->note,
                               .stage = 2,
                               .occupancy = 0.75,
                               .in_flight = 49152,
                               .eager_ns = 2500.5};
}

static void make_choice(kit_rows *r)
{
    r->choice = (gdr_choice_row){.problem = r->problem,
                                 .stamp = "space",
                                 .variant = r->hash,
                                 .variant_stamp = "stamp",
                                 .fallback = r->hash,
                                 .fallback_stamp = "stamp",
                                 .time_ns = r->samples[0],
                                 .spread = 0.01,
                                 .gain = 1.25,
                                 .gain_lo = 1.2,
                                 .gain_hi = 1.3,
                                 .noise = 0.004,
                                 .bytes = 1e4,
                                 .roofline_bytes_per_s = 2e10};
}

void kit_rows_make(kit_rows *r, int i)
{
    memset(r, 0, sizeof *r);
    snprintf(r->note, sizeof r->note, "source %d", i);
    hash_of(r->note, r->hash);
    snprintf(r->code, sizeof r->code, "code %d", i);
    hash_of(r->code, r->image);
    snprintf(r->problem, sizeof r->problem, KIT_STATICS " / b%dt1hk16hv32",
             i + 1);
    r->device = (gdr_device_row){"cpu:x86-64:avx2+fma:cores=2", "cpu", "x86-64",
                                 "avx2+fma", "A Processor"};
    r->run = (gdr_run_row){.version = "0.1.0",
                           .compiler = "gcc 12.2.0 -O3",
                           .protocol = "cold-state/1",
                           .command = "gdr-tune --shapes smoke",
                           .host = "Linux",
                           .effort = "quick",
                           .seed = -7};
    r->variant = (gdr_variant_row){r->hash,  KIT_STATICS, "cpu/recurrent",
                                   "rows=4", "w16",       1};
    make_trial(r, i);
    r->step = (gdr_step_row){.variant = r->hash,
                             .stamp = "stamp",
                             .entry = "kern",
                             .grid_x = "b*hv",
                             .grid_y = "1",
                             .grid_z = "2",
                             .block = "3",
                             .smem = "4",
                             .workspace = "b*hv*4",
                             .pdl = "1",
                             .isa = "avx2+fma",
                             .code = r->code,
                             .bytes = (int64_t)strlen(r->code),
                             .hash = r->image};
    r->compiled = (gdr_compiled_row){.variant = r->hash,
                                     .stamp = "stamp",
                                     .known = 1,
                                     .registers = 64 + i,
                                     .smem_static = 1024,
                                     .barriers = 1,
                                     .min_driver = 12080,
                                     .log = "a warning"};
    r->quarantine = (gdr_quarantine_row){
        .image = r->image, .outcome = "crash", .note = r->note};
    make_choice(r);
    r->dflt = (gdr_default_row){0, KIT_STATICS, i + 1, r->hash, "stamp"};
}

void kit_rows_join(kit_rows *r, int64_t device, int64_t run)
{
    r->trial.device = r->choice.device = r->dflt.device = device;
    r->compiled.device = r->quarantine.device = device;
    r->trial.run = r->choice.run = r->quarantine.run = run;
}

gdr_status kit_put_run(gdr_store *st, kit_rows *r)
{
    int64_t device, run = 0;
    gdr_status status = gdr_store_put_device(st, &r->device, &device);
    if (status != GDR_OK)
        return status;
    r->run.device = device;
    status = gdr_store_begin_run(st, &r->run, &run);
    kit_rows_join(r, device, run);
    return status;
}

gdr_status kit_put_rest(gdr_store *st, const kit_rows *r)
{
    gdr_status status = gdr_store_put_variant(st, &r->variant);
    if (status == GDR_OK)
        status = gdr_store_put_trial(st, &r->trial);
    if (status == GDR_OK)
        status = gdr_store_put_pruned(st, r->trial.run, KIT_STATICS,
                                      "cpu/recurrent", r->note, 3);
    if (status == GDR_OK)
        status = gdr_store_put_step(st, &r->step);
    if (status == GDR_OK)
        status = gdr_store_put_compiled(st, &r->compiled);
    if (status == GDR_OK)
        status = gdr_store_put_quarantine(st, &r->quarantine);
    if (status == GDR_OK)
        status = gdr_store_put_choice(st, &r->choice);
    if (status == GDR_OK)
        status = gdr_store_put_default(st, &r->dflt);
    return status;
}

gdr_store *kit_open(const char *path, gdr_store_mode mode)
{
    gdr_store *st;
    gdr_status status = gdr_store_open(path, mode, &st);
    if (status != GDR_OK)
        fail_msg("open: status %d: %s", (int)status, gdr_store_errmsg(st));
    return st;
}

void kit_database(const char *path, int n)
{
    gdr_store *st = kit_open(path, GDR_STORE_WRITE);
    kit_rows r;
    for (int i = 0; i < n; i++) {
        kit_rows_make(&r, i);
        assert_ok(st, kit_put_run(st, &r));
        assert_ok(st, kit_put_rest(st, &r));
    }
    gdr_store_close(st);
}

/* ---- behind the store's back ---- */

static sqlite3 *connect(const char *path)
{
    sqlite3 *db;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        fail_msg("%s: %s", path, sqlite3_errmsg(db));
    return db;
}

int kit_sound(const char *path)
{
    sqlite3 *db = connect(path);
    sqlite3_stmt *stmt = NULL;
    int sound = 0;
    sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL);
    if (sqlite3_step(stmt) == SQLITE_ROW)
        sound = strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0;
    if (!sound)
        print_error("%s: %s\n", path, sqlite3_errmsg(db));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return sound &&
           kit_ask(path, "SELECT count(*) FROM pragma_foreign_key_check") == 0;
}

int64_t kit_ask(const char *path, const char *sql)
{
    sqlite3 *db = connect(path);
    sqlite3_stmt *stmt = NULL;
    int64_t answer = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        print_error("%s: %s\n", sql, sqlite3_errmsg(db));
    else if (sqlite3_step(stmt) == SQLITE_ROW)
        answer = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return answer;
}

void kit_vandalise(const char *path, const char *sql)
{
    sqlite3 *db = connect(path);
    sqlite3_exec(
        db,
        "PRAGMA ignore_check_constraints = ON; PRAGMA legacy_alter_table = ON",
        0, 0, 0);
    if (sqlite3_exec(db, sql, 0, 0, 0) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

unsigned char *kit_load(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *bytes = (size_t)ftell(f);
    rewind(f);
    unsigned char *data = malloc(*bytes + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *bytes, f), *bytes);
    fclose(f);
    return data;
}

void kit_save(const char *path, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

/* ---- reading everything ---- */

static int see_trial(void *ctx, const gdr_trial_row *trial,
                     const gdr_variant_row *variant)
{
    (void)ctx;
    double sum = 0;
    for (int64_t i = 0; i < trial->n_samples; i++)
        sum += trial->samples[i];
    return sum < 0 && variant->abi < 0;
}

typedef struct seen {
    gdr_store *st;
    gdr_status status;
} seen;

static int see_step(void *ctx, const gdr_step_row *row)
{
    seen *s = ctx;
    gdr_quarantine_row q;
    if (!gdr_store_hash_fits(row->hash, row->code, row->bytes)) {
        s->status = gdr_store_fail(s->st, GDR_ERR_FORMAT,
                                   "code of an image is not its hash's");
        return 1;
    }
    s->status = gdr_store_get_quarantine(s->st, 1, row->hash, &q);
    if (s->status == GDR_ERR_NOT_FOUND)
        s->status = GDR_OK;
    return s->status != GDR_OK;
}

static int see_pruned(void *ctx, const char *kernel, const char *reason,
                      int64_t count)
{
    (void)ctx;
    return strlen(kernel) + strlen(reason) > 1000000 && count < 0;
}

static int see_compiled(void *ctx, const gdr_compiled_row *row)
{
    (void)ctx;
    return row->registers + row->min_driver < -1000 && row->log[0] == 1;
}

static int see_winner(void *ctx, const gdr_winner_row *row)
{
    seen *s = ctx;
    const gdr_choice_row *c = &row->choice;
    gdr_status status =
        gdr_store_each_step(s->st, c->variant, c->variant_stamp, see_step, s);
    if (status != GDR_OK)
        s->status = status;
    if (s->status == GDR_OK)
        s->status = gdr_store_each_trial(s->st, row->device_id, c->problem,
                                         see_trial, NULL);
    if (s->status == GDR_OK)
        s->status =
            gdr_store_each_compiled(s->st, row->device_id, c->variant,
                                    c->variant_stamp, see_compiled, NULL);
    return s->status != GDR_OK;
}

static int see_default(void *ctx, const gdr_fallback_row *row)
{
    seen *s = ctx;
    gdr_status status = gdr_store_each_step(
        s->st, row->dflt.variant, row->dflt.variant_stamp, see_step, s);
    if (status != GDR_OK)
        s->status = status;
    return s->status != GDR_OK;
}

gdr_status kit_read_all(gdr_store *st)
{
    seen s = {st, GDR_OK};
    gdr_status status = gdr_store_each_winner(st, see_winner, &s);
    if (status == GDR_OK && s.status == GDR_OK)
        status = gdr_store_each_default(st, see_default, &s);
    if (status == GDR_OK && s.status == GDR_OK)
        status = gdr_store_each_pruned(st, 1, KIT_STATICS, see_pruned, NULL);
    return status == GDR_OK ? s.status : status;
}
