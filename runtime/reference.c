/*
 * reference.c - the golden recurrence in float64. What must stay true: it
 * follows the definition line by line, rounds only where a state or an output
 * is stored, and shares nothing with the templates.
 */
#include "reference.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* ---- one token ---------------------------------------------------------- */

/* Four doubles at once: K is a multiple of 8, and a plain sum over K does not
 * vectorise (the gate would take four times as long). */
typedef double lanes __attribute__((vector_size(32), aligned(8), may_alias));
typedef int64_t bits4 __attribute__((vector_size(32)));

enum { LANES = 4 };

static inline double sum(const lanes *x)
{
    return ((*x)[0] + (*x)[1]) + ((*x)[2] + (*x)[3]);
}

/* Sums over K of one value column: with F = decay * S */
typedef struct column_sums {
    double kF, abs_kF, abs_qF, FF;
} column_sums;

static void decay_column(const gdr_token *t, double *row, column_sums *c)
{
    lanes kF = {0}, akF = {0}, aqF = {0}, FF = {0};
    for (int i = 0; i < t->K; i += LANES) {
        lanes F = *(lanes *)(row + i) * t->decay;
        lanes kf = *(const lanes *)(t->k + i) * F;
        lanes qf = *(const lanes *)(t->q + i) * F;
        *(lanes *)(row + i) = F;
        kF += kf;
        akF += (lanes)((bits4)kf & INT64_MAX);
        aqF += (lanes)((bits4)qf & INT64_MAX);
        FF += F * F;
    }
    *c = (column_sums){sum(&kF), sum(&akF), sum(&aqF), sum(&FF)};
}

/* S += k d; returns q'S */
static double update_column(const gdr_token *t, double *row, double d)
{
    lanes o = {0};
    for (int i = 0; i < t->K; i += LANES) {
        lanes S = *(lanes *)(row + i) + *(const lanes *)(t->k + i) * d;
        *(lanes *)(row + i) = S;
        o += *(const lanes *)(t->q + i) * S;
    }
    return sum(&o);
}

/*
 * The error scale of semantics.md, "forward-error bounds". Two terms are added
 * to it for gates that the kernel computes itself: a decay that is off by
 * gate_error * u moves F by that much, a beta off by beta_error * u moves d.
 */
static void carry_error(const gdr_token *t, const column_sums *c, double v,
                        double kk, double qq, double abs_qk, double *e,
                        double *e_o)
{
    double mu = fabs(v) + c->abs_kF;
    double r = fmax(1, fabs(1 - t->beta * kk));
    double old = r * t->decay * *e;
    double abs_beta = fabs(t->beta);
    double d =
        abs_beta * (mu * (1 + t->beta_error) + t->gate_error * c->abs_kF);
    double F = 1 + t->gate_error;
    if (e_o)
        *e_o = sqrt(qq) * old + F * c->abs_qF + abs_qk * d;
    *e = old + F * sqrt(c->FF) + sqrt(kk) * d;
}

void gdr_token_step(const gdr_token *t, double *S, double *o, double *e,
                    double *e_o)
{
    assert(t->K % LANES == 0);
    double kk = 0, qq = 0, abs_qk = 0;
    for (int i = 0; i < t->K; i++) {
        kk += t->k[i] * t->k[i];
        qq += t->q[i] * t->q[i];
        abs_qk += fabs(t->q[i] * t->k[i]);
    }
    for (int j = 0; j < t->V; j++) {
        column_sums c;
        double *row = S + (int64_t)j * t->K;
        decay_column(t, row, &c);
        o[j] = update_column(t, row, t->beta * (t->v[j] - c.kF));
        if (e)
            carry_error(t, &c, t->v[j], kk, qq, abs_qk, e + j,
                        e_o ? e_o + j : NULL);
    }
}

/* ---- the inputs of a token ---------------------------------------------- */

static int64_t at(const gdr_tensor *x, int64_t b, int64_t t, int64_t h)
{
    return b * x->stride_b + t * x->stride_t + h * x->stride_h;
}

static double gate_value(const gdr_static *s, const gdr_args *a,
                         const gdr_tensor *x, unsigned io_flag, int64_t index)
{
    return gdr_load(a->flags & io_flag ? s->io : GDR_F32, x->data, index);
}

static void read_vector(gdr_dtype d, const gdr_tensor *x, int64_t index, int n,
                        double *out)
{
    for (int i = 0; i < n; i++)
        out[i] = gdr_load(d, x->data, index + i);
}

/* x / sqrt(sum x^2 + 1e-6), the form of FLA and of every engine */
static void normalise(double *x, int n)
{
    double ss = 1e-6;
    for (int i = 0; i < n; i++)
        ss += x[i] * x[i];
    double norm = sqrt(ss);
    for (int i = 0; i < n; i++)
        x[i] /= norm;
}

/*
 * The fused gate is float32 in a kernel. In units of u, and counting on the 16
 * of the bound: the sum a + dt_bias, exp(A_log), softplus and their product
 * err relatively by about |x| + |A_log| + 6, and exp(g) turns a relative error
 * of g into |g| times it. softplus as log(1 + exp(x)), which the field uses,
 * errs by up to 3 u absolutely (2^-22 ln 2 with a hardware log2), hence the
 * last term. Wider than a kernel needs that forms g in float64; a g rounded to
 * bf16 still shows where |g| > 2^-9.
 */
static double fused_decay_error(double g, double x, double A_log)
{
    return -g * (1 + (fabs(x) + fabs(A_log)) / 16) + exp(A_log) / 4;
}

/* sigmoid(b) in float32: about |b| (exp's argument, b < 0) + 4 units */
static double fused_beta_error(double b)
{
    return (4 + fabs(b)) / 16;
}

static void read_fused(const gdr_static *s, const gdr_args *a, int64_t b,
                       int64_t t, int64_t hv, gdr_token *out)
{
    double x = gate_value(s, a, &a->a, GDR_GATE_IO, at(&a->a, b, t, hv));
    double y = gate_value(s, a, &a->b, GDR_BETA_IO, at(&a->b, b, t, hv));
    x += a->dt_bias[hv];
    double softplus = x > 20 ? x : log1p(exp(x));
    double g = -exp(a->A_log[hv]) * softplus;
    out->decay = exp(g);
    out->beta = (a->flags & GDR_NEG_EIGVAL ? 2 : 1) / (1 + exp(-y));
    out->gate_error = fused_decay_error(g, x, a->A_log[hv]);
    out->beta_error = fused_beta_error(y);
    if (out->decay == 0)
        out->gate_error = 0; /* 0 times a term that may be infinite */
}

static void read_given(const gdr_static *s, const gdr_args *a, int64_t b,
                       int64_t t, int64_t hv, gdr_token *out)
{
    out->decay = out->beta = 1;
    if (a->g.data) {
        out->decay = gate_value(s, a, &a->g, GDR_GATE_IO, at(&a->g, b, t, hv));
        if (!(a->flags & GDR_ALPHA))
            out->decay = exp(out->decay);
    }
    if (a->beta.data)
        out->beta =
            gate_value(s, a, &a->beta, GDR_BETA_IO, at(&a->beta, b, t, hv));
}

void gdr_token_read(const gdr_static *s, const gdr_args *a, int64_t b,
                    int64_t t, int64_t hv, double *q, double *k, double *v,
                    gdr_token *out)
{
    const gdr_extents *x = &a->x;
    int64_t h = a->flags & GDR_HEAD_MOD ? hv % x->Hk : hv / (x->Hv / x->Hk);
    read_vector(s->io, &a->q, at(&a->q, b, t, h), s->K, q);
    read_vector(s->io, &a->k, at(&a->k, b, t, h), s->K, k);
    read_vector(s->io, &a->v, at(&a->v, b, t, hv), s->V, v);
    if (s->l2norm) {
        normalise(q, s->K);
        normalise(k, s->K);
    }
    for (int i = 0; i < s->K; i++)
        q[i] *= a->scale;
    *out = (gdr_token){.K = s->K, .V = s->V, .q = q, .k = k, .v = v};
    (s->gate == GDR_GATE_FUSED ? read_fused : read_given)(s, a, b, t, hv, out);
}

/* ---- states in memory --------------------------------------------------- */

void gdr_state_load(const gdr_static *s, gdr_dtype d, const void *base,
                    int64_t offset, double *S)
{
    int vk = s->layout == GDR_VK;
    for (int64_t j = 0; j < s->V; j++)
        for (int64_t i = 0; i < s->K; i++)
            S[j * s->K + i] =
                gdr_load(d, base, offset + (vk ? j * s->K + i : i * s->V + j));
}

static void state_store(const gdr_static *s, gdr_dtype d, void *base,
                        int64_t offset, const double *S)
{
    int vk = s->layout == GDR_VK;
    for (int64_t j = 0; j < s->V; j++)
        for (int64_t i = 0; i < s->K; i++)
            gdr_store_rounded(d, base,
                              offset + (vk ? j * s->K + i : i * s->V + j),
                              S[j * s->K + i]);
}

/* ---- gdr_reference ------------------------------------------------------ */

typedef struct scratch {
    double *S, *q, *k, *v, *o;
} scratch;

static void write_output(const gdr_static *s, const gdr_args *a, int64_t b,
                         int64_t t, int64_t hv, const double *o)
{
    for (int j = 0; j < s->V; j++)
        gdr_store_rounded(s->io, a->o.data, at(&a->o, b, t, hv) + j,
                          o ? o[j] : 0);
}

static void write_state(const gdr_static *s, const gdr_args *a, int64_t b,
                        int64_t t, int64_t hv, const double *S)
{
    gdr_state_write w = gdr_state_sink(s, a, b, hv, t);
    if (w.offset >= 0)
        state_store(s, w.dtype, w.pool ? a->snapshots : a->state, w.offset, S);
}

static void reference_head(const gdr_static *s, const gdr_args *a, int64_t b,
                           int64_t hv, scratch *w)
{
    gdr_state_map source = gdr_state_source(s, a, b, hv);
    if (source.valid)
        gdr_state_load(s, s->state, a->state, source.read, w->S);
    for (int64_t t = 0; t < a->x.T; t++) {
        gdr_token token;
        if (!source.valid) {
            write_output(s, a, b, t, hv, NULL);
            continue;
        }
        gdr_token_read(s, a, b, t, hv, w->q, w->k, w->v, &token);
        gdr_token_step(&token, w->S, w->o, NULL, NULL);
        write_output(s, a, b, t, hv, w->o);
        if (s->round_between_tokens)
            for (int64_t i = 0; i < (int64_t)s->K * s->V; i++)
                w->S[i] = gdr_round(s->state, w->S[i]);
        write_state(s, a, b, t, hv, w->S);
    }
    if (a->x.T > 0)
        write_state(s, a, b, a->x.T, hv, w->S);
}

gdr_status gdr_reference(const gdr_static *s, const gdr_args *args, char *msg,
                         size_t n)
{
    gdr_status status = gdr_args_check(s, args, msg, n);
    if (status != GDR_OK)
        return status;
    size_t K = (size_t)s->K, V = (size_t)s->V;
    double *memory = calloc(K * V + 2 * K + 2 * V, sizeof *memory);
    if (!memory)
        return GDR_ERR_NO_MEMORY;
    scratch w = {memory, memory + K * V, memory + K * V + K,
                 memory + K * V + 2 * K, memory + K * V + 2 * K + V};
    for (int64_t b = 0; b < args->x.B; b++)
        for (int64_t hv = 0; hv < args->x.Hv; hv++)
            reference_head(s, args, b, hv, &w);
    free(memory);
    return GDR_OK;
}
