/*
 * explain.c - which plan a call would get, and why. The plan is libgdr's own
 * answer, asked as an engine would ask; the database adds the race behind it.
 */
#include "explain_internal.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

static gdr_status ask(const char *db, const char *device, const gdr_problem *p,
                      gdr_answer *a)
{
    const gdr_select_options any = {.size = sizeof any,
                                    .worst = GDR_MATCH_GENERIC};
    gdr_plan plan;
    gdr_status status = gdr_open(db, &a->g);
    if (status == GDR_OK)
        status = gdr_device_open(a->g, device, NULL, &a->dev);
    if (status == GDR_OK)
        status = gdr_select(a->dev, &p->s, &any, &a->set);
    if (status == GDR_OK)
        status = gdr_set_find(a->set, &p->x, &plan);
    a->info.size = sizeof a->info;
    if (status == GDR_OK)
        status = gdr_plan_describe(&plan, &p->x, &a->info);
    return status;
}

static void close_answer(gdr_answer *a)
{
    gdr_set_close(a->set);
    gdr_device_close(a->dev);
    gdr_close(a->g);
}

/* The race that the plan comes from: the problem and the config are those that
 * libgdr names; of several devices this one is meant, if it is among them. */
static const gdr_winner *find_winner(const gdr_explanation *e)
{
    const gdr_plan_info *info = &e->a.info;
    const char *here = gdr_device_fingerprint(e->a.dev);
    const gdr_winner *found = NULL;
    if (info->match > GDR_MATCH_SIBLING || !info->problem || !info->config)
        return NULL;
    for (int64_t i = 0; i < e->winners.n; i++) {
        const gdr_winner *w = &e->winners.winner[i];
        if (strcmp(w->row.choice.problem, info->problem) == 0 &&
            strcmp(w->row.variant.config, info->config) == 0 &&
            (!found || strcmp(w->row.device.fingerprint, here) == 0))
            found = w;
    }
    return found;
}

/* ---- gathering ---- */

static int take_pruned(void *ctx, const char *kernel, const char *reason,
                       int64_t count)
{
    gdr_explanation *e = ctx;
    char number[32];
    snprintf(number, sizeof number, "%lld", (long long)count);
    if (e->n_pruned++ == 0)
        e->status = gdr_columns_heading(e->pruned, "Never made");
    if (e->status == GDR_OK)
        e->status = gdr_columns_row(e->pruned,
                                    (const char *[]){number, kernel, reason});
    json_t *o = json_object();
    json_object_set_new(o, "kernel", gdr_json_text(kernel));
    json_object_set_new(o, "reason", gdr_json_text(reason));
    json_object_set_new(o, "count", json_integer((json_int_t)count));
    json_array_append_new(e->pruned_json, o);
    return e->status != GDR_OK;
}

/* The device whose trials are told: the winner's, else this one, if known. */
static int64_t device_of(const gdr_explanation *e)
{
    const char *here = gdr_device_fingerprint(e->a.dev);
    if (e->winner)
        return e->winner->row.device_id;
    for (int64_t i = 0; i < e->winners.n; i++)
        if (strcmp(e->winners.winner[i].row.device.fingerprint, here) == 0)
            return e->winners.winner[i].row.device_id;
    return -1;
}

static gdr_status gather(gdr_explanation *e, gdr_store *st)
{
    gdr_problem statics = {.s = e->problem->s};
    char text[GDR_PROBLEM_TEXT];
    gdr_problem_format(&statics, text, sizeof text);
    e->winner = find_winner(e);
    int64_t device = device_of(e);
    gdr_status s = gdr_columns_open("rll", &e->pruned);
    e->pruned_json = json_array();
    if (s != GDR_OK || device < 0)
        return s;
    s = gdr_field_load(st, device,
                       e->winner ? e->winner->row.choice.problem : e->text,
                       &e->field);
    if (s == GDR_OK && e->winner)
        gdr_field_pair(&e->field, e->winner->row.choice.variant,
                       e->winner->row.choice.fallback,
                       e->winner->row.choice.gain);
    if (s == GDR_OK)
        s = gdr_store_each_pruned(st, device, text, take_pruned, e);
    return s == GDR_OK ? e->status : s;
}

/* Whether gdr-tune writes to db when it is not told where. */
static int is_usual(const char *db)
{
    char usual[PATH_MAX], why[256];
    return gdr_store_path(NULL, 1, usual, sizeof usual, why, sizeof why) ==
               GDR_OK &&
           strcmp(usual, db) == 0;
}

/* Without extents there is no plan; what is tuned is the next best answer. */
static gdr_status list_tuned(const gdr_explanation *e)
{
    gdr_report *r = e->r;
    int64_t n = 0;
    for (int64_t i = 0; i < e->winners.n; i++) {
        gdr_problem statics = {.s = e->winners.winner[i].problem.s};
        if (statics.s.K == 0 || gdr_problem_compare(&statics, e->problem) != 0)
            continue;
        if (n++ == 0)
            gdr_report_say(r, 0, "%s has no extents; tuned are:", e->text);
        gdr_report_say(r, 0, "  %s", e->winners.winner[i].row.choice.problem);
    }
    if (n == 0)
        gdr_report_say(r, 0,
                       "%s has no extents: add them, as in '%s / "
                       "b1t1hk16hv32'",
                       e->text, e->text);
    return GDR_ERR_ARG;
}

static gdr_status explain_plan(gdr_explanation *e, gdr_store *st,
                               const char *db, const char *device)
{
    gdr_status s = ask(db, device, e->problem, &e->a);
    if (s != GDR_OK) {
        gdr_report_say(e->r, 0, "%s: %s", e->text,
                       e->a.g ? gdr_errmsg(e->a.g) : gdr_strerror(s));
        return s;
    }
    s = gather(e, st);
    if (s != GDR_OK)
        gdr_report_say(e->r, 0, "%s: %s", e->text, gdr_store_errmsg(st));
    else if (e->r->o.json)
        gdr_explanation_print_json(e);
    else
        s = gdr_explanation_print(e);
    if (s == GDR_OK && e->a.info.match == GDR_MATCH_GENERIC)
        s = GDR_ERR_NO_PLAN;
    return s;
}

gdr_status gdr_report_explain(gdr_report *r, gdr_store *st, const char *db,
                              const char *device, const gdr_problem *p)
{
    gdr_explanation e = {.r = r, .problem = p, .db = is_usual(db) ? NULL : db};
    gdr_problem_format(p, e.text, sizeof e.text);
    gdr_report_clear(r);
    gdr_status status = gdr_winners_load(st, NULL, &e.winners);
    if (status != GDR_OK)
        gdr_report_say(r, 0, "%s", gdr_store_errmsg(st));
    else if (p->x.B == 0)
        status = list_tuned(&e);
    else
        status = explain_plan(&e, st, db, device);
    gdr_columns_close(e.pruned);
    json_decref(e.pruned_json);
    gdr_field_free(&e.field);
    gdr_winners_free(&e.winners);
    close_answer(&e.a);
    return status;
}
