/*
 * workload.c - a tensor is filled by repeating a pattern of random rows, since
 * the time of a kernel does not depend on their number, and 8 GiB of states
 * would else take longer to make than to time.
 */
#include "workload.h"
#include "hash.h"

#include "../runtime/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* The ring's arguments must stay in the nearest caches: 16384 would not,
     * but problems so small are timed warm either way. */
    MOST_SETS = 16384,
    PATTERN = 1 << 18, /* elements, about: rows are kept whole */
    STATE_ALIGN = 64
};

static const int64_t tick_bytes = 64 << 20;

/* ---- sizes ---- */

/* a * b, or -1 when it overflows or a factor did. */
static int64_t times(int64_t a, int64_t b)
{
    int64_t x;

    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &x) ? -1 : x;
}

static int64_t plus(int64_t a, int64_t b)
{
    int64_t x;

    return a < 0 || b < 0 || __builtin_add_overflow(a, b, &x) ? -1 : x;
}

static int64_t pool_states(const gdr_problem *p)
{
    int64_t many = p->s.contract == GDR_RING || p->s.contract == GDR_INDEXED;

    return times(p->x.B, many ? p->x.T : 1);
}

/* States written by a call, over B. A snapshots call also writes the slot. */
static int64_t writes_each(const gdr_problem *p)
{
    if (p->s.contract == GDR_FINAL)
        return 1;
    return p->s.contract == GDR_SNAPSHOTS ? plus(p->x.T, 1) : p->x.T;
}

gdr_status gdr_footprint_of(const gdr_problem *p, gdr_footprint *out)
{
    int64_t io = (int64_t)gdr_dtype_bytes(p->s.io);
    int64_t head =
        times(times(p->s.K, p->s.V), (int64_t)gdr_dtype_bytes(p->s.state));
    int64_t row = times(p->x.Hv, head); /* the states of one sequence */
    int64_t BT = times(p->x.B, p->x.T);
    int64_t qk = times(times(BT, p->x.Hk), 2 * io * p->s.K);
    int64_t vo = times(times(BT, p->x.Hv), 2 * io * p->s.V);
    int64_t gates = times(times(BT, p->x.Hv), 8);
    int64_t moved = times(times(p->x.B, row), plus(writes_each(p), 1));

    out->state = times(pool_states(p), row);
    if (p->s.contract == GDR_SNAPSHOTS)
        out->state = plus(out->state, times(BT, row));
    out->tensors = plus(plus(qk, vo), gates);
    out->traffic = plus(out->tensors, moved);
    out->rewrite = moved / 2;
    return out->state < 0 || out->traffic < 0 ? GDR_ERR_ARG : GDR_OK;
}

/* ---- memory of the machine ---- */

/* First number after a key of a small file; -1: no file, no key, "max". */
static int64_t read_number(const char *path, const char *key)
{
    char line[256];
    int64_t x = -1;
    FILE *f = fopen(path, "re");

    while (f && x < 0 && fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key)) &&
            sscanf(line + strlen(key), "%ld", &x) != 1)
            x = -1;
    if (f)
        fclose(f);
    return x;
}

static int64_t group_left(const char *limit, const char *usage)
{
    int64_t most = read_number(limit, ""), used = read_number(usage, "");

    if (most < 0 || used < 0)
        return INT64_MAX;
    return most > used ? most - used : 0;
}

int64_t gdr_memory_available(void)
{
    int64_t kib = read_number("/proc/meminfo", "MemAvailable:");
    int64_t here = kib < 0 ? INT64_MAX : kib << 10;
    int64_t v2 = group_left("/sys/fs/cgroup/memory.max",
                            "/sys/fs/cgroup/memory.current");
    int64_t v1 = group_left("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                            "/sys/fs/cgroup/memory/memory.usage_in_bytes");

    here = v2 < here ? v2 : here;
    return v1 < here ? v1 : here;
}

/* ---- random numbers ---- */

typedef struct random_stream {
    uint64_t seed, at;
} random_stream;

static double uniform(random_stream *r)
{
    return (double)(gdr_mix(r->seed, r->at++, 0) >> 11) * 0x1p-53;
}

/* Mean 0, deviation 1; the sum of 4 is normal enough to time with. */
static double bell(random_stream *r)
{
    return (uniform(r) + uniform(r) + uniform(r) + uniform(r) - 2) * 1.7320508;
}

/* How the elements of a tensor are drawn: base + spread * (bell or uniform). */
typedef struct recipe_of_data {
    double base, spread;
    int flat; /* uniform in [base, base + spread) */
} recipe_of_data;

/* ---- filling ---- */

typedef struct filler {
    const gdr_workload_options *o;
    random_stream random;
    int64_t since; /* bytes since the last tick */
} filler;

static void count(filler *f, int64_t bytes)
{
    f->since += bytes;
    if (f->since < tick_bytes || !f->o->tick)
        return;
    f->since = 0;
    f->o->tick(f->o->ctx);
}

/* Writes pattern again and again over [p, p + bytes). */
static gdr_status repeat(gdr_workload *w, filler *f, void *p, int64_t bytes,
                         const void *pattern, int64_t period)
{
    gdr_status st = GDR_OK;

    for (int64_t at = 0; at < bytes && st == GDR_OK; at += period) {
        int64_t n = bytes - at < period ? bytes - at : period;
        st = w->target->write(w->dev, (char *)p + at, pattern, (size_t)n);
        count(f, n);
    }
    return st;
}

/* Fills n elements, drawn in whole rows of `row` elements. */
static gdr_status fill(gdr_workload *w, filler *f, void *p, int64_t n,
                       int64_t row, gdr_dtype dtype, const recipe_of_data *d)
{
    int64_t rows = row < PATTERN ? PATTERN / row : 1;
    int64_t period = rows * row < n ? rows * row : n;
    int64_t bytes = (int64_t)gdr_dtype_bytes(dtype);
    void *pattern = malloc((size_t)(period * bytes) + 1);
    gdr_status st;

    if (!pattern)
        return GDR_ERR_NO_MEMORY;
    for (int64_t i = 0; i < period; i++) {
        double x = d->flat ? uniform(&f->random) : bell(&f->random);
        gdr_store_rounded(dtype, pattern, i, d->base + d->spread * x);
    }
    st = repeat(w, f, p, n * bytes, pattern, period * bytes);
    free(pattern);
    return st;
}

static gdr_status new_memory(gdr_workload *w, int64_t bytes, void **p)
{
    gdr_status st = w->target->alloc(w->dev, (size_t)bytes, p);

    if (st == GDR_OK)
        w->tensor[w->n_tensors++] = *p;
    return st;
}

static gdr_status new_tensor(gdr_workload *w, filler *f, void **p, int64_t n,
                             int64_t row, gdr_dtype dtype,
                             const recipe_of_data *d)
{
    gdr_status st = new_memory(w, n * (int64_t)gdr_dtype_bytes(dtype), p);

    return st == GDR_OK ? fill(w, f, *p, n, row, dtype, d) : st;
}

/* ---- tensors ---- */

static gdr_status make_inputs(gdr_workload *w, filler *f, gdr_args *a)
{
    const gdr_static *s = &w->problem.s;
    const gdr_extents *x = &w->problem.x;
    int64_t BT = x->B * x->T, nk = BT * x->Hk * s->K, nv = BT * x->Hv * s->V;
    recipe_of_data unit = {0, 1 / sqrt((double)s->K), 0}, one = {0, 1, 0};
    gdr_status st = new_tensor(w, f, &a->q.data, nk, s->K, s->io, &unit);

    if (st == GDR_OK)
        st = new_tensor(w, f, &a->k.data, nk, s->K, s->io, &unit);
    if (st == GDR_OK)
        st = new_tensor(w, f, &a->v.data, nv, s->V, s->io, &one);
    if (st == GDR_OK)
        st = new_tensor(w, f, &a->o.data, nv, s->V, s->io, &one);
    return st;
}

/* Decays of exp(-.05) to exp(-.5), as trained models have; beta in (0, 1). */
static gdr_status make_gate(gdr_workload *w, filler *f, gdr_args *a)
{
    static const recipe_of_data g = {-0.5, 0.45, 1}, beta = {0.1, 0.8, 1};
    static const recipe_of_data bell_1 = {0, 1, 0}, a_log = {-2, 1, 1};
    static const recipe_of_data bias = {-0.5, 1, 1};
    int64_t Hv = w->problem.x.Hv, n = w->problem.x.B * w->problem.x.T * Hv;
    int fused = w->problem.s.gate == GDR_GATE_FUSED;
    gdr_tensor *first = fused ? &a->a : &a->g;
    gdr_tensor *second = fused ? &a->b : &a->beta;
    void *A_log = NULL, *dt_bias = NULL;
    gdr_status st;

    st = new_tensor(w, f, &first->data, n, Hv, GDR_F32, fused ? &bell_1 : &g);
    if (st == GDR_OK)
        st = new_tensor(w, f, &second->data, n, Hv, GDR_F32,
                        fused ? &bell_1 : &beta);
    if (st == GDR_OK && fused)
        st = new_tensor(w, f, &A_log, Hv, Hv, GDR_F32, &a_log);
    if (st == GDR_OK && fused)
        st = new_tensor(w, f, &dt_bias, Hv, Hv, GDR_F32, &bias);
    a->A_log = A_log;
    a->dt_bias = dt_bias;
    return st;
}

/* int32 tensor of n numbers: number[i] = of(i). */
static gdr_status new_numbers(gdr_workload *w, filler *f, int64_t n,
                              int32_t (*of)(const gdr_workload *, filler *,
                                            int64_t),
                              const void **out)
{
    int32_t *host = malloc(sizeof *host * (size_t)n);
    void *p = NULL;
    gdr_status st = GDR_ERR_NO_MEMORY;

    if (!host)
        return st;
    for (int64_t i = 0; i < n; i++)
        host[i] = of(w, f, i);
    st = new_memory(w, n * (int64_t)sizeof *host, &p);
    if (st == GDR_OK)
        st = w->target->write(w->dev, p, host, sizeof *host * (size_t)n);
    *out = p;
    free(host);
    return st;
}

/* Sequences are at any position of their ring. */
static int32_t seqlen(const gdr_workload *w, filler *f, int64_t i)
{
    (void)w;
    (void)i;
    return (int32_t)(100 + uniform(&f->random) * 4000);
}

static int32_t accepted(const gdr_workload *w, filler *f, int64_t i)
{
    (void)i;
    return 1 + (int32_t)(uniform(&f->random) * (double)w->problem.x.T);
}

/* A permutation in which a sequence's slots lie apart, as a paged pool's do:
 * i -> i * stride mod n, stride near n * golden ratio and coprime to n. */
static int64_t coprime_stride(int64_t n)
{
    int64_t stride = (int64_t)((double)n * 0.6180339887) | 1;

    for (;; stride++) {
        int64_t a = n, b = stride;
        while (b) {
            int64_t r = a % b;
            a = b;
            b = r;
        }
        if (a == 1)
            return stride;
    }
}

static int32_t slot(const gdr_workload *w, filler *f, int64_t i)
{
    int64_t n = pool_states(&w->problem);

    (void)f;
    return (int32_t)(i * coprime_stride(n) % n);
}

static gdr_status make_indices(gdr_workload *w, filler *f, gdr_args *a)
{
    const gdr_extents *x = &w->problem.x;
    gdr_contract c = w->problem.s.contract;
    const void *numbers = NULL;
    gdr_status st = GDR_OK;

    if (c == GDR_RING) {
        st = new_numbers(w, f, x->B, seqlen, &numbers);
        a->cache_seqlens = numbers;
    }
    if (c == GDR_INDEXED) {
        a->n_slots = x->B * x->T;
        a->indices_stride_b = x->T;
        st = new_numbers(w, f, x->B * x->T, slot, &a->state_indices);
        if (st == GDR_OK)
            st = new_numbers(w, f, x->B, accepted, &numbers);
        a->accepted = numbers;
    }
    return st;
}

/* ---- states ---- */

static int choose_sets(int64_t between, const gdr_workload_options *o)
{
    int64_t n = (o->cold_bytes + between - 1) / between;
    int64_t most = o->most_bytes / between;

    n = n > most ? most : n;
    n = n > MOST_SETS ? MOST_SETS : n;
    return n < 1 ? 1 : (int)n;
}

/* The arguments of every set: the first one's, with states of their own. */
static void spread_sets(gdr_workload *w, const gdr_args *a)
{
    int64_t bytes = (int64_t)gdr_dtype_bytes(w->problem.s.state);
    int64_t pool = pool_states(&w->problem) * w->problem.x.Hv * w->problem.s.K *
                   w->problem.s.V * bytes;

    for (int i = 0; i < w->n_sets; i++) {
        char *base = (char *)w->states + i * w->between;
        w->set[i] = *a;
        w->set[i].state = base;
        if (w->problem.s.contract == GDR_SNAPSHOTS)
            w->set[i].snapshots = base + pool;
    }
}

static gdr_status make_states(gdr_workload *w, filler *f, const gdr_args *a)
{
    static const recipe_of_data small = {0, 0.1, 0};
    int64_t bytes = (int64_t)gdr_dtype_bytes(w->problem.s.state), all;
    gdr_status st;

    w->between = (w->size.state + STATE_ALIGN - 1) / STATE_ALIGN * STATE_ALIGN;
    w->n_sets = choose_sets(w->between, f->o);
    all = w->between * w->n_sets;
    w->set = calloc((size_t)w->n_sets, sizeof *w->set);
    if (!w->set)
        return GDR_ERR_NO_MEMORY;
    st = w->target->alloc(w->dev, (size_t)all, &w->states);
    if (st == GDR_OK)
        st = fill(w, f, w->states, all / bytes, 64, w->problem.s.state, &small);
    spread_sets(w, a);
    return st;
}

gdr_status gdr_workload_open(const gdr_target *target, void *dev,
                             const gdr_problem *p,
                             const gdr_workload_options *o, gdr_workload **out)
{
    gdr_workload *w = calloc(1, sizeof *w);
    filler f = {.o = o, .random = {.seed = o->seed}};
    gdr_args a;
    gdr_status st;

    *out = NULL;
    if (!w)
        return GDR_ERR_NO_MEMORY;
    w->target = target;
    w->dev = dev;
    w->problem = *p;
    gdr_args_init(&a, p);
    st = gdr_footprint_of(p, &w->size);
    if (st == GDR_OK)
        st = make_inputs(w, &f, &a);
    if (st == GDR_OK)
        st = make_gate(w, &f, &a);
    if (st == GDR_OK)
        st = make_indices(w, &f, &a);
    if (st == GDR_OK)
        st = make_states(w, &f, &a);
    if (st == GDR_OK)
        *out = w;
    else
        gdr_workload_close(w);
    return st;
}

void gdr_workload_close(gdr_workload *w)
{
    if (!w)
        return;
    for (int i = 0; i < w->n_tensors; i++)
        w->target->free(w->dev, w->tensor[i]);
    w->target->free(w->dev, w->states);
    w->target->free(w->dev, w->workspace);
    free(w->set);
    free(w);
}

gdr_status gdr_workload_reserve(gdr_workload *w, int64_t workspace_bytes)
{
    void *p = NULL;
    gdr_status st;

    if (workspace_bytes <= w->workspace_bytes)
        return GDR_OK;
    st = w->target->alloc(w->dev, (size_t)workspace_bytes, &p);
    if (st != GDR_OK)
        return st;
    w->target->free(w->dev, w->workspace);
    w->workspace = p;
    w->workspace_bytes = workspace_bytes;
    for (int i = 0; i < w->n_sets; i++) {
        w->set[i].workspace = p;
        w->set[i].workspace_bytes = (size_t)workspace_bytes;
    }
    return GDR_OK;
}
