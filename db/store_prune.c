/*
 * store_prune.c - fewer codes for a bundle: of what was measured, the variants
 * that together serve every tuned place nearly as fast as the fastest. Greedy:
 * the variant that serves most places that are left comes first.
 */
#include "store_internal.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

/* One measured variant at one tuned place. */
typedef struct option {
    int64_t device, place; /* place: 0, 1, ... of the group */
    char statics[GDR_PROBLEM_TEXT], problem[GDR_PROBLEM_TEXT];
    char variant[65], stamp[65];
    double time, best; /* ns; best: of the place's winner */
    int won, picked;
} option;

typedef struct options {
    option *at; /* [n], by device, statics, problem, variant */
    int64_t n, room;
} options;

static int is_same_place(const option *a, const option *b)
{
    return a->device == b->device && !strcmp(a->problem, b->problem);
}

static int is_same_group(const option *a, const option *b)
{
    return a->device == b->device && !strcmp(a->statics, b->statics);
}

static int is_same_code(const option *a, const option *b)
{
    return !strcmp(a->variant, b->variant) && !strcmp(a->stamp, b->stamp);
}

static option *add(options *o)
{
    if (o->n == o->room) {
        int64_t room = o->room ? 2 * o->room : 256;
        option *moved =
            sqlite3_realloc64(o->at, (sqlite3_uint64)room * sizeof *moved);
        if (!moved)
            return NULL;
        o->at = moved;
        o->room = room;
    }
    memset(&o->at[o->n], 0, sizeof *o->at);
    return &o->at[o->n++];
}

static gdr_status read_options(gdr_store *st, options *o)
{
    gdr_query q;
    gdr_query_open(
        &q, st,
        "SELECT c.device, substr(c.problem, 1, instr(c.problem, ' / ') - 1)"
        " AS statics, c.problem, t.variant, t.stamp, t.time_ns,"
        " c.time_ns AS best,"
        " c.variant = t.variant AND c.variant_stamp = t.stamp AS won"
        " FROM choice c JOIN trial t ON t.device = c.device"
        " AND t.problem = c.problem AND t.outcome = 'ok'"
        " AND t.time_ns IS NOT NULL"
        " JOIN build b ON b.variant = t.variant AND b.stamp = t.stamp"
        " ORDER BY c.device, statics, c.problem, t.variant, t.stamp");
    while (gdr_query_step(&q)) {
        option *one = add(o);
        if (!one) {
            q.rc = SQLITE_NOMEM;
            break;
        }
        one->device = gdr_query_int(&q, 1, INT64_MAX);
        snprintf(one->statics, sizeof one->statics, "%s", gdr_query_text(&q));
        snprintf(one->problem, sizeof one->problem, "%s", gdr_query_text(&q));
        snprintf(one->variant, sizeof one->variant, "%s", gdr_query_text(&q));
        snprintf(one->stamp, sizeof one->stamp, "%s", gdr_query_text(&q));
        one->time = gdr_query_real(&q, 0, 1e18);
        one->best = gdr_query_real(&q, 0, 1e18);
        one->won = (int)gdr_query_int(&q, 0, 1);
    }
    return gdr_query_close(&q);
}

/* Numbers the places of a group; n is its size. Returns how many. */
static int64_t number_places(option *o, int64_t n)
{
    int64_t place = 0;
    for (int64_t i = 0; i < n; i++) {
        place += i > 0 && !is_same_place(&o[i - 1], &o[i]);
        o[i].place = place;
    }
    return place + 1;
}

/* A winner costs nothing: what was faster was so within noise. */
static int fits(const option *o, double regret)
{
    return o->won || o->time <= o->best * (1 + regret);
}

/* Is the place served by what was picked so far? */
static int is_served(const option *o, int64_t n, int64_t place, double regret)
{
    for (int64_t i = 0; i < n; i++)
        if (o[i].picked && o[i].place == place && fits(&o[i], regret))
            return 1;
    return 0;
}

/* How many places that are left the code of o[which] would serve; of equal
 * ones who won more often is worth more. */
static int64_t gain_of(const option *o, int64_t n, int64_t which, double regret)
{
    int64_t gain = 0, won = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!is_same_code(&o[i], &o[which]))
            continue;
        gain += fits(&o[i], regret) && !is_served(o, n, o[i].place, regret);
        won += o[i].won;
    }
    return gain ? gain * (n + 1) + won : 0;
}

/* Returns how many codes it picked. */
static int pick(option *o, int64_t n, double regret)
{
    int codes = 0;
    for (int64_t i = 0; i < n; i++)
        o[i].picked = 0;
    for (;;) {
        int64_t best = -1, most = 0;
        for (int64_t i = 0; i < n; i++) {
            int64_t gain = o[i].picked ? 0 : gain_of(o, n, i, regret);
            if (gain > most) {
                most = gain;
                best = i;
            }
        }
        if (best < 0)
            return codes;
        for (int64_t i = 0; i < n; i++)
            o[i].picked |= is_same_code(&o[i], &o[best]);
        codes++;
    }
}

/* At most so many codes: what it costs grows until they suffice. One code may
 * lack places, which no cost mends; then it stays at what serves all. */
static void pick_few(option *o, int64_t n, double regret, int most)
{
    double wider = regret;
    int codes = pick(o, n, regret);
    for (int i = 0; most > 0 && codes > most && i < 60; i++) {
        wider = wider < 0.01 ? 0.01 : wider * 1.25;
        codes = pick(o, n, wider);
    }
}

/* The winner of a place where it was picked, else the fastest that was. */
static const option *chosen_at(const option *o, int64_t n, int64_t place)
{
    const option *best = NULL;
    for (int64_t i = 0; i < n; i++)
        if (o[i].picked && o[i].place == place &&
            (!best || o[i].won || (!best->won && o[i].time < best->time)))
            best = &o[i];
    return best;
}

static gdr_status choose(gdr_store *st, const option *o)
{
    gdr_query q;
    gdr_query_open(&q, st,
                   "UPDATE choice SET variant = ?1, variant_stamp = ?2,"
                   " gain = max(1, gain * time_ns / ?3),"
                   " gain_lo = gain_lo * time_ns / ?3,"
                   " gain_hi = max(gain_lo, gain_hi) * time_ns / ?3,"
                   " time_ns = ?3, regret = ?4"
                   " WHERE device = ?5 AND problem = ?6"
                   " AND (variant <> ?1 OR variant_stamp <> ?2)");
    gdr_query_bind_text(&q, o->variant);
    gdr_query_bind_text(&q, o->stamp);
    gdr_query_bind_real(&q, o->time);
    gdr_query_bind_real(&q, o->time > o->best ? o->time / o->best - 1 : 0);
    gdr_query_bind_int(&q, o->device);
    gdr_query_bind_text(&q, o->problem);
    gdr_query_step(&q);
    return gdr_query_close(&q);
}

gdr_status gdr_store_prune(gdr_store *st, double max_regret, int max_kernels)
{
    options o = {0};
    gdr_status status = read_options(st, &o);
    for (int64_t begin = 0, end; begin < o.n && status == GDR_OK; begin = end) {
        option *group = &o.at[begin];
        for (end = begin + 1; end < o.n && is_same_group(group, &o.at[end]);)
            end++;
        int64_t places = number_places(group, end - begin);
        pick_few(group, end - begin, max_regret, max_kernels);
        for (int64_t i = 0; i < places && status == GDR_OK; i++) {
            const option *best = chosen_at(group, end - begin, i);
            if (best)
                status = choose(st, best);
        }
    }
    sqlite3_free(o.at);
    return status;
}
