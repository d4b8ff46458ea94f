/*
 * store_version.c - is the file a gdr database, of which version, and how an
 * older one becomes this one.
 *
 * schema.sql always holds the newest tables. An empty database gets it as it
 * is; an older one gets one migration after the other, and must then have the
 * very same tables. All in one transaction: it is done or it is not.
 */
#include "schema.h"
#include "store_internal.h"
#include <stdio.h>
#include <string.h>

/* steps[v - 1] takes version v to v + 1. */
static const char *const migrations[] = {
    /* to 2: cards */
    "ALTER TABLE step ADD COLUMN"
    " pdl TEXT NOT NULL DEFAULT '0' CHECK (pdl <> '');"
    "ALTER TABLE trial ADD COLUMN"
    " occupancy REAL CHECK (occupancy BETWEEN 0 AND 1);"
    "ALTER TABLE trial ADD COLUMN"
    " in_flight INTEGER CHECK (in_flight >= 0);"
    "ALTER TABLE trial ADD COLUMN"
    " eager_ns REAL CHECK (eager_ns > 0 AND eager_ns < 1e18);"
    "CREATE TABLE compiled ("
    " device INTEGER NOT NULL REFERENCES device (id),"
    " variant TEXT NOT NULL REFERENCES variant (hash),"
    " stamp TEXT NOT NULL CHECK (stamp <> ''),"
    " n INTEGER NOT NULL CHECK (n BETWEEN 0 AND 7),"
    " registers INTEGER CHECK (registers >= 0),"
    " spill_bytes INTEGER CHECK (spill_bytes >= 0),"
    " stack_bytes INTEGER CHECK (stack_bytes >= 0),"
    " smem_static INTEGER CHECK (smem_static >= 0),"
    " smem_dynamic INTEGER CHECK (smem_dynamic >= 0),"
    " barriers INTEGER CHECK (barriers >= 0),"
    " min_driver INTEGER CHECK (min_driver >= 0),"
    " log TEXT NOT NULL,"
    " PRIMARY KEY (device, variant, stamp, n)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE quarantine ("
    " device INTEGER NOT NULL REFERENCES device (id),"
    " image TEXT NOT NULL"
    "  CHECK (length(image) = 64 AND image NOT GLOB '*[^0-9a-f]*'),"
    " outcome TEXT NOT NULL CHECK (outcome IN ('crash', 'timeout')),"
    " note TEXT NOT NULL,"
    " run INTEGER NOT NULL REFERENCES run (id),"
    " since TEXT NOT NULL,"
    " PRIMARY KEY (device, image)) STRICT, WITHOUT ROWID",
    /* to 3: bundles */
    "ALTER TABLE choice ADD COLUMN"
    " regret REAL NOT NULL DEFAULT 0 CHECK (regret >= 0);"
    "CREATE TABLE signature ("
    " key TEXT PRIMARY KEY"
    "  CHECK (length(key) = 64 AND key NOT GLOB '*[^0-9a-f]*'),"
    " signature TEXT NOT NULL CHECK (length(signature) = 128"
    "  AND signature NOT GLOB '*[^0-9a-f]*')) STRICT, WITHOUT ROWID"};

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

static gdr_status impossible_version(gdr_store *st, int64_t version)
{
    return gdr_store_fail(st, GDR_ERR_FORMAT,
                          "damaged: schema version %lld; " GDR_STORE_RESTORE,
                          (long long)version);
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
    if (status == GDR_OK && id.version < 1)
        return impossible_version(st, id.version);
    for (; status == GDR_OK && id.version < version; id.version++)
        status = gdr_store_exec(st, steps[id.version - 1]);
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", version);
    return status == GDR_OK ? gdr_store_exec(st, sql) : status;
}

/* The query finds faults; its first row, if any, names one. */
static gdr_status check_none(gdr_store *st, const char *sql)
{
    char fault[128] = "";
    gdr_query q;
    gdr_query_open(&q, st, sql);
    if (gdr_query_step(&q))
        snprintf(fault, sizeof fault, "%s", gdr_query_text(&q));
    gdr_status status = gdr_query_close(&q);
    if (status == GDR_OK && fault[0])
        return gdr_store_fail(st, GDR_ERR_FORMAT,
                              "damaged: %s; " GDR_STORE_RESTORE, fault);
    return status;
}

static gdr_status check_keys(gdr_store *st)
{
    return check_none(st, "SELECT 'a row of ' || \"table\" ||"
                          " ' names one that does not exist'"
                          " FROM pragma_foreign_key_check LIMIT 1");
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

/* ---- is it one of ours ---- */

gdr_status gdr_store_check_tables(gdr_store *st)
{
#define LACKS(names)                                                           \
    "WITH need (name) AS (VALUES " names ")"                                   \
    " SELECT 'table ' || name || ' is missing' FROM need WHERE name NOT IN"    \
    " (SELECT name FROM sqlite_schema"                                         \
    "  WHERE type = 'table' AND rootpage > 0) LIMIT 1"
    gdr_status status = GDR_OK;
    if (st->version >= 2)
        status = check_none(st, LACKS("('compiled'), ('quarantine')"));
    if (status == GDR_OK && st->version >= 3)
        status = check_none(st, LACKS("('signature')"));
    if (status != GDR_OK)
        return status;
    return check_none(
        st,
        "WITH need (name) AS (VALUES ('device'), ('run'), ('variant'),"
        " ('trial'), ('pruned'), ('image'), ('build'), ('step'), ('choice'),"
        " ('fallback'))"
        " SELECT 'table ' || name || ' is missing' FROM need WHERE name NOT IN"
        " (SELECT name FROM sqlite_schema"
        "  WHERE type = 'table' AND rootpage > 0)"
        " UNION ALL SELECT 'trigger ' || name || ' is not ours'"
        " FROM sqlite_schema WHERE type = 'trigger' LIMIT 1");
}

gdr_status gdr_store_check_version(gdr_store *st)
{
    identity id;
    gdr_status status = identify(st, &id);
    if (status != GDR_OK)
        return status;
    if (is_empty(&id) && st->mode != GDR_STORE_WRITE)
        return gdr_store_fail(st, GDR_ERR_FORMAT,
                              "empty: nothing was tuned yet; run gdr-tune");
    if (!is_empty(&id) && id.application != GDR_STORE_APPLICATION)
        return gdr_store_fail(
            st, GDR_ERR_FORMAT,
            "an SQLite database of another program; " GDR_STORE_CHOOSE);
    if (id.version > GDR_STORE_VERSION)
        return gdr_store_fail(st, GDR_ERR_NEWER,
                              "schema version %lld, but gdr-tune " GDR_VERSION
                              " knows up to version %d; use a newer gdr-tune "
                              "and libgdr, " GDR_STORE_CHOOSE,
                              (long long)id.version, GDR_STORE_VERSION);
    if (!is_empty(&id) && id.version < 1)
        return impossible_version(st, id.version);
    st->version = (int)id.version;
    if (id.version == GDR_STORE_VERSION || st->mode != GDR_STORE_WRITE)
        return GDR_OK;
    st->version = GDR_STORE_VERSION;
    return gdr_store_migrate(st, gdr_schema_sql, migrations, GDR_STORE_VERSION);
}
