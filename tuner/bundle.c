/*
 * bundle.c - see bundle.h. A bundle is a database: the store writes it, and
 * libgdr itself says whether it would take it.
 */
#include "bundle.h"
#include "../runtime/gdr_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct archs {
    const char *wanted;
    int found;
    char all[1024];
} archs;

static void note_arch(archs *a, const char *arch)
{
    size_t at = strlen(a->all), length = strlen(arch);
    const char *p = a->all;

    a->found |= !strcmp(a->wanted, arch);
    while ((p = strstr(p, arch)) && p[length] && p[length] != ',')
        p++;
    if (!p && strcmp(arch, "ptx") != 0 && at + length + 3 < sizeof a->all)
        snprintf(a->all + at, sizeof a->all - at, "%s%s", at ? ", " : "", arch);
}

static int see_winner(void *ctx, const gdr_winner_row *w)
{
    note_arch(ctx, w->device.arch);
    return 0;
}

static int see_default(void *ctx, const gdr_fallback_row *f)
{
    note_arch(ctx, f->device.arch);
    return 0;
}

/* A misspelt arch must not give a bundle that lacks it without a word. */
static gdr_status check_archs(gdr_store *st, const char *db,
                              const gdr_bundle_filter *f, char *msg, size_t n)
{
    for (int i = 0; i < f->n_arch; i++) {
        archs a = {.wanted = f->arch[i]};
        gdr_status status = gdr_store_each_winner(st, see_winner, &a);

        if (status == GDR_OK)
            status = gdr_store_each_default(st, see_default, &a);
        if (status != GDR_OK) {
            snprintf(msg, n, "%s", gdr_store_errmsg(st));
            return status;
        }
        if (!a.found) {
            snprintf(msg, n,
                     "%s has nothing for %s; it has: %s. Tune on such a "
                     "device, with --db %s",
                     db, f->arch[i], *a.all ? a.all : "nothing", db);
            return GDR_ERR_ARG;
        }
    }
    return GDR_OK;
}

gdr_status gdr_bundle_build(const char *db, const gdr_bundle_filter *filter,
                            const char *path, char *msg, size_t n)
{
    gdr_store *st = NULL;
    gdr_status status = gdr_store_open(db, GDR_STORE_READ, &st);

    if (status == GDR_OK)
        status = check_archs(st, db, filter, msg, n);
    else
        snprintf(msg, n, "%s",
                 st && *gdr_store_errmsg(st) ? gdr_store_errmsg(st)
                                             : gdr_strerror(status));
    if (status == GDR_OK) {
        status = gdr_store_bundle(st, filter, path);
        if (status != GDR_OK)
            snprintf(msg, n, "%s", gdr_store_errmsg(st));
    }
    gdr_store_close(st);
    return status;
}

static gdr_status check_pages(const char *path, char *msg, size_t n)
{
    gdr_store *st = NULL;
    gdr_status status = gdr_store_open(path, GDR_STORE_READ, &st);

    if (status == GDR_OK)
        status = gdr_store_verify(st);
    if (status != GDR_OK)
        snprintf(msg, n, "%s",
                 st && *gdr_store_errmsg(st) ? gdr_store_errmsg(st)
                                             : gdr_strerror(status));
    gdr_store_close(st);
    return status;
}

gdr_status gdr_bundle_verify(const char *path, gdr_bundle_sum *sum, char *msg,
                             size_t n)
{
    gdr_status status = check_pages(path, msg, n);
    const gdr_rows *rows;
    struct stat file;
    gdr *g = NULL;

    memset(sum, 0, sizeof *sum);
    if (status != GDR_OK)
        return status;
    status = gdr_open(path, &g);
    if (status != GDR_OK)
        snprintf(msg, n, "%s", g ? gdr_errmsg(g) : gdr_strerror(status));
    rows = status == GDR_OK ? gdr_rows_of(g) : NULL;
    if (rows && rows->n_skipped > 0) {
        snprintf(msg, n, "%s: %u rows are unusable; the first: %s", path,
                 (unsigned)rows->n_skipped, rows->note[0]);
        status = GDR_ERR_FORMAT;
    }
    if (status == GDR_OK && rows) {
        sum->bytes = stat(path, &file) ? 0 : file.st_size;
        sum->plans = rows->n_entries;
        sum->codes = rows->n_codes;
        status = gdr_digest(g, sum->digest);
    }
    gdr_close(g);
    return status;
}
