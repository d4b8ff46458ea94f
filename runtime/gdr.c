/*
 * gdr.c - the handles of gdr.h. Where rows come from is open.c's and
 * embedded.c's business.
 */
#include "gdr_internal.h"
#include "set.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

struct gdr_device {
    gdr *g;
    const gdr_backend *backend;
    void *dev;
};

gdr_status gdr_new(gdr **out)
{
    gdr *g;

    if (!out)
        return GDR_ERR_ARG;
    *out = NULL;
    g = calloc(1, sizeof *g);
    if (!g || gdr_rows_open(&g->rows)) {
        free(g);
        return GDR_ERR_NO_MEMORY;
    }
    *out = g;
    return GDR_OK;
}

void gdr_close(gdr *g)
{
    if (!g)
        return;
    gdr_rows_close(g->rows);
    free(g->path);
    free(g);
}

const char *gdr_errmsg(const gdr *g)
{
    return g ? g->msg : "";
}

const gdr_rows *gdr_rows_of(const gdr *g)
{
    return g->rows;
}

/* ---- device ---- */

gdr_status gdr_device_open(gdr *g, const char *name,
                           const gdr_device_options *options, gdr_device **out)
{
    gdr_status status;
    gdr_device *d;

    if (!g || !out)
        return GDR_ERR_ARG;
    *out = NULL;
    d = calloc(1, sizeof *d);
    if (!d)
        return gdr_fail(GDR_ERR_NO_MEMORY, g->msg, sizeof g->msg,
                        "out of memory");
    d->g = g;
    status = gdr_backend_open(name, options, &d->backend, &d->dev, g->msg,
                              sizeof g->msg);
    if (status)
        free(d);
    else
        *out = d;
    return status;
}

void gdr_device_close(gdr_device *dev)
{
    if (!dev)
        return;
    dev->backend->close(dev->dev);
    free(dev);
}

const char *gdr_device_fingerprint(const gdr_device *dev)
{
    return dev->backend->info(dev->dev)->fingerprint;
}

/* ---- dispatch ---- */

/* The match of a name; 0: there is none. */
static int match_of(const char *name, gdr_match *match)
{
    for (int m = GDR_MATCH_EXACT; m <= GDR_MATCH_GENERIC; m++)
        if (!strcmp(name, gdr_match_name((gdr_match)m))) {
            *match = (gdr_match)m;
            return 1;
        }
    return 0;
}

/* What the environment says has the last word. */
static gdr_status effective(const gdr_select_options *given,
                            gdr_select_options *o, char *msg, size_t n)
{
    const char *name = getenv("GDR_MATCH");

    *o = given
             ? *given
             : (gdr_select_options){.size = sizeof *o, .worst = GDR_MATCH_PTX};
    if (!name || !*name || match_of(name, &o->worst))
        return GDR_OK;
    return gdr_fail(GDR_ERR_ARG, msg, n,
                    "GDR_MATCH is '%.64s'; allowed: exact, near, edge, "
                    "sibling, default, ptx, generic",
                    name);
}

gdr_status gdr_select(gdr_device *dev, const gdr_static *s,
                      const gdr_select_options *options, gdr_set **out)
{
    gdr_select_options o;
    gdr_status status;
    char why[sizeof dev->g->msg];

    if (!dev || !out)
        return GDR_ERR_ARG;
    *out = NULL;
    status = effective(options, &o, dev->g->msg, sizeof dev->g->msg);
    if (!status)
        status = gdr_set_open(dev->g->rows, dev->backend, dev->dev, s, &o, out,
                              dev->g->msg, sizeof dev->g->msg);
    if (status == GDR_ERR_NO_PLAN && dev->g->path) {
        memcpy(why, dev->g->msg, sizeof why);
        gdr_fail(status, dev->g->msg, sizeof dev->g->msg, "%.400s: %.1600s",
                 dev->g->path, why);
    }
    return status;
}
