/*
 * tune.c - the loop. Reads like the picture of the design: each static problem
 * is expanded, compiled and gated once, then each of its problems is raced; and
 * every result is in the database before the next one is begun.
 */
#include "tune.h"
#include "agenda.h"
#include "batch.h"
#include "contest.h"
#include "portable.h"
#include "session.h"
#include "winners.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A static problem of the agenda with what is left to do for it. */
typedef struct job {
    const gdr_group *group;
    gdr_batch *batch;
    gdr_batch *more[2]; /* the spaces of higher efforts, once looked at */
    char *todo;         /* [group->n] */
    int n_todo;
} job;

typedef struct tuning {
    gdr_session session;
    gdr_agenda agenda;
    job *job;     /* [agenda.n] */
    int64_t todo; /* problems left */
    gdr_tune_result *result;
} tuning;

/* Seconds that the race of one problem may take, so that one with 8 GiB of
 * states does not hold up the list. Longest race seen in its effort's time
 * with 1 ms samples: 1, 3 and 6 s. */
static double problem_limit_s(const char *effort)
{
    static const struct {
        const char *name;
        double limit_s;
    } limits[] = {{"quick", 4}, {"measure", 12}, {"exhaustive", 120}};

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (!strcmp(limits[i].name, effort))
            return limits[i].limit_s;
    return 12;
}

/* ---- what is left to do ---- */

/* A problem counts once per variant, so that progress is even. */
static void count_work(tuning *t, const job *j)
{
    t->session.progress.total += (int64_t)j->n_todo * j->batch->n;
    t->todo += j->n_todo;
}

/* Asked for, or on a device that cannot time: every variant, and no winner. */
static int only_checks(const tuning *t)
{
    return t->session.o->check_only || !t->session.target->time;
}

static int skip_too_big(tuning *t, const gdr_problem *p)
{
    char text[GDR_PROBLEM_TEXT], why[160];

    if (only_checks(t) || !gdr_contest_too_big(&t->session, p, why, sizeof why))
        return 0;
    gdr_problem_format(p, text, sizeof text);
    gdr_report_say(t->session.o->report, 0, "%s: skipped: %s", text, why);
    t->result->missing++;
    return 1;
}

static gdr_status no_kernel(tuning *t, const job *j)
{
    gdr_report_say(t->session.o->report, 0, "%s: skipped: %s",
                   j->batch->statics, t->session.msg);
    t->result->missing += j->group->n;
    return GDR_OK;
}

/* Has the problem been chosen for with this effort, or a higher one? */
static gdr_status is_current(tuning *t, job *j, const gdr_problem *p, int *yes)
{
    static const char *const efforts[] = {"quick", "measure", "exhaustive"};
    const char *asked = t->session.o->effort;
    char text[GDR_PROBLEM_TEXT];
    gdr_choice_row row;
    gdr_status st = GDR_OK;

    *yes = gdr_contest_current(j->batch, p, asked);
    gdr_problem_format(p, text, sizeof text);
    if (*yes || t->session.o->fresh || !t->session.store ||
        gdr_store_get_choice(t->session.store, t->session.device, text, &row))
        return GDR_OK;
    for (int i = 1, above = !strcmp(asked, "quick"); i < 3 && !*yes; i++) {
        gdr_batch **more = &j->more[i - 1];
        if (above && !*more)
            st = gdr_batch_open(&t->session, &j->group->s, efforts[i], more);
        if (st != GDR_OK)
            return st;
        *yes = above && gdr_contest_current(*more, p, efforts[i]);
        above |= !strcmp(asked, efforts[i]);
    }
    return GDR_OK;
}

static gdr_status look_at(tuning *t, job *j)
{
    const char *effort = only_checks(t) ? "exhaustive" : t->session.o->effort;
    gdr_status st =
        gdr_batch_open(&t->session, &j->group->s, effort, &j->batch);
    int current;

    j->todo = calloc((size_t)j->group->n, 1);
    if (!j->todo)
        return GDR_ERR_NO_MEMORY;
    if (st == GDR_ERR_NOT_FOUND)
        return no_kernel(t, j);
    for (int i = 0; i < j->group->n && st == GDR_OK; i++) {
        const gdr_problem *p = &j->group->problem[i];
        st = is_current(t, j, p, &current);
        if (st == GDR_OK && current)
            t->result->current++;
        else if (st == GDR_OK && !skip_too_big(t, p))
            j->n_todo += j->todo[i] = 1;
    }
    for (int i = 0; i < 2; i++) {
        gdr_batch_close(j->more[i]);
        j->more[i] = NULL;
    }
    count_work(t, j);
    return st;
}

static void close_job(job *j)
{
    gdr_batch_close(j->batch);
    free(j->todo);
    j->batch = NULL;
    j->todo = NULL;
    j->n_todo = 0;
}

static gdr_status look_ahead(tuning *t)
{
    gdr_status st = GDR_OK;

    t->job = calloc((size_t)t->agenda.n + 1, sizeof *t->job);
    if (!t->job)
        return GDR_ERR_NO_MEMORY;
    for (int i = 0; i < t->agenda.n && st == GDR_OK; i++) {
        t->job[i].group = &t->agenda.group[i];
        st = look_at(t, &t->job[i]);
        if (gdr_session_stopped(&t->session))
            st = GDR_ERR_BUSY;
        if (st == GDR_OK && !t->job[i].n_todo)
            close_job(&t->job[i]);
    }
    return st;
}

static job *next_job(tuning *t, int from)
{
    for (int i = from; i < t->agenda.n; i++)
        if (t->job[i].n_todo)
            return &t->job[i];
    return NULL;
}

/* ---- one static problem ---- */

static gdr_status put_pruned(gdr_batch *b)
{
    gdr_session *s = b->session;
    gdr_status st = GDR_OK;

    for (int64_t i = 0; i < b->space->n_pruned && st == GDR_OK; i++) {
        const gdr_pruned *p = &b->space->pruned[i];
        st = gdr_store_put_pruned(s->store, s->run, b->statics, p->kernel,
                                  p->reason, p->count);
    }
    return gdr_session_store_failed(s, st);
}

/* Until when n of the problems left may take their share of the budget. */
static double share_ends(const tuning *t, double n)
{
    double now_s = gdr_now(), left_s = t->session.end_s - now_s;

    if (!isfinite(left_s))
        return INFINITY;
    return now_s + fmax(0, left_s) * n / (double)(t->todo > 0 ? t->todo : 1);
}

/* The gate also sees the sizes that will be served: the smallest and the
 * largest that its oracle can follow. */
static int pick_extents(const job *j, gdr_extents out[2])
{
    const int64_t most_bytes = 64 << 20;
    int64_t least = INT64_MAX, largest = -1;
    gdr_footprint size;

    for (int i = 0; i < j->group->n; i++) {
        if (gdr_footprint_of(&j->group->problem[i], &size) != GDR_OK ||
            size.state > most_bytes)
            continue;
        if (size.state < least) {
            least = size.state;
            out[0] = j->group->problem[i].x;
        }
        if (size.state > largest) {
            largest = size.state;
            out[1] = j->group->problem[i].x;
        }
    }
    return largest < 0 ? 0 : largest == least ? 1 : 2;
}

static gdr_status gate_job(tuning *t, job *j)
{
    gdr_extents x[2];
    int n_x = only_checks(t) ? 0 : pick_extents(j, x);
    /* at most half of the share: a winner needs times, too */
    double end_s = share_ends(t, 0.5 * j->n_todo);

    return gdr_batch_gate(j->batch, end_s, x, n_x);
}

static double race_ends(const tuning *t)
{
    double limit_s = gdr_now() + problem_limit_s(t->session.o->effort);

    return fmin(limit_s, share_ends(t, 1));
}

static gdr_status race_job(tuning *t, job *j)
{
    gdr_status st = GDR_OK;

    for (int i = 0; i < j->group->n && st == GDR_OK; i++) {
        int won = 0;
        if (!j->todo[i])
            continue;
        st = gdr_contest(j->batch, &j->group->problem[i], race_ends(t), &won);
        if (st != GDR_OK)
            break;
        *(won ? &t->result->tuned : &t->result->missing) += 1;
        t->session.progress.done += j->batch->n;
        t->todo--;
    }
    return st;
}

/* Every variant has been judged: says so, and stores no winner. */
static gdr_status tell_checked(tuning *t, job *j)
{
    const gdr_batch *b = j->batch;
    gdr_failure *failed = calloc((size_t)b->n + 1, sizeof *failed);
    gdr_checked c = {b->statics, t->session.info.fingerprint, b->n, 0, failed};
    int n = 0;

    if (!failed)
        return GDR_ERR_NO_MEMORY;
    for (int i = 0; i < b->n; i++) {
        const gdr_entrant *e = &b->e[i];
        if (!gdr_entrant_ok(e))
            failed[n++] =
                (gdr_failure){e->c->kernel, e->c->config, e->outcome, e->note};
    }
    c.clean = b->n - n;
    gdr_report_checked(t->session.o->report, &c);
    free(failed);
    *(n ? &t->result->missing : &t->result->tuned) += j->n_todo;
    t->session.progress.done += (int64_t)j->n_todo * b->n;
    t->todo -= j->n_todo;
    return GDR_OK;
}

static gdr_status tune_job(tuning *t, job *j, job *next)
{
    gdr_status st = put_pruned(j->batch);

    if (st == GDR_OK)
        st = gdr_batch_compile(j->batch);
    if (st == GDR_OK)
        st = gate_job(t, j);
    if (st == GDR_OK && next) /* beside the screening of this one */
        st = gdr_batch_compile(next->batch);
    if (st == GDR_OK && only_checks(t))
        return tell_checked(t, j);
    if (st == GDR_OK)
        st = gdr_batch_put_defaults(j->batch);
    if (st == GDR_OK)
        st = gdr_portable_put(j->batch);
    if (st == GDR_OK)
        st = race_job(t, j);
    return st;
}

/* ---- all of them ---- */

static gdr_status tune_all(tuning *t)
{
    gdr_status st = t->todo ? gdr_session_begin(&t->session) : GDR_OK;

    for (job *j = next_job(t, 0), *next; j && st == GDR_OK; j = next) {
        next = next_job(t, (int)(j - t->job) + 1);
        st = tune_job(t, j, next);
        if (st == GDR_OK)
            close_job(j);
    }
    /* Beside others: code may be there whose choice they are about to put. */
    if (st == GDR_OK && t->session.run && !t->session.o->shares)
        st = gdr_session_store_failed(&t->session,
                                      gdr_store_sweep(t->session.store));
    return st;
}

static void preview_job(tuning *t, const job *j)
{
    gdr_report *r = t->session.o->report;
    const gdr_batch *b = j->batch;

    gdr_report_say(r, 0, "%s: %d variants, %lld pruned", b->statics, b->n,
                   (long long)(b->space->total - b->space->n_candidates));
    for (int64_t i = 0; i < b->space->n_pruned; i++)
        gdr_report_say(r, 0, "    %lld: %s: %s",
                       (long long)b->space->pruned[i].count,
                       b->space->pruned[i].kernel, b->space->pruned[i].reason);
    for (int i = 0; i < j->group->n; i++) {
        char text[GDR_PROBLEM_TEXT];
        gdr_problem_format(&j->group->problem[i], text, sizeof text);
        gdr_report_say(r, 0, "    %s", text);
    }
}

/* A guess: 0.5 s to compile and gate a variant, and half of the longest race.
 */
static void preview(tuning *t)
{
    double seconds = 0;

    for (int i = 0; i < t->agenda.n; i++) {
        const job *j = &t->job[i];
        if (!j->n_todo)
            continue;
        preview_job(t, j);
        seconds += 0.5 * j->batch->n / t->session.jobs;
        seconds += 0.5 * j->n_todo * problem_limit_s(t->session.o->effort);
    }
    gdr_report_say(t->session.o->report, 0,
                   "%lld problem%s, about %.0f s at effort %s",
                   (long long)t->todo, t->todo == 1 ? "" : "s", seconds,
                   t->session.o->effort);
}

/* A program that reads JSON wants every winner that it asked for, the ones that
 * were there before included; a person has `show`. */
static gdr_status print_current(tuning *t)
{
    gdr_winners w;
    gdr_status st =
        gdr_winners_load(t->session.store, t->session.info.fingerprint, &w);

    for (int i = 0; i < t->agenda.n && st == GDR_OK; i++)
        for (int j = 0; j < t->job[i].group->n; j++)
            for (int64_t k = 0; k < w.n; k++)
                if (!(t->job[i].todo && t->job[i].todo[j]) &&
                    !gdr_problem_compare(&w.winner[k].problem,
                                         &t->job[i].group->problem[j]))
                    gdr_report_stored(t->session.o->report, &w.winner[k].row);
    gdr_winners_free(&w);
    return st;
}

static gdr_status run(tuning *t)
{
    const gdr_tune_options *o = t->session.o;
    const gdr_agenda_sources from = {o->shapes, o->n_shapes, o->only, o->n_only,
                                     o->misses};
    gdr_status st = gdr_agenda_read(t->session.generator, &from, &t->agenda,
                                    t->session.msg, t->session.n);

    if (st != GDR_OK)
        return st;
    if (o->shares)
        gdr_agenda_share(&t->agenda, o->share, o->shares);
    t->result->problems = t->agenda.problems;
    t->result->checked = only_checks(t);
    st = look_ahead(t);
    if (st != GDR_OK)
        return st;
    if (o->dry_run)
        preview(t);
    else if (!t->todo && !t->result->missing)
        gdr_report_say(o->report, 1, "nothing left to do: %lld problem%s tuned",
                       (long long)t->result->current,
                       t->result->current == 1 ? " is" : "s are");
    if (o->dry_run)
        return GDR_OK;
    if (t->result->current)
        st = print_current(t);
    return st == GDR_OK ? tune_all(t) : st;
}

gdr_status gdr_tune(const gdr_tune_options *o, gdr_tune_result *result,
                    char *msg, size_t n)
{
    tuning t = {.result = result};
    gdr_status st;

    memset(result, 0, sizeof *result);
    msg[0] = 0;
    st = gdr_session_open(&t.session, o, msg, n);
    if (st == GDR_OK)
        st = run(&t);
    if (st == GDR_ERR_BUSY && gdr_session_stopped(&t.session)) {
        result->interrupted = 1;
        st = GDR_OK;
    }
    /* First the record, then whatever may take its time. */
    gdr_session_end(&t.session, result->interrupted ? "interrupted"
                                : st == GDR_OK      ? "done"
                                                    : "failed");
    for (int i = 0; t.job && i < t.agenda.n; i++)
        close_job(&t.job[i]);
    free(t.job);
    gdr_agenda_free(&t.agenda);
    gdr_session_close(&t.session);
    if (st == GDR_ERR_NO_MEMORY && !msg[0])
        snprintf(msg, n, "out of memory");
    return st;
}
