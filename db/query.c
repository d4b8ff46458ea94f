/*
 * query.c - one SQL statement in use. Statements are prepared once a handle;
 * one that is in use twice at a time (a callback that asks again) is prepared
 * a second time.
 *
 * A cell is never trusted: a wrong type, a NULL where none may be, a text with
 * a 0 inside, a number out of range make the query fail with its name.
 */
#include "store_internal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

void gdr_query_open(gdr_query *q, gdr_store *st, const char *sql)
{
    *q = (gdr_query){.st = st, .sql = sql, .rc = SQLITE_OK};
    for (int i = 0; i < GDR_STORE_STATEMENTS; i++) {
        if (st->cache[i].sql == sql && st->cache[i].stmt) {
            q->stmt = st->cache[i].stmt;
            st->cache[i].stmt = NULL;
            return;
        }
    }
    q->rc = sqlite3_prepare_v3(st->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                               &q->stmt, NULL);
}

/* Gives the statement back to the cache, or ends it where there is no room. */
static void release(gdr_query *q)
{
    sqlite3_reset(q->stmt);
    sqlite3_clear_bindings(q->stmt);
    for (int i = 0; i < GDR_STORE_STATEMENTS; i++) {
        if (!q->st->cache[i].stmt) {
            q->st->cache[i].sql = q->sql;
            q->st->cache[i].stmt = q->stmt;
            return;
        }
    }
    sqlite3_finalize(q->stmt);
}

static void remember(gdr_query *q, int rc)
{
    if (q->rc == SQLITE_OK)
        q->rc = rc;
}

/* ---- parameters ---- */

void gdr_query_bind_text(gdr_query *q, const char *text)
{
    q->at++;
    if (q->rc == SQLITE_OK && text)
        remember(q, sqlite3_bind_text64(q->stmt, q->at, text, strlen(text),
                                        SQLITE_STATIC, SQLITE_UTF8));
}

void gdr_query_bind_null(gdr_query *q)
{
    gdr_query_bind_text(q, NULL);
}

void gdr_query_bind_int(gdr_query *q, int64_t value)
{
    q->at++;
    if (q->rc == SQLITE_OK)
        remember(q, sqlite3_bind_int64(q->stmt, q->at, value));
}

void gdr_query_bind_real(gdr_query *q, double value)
{
    q->at++;
    if (q->rc == SQLITE_OK)
        remember(q, sqlite3_bind_double(q->stmt, q->at, value));
}

void gdr_query_bind_blob(gdr_query *q, const void *data, int64_t bytes)
{
    q->at++;
    if (q->rc == SQLITE_OK && data)
        remember(q, sqlite3_bind_blob64(q->stmt, q->at, data, (uint64_t)bytes,
                                        SQLITE_STATIC));
}

/* ---- rows ---- */

int gdr_query_step(gdr_query *q)
{
    if (gdr_query_failed(q))
        return 0;
    int rc = sqlite3_step(q->stmt);
    q->at = -1;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        remember(q, rc);
    return rc == SQLITE_ROW;
}

void gdr_query_refuse(gdr_query *q, const char *why)
{
    if (q->wrong[0])
        return;
    const char *name = sqlite3_column_name(q->stmt, q->at);
    snprintf(q->wrong, sizeof q->wrong, "%s %s", name ? name : "a cell", why);
}

int gdr_query_failed(const gdr_query *q)
{
    return q->rc != SQLITE_OK || q->wrong[0];
}

const char *gdr_query_text_or_null(gdr_query *q)
{
    q->at++;
    int type = sqlite3_column_type(q->stmt, q->at);
    if (type == SQLITE_NULL)
        return NULL;
    const char *text = (const char *)sqlite3_column_text(q->stmt, q->at);
    if (!text) {
        remember(q, SQLITE_NOMEM);
        return NULL;
    }
    size_t bytes = (size_t)sqlite3_column_bytes(q->stmt, q->at);
    if (type != SQLITE_TEXT)
        gdr_query_refuse(q, "is not a text");
    else if (strlen(text) != bytes)
        gdr_query_refuse(q, "has a 0 inside");
    return text;
}

const char *gdr_query_text(gdr_query *q)
{
    const char *text = gdr_query_text_or_null(q);
    if (!text && q->rc == SQLITE_OK)
        gdr_query_refuse(q, "is NULL");
    return text ? text : "";
}

int64_t gdr_query_int(gdr_query *q, int64_t min, int64_t max)
{
    q->at++;
    int64_t value = sqlite3_column_int64(q->stmt, q->at);
    if (sqlite3_column_type(q->stmt, q->at) != SQLITE_INTEGER)
        gdr_query_refuse(q, "is not an integer");
    else if (value < min || value > max)
        gdr_query_refuse(q, "is out of range");
    return value;
}

int64_t gdr_query_int_or(gdr_query *q, int64_t min, int64_t max, int64_t null)
{
    if (sqlite3_column_type(q->stmt, q->at + 1) != SQLITE_NULL)
        return gdr_query_int(q, min, max);
    q->at++;
    return null;
}

double gdr_query_real(gdr_query *q, double min, double max)
{
    double value = gdr_query_real_or(q, min, max, NAN);
    if (isnan(value))
        gdr_query_refuse(q, "is NULL");
    return value;
}

double gdr_query_real_or(gdr_query *q, double min, double max, double null)
{
    q->at++;
    int type = sqlite3_column_type(q->stmt, q->at);
    if (type == SQLITE_NULL)
        return null;
    double value = sqlite3_column_double(q->stmt, q->at);
    if (type != SQLITE_FLOAT && type != SQLITE_INTEGER)
        gdr_query_refuse(q, "is not a number");
    else if (!(value >= min && value <= max))
        gdr_query_refuse(q, "is out of range");
    return value;
}

const void *gdr_query_blob(gdr_query *q, int64_t *bytes)
{
    q->at++;
    int type = sqlite3_column_type(q->stmt, q->at);
    *bytes = 0;
    if (type == SQLITE_NULL)
        return NULL;
    if (type != SQLITE_BLOB) {
        gdr_query_refuse(q, "is not a blob");
        return NULL;
    }
    const void *data = sqlite3_column_blob(q->stmt, q->at);
    *bytes = sqlite3_column_bytes(q->stmt, q->at);
    if (!data && *bytes > 0)
        remember(q, SQLITE_NOMEM);
    return data;
}

gdr_status gdr_query_close(gdr_query *q)
{
    gdr_status status = GDR_OK;
    if (q->rc != SQLITE_OK)
        status = gdr_store_fail_sql(q->st, q->rc);
    else if (q->wrong[0])
        status = gdr_store_fail(q->st, GDR_ERR_FORMAT,
                                "damaged: %s; restore a copy of the file, or "
                                "move it away and run gdr-tune again",
                                q->wrong);
    if (q->stmt)
        release(q);
    q->stmt = NULL;
    return status;
}
