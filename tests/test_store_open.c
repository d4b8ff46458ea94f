/*
 * test_store_open.c - whatever file is found, the answer is a clear error or
 * good rows: never a crash, never somebody else's file changed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "../db/store_internal.h"
#include "store_kit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const gdr_store_mode modes[] = {GDR_STORE_READ, GDR_STORE_WRITE};

/* Opening fails, says why, and names the file. */
static void refuses(const char *path, gdr_store_mode mode, gdr_status status,
                    const char *text)
{
    gdr_store *st;
    assert_fails(st, gdr_store_open(path, mode, &st), status, text);
    assert_non_null(strstr(gdr_store_errmsg(st), path));
    gdr_store_close(st);
}

/* The same in both modes, and the file is as it was. */
static void refuses_untouched(const char *path, gdr_status status,
                              const char *text)
{
    size_t before_bytes, after_bytes;
    unsigned char *before = kit_load(path, &before_bytes);
    refuses(path, GDR_STORE_READ, status, text);
    refuses(path, GDR_STORE_WRITE, status, text);
    unsigned char *after = kit_load(path, &after_bytes);
    assert_int_equal(before_bytes, after_bytes);
    assert_memory_equal(before, after, before_bytes);
    free(before);
    free(after);
}

/* ---- what is there, or not ---- */

static void test_missing_file(void **state)
{
    kit_place *p = *state;
    refuses(p->db, GDR_STORE_READ, GDR_ERR_NOT_FOUND, "run gdr-tune");
    assert_int_equal(access(p->db, F_OK), -1);
}

static void test_writer_makes_folders(void **state)
{
    kit_place *p = *state;
    char path[160];
    struct stat sb;
    snprintf(path, sizeof path, "%s/a/b c/d%%20?x#/gdr.db", p->dir);
    kit_database(path, 1);
    gdr_store *st = kit_open(path, GDR_STORE_READ);
    assert_ok(st, kit_read_all(st));
    gdr_store_close(st);
    snprintf(path, sizeof path, "%s/a", p->dir);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 022, 0);
    /* a file where a folder should be */
    kit_save(p->db, "", 0);
    snprintf(path, sizeof path, "%s/gdr.db/gdr.db", p->dir);
    refuses(path, GDR_STORE_WRITE, GDR_ERR_IO, "Not a directory");
    refuses(path, GDR_STORE_READ, GDR_ERR_IO, "Not a directory");
}

static void test_not_a_file(void **state)
{
    kit_place *p = *state;
    char path[96];
    snprintf(path, sizeof path, "%s/fifo", p->dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    for (int m = 0; m < 2; m++) {
        refuses(p->dir, modes[m], GDR_ERR_IO, "a folder, not a file; choose");
        refuses(path, modes[m], GDR_ERR_IO, "a pipe, not a file; choose");
    }
}

/* SQLite would take these for an address and for a database in memory. */
static void test_odd_names_are_names(void **state)
{
    kit_place *p = *state;
    char here[512];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(p->dir), 0);
    static const char *const names[] = {":memory:", "file:x?mode=memory",
                                        "sub/x.db", "-db"};
    for (int i = 0; i < 4; i++) {
        gdr_store_close(kit_open(names[i], GDR_STORE_WRITE));
        assert_int_equal(access(names[i], F_OK), 0);
        gdr_store_close(kit_open(names[i], GDR_STORE_READ));
    }
    assert_int_equal(chdir(here), 0);
}

static void test_symlink_is_followed(void **state)
{
    kit_place *p = *state;
    char path[96];
    kit_database(p->db, 1);
    snprintf(path, sizeof path, "%s/link", p->dir);
    assert_int_equal(symlink("gdr.db", path), 0);
    for (int m = 0; m < 2; m++) {
        gdr_store *st = kit_open(path, modes[m]);
        assert_ok(st, kit_read_all(st));
        gdr_store_close(st);
    }
}

static void test_writable_by_others_is_unsafe(void **state)
{
    kit_place *p = *state;
    kit_database(p->db, 1);
    assert_int_equal(chmod(p->db, 0646), 0);
    refuses_untouched(p->db, GDR_ERR_UNSAFE, "chmod o-w");
    assert_int_equal(chmod(p->db, 0644), 0);
    gdr_store_close(kit_open(p->db, GDR_STORE_READ));
}

/* ---- files that are not ours ---- */

static void test_empty_file(void **state)
{
    kit_place *p = *state;
    kit_save(p->db, "", 0);
    refuses(p->db, GDR_STORE_READ, GDR_ERR_FORMAT, "run gdr-tune");
    kit_database(p->db, 1);
    assert_true(kit_sound(p->db));
}

static void test_not_a_database(void **state)
{
    kit_place *p = *state;
    char junk[5000];
    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = (char)(i * 7 + 1);
    static const size_t sizes[] = {1, 15, 16, 99, 100, 512, 4096, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        kit_save(p->db, junk, sizes[i]);
        refuses_untouched(p->db, GDR_ERR_FORMAT, "not a gdr database");
    }
}

static void test_another_program(void **state)
{
    kit_place *p = *state;
    kit_save(p->db, "", 0);
    kit_vandalise(p->db, "CREATE TABLE t (x)");
    refuses_untouched(p->db, GDR_ERR_FORMAT, "another program");
    kit_vandalise(p->db, "DROP TABLE t; PRAGMA application_id = 5");
    refuses_untouched(p->db, GDR_ERR_FORMAT, "another program");
}

static void test_newer_version(void **state)
{
    kit_place *p = *state;
    char text[64];
    kit_database(p->db, 1);
    kit_vandalise(p->db, "PRAGMA user_version = 12");
    refuses_untouched(p->db, GDR_ERR_NEWER, "schema version 12");
    snprintf(text, sizeof text, "up to version %d", GDR_STORE_VERSION);
    refuses_untouched(p->db, GDR_ERR_NEWER, text);
    refuses_untouched(p->db, GDR_ERR_NEWER, "use a newer gdr-tune");
    kit_vandalise(p->db, "PRAGMA user_version = -3");
    refuses_untouched(p->db, GDR_ERR_FORMAT, "schema version -3");
    kit_vandalise(p->db, "PRAGMA user_version = 0");
    refuses_untouched(p->db, GDR_ERR_FORMAT, "schema version 0");
}

/* ---- files that somebody changed ---- */

/* How a good file is spoilt, and what opening or reading it then says. */
static const struct spoilt {
    const char *sql, *text;
} spoilt[] = {
    {"DROP TABLE choice", "table choice is missing"},
    {"DROP TABLE pruned", "table pruned is missing"},
    {"DROP TABLE quarantine", "table quarantine is missing"},
    {"UPDATE step SET pdl = 'a' || char(0) || 'b'", "pdl has a 0"},
    {"UPDATE trial SET occupancy = 1.5", "occupancy is out of range"},
    {"UPDATE trial SET in_flight = -1", "in_flight is out of range"},
    {"UPDATE compiled SET registers = -1", "registers is out of range"},
    {"ALTER TABLE step RENAME TO other;"
     "CREATE VIEW step AS SELECT * FROM other",
     "table step is missing"},
    {"ALTER TABLE step RENAME TO other;"
     "CREATE VIRTUAL TABLE step USING fts5(x)",
     "table step is missing"},
    {"CREATE TRIGGER t AFTER INSERT ON trial BEGIN DELETE FROM choice; END",
     "trigger t is not ours"},
    {"ALTER TABLE choice RENAME COLUMN gain TO loss", "no such column: c.gain"},
    {"ALTER TABLE device DROP COLUMN isa", "no such column: d.isa"},
    {"UPDATE choice SET time_ns = -1", "time_ns is out of range"},
    {"UPDATE choice SET time_ns = 9e999", "time_ns is out of range"},
    {"UPDATE choice SET gain = 0.5", "gain is out of range"},
    {"UPDATE choice SET run = -1", "run is out of range"},
    {"UPDATE choice SET fallback = 'x'", "fallback is not a SHA-256"},
    {"UPDATE choice SET stamp = 'a' || char(0) || 'b'", "stamp has a 0"},
    {"UPDATE variant SET abi = -1", "abi is out of range"},
    {"UPDATE trial SET outcome = 'super'", "outcome is no outcome"},
    {"UPDATE trial SET samples = x'0102'", "samples is cut off"},
    {"UPDATE trial SET error_o = -0.5", "error_o is out of range"},
    {"UPDATE trial SET stage = 3", "stage is out of range"},
    {"UPDATE trial SET rounds = -1", "rounds is out of range"},
    {"UPDATE fallback SET max_work = 0 WHERE max_work = 1",
     "max_work is out of range"},
    {"UPDATE pruned SET count = -9", "count is out of range"},
    {"UPDATE step SET n = 1", "n is out of range"},
    {"UPDATE image SET code = x'00'", "code of an image is not"},
    {"DELETE FROM image", "code of an image is not"},
    /* tables of the right names that never heard of types */
    {"CREATE TABLE d AS SELECT * FROM device; DROP TABLE device;"
     "ALTER TABLE d RENAME TO device; UPDATE device SET name = NULL",
     "name is NULL"},
    {"CREATE TABLE d AS SELECT * FROM device; DROP TABLE device;"
     "ALTER TABLE d RENAME TO device; UPDATE device SET arch = x'00ff'",
     "arch is not a text"},
    {"CREATE TABLE c AS SELECT * FROM choice; DROP TABLE choice;"
     "ALTER TABLE c RENAME TO choice; UPDATE choice SET spread = 'wide'",
     "spread is not a number"},
    {"CREATE TABLE c AS SELECT * FROM choice; DROP TABLE choice;"
     "ALTER TABLE c RENAME TO choice; UPDATE choice SET run = 1.5",
     "run is not an integer"},
    {"CREATE TABLE c AS SELECT * FROM choice; DROP TABLE choice;"
     "ALTER TABLE c RENAME TO choice; UPDATE choice SET gain = NULL",
     "gain is NULL"},
    {"CREATE TABLE i AS SELECT * FROM image; DROP TABLE image;"
     "ALTER TABLE i RENAME TO image; UPDATE image SET code = 'text'",
     "code is not a blob"},
};

static void test_spoilt_files(void **state)
{
    kit_place *p = *state;
    size_t bytes;
    kit_database(p->db, 2);
    unsigned char *good = kit_load(p->db, &bytes);
    for (size_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
        kit_save(p->db, good, bytes);
        kit_vandalise(p->db, spoilt[i].sql);
        gdr_store *st;
        gdr_status status = gdr_store_open(p->db, GDR_STORE_READ, &st);
        if (status == GDR_OK)
            status = kit_read_all(st);
        if (status != GDR_ERR_FORMAT ||
            !strstr(gdr_store_errmsg(st), spoilt[i].text) ||
            !strstr(gdr_store_errmsg(st), p->db))
            fail_msg("%s: status %d: %s, not: %s", spoilt[i].sql, (int)status,
                     gdr_store_errmsg(st), spoilt[i].text);
        gdr_store_close(st);
    }
    free(good);
}

/* Extra tables and views of a user are no damage. */
static void test_additions_are_harmless(void **state)
{
    kit_place *p = *state;
    kit_database(p->db, 1);
    kit_vandalise(p->db, "CREATE TABLE mine (x); DROP VIEW winner;"
                         "CREATE VIEW v AS SELECT * FROM choice;"
                         "CREATE INDEX i ON trial (outcome);"
                         "ALTER TABLE device ADD COLUMN remark TEXT");
    for (int m = 0; m < 2; m++) {
        gdr_store *st = kit_open(p->db, modes[m]);
        assert_ok(st, kit_read_all(st));
        gdr_store_close(st);
    }
}

/* A database in WAL mode is read, and a writer takes it back. */
static void test_wal_is_undone(void **state)
{
    kit_place *p = *state;
    kit_database(p->db, 1);
    kit_vandalise(p->db, "PRAGMA journal_mode = WAL");
    gdr_store *st = kit_open(p->db, GDR_STORE_READ);
    assert_ok(st, kit_read_all(st));
    gdr_store_close(st);
    kit_database(p->db, 2);
    size_t bytes;
    unsigned char *file = kit_load(p->db, &bytes);
    assert_int_equal(file[18], 1); /* the header's write version: journal */
    free(file);
}

/* ---- damage by chance ---- */

/* Opens and reads in both modes; what it says may be anything but a crash or
 * an error without words. */
static gdr_status survives(const char *path, gdr_store_mode mode,
                           const char *what, long at)
{
    gdr_store *st;
    gdr_status status = gdr_store_open(path, mode, &st);
    if (status == GDR_OK)
        status = kit_read_all(st);
    if (status != GDR_OK && !strstr(gdr_store_errmsg(st), path))
        fail_msg("%s %ld: status %d without words", what, at, (int)status);
    if (status == GDR_OK && mode == GDR_STORE_WRITE) {
        kit_rows r;
        kit_rows_make(&r, 1);
        if (kit_put_run(st, &r) == GDR_OK)
            kit_put_rest(st, &r);
        gdr_store_sweep(st);
    }
    gdr_store_close(st);
    return status;
}

static void test_truncated_anywhere(void **state)
{
    kit_place *p = *state;
    size_t bytes;
    kit_database(p->db, 3);
    unsigned char *good = kit_load(p->db, &bytes);
    for (size_t at = 1; at < bytes; at += at % 4096 == 0 ? 100 : 1998)
        for (int m = 0; m < 2; m++) {
            kit_save(p->db, good, at);
            gdr_status status = survives(p->db, modes[m], "cut at", (long)at);
            if (status != GDR_ERR_FORMAT)
                fail_msg("cut at %zu of %zu: status %d", at, bytes,
                         (int)status);
        }
    free(good);
}

/* A generator of its own, so that a failure repeats. */
static uint32_t next_random(uint32_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 17;
    *s ^= *s << 5;
    return *s;
}

static void test_flipped_bits(void **state)
{
    kit_place *p = *state;
    size_t bytes;
    kit_database(p->db, 3);
    unsigned char *good = kit_load(p->db, &bytes);
    uint32_t seed = 1;
    int rounds = getenv("GDR_THOROUGH") ? 20000 : 500, refused = 0;
    for (int i = 0; i < rounds; i++) {
        /* half of them in the first two pages: header and schema */
        uint32_t at = next_random(&seed) % (i % 2 ? (uint32_t)bytes : 8192);
        unsigned char bit = (unsigned char)(1u << (next_random(&seed) & 7));
        good[at] ^= bit;
        kit_save(p->db, good, bytes);
        refused += survives(p->db, modes[i % 4 == 3], "flip", i) != GDR_OK;
        good[at] ^= bit;
    }
    print_message("%d flips of %zu bytes, %d refused\n", rounds, bytes,
                  refused);
    free(good);
}

/* Eight flips at a time in one page beyond the header. */
static void test_scrambled_pages(void **state)
{
    kit_place *p = *state;
    size_t bytes;
    kit_database(p->db, 3);
    unsigned char *good = kit_load(p->db, &bytes);
    unsigned char *bad = malloc(bytes);
    uint32_t seed = 7;
    assert_non_null(bad);
    for (int i = 0; i < 200; i++) {
        memcpy(bad, good, bytes);
        size_t page = next_random(&seed) % (bytes / 4096) * 4096;
        for (int k = 0; k < 8; k++) /* the head of the page, where sizes are */
            bad[page + (page ? 0 : 100) + next_random(&seed) % 64] =
                (unsigned char)next_random(&seed);
        kit_save(p->db, bad, bytes);
        survives(p->db, modes[i % 2], "scramble", i);
    }
    free(bad);
    free(good);
}

/* ---- migrations ---- */

/* A database of version 1 with the rows of kit_database, made by the tables
 * that it had; what is newer is lost. */
static void make_version_1(const kit_place *p, int n)
{
    char fresh[128], sql[512];
    size_t bytes;
    snprintf(fresh, sizeof fresh, "%s/fresh.db", p->dir);
    kit_database(fresh, n);
    char *schema = (char *)kit_load("tests/golden/schema-1.sql", &bytes);
    schema[bytes] = 0;
    kit_save(p->db, "", 0);
    kit_vandalise(p->db, schema);
    free(schema);
    static const char *const tables[][2] = {
        {"device", "*"},
        {"run", "*"},
        {"variant", "*"},
        {"trial", "id, run, device, problem, variant, stamp, outcome, stage,"
                  " error_o, error_s, time_ns, spread, rounds, samples, note"},
        {"pruned", "*"},
        {"image", "*"},
        {"build", "*"},
        {"step", "variant, stamp, n, entry, grid_x, grid_y, grid_z, block,"
                 " smem, workspace, isa, image"},
        {"choice", "device, problem, run, stamp, variant, variant_stamp,"
                   " fallback, fallback_stamp, time_ns, spread, gain, gain_lo,"
                   " gain_hi, noise, bytes, roofline_bytes_per_s, chosen"},
        {"fallback", "*"}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        snprintf(sql, sizeof sql,
                 "ATTACH '%s' AS f; INSERT INTO main.%s SELECT %s FROM f.%s",
                 fresh, tables[i][0], tables[i][1], tables[i][0]);
        kit_vandalise(p->db, sql);
    }
}

static int see_old_step(void *ctx, const gdr_step_row *row)
{
    ++*(int *)ctx;
    assert_string_equal(row->pdl, "0");
    return 0;
}

/* libgdr reads what was tuned before there were cards; what the tables lack is
 * unknown, and the file stays as it is. */
static void test_version_1_is_read(void **state)
{
    kit_place *p = *state;
    kit_rows r;
    gdr_trial_row trial;
    gdr_quarantine_row q;
    size_t before_bytes, after_bytes;
    int steps = 0;
    make_version_1(p, 3);
    unsigned char *before = kit_load(p->db, &before_bytes);
    gdr_store *st = kit_open(p->db, GDR_STORE_READ);
    kit_rows_make(&r, 1);
    assert_ok(st, kit_read_all(st));
    assert_ok(st,
              gdr_store_each_step(st, r.hash, "stamp", see_old_step, &steps));
    assert_int_equal(steps, 1);
    assert_ok(st,
              gdr_store_get_trial(st, 1, r.problem, r.hash, "stamp", &trial));
    assert_true(trial.time_ns == r.trial.time_ns);
    assert_true(trial.occupancy == 0 && trial.in_flight == 0 &&
                trial.eager_ns == 0);
    assert_fails(st, gdr_store_get_quarantine(st, 1, r.image, &q),
                 GDR_ERR_NOT_FOUND, "quarantine");
    gdr_store_close(st);
    unsigned char *after = kit_load(p->db, &after_bytes);
    assert_int_equal(before_bytes, after_bytes);
    assert_memory_equal(before, after, before_bytes);
    free(before);
    free(after);
}

/* A writer makes it the newest: every row is there, and the columns are those
 * of a new file, in name, type and order. */
static void test_version_1_is_migrated(void **state)
{
    static const char differ[] =
        "ATTACH '%s' AS f; CREATE TEMP TABLE a AS"
        " SELECT s.name AS t, x.cid, x.name, x.type, x.\"notnull\", x.pk"
        " FROM main.sqlite_schema s, pragma_table_xinfo(s.name, 'main') x"
        " WHERE s.type = 'table';"
        "CREATE TEMP TABLE b AS"
        " SELECT s.name AS t, x.cid, x.name, x.type, x.\"notnull\", x.pk"
        " FROM f.sqlite_schema s, pragma_table_xinfo(s.name, 'f') x"
        " WHERE s.type = 'table';"
        "CREATE TABLE main.difference AS"
        " SELECT * FROM (SELECT * FROM a EXCEPT SELECT * FROM b)"
        " UNION ALL SELECT * FROM (SELECT * FROM b EXCEPT SELECT * FROM a)";
    kit_place *p = *state;
    char sql[2048], fresh[128];
    kit_rows r;
    make_version_1(p, 3);
    gdr_store *st = kit_open(p->db, GDR_STORE_WRITE);
    assert_ok(st, kit_read_all(st));
    kit_rows_make(&r, 7);
    assert_ok(st, kit_put_run(st, &r));
    assert_ok(st, kit_put_rest(st, &r));
    gdr_store_close(st);
    assert_true(kit_sound(p->db));
    assert_int_equal(kit_ask(p->db, "PRAGMA user_version"), GDR_STORE_VERSION);
    assert_int_equal(kit_ask(p->db, "SELECT count(*) FROM trial"), 4);
    assert_int_equal(kit_ask(p->db, "SELECT count(*) FROM step"
                                    " WHERE pdl = '0'"),
                     3);
    snprintf(fresh, sizeof fresh, "%s/fresh.db", p->dir);
    snprintf(sql, sizeof sql, differ, fresh);
    kit_vandalise(p->db, sql);
    assert_int_equal(kit_ask(p->db, "SELECT count(*) FROM difference"), 0);
}

/* A schema two versions on, and the way to it from this one. */
static const char v5_schema[] = "CREATE TABLE a (x INTEGER, y TEXT) STRICT";
static const char *const v5_steps[] = {
    "SELECT * FROM of_version_1_alone",
    "SELECT * FROM of_version_2_alone",
    "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a SELECT count(*) FROM "
    "choice",
    "ALTER TABLE a RENAME TO b; CREATE TABLE a (x INTEGER, y TEXT) STRICT;"
    "INSERT INTO a SELECT x, 'from 4' FROM b; DROP TABLE b",
};

static void test_migration_runs_each_step(void **state)
{
    kit_place *p = *state;
    kit_database(p->db, 3);
    gdr_store *st = kit_open(p->db, GDR_STORE_WRITE);
    assert_ok(st, gdr_store_migrate(st, v5_schema, v5_steps, 5));
    assert_int_equal(kit_ask(p->db, "PRAGMA user_version"), 5);
    assert_int_equal(kit_ask(p->db, "SELECT x FROM a WHERE y = 'from 4'"), 3);
    /* again: nothing left to do */
    assert_ok(st, gdr_store_migrate(st, v5_schema, v5_steps, 5));
    assert_int_equal(kit_ask(p->db, "SELECT count(*) FROM a"), 1);
    gdr_store_close(st);
    refuses_untouched(p->db, GDR_ERR_NEWER, "schema version 5");
}

static void test_migration_of_an_empty_file(void **state)
{
    kit_place *p = *state;
    gdr_store *st = kit_open(p->db, GDR_STORE_WRITE);
    gdr_store_close(st);
    assert_int_equal(kit_ask(p->db, "PRAGMA user_version"), GDR_STORE_VERSION);
    assert_int_equal(kit_ask(p->db, "PRAGMA application_id"),
                     GDR_STORE_APPLICATION);
}

static void test_failed_migration_changes_nothing(void **state)
{
    kit_place *p = *state;
    static const char *const bad_sql[] = {v5_steps[0], v5_steps[1], v5_steps[2],
                                          "SELECT * FROM nothing"};
    static const char *const bad_keys[] = {
        v5_steps[0], v5_steps[1], v5_steps[2],
        "UPDATE choice SET variant_stamp = 'nobody'"};
    const char *const *bad[] = {bad_sql, bad_keys};
    static const char *const texts[] = {"nothing", "row of choice names one"};
    kit_database(p->db, 2);
    size_t before_bytes, after_bytes;
    unsigned char *before = kit_load(p->db, &before_bytes);
    for (int i = 0; i < 2; i++) {
        gdr_store *st = kit_open(p->db, GDR_STORE_WRITE);
        assert_fails(st, gdr_store_migrate(st, v5_schema, bad[i], 5),
                     GDR_ERR_FORMAT, texts[i]);
        /* and the handle still works, foreign keys included */
        assert_ok(st, kit_read_all(st));
        kit_rows r;
        kit_rows_make(&r, 5);
        r.trial.run = r.trial.device = 1;
        assert_fails(st, gdr_store_put_trial(st, &r.trial), GDR_ERR_ARG,
                     "not stored");
        gdr_store_close(st);
    }
    unsigned char *after = kit_load(p->db, &after_bytes);
    assert_int_equal(before_bytes, after_bytes);
    assert_memory_equal(before, after, before_bytes);
    free(before);
    free(after);
}

#define AT(place, test)                                                        \
    cmocka_unit_test_setup_teardown(test, place, kit_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT(kit_place_make, test_missing_file),
        AT(kit_place_make, test_writer_makes_folders),
        AT(kit_place_make, test_not_a_file),
        AT(kit_place_make, test_odd_names_are_names),
        AT(kit_place_make, test_symlink_is_followed),
        AT(kit_place_make, test_writable_by_others_is_unsafe),
        AT(kit_place_make, test_empty_file),
        AT(kit_place_make, test_not_a_database),
        AT(kit_place_make, test_another_program),
        AT(kit_place_make, test_newer_version),
        AT(kit_place_make_fast, test_spoilt_files),
        AT(kit_place_make, test_additions_are_harmless),
        AT(kit_place_make, test_wal_is_undone),
        AT(kit_place_make_fast, test_truncated_anywhere),
        AT(kit_place_make_fast, test_flipped_bits),
        AT(kit_place_make_fast, test_scrambled_pages),
        AT(kit_place_make, test_version_1_is_read),
        AT(kit_place_make, test_version_1_is_migrated),
        AT(kit_place_make, test_migration_runs_each_step),
        AT(kit_place_make, test_migration_of_an_empty_file),
        AT(kit_place_make, test_failed_migration_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
