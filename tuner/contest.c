/*
 * contest.c - samples come from a worker that may die at any launch: then the
 * variant is tried once more alone, to tell the culprit from the victim of a
 * neighbour, and a new worker loads the survivors. Everything that decides is
 * in this process.
 */
#include "contest.h"
#include "race.h"
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEAST_SAMPLES = 6,  /* of the default, whatever the budget */
    ROOFLINE_EVERY = 4, /* samples of the default */
    MOST_ROOFLINES = 256
};

/* A sample lasts this long at least: 4000 times the clock's resolution. */
static const double sample_ns = 200e3;

typedef struct contest {
    gdr_batch *b;
    gdr_session *s;
    gdr_problem p;
    char problem[GDR_PROBLEM_TEXT];
    gdr_footprint size;
    gdr_entrant **e; /* [n] who races */
    int n, anchor;
    int *dead;          /* [n] */
    int *suspect;       /* [n] deaths it was alone at once acquitted of */
    int64_t *samples;   /* [n] how many were taken */
    gdr_worker *worker; /* NULL: to be started */
    int64_t launches;   /* of a sample */
    double launch_ns;   /* of the anchor, for deadlines */
    double end_s;
    double roofline[MOST_ROOFLINES];
    int n_rooflines;
    gdr_status status; /* trouble of our own, or BUSY */
} contest;

/* ---- the worker ---- */

static void drop_worker(contest *c)
{
    gdr_worker_close(c->worker);
    c->worker = NULL;
}

/* Waits for the answer, however long it takes; signals end it. */
static gdr_status wait_answer(contest *c, gdr_answer *a)
{
    for (;;) {
        gdr_status st = gdr_worker_answer(c->worker, 0.2, a);
        if (st != GDR_ERR_BUSY)
            return st;
        if (gdr_session_stopped(c->s))
            return c->status = GDR_ERR_BUSY;
    }
}

static gdr_status load(contest *c, int i, gdr_answer *a)
{
    gdr_code code;
    gdr_status st;

    gdr_entrant_code(c->e[i], &code);
    st = gdr_worker_load(c->worker, i, &c->p.s, &code);
    return st == GDR_OK ? wait_answer(c, a) : st;
}

/* The ring may hold three last-level caches, but no more than this. */
static int64_t ring_limit(void)
{
    int64_t half = gdr_memory_available() / 2, most = (int64_t)1 << 30;

    return half < most ? half : most;
}

static gdr_status start(contest *c, gdr_answer *a)
{
    gdr_status st;

    drop_worker(c);
    memset(a, 0, sizeof *a);
    c->worker = gdr_session_worker(c->s);
    if (!c->worker) {
        snprintf(a->note, sizeof a->note, "%s", c->s->msg);
        return GDR_ERR_IO;
    }
    st = wait_answer(c, a);
    if (st != GDR_OK)
        return st;
    st = gdr_worker_workload(c->worker, &c->p, 3 * c->s->info.llc_bytes,
                             ring_limit(), (uint64_t)c->s->o->seed);
    return st == GDR_OK ? wait_answer(c, a) : st;
}

/* ---- deaths ---- */

static void bury(contest *c, int i, const gdr_answer *a)
{
    gdr_trial_row row = {.outcome = a->outcome ? a->outcome : "crash",
                         .error_o = c->e[i]->error_o,
                         .error_s = c->e[i]->error_s,
                         .note = a->note};
    gdr_status st;

    c->dead[i] = 1;
    c->s->progress.failures++;
    gdr_report_say(c->s->o->report, 1, "%s %s: %s while timed: %s",
                   c->e[i]->c->kernel, c->e[i]->c->config, row.outcome,
                   a->note);
    st = gdr_batch_put_trial(c->b, c->e[i], &row, c->problem);
    if (st != GDR_OK)
        c->status = st;
}

/* A worker with everyone that lives. Whoever cannot be loaded is buried. */
static gdr_status start_full(contest *c)
{
    gdr_answer a;
    gdr_status st = start(c, &a);

    if (st != GDR_OK) {
        if (c->status == GDR_OK)
            gdr_report_say(c->s->o->report, 0, "%s: %s", c->problem, a.note);
        return st;
    }
    for (int i = 0; i < c->n && c->status == GDR_OK; i++) {
        if (c->dead[i])
            continue;
        st = load(c, i, &a);
        if (st == GDR_OK)
            continue;
        if (c->status != GDR_OK)
            return c->status;
        bury(c, i, &a);
        if (st == GDR_ERR_LAUNCH)
            return start_full(c);
    }
    return c->status;
}

static gdr_status ask_sample(contest *c, int i, int64_t launches, gdr_answer *a)
{
    double expected_s = (double)launches * c->launch_ns * 1e-9;
    gdr_status st = gdr_worker_sample(c->worker, i, launches, expected_s);

    return st == GDR_OK ? wait_answer(c, a) : st;
}

/* Runs entrant i with nobody beside it. */
static gdr_status sample_alone(contest *c, int i, int64_t launches,
                               gdr_answer *a)
{
    gdr_status st = start(c, a);

    if (st == GDR_OK)
        st = load(c, i, a);
    if (st == GDR_OK)
        st = ask_sample(c, i, launches, a);
    drop_worker(c);
    return st;
}

/* The worker died under i. Guilty: buried. Else it may go on, once. */
static gdr_status investigate(contest *c, int i, int64_t launches,
                              gdr_answer *a)
{
    gdr_answer first = *a;
    gdr_status st;

    drop_worker(c);
    st = c->suspect[i]++ ? GDR_ERR_LAUNCH : sample_alone(c, i, launches, a);
    if (c->status != GDR_OK)
        return c->status;
    if (st == GDR_OK)
        return GDR_OK;
    bury(c, i, &first);
    return GDR_ERR_LAUNCH;
}

/* One sample of i by the worker, whatever it takes. */
static gdr_status take_sample(contest *c, int i, int64_t launches, double *ns)
{
    gdr_answer a;
    gdr_status st;

    for (;;) {
        if (!c->worker && (st = start_full(c)) != GDR_OK) {
            if (c->status == GDR_OK)
                c->status = st;
            return GDR_ERR_BUSY;
        }
        if (c->dead[i])
            return GDR_ERR_LAUNCH;
        st = ask_sample(c, i, launches, &a);
        *ns = a.ns;
        if (st == GDR_OK)
            return GDR_OK;
        if (c->status != GDR_OK)
            return GDR_ERR_BUSY;
        if (st != GDR_ERR_LAUNCH) {
            bury(c, i, &a);
            return GDR_ERR_LAUNCH;
        }
        st = investigate(c, i, launches, &a);
        if (st != GDR_OK)
            return c->status == GDR_OK ? GDR_ERR_LAUNCH : GDR_ERR_BUSY;
    }
}

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
    gdr_answer a;

    if (c->n_rooflines == MOST_ROOFLINES || c->s->scripted)
        return;
    if (gdr_worker_roofline(c->worker, 1) == GDR_OK &&
        wait_answer(c, &a) == GDR_OK && a.ns > 0)
        c->roofline[c->n_rooflines++] = a.ns;
}

static int over(const contest *c)
{
    return gdr_now() > c->end_s && c->samples[c->anchor] >= LEAST_SAMPLES;
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
        st = take_sample(c, i, c->launches, ns);
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

/* How many launches make a sample long enough; the anchor tells. */
static gdr_status calibrate(contest *c)
{
    double ns = 0;

    c->launches = 1;
    if (c->s->scripted)
        return GDR_OK;
    for (int round = 0; round < 3; round++) {
        gdr_status st = take_sample(c, c->anchor, c->launches, &ns);
        if (st != GDR_OK)
            return st;
        c->launch_ns = ns;
        c->launches = (int64_t)ceil(sample_ns / (ns > 1 ? ns : 1));
        c->launches = c->launches < 1 ? 1 : c->launches;
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
           strcmp(row.outcome, "ok");
}

/* Everyone fit who did not fail at this problem in an earlier run. */
static gdr_status gather(contest *c)
{
    size_t room = (size_t)c->b->n + 1;

    c->e = calloc(room, sizeof *c->e);
    c->dead = calloc(room, sizeof *c->dead);
    c->suspect = calloc(room, sizeof *c->suspect);
    c->samples = calloc(room, sizeof *c->samples);
    if (!c->e || !c->dead || !c->suspect || !c->samples)
        return GDR_ERR_NO_MEMORY;
    for (int i = 0; i < c->b->n && c->n < GDR_WORKER_RECIPES; i++)
        if (gdr_entrant_fit(&c->b->e[i]) && !died_here(c, &c->b->e[i]))
            c->e[c->n++] = &c->b->e[i];
    return GDR_OK;
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
    const gdr_extents *x = &c->p.x;
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
    qsort(c->e, (size_t)c->n, sizeof *c->e, by_last_ratio);
    if (find_entrant(c, anchor) >= most)
        c->e[most - 1] = anchor;
    c->n = most;
    qsort(c->e, (size_t)c->n, sizeof *c->e, in_space_order);
    c->anchor = find_entrant(c, anchor);
}

/* Takes the dead out, and starts to count anew. */
static void compact(contest *c)
{
    gdr_entrant *anchor = c->e[c->anchor];
    int n = 0;

    for (int i = 0; i < c->n; i++)
        if (!c->dead[i])
            c->e[n++] = c->e[i];
    if (n != c->n)
        drop_worker(c);
    c->n = n;
    memset(c->dead, 0, sizeof *c->dead * (size_t)n);
    memset(c->suspect, 0, sizeof *c->suspect * (size_t)n);
    memset(c->samples, 0, sizeof *c->samples * (size_t)n);
    c->anchor = find_entrant(c, anchor);
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
                             .stage = r->stage};
        c->e[i]->last_ratio = finite_or(r->ratio, 1e9);
        if (!c->dead[i] && r->rounds && r->time_ns > 0)
            st = gdr_batch_put_trial(c->b, c->e[i], &row, c->problem);
    }
    return st;
}

static gdr_status save_finalists(contest *c, const gdr_race *race)
{
    gdr_status st = GDR_OK;

    for (int i = 0; i < c->n && st == GDR_OK; i++)
        if (i == race->winner || i == race->anchor ||
            (race->racer[i].stage == GDR_RACE_FINALIST && !c->dead[i]))
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

int gdr_contest_too_big(const gdr_problem *p, char *why, size_t n)
{
    int64_t have = gdr_memory_available() / 4 * 3, need;
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
    int cut = !strcmp(race->stopped, "budget");
    gdr_status st = save_finalists(c, race);

    if (st == GDR_OK)
        st = put_choice(c, race, cut);
    if (st == GDR_OK)
        st = put_times(c, race);
    return st;
}

/* Anchors die too: the next one is calibrated with. */
static gdr_status prepare(contest *c)
{
    gdr_status st = gather(c);

    if (st != GDR_OK)
        return st;
    find_anchor(c);
    while (c->n && (st = calibrate(c)) == GDR_ERR_LAUNCH) {
        c->anchor = -1;
        for (int i = 0; i < c->n && c->anchor < 0; i++)
            if (!c->dead[i])
                c->anchor = i;
        if (c->anchor < 0)
            break;
    }
    return c->status != GDR_OK ? c->status : GDR_OK;
}

static void release(contest *c)
{
    drop_worker(c);
    free(c->e);
    free(c->dead);
    free(c->suspect);
    free(c->samples);
}

gdr_status gdr_contest(gdr_batch *b, const gdr_problem *p, double end_s,
                       int *won)
{
    contest c = {.b = b, .s = b->session, .p = *p, .end_s = end_s};
    gdr_race race = {0};
    gdr_status st;
    int n;

    *won = 0;
    gdr_problem_format(p, c.problem, sizeof c.problem);
    gdr_footprint_of(p, &c.size);
    c.s->progress.phase = "screen";
    c.s->progress.best_ns = 0;
    st = prepare(&c);
    if (st == GDR_OK && (c.n == 0 || c.anchor < 0)) {
        gdr_report_say(c.s->o->report, 0, "%s: no variant passed", c.problem);
        goto done;
    }
    if (st != GDR_OK)
        goto done;
    compact(&c);
    n = c.n;
    thin_out(&c);
    if (n != c.n)
        drop_worker(&c);
    st = run_race(&c, &race);
    if (st == GDR_OK)
        st = c.status;
    if (st == GDR_OK && race.winner >= 0) {
        st = put_results(&c, &race);
        *won = st == GDR_OK;
    }
done:
    gdr_race_free(&race);
    release(&c);
    return st;
}
