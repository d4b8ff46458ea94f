/*
 * oracle.c - expected values and bounds. What must stay true: every comparison
 * is written so that a NaN fails, and nothing of what the variant wrote enters
 * the expectation, but for the states that the contract rounds and reads again.
 */
#include "oracle.h"
#include "../runtime/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Correct kernels, serial and tree-ordered, with a hardware exp off by 2 ulp,
 * stay below 8.7 over 2e9 values; 16 leaves room for other orders. */
static const double limit = 16;
static const double u = 0x1p-24;

/* A kernel may flush float32 subnormals: exp(g) < 2^-126 becomes 0, and
 * states of 20 times that. Nothing that small matters to a model. */
static const double flushed = 0x1p-120;

struct gdr_oracle {
    gdr_static s;
    double *S, *e;     /* [V][K], [V] */
    double *q, *k, *v; /* [K], [K], [V] */
    double *o, *e_o;   /* [V] */
    double memory[];
};

gdr_status gdr_oracle_open(const gdr_static *s, gdr_oracle **out)
{
    size_t K = (size_t)s->K, V = (size_t)s->V;
    gdr_oracle *x =
        malloc(sizeof *x + (K * V + 2 * K + 4 * V) * sizeof(double));
    *out = x;
    if (!x)
        return GDR_ERR_NO_MEMORY;
    x->s = *s;
    x->S = x->memory;
    x->e = x->S + K * V;
    x->q = x->e + V;
    x->k = x->q + K;
    x->v = x->k + K;
    x->o = x->v + V;
    x->e_o = x->o + V;
    return GDR_OK;
}

void gdr_oracle_close(gdr_oracle *oracle)
{
    free(oracle);
}

/* ---- comparing ---------------------------------------------------------- */

/* The bound of one element; d: the dtype whose rounding is allowed. */
static double error_bound(gdr_dtype d, double E, double e)
{
    return gdr_ulp(d, E) / 2 + limit * u * e + flushed;
}

/* Returns 1 when this is the worst so far: the caller says where it is. */
static int compare(gdr_dtype d, double E, double e, double x, gdr_miss *miss)
{
    double bound = error_bound(d, E, e);
    double ratio = fabs(x - E) / bound;
    if (fabs(E) > 65504 && isinf(gdr_round(d, E)))
        ratio = x == gdr_round(d, E) ? 0 : INFINITY;
    if (!(ratio == ratio))
        ratio = INFINITY;
    if (ratio <= miss->ratio)
        return 0;
    miss->ratio = ratio;
    miss->expected = E;
    miss->got = x;
    miss->bound = bound;
    return 1;
}

static void blame(gdr_miss *miss, const char *what, int64_t b, int64_t t,
                  int64_t hv, int row, int column)
{
    miss->what = what;
    miss->b = b;
    miss->t = t;
    miss->hv = hv;
    miss->row = row;
    miss->column = column;
}

static void compare_o(const gdr_oracle *x, const gdr_args *got, int64_t b,
                      int64_t t, int64_t hv, int valid, gdr_miss *miss)
{
    const gdr_tensor *o = &got->o;
    int64_t at = b * o->stride_b + t * o->stride_t + hv * o->stride_h;
    for (int j = 0; j < x->s.V; j++) {
        double value = gdr_load(x->s.io, o->data, at + j);
        int worst;
        if (valid)
            worst = compare(x->s.io, x->o[j], x->e_o[j], value, miss);
        else if ((worst = !(value == 0) && !(miss->ratio == INFINITY)))
            *miss = (gdr_miss){.ratio = INFINITY, .got = value};
        if (worst)
            blame(miss, "o", b, t, hv, -1, j);
    }
}

/* 16-bit states in bulk: half of the gate's time would go to gdr_load. */
static void load_row(gdr_dtype d, const void *base, int64_t at, int64_t step,
                     int n, double *out)
{
    if (d == GDR_F32 && step == 1) {
        const char *p = (const char *)base + 4 * at;
        for (int i = 0; i < n; i++) {
            float f;
            memcpy(&f, p + 4 * i, sizeof f);
            out[i] = f;
        }
        return;
    }
    for (int i = 0; i < n; i++)
        out[i] = gdr_load(d, base, at + i * step);
}

/* A snapshot in float32 of a state that is rounded between tokens may hold it
 * before or after the rounding. */
static gdr_dtype rounding_of(const gdr_static *s, gdr_dtype stored)
{
    return s->round_between_tokens ? s->state : stored;
}

static void compare_state(const gdr_oracle *x, const gdr_args *got, int64_t b,
                          int64_t t, int64_t hv, gdr_miss *miss)
{
    const gdr_static *s = &x->s;
    gdr_state_write w = gdr_state_sink(s, got, b, hv, t);
    if (w.offset < 0)
        return;
    int vk = s->layout == GDR_VK;
    gdr_dtype d = w.pool ? rounding_of(s, w.dtype) : w.dtype;
    const void *base = w.pool ? got->snapshots : got->state;
    for (int j = 0; j < s->V; j++) {
        double row[1024];
        const double *E = x->S + (int64_t)j * s->K;
        load_row(w.dtype, base, w.offset + (vk ? (int64_t)j * s->K : j),
                 vk ? 1 : s->V, s->K, row);
        for (int i = 0; i < s->K; i++)
            if (compare(d, E[i], x->e[j], row[i], miss))
                blame(miss, w.pool ? "snapshot" : "state", b, t, hv, i, j);
    }
}

/* ---- judging ------------------------------------------------------------ */

static void load_state(gdr_oracle *x, gdr_dtype d, const void *base,
                       int64_t offset)
{
    gdr_state_load(&x->s, d, base, offset, x->S);
    memset(x->e, 0, (size_t)x->s.V * sizeof *x->e);
}

/* Between tokens t and t + 1, where the contract rounds. */
static void round_state(gdr_oracle *x, const gdr_args *got,
                        const gdr_args *stored, int64_t b, int64_t t,
                        int64_t hv)
{
    const gdr_static *s = &x->s;
    if (stored)
        got = &stored[t + 1];
    gdr_state_write w = gdr_state_sink(s, got, b, hv, t);
    if (w.offset >= 0)
        load_state(x, w.dtype, w.pool ? got->snapshots : got->state, w.offset);
    for (int64_t i = 0; i < (int64_t)s->K * s->V; i++)
        x->S[i] = gdr_round(s->state, x->S[i]);
}

void gdr_oracle_judge(gdr_oracle *x, const gdr_args *in, const gdr_args *got,
                      const gdr_args *stored, int64_t b, int64_t hv,
                      int64_t from, gdr_miss *o, gdr_miss *state)
{
    const gdr_static *s = &x->s;
    gdr_state_map source = gdr_state_source(s, in, b, hv);
    int64_t T = in->x.T;
    if (source.valid)
        load_state(x, s->state, in->state, source.read);
    for (int64_t t = 0; t < T; t++) {
        gdr_token token;
        if (source.valid) {
            gdr_token_read(s, in, b, t, hv, x->q, x->k, x->v, &token);
            gdr_token_step(&token, x->S, x->o, x->e, x->e_o);
        }
        if (t >= from)
            compare_o(x, got, b, t, hv, source.valid, o);
        if (!source.valid)
            continue;
        if (t >= from)
            compare_state(x, got, b, t, hv, state);
        if (s->round_between_tokens && t + 1 < T)
            round_state(x, got, stored, b, t, hv);
    }
    if (source.valid && T > 0)
        compare_state(x, got, b, T, hv, state); /* the slot, after snapshots */
}
