/*
 * test_store.c - rows come back as they went in, a newer one replaces, a bad
 * one is refused by name, sweep keeps what is needed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "store_kit.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A database with the rows of variant 0, open for writing. */
static gdr_store *store_with(const char *path, kit_rows *r)
{
    gdr_store *st = kit_open(path, GDR_STORE_WRITE);
    kit_rows_make(r, 0);
    assert_ok(st, kit_put_run(st, r));
    assert_ok(st, kit_put_rest(st, r));
    return st;
}

static gdr_store *reopen(gdr_store *st, const char *path)
{
    gdr_store_close(st);
    return kit_open(path, GDR_STORE_READ);
}

/* ---- rows equal, cell by cell ---- */

static void same_device(const gdr_device_row *a, const gdr_device_row *b)
{
    assert_string_equal(a->fingerprint, b->fingerprint);
    assert_string_equal(a->kind, b->kind);
    assert_string_equal(a->arch, b->arch);
    assert_string_equal(a->isa, b->isa);
    assert_string_equal(a->name, b->name);
}

static void same_variant(const gdr_variant_row *a, const gdr_variant_row *b)
{
    assert_string_equal(a->hash, b->hash);
    assert_string_equal(a->statics, b->statics);
    assert_string_equal(a->kernel, b->kernel);
    assert_string_equal(a->config, b->config);
    assert_string_equal(a->reduction, b->reduction);
    assert_int_equal(a->abi, b->abi);
}

static void same_trial(const gdr_trial_row *a, const gdr_trial_row *b)
{
    assert_int_equal(a->run, b->run);
    assert_int_equal(a->device, b->device);
    assert_string_equal(a->problem, b->problem);
    assert_string_equal(a->variant, b->variant);
    assert_string_equal(a->stamp, b->stamp);
    assert_string_equal(a->outcome, b->outcome);
    assert_true(a->error_o == b->error_o);
    assert_true(a->error_s == b->error_s);
    assert_true(a->time_ns == b->time_ns);
    assert_true(a->spread == b->spread);
    assert_int_equal(a->rounds, b->rounds);
    assert_int_equal(a->n_samples, b->n_samples);
    if (a->n_samples > 0)
        assert_memory_equal(a->samples, b->samples, (size_t)a->n_samples * 8);
    assert_int_equal(!a->note, !b->note);
    if (a->note)
        assert_string_equal(a->note, b->note);
    assert_int_equal(a->stage, b->stage);
    assert_true(a->occupancy == b->occupancy);
    assert_int_equal(a->in_flight, b->in_flight);
    assert_true(a->eager_ns == b->eager_ns);
}

static void same_choice(const gdr_choice_row *a, const gdr_choice_row *b)
{
    assert_int_equal(a->run, b->run);
    assert_int_equal(a->device, b->device);
    assert_string_equal(a->problem, b->problem);
    assert_string_equal(a->stamp, b->stamp);
    assert_string_equal(a->variant, b->variant);
    assert_string_equal(a->variant_stamp, b->variant_stamp);
    assert_string_equal(a->fallback, b->fallback);
    assert_string_equal(a->fallback_stamp, b->fallback_stamp);
    assert_true(a->time_ns == b->time_ns);
    assert_true(a->spread == b->spread);
    assert_true(a->gain == b->gain);
    assert_true(a->gain_lo == b->gain_lo);
    assert_true(a->gain_hi == b->gain_hi);
    assert_true(a->noise == b->noise);
    assert_true(a->bytes == b->bytes);
    assert_true(a->roofline_bytes_per_s == b->roofline_bytes_per_s);
}

static void same_step(const gdr_step_row *a, const gdr_step_row *b)
{
    assert_string_equal(a->variant, b->variant);
    assert_string_equal(a->stamp, b->stamp);
    assert_int_equal(a->n, b->n);
    assert_string_equal(a->entry, b->entry);
    assert_string_equal(a->grid_x, b->grid_x);
    assert_string_equal(a->grid_y, b->grid_y);
    assert_string_equal(a->grid_z, b->grid_z);
    assert_string_equal(a->block, b->block);
    assert_string_equal(a->smem, b->smem);
    assert_string_equal(a->workspace, b->workspace);
    assert_string_equal(a->pdl, b->pdl);
    assert_string_equal(a->isa, b->isa);
    assert_string_equal(a->hash, b->hash);
    assert_int_equal(a->bytes, b->bytes);
    assert_memory_equal(a->code, b->code, (size_t)a->bytes);
}

/* ---- round trips ---- */

/* What a callback compares with, and how many rows it saw. */
typedef struct expected {
    gdr_store *st;
    const kit_rows *rows;
    int n, stop_at;
} expected;

static int check_trial(void *ctx, const gdr_trial_row *trial,
                       const gdr_variant_row *variant)
{
    expected *e = ctx;
    same_trial(trial, &e->rows->trial);
    same_variant(variant, &e->rows->variant);
    return ++e->n == e->stop_at;
}

static int check_step(void *ctx, const gdr_step_row *row)
{
    expected *e = ctx;
    same_step(row, &e->rows->step);
    return ++e->n == e->stop_at;
}

/* Asks again from within: the handle may be used in a callback. */
static int check_winner(void *ctx, const gdr_winner_row *row)
{
    expected *e = ctx;
    expected inner = {.st = e->st, .rows = e->rows};
    same_choice(&row->choice, &e->rows->choice);
    same_variant(&row->variant, &e->rows->variant);
    same_device(&row->device, &e->rows->device);
    assert_int_equal(row->device_id, e->rows->choice.device);
    assert_ok(e->st, gdr_store_each_step(e->st, row->choice.variant,
                                         row->choice.variant_stamp, check_step,
                                         &inner));
    assert_int_equal(inner.n, 1);
    return ++e->n == e->stop_at;
}

static int check_default(void *ctx, const gdr_fallback_row *row)
{
    expected *e = ctx;
    same_variant(&row->variant, &e->rows->variant);
    same_device(&row->device, &e->rows->device);
    assert_int_equal(row->dflt.device, e->rows->dflt.device);
    assert_int_equal(row->device_id, e->rows->dflt.device);
    assert_string_equal(row->dflt.statics, KIT_STATICS);
    assert_int_equal(row->dflt.max_work, e->rows->dflt.max_work);
    assert_string_equal(row->dflt.variant, e->rows->hash);
    assert_string_equal(row->dflt.variant_stamp, "stamp");
    return ++e->n == e->stop_at;
}

static int check_pruned(void *ctx, const char *kernel, const char *reason,
                        int64_t count)
{
    expected *e = ctx;
    assert_string_equal(kernel, "cpu/recurrent");
    assert_string_equal(reason, e->rows->note);
    assert_int_equal(count, 3);
    return ++e->n == e->stop_at;
}

static void test_rows_come_back(void **state)
{
    kit_place *p = *state;
    kit_rows r;
    gdr_store *st = reopen(store_with(p->db, &r), p->db);
    gdr_trial_row trial;
    gdr_choice_row choice;
    assert_ok(st, gdr_store_get_trial(st, r.trial.device, r.problem, r.hash,
                                      "stamp", &trial));
    same_trial(&trial, &r.trial);
    assert_ok(st,
              gdr_store_get_choice(st, r.choice.device, r.problem, &choice));
    same_choice(&choice, &r.choice);

    expected e[5];
    for (int i = 0; i < 5; i++)
        e[i] = (expected){.st = st, .rows = &r};
    assert_ok(st, gdr_store_each_trial(st, r.trial.device, r.problem,
                                       check_trial, &e[0]));
    assert_ok(st, gdr_store_each_step(st, r.hash, "stamp", check_step, &e[1]));
    assert_ok(st, gdr_store_each_winner(st, check_winner, &e[2]));
    assert_ok(st, gdr_store_each_default(st, check_default, &e[3]));
    assert_ok(st, gdr_store_each_pruned(st, r.trial.device, KIT_STATICS,
                                        check_pruned, &e[4]));
    for (int i = 0; i < 5; i++)
        assert_int_equal(e[i].n, 1);
    gdr_store_close(st);
}

static int check_compiled(void *ctx, const gdr_compiled_row *row)
{
    expected *e = ctx;
    const gdr_compiled_row *want = &e->rows->compiled;
    assert_int_equal(row->device, want->device);
    assert_string_equal(row->variant, want->variant);
    assert_int_equal(row->n, want->n);
    assert_int_equal(row->known, want->known);
    if (want->known) {
        assert_int_equal(row->registers, want->registers);
        assert_int_equal(row->spill_bytes, want->spill_bytes);
        assert_int_equal(row->smem_static, want->smem_static);
        assert_int_equal(row->barriers, want->barriers);
        assert_int_equal(row->min_driver, want->min_driver);
    }
    assert_string_equal(row->log, want->log);
    return ++e->n == e->stop_at;
}

/* Figures of a card, and words of a compiler that has none. */
static void test_compilers_words_come_back(void **state)
{
    kit_place *p = *state;
    kit_rows r;
    gdr_store *st = store_with(p->db, &r);
    for (int known = 1; known >= 0; known--) {
        expected e = {.st = st, .rows = &r};
        r.compiled.known = known;
        r.compiled.log = known ? "spills" : "";
        assert_ok(st, gdr_store_put_compiled(st, &r.compiled));
        assert_ok(st, gdr_store_each_compiled(st, r.trial.device, r.hash,
                                              "stamp", check_compiled, &e));
        assert_int_equal(e.n, 1);
    }
    assert_int_equal(kit_ask(p->db, "SELECT registers IS NULL FROM compiled"),
                     1);
    gdr_store_close(st);
}

/* An image is quarantined on one device, until it is let out. */
static void test_quarantine(void **state)
{
    kit_place *p = *state;
    kit_rows r;
    gdr_store *st = store_with(p->db, &r);
    gdr_quarantine_row q;
    int64_t d = r.quarantine.device;
    assert_ok(st, gdr_store_get_quarantine(st, d, r.image, &q));
    assert_string_equal(q.outcome, "crash");
    assert_string_equal(q.note, r.note);
    assert_int_equal(q.run, r.quarantine.run);
    assert_fails(st, gdr_store_get_quarantine(st, d + 1, r.image, &q),
                 GDR_ERR_NOT_FOUND, "is in no quarantine");
    r.quarantine.outcome = "wrong";
    assert_fails(st, gdr_store_put_quarantine(st, &r.quarantine), GDR_ERR_ARG,
                 "forbids");
    assert_ok(st, gdr_store_lift_quarantine(st, d + 1, r.image));
    assert_ok(st, gdr_store_get_quarantine(st, d, r.image, &q));
    assert_ok(st, gdr_store_lift_quarantine(st, d, r.image));
    assert_fails(st, gdr_store_get_quarantine(st, d, r.image, &q),
                 GDR_ERR_NOT_FOUND, "is in no quarantine");
    gdr_store_close(st);
}

static void test_run_is_recorded(void **state)
{
    kit_place *p = *state;
    kit_rows r;
    gdr_store *st = store_with(p->db, &r);
    assert_int_equal(kit_ask(p->db, "SELECT count(*) FROM run WHERE seed = -7"
                                    " AND compiler = 'gcc 12.2.0 -O3'"
                                    " AND protocol = 'cold-state/1'"
                                    " AND command = 'gdr-tune --shapes smoke'"
                                    " AND host = 'Linux' AND effort = 'quick'"
                                    " AND version = '0.1.0'"
                                    " AND began GLOB '20*-*-*T*:*:*Z'"
                                    " AND ended IS NULL"),
                     1);
    assert_ok(st, gdr_store_end_run(st, r.trial.run, "done"));
    assert_int_equal(kit_ask(p->db, "SELECT count(*) FROM run WHERE ended >="
                                    " began AND outcome = 'done'"),
                     1);
    assert_fails(st, gdr_store_end_run(st, 99, "done"), GDR_ERR_NOT_FOUND,
                 "no run 99");
    gdr_store_close(st);
}

/* The view is the one thing that a person reads: figures of the row above. */
static void test_view_of_winners(void **state)
{
    kit_place *p = *state;
    kit_rows r;
    gdr_store_close(store_with(p->db, &r));
    assert_int_equal(
        kit_ask(p->db,
                "SELECT count(*) FROM winner WHERE problem = '" KIT_STATICS
                " / b1t1hk16hv32'"
                " AND device = 'A Processor' AND config = 'rows=4'"
                " AND kernel = 'cpu/recurrent' AND time_us = 1.001"
                " AND gain = 1.25 AND gb_per_s = 10.0"
                " AND roofline_percent = 50.0 AND is_default = 1"
                " AND run = 1 AND chosen GLOB '20*Z'"),
        1);
}

/* Infinity, the largest values and an empty note are values like others. */
static void test_extreme_values(void **state)
{
    kit_place *p = *state;
    kit_rows r;
    gdr_store *st = store_with(p->db, &r);
    gdr_trial_row out;
    r.trial.outcome = "wrong";
    r.trial.error_o = INFINITY;
    r.trial.error_s = NAN; /* comes back as the infinity that it is */
    r.trial.time_ns = 0;
    r.trial.spread = 0;
    r.trial.samples = NULL;
    r.trial.n_samples = 0;
    r.trial.rounds = INT64_MAX;
    r.trial.note = "";
    assert_ok(st, gdr_store_put_trial(st, &r.trial));
    assert_ok(st, gdr_store_get_trial(st, r.trial.device, r.problem, r.hash,
                                      "stamp", &out));
    r.trial.error_s = INFINITY;
    same_trial(&out, &r.trial);
    r.trial.note = NULL;
    assert_ok(st, gdr_store_put_trial(st, &r.trial));
    assert_ok(st, gdr_store_get_trial(st, r.trial.device, r.problem, r.hash,
                                      "stamp", &out));
    assert_null(out.note);
    r.dflt.max_work = INT64_MAX;
    assert_ok(st, gdr_store_put_default(st, &r.dflt));
    gdr_store_close(st);
}

/* ---- a newer row replaces ---- */

static void test_newer_replaces(void **state)
{
    kit_place *p = *state;
    kit_rows r;
    gdr_store *st = store_with(p->db, &r);
    int64_t device = 0;
    assert_ok(st, gdr_store_put_device(st, &r.device, &device));
    assert_int_equal(device, r.trial.device);
    assert_ok(st, gdr_store_begin_run(st, &r.run, &r.trial.run));
    r.choice.run = r.trial.run;
    r.variant.config = "rows=8";
    r.trial.time_ns = 500;
    r.choice.gain = 2;
    r.step.entry = "kern2";
    snprintf(r.note, sizeof r.note, "another reason");
    assert_ok(st, kit_put_rest(st, &r));
    expected e[5];
    for (int i = 0; i < 5; i++)
        e[i] = (expected){.st = st, .rows = &r};
    assert_ok(st, gdr_store_each_trial(st, device, r.problem, check_trial, e));
    assert_ok(st, gdr_store_each_winner(st, check_winner, &e[1]));
    assert_ok(st, gdr_store_each_default(st, check_default, &e[2]));
    assert_ok(st, gdr_store_each_step(st, r.hash, "stamp", check_step, &e[3]));
    /* of the newest run alone */
    assert_ok(st, gdr_store_each_pruned(st, device, KIT_STATICS, check_pruned,
                                        &e[4]));
    for (int i = 0; i < 5; i++)
        assert_int_equal(e[i].n, 1);
    gdr_store_close(st);
}

/* What resume asks: only the very same attempt counts as done. */
static void test_resume_finds_the_same_attempt_alone(void **state)
{
    kit_place *p = *state;
    kit_rows r, other;
    gdr_store *st = store_with(p->db, &r);
    kit_rows_make(&other, 1);
    gdr_trial_row t;
    int64_t d = r.trial.device;
    assert_ok(st, gdr_store_get_trial(st, d, r.problem, r.hash, "stamp", &t));
    assert_fails(st,
                 gdr_store_get_trial(st, d, r.problem, r.hash, "stamp2", &t),
                 GDR_ERR_NOT_FOUND, r.problem);
    assert_fails(st,
                 gdr_store_get_trial(st, d + 1, r.problem, r.hash, "stamp", &t),
                 GDR_ERR_NOT_FOUND, r.hash);
    assert_fails(st,
                 gdr_store_get_trial(st, d, KIT_STATICS, r.hash, "stamp", &t),
                 GDR_ERR_NOT_FOUND, "no trial");
    assert_fails(st,
                 gdr_store_get_trial(st, d, r.problem, other.hash, "stamp", &t),
                 GDR_ERR_NOT_FOUND, other.hash);
    gdr_choice_row c;
    assert_fails(st, gdr_store_get_choice(st, d, other.problem, &c),
                 GDR_ERR_NOT_FOUND, other.problem);
    assert_fails(st, gdr_store_get_choice(st, d + 1, r.problem, &c),
                 GDR_ERR_NOT_FOUND, "nothing was chosen");
    gdr_store_close(st);
}

static void test_callback_stops(void **state)
{
    kit_place *p = *state;
    kit_database(p->db, 3);
    gdr_store *st = kit_open(p->db, GDR_STORE_READ);
    kit_rows r;
    kit_rows_make(&r, 0);
    r.choice.run = r.choice.device = r.dflt.device = 1;
    expected e = {.st = st, .rows = &r, .stop_at = 1};
    assert_ok(st, gdr_store_each_winner(st, check_winner, &e));
    assert_int_equal(e.n, 1);
    e.n = 0;
    assert_ok(st, gdr_store_each_default(st, check_default, &e));
    assert_int_equal(e.n, 1);
    gdr_store_close(st);
}

/* ---- bad rows ---- */

/* Each puts one bad row; rows are good apart from what it breaks. */
static gdr_status bad_hash(gdr_store *st, kit_rows *r)
{
    r->variant.hash = "ABC";
    return gdr_store_put_variant(st, &r->variant);
}
static gdr_status bad_null(gdr_store *st, kit_rows *r)
{
    r->variant.kernel = NULL;
    return gdr_store_put_variant(st, &r->variant);
}
static gdr_status bad_outcome(gdr_store *st, kit_rows *r)
{
    r->trial.outcome = "fine";
    return gdr_store_put_trial(st, &r->trial);
}
static gdr_status bad_ok_untimed(gdr_store *st, kit_rows *r)
{
    r->trial.time_ns = 0;
    return gdr_store_put_trial(st, &r->trial);
}
static gdr_status bad_ok_unverified(gdr_store *st, kit_rows *r)
{
    r->trial.problem = KIT_STATICS;
    r->trial.error_o = -1;
    return gdr_store_put_trial(st, &r->trial);
}
static gdr_status bad_ok_wrong(gdr_store *st, kit_rows *r)
{
    r->trial.error_s = 1.01;
    return gdr_store_put_trial(st, &r->trial);
}
static gdr_status bad_ok_nan(gdr_store *st, kit_rows *r)
{
    r->trial.error_o = NAN;
    return gdr_store_put_trial(st, &r->trial);
}
static gdr_status bad_time(gdr_store *st, kit_rows *r)
{
    r->trial.time_ns = INFINITY;
    return gdr_store_put_trial(st, &r->trial);
}
static gdr_status bad_run(gdr_store *st, kit_rows *r)
{
    r->trial.run = 77;
    return gdr_store_put_trial(st, &r->trial);
}
static gdr_status bad_gain(gdr_store *st, kit_rows *r)
{
    r->choice.gain = 0.99;
    return gdr_store_put_choice(st, &r->choice);
}
static gdr_status bad_gain_nan(gdr_store *st, kit_rows *r)
{
    r->choice.gain = NAN;
    return gdr_store_put_choice(st, &r->choice);
}
static gdr_status bad_choice_of_nothing(gdr_store *st, kit_rows *r)
{
    r->choice.variant_stamp = "never built";
    return gdr_store_put_choice(st, &r->choice);
}
static gdr_status bad_choice_problem(gdr_store *st, kit_rows *r)
{
    r->choice.problem = KIT_STATICS;
    return gdr_store_put_choice(st, &r->choice);
}
static gdr_status bad_code(gdr_store *st, kit_rows *r)
{
    r->code[0]++;
    return gdr_store_put_step(st, &r->step);
}
static gdr_status bad_step(gdr_store *st, kit_rows *r)
{
    r->step.n = 8;
    return gdr_store_put_step(st, &r->step);
}
static gdr_status bad_entry(gdr_store *st, kit_rows *r)
{
    r->step.entry = "";
    return gdr_store_put_step(st, &r->step);
}
static gdr_status bad_work(gdr_store *st, kit_rows *r)
{
    r->dflt.max_work = 0;
    return gdr_store_put_default(st, &r->dflt);
}
static gdr_status bad_count(gdr_store *st, kit_rows *r)
{
    return gdr_store_put_pruned(st, r->trial.run, KIT_STATICS, "k", "r", 0);
}

static const struct bad_row {
    gdr_status (*put)(gdr_store *st, kit_rows *r);
    const char *text; /* in the message */
} bad_rows[] = {
    {bad_hash, "length(hash)"},
    {bad_null, "variant.kernel"},
    {bad_outcome, "outcome IN"},
    {bad_ok_untimed, "time_ns IS NOT NULL"},
    {bad_ok_unverified, "error_o IS NOT NULL"},
    {bad_ok_wrong, "error_s, 0) <= 1"},
    {bad_ok_nan, "error_o, 0) <= 1"},
    {bad_time, "time_ns < 1e18"},
    {bad_run, "names one that is not stored"},
    {bad_gain, "gain >= 1"},
    {bad_gain_nan, "choice.gain"},
    {bad_choice_of_nothing, "names one that is not stored"},
    {bad_choice_problem, "instr(problem"},
    {bad_code, "not its SHA-256"},
    {bad_step, "n BETWEEN"},
    {bad_entry, "entry <> ''"},
    {bad_work, "max_work > 0"},
    {bad_count, "count > 0"},
};

static void test_bad_rows_are_refused(void **state)
{
    kit_place *p = *state;
    kit_rows r;
    gdr_store_close(store_with(p->db, &r));
    size_t before_bytes, after_bytes;
    unsigned char *before = kit_load(p->db, &before_bytes);
    gdr_store *st = kit_open(p->db, GDR_STORE_WRITE);
    for (size_t i = 0; i < sizeof bad_rows / sizeof *bad_rows; i++) {
        kit_rows bad;
        kit_rows_make(&bad, 0);
        kit_rows_join(&bad, r.trial.device, r.trial.run);
        assert_fails(st, bad_rows[i].put(st, &bad), GDR_ERR_ARG,
                     bad_rows[i].text);
        assert_non_null(strstr(gdr_store_errmsg(st), p->db));
    }
    gdr_store_close(st);
    unsigned char *after = kit_load(p->db, &after_bytes);
    assert_int_equal(before_bytes, after_bytes);
    assert_memory_equal(before, after, before_bytes);
    free(before);
    free(after);
}

static void test_reader_does_not_write(void **state)
{
    kit_place *p = *state;
    kit_rows r;
    gdr_store *st = reopen(store_with(p->db, &r), p->db);
    assert_fails(st, gdr_store_put_variant(st, &r.variant), GDR_ERR_READONLY,
                 p->db);
    assert_fails(st, gdr_store_put_choice(st, &r.choice), GDR_ERR_READONLY,
                 p->db);
    assert_int_not_equal(gdr_store_put_step(st, &r.step), GDR_OK);
    assert_int_not_equal(gdr_store_sweep(st), GDR_OK);
    assert_ok(st, kit_read_all(st));
    gdr_store_close(st);
    gdr_store_close(NULL);
}

/* ---- sweep ---- */

/* Variants: 0 chosen, 1 the default of 0's choice, 2 a default by size, 3 a
 * finalist of that choice, 4 screened out, 5 a finalist of an older run. */
static void test_sweep_keeps_what_is_named(void **state)
{
    kit_place *p = *state;
    gdr_store *st = kit_open(p->db, GDR_STORE_WRITE);
    kit_rows r[6];
    for (int i = 0; i < 6; i++) {
        kit_rows_make(&r[i], i);
        assert_ok(st, kit_put_run(st, &r[i]));
        if (i > 0 && i < 5)
            r[i].trial.run = r[0].trial.run;
        r[i].trial.problem = r[0].problem;
        r[i].trial.stage = i == 4 ? 1 : 2;
        assert_ok(st, gdr_store_put_variant(st, &r[i].variant));
        assert_ok(st, gdr_store_put_step(st, &r[i].step));
        assert_ok(st, gdr_store_put_trial(st, &r[i].trial));
    }
    r[0].choice.fallback = r[1].hash;
    assert_ok(st, gdr_store_put_choice(st, &r[0].choice));
    assert_ok(st, gdr_store_put_default(st, &r[2].dflt));
    for (int again = 0; again < 2; again++) {
        assert_ok(st, gdr_store_sweep(st));
        for (int i = 0; i < 6; i++) {
            expected e = {.st = st, .rows = &r[i]};
            assert_ok(st, gdr_store_each_step(st, r[i].hash, "stamp",
                                              check_step, &e));
            assert_int_equal(e.n, i < 4);
        }
        assert_int_equal(kit_ask(p->db, "SELECT count(*) FROM image"), 4);
        assert_int_equal(kit_ask(p->db, "SELECT count(*) FROM trial"), 6);
    }
    gdr_store_close(st);
    assert_true(kit_sound(p->db));
}

/* Two variants may compile to the same bytes, which are stored once. */
static void test_sweep_keeps_shared_code(void **state)
{
    kit_place *p = *state;
    kit_rows r, other;
    gdr_store *st = store_with(p->db, &r);
    kit_rows_make(&other, 1);
    other.step.code = r.code;
    other.step.hash = r.image;
    assert_ok(st, gdr_store_put_variant(st, &other.variant));
    assert_ok(st, gdr_store_put_step(st, &other.step));
    assert_int_equal(kit_ask(p->db, "SELECT count(*) FROM image"), 1);
    assert_ok(st, gdr_store_sweep(st));
    expected e = {.st = st, .rows = &r}, gone = {.st = st, .rows = &other};
    assert_ok(st, gdr_store_each_step(st, r.hash, "stamp", check_step, &e));
    assert_ok(st,
              gdr_store_each_step(st, other.hash, "stamp", check_step, &gone));
    assert_int_equal(e.n, 1);
    assert_int_equal(gone.n, 0);
    gdr_store_close(st);
}

#define AT(place, test)                                                        \
    cmocka_unit_test_setup_teardown(test, place, kit_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT(kit_place_make, test_rows_come_back),
        AT(kit_place_make, test_run_is_recorded),
        AT(kit_place_make, test_compilers_words_come_back),
        AT(kit_place_make, test_quarantine),
        AT(kit_place_make, test_view_of_winners),
        AT(kit_place_make, test_extreme_values),
        AT(kit_place_make, test_newer_replaces),
        AT(kit_place_make, test_resume_finds_the_same_attempt_alone),
        AT(kit_place_make, test_callback_stops),
        AT(kit_place_make, test_bad_rows_are_refused),
        AT(kit_place_make, test_reader_does_not_write),
        AT(kit_place_make, test_sweep_keeps_what_is_named),
        AT(kit_place_make, test_sweep_keeps_shared_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
