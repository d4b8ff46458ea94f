/*
 * set.c - the plans of one static problem, loaded. What must stay true: index i
 * of the table is entry[i], which recipe[i] launches, and each code has one
 * recipe.
 */
#include "set.h"
#include "pin.h"
#include "status.h"
#include "hot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void drop_recipe(gdr_recipe *r)
{
    if (r)
        gdr_recipe_unload(r);
    free(r);
}

void gdr_set_close(gdr_set *set)
{
    if (!set)
        return;
    for (uint32_t i = 0; set->attempt && i < set->rows->n_codes; i++) {
        drop_recipe(set->attempt[i].recipe);
        free(set->attempt[i].why);
    }
    drop_recipe(set->generic);
    gdr_table_close(set->table);
    gdr_misses_close(set->misses);
    free(set->recipe);
    free(set->entry);
    free(set->attempt);
    free(set);
}

/* ---- loading ---- */

static gdr_status load_code(const gdr_code *code, gdr_recipe *r, char *msg,
                            size_t n)
{
    for (int i = 0; i < code->n_steps; i++) {
        const gdr_step_text *text = &code->step[i].text;
        gdr_status status =
            code->step[i].image
                ? gdr_recipe_add_step(r, text, code->step[i].image,
                                      code->step[i].bytes, msg, n)
                : gdr_recipe_add_kernel(r, text, code->step[i].run, msg, n);
        if (status) {
            gdr_recipe_unload(r);
            return status;
        }
    }
    return GDR_OK;
}

/* A new recipe of the code, or why there is none. */
static gdr_status make_recipe(const gdr_set *set, const gdr_entry *e,
                              gdr_attempt *a)
{
    gdr_recipe *r = gdr_line_alloc(1, sizeof *r);
    char why[512] = "";

    if (!r)
        return GDR_ERR_NO_MEMORY;
    *r = (gdr_recipe){.s = set->s,
                      .backend = set->backend,
                      .dev = set->dev,
                      .sms = set->backend->info(set->dev)->sms,
                      .kernel = e->kernel,
                      .config = e->config,
                      .entry = set->entry};
    if (!gdr_code_intact(e->code))
        snprintf(why, sizeof why,
                 "its code is damaged: it is not what its hash says");
    if (!*why && load_code(e->code, r, why, sizeof why) == GDR_OK) {
        a->recipe = r;
        return GDR_OK;
    }
    free(r);
    a->why = strdup(why);
    return a->why ? GDR_OK : GDR_ERR_NO_MEMORY;
}

/* The recipe of the entry's code, tried once; NULL: it does not load. */
static gdr_status load_entry(gdr_set *set, const gdr_entry *e, gdr_recipe **out)
{
    gdr_attempt *a = &set->attempt[e->code->id];
    gdr_status status = a->recipe || a->why ? GDR_OK : make_recipe(set, e, a);

    *out = a->recipe;
    return status;
}

/* Loads the picked entries; those that fail drop out. */
static gdr_status load_picked(gdr_set *set, uint32_t n)
{
    set->recipe = calloc(n, sizeof(gdr_recipe *));
    if (!set->recipe)
        return GDR_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        gdr_recipe *r;
        gdr_status status = load_entry(set, set->entry[i], &r);

        if (status)
            return status;
        if (!r)
            continue;
        set->entry[set->n] = set->entry[i];
        set->recipe[set->n++] = r;
    }
    return GDR_OK;
}

/* Fills the set from one rung; n stays 0 when nothing there can serve. pin:
 * with one reduction id, the best unless one is named. */
static gdr_status open_rung(gdr_set *set, gdr_match rung, int pin)
{
    const char *id =
        !pin || set->reduction
            ? set->reduction
            : gdr_pin_best(set->rows, set->backend, set->dev, &set->s, rung);
    gdr_status status = gdr_table_pick(set->rows, set->backend, set->dev,
                                       &set->s, rung, id, &set->entry, &set->n);
    uint32_t picked = set->n;

    set->n = 0;
    if (status || picked == 0)
        return status;
    status = load_picked(set, picked);
    if (status)
        return status;
    if (set->n > 0) {
        set->rung = rung;
        return gdr_table_open(rung, set->entry, set->n, &set->table);
    }
    free(set->recipe);
    free(set->entry);
    set->recipe = NULL;
    set->entry = NULL;
    return GDR_OK;
}

static gdr_status open_generic(gdr_set *set)
{
    gdr_status status;

    set->recipe = calloc(1, sizeof(gdr_recipe *));
    set->generic = gdr_line_alloc(1, sizeof *set->generic);
    if (!set->recipe || !set->generic)
        return GDR_ERR_NO_MEMORY;
    set->recipe[0] = set->generic;
    status = gdr_recipe_generic(set->generic, &set->s, set->backend, set->dev);
    if (status)
        return status == GDR_ERR_NOT_FOUND ? GDR_OK : status;
    set->n = 1;
    set->rung = GDR_MATCH_GENERIC;
    return gdr_table_open(GDR_MATCH_GENERIC, NULL, 0, &set->table);
}

/* The generic kernel has one id, which may be the one asked for. */
static int generic_serves(const gdr_set *set)
{
    return set->worst == GDR_MATCH_GENERIC &&
           (!set->reduction || !strcmp(set->reduction, GDR_GENERIC_REDUCTION));
}

static gdr_status open_best(gdr_set *set, int pin)
{
    static const gdr_match rungs[] = {GDR_MATCH_EXACT, GDR_MATCH_SIBLING,
                                      GDR_MATCH_DEFAULT, GDR_MATCH_PTX};
    gdr_status status = GDR_OK;

    for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++)
        if (!status && set->n == 0 && rungs[i] <= set->worst)
            status = open_rung(set, rungs[i], pin);
    if (!status && set->n == 0 && generic_serves(set))
        status = open_generic(set);
    if (set->n == 0 || !pin)
        set->reduction = NULL;
    else
        set->reduction =
            set->entry ? set->entry[0]->reduction : GDR_GENERIC_REDUCTION;
    return status;
}

/* ---- no plan ---- */

/* Why an entry of the static problem does not serve. */
static void reason_of(const gdr_set *set, const gdr_entry *e, char *why,
                      size_t n)
{
    const char *failed = set->attempt[e->code->id].why;
    gdr_match rung;

    if (failed)
        snprintf(why, n, "its code does not load: %s", failed);
    else if (gdr_entry_rung(e, set->backend, set->dev, &rung, why, n))
        snprintf(why, n, "a match of kind %s", gdr_match_name(rung));
}

/* What is known about the want of a plan, as the end of a clause. */
static void first_reason(const gdr_set *set, char *why, size_t n)
{
    const gdr_rows *rows = set->rows;
    gdr_problem want = {.s = set->s};

    why[0] = 0;
    for (uint32_t i = 0; i < rows->n_entries && !why[0]; i++) {
        const gdr_entry *e = &rows->entry[i];
        gdr_problem have = {.s = e->problem.s};

        if (gdr_problem_compare(&want, &have) == 0)
            reason_of(set, e, why, n);
    }
    if (!why[0] && rows->n_skipped > 0)
        snprintf(why, n, "skipped rows: %u, %s", (unsigned)rows->n_skipped,
                 rows->note[0]);
}

/* The option of gdr-tune that names the device. */
static const char *option_of(const gdr_backend *backend)
{
    return strcmp(backend->kind, "cuda") ? backend->kind : "auto";
}

static gdr_status no_plan(const gdr_set *set, char *msg, size_t n)
{
    gdr_problem p = {.s = set->s};
    char text[GDR_PROBLEM_TEXT], why[512], ids[512];

    gdr_problem_format(&p, text, sizeof text);
    if (set->reduction) {
        gdr_pin_list(set->rows, set->backend, set->dev, &set->s, ids,
                     sizeof ids);
        return gdr_fail(GDR_ERR_NO_PLAN, msg, n,
                        "no plan of reduction id '%.100s' and match %s or "
                        "better for %s; the ids that there are: %s",
                        set->reduction, gdr_match_name(set->worst), text, ids);
    }
    first_reason(set, why, sizeof why);
    return gdr_fail(
        GDR_ERR_NO_PLAN, msg, n,
        "no plan of match %s or better for %s%s%s; with the extents "
        "of your calls run: gdr-tune --device %s --only '%s / "
        "b8t1hk16hv32'",
        gdr_match_name(set->worst), text, why[0] ? "; the first row: " : "",
        why, option_of(set->backend), text);
}

/* ---- open ---- */

static gdr_status check_request(const gdr_static *s,
                                const gdr_select_options *o, char *msg,
                                size_t n)
{
    gdr_problem p = {.s = {0}};

    if (!s)
        return gdr_fail(GDR_ERR_ARG, msg, n, "the static problem is NULL");
    if (o->size != sizeof *o)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "options: size is not sizeof(gdr_select_options)");
    if (o->worst < GDR_MATCH_EXACT || o->worst > GDR_MATCH_GENERIC)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "options: worst is %d; allowed: a gdr_match, 0 .. %d",
                        (int)o->worst, (int)GDR_MATCH_GENERIC);
    if (o->flags & ~(uint32_t)GDR_SELECT_PIN)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "options: flags is %#x; allowed: GDR_SELECT_PIN",
                        (unsigned)o->flags);
    p.s = *s;
    return gdr_problem_check(&p, msg, n);
}

gdr_status gdr_set_open(const gdr_rows *rows, const gdr_backend *backend,
                        void *dev, const gdr_static *s,
                        const gdr_select_options *options, gdr_set **out,
                        char *msg, size_t n)
{
    gdr_status status = check_request(s, options, msg, n);
    gdr_set *set;

    *out = NULL;
    if (status)
        return status;
    set = gdr_line_alloc(1, sizeof *set);
    if (!set)
        return gdr_fail(GDR_ERR_NO_MEMORY, msg, n, "out of memory");
    *set = (gdr_set){.rows = rows,
                     .backend = backend,
                     .dev = dev,
                     .s = *s,
                     .worst = options->worst,
                     .reduction = options->reduction,
                     .misses = gdr_misses_open()};
    set->attempt = calloc((size_t)rows->n_codes + 1, sizeof *set->attempt);
    status = set->attempt && set->misses
                 ? open_best(set, options->reduction ||
                                      options->flags & GDR_SELECT_PIN)
                 : GDR_ERR_NO_MEMORY;
    if (status)
        gdr_fail(status, msg, n, "%s", gdr_strerror(status));
    else if (set->n == 0) {
        set->reduction = options->reduction;
        status = no_plan(set, msg, n);
    }
    if (status)
        gdr_set_close(set);
    else
        *out = set;
    return status;
}

gdr_status gdr_preload(const gdr_set *set, char *msg, size_t n)
{
    gdr_status status = GDR_OK;

    if (!set)
        return gdr_fail(GDR_ERR_ARG, msg, n, "set: NULL");
    for (uint32_t i = 0; i < set->n; i++)
        for (int k = 0; k < set->recipe[i]->n_steps && !status; k++)
            if (set->backend->ready)
                status = set->backend->ready(
                    set->dev, set->recipe[i]->step[k].kernel, msg, n);
    return status;
}

/* ---- every call ---- */

GDR_HOT gdr_status gdr_set_find(const gdr_set *set, const gdr_extents *x,
                                gdr_plan *plan)
{
    gdr_match match;
    uint32_t index;

    if (gdr_table_find(set->table, x, &index, &match))
        return GDR_ERR_ARG;
    if (match != GDR_MATCH_EXACT)
        gdr_misses_count(set->misses, x);
    if (match > set->worst)
        return GDR_ERR_NO_PLAN;
    *plan = (gdr_plan){set->recipe[index], match, index};
    return GDR_OK;
}

uint64_t gdr_set_misses(const gdr_set *set)
{
    return set ? gdr_misses_total(set->misses) : 0;
}

gdr_status gdr_misses_append(gdr_set *set, const char *path, char *msg,
                             size_t n)
{
    if (!set || !path)
        return gdr_fail(GDR_ERR_ARG, msg, n, "%s: NULL", set ? "path" : "set");
    return gdr_misses_write(set->misses, &set->s, path, msg, n);
}

gdr_status gdr_plan_describe(const gdr_plan *plan, const gdr_extents *x,
                             gdr_plan_info *info)
{
    static const gdr_entry generic = {.text = "",
                                      .kernel = "generic/recurrent",
                                      .config = "",
                                      .reduction = GDR_GENERIC_REDUCTION,
                                      .run = "",
                                      .regret = -1};
    const gdr_recipe *r;
    const gdr_entry *e;
    int64_t workspace;

    if (!plan || !plan->recipe || !x || !info || info->size < sizeof *info)
        return GDR_ERR_ARG;
    r = plan->recipe;
    e = r->entry ? r->entry[plan->index] : &generic;
    if (x->B < 0 || x->T < 0 || x->Hk < 1 || x->Hv < 1 ||
        !gdr_heads_fit(x->Hk, x->Hv))
        return GDR_ERR_ARG;
    workspace = gdr_recipe_workspace(r, x);
    if (workspace < 0 || (uint64_t)workspace > SIZE_MAX)
        return GDR_ERR_ARG;
    *info = (gdr_plan_info){.size = info->size,
                            .match = plan->match,
                            .kernel = e->kernel,
                            .config = e->config,
                            .problem = e->text,
                            .reduction = e->reduction,
                            .run = e->run,
                            .time_ns = e->time_ns,
                            .regret =
                                plan->match == GDR_MATCH_EXACT ? e->regret : -1,
                            .workspace_bytes = (size_t)workspace};
    return GDR_OK;
}

GDR_HOT gdr_status gdr_launch(const gdr_plan *plan, const gdr_args *args,
                              void *stream, char *msg, size_t n)
{
    gdr_status status;

    if (!plan || !plan->recipe)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "plan: not one that gdr_set_find returned");
    if (!args || args->size != sizeof *args)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "args: %s; start from gdr_args_init",
                        args ? "size is not sizeof(gdr_args)" : "NULL");
    status = gdr_args_fit(&plan->recipe->s, args, msg, n);
    if (status)
        return status;
    return gdr_recipe_launch(plan->recipe, args, stream, msg, n);
}
