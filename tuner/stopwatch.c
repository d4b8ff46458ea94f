/* stopwatch.c - see stopwatch.h; deaths are the only hard part. */
#include "stopwatch.h"
#include "quarantine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

gdr_status gdr_stopwatch_open(gdr_stopwatch *w, gdr_batch *b,
                              const gdr_problem *p, gdr_entrant **e, int n)
{
    *w = (gdr_stopwatch){.b = b, .p = *p, .e = e, .n = n};
    gdr_problem_format(p, w->problem, sizeof w->problem);
    w->dead = calloc((size_t)n + 1, 1);
    w->suspect = calloc((size_t)n + 1, 1);
    return w->dead && w->suspect ? GDR_OK : GDR_ERR_NO_MEMORY;
}

static void drop_worker(gdr_stopwatch *w)
{
    gdr_worker_close(w->worker);
    w->worker = NULL;
}

void gdr_stopwatch_close(gdr_stopwatch *w)
{
    drop_worker(w);
    free(w->dead);
    free(w->suspect);
    w->dead = w->suspect = NULL;
}

/* ---- asking ---- */

/* Waits for the answer, however long it takes; a signal ends it. */
static gdr_status wait_answer(gdr_stopwatch *w, gdr_answer *a)
{
    for (;;) {
        gdr_status st = gdr_worker_answer(w->worker, 0.2, a);
        if (st != GDR_ERR_BUSY)
            return st;
        if (gdr_session_stopped(w->b->session))
            return w->status = GDR_ERR_BUSY;
    }
}

static gdr_status load(gdr_stopwatch *w, int i, gdr_answer *a)
{
    gdr_worker_code code;
    gdr_status st;

    memset(a, 0, sizeof *a);
    gdr_entrant_code(w->e[i], &code);
    st = gdr_worker_load(w->worker, i, &w->p.s, &code);
    return st == GDR_OK ? wait_answer(w, a) : st;
}

static gdr_status ask_sample(gdr_stopwatch *w, int i, int64_t launches,
                             gdr_answer *a)
{
    double expected_s = (double)launches * w->launch_ns * 1e-9;
    gdr_status st = gdr_worker_sample(w->worker, i, launches, expected_s);

    memset(a, 0, sizeof *a);
    return st == GDR_OK ? wait_answer(w, a) : st;
}

/* ---- starting ---- */

/* The ring may hold three last-level caches, but no more than this. */
static int64_t ring_limit(const gdr_session *s)
{
    int64_t half = gdr_session_memory(s) / 2, most = (int64_t)1 << 30;

    return half < most ? half : most;
}

/* A new worker with the workload, and no variant yet. */
static gdr_status start(gdr_stopwatch *w, gdr_answer *a)
{
    gdr_session *s = w->b->session;
    gdr_status st;

    drop_worker(w);
    memset(a, 0, sizeof *a);
    w->worker = gdr_session_worker(s, 1);
    if (!w->worker) {
        snprintf(a->note, sizeof a->note, "%s", s->msg);
        return GDR_ERR_IO;
    }
    st = wait_answer(w, a);
    if (st != GDR_OK)
        return st;
    st = gdr_worker_workload(w->worker, &w->p, 3 * s->info.llc_bytes,
                             ring_limit(s), (uint64_t)s->o->seed);
    return st == GDR_OK ? wait_answer(w, a) : st;
}

/* died: it took its worker along. */
static void bury(gdr_stopwatch *w, int i, const gdr_answer *a, int died)
{
    gdr_session *s = w->b->session;
    gdr_entrant *e = w->e[i];
    gdr_trial_row row = {.outcome = a->outcome ? a->outcome : "crash",
                         .error_o = e->error_o,
                         .error_s = e->error_s,
                         .note = a->note};
    gdr_status st;

    w->dead[i] = 1;
    s->progress.failures++;
    gdr_report_say(s->o->report, 1, "%s %s: %s while timed: %s", e->c->kernel,
                   e->c->config, row.outcome, a->note);
    st = gdr_batch_put_trial(w->b, e, &row, w->problem);
    if (st == GDR_OK && died && !a->outside)
        st = gdr_quarantine_put(w->b, e, row.outcome, a->note);
    if (st != GDR_OK)
        w->status = st;
}

/* Loads everyone that lives; whoever cannot be loaded is buried. 0: one of
 * them took the worker along. */
static int load_all(gdr_stopwatch *w)
{
    gdr_answer a;

    for (int i = 0; i < w->n; i++) {
        gdr_status st = w->dead[i] ? GDR_OK : load(w, i, &a);
        if (st == GDR_OK)
            continue;
        if (w->status != GDR_OK)
            return 1;
        bury(w, i, &a, st == GDR_ERR_LAUNCH);
        if (st == GDR_ERR_LAUNCH || w->status != GDR_OK)
            return 0;
    }
    return 1;
}

static gdr_status start_full(gdr_stopwatch *w)
{
    gdr_answer a;

    do {
        gdr_status st = start(w, &a);
        if (st != GDR_OK && w->status == GDR_OK) {
            gdr_report_say(w->b->session->o->report, 0, "%s: not timed: %s",
                           w->problem, a.note);
            w->hopeless = 1;
        }
        if (st != GDR_OK)
            return GDR_ERR_BUSY;
    } while (!load_all(w) && w->status == GDR_OK);
    return w->status == GDR_OK ? GDR_OK : GDR_ERR_BUSY;
}

/* ---- samples ---- */

/* Runs entrant i with nobody beside it. */
static gdr_status sample_alone(gdr_stopwatch *w, int i, int64_t launches)
{
    gdr_answer a;
    gdr_status st = start(w, &a);

    if (st == GDR_OK)
        st = load(w, i, &a);
    if (st == GDR_OK)
        st = ask_sample(w, i, launches, &a);
    drop_worker(w);
    return st;
}

/* The worker died under i. Guilty when it also dies alone, or beside others a
 * second time. */
static int guilty(gdr_stopwatch *w, int i, int64_t launches)
{
    drop_worker(w);
    if (w->suspect[i])
        return 1;
    w->suspect[i] = 1;
    return sample_alone(w, i, launches) != GDR_OK;
}

gdr_status gdr_stopwatch_sample(gdr_stopwatch *w, int i, int64_t launches,
                                double *ns)
{
    gdr_answer a;

    for (;;) {
        gdr_status st = w->worker ? GDR_OK : start_full(w);
        if (st != GDR_OK || w->status != GDR_OK)
            return GDR_ERR_BUSY;
        if (w->dead[i])
            return GDR_ERR_LAUNCH;
        st = ask_sample(w, i, launches, &a);
        *ns = a.ns;
        if (st == GDR_OK)
            return GDR_OK;
        if (w->status == GDR_OK &&
            (st != GDR_ERR_LAUNCH || guilty(w, i, launches)) &&
            w->status == GDR_OK)
            bury(w, i, &a, st == GDR_ERR_LAUNCH);
    }
}

double gdr_stopwatch_roofline(gdr_stopwatch *w)
{
    gdr_answer a;

    if (!w->worker || gdr_worker_roofline(w->worker, 1) != GDR_OK)
        return 0;
    return wait_answer(w, &a) == GDR_OK ? a.ns : 0;
}

double gdr_stopwatch_eager(gdr_stopwatch *w, int i, int64_t launches)
{
    gdr_answer a;
    double expected_s = 4 * (double)launches * w->launch_ns * 1e-9;

    if (!w->worker || w->dead[i] ||
        gdr_worker_eager(w->worker, i, launches, expected_s) != GDR_OK)
        return 0;
    return wait_answer(w, &a) == GDR_OK ? a.ns : 0;
}
