/*
 * bundle.c - see bundle.h. A bundle is a database: the store writes it, and
 * libgdr itself says whether it would take it.
 */
#include "bundle.h"
#include "../runtime/signature.h"
#include "bundle_c.h"
#include "bundle_defaults.h"
#include "bundle_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARCHS = 64 };

/* What is known of a database, and what is wanted of it. */
typedef struct plan {
    const gdr_bundle_filter *wanted;
    const char *secret; /* hex, or NULL */
    int as_c;
    gdr_bundle_sum *sum;
    const char *arch[ARCHS];     /* as the rows spell them */
    const gdr_chip *chip[ARCHS]; /* to compile for; NULL: there are rows */
    int found[ARCHS];
    gdr_static *statics; /* [n], each once */
    int n, room;
    char all[1024];
    gdr_status status;
} plan;

/* "sm_80, x86-64": each once. */
static void note_arch(plan *p, const char *arch)
{
    size_t at = strlen(p->all), length = strlen(arch);
    const char *known = p->all;

    for (int i = 0; i < p->wanted->n_arch; i++)
        p->found[i] |= !strcmp(p->arch[i], arch);
    while ((known = strstr(known, arch)) && known[length] &&
           known[length] != ',')
        known++;
    if (!known && strcmp(arch, "ptx") != 0 && at + length + 3 < sizeof p->all)
        snprintf(p->all + at, sizeof p->all - at, "%s%s", at ? ", " : "", arch);
}

static int is_wanted(const plan *p, const char *statics)
{
    for (int i = 0; i < p->wanted->n_statics; i++)
        if (!strcmp(p->wanted->statics[i], statics))
            return 1;
    return p->wanted->n_statics == 0;
}

static void note_problem(plan *p, const char *text)
{
    char statics[GDR_PROBLEM_TEXT];
    gdr_problem one, had = {0};
    gdr_static *moved;

    if (gdr_problem_parse(text, &one, NULL, 0) != GDR_OK)
        return; /* libgdr skips such a row, too */
    memset(&one.x, 0, sizeof one.x);
    gdr_problem_format(&one, statics, sizeof statics);
    if (!is_wanted(p, statics))
        return;
    for (int i = 0; i < p->n; i++) {
        had.s = p->statics[i];
        if (gdr_problem_compare(&had, &one) == 0)
            return;
    }
    if (p->n == p->room) {
        p->room = p->room ? 2 * p->room : 16;
        moved = realloc(p->statics, (size_t)p->room * sizeof *moved);
        if (!moved) {
            p->status = GDR_ERR_NO_MEMORY;
            return;
        }
        p->statics = moved;
    }
    p->statics[p->n++] = one.s;
}

static int see_winner(void *ctx, const gdr_winner_row *w)
{
    plan *p = ctx;

    note_arch(p, w->device.arch);
    note_problem(p, w->choice.problem);
    return p->status != GDR_OK;
}

static int see_default(void *ctx, const gdr_fallback_row *f)
{
    plan *p = ctx;

    note_arch(p, f->device.arch);
    note_problem(p, f->dflt.statics);
    return p->status != GDR_OK;
}

static gdr_status look(gdr_store *st, plan *p, char *msg, size_t n)
{
    gdr_status status = gdr_store_each_winner(st, see_winner, p);

    if (status == GDR_OK)
        status = gdr_store_each_default(st, see_default, p);
    for (int i = 0; i < p->wanted->n_statics; i++)
        note_problem(p, p->wanted->statics[i]);
    if (status != GDR_OK)
        snprintf(msg, n, "%s", gdr_store_errmsg(st));
    else if (p->status != GDR_OK)
        snprintf(msg, n, "out of memory");
    return status == GDR_OK ? p->status : status;
}

/* Cards have other names for some; a misspelt arch must not give a bundle that
 * lacks it without a word. */
static gdr_status spell_archs(plan *p, char *msg, size_t n)
{
    char why[256];

    if (p->wanted->n_arch > ARCHS) {
        snprintf(msg, n, "more than %d architectures", ARCHS);
        return GDR_ERR_ARG;
    }
    for (int i = 0; i < p->wanted->n_arch; i++) {
        p->arch[i] = p->wanted->arch[i];
        if (gdr_chip_find(p->arch[i], &p->chip[i], why, sizeof why) == GDR_OK)
            p->arch[i] = p->chip[i]->arch;
        else
            p->chip[i] = NULL;
    }
    return GDR_OK;
}

/* 1: something has to be compiled. */
static int lacks(plan *p, const char *db, char *msg, size_t n)
{
    int any = 0;

    for (int i = 0; i < p->wanted->n_arch; i++) {
        if (p->found[i])
            p->chip[i] = NULL;
        else if (!p->chip[i]) {
            snprintf(msg, n,
                     "%s has nothing for %s, which is no card's architecture; "
                     "it has: %s",
                     db, p->arch[i], *p->all ? p->all : "nothing");
            return -1;
        }
        any |= p->chip[i] != NULL;
    }
    return any;
}

static gdr_status compile_into(const plan *p, const char *path, char *msg,
                               size_t n)
{
    gdr_store *st = NULL;
    gdr_status status =
        gdr_bundle_open_store(path, GDR_STORE_WRITE, &st, msg, n);

    for (int i = 0; i < p->wanted->n_arch && status == GDR_OK; i++)
        if (p->chip[i])
            status =
                gdr_bundle_defaults(st, p->chip[i], p->statics, p->n, msg, n);
    gdr_store_close(st);
    return status;
}

/* ---- writing ---- */

/* What is done with a whole file before it takes its place. */
typedef struct last_step {
    const char *secret; /* hex; NULL: not signed */
    const char *name;   /* of the table in C; NULL: it stays a database */
    const gdr_bundle_filter *wanted;
    gdr_bundle_sum *sum;
    char *msg;
    size_t n;
} last_step;

static gdr_status put_signature(const char *path, const char *key,
                                const char *signature, char *msg, size_t n)
{
    gdr_store *st = NULL;
    gdr_status status = gdr_store_open(path, GDR_STORE_WRITE, &st);

    if (status == GDR_OK)
        status = gdr_store_put_signature(st, key, signature);
    if (status != GDR_OK)
        snprintf(msg, n, "%s", st ? gdr_store_errmsg(st) : "out of memory");
    gdr_store_close(st);
    return status;
}

/* As libgdr reads it, whoever must have signed what it is going to serve. */
static gdr_status read_back(const char *path, gdr **g, char *msg, size_t n)
{
    gdr_status status = gdr_new(g);

    if (status == GDR_OK)
        status = gdr_read_file(*g, path, NULL);
    if (status != GDR_OK)
        snprintf(msg, n, "%s", *g ? gdr_errmsg(*g) : "out of memory");
    return status;
}

/* Signs what libgdr reads of the file. */
static gdr_status sign(const last_step *l, const gdr *g, const char *path)
{
    char digest[GDR_DIGEST_TEXT], key[GDR_KEY_TEXT];
    char signature[GDR_SIGNATURE_TEXT];
    gdr_status status = gdr_digest(g, digest);

    if (status == GDR_OK)
        status = gdr_signature_make(digest, l->secret, key, signature);
    if (status != GDR_OK)
        snprintf(l->msg, l->n, "the bundle was not signed");
    return status == GDR_OK ? put_signature(path, key, signature, l->msg, l->n)
                            : status;
}

/* In place of the database. */
static gdr_status turn_into_c(const last_step *l, const gdr *g,
                              const char *path)
{
    FILE *out;
    gdr_status status;

    if (unlink(path) || !(out = fopen(path, "wxe"))) {
        snprintf(l->msg, l->n, "%s: %s", path, strerror(errno));
        return GDR_ERR_IO;
    }
    status = gdr_bundle_c_write(gdr_rows_of(g), l->name, out, l->msg, l->n);
    if ((fflush(out) || ferror(out) || fsync(fileno(out))) &&
        status == GDR_OK) {
        status = errno == ENOSPC ? GDR_ERR_FULL : GDR_ERR_IO;
        snprintf(l->msg, l->n, "%s: %s", path, strerror(errno));
    }
    fclose(out);
    return status;
}

static gdr_status finish(void *ctx, const char *path)
{
    const last_step *l = ctx;
    struct stat file;
    gdr *g = NULL;
    gdr_status status = read_back(path, &g, l->msg, l->n);

    if (status == GDR_OK)
        status = gdr_bundle_sum_up(g, path, l->sum, l->msg, l->n);
    if (status == GDR_OK && l->secret)
        status = sign(l, g, path);
    if (status == GDR_OK && l->name)
        status = turn_into_c(l, g, path);
    if (status == GDR_OK && stat(path, &file) == 0)
        l->sum->bytes = file.st_size;
    if (status == GDR_OK)
        gdr_bundle_count_absent(gdr_rows_of(g), l->wanted, l->sum);
    if (l->name) { /* kernels as source are other code */
        l->sum->digest[0] = 0;
        snprintf(l->sum->table, sizeof l->sum->table, "%s", l->name);
    }
    gdr_close(g);
    return status;
}

static gdr_status write_bundle(gdr_store *st, const plan *p, const char *path,
                               char *msg, size_t n)
{
    char name[GDR_BUNDLE_C_NAME], temporary[GDR_BUNDLE_PATH];
    last_step l = {p->secret, NULL, p->wanted, p->sum, msg, n};
    gdr_bundle_filter f = *p->wanted;
    gdr_status status = gdr_bundle_beside(path, "new", temporary, msg, n);

    if (status != GDR_OK)
        return status;
    msg[0] = 0;
    if (p->as_c) {
        gdr_bundle_c_name(path, name);
        l.name = name;
    }
    f.arch = p->arch;
    f.finish = finish;
    f.ctx = &l;
    status = gdr_store_bundle(st, &f, path);
    if (status != GDR_OK && !msg[0])
        snprintf(msg, n, "%s", gdr_store_errmsg(st));
    gdr_bundle_put_name(msg, n, temporary, path);
    return status;
}

/* What is compiled goes to a copy: the database stays as it is. */
static gdr_status compile_and_write(gdr_store *st, const plan *p,
                                    const char *path, char *msg, size_t n)
{
    char copy[GDR_BUNDLE_PATH];
    gdr_store *more = NULL;
    gdr_status status = gdr_bundle_beside(path, "copy", copy, msg, n);

    if (status != GDR_OK)
        return status;
    status = gdr_store_copy(st, copy);
    if (status != GDR_OK)
        snprintf(msg, n, "%s", gdr_store_errmsg(st));
    if (status == GDR_OK)
        status = compile_into(p, copy, msg, n);
    if (status == GDR_OK)
        status = gdr_bundle_open_store(copy, GDR_STORE_READ, &more, msg, n);
    if (status == GDR_OK)
        status = write_bundle(more, p, path, msg, n);
    gdr_store_close(more);
    unlink(copy);
    return status;
}

static gdr_status open_plan(plan *p, const gdr_bundle_options *options,
                            char key[GDR_SECRET_TEXT], gdr_bundle_sum *sum,
                            char *msg, size_t n)
{
    *p = (plan){.wanted = &options->filter,
                .secret = options->secret ? key : NULL,
                .as_c = options->as_c,
                .sum = sum};
    if (options->secret) {
        gdr_status status =
            gdr_key_read(options->secret, GDR_SECRET_TEXT, key, msg, n);
        if (status != GDR_OK)
            return status;
    }
    return spell_archs(p, msg, n);
}

gdr_status gdr_bundle_build(const char *db, const gdr_bundle_options *options,
                            const char *path, gdr_bundle_sum *sum, char *msg,
                            size_t n)
{
    char key[GDR_SECRET_TEXT];
    plan p;
    gdr_store *st = NULL;
    gdr_status status = gdr_bundle_open_store(db, GDR_STORE_READ, &st, msg, n);
    int more = 0;

    if (status == GDR_OK)
        status = open_plan(&p, options, key, sum, msg, n);
    if (status == GDR_OK) {
        status = look(st, &p, msg, n);
        if (status == GDR_OK && (more = lacks(&p, db, msg, n)) < 0)
            status = GDR_ERR_ARG;
        if (status == GDR_OK)
            status = more ? compile_and_write(st, &p, path, msg, n)
                          : write_bundle(st, &p, path, msg, n);
        free(p.statics);
    }
    gdr_store_close(st);
    return status;
}
