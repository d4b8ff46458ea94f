/*
 * bundle_diff.c - both files as libgdr reads them, sorted by what a plan is
 * for, and merged.
 */
#include "bundle_diff.h"
#include "../runtime/gdr_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct side {
    gdr *g;
    const gdr_entry **entry; /* [n], sorted; spare ones are left out */
    size_t n;
} side;

static int by_place(const gdr_entry *a, const gdr_entry *b)
{
    int order = strcmp(a->origin->fingerprint, b->origin->fingerprint);

    if (!order)
        order = gdr_problem_compare(&a->problem, &b->problem);
    if (order)
        return order;
    return (a->max_work > b->max_work) - (a->max_work < b->max_work);
}

static int by_entry(const void *a, const void *b)
{
    return by_place(*(const gdr_entry *const *)a, *(const gdr_entry *const *)b);
}

static gdr_status load(const char *path, side *s, char *msg, size_t n)
{
    gdr_status status = gdr_open(path, &s->g);
    const gdr_rows *rows;

    if (status != GDR_OK) {
        snprintf(msg, n, "%s", s->g ? gdr_errmsg(s->g) : gdr_strerror(status));
        return status;
    }
    rows = gdr_rows_of(s->g);
    s->entry = calloc((size_t)rows->n_entries + 1, sizeof(const gdr_entry *));
    if (!s->entry) {
        snprintf(msg, n, "out of memory");
        return GDR_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < rows->n_entries; i++)
        if (!rows->entry[i].spare)
            s->entry[s->n++] = &rows->entry[i];
    qsort(s->entry, s->n, sizeof(const gdr_entry *), by_entry);
    return GDR_OK;
}

/* Equal code, not equal names: a stamp tells of the compiler as well. */
static int same_code(const gdr_code *a, const gdr_code *b)
{
    if (a->n_steps != b->n_steps)
        return 0;
    for (int i = 0; i < a->n_steps; i++)
        if (a->step[i].bytes != b->step[i].bytes ||
            memcmp(a->step[i].image, b->step[i].image, a->step[i].bytes) != 0)
            return 0;
    return 1;
}

static const char *words_of(const gdr_entry *e, char *text, size_t n)
{
    if (!e)
        return NULL;
    snprintf(text, n, "%s%s%s", e->kernel, *e->config ? " " : "", e->config);
    return text;
}

/* place: the one that is there, of either side. */
static void tell(const gdr_entry *place, const gdr_entry *a, const gdr_entry *b,
                 gdr_bundle_change_fn fn, void *ctx)
{
    char before[1024], after[1024];
    gdr_bundle_change c = {.device = place->origin->fingerprint,
                           .problem = place->text,
                           .max_work = place->max_work,
                           .before = words_of(a, before, sizeof before),
                           .after = words_of(b, after, sizeof after)};

    c.same_config = a && b && !strcmp(before, after);
    fn(ctx, &c);
}

gdr_status gdr_bundle_diff(const char *a, const char *b,
                           gdr_bundle_change_fn fn, void *ctx, int64_t *count,
                           char *msg, size_t n)
{
    side x = {0}, y = {0};
    gdr_status status = load(a, &x, msg, n);
    size_t i = 0, k = 0;

    *count = 0;
    if (status == GDR_OK)
        status = load(b, &y, msg, n);
    while (status == GDR_OK) {
        const gdr_entry *p = i < x.n ? x.entry[i] : NULL;
        const gdr_entry *q = k < y.n ? y.entry[k] : NULL;
        int order;

        if (!p && !q)
            break;
        order = !p ? 1 : !q ? -1 : by_place(p, q);
        i += order <= 0;
        k += order >= 0;
        if (order == 0 && same_code(p->code, q->code))
            continue;
        if (order <= 0)
            tell(p, p, order == 0 ? q : NULL, fn, ctx);
        else
            tell(q, NULL, q, fn, ctx);
        ++*count;
    }
    free(x.entry);
    free(y.entry);
    gdr_close(x.g);
    gdr_close(y.g);
    return status;
}
