/*
 * store_merge.c - the decisions of one database with those of another. Only
 * what a bundle keeps comes along: choices, defaults and who they name.
 */
#include "store_internal.h"
#include <assert.h>
#include <stdio.h>

/* Ids mean something in their own file alone: devices go by fingerprint, runs
 * behind those that are there. A build that is there stays as it is. */
static const char insert[] =
    "INSERT OR IGNORE INTO device (fingerprint, kind, arch, isa, name)"
    " SELECT fingerprint, kind, arch, isa, name FROM other.device ORDER BY id;"
    "CREATE TEMP TABLE device_id AS SELECT o.id AS old, m.id AS new"
    " FROM other.device o JOIN main.device m USING (fingerprint);"
    "CREATE TEMP TABLE run_id AS SELECT id AS old,"
    " id + (SELECT coalesce(max(id), 0) FROM main.run) AS new FROM other.run;"
    "INSERT INTO run (id, device, version, compiler, protocol, command, host,"
    " effort, seed, began, ended, outcome)"
    " SELECT r.new, d.new, version, compiler, protocol, command, host, effort,"
    " seed, began, ended, outcome FROM other.run o"
    " JOIN temp.run_id r ON r.old = o.id"
    " JOIN temp.device_id d ON d.old = o.device;"
    "INSERT OR IGNORE INTO variant (hash, statics, kernel, config, reduction,"
    " abi) SELECT hash, statics, kernel, config, reduction, abi"
    " FROM other.variant;"
    "INSERT OR IGNORE INTO image (hash, code)"
    " SELECT hash, code FROM other.image;"
    "CREATE TEMP TABLE fresh AS SELECT variant, stamp FROM other.build"
    " EXCEPT SELECT variant, stamp FROM main.build;"
    "INSERT INTO build (variant, stamp) SELECT variant, stamp FROM temp.fresh;"
    "INSERT INTO step (variant, stamp, n, entry, grid_x, grid_y, grid_z, block,"
    " smem, workspace, isa, image, pdl)"
    " SELECT variant, stamp, n, entry, grid_x, grid_y, grid_z, block, smem,"
    " workspace, isa, image, pdl FROM other.step"
    " JOIN temp.fresh USING (variant, stamp);";

/* Of two choices the later; of two lists of defaults the one that is there,
 * whole, since a list is cut where its members meet. */
static const char decide[] =
    "DELETE FROM choice WHERE EXISTS (SELECT 1 FROM other.choice o"
    " JOIN temp.device_id d ON d.old = o.device"
    " WHERE d.new = choice.device AND o.problem = choice.problem"
    " AND o.chosen > choice.chosen);"
    "INSERT OR IGNORE INTO choice (device, problem, run, stamp, variant,"
    " variant_stamp, fallback, fallback_stamp, time_ns, spread, gain, gain_lo,"
    " gain_hi, noise, bytes, roofline_bytes_per_s, chosen, regret)"
    " SELECT d.new, problem, r.new, stamp, variant, variant_stamp, fallback,"
    " fallback_stamp, time_ns, spread, gain, gain_lo, gain_hi, noise, bytes,"
    " roofline_bytes_per_s, chosen, regret FROM other.choice o"
    " JOIN temp.device_id d ON d.old = o.device"
    " JOIN temp.run_id r ON r.old = o.run;"
    "CREATE TEMP TABLE defaults AS SELECT DISTINCT device, statics"
    " FROM main.fallback;"
    "INSERT INTO fallback (device, statics, max_work, variant, variant_stamp)"
    " SELECT d.new, statics, max_work, variant, variant_stamp"
    " FROM other.fallback o JOIN temp.device_id d ON d.old = o.device"
    " WHERE NOT EXISTS (SELECT 1 FROM temp.defaults t"
    " WHERE t.device = d.new AND t.statics = o.statics);"
    "DROP TABLE temp.device_id; DROP TABLE temp.run_id;"
    "DROP TABLE temp.fresh; DROP TABLE temp.defaults;";

/* A build is one source by one compiler on one kind of machine: its code is the
 * same wherever it was made. */
#define STEPS_OF(file, beside)                                                 \
    "SELECT variant, stamp, n, entry, grid_x, grid_y, grid_z, block, smem,"    \
    " workspace, isa, image, pdl FROM " file ".step WHERE (variant, stamp) IN" \
    " (SELECT variant, stamp FROM " beside ".build)"
#define OURS STEPS_OF("main", "other")
#define THEIRS STEPS_OF("other", "main")
static const char differ[] =
    "SELECT variant FROM (" THEIRS " EXCEPT " OURS ")"
    " UNION ALL SELECT variant FROM (" OURS " EXCEPT " THEIRS ") LIMIT 1";

static gdr_status check_builds(gdr_store *to, const char *other)
{
    char variant[32] = "";
    gdr_query q;
    gdr_status status;

    gdr_query_open(&q, to, differ);
    if (gdr_query_step(&q))
        snprintf(variant, sizeof variant, "%.16s", gdr_query_text(&q));
    status = gdr_query_close(&q);
    if (status == GDR_OK && *variant)
        status = gdr_store_fail(
            to, GDR_ERR_FORMAT,
            "its code of variant %s is not that of %s, though one compiler "
            "made both: one was changed since; gdr-bundle verify --run each, "
            "and leave one out",
            variant, other);
    return status;
}

static gdr_status insert_all(gdr_store *to, const char *other)
{
    gdr_status status = gdr_store_exec(to, "BEGIN IMMEDIATE");

    if (status != GDR_OK)
        return status;
    status = check_builds(to, other);
    if (status == GDR_OK)
        status = gdr_store_exec(to, insert);
    if (status == GDR_OK)
        status = gdr_store_exec(to, decide);
    return gdr_store_end(to, status);
}

gdr_status gdr_store_merge(gdr_store *to, const char *other)
{
    gdr_query q;
    gdr_status status;

    assert(to && other);
    gdr_query_open(&q, to, "ATTACH ? AS other");
    gdr_query_bind_text(&q, other);
    gdr_query_step(&q);
    status = gdr_query_close(&q);
    if (status != GDR_OK)
        return status;
    status = insert_all(to, other);
    gdr_store_exec(to, "DETACH other");
    return status;
}
