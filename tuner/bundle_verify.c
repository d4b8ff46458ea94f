/* bundle_verify.c - what is in a bundle, and whether all of it holds up. */
#include "bundle_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

gdr_status gdr_bundle_open_store(const char *path, gdr_store_mode mode,
                                 gdr_store **st, char *msg, size_t n)
{
    gdr_status status = gdr_store_open(path, mode, st);

    if (status != GDR_OK)
        snprintf(msg, n, "%s",
                 *st && *gdr_store_errmsg(*st) ? gdr_store_errmsg(*st)
                                               : gdr_strerror(status));
    return status;
}

static void add_regrets(const gdr_rows *rows, gdr_bundle_sum *sum)
{
    for (uint32_t i = 0; i < rows->n_entries; i++) {
        const gdr_entry *e = &rows->entry[i];

        if (e->spare || e->problem.x.B == 0)
            continue;
        sum->tuned++;
        sum->slower += e->regret > 0;
        sum->regret = e->regret > sum->regret ? e->regret : sum->regret;
    }
}

gdr_status gdr_bundle_sum_up(const gdr *g, const char *path,
                             gdr_bundle_sum *sum, char *msg, size_t n)
{
    const gdr_rows *rows = gdr_rows_of(g);
    struct stat file;

    memset(sum, 0, sizeof *sum);
    if (rows->n_skipped > 0) {
        snprintf(msg, n, "%s: %u rows are unusable; the first: %s", path,
                 (unsigned)rows->n_skipped, rows->note[0]);
        return GDR_ERR_FORMAT;
    }
    for (uint32_t i = 0; i < rows->n_codes; i++) {
        if (rows->code[i]->n_steps == 0) {
            snprintf(msg, n, "%s: damaged: variant %.16s has no code", path,
                     rows->code[i]->variant);
            return GDR_ERR_FORMAT;
        }
        if (!gdr_code_intact(rows->code[i])) {
            snprintf(msg, n,
                     "%s: damaged: the code of variant %.16s is not "
                     "what its hash says",
                     path, rows->code[i]->variant);
            return GDR_ERR_FORMAT;
        }
    }
    sum->bytes = stat(path, &file) ? 0 : file.st_size;
    sum->plans = rows->n_entries;
    sum->codes = rows->n_codes;
    add_regrets(rows, sum);
    return gdr_digest(g, sum->digest);
}

static int has_statics(const gdr_rows *rows, const char *statics)
{
    char text[GDR_PROBLEM_TEXT];

    for (uint32_t i = 0; i < rows->n_entries; i++) {
        const gdr_problem p = {.s = rows->entry[i].problem.s};

        gdr_problem_format(&p, text, sizeof text);
        if (!strcmp(text, statics))
            return 1;
    }
    return 0;
}

void gdr_bundle_count_absent(const gdr_rows *rows, const gdr_bundle_filter *f,
                             gdr_bundle_sum *sum)
{
    for (int i = 0; i < f->n_statics; i++) {
        if (has_statics(rows, f->statics[i]))
            continue;
        if (!sum->absent++)
            snprintf(sum->first_absent, sizeof sum->first_absent, "%s",
                     f->statics[i]);
    }
}

static gdr_status check_pages(const char *path, char *msg, size_t n)
{
    const char *key = getenv("GDR_VERIFY_KEY");
    gdr_store *st = NULL;
    gdr_status status = gdr_store_open(
        path, key && *key ? GDR_STORE_READ_SIGNED : GDR_STORE_READ, &st);

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
    gdr *g = NULL;

    memset(sum, 0, sizeof *sum);
    if (status != GDR_OK)
        return status;
    status = gdr_open(path, &g);
    if (status != GDR_OK)
        snprintf(msg, n, "%s", g ? gdr_errmsg(g) : gdr_strerror(status));
    else
        status = gdr_bundle_sum_up(g, path, sum, msg, n);
    gdr_close(g);
    return status;
}
