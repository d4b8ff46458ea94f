/*
 * store_merge.c - the decisions of one database with those of another. Only
 * what a bundle keeps comes along: choices, defaults and who they name.
 */
#include "store_internal.h"
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

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

static gdr_status insert_all(gdr_store *to)
{
    gdr_status status = gdr_store_exec(to, "BEGIN IMMEDIATE");

    if (status != GDR_OK)
        return status;
    status = gdr_store_exec(to, insert);
    if (status == GDR_OK)
        status = gdr_store_exec(to, decide);
    return gdr_store_end(to, status);
}

static gdr_status attach_and_insert(gdr_store *to, const char *other)
{
    gdr_query q;
    gdr_status status;

    gdr_query_open(&q, to, "ATTACH ? AS other");
    gdr_query_bind_text(&q, other);
    gdr_query_step(&q);
    status = gdr_query_close(&q);
    if (status != GDR_OK)
        return status;
    status = insert_all(to);
    gdr_store_exec(to, "DETACH other");
    return status;
}

/* The other one as a copy that is up to date: what is attached has our tables.
 */
static gdr_status copy_of(gdr_store *to, gdr_store *from, const char *copy)
{
    gdr_store *st = NULL;
    gdr_status status = gdr_store_copy(from, copy);

    if (status != GDR_OK)
        return gdr_store_fail(to, status, "%s", gdr_store_errmsg(from));
    status = gdr_store_open(copy, GDR_STORE_WRITE, &st);
    if (status != GDR_OK)
        gdr_store_fail(to, status, "%s",
                       st ? gdr_store_errmsg(st) : gdr_strerror(status));
    gdr_store_close(st);
    return status;
}

gdr_status gdr_store_merge(gdr_store *to, gdr_store *from)
{
    char copy[4096];
    gdr_status status;

    assert(to && from);
    if (snprintf(copy, sizeof copy, "%s.other-%ld", to->path, (long)getpid()) >=
        (int)sizeof copy)
        return gdr_store_fail(to, GDR_ERR_ARG, "the path is too long");
    status = copy_of(to, from, copy);
    if (status == GDR_OK)
        status = attach_and_insert(to, copy);
    unlink(copy);
    return status;
}
