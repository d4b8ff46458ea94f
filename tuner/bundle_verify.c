/* bundle_verify.c - what is in a bundle, and whether all of it holds up. */
#include "bundle_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

gdr_store_mode gdr_bundle_read_mode(void)
{
    const char *key = getenv("GDR_VERIFY_KEY");

    return key && *key ? GDR_STORE_READ_SIGNED : GDR_STORE_READ;
}

gdr_status gdr_bundle_open_signed(const char *path, gdr_store **st, char *msg,
                                  size_t n)
{
    const gdr_store_mode mode = gdr_bundle_read_mode();
    gdr_status status = GDR_OK;
    gdr *g = NULL;

    *st = NULL;
    if (mode == GDR_STORE_READ_SIGNED) {
        status = gdr_open(path, &g);
        if (status != GDR_OK)
            snprintf(msg, n, "%s", g ? gdr_errmsg(g) : gdr_strerror(status));
        gdr_close(g);
    }
    return status == GDR_OK ? gdr_bundle_open_store(path, mode, st, msg, n)
                            : status;
}

gdr_status gdr_bundle_beside(const char *path, const char *word,
                             char out[GDR_BUNDLE_PATH], char *msg, size_t n)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash - path) + 1 : 0;

    if (!gdr_store_beside(path, word, out, GDR_BUNDLE_PATH)) {
        snprintf(msg, n, "the bundle's path is too long");
        return GDR_ERR_ARG;
    }
    if (folder > 0) {
        char dir[GDR_BUNDLE_PATH];

        memcpy(dir, path, folder);
        dir[folder] = 0;
        if (access(dir, W_OK | X_OK)) {
            snprintf(msg, n, "-o %s: %s: %s", path, dir, strerror(errno));
            return GDR_ERR_ARG;
        }
    }
    return GDR_OK;
}

void gdr_bundle_put_name(char *msg, size_t n, const char *ours,
                         const char *theirs)
{
    char rest[4096], *at = msg;

    while ((at = strstr(at, ours))) {
        size_t room = n - (size_t)(at - msg);

        snprintf(rest, sizeof rest, "%s", at + strlen(ours));
        snprintf(at, room, "%s%s", theirs, rest);
        at += strlen(theirs) < room ? strlen(theirs) : room - 1;
    }
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
    gdr_store *st = NULL;
    gdr_status status =
        gdr_bundle_open_store(path, gdr_bundle_read_mode(), &st, msg, n);

    if (status == GDR_OK) {
        status = gdr_store_verify(st);
        if (status != GDR_OK)
            snprintf(msg, n, "%s", gdr_store_errmsg(st));
    }
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
