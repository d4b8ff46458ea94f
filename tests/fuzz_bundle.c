/*
 * fuzz_bundle.c - libFuzzer on all that reads a bundle: opened, verified,
 * compared, told of, and dispatched from. Half of the mutations change bytes
 * anywhere; the other half put a hostile value into a cell, with the schema's
 * checks off, which the pages' structure keeps from bytes.
 *
 * The first argument that is a folder holds the seeds: `fuzz_bundle FOLDER
 * seed` writes one there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../runtime/gdr_internal.h"
#include "../runtime/set.h"
#include "../tuner/bundle.h"
#include "rows_fixture.h"
#include "store_kit.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most,
                               unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

static char folder[] = "/tmp/gdr-fuzz-XXXXXX";
static char path[64];

static void put_file(const uint8_t *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd))
        abort();
}

static void leave(void)
{
    unlink(path);
    rmdir(folder);
}

/* ---- mutating ---- */

static const char *const cells[] = {"device.fingerprint",
                                    "device.kind",
                                    "device.arch",
                                    "device.isa",
                                    "device.name",
                                    "run.version",
                                    "run.compiler",
                                    "run.began",
                                    "variant.hash",
                                    "variant.statics",
                                    "variant.kernel",
                                    "variant.config",
                                    "variant.reduction",
                                    "variant.abi",
                                    "image.code",
                                    "image.hash",
                                    "step.n",
                                    "step.entry",
                                    "step.grid_x",
                                    "step.grid_y",
                                    "step.block",
                                    "step.smem",
                                    "step.workspace",
                                    "step.isa",
                                    "step.pdl",
                                    "step.image",
                                    "choice.problem",
                                    "choice.device",
                                    "choice.variant",
                                    "choice.variant_stamp",
                                    "choice.fallback",
                                    "choice.time_ns",
                                    "choice.gain",
                                    "choice.regret",
                                    "choice.chosen",
                                    "fallback.statics",
                                    "fallback.max_work",
                                    "fallback.variant",
                                    "fallback.device",
                                    "signature.key",
                                    "signature.signature"};

static const char *const values[] = {
    "NULL",
    "''",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "-1e-308",
    "9e999",
    "zeroblob(70000)",
    "x'00'",
    "x'ff00fe'",
    "printf('%.*c', 70000, 'x')",
    "'recurrent:final:vk:bf16/f32:k128v128:l2norm:g'",
    "'recurrent:final:vk:bf16/f32:k128v128:l2norm:g / b1t1hk1hv1'",
    "'recurrent:final:vk:f32/f32:k8v8:g / b9223372036854775807t9hk1hv9'",
    "'b*hv*ceil(v/8)'",
    "'b*b*b*b*b*b*t*t*hv'",
    "'ceil(b/0)'",
    "'((((((((((((((((((((((((b'",
    "'min(b,'",
    "'%s%n'",
    "'../../x'",
    "substr(CELL, 2)",
    "CELL || CELL",
    "CELL || char(0) || 'x'",
    "upper(CELL)",
    "(SELECT CELL FROM TABLE ORDER BY random() LIMIT 1)",
    "CAST(CELL AS BLOB)",
};

/* The statement with its two words put in. */
static void write_update(char *sql, size_t n, unsigned cell, unsigned value)
{
    const char *dot = strchr(cells[cell], '.');
    size_t at;

    at = (size_t)snprintf(sql, n, "UPDATE OR REPLACE %.*s SET %s = ",
                          (int)(dot - cells[cell]), cells[cell], dot + 1);
    for (const char *v = values[value]; *v && at + 64 < n;)
        if (!strncmp(v, "CELL", 4) || !strncmp(v, "TABLE", 5)) {
            int table = *v == 'T';

            at += (size_t)snprintf(sql + at, n - at, "%.*s",
                                   table ? (int)(dot - cells[cell]) : 99,
                                   table ? cells[cell] : dot + 1);
            v += table ? 5 : 4;
        } else {
            sql[at++] = *v++;
        }
    snprintf(sql + at, n - at, " WHERE random() %% 3 = 0");
}

static void change_cell(unsigned seed)
{
    char sql[1024];
    sqlite3 *db = NULL;

    write_update(sql, sizeof sql, seed % (sizeof cells / sizeof *cells),
                 seed / 64 % (sizeof values / sizeof *values));
    if (sqlite3_open(path, &db) == SQLITE_OK)
        sqlite3_exec(db,
                     "PRAGMA ignore_check_constraints = 1;"
                     "PRAGMA foreign_keys = 0; PRAGMA synchronous = 0;"
                     "PRAGMA journal_mode = MEMORY",
                     NULL, NULL, NULL);
    sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most,
                               unsigned seed)
{
    struct stat s;
    FILE *f;
    size_t n = 0;

    if (seed % 2 || size < 512)
        return LLVMFuzzerMutate(data, size, most);
    put_file(data, size);
    change_cell(seed / 2);
    if (stat(path, &s) || (size_t)s.st_size > most || !(f = fopen(path, "rb")))
        return LLVMFuzzerMutate(data, size, most);
    n = fread(data, 1, most, f);
    fclose(f);
    return n;
}

/* ---- reading ---- */

/* The call of the row and one that nobody tuned. */
static void find(const gdr_set *set, const gdr_entry *e)
{
    gdr_extents x = e->problem.x;
    gdr_plan_info info = {.size = sizeof info};
    gdr_plan plan;

    for (int i = 0; i < 2; i++) {
        if (gdr_set_find(set, &x, &plan) == GDR_OK &&
            (gdr_plan_describe(&plan, &x, &info) != GDR_OK || !info.kernel))
            abort();
        x = (gdr_extents){3, 2, 2, 4};
    }
}

static void dispatch(const gdr *g)
{
    const gdr_rows *rows = gdr_rows_of(g);
    gdr_select_options o = {.size = sizeof o, .worst = GDR_MATCH_PTX};
    gdr_backend b = fixture_backend;
    fixture_device d;

    for (uint32_t i = 0; i < rows->n_entries && i < 8; i++) {
        const gdr_entry *e = &rows->entry[i];
        gdr_set *set = NULL;
        char msg[2048];

        o.flags = i % 2 ? GDR_SELECT_PIN : 0;
        b.kind = e->origin->kind;
        fixture_device_init(&d, e->origin->fingerprint, e->origin->isa);
        snprintf(d.info.kind, sizeof d.info.kind, "%s", e->origin->kind);
        snprintf(d.info.arch, sizeof d.info.arch, "%s", e->origin->arch);
        if (gdr_set_open(rows, &b, &d, &e->problem.s, &o, &set, msg,
                         sizeof msg) == GDR_OK)
            find(set, e);
        gdr_set_close(set);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char digest[GDR_DIGEST_TEXT], msg[2048];
    gdr_bundle_sum sum;
    gdr *g = NULL;

    put_file(data, size);
    if (gdr_open(path, &g) == GDR_OK) {
        if (gdr_digest(g, digest) != GDR_OK)
            abort();
        dispatch(g);
    } else if (!*gdr_errmsg(g)) {
        abort(); /* a reason is owed */
    }
    gdr_close(g);
    msg[0] = 0;
    if (gdr_bundle_verify(path, &sum, msg, sizeof msg) != GDR_OK && !*msg)
        abort();
    return 0;
}

/* ---- seeds ---- */

static int write_seed(const char *to)
{
    const gdr_bundle_options o = {.filter.force = 1};
    gdr_bundle_sum sum;
    char msg[1024] = "", seed[512];
    gdr_status status;

    snprintf(seed, sizeof seed, "%s/kit.gdrb", to);
    kit_database(path, 3);
    status = gdr_bundle_build(path, &o, seed, &sum, msg, sizeof msg);
    if (status != GDR_OK)
        fprintf(stderr, "fuzz_bundle: %s\n", msg);
    return status != GDR_OK;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    if (!mkdtemp(folder))
        abort();
    atexit(leave);
    snprintf(path, sizeof path, "%s/f", folder);
    if (*argc == 3 && !strcmp((*argv)[2], "seed"))
        exit(write_seed((*argv)[1]));
    return 0;
}
