/*
 * contest.c - a race and its rows. Times come from the stopwatch, or from a
 * script; everything that decides is in this process, and everything that was
 * measured is in the database before the next problem begins.
 */
#include "contest.h"
#include "quarantine.h"
#include "race.h"
#include "stats.h"
#include "stopwatch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LEAST_SAMPLES = 6,  /* of the default, whatever the budget */
    ROOFLINE_EVERY = 4, /* samples of the default */
    MOST_ROOFLINES = 256,
    MOST_RETAKEN = 100
};

/* A card takes some ms to change its clocks. */
static const useconds_t cool_us = 20000;

/* A sample lasts this long at least: 4000 times the clock's resolution. */
static const double sample_ns = 200e3;

typedef struct contest {
    gdr_batch *b;
    gdr_session *s;
    const gdr_problem *p;
    char problem[GDR_PROBLEM_TEXT];
    gdr_footprint size;
    gdr_entrant **e; /* [n] who races */
    int n, anchor;
    int64_t *samples; /* [n] how many were taken */
    gdr_stopwatch watch;
    int64_t launches; /* of a sample */
    double launch_ns; /* of the anchor */
    double end_s;
    double roofline[MOST_ROOFLINES];
    int n_rooflines;
    int retaken;       /* samples, for the card was throttled */
    double *eager_ns;  /* [n] 0: not taken */
    gdr_status status; /* trouble of our own, or BUSY */
} contest;

/* ---- the clock that the race sees ---- */

/* 0 to 1 from what names a sample. */
static double scripted(const contest *c, int i, int64_t sample)
{
    uint64_t x = gdr_mix(c->s->script_seed, gdr_hash_number(c->e[i]->hash),
                         gdr_hash_number(c->problem) + (uint64_t)sample);

    return (double)(x >> 11) * 0x1p-53;
}

/* Variants differ by up to 60 %, samples by 1 %: a plausible race. */
static double scripted_ns(const contest *c, int i)
{
    return 1e5 * (1 + 0.6 * scripted(c, i, 0)) *
           (1 + 0.01 * scripted(c, i, 1 + c->samples[i]));
}

static void take_roofline(contest *c)
{
    double ns = 0;

    if (c->n_rooflines < MOST_ROOFLINES && !c->s->scripted)
        ns = gdr_stopwatch_roofline(&c->watch);
    if (ns > 0)
        c->roofline[c->n_rooflines++] = ns;
}

static int over(const contest *c)
{
    return gdr_now() > c->end_s && c->samples[c->anchor] >= LEAST_SAMPLES;
}

/* What was taken while the card was slowed by heat is taken again, once it has
 * had time to cool; so often in a contest, since some never do. */
static gdr_status take_sample(contest *c, int i, double *ns)
{
    for (;;) {
        gdr_status st = gdr_stopwatch_sample(&c->watch, i, c->launches, ns);
        if (st != GDR_OK || c->retaken >= MOST_RETAKEN ||
            !gdr_nvml_throttled(c->s->nvml))
            return st;
        c->retaken++;
        usleep(cool_us);
    }
}

static void say_throttled(const contest *c)
{
    if (c->retaken)
        gdr_report_say(c->s->o->report, 0,
                       "%s: the card was slowed by heat or a power brake: %d "
                       "samples were taken again%s",
                       c->problem, c->retaken,
                       c->retaken < MOST_RETAKEN ? "" : ", and it did not end");
}

static gdr_status sampler(void *ctx, int i, double *ns)
{
    contest *c = ctx;
    gdr_status st = GDR_OK;

    if (gdr_session_stopped(c->s))
        c->status = GDR_ERR_BUSY;
    if (c->status != GDR_OK || over(c))
        return GDR_ERR_BUSY;
    if (c->s->scripted)
        *ns = scripted_ns(c, i);
    else
        st = take_sample(c, i, ns);
    if (st != GDR_OK)
        return st;
    if (i == c->anchor && c->samples[i] % ROOFLINE_EVERY == 0)
        take_roofline(c);
    c->samples[i]++;
    if (!(c->s->progress.best_ns > 0 && c->s->progress.best_ns <= *ns))
        c->s->progress.best_ns = *ns;
    gdr_session_show(c->s, NULL, c->problem);
    return c->status == GDR_OK ? GDR_OK : GDR_ERR_BUSY;
}

static void quiet(void *ctx, int on)
{
    contest *c = ctx;

    c->s->progress.phase = on ? "final" : "screen";
    if (on)
        gdr_compile_queue_pause(c->s->queue);
    else
        gdr_compile_queue_resume(c->s->queue);
}

static int first_alive(const contest *c)
{
    for (int i = 0; i < c->n; i++)
        if (!c->watch.dead[i])
            return i;
    return -1;
}

/* How many launches make a sample long enough; the anchor tells, or when it
 * dies of it, the next. GDR_ERR_NOT_FOUND: nobody lives; GDR_ERR_BUSY: nobody
 * can be timed. */
static gdr_status calibrate(contest *c)
{
    double ns = 0;

    c->launches = 1;
    /* Until known: 1 GB/s, so that 8 GiB of states are waited for. */
    c->watch.launch_ns = (double)c->size.traffic;
    for (int round = 0; round < 3; round++) {
        gdr_status st =
            gdr_stopwatch_sample(&c->watch, c->anchor, c->launches, &ns);
        if (st == GDR_ERR_BUSY)
            return st;
        if (st != GDR_OK) {
            c->anchor = first_alive(c);
            if (c->anchor < 0)
                return GDR_ERR_NOT_FOUND;
            c->launches = 1;
            round = -1;
            continue;
        }
        c->watch.launch_ns = c->launch_ns = ns;
        c->launches = (int64_t)ceil(sample_ns / (ns > 1 ? ns : 1));
    }
    return GDR_OK;
}

/* ---- who races ---- */

static int by_last_ratio(const void *a, const void *b)
{
    const gdr_entrant *x = *(gdr_entrant *const *)a;
    const gdr_entrant *y = *(gdr_entrant *const *)b;

    if (x->last_ratio != y->last_ratio)
        return x->last_ratio < y->last_ratio ? -1 : 1;
    return x < y ? -1 : 1;
}

static int in_space_order(const void *a, const void *b)
{
    const gdr_entrant *x = *(gdr_entrant *const *)a;
    const gdr_entrant *y = *(gdr_entrant *const *)b;

    return x < y ? -1 : x > y;
}

static int died_here(contest *c, const gdr_entrant *e)
{
    gdr_trial_row row;

    if (c->s->o->fresh)
        return 0;
    return gdr_store_get_trial(c->s->store, c->s->device, c->problem, e->hash,
                               e->stamp, &row) == GDR_OK &&
           strcmp(row.outcome, "ok") != 0;
}

/* It killed a worker at another problem: the row of this one says so. */
static int is_quarantined(contest *c, gdr_entrant *e)
{
    char note[512];
    gdr_trial_row row = {
        .error_o = e->error_o, .error_s = e->error_s, .note = note};
    int yes = 0;
    gdr_status st =
        gdr_quarantine_look(c->b, e, &yes, &row.outcome, note, sizeof note);

    if (st == GDR_OK && yes)
        st = gdr_batch_put_trial(c->b, e, &row, c->problem);
    if (st != GDR_OK)
        c->status = st;
    return yes;
}

static void gather(contest *c, int also_dead)
{
    for (int i = 0; i < c->b->n && c->n < GDR_WORKER_RECIPES; i++) {
        gdr_entrant *e = &c->b->e[i];
        if (gdr_entrant_fit(e) && (also_dead || !died_here(c, e)) &&
            !is_quarantined(c, e))
            c->e[c->n++] = e;
    }
}

/* Everyone fit who did not fail at this problem in an earlier run; where all
 * did, it may have been the machine: everyone fit. */
static gdr_status gather_racers(contest *c)
{
    size_t room = (size_t)c->b->n + 1;

    c->e = calloc(room, sizeof(gdr_entrant *));
    c->samples = calloc(room, sizeof *c->samples);
    c->eager_ns = calloc(room, sizeof *c->eager_ns);
    if (!c->e || !c->samples || !c->eager_ns)
        return GDR_ERR_NO_MEMORY;
    gather(c, 0);
    if (c->n == 0)
        gather(c, 1);
    return c->status;
}

static int find_entrant(const contest *c, const gdr_entrant *e)
{
    for (int i = 0; i < c->n; i++)
        if (c->e[i] == e)
            return i;
    return -1;
}

static void find_anchor(contest *c)
{
    const gdr_extents *x = &c->p->x;
    int i = gdr_batch_default(c->b, x->B * x->T * x->Hv);

    c->anchor = i < 0 ? -1 : find_entrant(c, &c->b->e[i]);
    if (c->anchor < 0 && c->n)
        c->anchor = 0;
}

/* Where a screen of everyone would take more than half of the time, those that
 * did best at the last problem of the batch come first, and only as many as
 * there is time for; the default is always there. */
static void thin_out(contest *c)
{
    const double rounds = 24; /* screen, halving, a short final */
    gdr_entrant *anchor = c->e[c->anchor];
    double sample_s = (double)c->launches * c->launch_ns * 1e-9 * 1.5;
    double left_s = c->end_s - gdr_now();
    int most = left_s > 0 ? (int)(left_s / (rounds * sample_s + 1e-9)) : 1;

    if (!isfinite(left_s) || c->s->scripted || c->n <= most)
        return;
    most = most < 1 ? 1 : most;
    qsort(c->e, (size_t)c->n, sizeof(gdr_entrant *), by_last_ratio);
    if (find_entrant(c, anchor) >= most)
        c->e[most - 1] = anchor;
    c->n = most;
    qsort(c->e, (size_t)c->n, sizeof(gdr_entrant *), in_space_order);
    c->anchor = find_entrant(c, anchor);
}

/* Takes out who died of the calibration. */
static void take_out_dead(contest *c)
{
    const gdr_entrant *anchor = c->e[c->anchor];
    int n = 0;

    for (int i = 0; i < c->n; i++)
        if (!c->watch.dead[i])
            c->e[n++] = c->e[i];
    c->n = n;
    c->anchor = find_entrant(c, anchor);
}

static gdr_status open_watch(contest *c)
{
    return gdr_stopwatch_open(&c->watch, c->b, c->p, c->e, c->n);
}

/* Everyone who will race, on a running stopwatch. c->n = 0: nobody. */
static gdr_status line_up(contest *c)
{
    gdr_status st = gather_racers(c);
    int n;

    if (st != GDR_OK || c->n == 0)
        return st;
    find_anchor(c);
    st = open_watch(c);
    if (st != GDR_OK || c->s->scripted)
        return st;
    st = calibrate(c);
    n = c->n;
    if (st == GDR_OK) {
        take_out_dead(c);
        thin_out(c);
    } else {
        c->n = 0;
    }
    if (st == GDR_ERR_BUSY || st == GDR_ERR_NOT_FOUND)
        st = c->watch.status;
    if (st == GDR_OK && c->n && c->n != n) {
        gdr_stopwatch_close(&c->watch);
        st = open_watch(c);
        c->watch.launch_ns = c->launch_ns;
    }
    return st;
}

/* ---- rows ---- */

static double finite_or(double x, double instead)
{
    return isfinite(x) ? x : instead;
}

static gdr_status put_times(contest *c, const gdr_race *race)
{
    gdr_status st = GDR_OK;

    for (int i = 0; i < c->n && st == GDR_OK; i++) {
        const gdr_racer *r = &race->racer[i];
        gdr_trial_row row = {.outcome = "ok",
                             .error_o = c->e[i]->error_o,
                             .error_s = c->e[i]->error_s,
                             .time_ns = r->time_ns,
                             .spread = finite_or(r->spread, 1),
                             .rounds = r->rounds,
                             .samples = r->samples,
                             .n_samples = r->rounds,
                             .stage = r->stage,
                             .eager_ns = c->eager_ns[i]};
        c->e[i]->last_ratio = finite_or(r->ratio, 1e9);
        if (!c->watch.dead[i] && r->rounds && r->time_ns > 0)
            st = gdr_batch_put_trial(c->b, c->e[i], &row, c->problem);
    }
    return st;
}

static gdr_status save_finalists(contest *c, const gdr_race *race)
{
    gdr_status st = GDR_OK;

    for (int i = 0; i < c->n && st == GDR_OK; i++)
        if (i == race->winner || i == race->anchor ||
            (race->racer[i].stage == GDR_RACE_FINALIST && !c->watch.dead[i]))
            st = gdr_batch_save(c->b, c->e[i]);
    return st;
}

/* Stamp of a choice: the space and the effort. What a budget cut short is
 * marked, so that a run with more time does it again. */
static void stamp_choice(const gdr_batch *b, const char *effort, int cut,
                         char stamp[GDR_HASH_TEXT])
{
    const char *text[] = {b->stamp, effort, cut ? "cut" : ""};

    gdr_hash_texts(text, 3, stamp);
}

static double roofline_of(contest *c)
{
    double ns;

    if (c->n_rooflines == 0)
        return 0;
    ns = gdr_stats_median(c->roofline, c->n_rooflines).mid;
    return 2 * (double)c->size.rewrite / ns * 1e9;
}

static gdr_status put_choice(contest *c, const gdr_race *race, int cut)
{
    const gdr_racer *w = &race->racer[race->winner];
    const gdr_entrant *winner = c->e[race->winner];
    const gdr_entrant *fallback = c->e[race->anchor];
    int beaten = race->winner != race->anchor;
    char stamp[GDR_HASH_TEXT];
    gdr_winner_row row = {
        .choice = {.run = c->s->run,
                   .device = c->s->device,
                   .problem = c->problem,
                   .stamp = stamp,
                   .variant = winner->hash,
                   .variant_stamp = winner->stamp,
                   .fallback = fallback->hash,
                   .fallback_stamp = fallback->stamp,
                   .time_ns = w->time_ns,
                   .spread = finite_or(w->spread, 1),
                   .gain = beaten ? fmax(1, finite_or(1 / w->ratio, 1)) : 1,
                   .gain_lo = beaten ? finite_or(1 / w->ratio_hi, 1) : 1,
                   .gain_hi = beaten ? finite_or(1 / w->ratio_lo, 1) : 1,
                   .noise = finite_or(race->noise, 0),
                   .bytes = (double)c->size.traffic,
                   .roofline_bytes_per_s = roofline_of(c)},
        .variant = {winner->hash, c->b->statics, winner->c->kernel,
                    winner->c->config, winner->c->reduction, 0},
        .device = {c->s->info.fingerprint, c->s->info.kind, c->s->info.arch,
                   c->s->info.isa, c->s->info.name},
        .device_id = c->s->device};
    gdr_status st;

    stamp_choice(c->b, c->s->o->effort, cut, stamp);
    st = gdr_session_store_failed(
        c->s, gdr_store_put_choice(c->s->store, &row.choice));
    if (st == GDR_OK)
        gdr_report_winner(c->s->o->report, &row);
    return st;
}

int gdr_contest_current(gdr_batch *b, const gdr_problem *p, const char *effort)
{
    gdr_session *s = b->session;
    char problem[GDR_PROBLEM_TEXT], stamp[GDR_HASH_TEXT];
    gdr_choice_row row;

    if (s->o->fresh || !s->store)
        return 0;
    gdr_problem_format(p, problem, sizeof problem);
    stamp_choice(b, effort, 0, stamp);
    return gdr_store_get_choice(s->store, s->device, problem, &row) == GDR_OK &&
           !strcmp(row.stamp, stamp);
}

/* ---- the whole of it ---- */

int gdr_contest_too_big(const gdr_session *s, const gdr_problem *p, char *why,
                        size_t n)
{
    int64_t have = gdr_session_memory(s) / 4 * 3, need;
    gdr_footprint size;

    if (gdr_footprint_of(p, &size) != GDR_OK) {
        snprintf(why, n, "its size overflows");
        return 1;
    }
    need = size.state + size.tensors;
    if (need <= have)
        return 0;
    snprintf(why, n,
             "it needs %.1f GiB, and three quarters of the free memory "
             "are %.1f GiB",
             (double)need / 0x1p30, (double)have / 0x1p30);
    return 1;
}

static int find_incumbent(contest *c)
{
    gdr_choice_row row;

    if (gdr_store_get_choice(c->s->store, c->s->device, c->problem, &row) !=
        GDR_OK)
        return -1;
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->e[i]->hash, row.variant))
            return i;
    return -1;
}

/* The incumbent is kept among equals; a scripted run must not depend on how
 * often it was interrupted, nor a fresh one on what was. */
static gdr_status run_race(contest *c, gdr_race *race)
{
    gdr_race_options o;
    int incumbent = c->s->o->fresh ? -1 : find_incumbent(c);

    gdr_race_effort(c->s->o->effort, &o);
    o.seed = gdr_mix((uint64_t)c->s->o->seed, gdr_hash_number(c->problem), 2);
    o.quiet = quiet;
    return gdr_race_run(&o, c->n, c->anchor, incumbent, NULL, sampler, c, race);
}

/* The choice goes before its trials: a kill between loses some raw samples,
 * but never has a committed trial run again. */
static gdr_status put_results(contest *c, const gdr_race *race)
{
    /* What ended at the effort's own limit is all that the effort wants. */
    int cut = !strcmp(race->stopped, "budget") && isfinite(c->s->end_s);
    gdr_status st = save_finalists(c, race);

    if (st == GDR_OK)
        st = put_choice(c, race, cut);
    if (st == GDR_OK)
        st = put_times(c, race);
    return st;
}

/* What a launch costs without a graph: of one entrant, the median. */
static void take_eager(contest *c, int i)
{
    enum { SAMPLES = 9 };
    double ns[SAMPLES];
    int n = 0;

    for (int k = 0; k < SAMPLES; k++) {
        ns[n] = gdr_stopwatch_eager(&c->watch, i, c->launches);
        n += ns[n] > 0;
    }
    if (n)
        c->eager_ns[i] = gdr_stats_median(ns, n).mid;
}

/* With no compiler beside it: here the host is what is timed. */
static void take_eagers(contest *c, const gdr_race *race)
{
    if (c->s->scripted || !c->s->target->time_eager || race->winner < 0 ||
        !c->watch.worker)
        return;
    gdr_compile_queue_pause(c->s->queue);
    take_eager(c, race->winner);
    if (race->anchor != race->winner)
        take_eager(c, race->anchor);
    gdr_compile_queue_resume(c->s->queue);
}

static gdr_status race(contest *c, int *won)
{
    gdr_race result = {0};
    gdr_status st = run_race(c, &result);

    if (st == GDR_OK)
        take_eagers(c, &result);
    if (st == GDR_OK)
        st = c->status != GDR_OK ? c->status : c->watch.status;
    if (st == GDR_OK && result.winner >= 0 && !c->watch.hopeless) {
        st = put_results(c, &result);
        *won = st == GDR_OK;
    }
    gdr_race_free(&result);
    return st;
}

static void say_no_winner(const contest *c)
{
    char why[512];

    gdr_batch_explain(c->b, why, sizeof why);
    gdr_report_say(c->s->o->report, 0,
                   "%s: no variant passed and could be timed (%s)", c->problem,
                   why);
}

gdr_status gdr_contest(gdr_batch *b, const gdr_problem *p, double end_s,
                       int *won)
{
    contest c = {.b = b, .s = b->session, .p = p, .end_s = end_s};
    gdr_status st;

    *won = 0;
    gdr_problem_format(p, c.problem, sizeof c.problem);
    gdr_footprint_of(p, &c.size);
    c.s->progress.phase = "screen";
    c.s->progress.best_ns = 0;
    st = line_up(&c);
    if (st == GDR_OK && c.n)
        st = race(&c, won);
    if (st == GDR_OK && !*won)
        say_no_winner(&c);
    say_throttled(&c);
    gdr_stopwatch_close(&c.watch);
    free(c.e);
    free(c.samples);
    free(c.eager_ns);
    return st;
}
