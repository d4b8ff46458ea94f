/*
 * explain.c - every row that was considered for a call, in the order of the
 * policy. What gdr_set_find returns comes first.
 */
#include "set.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct ranked {
    const gdr_set *set;
    const gdr_extents *x;
    const gdr_entry *entry;
    gdr_match rung;
    int serves;
    char why[512]; /* if not */
} ranked;

static int by_rank(const void *a, const void *b)
{
    const ranked *p = a, *q = b;
    const gdr_device_info *info = p->set->backend->info(p->set->dev);

    if (p->serves != q->serves)
        return q->serves - p->serves;
    if (p->rung != q->rung)
        return p->rung < q->rung ? -1 : 1;
    return gdr_entry_closer(p->x, p->entry, q->entry, info);
}

static uint32_t rank(const gdr_set *set, const gdr_extents *x, ranked *list)
{
    gdr_problem want = {.s = set->s};
    uint32_t n = 0;

    for (uint32_t i = 0; i < set->rows->n_entries; i++) {
        const gdr_entry *e = &set->rows->entry[i];
        gdr_problem have = {.s = e->problem.s};
        const char *failed = set->attempt[e->code->id].why;
        ranked *r = &list[n];

        if (gdr_problem_compare(&want, &have) != 0)
            continue;
        *r = (ranked){.set = set, .x = x, .entry = e};
        r->serves = gdr_entry_rung(e, set->backend, set->dev, &r->rung, r->why,
                                   sizeof r->why) &&
                    !failed;
        if (failed)
            snprintf(r->why, sizeof r->why, "its code does not load: %s",
                     failed);
        n++;
    }
    qsort(list, n, sizeof *list, by_rank);
    return n;
}

/* An entry of the device itself that is not exact is near or edge, as the call
 * is in the hull or not. */
static gdr_match match_of(const ranked *r, const gdr_plan *plan)
{
    const gdr_extents *y = &r->entry->problem.x;

    if (r->rung != GDR_MATCH_EXACT || (y->B == r->x->B && y->T == r->x->T &&
                                       y->Hk == r->x->Hk && y->Hv == r->x->Hv))
        return r->rung;
    return plan->match == GDR_MATCH_EDGE ? GDR_MATCH_EDGE : GDR_MATCH_NEAR;
}

static const char *verdict(const ranked *r, int chosen, gdr_match match,
                           const gdr_plan *plan)
{
    if (chosen)
        return "chosen";
    if (!r->serves)
        return r->why;
    if (match > r->set->worst)
        return "a worse match than the caller accepts";
    if (!plan->recipe || r->rung != r->set->rung)
        return "a better kind of match serves";
    if (plan->match == GDR_MATCH_EXACT)
        return "another was tuned for these very extents";
    return r->rung >= GDR_MATCH_DEFAULT ? "another is for this much work"
                                        : "another is nearer, or has likelier "
                                          "heads";
}

static int tell(const ranked *r, const gdr_plan *plan, gdr_contender_fn fn,
                void *ctx)
{
    const gdr_set *set = r->set;
    gdr_contender c = {.entry = r->entry, .match = match_of(r, plan)};

    if (plan->recipe && set->rung != GDR_MATCH_GENERIC)
        c.chosen = set->entry[plan->index] == r->entry;
    if (r->rung < GDR_MATCH_DEFAULT)
        c.octaves = gdr_entry_distance(r->x, r->entry);
    c.why = verdict(r, c.chosen, c.match, plan);
    return fn(ctx, &c);
}

gdr_status gdr_set_explain(const gdr_set *set, const gdr_extents *x,
                           gdr_contender_fn fn, void *ctx)
{
    gdr_plan plan = {.match = GDR_MATCH_GENERIC};
    gdr_status status = gdr_set_find(set, x, &plan);
    gdr_contender generic = {.match = GDR_MATCH_GENERIC};
    ranked *list;
    uint32_t n;
    int stop = 0;

    if (status == GDR_ERR_ARG)
        return status;
    list = malloc(((size_t)set->rows->n_entries + 1) * sizeof *list);
    if (!list)
        return GDR_ERR_NO_MEMORY;
    n = rank(set, x, list);
    for (uint32_t i = 0; i < n && list[i].serves && !stop; i++)
        stop = tell(&list[i], &plan, fn, ctx);
    generic.chosen = plan.recipe && set->rung == GDR_MATCH_GENERIC;
    generic.why = generic.chosen ? "nothing else can serve"
                                 : "a better kind of match serves";
    if (!stop)
        stop = fn(ctx, &generic);
    for (uint32_t i = 0; i < n && !stop; i++)
        if (!list[i].serves)
            stop = tell(&list[i], &plan, fn, ctx);
    free(list);
    return GDR_OK;
}
