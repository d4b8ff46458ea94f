/*
 * bundle.c - see bundle.h. A bundle is a database: the store writes it, and
 * libgdr itself says whether it would take it.
 */
#include "bundle.h"
#include "../runtime/gdr_internal.h"
#include "../runtime/signature.h"
#include "bundle_defaults.h"

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
    const char *secret;          /* hex, or NULL */
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
    gdr_status status = gdr_store_open(path, GDR_STORE_WRITE, &st);

    if (status != GDR_OK)
        snprintf(msg, n, "%s", st ? gdr_store_errmsg(st) : "out of memory");
    for (int i = 0; i < p->wanted->n_arch && status == GDR_OK; i++)
        if (p->chip[i])
            status =
                gdr_bundle_defaults(st, p->chip[i], p->statics, p->n, msg, n);
    gdr_store_close(st);
    return status;
}

/* Who signs, and where a failure is told. */
typedef struct signer {
    const char *secret; /* hex */
    char *msg;
    size_t n;
} signer;

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

/* Signs what libgdr reads of the file. */
static gdr_status sign(void *ctx, const char *path)
{
    const signer *s = ctx;
    char digest[GDR_DIGEST_TEXT], key[GDR_KEY_TEXT];
    char signature[GDR_SIGNATURE_TEXT];
    gdr *g = NULL;
    gdr_status status = gdr_open(path, &g);

    if (status == GDR_OK)
        status = gdr_digest(g, digest);
    if (status != GDR_OK)
        snprintf(s->msg, s->n, "%s", g ? gdr_errmsg(g) : "out of memory");
    gdr_close(g);
    if (status == GDR_OK)
        status = gdr_signature_make(digest, s->secret, key, signature);
    return status == GDR_OK ? put_signature(path, key, signature, s->msg, s->n)
                            : status;
}

static gdr_status write_bundle(gdr_store *st, const plan *p, const char *path,
                               char *msg, size_t n)
{
    signer s = {p->secret, msg, n};
    gdr_bundle_filter f = *p->wanted;
    gdr_status status;

    msg[0] = 0;
    f.arch = p->arch;
    f.finish = p->secret ? sign : NULL;
    f.ctx = &s;
    status = gdr_store_bundle(st, &f, path);
    if (status != GDR_OK && !msg[0])
        snprintf(msg, n, "%s", gdr_store_errmsg(st));
    return status;
}

/* What is compiled goes to a copy: the database stays as it is. */
static gdr_status compile_and_write(gdr_store *st, const plan *p,
                                    const char *path, char *msg, size_t n)
{
    char copy[4096];
    gdr_store *more = NULL;
    gdr_status status;

    if (snprintf(copy, sizeof copy, "%s.copy-%ld", path, (long)getpid()) >=
        (int)sizeof copy) {
        snprintf(msg, n, "the bundle's path is too long");
        return GDR_ERR_ARG;
    }
    status = gdr_store_copy(st, copy);
    if (status != GDR_OK)
        snprintf(msg, n, "%s", gdr_store_errmsg(st));
    if (status == GDR_OK)
        status = compile_into(p, copy, msg, n);
    if (status == GDR_OK) {
        status = gdr_store_open(copy, GDR_STORE_READ, &more);
        if (status != GDR_OK)
            snprintf(msg, n, "%s",
                     more ? gdr_store_errmsg(more) : "out of memory");
    }
    if (status == GDR_OK)
        status = write_bundle(more, p, path, msg, n);
    gdr_store_close(more);
    unlink(copy);
    return status;
}

gdr_status gdr_bundle_build(const char *db, const gdr_bundle_filter *filter,
                            const char *secret, const char *path, char *msg,
                            size_t n)
{
    char key[GDR_SECRET_TEXT];
    plan p = {.wanted = filter, .secret = secret ? key : NULL};
    gdr_store *st = NULL;
    gdr_status status = gdr_store_open(db, GDR_STORE_READ, &st);
    int more = 0;

    if (status != GDR_OK)
        snprintf(msg, n, "%s",
                 st && *gdr_store_errmsg(st) ? gdr_store_errmsg(st)
                                             : gdr_strerror(status));
    if (status == GDR_OK && secret)
        status = gdr_key_read(secret, sizeof key, key, msg, n);
    if (status == GDR_OK)
        status = spell_archs(&p, msg, n);
    if (status == GDR_OK)
        status = look(st, &p, msg, n);
    if (status == GDR_OK && (more = lacks(&p, db, msg, n)) < 0)
        status = GDR_ERR_ARG;
    if (status == GDR_OK)
        status = more ? compile_and_write(st, &p, path, msg, n)
                      : write_bundle(st, &p, path, msg, n);
    gdr_store_close(st);
    free(p.statics);
    return status;
}

/* 0: written, whole and only now. */
static int write_new(const char *path, mode_t mode, const char *line)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    int failed = fd < 0 || dprintf(fd, "%s\n", line) < 0 || fsync(fd);

    if (fd >= 0 && close(fd))
        failed = 1;
    return failed;
}

gdr_status gdr_bundle_keygen(const char *name, char *msg, size_t n)
{
    char key[GDR_KEY_TEXT], secret[GDR_SECRET_TEXT], path[4096];
    gdr_status status = gdr_key_make(key, secret);

    if (status != GDR_OK) {
        snprintf(msg, n, "the system gives no random numbers");
        return status;
    }
    for (int is_public = 0; is_public < 2 && status == GDR_OK; is_public++) {
        snprintf(path, sizeof path, "%s.%s", name, is_public ? "pub" : "key");
        if (!write_new(path, is_public ? 0644 : 0600, is_public ? key : secret))
            continue;
        status = errno == EEXIST ? GDR_ERR_ARG : GDR_ERR_IO;
        snprintf(msg, n, "%s: %s", path, strerror(errno));
    }
    return status;
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
        add_regrets(rows, sum);
        status = gdr_digest(g, sum->digest);
    }
    gdr_close(g);
    return status;
}
