/*
 * store_bundle.c - a smaller database with what a reader needs and nothing of
 * how it came about. The file grows beside its place and takes it whole: a
 * reader never meets half of it.
 */
#include "store_internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Everything that nobody names any more, in the order of who names whom. */
static const char sweep[] =
    "DELETE FROM trial; DELETE FROM compiled; DELETE FROM quarantine;"
    "DELETE FROM pruned; DELETE FROM signature;"
    "DELETE FROM build WHERE NOT EXISTS (SELECT 1 FROM choice c"
    " WHERE c.variant = build.variant AND c.variant_stamp = build.stamp)"
    " AND NOT EXISTS (SELECT 1 FROM choice c"
    " WHERE c.fallback = build.variant AND c.fallback_stamp = build.stamp)"
    " AND NOT EXISTS (SELECT 1 FROM fallback f"
    " WHERE f.variant = build.variant AND f.variant_stamp = build.stamp);"
    "DELETE FROM image WHERE hash NOT IN (SELECT image FROM step);"
    "DELETE FROM variant WHERE hash NOT IN (SELECT variant FROM build);"
    "DELETE FROM run WHERE id NOT IN (SELECT run FROM choice);"
    "DELETE FROM device WHERE id NOT IN (SELECT device FROM choice)"
    " AND id NOT IN (SELECT device FROM fallback)"
    " AND id NOT IN (SELECT device FROM run);";

static gdr_status keep_words(gdr_store *st, const char *sql,
                             const char *const *word, int n)
{
    gdr_status status = GDR_OK;
    for (int i = 0; i < n && status == GDR_OK; i++) {
        gdr_query q;
        gdr_query_open(&q, st, sql);
        gdr_query_bind_text(&q, word[i]);
        gdr_query_step(&q);
        status = gdr_query_close(&q);
    }
    return status;
}

/* Of the devices: PTX stays where cards do, since it serves newer ones. */
static gdr_status drop_devices(gdr_store *st, const gdr_bundle_filter *f)
{
    gdr_status status = gdr_store_exec(
        st, "CREATE TEMP TABLE kept (arch TEXT PRIMARY KEY) STRICT");
    if (status == GDR_OK)
        status = keep_words(st, "INSERT OR IGNORE INTO temp.kept VALUES (?)",
                            f->arch, f->n_arch);
    if (status == GDR_OK)
        status = gdr_store_exec(
            st, "INSERT OR IGNORE INTO temp.kept SELECT 'ptx' FROM device"
                " WHERE kind = 'cuda' AND arch IN (SELECT arch FROM temp.kept);"
                "DELETE FROM choice WHERE device IN (SELECT id FROM device"
                " WHERE arch NOT IN (SELECT arch FROM temp.kept));"
                "DELETE FROM fallback WHERE device IN (SELECT id FROM device"
                " WHERE arch NOT IN (SELECT arch FROM temp.kept));");
    return status;
}

static gdr_status drop_problems(gdr_store *st, const gdr_bundle_filter *f)
{
    gdr_status status = gdr_store_exec(
        st, "CREATE TEMP TABLE asked (statics TEXT PRIMARY KEY) STRICT");
    if (status == GDR_OK)
        status = keep_words(st, "INSERT OR IGNORE INTO temp.asked VALUES (?)",
                            f->statics, f->n_statics);
    if (status == GDR_OK)
        status =
            gdr_store_exec(st, "DELETE FROM choice WHERE"
                               " substr(problem, 1, instr(problem, ' / ') - 1)"
                               " NOT IN (SELECT statics FROM temp.asked);"
                               "DELETE FROM fallback WHERE statics"
                               " NOT IN (SELECT statics FROM temp.asked);");
    return status;
}

/* What somebody else keeps in the database is theirs. */
static gdr_status drop_strangers(gdr_store *st)
{
    gdr_status status;
    do {
        gdr_query q;
        char *sql = NULL;
        gdr_query_open(
            &q, st,
            "SELECT printf('DROP %s \"%w\"', type, name) FROM sqlite_schema"
            " WHERE name NOT IN ('device', 'run', 'variant', 'trial',"
            " 'compiled', 'quarantine', 'pruned', 'image', 'build', 'step',"
            " 'choice', 'fallback', 'signature', 'winner', 'step_image')"
            " AND (name NOT LIKE 'sqlite~_%' ESCAPE '~'"
            "  OR name LIKE 'sqlite~_stat%' ESCAPE '~') LIMIT 1");
        if (gdr_query_step(&q))
            sql = sqlite3_mprintf("%s", gdr_query_text(&q));
        status = gdr_query_close(&q);
        if (!sql)
            return status;
        if (status == GDR_OK)
            status = gdr_store_exec(st, sql);
        sqlite3_free(sql);
    } while (status == GDR_OK);
    return status;
}

static gdr_status count_rows(gdr_store *st, int64_t *plans)
{
    gdr_query q;
    gdr_query_open(&q, st,
                   "SELECT (SELECT count(*) FROM choice)"
                   " + (SELECT count(*) FROM fallback) AS plans");
    *plans = 0;
    if (gdr_query_step(&q))
        *plans = gdr_query_int(&q, 0, INT64_MAX);
    return gdr_query_close(&q);
}

static gdr_status reduce(gdr_store *st, const gdr_bundle_filter *f)
{
    int64_t plans;
    gdr_status status = gdr_store_exec(st, "BEGIN IMMEDIATE");
    if (status != GDR_OK)
        return status;
    if (f->n_arch > 0)
        status = drop_devices(st, f);
    if (status == GDR_OK && f->n_statics > 0)
        status = drop_problems(st, f);
    if (status == GDR_OK && (f->max_regret > 0 || f->max_kernels > 0))
        status = gdr_store_prune(st, f->max_regret, f->max_kernels);
    if (status == GDR_OK)
        status = drop_strangers(st);
    if (status == GDR_OK)
        status = gdr_store_exec(st, sweep);
    if (status == GDR_OK)
        status = count_rows(st, &plans);
    if (status == GDR_OK && plans == 0)
        status = gdr_store_fail(st, GDR_ERR_NOT_FOUND,
                                "no winner and no default is left");
    status = gdr_store_end(st, status);
    return status == GDR_OK ? gdr_store_exec(st, "VACUUM") : status;
}

static gdr_status copy_pages(gdr_store *from, gdr_store *to)
{
    sqlite3_backup *b = sqlite3_backup_init(to->db, "main", from->db, "main");
    int rc;
    if (!b)
        return gdr_store_fail_sql(to, sqlite3_extended_errcode(to->db));
    rc = sqlite3_backup_step(b, -1);
    sqlite3_backup_finish(b);
    return rc == SQLITE_DONE ? GDR_OK : gdr_store_fail_sql(to, rc);
}

/* The words of the one are those of the other: both name their file. */
static void pass_on(gdr_store *to, gdr_status status, const gdr_store *from)
{
    if (from && *from->msg)
        memcpy(to->msg, from->msg, sizeof to->msg);
    else
        gdr_store_fail(to, status, "%s", gdr_strerror(status));
}

static gdr_status there_already(gdr_store *st, const char *path)
{
    return gdr_store_fail_plain(
        st, GDR_ERR_ARG, "%s is there already: give another name, or --force",
        path);
}

/* Takes its place, or refuses to where there is something already. */
static gdr_status settle(gdr_store *from, const char *temporary,
                         const char *path, int force)
{
    int failed = chmod(temporary, 0444);
    if (!failed && force)
        failed = rename(temporary, path);
    else if (!failed) {
        failed = link(temporary, path);
        if (!failed)
            unlink(temporary);
    }
    if (!failed)
        return GDR_OK;
    if (errno == EEXIST)
        return there_already(from, path);
    return gdr_store_fail_plain(from, GDR_ERR_IO, "%s: %s", path,
                                strerror(errno));
}

int gdr_store_beside(const char *path, const char *word, char *out, size_t n)
{
    int length = snprintf(out, n, "%s.%s-%ld", path, word, (long)getpid());
    return length >= 0 && (size_t)length < n;
}

gdr_status gdr_store_copy(gdr_store *from, const char *path)
{
    gdr_store *to = NULL;
    gdr_status status = gdr_store_open(path, GDR_STORE_WRITE, &to);
    if (status == GDR_OK)
        status = copy_pages(from, to);
    if (status == GDR_OK)
        status = gdr_store_check_version(to);
    if (status != GDR_OK)
        pass_on(from, status, to);
    gdr_store_close(to);
    return status;
}

static gdr_status make(gdr_store *from, const char *temporary,
                       const gdr_bundle_filter *f)
{
    gdr_store *to = NULL;
    gdr_status status = gdr_store_copy(from, temporary);
    if (status != GDR_OK)
        return status;
    status = gdr_store_open(temporary, GDR_STORE_WRITE, &to);
    if (status == GDR_OK)
        status = reduce(to, f);
    if (status != GDR_OK)
        pass_on(from, status, to);
    gdr_store_close(to);
    return status;
}

gdr_status gdr_store_bundle(gdr_store *from, const gdr_bundle_filter *f,
                            const char *path)
{
    char temporary[4096];
    struct stat there;
    gdr_status status;
    assert(from && f && path);
    if (!gdr_store_beside(path, "new", temporary, sizeof temporary))
        return gdr_store_fail_plain(from, GDR_ERR_ARG,
                                    "the bundle's path is too long");
    if (lstat(path, &there) == 0 && !S_ISREG(there.st_mode))
        return gdr_store_fail_plain(
            from, GDR_ERR_ARG,
            "%s is there and is not a file: give another name", path);
    if (!f->force && access(path, F_OK) == 0)
        return there_already(from, path);
    status = make(from, temporary, f);
    if (status == GDR_OK && f->finish) {
        status = f->finish(f->ctx, temporary);
        if (status != GDR_OK)
            gdr_store_fail(from, status, "the bundle was not finished");
    }
    if (status == GDR_OK)
        status = settle(from, temporary, path, f->force);
    if (status != GDR_OK)
        unlink(temporary);
    return status;
}

gdr_status gdr_store_put_signature(gdr_store *st, const char *key,
                                   const char *signature)
{
    gdr_query q;
    assert(st && key && signature);
    gdr_query_open(&q, st,
                   "INSERT OR REPLACE INTO signature (key, signature)"
                   " VALUES (?, ?)");
    gdr_query_bind_text(&q, key);
    gdr_query_bind_text(&q, signature);
    gdr_query_step(&q);
    return gdr_query_close(&q);
}

gdr_status gdr_store_get_signature(gdr_store *st, const char *key, char *out,
                                   size_t n)
{
    gdr_query q;
    int found = 0;
    assert(st && key && out);
    if (st->version >= 3) {
        gdr_query_open(&q, st, "SELECT signature FROM signature WHERE key = ?");
        gdr_query_bind_text(&q, key);
        found = gdr_query_step(&q);
        if (found)
            snprintf(out, n, "%s", gdr_query_text(&q));
        gdr_status status = gdr_query_close(&q);
        if (status != GDR_OK)
            return status;
    }
    if (found)
        return GDR_OK;
    return gdr_store_fail(st, GDR_ERR_NOT_FOUND,
                          "has no signature by the key %.16s...", key);
}

gdr_status gdr_store_verify(gdr_store *st)
{
    gdr_query q;
    char first[512] = "";
    assert(st);
    gdr_query_open(&q, st, "SELECT * FROM pragma_integrity_check(1)");
    if (gdr_query_step(&q))
        snprintf(first, sizeof first, "%s", gdr_query_text(&q));
    gdr_status status = gdr_query_close(&q);
    if (status != GDR_OK)
        return status;
    if (strcmp(first, "ok") != 0)
        return gdr_store_fail(st, GDR_ERR_FORMAT,
                              "damaged: %s; " GDR_STORE_RESTORE, first);
    gdr_query_open(&q, st,
                   "SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1");
    first[0] = 0;
    if (gdr_query_step(&q))
        snprintf(first, sizeof first, "%s", gdr_query_text(&q));
    status = gdr_query_close(&q);
    if (status == GDR_OK && first[0])
        status = gdr_store_fail(st, GDR_ERR_FORMAT,
                                "damaged: a row of %s names one that is not "
                                "there; " GDR_STORE_RESTORE,
                                first);
    return status;
}
