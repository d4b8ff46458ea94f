/* compile_once.c - answers in a table by source and arch, jobs until they are
 * answers. */
#include "compile_once.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

typedef struct entry {
    struct entry *next;
    gdr_compiled answer;
    gdr_compile_job *job; /* NULL once ready */
    char *text;           /* of the job */
} entry;

struct gdr_compile_once {
    gdr_compile_queue *queue;
    int64_t n, pending;
    entry *bucket[BUCKETS];
};

gdr_status gdr_compile_once_open(const gdr_target *target, int threads,
                                 double limit_s, gdr_compile_once **out)
{
    gdr_compile_once *c = *out = calloc(1, sizeof *c);
    gdr_status st =
        c ? gdr_compile_queue_open(target, threads, limit_s, &c->queue)
          : GDR_ERR_NO_MEMORY;

    if (st != GDR_OK) {
        gdr_compile_once_close(c);
        *out = NULL;
    }
    return st;
}

static void free_job(entry *e)
{
    if (e->job)
        free(e->job->image.code);
    free(e->job);
    free(e->text);
    e->job = NULL;
    e->text = NULL;
}

void gdr_compile_once_close(gdr_compile_once *c)
{
    if (!c)
        return;
    gdr_compile_queue_close(c->queue); /* it frees the images that it has */
    for (int i = 0; i < BUCKETS; i++)
        for (entry *e = c->bucket[i], *next; e; e = next) {
            next = e->next;
            free_job(e);
            free(e);
        }
    free(c);
}

/* The entry, or where it is to be put. */
static entry **find(gdr_compile_once *c, const char *hash, const char *arch)
{
    entry **at = &c->bucket[gdr_hash_number(hash) % BUCKETS];

    while (*at && (strcmp((*at)->answer.source, hash) != 0 ||
                   strcmp((*at)->answer.arch, arch) != 0))
        at = &(*at)->next;
    return at;
}

/* Makes the entry and puts its job; takes the text. */
static entry *start(gdr_compile_once *c, char *text, size_t bytes,
                    const char *hash, const char *arch)
{
    entry *e = calloc(1, sizeof *e);
    gdr_compile_job *job = calloc(1, sizeof *job);

    if (!e || !job) {
        free(e);
        free(job);
        free(text);
        return NULL;
    }
    memcpy(e->answer.source, hash, GDR_HASH_TEXT);
    e->answer.arch = arch;
    e->job = job;
    e->text = text;
    *job = (gdr_compile_job){
        .source = text, .bytes = bytes, .arch = arch, .user = e, .owner = c};
    gdr_compile_queue_put(c->queue, job);
    c->n++;
    c->pending++;
    return e;
}

gdr_status gdr_compile_once_want(gdr_compile_once *c, char *source,
                                 size_t bytes, const char *arch,
                                 const gdr_compiled **out)
{
    char hash[GDR_HASH_TEXT];
    entry **at;

    gdr_hash_bytes(source, bytes, hash);
    at = find(c, hash, arch);
    if (*at)
        free(source);
    else
        *at = start(c, source, bytes, hash, arch);
    *out = *at ? &(*at)->answer : NULL;
    return *at ? GDR_OK : GDR_ERR_NO_MEMORY;
}

gdr_status gdr_compile_once_fail(gdr_compile_once *c, const char *reason,
                                 const char *arch, const gdr_compiled **out)
{
    char hash[GDR_HASH_TEXT];
    entry **at, *e;

    *out = NULL;
    gdr_hash_bytes(reason, strlen(reason), hash);
    at = find(c, hash, arch);
    if (!*at) {
        e = *at = calloc(1, sizeof *e);
        if (!e)
            return GDR_ERR_NO_MEMORY;
        memcpy(e->answer.source, hash, sizeof hash);
        e->answer.arch = arch;
        e->answer.ready = 1;
        e->answer.status = GDR_ERR_TEMPLATE;
        snprintf(e->answer.log, sizeof e->answer.log, "%s", reason);
    }
    *out = &(*at)->answer;
    return GDR_OK;
}

static void take(gdr_compile_once *c, gdr_compile_job *job)
{
    entry *e = job->user;

    e->answer.status = job->status;
    e->answer.figures = job->image.figures;
    e->answer.code_bytes = job->image.bytes;
    memcpy(e->answer.log, job->log, sizeof e->answer.log);
    e->answer.ready = 1;
    free_job(e);
    c->pending--;
}

int gdr_compile_once_wait(gdr_compile_once *c,
                          const volatile sig_atomic_t *stop)
{
    struct pollfd p = {.fd = gdr_compile_queue_fd(c->queue), .events = POLLIN};
    gdr_compile_job *job;

    while (c->pending && !(stop && *stop)) {
        poll(&p, 1, 100);
        while ((job = gdr_compile_queue_next(c->queue)))
            take(c, job);
    }
    return c->pending != 0;
}

int64_t gdr_compile_once_count(const gdr_compile_once *c)
{
    return c->n;
}
