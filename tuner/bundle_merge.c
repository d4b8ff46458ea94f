/* bundle_merge.c - one bundle from several, by way of a database of all. */
#include "bundle_internal.h"

#include <stdio.h>
#include <unistd.h>

/* A copy of one that is whole, and signed where a key asks for it: what is
 * checked is what is merged. */
static gdr_status take(const char *path, const char *copy, char *msg, size_t n)
{
    gdr_store *st = NULL;
    gdr_bundle_sum sum;
    gdr_status status =
        gdr_bundle_open_store(path, gdr_bundle_read_mode(), &st, msg, n);

    if (status == GDR_OK) {
        status = gdr_store_copy(st, copy);
        if (status != GDR_OK)
            snprintf(msg, n, "%s", gdr_store_errmsg(st));
    }
    gdr_store_close(st);
    if (status == GDR_OK)
        status = gdr_bundle_verify(copy, &sum, msg, n);
    if (status != GDR_OK)
        gdr_bundle_put_name(msg, n, copy, path);
    return status;
}

static gdr_status add_to(gdr_store *to, const char *path, const char *copy,
                         char *msg, size_t n)
{
    gdr_status status = take(path, copy, msg, n);

    if (status == GDR_OK) {
        status = gdr_store_merge(to, copy);
        if (status != GDR_OK)
            snprintf(msg, n, "%s", gdr_store_errmsg(to));
        gdr_bundle_put_name(msg, n, copy, path);
    }
    unlink(copy);
    return status;
}

static gdr_status merge_into(const char *all, const char *copy,
                             const char *const *from, int n_from, char *msg,
                             size_t n)
{
    gdr_store *to = NULL;
    gdr_status status = take(from[0], all, msg, n);

    if (status == GDR_OK)
        status = gdr_bundle_open_store(all, GDR_STORE_WRITE, &to, msg, n);
    for (int i = 1; i < n_from && status == GDR_OK; i++)
        status = add_to(to, from[i], copy, msg, n);
    gdr_store_close(to);
    gdr_bundle_put_name(msg, n, all, from[0]);
    return status;
}

gdr_status gdr_bundle_merge(const char *const *from, int n_from,
                            const gdr_bundle_options *options, const char *path,
                            gdr_bundle_sum *sum, char *msg, size_t n)
{
    char all[GDR_BUNDLE_PATH], copy[GDR_BUNDLE_PATH];
    gdr_status status = gdr_bundle_beside(path, "merge", all, msg, n);

    if (status == GDR_OK)
        status = gdr_bundle_beside(path, "other", copy, msg, n);
    if (status != GDR_OK)
        return status;
    status = merge_into(all, copy, from, n_from, msg, n);
    if (status == GDR_OK) {
        status = gdr_bundle_build(all, options, path, sum, msg, n);
        gdr_bundle_put_name(msg, n, all, "what was merged");
    }
    unlink(all);
    return status;
}
