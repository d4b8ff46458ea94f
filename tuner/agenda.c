/* agenda.c - reads problems into groups. */
#include "agenda.h"
#include "misses_read.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The deployment list: what people serve. */
const char gdr_agenda_default[] = "qwen3.5";

typedef struct reader {
    gdr_agenda *out;
    const gdr_problem *filter; /* statics that may pass; none: all */
    int n_filters;
    const char *list;
    gdr_status status;
    char *msg;
    size_t n;
} reader;

static int same_static(const gdr_static *a, const gdr_static *b)
{
    gdr_problem x = {.s = *a}, y = {.s = *b};

    return gdr_problem_compare(&x, &y) == 0;
}

/* One more element; the array moves. NULL: no memory. */
static void *grow(void *array, int n, int *room, size_t size)
{
    if (n < *room)
        return array;
    *room = *room ? 2 * *room : 8;
    return realloc(array, size * (size_t)*room);
}

static gdr_group *find_group(gdr_agenda *a, const gdr_static *s)
{
    gdr_group *moved;

    for (int i = 0; i < a->n; i++)
        if (same_static(&a->group[i].s, s))
            return &a->group[i];
    moved = grow(a->group, a->n, &a->room, sizeof *moved);
    if (!moved)
        return NULL;
    a->group = moved;
    a->group[a->n] = (gdr_group){.s = *s};
    return &a->group[a->n++];
}

static gdr_status add(gdr_agenda *a, const gdr_problem *p)
{
    gdr_group *group = find_group(a, &p->s);
    gdr_problem *moved;

    if (!group)
        return GDR_ERR_NO_MEMORY;
    for (int i = 0; i < group->n; i++)
        if (gdr_problem_compare(&group->problem[i], p) == 0)
            return GDR_OK;
    moved = grow(group->problem, group->n, &group->room, sizeof *moved);
    if (!moved)
        return GDR_ERR_NO_MEMORY;
    group->problem = moved;
    group->problem[group->n++] = *p;
    a->problems++;
    return GDR_OK;
}

static int passes(const reader *r, const gdr_problem *p)
{
    for (int i = 0; i < r->n_filters; i++)
        if (same_static(&r->filter[i].s, &p->s))
            return 1;
    return r->n_filters == 0;
}

static int read_shape(void *ctx, const char *text)
{
    reader *r = ctx;
    char why[256] = "";
    gdr_problem p;

    r->status = gdr_problem_parse(text, &p, why, sizeof why);
    if (r->status == GDR_OK && p.x.B < 1) {
        snprintf(why, sizeof why,
                 "it has no extents, such as ' / b1t1hk16hv32'");
        r->status = GDR_ERR_PARSE;
    }
    if (r->status != GDR_OK)
        snprintf(r->msg, r->n, "%s: '%s': %s", r->list, text, why);
    else if (passes(r, &p))
        r->status = add(r->out, &p);
    return r->status != GDR_OK;
}

static gdr_status read_list(reader *r, gdr_generator *g, const char *name)
{
    gdr_status st;

    r->list = name;
    r->status = GDR_OK;
    st = gdr_generator_each_shape(g, name, read_shape, r);
    if (r->status != GDR_OK)
        return r->status;
    if (st != GDR_OK)
        snprintf(r->msg, r->n, "%s", gdr_generator_errmsg(g));
    return st;
}

/* Sorts --only into problems, added at once, and filters. */
static gdr_status read_only(reader *r, const char *const *only, int n_only,
                            gdr_problem *filter)
{
    for (int i = 0; i < n_only; i++) {
        char why[256] = "";
        gdr_problem p;
        gdr_status st = gdr_problem_parse(only[i], &p, why, sizeof why);
        if (st != GDR_OK) {
            snprintf(r->msg, r->n,
                     "--only '%s': %s; a problem reads like "
                     "recurrent:final:vk:bf16/f32:k128v128:l2norm:g / "
                     "b1t1hk16hv32",
                     only[i], why);
            return st;
        }
        if (p.x.B < 1)
            filter[r->n_filters++] = p;
        else if ((st = add(r->out, &p)) != GDR_OK)
            return st;
    }
    return GDR_OK;
}

static gdr_status read_misses(reader *r, const char *path)
{
    gdr_problem *p;
    int n;
    gdr_status st = gdr_misses_read(path, &p, &n, r->msg, r->n);

    for (int i = 0; i < n && st == GDR_OK; i++)
        if (passes(r, &p[i]))
            st = add(r->out, &p[i]);
    free(p);
    return st;
}

static gdr_status read_sources(reader *r, gdr_generator *g,
                               const gdr_agenda_sources *from)
{
    gdr_status st = GDR_OK;

    if (from->misses)
        st = read_misses(r, from->misses);
    for (int i = 0; i < from->n_shapes && st == GDR_OK; i++)
        st = read_list(r, g, from->shapes[i]);
    if (st == GDR_OK && !from->misses && !from->n_shapes &&
        (!from->n_only || r->n_filters))
        st = read_list(r, g, gdr_agenda_default);
    return st;
}

gdr_status gdr_agenda_read(gdr_generator *g, const gdr_agenda_sources *from,
                           gdr_agenda *out, char *msg, size_t n)
{
    gdr_problem *filter = calloc((size_t)from->n_only + 1, sizeof *filter);
    reader r = {.out = out, .filter = filter, .msg = msg, .n = n};
    gdr_status st;

    memset(out, 0, sizeof *out);
    if (!filter)
        return GDR_ERR_NO_MEMORY;
    st = read_only(&r, from->only, from->n_only, filter);
    if (st == GDR_OK)
        st = read_sources(&r, g, from);
    if (st == GDR_OK && out->problems == 0) {
        if (from->misses && !r.n_filters)
            snprintf(msg, n, "%s: nothing was missed", from->misses);
        else
            snprintf(msg, n,
                     "no problem left: the shape list has none with the "
                     "static part given by --only");
        st = GDR_ERR_ARG;
    }
    if (st == GDR_ERR_NO_MEMORY)
        snprintf(msg, n, "out of memory");
    free(filter);
    return st;
}

/* Whose turn the next group is: who has the fewest problems so far. */
static int least_loaded(const int64_t *load, int shares)
{
    int best = 0;

    for (int i = 1; i < shares; i++)
        if (load[i] < load[best])
            best = i;
    return best;
}

/* Groups of others lose their problems. */
static void share_groups(gdr_agenda *a, int share, int shares)
{
    int64_t load[GDR_AGENDA_SHARES] = {0};

    for (int i = 0; i < a->n; i++) {
        int who = least_loaded(load, shares);
        load[who] += a->group[i].n;
        if (who != share)
            a->group[i].n = 0;
    }
}

static void share_problems(gdr_agenda *a, int share, int shares)
{
    int64_t at = 0;

    for (int i = 0; i < a->n; i++) {
        gdr_group *g = &a->group[i];
        int n = 0;
        for (int k = 0; k < g->n; k++)
            if (at++ % shares == share)
                g->problem[n++] = g->problem[k];
        g->n = n;
    }
}

void gdr_agenda_share(gdr_agenda *a, int share, int shares)
{
    int n = 0;

    assert(share >= 0 && share < shares && shares <= GDR_AGENDA_SHARES);
    if (a->n >= shares)
        share_groups(a, share, shares);
    else
        share_problems(a, share, shares);
    a->problems = 0;
    for (int i = 0; i < a->n; i++) {
        if (a->group[i].n)
            a->group[n++] = a->group[i];
        else
            free(a->group[i].problem);
    }
    a->n = n;
    for (int i = 0; i < n; i++)
        a->problems += a->group[i].n;
}

void gdr_agenda_free(gdr_agenda *a)
{
    for (int i = 0; i < a->n; i++)
        free(a->group[i].problem);
    free(a->group);
    memset(a, 0, sizeof *a);
}
