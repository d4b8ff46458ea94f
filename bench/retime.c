/* retime.c - two stored kernels of one problem timed side by side. */
#include "retime.h"
#include "../tuner/channel.h"
#include "../tuner/order.h"
#include "../tuner/target.h"
#include "../tuner/workload.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * sample_ns: a clock read costs 30 ns, and a scheduler's slice is 4 ms.
 * Rounds end when both intervals are within +-0.25 %, a quarter of the 1 % that
 * two runs may differ by; or after pair_s seconds, so that 70 problems take
 * minutes, with at least ROUNDS_LEAST of them: a launch may take a second.
 */
enum {
    ROUNDS_LEAST = 12,
    ROUNDS_MIN = 96,
    ROUNDS_MAX = 480,
    LOOK = 12,
    SLOTS = 3
};
static const double sample_ns = 1e6, precise = 0.0025, pair_s = 3;

struct retime {
    const gdr_target *target;
    void *dev;
};

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    return 0;
}

retime *retime_open(void)
{
    char msg[256];
    retime *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->target = gdr_target_find("cpu");
    if (r->target->backend->open("", NULL, &r->dev, msg, sizeof msg) == GDR_OK)
        return r;
    fail("cpu", msg);
    free(r);
    return NULL;
}

void retime_close(retime *r)
{
    if (!r)
        return;
    r->target->backend->close(r->dev);
    free(r);
}

int retime_load(const retime *r, const char *path, retime_base *out)
{
    *out = (retime_base){.path = path};
    const char *here = r->target->backend->info(r->dev)->fingerprint;
    gdr_status s = gdr_store_open(path, GDR_STORE_READ, &out->store);
    if (s == GDR_OK)
        s = gdr_winners_load(out->store, here, &out->winners);
    if (s != GDR_OK)
        return fail("retime", out->store ? gdr_store_errmsg(out->store)
                                         : gdr_strerror(s));
    if (out->winners.n == 0)
        return fail(path, "nothing was tuned on this machine");
    return 1;
}

void retime_unload(retime_base *b)
{
    gdr_winners_free(&b->winners);
    gdr_store_close(b->store);
}

/* ---- loading ---- */

typedef struct loading {
    gdr_recipe *recipe;
    gdr_status status;
    char msg[256];
} loading;

static int load_step(void *ctx, const gdr_step_row *row)
{
    loading *l = ctx;
    gdr_step_text text = {row->entry, row->grid_x, row->grid_y,    row->grid_z,
                          row->block, row->smem,   row->workspace, row->pdl};
    if (!gdr_store_hash_fits(row->hash, row->code, row->bytes)) {
        snprintf(l->msg, sizeof l->msg, "its code is not what its hash says");
        l->status = GDR_ERR_FORMAT;
        return 1;
    }
    l->status = gdr_recipe_add_step(l->recipe, &text, row->code,
                                    (size_t)row->bytes, l->msg, sizeof l->msg);
    return l->status != GDR_OK;
}

static int load_recipe(retime *r, const gdr_problem *p, const retime_code *c,
                       gdr_recipe *out)
{
    *out = (gdr_recipe){.s = p->s,
                        .backend = r->target->backend,
                        .dev = r->dev,
                        .sms = r->target->backend->info(r->dev)->sms};
    loading l = {.recipe = out};
    gdr_status s =
        gdr_store_each_step(c->store, c->variant, c->stamp, load_step, &l);
    if (s != GDR_OK)
        return fail(c->variant, gdr_store_errmsg(c->store));
    if (l.status != GDR_OK)
        return fail(c->variant, l.msg);
    return out->n_steps > 0 ? 1 : fail(c->variant, "has no code");
}

/* ---- timing ---- */

typedef struct stand {
    retime *r;
    gdr_workload *work;
    gdr_recipe *recipe[SLOTS];
    int64_t launches[SLOTS];
    int at;
    double log_ns[SLOTS][ROUNDS_MAX];
} stand;

/* NaN when a launch fails. */
static double run(stand *s, int slot, int64_t launches)
{
    double ns;
    if (s->r->target->time(s->recipe[slot], s->work->set, s->work->n_sets,
                           &s->at, launches, &ns) != GDR_OK)
        return NAN;
    return ns;
}

/* How many launches last as long as a sample should; and warms up. */
static int calibrate(stand *s)
{
    for (int slot = 0; slot < SLOTS; slot++) {
        int64_t n = 1;
        double ns = run(s, slot, n);
        while (ns * (double)n < sample_ns && n < 1 << 20)
            ns = run(s, slot, n *= 2);
        if (!(ns > 0))
            return 0;
        double launches = ceil(sample_ns / ns);
        s->launches[slot] = launches > 1 ? (int64_t)launches : 1;
    }
    return 1;
}

static int run_round(stand *s, int round)
{
    int order[SLOTS];
    gdr_order_balanced(SLOTS, round, order);
    for (int i = 0; i < SLOTS; i++) {
        double ns = run(s, order[i], s->launches[order[i]]);
        if (!(ns > 0))
            return 0;
        s->log_ns[order[i]][round] = log(ns);
    }
    return 1;
}

/* y: against the mean of both runs of x; else x again against x. */
static gdr_interval compare(const stand *s, int rounds, int y)
{
    double d[ROUNDS_MAX];
    for (int i = 0; i < rounds; i++) {
        double x = s->log_ns[0][i], again = s->log_ns[2][i];
        d[i] = y ? s->log_ns[1][i] - (x + again) / 2 : again - x;
    }
    return gdr_stats_median(d, rounds);
}

static int is_precise(gdr_interval d)
{
    return (d.hi - d.lo) / 2 <= precise;
}

static int is_enough(const retime_result *t, double spent_s)
{
    if (t->rounds >= ROUNDS_MIN && is_precise(t->other) && is_precise(t->same))
        return 1;
    return t->rounds >= ROUNDS_LEAST && spent_s > pair_s;
}

static int run_rounds(stand *s, retime_result *out)
{
    double begin_s = gdr_now();

    for (int i = 0; i < ROUNDS_MAX; i++) {
        if (!run_round(s, i))
            return 0;
        out->rounds = i + 1;
        if (out->rounds % LOOK)
            continue;
        out->other = compare(s, out->rounds, 1);
        out->same = compare(s, out->rounds, 0);
        if (is_enough(out, gdr_now() - begin_s))
            break;
    }
    out->x_ns = exp(gdr_stats_median(s->log_ns[0], out->rounds).mid);
    return 1;
}

static int set_up(stand *s, const gdr_problem *p, const char *name)
{
    const gdr_device_info *info = s->r->target->backend->info(s->r->dev);
    int64_t workspace = 0, room = gdr_memory_available() / 2;
    int64_t most = room < (1 << 30) ? room : 1 << 30; /* as gdr-tune does */
    gdr_footprint size;
    gdr_workload_options o = {
        .cold_bytes = 3 * info->llc_bytes, .most_bytes = most, .seed = 1};
    if (gdr_footprint_of(p, &size) != GDR_OK || size.state > room ||
        size.tensors > room - size.state)
        return fail(name, "skipped: it does not fit in memory");
    gdr_status status =
        gdr_workload_open(s->r->target, s->r->dev, p, &o, &s->work);
    for (int i = 0; i < SLOTS; i++) {
        int64_t bytes = gdr_recipe_workspace(s->recipe[i], &p->x);
        workspace = bytes > workspace ? bytes : workspace;
    }
    if (status == GDR_OK)
        status = gdr_workload_reserve(s->work, workspace);
    return status == GDR_OK ? 1 : fail(name, gdr_strerror(status));
}

int retime_pair(retime *r, const gdr_problem *p, const retime_code *x,
                const retime_code *y, retime_result *out)
{
    char name[GDR_PROBLEM_TEXT];
    gdr_recipe rx = {0}, ry = {0};
    stand s = {.r = r, .recipe = {&rx, &ry, &rx}};
    gdr_problem_format(p, name, sizeof name);
    *out = (retime_result){0};
    int done = load_recipe(r, p, x, &rx) && load_recipe(r, p, y, &ry) &&
               set_up(&s, p, name);
    if (done && (!calibrate(&s) || !run_rounds(&s, out)))
        done = fail(name, "a launch failed");
    gdr_workload_close(s.work);
    gdr_recipe_unload(&rx);
    gdr_recipe_unload(&ry);
    return done;
}

void retime_summary(const char *name, double *x, int n)
{
    gdr_stats_sort(x, n);
    printf("%-24s median %.2f %%, 95th percentile %.2f %% (%d problems)\n",
           name, 100 * gdr_stats_quantile(x, n, 0.5),
           100 * gdr_stats_quantile(x, n, 0.95), n);
}
