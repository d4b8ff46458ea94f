/* bundle_merge.c - one bundle from several, by way of a database of all. */
#include "bundle_internal.h"

#include <stdio.h>
#include <unistd.h>

/* A file that is not whole is not merged into anything. */
static gdr_status open_whole(const char *path, gdr_store **st, char *msg,
                             size_t n)
{
    gdr_status status = gdr_bundle_open_store(path, GDR_STORE_READ, st, msg, n);

    if (status == GDR_OK) {
        status = gdr_store_verify(*st);
        if (status != GDR_OK)
            snprintf(msg, n, "%s", gdr_store_errmsg(*st));
    }
    return status;
}

static gdr_status start_with(const char *first, const char *copy, char *msg,
                             size_t n)
{
    gdr_store *st = NULL;
    gdr_status status = open_whole(first, &st, msg, n);

    if (status == GDR_OK) {
        status = gdr_store_copy(st, copy);
        if (status != GDR_OK)
            snprintf(msg, n, "%s", gdr_store_errmsg(st));
    }
    gdr_store_close(st);
    return status;
}

static gdr_status add_to(gdr_store *to, const char *path, char *msg, size_t n)
{
    gdr_store *st = NULL;
    gdr_status status = open_whole(path, &st, msg, n);

    if (status == GDR_OK) {
        status = gdr_store_merge(to, st);
        if (status != GDR_OK)
            snprintf(msg, n, "%s", gdr_store_errmsg(to));
    }
    gdr_store_close(st);
    return status;
}

static gdr_status merge_into(const char *copy, const char *const *from,
                             int n_from, char *msg, size_t n)
{
    gdr_store *to = NULL;
    gdr_status status = start_with(from[0], copy, msg, n);

    if (status == GDR_OK)
        status = gdr_bundle_open_store(copy, GDR_STORE_WRITE, &to, msg, n);
    for (int i = 1; i < n_from && status == GDR_OK; i++)
        status = add_to(to, from[i], msg, n);
    gdr_store_close(to);
    return status;
}

gdr_status gdr_bundle_merge(const char *const *from, int n_from,
                            const gdr_bundle_options *options, const char *path,
                            gdr_bundle_sum *sum, char *msg, size_t n)
{
    char copy[4096];
    gdr_status status;

    if (snprintf(copy, sizeof copy, "%s.merge-%ld", path, (long)getpid()) >=
        (int)sizeof copy) {
        snprintf(msg, n, "the bundle's path is too long");
        return GDR_ERR_ARG;
    }
    status = merge_into(copy, from, n_from, msg, n);
    if (status == GDR_OK)
        status = gdr_bundle_build(copy, options, path, sum, msg, n);
    unlink(copy);
    return status;
}
