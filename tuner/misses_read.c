/*
 * misses_read.c - many processes append to one file, so the same problem stands
 * there many times; counts add up.
 */
#include "misses_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct missed {
    gdr_problem p;
    uint64_t count;
} missed;

typedef struct list {
    missed *at; /* [n] */
    size_t n, room;
} list;

/* Writes why the line is none; 1: it is. */
static int parse(char *line, missed *out, char *why, size_t n)
{
    char *end;

    line[strcspn(line, "\n")] = 0;
    errno = 0;
    out->count = strtoull(line, &end, 10);
    if (end == line || *line < '0' || *line > '9' || *end != ' ' || errno) {
        snprintf(why, n, "not 'COUNT PROBLEM', as gdr_misses_append writes it");
        return 0;
    }
    if (gdr_problem_parse(end + 1, &out->p, why, n) != GDR_OK)
        return 0;
    if (out->p.x.B < 1)
        snprintf(why, n, "the problem has no extents");
    return out->p.x.B >= 1;
}

static gdr_status add(list *l, const missed *one)
{
    missed *moved;

    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : 64;
        moved = realloc(l->at, l->room * sizeof *moved);
        if (!moved)
            return GDR_ERR_NO_MEMORY;
        l->at = moved;
    }
    l->at[l->n++] = *one;
    return GDR_OK;
}

static gdr_status read_lines(FILE *f, const char *path, list *l, char *msg,
                             size_t n)
{
    gdr_status status = GDR_OK;
    char *line = NULL, why[256];
    size_t room = 0;

    for (int number = 1; !status && getline(&line, &room, f) >= 0; number++) {
        missed one = {0};
        if (parse(line, &one, why, sizeof why))
            status = add(l, &one);
        else {
            snprintf(msg, n, "%s:%d: %s", path, number, why);
            status = GDR_ERR_PARSE;
        }
    }
    if (!status && ferror(f)) {
        snprintf(msg, n, "%s: %s", path, strerror(errno));
        status = GDR_ERR_IO;
    }
    free(line);
    return status;
}

static int by_problem(const void *a, const void *b)
{
    return gdr_problem_compare(&((const missed *)a)->p,
                               &((const missed *)b)->p);
}

static int by_count(const void *a, const void *b)
{
    const missed *x = a, *y = b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return by_problem(a, b);
}

/* Each problem once. */
static void merge(list *l)
{
    size_t kept = 0;

    if (l->n > 0)
        qsort(l->at, l->n, sizeof *l->at, by_problem);
    for (size_t i = 0; i < l->n; i++)
        if (kept > 0 && !by_problem(&l->at[kept - 1], &l->at[i]))
            l->at[kept - 1].count += l->at[i].count;
        else
            l->at[kept++] = l->at[i];
    l->n = kept;
    if (l->n > 0)
        qsort(l->at, l->n, sizeof *l->at, by_count);
}

gdr_status gdr_misses_read(const char *path, gdr_problem **out, int *count,
                           char *msg, size_t n)
{
    FILE *f = fopen(path, "re");
    gdr_status status;
    list l = {0};

    *out = NULL;
    *count = 0;
    if (!f) {
        snprintf(msg, n, "%s: %s", path, strerror(errno));
        return GDR_ERR_IO;
    }
    status = read_lines(f, path, &l, msg, n);
    fclose(f);
    merge(&l);
    if (!status && l.n > 0 && !(*out = calloc(l.n, sizeof **out)))
        status = GDR_ERR_NO_MEMORY;
    for (size_t i = 0; *out && i < l.n; i++)
        (*out)[(*count)++] = l.at[i].p;
    free(l.at);
    return status;
}
