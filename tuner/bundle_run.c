/* bundle_run.c - see bundle_run.h: one worker for each code. */
#include "bundle_run.h"
#include "../runtime/gdr_internal.h"
#include "worker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Extents of a code that are looked at: those of its first plans. */
enum { MOST_EXTENTS = 4, MOST_DEVICES = 2 };

static const double least_deadline_s = 2;
static const uint64_t seed = 1;

/* A device that is here. */
typedef struct place {
    const char *name;
    const gdr_target *target;
    void *dev;
} place;

typedef struct run {
    const gdr_rows *rows;
    place place[MOST_DEVICES];
    int n_places;
    gdr_bundle_trial_fn fn;
    void *ctx;
    gdr_bundle_trials *sum;
    char *msg;
    size_t n;
} run;

/* ---- one code ---- */

/* What a worker needs to know of it. */
typedef struct job {
    const gdr_entry *e; /* a row that it serves */
    gdr_worker_code code;
    gdr_image image[GDR_RECIPE_STEPS];
    gdr_extents x[MOST_EXTENTS];
    int n_x;
} job;

static void make_job(const gdr_rows *rows, const gdr_code *code, job *j)
{
    *j = (job){.code.n_steps = code->n_steps};
    for (int i = 0; i < code->n_steps; i++) {
        /* a worker reads it */
        j->image[i].code = (void *)(uintptr_t)code->step[i].image;
        j->image[i].bytes = code->step[i].bytes;
        j->code.text[i] = code->step[i].text;
        j->code.image[i] = &j->image[i];
    }
    for (uint32_t i = 0; i < rows->n_entries; i++) {
        const gdr_entry *e = &rows->entry[i];

        if (e->code != code)
            continue;
        if (!j->e)
            j->e = e;
        if (e->problem.x.B > 0 && j->n_x < MOST_EXTENTS)
            j->x[j->n_x++] = e->problem.x;
    }
    assert(j->e); /* rows put a code when they name it */
}

/* Waits for the answer of the last request. */
static gdr_status hear(gdr_worker *w, gdr_answer *a)
{
    gdr_status status;

    do
        status = gdr_worker_answer(w, 1, a);
    while (status == GDR_ERR_BUSY);
    return status;
}

static gdr_status ask(gdr_worker *w, const job *j, gdr_answer *a)
{
    gdr_status status = hear(w, a);

    if (status == GDR_OK)
        status = gdr_worker_load(w, 0, &j->e->problem.s, &j->code);
    if (status == GDR_OK)
        status = hear(w, a);
    if (status == GDR_OK)
        status = gdr_worker_verify(w, 0, seed, j->x, j->n_x);
    return status == GDR_OK ? hear(w, a) : status;
}

/* patience: times the usual deadline. GDR_ERR_IO: no worker. */
static gdr_status judge(const run *r, const place *p, const job *j,
                        double patience, gdr_answer *a)
{
    double deadline_s =
        p->target->deadline_s > 0 ? p->target->deadline_s : least_deadline_s;
    const gdr_worker_options o = {.device = p->name,
                                  .deadline_s = patience * deadline_s};
    gdr_worker *w = NULL;
    gdr_status status = gdr_worker_open(&o, &w, r->msg, r->n);

    *a = (gdr_answer){.outcome = "launch"};
    if (status != GDR_OK)
        return status;
    status = ask(w, j, a);
    gdr_worker_close(w);
    if (status == GDR_OK)
        a->outcome = a->verdict.outcome;
    if (!a->outcome)
        a->outcome = "launch";
    return GDR_OK;
}

/* A busy machine is no proof against a code: it gets a second chance. */
static gdr_status run_code(const run *r, const place *p, const job *j)
{
    char statics[GDR_PROBLEM_TEXT];
    const gdr_problem problem = {.s = j->e->problem.s};
    gdr_answer a;
    gdr_status status = judge(r, p, j, 1, &a);

    if (status == GDR_OK && (a.outside || !strcmp(a.outcome, "timeout")))
        status = judge(r, p, j, 4, &a);
    if (status != GDR_OK)
        return status;
    gdr_problem_format(&problem, statics, sizeof statics);
    r->sum->ran++;
    r->sum->failed += strcmp(a.outcome, "ok") != 0;
    r->fn(r->ctx, &(gdr_bundle_trial){p->name, statics, j->e->kernel,
                                      j->e->config, a.outcome,
                                      *a.verdict.note ? a.verdict.note : a.note,
                                      a.verdict.error_o, a.verdict.error_s});
    return GDR_OK;
}

static int may_run(const place *p, const gdr_code *code, const gdr_entry *e)
{
    if (strcmp(e->origin->kind, p->target->backend->kind) != 0)
        return 0;
    for (int i = 0; i < code->n_steps; i++)
        if (!p->target->backend->loadable(p->dev, code->step[i].isa))
            return 0;
    return 1;
}

static gdr_status run_all(const run *r)
{
    gdr_status status = GDR_OK;

    for (uint32_t c = 0; c < r->rows->n_codes && status == GDR_OK; c++) {
        int before = r->sum->ran;
        job j;

        make_job(r->rows, r->rows->code[c], &j);
        for (int i = 0; i < r->n_places && status == GDR_OK; i++)
            if (may_run(&r->place[i], r->rows->code[c], j.e))
                status = run_code(r, &r->place[i], &j);
        r->sum->codes++;
        r->sum->idle += r->sum->ran == before;
    }
    return status;
}

/* ---- devices ---- */

static gdr_status open_place(run *r, const char *name)
{
    place *p = &r->place[r->n_places];
    gdr_status status =
        gdr_target_open(name, NULL, &p->target, &p->dev, r->msg, r->n);

    p->name = name;
    r->n_places += status == GDR_OK;
    return status;
}

static gdr_status open_places(run *r, const char *device)
{
    if (device)
        return open_place(r, device);
    open_place(r, "cuda:0");
    return open_place(r, "cpu");
}

gdr_status gdr_bundle_run(const char *path, const char *device,
                          gdr_bundle_trial_fn fn, void *ctx,
                          gdr_bundle_trials *sum, char *msg, size_t n)
{
    run r = {.fn = fn, .ctx = ctx, .sum = sum, .msg = msg, .n = n};
    gdr *g = NULL;
    gdr_status status = gdr_open(path, &g);

    memset(sum, 0, sizeof *sum);
    if (status != GDR_OK)
        snprintf(msg, n, "%s", g ? gdr_errmsg(g) : gdr_strerror(status));
    if (status == GDR_OK)
        status = open_places(&r, device);
    if (status == GDR_OK) {
        r.rows = gdr_rows_of(g);
        status = run_all(&r);
    }
    for (int i = 0; i < r.n_places; i++)
        r.place[i].target->backend->close(r.place[i].dev);
    gdr_close(g);
    return status;
}
