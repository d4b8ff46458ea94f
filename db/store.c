/*
 * store.c - the handle of the database: opening, errors, transactions. The
 * rows are in store_put.c and store_read.c.
 *
 * The journal is a rollback journal that is deleted at each commit, so that the
 * database is always one file, which ships as it is and opens on read-only
 * media. synchronous = EXTRA: what was returned survives power loss too. It
 * costs 1.0 ms a put on an SSD, against 0.9 for NORMAL and 0.1 for OFF, and a
 * trial takes 100 ms and more to make.
 */
#include "store_internal.h"
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- errors ---- */

gdr_status gdr_store_fail(gdr_store *st, gdr_status status, const char *format,
                          ...)
{
    va_list ap;
    int at = snprintf(st->msg, sizeof st->msg, "%.400s: ", st->name);
    va_start(ap, format);
    vsnprintf(st->msg + at, sizeof st->msg - (size_t)at, format, ap);
    va_end(ap);
    return status;
}

gdr_status gdr_store_fail_plain(gdr_store *st, gdr_status status,
                                const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(st->msg, sizeof st->msg, format, ap);
    va_end(ap);
    return status;
}

/* The first line is for all others; the last that fits wins. */
static const struct {
    int rc;
    gdr_status status;
    const char *text;
} sql_errors[] = {
    {-1, GDR_ERR_IO,
     "cannot be read or written; check the disk, " GDR_STORE_CHOOSE},
    {SQLITE_NOMEM, GDR_ERR_NO_MEMORY, "out of memory"},
    {SQLITE_FULL, GDR_ERR_FULL,
     "the disk is full; free some room and run again: what was stored before "
     "is safe"},
    {SQLITE_BUSY, GDR_ERR_BUSY,
     "another process holds the database; let it end, " GDR_STORE_CHOOSE},
    {SQLITE_LOCKED, GDR_ERR_BUSY,
     "another reader or writer holds the database; let it "
     "end, " GDR_STORE_CHOOSE},
    {SQLITE_READONLY, GDR_ERR_READONLY,
     "cannot be written; check the permissions of the file and of its "
     "folder, " GDR_STORE_CHOOSE},
    {SQLITE_CANTOPEN, GDR_ERR_IO,
     "cannot be opened; check the permissions of the file and of its "
     "folder, " GDR_STORE_CHOOSE},
    {SQLITE_NOTADB, GDR_ERR_FORMAT,
     "not a gdr database; choose another file with --db or GDR_DB"},
    {SQLITE_CORRUPT, GDR_ERR_FORMAT, "damaged; " GDR_STORE_RESTORE},
    {SQLITE_ERROR, GDR_ERR_FORMAT,
     "damaged: its tables are not those of a gdr database; " GDR_STORE_RESTORE},
    {SQLITE_CONSTRAINT, GDR_ERR_ARG, "a row that the schema forbids"},
    {SQLITE_CONSTRAINT_FOREIGNKEY, GDR_ERR_ARG,
     "a row that names one that is not stored: device, run and variant come "
     "first, then steps, then choices and defaults"},
    {SQLITE_TOOBIG, GDR_ERR_ARG, "a row that is too big"},
};

/* The errno of the last failure on the database's file or its journal. */
static int last_errno(gdr_store *st)
{
    int error = 0;
    sqlite3_file *journal = NULL;
    if (!st->db)
        return 0;
    sqlite3_file_control(st->db, "main", SQLITE_FCNTL_LAST_ERRNO, &error);
    sqlite3_file_control(st->db, "main", SQLITE_FCNTL_JOURNAL_POINTER,
                         &journal);
    if (!error && journal && journal->pMethods)
        journal->pMethods->xFileControl(journal, SQLITE_FCNTL_LAST_ERRNO,
                                        &error);
    return error ? error : sqlite3_system_errno(st->db);
}

/* A write that hits RLIMIT_FSIZE or a quota is a full disk to the user, but
 * SQLite takes ENOSPC alone for one. */
static int out_of_room(int rc, int error)
{
    int write = rc == SQLITE_IOERR_WRITE || rc == SQLITE_IOERR_TRUNCATE ||
                rc == SQLITE_IOERR_FSYNC;
    return write && (error == EFBIG || error == ENOSPC || error == EDQUOT);
}

gdr_status gdr_store_fail_sql(gdr_store *st, int rc)
{
    int error = last_errno(st), primary = rc & 0xff, i = 0;
    if (rc == SQLITE_IOERR_NOMEM)
        primary = SQLITE_NOMEM;
    if (out_of_room(rc, error))
        primary = SQLITE_FULL;
    for (int e = 1; e < (int)(sizeof sql_errors / sizeof *sql_errors); e++)
        if (sql_errors[e].rc == primary || sql_errors[e].rc == rc)
            i = e;
    /* where only the code is known, the connection's message is another's */
    const char *detail = st->db && sqlite3_extended_errcode(st->db) == rc
                             ? sqlite3_errmsg(st->db)
                             : sqlite3_errstr(rc);
    /* errno means something for these two alone */
    if (primary != SQLITE_IOERR && primary != SQLITE_CANTOPEN)
        error = 0;
    return gdr_store_fail(st, sql_errors[i].status, "%s (%s%s%s)",
                          sql_errors[i].text, detail, error ? ": " : "",
                          error ? strerror(error) : "");
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

/* ---- opening ---- */

static void disconnect(gdr_store *st)
{
    for (int i = 0; i < GDR_STORE_STATEMENTS; i++) {
        sqlite3_finalize(st->cache[i].stmt);
        st->cache[i].stmt = NULL;
    }
    sqlite3_close_v2(st->db);
    st->db = NULL;
}

static gdr_status connect(gdr_store *st, int flags)
{
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
                              "PRAGMA synchronous = EXTRA;"
                              "PRAGMA foreign_keys = ON");
}

static gdr_status read_from(gdr_store *st, int flags)
{
    gdr_status status = connect(st, flags);
    /* One snapshot from here to close: rows that belong together agree. */
    if (status == GDR_OK)
        status = gdr_store_exec(st, "PRAGMA query_only = ON; BEGIN");
    return status == GDR_OK ? gdr_store_check_version(st) : status;
}

/* A writer that died left its journal. Whoever comes next must undo what it
 * had begun, a reader too: without that the file is not consistent. */
static gdr_status undo_dead_writer(gdr_store *st)
{
    disconnect(st);
    gdr_status status = read_from(st, SQLITE_OPEN_READWRITE);
    if (status == GDR_ERR_READONLY || status == GDR_ERR_IO)
        return gdr_store_fail(
            st, GDR_ERR_READONLY,
            "its writer died while writing, and what it left cannot be undone "
            "here; run gdr-tune show on it once as a user who may write the "
            "file and its folder, " GDR_STORE_CHOOSE);
    return status;
}

/* SQLite rounds the number of pages up, and takes what a cut page lacks for
 * zeros: rows would be missing without a word. */
static gdr_status check_whole_pages(gdr_store *st)
{
    sqlite3_file *file = NULL;
    sqlite3_int64 bytes = 0, page = 4096;
    gdr_query q;
    gdr_query_open(&q, st, "SELECT page_size FROM pragma_page_size");
    if (gdr_query_step(&q))
        page = gdr_query_int(&q, 512, 65536);
    gdr_status status = gdr_query_close(&q);
    sqlite3_file_control(st->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (status != GDR_OK || !file || !file->pMethods ||
        file->pMethods->xFileSize(file, &bytes) != SQLITE_OK)
        return status;
    if (bytes % page == 0)
        return GDR_OK;
    return gdr_store_fail(st, GDR_ERR_FORMAT,
                          "damaged: its end is cut off; " GDR_STORE_RESTORE);
}

/* Are the tables ours, and whole? */
static gdr_status check_content(gdr_store *st)
{
    gdr_status status = check_whole_pages(st);
    return status == GDR_OK ? gdr_store_check_tables(st) : status;
}

static gdr_status open_reader(gdr_store *st)
{
    gdr_status status = read_from(st, SQLITE_OPEN_READONLY);
    if (status != GDR_OK && st->db &&
        sqlite3_extended_errcode(st->db) == SQLITE_READONLY_ROLLBACK)
        status = undo_dead_writer(st);
    return status == GDR_OK ? check_content(st) : status;
}

static gdr_status open_writer(gdr_store *st)
{
    gdr_status status = connect(st, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (status == GDR_OK && sqlite3_db_readonly(st->db, "main") == 1)
        status = gdr_store_fail_sql(st, SQLITE_READONLY);
    if (status == GDR_OK)
        status = gdr_store_check_version(st);
    if (status == GDR_OK)
        status = gdr_store_exec(st, "PRAGMA journal_mode = DELETE");
    return status == GDR_OK ? check_content(st) : status;
}

/* A relative path gets "./" in front, so that SQLite takes "file:x" and
 * ":memory:" for names of files too. 0: out of memory. */
static int name_file(gdr_store *st, const char *path)
{
    const char *front = path[0] == '/' ? "" : "./";
    st->path = sqlite3_mprintf("%s%s", front, path);
    if (!st->path)
        return 0;
    st->name = st->path + strlen(front);
    return 1;
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
    if (!name_file(st, path)) {
        sqlite3_free(st);
        return GDR_ERR_NO_MEMORY;
    }
    *out = st;
    gdr_status status = gdr_store_check_file(st);
    if (status != GDR_OK)
        return status;
    if (mode != GDR_STORE_WRITE)
        return open_reader(st);
    status = gdr_store_check_folder(st);
    return status == GDR_OK ? open_writer(st) : status;
}

void gdr_store_close(gdr_store *st)
{
    if (!st)
        return;
    disconnect(st);
    sqlite3_free(st->kept);
    sqlite3_free(st->path);
    sqlite3_free(st);
}
