/*
 * pin.c - chooses a reduction id. Rows are few, and this happens once a set, so
 * it counts in the plainest way.
 */
#include "pin.h"

#include <stdio.h>
#include <string.h>

typedef struct scope {
    const gdr_rows *rows;
    const gdr_backend *backend;
    const void *dev;
    const gdr_static *s;
    gdr_match rung; /* with any: every rung */
    int any;
} scope;

static int serves(const scope *c, const gdr_entry *e)
{
    gdr_problem want = {.s = *c->s}, have = {.s = e->problem.s};
    gdr_match rung;

    return gdr_problem_compare(&want, &have) == 0 &&
           gdr_entry_rung(e, c->backend, c->dev, &rung, NULL, 0) &&
           (c->any || rung == c->rung);
}

static int same_place(const gdr_entry *a, const gdr_entry *b)
{
    return gdr_problem_compare(&a->problem, &b->problem) == 0 &&
           a->max_work == b->max_work && !strcmp(a->reduction, b->reduction);
}

/* Is there one before entry i that says the same? */
static int is_repeat(const scope *c, uint32_t i)
{
    const gdr_entry *e = c->rows->entry;

    for (uint32_t j = 0; j < i; j++)
        if (same_place(&e[j], &e[i]) && serves(c, &e[j]))
            return 1;
    return 0;
}

typedef struct score {
    const char *id;
    uint32_t places;
    double regret; /* of all */
} score;

static score score_of(const scope *c, const char *id)
{
    score s = {.id = id};

    for (uint32_t i = 0; i < c->rows->n_entries; i++) {
        const gdr_entry *e = &c->rows->entry[i];

        if (strcmp(e->reduction, id) != 0 || !serves(c, e) || is_repeat(c, i))
            continue;
        s.places++;
        s.regret += e->regret > 0 ? e->regret : 0;
    }
    return s;
}

static int better(const score *a, const score *b)
{
    if (!b->id || a->places != b->places)
        return !b->id || a->places > b->places;
    if (a->regret < b->regret || a->regret > b->regret)
        return a->regret < b->regret;
    return strcmp(a->id, b->id) < 0;
}

const char *gdr_pin_best(const gdr_rows *rows, const gdr_backend *backend,
                         const void *dev, const gdr_static *s, gdr_match rung)
{
    const scope c = {rows, backend, dev, s, rung, 0};
    score best = {0};

    for (uint32_t i = 0; i < rows->n_entries; i++) {
        const gdr_entry *e = &rows->entry[i];
        score now;

        if (!serves(&c, e) || (best.id && !strcmp(best.id, e->reduction)))
            continue;
        now = score_of(&c, e->reduction);
        if (better(&now, &best))
            best = now;
    }
    return best.id;
}

/* Is it the first entry with its id? */
static int is_first(const scope *c, uint32_t i)
{
    const gdr_entry *e = c->rows->entry;

    for (uint32_t j = 0; j < i; j++)
        if (!strcmp(e[j].reduction, e[i].reduction) && serves(c, &e[j]))
            return 0;
    return 1;
}

void gdr_pin_list(const gdr_rows *rows, const gdr_backend *backend,
                  const void *dev, const gdr_static *s, char *text, size_t n)
{
    const scope c = {rows, backend, dev, s, GDR_MATCH_EXACT, 1};
    size_t at = 0;

    snprintf(text, n, "none");
    for (uint32_t i = 0; i < rows->n_entries && at < n; i++)
        if (serves(&c, &rows->entry[i]) && is_first(&c, i))
            at += (size_t)snprintf(text + at, n - at, "%s%s", at ? ", " : "",
                                   rows->entry[i].reduction);
}
