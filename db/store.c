/*
 * store.c - the handle of the database: opening, errors, transactions,
 * migrations. The rows are in store_put.c and store_read.c.
 *
 * The journal is a rollback journal that is deleted at each commit, so that the
 * database is always one file, which ships as it is and opens on read-only
 * media. Commits are synced (synchronous = FULL): what was returned survives
 * kill -9, and power loss never leaves a damaged file.
 */
#include "schema.h"
#include "store_internal.h"
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- errors ---- */

gdr_status gdr_store_fail(gdr_store *st, gdr_status status, const char *format,
                          ...)
{
    va_list ap;
    int at = snprintf(st->msg, sizeof st->msg, "%.400s: ", st->path);
    va_start(ap, format);
    vsnprintf(st->msg + at, sizeof st->msg - (size_t)at, format, ap);
    va_end(ap);
    return status;
}

#define CHOOSE "or choose another file with --db or GDR_DB"
#define RESTORE                                                                \
    "restore a copy of the file, or move it away and run gdr-tune again"

/* By primary result code; the first line is for all others. */
static const struct {
    int rc;
    gdr_status status;
    const char *text;
} sql_errors[] = {
    {-1, GDR_ERR_IO, "cannot be read or written; check the disk, " CHOOSE},
    {SQLITE_NOMEM, GDR_ERR_NO_MEMORY, "out of memory"},
    {SQLITE_FULL, GDR_ERR_FULL,
     "the disk is full; free some room and run again: what was stored before "
     "is safe"},
    {SQLITE_BUSY, GDR_ERR_BUSY,
     "another process holds the database; let it end, " CHOOSE},
    {SQLITE_LOCKED, GDR_ERR_BUSY,
     "another reader or writer holds the database; let it end, " CHOOSE},
    {SQLITE_READONLY, GDR_ERR_READONLY,
     "cannot be written; check the permissions of the file and of its "
     "folder, " CHOOSE},
    {SQLITE_NOTADB, GDR_ERR_FORMAT, "not a gdr database; " CHOOSE},
    {SQLITE_CORRUPT, GDR_ERR_FORMAT, "damaged; " RESTORE},
    {SQLITE_ERROR, GDR_ERR_FORMAT,
     "damaged: its tables are not those of a gdr database; " RESTORE},
    {SQLITE_CONSTRAINT, GDR_ERR_ARG, "a row that the schema forbids"},
    {SQLITE_TOOBIG, GDR_ERR_ARG, "a row that is too big"},
};

/* A write that hits RLIMIT_FSIZE or a quota is a full disk to the user. */
static int out_of_room(int rc, int error)
{
    return (rc & 0xff) == SQLITE_IOERR &&
           (error == EFBIG || error == ENOSPC || error == EDQUOT);
}

gdr_status gdr_store_fail_sql(gdr_store *st, int rc)
{
    int error = st->db ? sqlite3_system_errno(st->db) : 0;
    int primary = rc & 0xff, i = 0;
    if (rc == SQLITE_IOERR_NOMEM)
        primary = SQLITE_NOMEM;
    if (out_of_room(rc, error))
        primary = SQLITE_FULL;
    for (int e = 1; e < (int)(sizeof sql_errors / sizeof *sql_errors); e++)
        if (sql_errors[e].rc == primary)
            i = e;
    /* where only the code is known, the connection's message is another's */
    const char *detail = st->db && sqlite3_extended_errcode(st->db) == rc
                             ? sqlite3_errmsg(st->db)
                             : sqlite3_errstr(rc);
    int system =
        error && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN ||
                  primary == SQLITE_FULL);
    return gdr_store_fail(st, sql_errors[i].status, "%s (%s%s%s)",
                          sql_errors[i].text, detail, system ? ": " : "",
                          system ? strerror(error) : "");
}

const char *gdr_store_errmsg(const gdr_store *st)
{
    return st ? st->msg : "out of memory";
}

gdr_status gdr_store_exec(gdr_store *st, const char *sql)
{
    int rc = sqlite3_exec(st->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? GDR_OK : gdr_store_fail_sql(st, rc);
}

gdr_status gdr_store_end(gdr_store *st, gdr_status status)
{
    if (status == GDR_OK)
        status = gdr_store_exec(st, "COMMIT");
    /* a failed statement or commit may have rolled back already */
    if (!sqlite3_get_autocommit(st->db))
        sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

/* ---- migrations ---- */

/* steps[v - 1] takes version v to v + 1. None yet: this is version 1. */
static const char *const migrations[] = {NULL};

typedef struct identity {
    int64_t application, version, objects;
} identity;

static gdr_status identify(gdr_store *st, identity *id)
{
    gdr_query q;
    gdr_query_open(&q, st,
                   "SELECT application_id, user_version,"
                   " (SELECT count(*) FROM sqlite_schema)"
                   " FROM pragma_application_id, pragma_user_version");
    *id = (identity){0};
    if (gdr_query_step(&q)) {
        id->application = gdr_query_int(&q, INT32_MIN, INT32_MAX);
        id->version = gdr_query_int(&q, INT32_MIN, INT32_MAX);
        id->objects = gdr_query_int(&q, 0, INT64_MAX);
    }
    return gdr_query_close(&q);
}

static int is_empty(const identity *id)
{
    return id->application == 0 && id->version == 0 && id->objects == 0;
}

static gdr_status migrate_steps(gdr_store *st, const char *schema,
                                const char *const *steps, int version)
{
    identity id;
    gdr_status status = identify(st, &id);
    if (status == GDR_OK && is_empty(&id)) {
        status = gdr_store_exec(st, schema);
        id.version = version;
    }
    for (; status == GDR_OK && id.version < version; id.version++)
        status = gdr_store_exec(st, steps[id.version - 1]);
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", version);
    return status == GDR_OK ? gdr_store_exec(st, sql) : status;
}

static gdr_status check_keys(gdr_store *st)
{
    gdr_query q;
    gdr_query_open(&q, st, "SELECT \"table\" FROM pragma_foreign_key_check");
    if (gdr_query_step(&q)) {
        gdr_query_text(&q);
        gdr_query_refuse(&q, "has rows that name what does not exist");
    }
    return gdr_query_close(&q);
}

gdr_status gdr_store_migrate(gdr_store *st, const char *schema,
                             const char *const *steps, int version)
{
    /* Foreign keys are off: a step may make a table anew under its name. */
    gdr_status status =
        gdr_store_exec(st, "PRAGMA foreign_keys = OFF; BEGIN EXCLUSIVE");
    if (status == GDR_OK) {
        status = migrate_steps(st, schema, steps, version);
        if (status == GDR_OK)
            status = check_keys(st);
        status = gdr_store_end(st, status);
    }
    gdr_status on = gdr_store_exec(st, "PRAGMA foreign_keys = ON");
    return status == GDR_OK ? on : status;
}

/* ---- opening ---- */

/* The tables that we use must be ordinary tables, and nothing may run behind
 * our back. */
static gdr_status check_tables(gdr_store *st)
{
    gdr_query q;
    gdr_query_open(
        &q, st,
        "WITH need (name) AS (VALUES ('device'), ('run'), ('variant'),"
        " ('trial'), ('pruned'), ('image'), ('build'), ('step'), ('choice'),"
        " ('fallback'))"
        " SELECT 'table ' || name || ' is missing' FROM need WHERE name NOT IN"
        " (SELECT name FROM sqlite_schema"
        "  WHERE type = 'table' AND rootpage > 0)"
        " UNION ALL SELECT 'trigger ' || name || ' is not ours'"
        " FROM sqlite_schema WHERE type = 'trigger' LIMIT 1");
    char wrong[128] = "";
    if (gdr_query_step(&q))
        snprintf(wrong, sizeof wrong, "%s", gdr_query_text(&q));
    gdr_status status = gdr_query_close(&q);
    if (status == GDR_OK && wrong[0])
        return gdr_store_fail(st, GDR_ERR_FORMAT, "damaged: %s; " RESTORE,
                              wrong);
    return status;
}

static gdr_status check_identity(gdr_store *st)
{
    identity id;
    gdr_status status = identify(st, &id);
    if (status != GDR_OK)
        return status;
    if (is_empty(&id) && st->mode == GDR_STORE_READ)
        return gdr_store_fail(st, GDR_ERR_FORMAT,
                              "empty: nothing was tuned yet; run gdr-tune");
    if (!is_empty(&id) && id.application != GDR_STORE_APPLICATION)
        return gdr_store_fail(st, GDR_ERR_FORMAT,
                              "an SQLite database of another program; " CHOOSE);
    if (id.version > GDR_STORE_VERSION)
        return gdr_store_fail(
            st, GDR_ERR_NEWER,
            "schema version %lld, but gdr-tune " GDR_VERSION
            " knows up to version %d; use a newer gdr-tune and libgdr, " CHOOSE,
            (long long)id.version, GDR_STORE_VERSION);
    if (!is_empty(&id) && id.version < 1)
        return gdr_store_fail(st, GDR_ERR_FORMAT,
                              "damaged: schema version %lld; " RESTORE,
                              (long long)id.version);
    if (id.version == GDR_STORE_VERSION)
        return GDR_OK;
    if (st->mode == GDR_STORE_READ)
        return gdr_store_fail(st, GDR_ERR_FORMAT,
                              "schema version %lld is older than %d; run "
                              "gdr-tune once on it to bring it up to date",
                              (long long)id.version, GDR_STORE_VERSION);
    return gdr_store_migrate(st, gdr_schema_sql, migrations, GDR_STORE_VERSION);
}

static gdr_status connect(gdr_store *st, int flags)
{
    sqlite3_close_v2(st->db);
    st->db = NULL;
    int rc = sqlite3_open_v2(
        st->path, &st->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
        NULL);
    if (rc != SQLITE_OK)
        return gdr_store_fail_sql(st, rc);
    sqlite3_busy_timeout(st->db, GDR_STORE_BUSY_MS);
    sqlite3_db_config(st->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(st->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(st->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(st->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    return gdr_store_exec(st, "PRAGMA cell_size_check = ON;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA foreign_keys = ON");
}

static gdr_status open_reader(gdr_store *st)
{
    gdr_status status = connect(st, SQLITE_OPEN_READONLY);
    /* One snapshot from here to close: rows that belong together agree. */
    if (status == GDR_OK)
        status = gdr_store_exec(st, "BEGIN");
    if (status == GDR_OK)
        status = check_identity(st);
    return status == GDR_OK ? check_tables(st) : status;
}

static gdr_status open_writer(gdr_store *st)
{
    gdr_status status = connect(st, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (status == GDR_OK && sqlite3_db_readonly(st->db, "main") == 1)
        status = gdr_store_fail_sql(st, SQLITE_READONLY);
    if (status == GDR_OK)
        status = check_identity(st);
    if (status == GDR_OK)
        status = gdr_store_exec(st, "PRAGMA journal_mode = DELETE");
    return status == GDR_OK ? check_tables(st) : status;
}

/* Makes the folders above the file, as mkdir -p does. */
static gdr_status make_folders(gdr_store *st)
{
    for (char *p = st->path + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        int failed = mkdir(st->path, 0755) && errno != EEXIST;
        int error = errno;
        *p = '/';
        if (failed)
            return gdr_store_fail(
                st, error == ENOSPC ? GDR_ERR_FULL : GDR_ERR_IO,
                "cannot make the folder %.*s: %s; make it, " CHOOSE,
                (int)(p - st->path), st->path, strerror(error));
    }
    return GDR_OK;
}

static gdr_status check_file(gdr_store *st)
{
    struct stat sb;
    if (stat(st->path, &sb)) {
        if (errno == ENOENT && st->mode == GDR_STORE_WRITE)
            return make_folders(st);
        return gdr_store_fail(
            st, errno == ENOENT ? GDR_ERR_NOT_FOUND : GDR_ERR_IO,
            "%s; run gdr-tune to make it, " CHOOSE, strerror(errno));
    }
    if (!S_ISREG(sb.st_mode))
        return gdr_store_fail(st, GDR_ERR_IO, "a %s, not a file; " CHOOSE,
                              S_ISDIR(sb.st_mode) ? "folder" : "device");
    if (sb.st_mode & S_IWOTH)
        return gdr_store_fail(st, GDR_ERR_UNSAFE,
                              "holds code and everybody may write to it; look "
                              "at who did, then chmod o-w it");
    return GDR_OK;
}

/* A relative path gets "./" in front, so that SQLite takes "file:x" and
 * ":memory:" for names of files too. */
static char *copy_path(const char *path)
{
    return sqlite3_mprintf("%s%s", path[0] == '/' ? "" : "./", path);
}

gdr_status gdr_store_open(const char *path, gdr_store_mode mode,
                          gdr_store **out)
{
    assert(path && out);
    *out = NULL;
    gdr_store *st = sqlite3_malloc64(sizeof *st);
    if (!st)
        return GDR_ERR_NO_MEMORY;
    memset(st, 0, sizeof *st);
    st->mode = mode;
    st->path = copy_path(path);
    if (!st->path) {
        sqlite3_free(st);
        return GDR_ERR_NO_MEMORY;
    }
    *out = st;
    gdr_status status = check_file(st);
    if (status != GDR_OK)
        return status;
    return mode == GDR_STORE_READ ? open_reader(st) : open_writer(st);
}

void gdr_store_close(gdr_store *st)
{
    if (!st)
        return;
    for (int i = 0; i < GDR_STORE_STATEMENTS; i++)
        sqlite3_finalize(st->cache[i].stmt);
    sqlite3_close_v2(st->db);
    sqlite3_free(st->kept);
    sqlite3_free(st->path);
    sqlite3_free(st);
}
