/*
 * race.c - the race. What must stay true: times are only compared within a
 * round, so that drift cancels; everyone in the race runs once in each round,
 * the anchor always among them; nothing is dropped for noise; and only a
 * difference that stands clear of the A/A floor dethrones the default.
 */
#include "race.h"
#include "order.h"
#include "samples.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct race {
    const gdr_race_options *o;
    gdr_race *out;
    gdr_sampler sampler;
    void *ctx;
    int n, incumbent;
    const int *tie;
    int *in, n_in; /* who still runs */
    int *order;    /* [n + 1] of the round */
    double *key;   /* [n] for sorting */
    gdr_samples samples;
    int64_t final_from; /* the final's first round; -1: none yet */
    uint64_t random;
    int busy;
    gdr_status status; /* of the race itself: memory */
} race;

static int anchor_of(const race *r)
{
    return r->samples.anchor;
}

static int going_on(const race *r)
{
    return !r->busy && r->status == GDR_OK && r->n_in > 0;
}

/* ---- taking samples ---- */

/* Room grows by doubling: there is some unless the count is 0 or 8, 16, ... */
static gdr_status keep_sample(gdr_racer *racer, double ns)
{
    int64_t n = racer->rounds;
    if (n == 0 || (n >= 8 && (n & (n - 1)) == 0)) {
        size_t room = n ? 2 * (size_t)n : 8;
        double *samples = realloc(racer->samples, room * sizeof *samples);
        if (!samples)
            return GDR_ERR_NO_MEMORY;
        racer->samples = samples;
    }
    racer->samples[racer->rounds++] = ns;
    return GDR_OK;
}

/* Slot n is the anchor's second run. */
static void run_slot(race *r, int slot)
{
    int i = slot == r->n ? anchor_of(r) : slot;
    gdr_racer *racer = &r->out->racer[i];
    if (!racer->alive)
        return;
    double ns = NAN;
    gdr_status status = r->sampler(r->ctx, i, &ns);
    if (status == GDR_ERR_BUSY) {
        r->busy = 1;
    } else if (status != GDR_OK || !isfinite(ns) || !(ns > 0)) {
        racer->alive = 0;
    } else {
        gdr_samples_put(&r->samples, slot, ns);
        r->status = keep_sample(racer, ns);
    }
}

/* ---- comparing ---- */

/* Where the statistics begin. The final stands alone, as its racers were picked
 * by what came before; if the budget leaves it too short for an interval, what
 * came before has to serve. The first round warms up. */
static int64_t stats_from(const race *r)
{
    enum { LEAST = 6 };
    int64_t rounds = r->samples.rounds;
    if (r->final_from >= 0 && rounds - r->final_from >= LEAST)
        return r->final_from;
    return rounds > 1 ? 1 : 0;
}

static gdr_interval compare(const race *r, int i, int j)
{
    return gdr_samples_compare(&r->samples, i, j, stats_from(r));
}

/* The lowest median among those in the race; -1 if it has no sample. against:
 * the anchor, or -1 for the time itself. */
static int fastest(const race *r, int against)
{
    int best = -1;
    double least = INFINITY;
    for (int k = 0; k < r->n_in; k++) {
        double mid = compare(r, r->in[k], against).mid;
        if (mid < least) {
            least = mid;
            best = r->in[k];
        }
    }
    return best;
}

/* ---- rounds ---- */

static void remove_failed(race *r)
{
    int n = 0;
    for (int k = 0; k < r->n_in; k++)
        if (r->out->racer[r->in[k]].alive)
            r->in[n++] = r->in[k];
    r->n_in = n;
}

static int anchor_lost(const race *r)
{
    return anchor_of(r) < 0 || !r->out->racer[anchor_of(r)].alive;
}

/* Runs r->order[0 .. n). When the anchor is lost, or there never was one, the
 * best that is left serves. */
static void run_order(race *r, int n)
{
    r->status = gdr_samples_add_round(&r->samples);
    for (int k = 0; k < n && going_on(r); k++)
        run_slot(r, r->order[k]);
    remove_failed(r);
    if (anchor_lost(r))
        gdr_samples_set_anchor(&r->samples, fastest(r, -1));
}

/* A round in random order, but for the anchor: multiples of the golden ratio
 * put it evenly into every part of the round. */
static void run_shuffled(race *r)
{
    memcpy(r->order, r->in, (size_t)r->n_in * sizeof *r->order);
    gdr_order_shuffle(&r->random, r->order, r->n_in);
    double turn = 0.6180339887498949 * (double)(r->samples.rounds + 1);
    int place = (int)((turn - floor(turn)) * r->n_in);
    for (int k = 0; k < r->n_in; k++)
        if (r->order[k] == anchor_of(r)) {
            r->order[k] = r->order[place];
            r->order[place] = anchor_of(r);
            break;
        }
    run_order(r, r->n_in);
}

/* ---- the stages ---- */

static void drop(race *r, int k, int stage)
{
    r->out->racer[r->in[k]].stage = stage;
    r->in[k] = r->in[--r->n_in];
}

/* Nothing is dropped once the budget is gone: the decision comes next. */
static void screen(race *r)
{
    for (int i = 0; i < r->o->screen_rounds && going_on(r); i++)
        run_shuffled(r);
    int best = fastest(r, anchor_of(r));
    if (!going_on(r) || best < 0)
        return;
    double limit = log(r->o->screen_drop);
    for (int k = r->n_in - 1; k >= 0; k--)
        if (r->in[k] != anchor_of(r) && compare(r, r->in[k], best).mid > limit)
            drop(r, k, GDR_RACE_SCREENED);
}

/* Orders r->in by median ratio, the anchor first. */
static void sort_in(race *r)
{
    for (int k = 0; k < r->n_in; k++) {
        int i = r->in[k], a = anchor_of(r), at = k;
        double mid = i == a ? -INFINITY : compare(r, i, a).mid;
        for (; at > 0 && r->key[at - 1] > mid; at--) {
            r->key[at] = r->key[at - 1];
            r->in[at] = r->in[at - 1];
        }
        r->key[at] = mid;
        r->in[at] = i;
    }
}

/* Keeps the better half (but finalists at least), and whoever cannot be told
 * from the last that was kept; the last cut has to come out at `finalists`. The
 * anchor does not count, and the incumbent yields to evidence alone. */
static void cut(race *r, int last)
{
    sort_in(r);
    int keep = last ? 1 : r->n_in / 2;
    keep = 1 + (keep > r->o->finalists ? keep : r->o->finalists);
    for (int k = r->n_in - 1; k >= keep; k--) {
        int i = r->in[k];
        gdr_interval d = compare(r, i, r->in[keep - 1]);
        if (d.lo > 0 || (last && i != r->incumbent))
            drop(r, k, GDR_RACE_HALVED);
    }
}

static void halve(race *r)
{
    int longest = r->o->halve_rounds > 0 ? r->o->halve_rounds : 8;
    for (int rounds = 2; going_on(r) && r->n_in > r->o->finalists + 1;
         rounds *= 2) {
        for (int i = 0; i < rounds && going_on(r); i++)
            run_shuffled(r);
        if (going_on(r))
            cut(r, rounds >= longest);
    }
}

/* The floor: what two runs of the same code may differ by. */
static void measure_noise(race *r)
{
    int n;
    gdr_interval d = gdr_samples_noise(&r->samples, r->final_from, &n);
    if (r->final_from == stats_from(r) && n > 1)
        r->out->noise = expm1(fmax(fabs(d.lo), fabs(d.hi)));
    r->out->epsilon = fmax(r->o->epsilon_min, 2 * r->out->noise);
}

static int beats_anchor(const race *r, int i)
{
    double ahead = log1p(-fmin(r->out->epsilon, 0.99));
    return i != anchor_of(r) && compare(r, i, anchor_of(r)).hi < ahead;
}

/*
 * Is everyone told from the leader, or equal to it? Who is slower beyond doubt
 * leaves the final, the anchor excepted. Equal means within epsilon_min: the
 * floor shrinks with the rounds, and would call everything equal at once.
 * Returns the reason to stop, or NULL.
 */
static const char *settle(race *r)
{
    int leader = fastest(r, anchor_of(r)), open = 0, apart = 0;
    double margin = log1p(r->o->epsilon_min);
    for (int k = r->n_in - 1; k >= 0; k--) {
        int i = r->in[k];
        if (i == leader)
            continue;
        gdr_interval d = compare(r, i, leader);
        int slower = d.lo > log1p(r->out->epsilon);
        int equal = d.hi <= margin && d.lo >= -margin;
        open += !slower && !equal && !((d.hi - d.lo) / 2 <= r->o->ci_stop);
        apart += !equal;
        if (slower && i != anchor_of(r))
            drop(r, k, GDR_RACE_FINALIST);
    }
    return open ? NULL : apart ? "ci" : "equivalent";
}

/* A round of the final: the next row of a balanced square over a seeded
 * permutation of the racers and the anchor's second run. */
static void run_balanced(race *r, int64_t *row)
{
    int m = r->n_in + 1;
    if (*row == 0)
        gdr_order_shuffle(&r->random, r->in, r->n_in);
    gdr_order_balanced(m, *row, r->order);
    for (int k = 0; k < m; k++)
        r->order[k] = r->order[k] < r->n_in ? r->in[r->order[k]] : r->n;
    run_order(r, m);
    *row = (*row + 1) % gdr_order_rows(m);
    if (r->n_in + 1 != m)
        *row = 0;
}

/* Looks at the data every LOOK rounds only: each look is a chance to err. */
static const char *run_final(race *r)
{
    enum { LOOK = 8 };
    int64_t row = 0;
    const char *stopped = "rounds";
    r->final_from = r->samples.rounds;
    for (int i = 1; i <= r->o->final_rounds_max && going_on(r); i++) {
        run_balanced(r, &row);
        if (i < r->o->final_rounds_min || i % LOOK || !going_on(r))
            continue;
        int n_in = r->n_in;
        measure_noise(r);
        const char *reason = n_in == 1 ? "single" : settle(r);
        if (reason) {
            stopped = reason;
            break;
        }
        if (r->n_in != n_in)
            row = 0;
    }
    r->out->final_rounds = r->samples.rounds - r->final_from;
    return stopped;
}

/* ---- the decision ---- */

static int prefers(const race *r, int i, int j)
{
    if (j < 0 || i == r->incumbent || j == r->incumbent)
        return j < 0 || i == r->incumbent;
    int a = r->tie ? r->tie[i] : i, b = r->tie ? r->tie[j] : j;
    return a != b ? a < b : i < j;
}

/* Of those that equal the leader and beat the anchor, the incumbent, else the
 * first in tie order; the anchor if there is none. */
static int decide(const race *r)
{
    int anchor = anchor_of(r), winner = -1;
    if (anchor < 0 || r->out->racer[anchor].rounds == 0)
        return -1;
    int leader = fastest(r, anchor);
    for (int k = 0; leader >= 0 && k < r->n_in; k++) {
        int i = r->in[k];
        double above = i == leader ? 0 : compare(r, i, leader).hi;
        if (above <= log1p(r->out->epsilon) && beats_anchor(r, i) &&
            prefers(r, i, winner))
            winner = i;
    }
    return winner < 0 ? anchor : winner;
}

/* A finalist's figures come from the final alone, unless it has none there. */
static void sum_up(const race *r, int i)
{
    const gdr_samples *s = &r->samples;
    gdr_racer *racer = &r->out->racer[i];
    int finalist = racer->stage == GDR_RACE_FINALIST;
    int64_t from = finalist ? stats_from(r) : s->rounds > 1;
    gdr_interval t = gdr_samples_compare(s, i, -1, from);
    if (isnan(t.mid))
        t = gdr_samples_compare(s, i, -1, from = 0);
    gdr_interval d = {NAN, NAN, NAN};
    if (i == s->anchor)
        d = (gdr_interval){0, 0, 0};
    else if (s->anchor >= 0)
        d = gdr_samples_compare(s, i, s->anchor, from);
    racer->time_ns = isnan(t.mid) ? 0 : exp(t.mid);
    racer->spread = isnan(t.mid) ? INFINITY : sinh((t.hi - t.lo) / 2);
    racer->ratio = exp(d.mid);
    racer->ratio_lo = exp(d.lo);
    racer->ratio_hi = exp(d.hi);
}

static void run_stages(race *r)
{
    screen(r);
    halve(r);
    const char *stopped = "failed";
    if (going_on(r)) {
        for (int k = 0; k < r->n_in; k++)
            r->out->racer[r->in[k]].stage = GDR_RACE_FINALIST;
        if (r->o->quiet)
            r->o->quiet(r->ctx, 1);
        stopped = run_final(r);
        if (r->o->quiet)
            r->o->quiet(r->ctx, 0);
        measure_noise(r);
    }
    r->out->anchor = anchor_of(r);
    r->out->rounds = r->samples.rounds;
    r->out->winner = decide(r);
    r->out->stopped = r->busy ? "budget" : r->n_in ? stopped : "failed";
    for (int i = 0; i < r->n; i++)
        sum_up(r, i);
}

static gdr_status prepare(race *r)
{
    gdr_race *out = r->out;
    out->racer = calloc((size_t)r->n, sizeof *out->racer);
    r->in = malloc((size_t)r->n * sizeof *r->in);
    r->order = malloc((size_t)(r->n + 1) * sizeof *r->order);
    r->key = malloc((size_t)r->n * sizeof *r->key);
    if (!out->racer || !r->in || !r->order || !r->key)
        return GDR_ERR_NO_MEMORY;
    out->n = r->n_in = r->n;
    for (int i = 0; i < r->n; i++) {
        r->in[i] = i;
        out->racer[i].alive = 1;
    }
    return GDR_OK;
}

gdr_status gdr_race_run(const gdr_race_options *o, int n, int anchor,
                        int incumbent, const int *tie, gdr_sampler sampler,
                        void *ctx, gdr_race *out)
{
    assert(o && sampler && out);
    *out = (gdr_race){.winner = -1, .anchor = anchor, .stopped = "failed"};
    out->epsilon = o->epsilon_min;
    if (n < 1 || anchor < -1 || anchor >= n || incumbent < -1 || incumbent >= n)
        return GDR_ERR_ARG;
    race r = {.o = o,
              .out = out,
              .sampler = sampler,
              .ctx = ctx,
              .n = n,
              .incumbent = incumbent,
              .tie = tie,
              .final_from = -1,
              .random = o->seed};
    gdr_samples_open(n, anchor, &r.samples);
    r.status = prepare(&r);
    if (r.status == GDR_OK)
        run_stages(&r);
    free(r.in);
    free(r.order);
    free(r.key);
    gdr_samples_close(&r.samples);
    return r.status;
}

void gdr_race_free(gdr_race *out)
{
    if (!out)
        return;
    for (int i = 0; out->racer && i < out->n; i++)
        free(out->racer[i].samples);
    free(out->racer);
    *out = (gdr_race){.winner = -1, .anchor = -1, .stopped = "failed"};
}
