/*
 * test_reference.c - the oracle itself: values computed by hand, identities
 * that the definition implies, and calls that must mean the same.
 */
#include "../runtime/reference.h"
#include "../tuner/data.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static void assert_close(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance * (1 + fabs(b))))
        fail_msg("%.17g is not %.17g to %g", a, b, tolerance);
}

/* ---- dtypes ------------------------------------------------------------- */

static uint16_t stored16(gdr_dtype d, double x)
{
    uint16_t h = 0;
    gdr_store_rounded(d, &h, 0, x);
    return h;
}

static void rounds_to_nearest_even(void **state)
{
    static const struct {
        gdr_dtype d;
        double x, y;
    } table[] = {
        {GDR_BF16, 1 + 0x1p-8, 1},                    /* tie, down to even */
        {GDR_BF16, 1 + 0x3p-8, 1 + 0x1p-6},           /* tie, up to even */
        {GDR_BF16, 1 + 0x1p-8 + 0x1p-40, 1 + 0x1p-7}, /* float would tie */
        {GDR_BF16, -(1 + 0x1p-8), -1},
        {GDR_BF16, 0x1p-134, 0}, /* half a subnormal */
        {GDR_BF16, 0x1.8p-133, 0x1p-132},
        {GDR_BF16, 3.39e38, 0x1.fep127},
        {GDR_BF16, 3.4e38, INFINITY},
        {GDR_F16, 1 + 0x1p-11, 1},
        {GDR_F16, 1 + 0x1p-11 + 0x1p-50, 1 + 0x1p-10},
        {GDR_F16, 65519, 65504},
        {GDR_F16, 65520, INFINITY},
        {GDR_F16, -65520, -INFINITY},
        {GDR_F16, 0x1p-25, 0},
        {GDR_F16, 0x1.8p-24, 0x1p-23},
        {GDR_F16, 0x1.ffep-15, 0x1p-14},
        {GDR_F32, 1 + 0x1p-24, 1},
        {GDR_F32, 1e300, INFINITY},
        {GDR_F32, 0x1p-150, 0},
        {GDR_F32, 0x1.8p-149, 0x1p-148},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (gdr_round(table[i].d, table[i].x) != table[i].y)
            fail_msg("%a in dtype %d: %a, not %a", table[i].x, (int)table[i].d,
                     gdr_round(table[i].d, table[i].x), table[i].y);
    assert_true(signbit(gdr_round(GDR_F16, -0x1p-30)));
    assert_true(isnan(gdr_round(GDR_BF16, NAN)));
}

static void converts_every_16_bit_value(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 0x10000; i++) {
        uint16_t h = (uint16_t)i;
        double f = gdr_load(GDR_F16, &h, 0), b = gdr_load(GDR_BF16, &h, 0);
        if (isnan(f))
            assert_true(isnan(gdr_round(GDR_F16, f)) &&
                        (stored16(GDR_F16, f) & 0x7fff) > 0x7c00);
        else
            assert_int_equal(stored16(GDR_F16, f), h);
        if (isnan(b))
            assert_true((stored16(GDR_BF16, b) & 0x7fff) > 0x7f80);
        else
            assert_int_equal(stored16(GDR_BF16, b), h);
    }
    assert_int_equal(stored16(GDR_F16, 1), 0x3c00);
    assert_int_equal(stored16(GDR_F16, 65504), 0x7bff);
    assert_int_equal(stored16(GDR_F16, -INFINITY), 0xfc00);
    assert_int_equal(stored16(GDR_BF16, -2), 0xc000);
}

static void knows_the_spacing(void **state)
{
    (void)state;
    assert_true(gdr_ulp(GDR_F32, 1) == 0x1p-23);
    assert_true(gdr_ulp(GDR_BF16, -1.9) == 0x1p-7);
    assert_true(gdr_ulp(GDR_F16, 2) == 0x1p-9);
    assert_true(gdr_ulp(GDR_F16, 0x1p-14) == 0x1p-24);
    assert_true(gdr_ulp(GDR_F16, 0) == 0x1p-24);
    assert_true(gdr_ulp(GDR_F32, 0) == 0x1p-149);
    assert_true(gdr_ulp(GDR_BF16, 1e-300) == 0x1p-133);
}

/* ---- one token ---------------------------------------------------------- */

enum { K = 16, V = 3, T = 4 };

typedef struct tokens {
    double q[T][K], k[T][K], v[T][V], decay[T], beta[T], S[V * K];
} tokens;

static void fill(tokens *x, uint64_t seed)
{
    double *p = &x->q[0][0];
    for (size_t i = 0; i < sizeof *x / sizeof *p; i++)
        p[i] = gdr_data_normal(seed, i);
    for (int t = 0; t < T; t++) {
        x->decay[t] = gdr_data_uniform(~seed, (uint64_t)t);
        x->beta[t] = 2 * gdr_data_uniform(~seed, (uint64_t)t + T);
    }
}

static void step(const tokens *x, int t, double *S, double *o, double *e,
                 double *e_o)
{
    gdr_token token = {.K = K,
                       .V = V,
                       .q = x->q[t],
                       .k = x->k[t],
                       .v = x->v[t],
                       .decay = x->decay[t],
                       .beta = x->beta[t]};
    gdr_token_step(&token, S, o, e, e_o);
}

static double dot(const double *x, const double *y)
{
    double sum = 0;
    for (int i = 0; i < K; i++)
        sum += x[i] * y[i];
    return sum;
}

/* k = e0, q = 2 e1: S[0] = 4 -> 2, d = .5 (3 - 2); S[1] = 8 -> 4, o = 2 * 4 */
static void computes_by_hand(void **state)
{
    double q[8] = {0, 2}, k[8] = {1}, v[2] = {3, -1}, o[2], e[2] = {0}, eo[2];
    double S[16] = {4, 8, 0, 0, 0, 0, 0, 0, /* v 1: */ 0, 0, 0, 0, 0, 0, 0, 1};
    gdr_token t = {
        .K = 8, .V = 2, .q = q, .k = k, .v = v, .decay = 0.5, .beta = 0.5};
    (void)state;
    gdr_token_step(&t, S, o, e, eo);
    assert_true(S[0] == 2.5 && S[1] == 4 && o[0] == 8);
    assert_true(S[8] == -0.5 && S[15] == 0.5 && o[1] == 0);
    /* mu = 3 + 2, |F| = sqrt(20), |q||F| = 8, |qk| = 0 */
    assert_close(e[0], sqrt(20) + 0.5 * 5, 1e-15);
    assert_close(eo[0], 8, 1e-15);
    gdr_token_step(&t, S, o, e, eo); /* r = 1: e decays */
    assert_close(e[0], 0.5 * (sqrt(20) + 2.5) + hypot(1.25, 2) + 0.5 * 4.25,
                 1e-15);
    assert_close(eo[0], 2 * 0.5 * (sqrt(20) + 2.5) + 4, 1e-15);
    gdr_token_step(&t, S, o, NULL, NULL);
}

/* beta |k|^2 = 4 turns an old error round, three times as large */
static void carries_growing_errors(void **state)
{
    double q[8] = {1}, k[8] = {2}, v[1] = {0}, o[1], e[1] = {5}, eo[1];
    double S[8] = {0};
    gdr_token t = {
        .K = 8, .V = 1, .q = q, .k = k, .v = v, .decay = 0.5, .beta = 1};
    (void)state;
    gdr_token_step(&t, S, o, e, eo);
    assert_true(e[0] == 3 * 0.5 * 5 && eo[0] == 3 * 0.5 * 5);
}

static void widens_for_a_computed_gate(void **state)
{
    double q[8] = {1}, k[8] = {1}, v[1] = {1}, o[1], e[1] = {0}, eo[1];
    double S[8] = {1};
    gdr_token t = {.K = 8,
                   .V = 1,
                   .q = q,
                   .k = k,
                   .v = v,
                   .decay = 1,
                   .beta = 1,
                   .gate_error = 3,
                   .beta_error = 0.5};
    (void)state;
    gdr_token_step(&t, S, o, e, eo);
    /* F twice: |F| (1 + 3); d: mu (1 + .5) + 3 |kF|, mu = 2 */
    assert_close(e[0], 4 + (2 * 1.5 + 3), 1e-15);
    assert_close(eo[0], 4 + (2 * 1.5 + 3), 1e-15);
}

/* o = exp(g) q'S + d (q'k) */
static void agrees_with_one_pass(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        tokens x;
        double S[V * K], o[V];
        fill(&x, seed);
        memcpy(S, x.S, sizeof S);
        step(&x, 0, S, o, NULL, NULL);
        for (int j = 0; j < V; j++) {
            double *S0 = x.S + j * K, a = x.decay[0];
            double d = x.beta[0] * (x.v[0][j] - a * dot(x.k[0], S0));
            assert_close(o[j], a * dot(x.q[0], S0) + d * dot(x.q[0], x.k[0]),
                         1e-13);
            for (int i = 0; i < K; i++)
                assert_close(S[j * K + i], a * S0[i] + x.k[0][i] * d, 1e-13);
        }
    }
}

/* decay from after token s to after token t */
static double decayed(const tokens *x, int t, int s)
{
    double D = 1;
    while (++s <= t)
        D *= x->decay[s];
    return D;
}

/* All T tokens from one read of S0. */
static void rank_form(const tokens *x, int j, double o[T], double S[K])
{
    double d[T], *S0 = (double *)x->S + j * K;
    for (int t = 0; t < T; t++) {
        double D0 = decayed(x, t, -1);
        d[t] = x->v[t][j] - D0 * dot(x->k[t], S0);
        for (int s = 0; s < t; s++)
            d[t] -= decayed(x, t, s) * dot(x->k[t], x->k[s]) * d[s];
        d[t] *= x->beta[t];
        o[t] = D0 * dot(x->q[t], S0);
        for (int s = 0; s <= t; s++)
            o[t] += decayed(x, t, s) * dot(x->q[t], x->k[s]) * d[s];
    }
    for (int i = 0; i < K; i++) {
        S[i] = decayed(x, T - 1, -1) * S0[i];
        for (int s = 0; s < T; s++)
            S[i] += decayed(x, T - 1, s) * x->k[s][i] * d[s];
    }
}

static void agrees_with_rank_form(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 150; seed++) {
        tokens x;
        double S[V * K], o[T][V];
        fill(&x, seed);
        for (int t = 0; t < T; t++)
            for (int i = 0; i < K; i++)
                x.k[t][i] /= 4; /* norm 1: sums stay near 1 */
        memcpy(S, x.S, sizeof S);
        for (int t = 0; t < T; t++)
            step(&x, t, S, o[t], NULL, NULL);
        for (int j = 0; j < V; j++) {
            double o_rank[T], S_rank[K];
            rank_form(&x, j, o_rank, S_rank);
            for (int t = 0; t < T; t++)
                assert_close(o[t][j], o_rank[t], 1e-12);
            for (int i = 0; i < K; i++)
                assert_close(S[j * K + i], S_rank[i], 1e-12);
        }
    }
}

/* ---- whole calls -------------------------------------------------------- */

/* Memory for any small call, float32 or, halved, 16 bits. */
typedef struct call {
    gdr_problem p;
    gdr_args a;
    float q[2048], k[2048], v[2048], o[2048], g[64], beta[64];
    float A_log[8], dt_bias[8], state[16384], snapshots[16384];
    int32_t index[16], c[4], accepted[4];
    int64_t index64[16];
} call;

static void fill_tensor(gdr_dtype d, void *p, int n, double scale,
                        uint64_t seed)
{
    for (int i = 0; i < n; i++)
        gdr_store_rounded(d, p, i, scale * gdr_data_normal(seed, (uint64_t)i));
}

/* Contiguous arguments and random data; the same data for every contract. */
static call *open_call(const char *problem)
{
    call *c = calloc(1, sizeof *c);
    char msg[200] = "";
    assert_non_null(c);
    if (gdr_problem_parse(problem, &c->p, msg, sizeof msg) != GDR_OK)
        fail_msg("%s: %s", problem, msg);
    gdr_args *a = &c->a;
    gdr_dtype io = c->p.s.io;
    gdr_args_init(a, &c->p);
    fill_tensor(io, c->q, 1024, 1, 1);
    fill_tensor(io, c->k, 1024, 0.25, 2);
    fill_tensor(io, c->v, 1024, 1, 3);
    fill_tensor(c->p.s.state, c->state, 4096, 1, 4);
    memset(c->o, 0xff, sizeof c->o);
    for (int i = 0; i < 64; i++) {
        c->g[i] = -(float)gdr_data_uniform(5, (uint64_t)i);
        c->beta[i] = (float)gdr_data_uniform(6, (uint64_t)i);
    }
    a->q.data = c->q;
    a->k.data = c->k;
    a->v.data = c->v;
    a->o.data = c->o;
    a->g.data = a->a.data = c->g;
    a->beta.data = a->b.data = c->beta;
    a->A_log = c->A_log;
    a->dt_bias = c->dt_bias;
    a->state = c->state;
    a->snapshots = c->snapshots;
    a->cache_seqlens = c->c;
    return c;
}

static void run(call *c)
{
    char msg[200] = "";
    gdr_status status = gdr_reference(&c->p.s, &c->a, msg, sizeof msg);
    if (status != GDR_OK)
        fail_msg("status %d: %s", (int)status, msg);
}

static void assert_same(const void *a, const void *b, size_t n)
{
    assert_memory_equal(a, b, n);
}

enum { HEAD = 16 * 8 }; /* k16v8 */

static void layouts_agree(void **state)
{
    call *x = open_call("recurrent:final:vk:f32/f32:k16v8:l2norm:g / "
                        "b2t3hk1hv2");
    call *y = open_call("recurrent:final:kv:f32/f32:k16v8:l2norm:g / "
                        "b2t3hk1hv2");
    (void)state;
    for (int h = 0; h < 4; h++)
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 8; j++)
                y->state[h * HEAD + i * 8 + j] =
                    x->state[h * HEAD + j * 16 + i];
    run(x);
    run(y);
    assert_same(x->o, y->o, sizeof x->o);
    for (int h = 0; h < 4; h++)
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 8; j++)
                assert_true(y->state[h * HEAD + i * 8 + j] ==
                            x->state[h * HEAD + j * 16 + i]);
    free(x);
    free(y);
}

/* What the contracts store after each token is the state of `final` there. */
static void contracts_agree(void **state)
{
    enum { TOKENS = 3, N = 2 * HEAD * sizeof(float) }; /* hv 2 */
    static const char *const rounds[] = {"", ":round"};
    (void)state;
    for (int r = 0; r < 2; r++) {
        char text[100];
        call *x[4];
        static const char *const names[] = {"final", "ring", "indexed",
                                            "snapshots"};
        for (int i = 0; i < 4; i++) {
            snprintf(text, sizeof text,
                     "recurrent:%s:vk:f32/f32:k16v8:l2norm:g%s / b1t3hk2hv2",
                     names[i], rounds[r]);
            x[i] = open_call(text);
        }
        x[1]->a.ring = 4;
        x[1]->a.state_stride_slot = 4 * 2 * HEAD;
        x[1]->c[0] = 4 * 7; /* reads 0, writes 1 2 3 */
        x[2]->a.state_indices = x[2]->index;
        x[2]->a.accepted = x[2]->accepted;
        x[2]->a.n_slots = 4;
        x[2]->accepted[0] = 2; /* reads slot 0 */
        x[2]->index[0] = 3;
        x[2]->index[1] = 0;
        x[2]->index[2] = 1;
        for (int i = 1; i < 4; i++)
            run(x[i]);
        for (int t = 0; t < TOKENS; t++) {
            snprintf(text, sizeof text,
                     "recurrent:final:vk:f32/f32:k16v8:l2norm:g%s / b1t3hk2hv2",
                     rounds[r]);
            call *y = open_call(text);
            y->a.x.T = t + 1;
            run(y);
            assert_same(y->o, x[1]->o, (size_t)(t + 1) * 16 * sizeof(float));
            assert_same(y->state, x[1]->state + (t + 1) * 2 * HEAD, N);
            assert_same(y->state, x[2]->state + x[2]->index[t] * 2 * HEAD, N);
            assert_same(y->state, x[3]->snapshots + t * 2 * HEAD, N);
            if (t == TOKENS - 1)
                assert_same(y->state, x[3]->state, N);
            free(y);
        }
        assert_same(x[1]->o, x[2]->o, sizeof x[1]->o);
        assert_same(x[1]->o, x[3]->o, sizeof x[1]->o);
        for (int i = 0; i < 4; i++)
            free(x[i]);
    }
}

/* With rounding a packet is its tokens one by one, bit for bit; without it, the
 * states differ (else the flag would do nothing). */
static void rounds_between_tokens(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        const char *text =
            round ? "recurrent:final:kv:bf16/bf16:k16v8:g:round / b2t4hk1hv2"
                  : "recurrent:final:kv:bf16/bf16:k16v8:g / b2t4hk1hv2";
        call *x = open_call(text), *y = open_call(text);
        run(x);
        gdr_args all = y->a;
        for (int t = 0; t < 4; t++) {
            y->a.x.T = 1;
            y->a.q.data = (uint16_t *)all.q.data + t * all.q.stride_t;
            y->a.k.data = (uint16_t *)all.k.data + t * all.k.stride_t;
            y->a.v.data = (uint16_t *)all.v.data + t * all.v.stride_t;
            y->a.o.data = (uint16_t *)all.o.data + t * all.o.stride_t;
            y->a.g.data = (float *)all.g.data + t * all.g.stride_t;
            y->a.beta.data = (float *)all.beta.data + t * all.beta.stride_t;
            run(y);
        }
        size_t n = 2 * 4 * 2 * 8 * sizeof(uint16_t); /* all of o */
        const unsigned char *bytes[][2] = {{(void *)x->state, (void *)y->state},
                                           {(void *)x->o, (void *)y->o}};
        for (int i = 0; i < 2; i++)
            assert_int_equal(memcmp(bytes[i][0], bytes[i][1], n) == 0, round);
        free(x);
        free(y);
    }
}

static void given_gates_agree(void **state)
{
    const char *text = "recurrent:final:vk:f32/f32:k16v8:g / b2t3hk1hv2";
    call *x = open_call(text), *y = open_call(text);
    (void)state;
    for (int i = 0; i < 64; i++) { /* powers of two: exact both ways */
        x->g[i] = i % 3 ? 0 : -INFINITY;
        y->g[i] = i % 3 ? 1 : 0;
        x->beta[i] = 1;
    }
    y->a.flags = GDR_ALPHA;
    y->a.beta.data = NULL;
    run(x);
    run(y);
    assert_same(x->o, y->o, sizeof x->o);
    assert_same(x->state, y->state, sizeof x->state);
    free(x);
    free(y);
    x = open_call(text);
    y = open_call(text);
    memset(x->g, 0, sizeof x->g);
    y->a.g.data = NULL;
    run(x);
    run(y);
    assert_same(x->o, y->o, sizeof x->o);
    free(x);
    free(y);
}

static void fused_gate_is_its_formula(void **state)
{
    static const double a[] = {-30, -2, 0, 3, 25, 100};
    (void)state;
    for (int i = 0; i < 6; i++)
        for (unsigned neg = 0; neg < 2; neg++) {
            call *x = open_call("recurrent:final:vk:f32/f32:k16v8:fused / "
                                "b1t1hk1hv1");
            double q[16], k[16], v[8];
            gdr_token t;
            x->g[0] = (float)a[i];
            x->beta[0] = (float)(1 - i);
            x->A_log[0] = -4.5f;
            x->dt_bias[0] = 0.25f;
            x->a.flags = neg ? GDR_NEG_EIGVAL : 0;
            gdr_token_read(&x->p.s, &x->a, 0, 0, 0, q, k, v, &t);
            double in = a[i] + 0.25;
            double softplus = in > 20 ? in : log(1 + exp(in));
            assert_close(t.decay, exp(-exp(-4.5) * softplus), 1e-13);
            assert_close(t.beta, (1 + neg) / (1 + exp(i - 1.0)), 1e-15);
            assert_true(t.gate_error > 0 && t.gate_error < 10);
            assert_true(t.beta_error > 0 && t.beta_error < 1);
            free(x);
        }
}

static void normalises_and_scales(void **state)
{
    call *x = open_call("recurrent:final:vk:f32/f32:k16v8:l2norm:g / "
                        "b1t1hk1hv1");
    double q[16], k[16], v[8];
    gdr_token t;
    (void)state;
    for (int i = 0; i < 16; i++) {
        x->q[i] = 3;
        x->k[i] = i ? 0 : 1e-3f; /* half of the norm is the 1e-6 */
    }
    gdr_token_read(&x->p.s, &x->a, 0, 0, 0, q, k, v, &t);
    assert_close(q[5], 3 / sqrt(16 * 9 + 1e-6) / 4, 1e-15);
    assert_close(k[0], 1 / sqrt(2), 1e-7);
    assert_true(t.gate_error == 0 && t.beta_error == 0);
    free(x);
}

static void maps_heads(void **state)
{
    call *x = open_call("recurrent:final:vk:f32/f32:k16v8:g / b1t1hk2hv4");
    double q[16], k[16], v[8];
    gdr_token t;
    (void)state;
    for (int hv = 0; hv < 4; hv++) {
        x->a.flags = 0;
        gdr_token_read(&x->p.s, &x->a, 0, 0, hv, q, k, v, &t);
        assert_true(k[3] == x->k[hv / 2 * 16 + 3]);
        x->a.flags = GDR_HEAD_MOD;
        gdr_token_read(&x->p.s, &x->a, 0, 0, hv, q, k, v, &t);
        assert_true(k[3] == x->k[hv % 2 * 16 + 3]);
        assert_true(v[1] == x->v[hv * 8 + 1]);
    }
    free(x);
}

/* ---- invalid sequences, empty calls ------------------------------------- */

static void leaves_invalid_sequences(void **state)
{
    static const int64_t bad[] = {-1, 4, (int64_t)1 << 32, 0};
    (void)state;
    for (int i = 0; i < 4; i++) {
        call *x = open_call("recurrent:final:vk:f32/f32:k16v8:g / b2t2hk1hv1");
        call *y = open_call("recurrent:final:vk:f32/f32:k16v8:g / b2t2hk1hv1");
        x->a.flags = GDR_INDEX64;
        x->a.state_indices = x->index64;
        x->a.n_slots = 4;
        x->a.index_min = i == 3;
        x->index64[0] = bad[i];
        x->index64[1] = 1;
        run(x);
        run(y);
        for (int j = 0; j < 2 * 8; j++)
            assert_true(x->o[j] == 0 && !signbit(x->o[j]));
        assert_same(x->o + 16, y->o + 16, 16 * sizeof(float));
        assert_same(x->state + HEAD, y->state + HEAD, HEAD * sizeof(float));
        free(y);
        y = open_call("recurrent:final:vk:f32/f32:k16v8:g / b2t2hk1hv1");
        assert_same(x->state, y->state, HEAD * sizeof(float));
        assert_same(x->state + 2 * HEAD, y->state + 2 * HEAD,
                    2 * HEAD * sizeof(float));
        free(x);
        free(y);
    }
}

static void leaves_sequences_with_bad_counts(void **state)
{
    static const int32_t bad[] = {0, 3, -1};
    (void)state;
    for (int i = 0; i < 3; i++) {
        call *x = open_call("recurrent:indexed:vk:f32/f32:k16v8:g / "
                            "b1t2hk1hv1");
        float before[4096];
        memcpy(before, x->state, sizeof before);
        x->a.state_indices = x->index;
        x->index[1] = 1;
        x->a.n_slots = 2;
        x->a.accepted = bad + i;
        run(x);
        assert_same(before, x->state, sizeof before);
        assert_true(x->o[0] == 0 && x->o[15] == 0);
        free(x);
    }
}

/* The index that is read decides; a write with a bad index is skipped. */
static void skips_a_bad_write(void **state)
{
    call *x = open_call("recurrent:indexed:vk:f32/f32:k16v8:g / b1t2hk1hv1");
    float before[4096];
    (void)state;
    memcpy(before, x->state, sizeof before);
    x->a.state_indices = x->index;
    x->a.n_slots = 2;
    x->index[1] = -1;
    run(x);
    assert_memory_not_equal(before, x->state, HEAD * sizeof(float));
    assert_same(before + HEAD, x->state + HEAD, HEAD * sizeof(float));
    assert_true(x->o[0] != 0 && isfinite(x->o[15]));
    free(x);
}

static void finds_ring_positions(void **state)
{
    call *x = open_call("recurrent:ring:vk:f32/f32:k16v8:g / b2t2hk1hv1");
    gdr_args *a = &x->a;
    (void)state;
    a->ring = 3;
    a->state_stride_slot = 1000;
    a->state_stride_ring = 100;
    x->c[0] = 5;
    x->c[1] = INT32_MAX; /* 2^31 - 1 = 1 mod 3 */
    assert_int_equal(gdr_state_source(&x->p.s, a, 0, 0).read, 200);
    assert_int_equal(gdr_state_sink(&x->p.s, a, 0, 0, 0).offset, 0);
    assert_int_equal(gdr_state_sink(&x->p.s, a, 0, 0, 1).offset, 100);
    assert_int_equal(gdr_state_sink(&x->p.s, a, 0, 0, 2).offset, -1);
    assert_int_equal(gdr_state_source(&x->p.s, a, 1, 0).read, 1100);
    assert_int_equal(gdr_state_sink(&x->p.s, a, 1, 0, 1).offset, 1000);
    free(x);
}

static void keeps_offsets_in_64_bits(void **state)
{
    call *x = open_call("recurrent:final:vk:f32/f32:k128v128:g / b1t1hk1hv1");
    (void)state;
    x->a.state_indices = x->index;
    x->a.state_stride_slot = 32 * 128 * 128;
    x->a.n_slots = 100000;
    x->index[0] = 4096 * 3;
    assert_true(gdr_state_source(&x->p.s, &x->a, 0, 0).read ==
                (int64_t)4096 * 3 * 32 * 128 * 128);
    free(x);
}

static void chooses_snapshots(void **state)
{
    call *x = open_call("recurrent:snapshots:kv:bf16/bf16:k16v8:g / "
                        "b2t2hk1hv1");
    gdr_args *a = &x->a;
    const gdr_static *s = &x->p.s;
    (void)state;
    a->state_indices = x->index;
    a->n_slots = 8;
    x->index[1] = 5;
    a->snapshot_stride_n = 1000;
    a->snapshot_stride_t = 100;
    gdr_state_write w = gdr_state_sink(s, a, 1, 0, 1);
    assert_int_equal(w.pool, 1);
    assert_int_equal(w.offset, 1100);
    assert_int_equal(w.dtype, GDR_BF16);
    a->flags |= GDR_SNAPSHOT_BY_SLOT | GDR_SNAPSHOT_F32;
    w = gdr_state_sink(s, a, 1, 0, 1);
    assert_int_equal(w.offset, 5100);
    assert_int_equal(w.dtype, GDR_F32);
    w = gdr_state_sink(s, a, 1, 0, 2);
    assert_true(w.pool == 0 && w.offset == 5 * HEAD && w.dtype == GDR_BF16);
    a->flags &= ~(unsigned)GDR_UPDATE_STATE;
    assert_int_equal(gdr_state_sink(s, a, 1, 0, 2).offset, -1);
    x->index[1] = 8;
    assert_int_equal(gdr_state_sink(s, a, 1, 0, 0).offset, -1);
    free(x);
}

static void does_nothing_for_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        call *x = open_call("recurrent:final:vk:f32/f32:k16v8:g / b1t1hk1hv1");
        call *y = open_call("recurrent:final:vk:f32/f32:k16v8:g / b1t1hk1hv1");
        *(i ? &x->a.x.B : &x->a.x.T) = 0;
        run(x);
        assert_same(x->o, y->o, sizeof x->o);
        assert_same(x->state, y->state, sizeof x->state);
        free(x);
        free(y);
    }
}

static void refuses_bad_arguments(void **state)
{
    call *x = open_call("recurrent:ring:vk:f32/f32:k16v8:g / b1t2hk1hv1");
    char msg[200] = "";
    (void)state;
    x->a.ring = 1;
    assert_int_equal(gdr_reference(&x->p.s, &x->a, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_non_null(strstr(msg, "ring"));
    x->a.ring = 2;
    x->a.q.data = NULL;
    assert_int_equal(gdr_reference(&x->p.s, &x->a, NULL, 0), GDR_ERR_ARG);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds_to_nearest_even),
        cmocka_unit_test(converts_every_16_bit_value),
        cmocka_unit_test(knows_the_spacing),
        cmocka_unit_test(computes_by_hand),
        cmocka_unit_test(carries_growing_errors),
        cmocka_unit_test(widens_for_a_computed_gate),
        cmocka_unit_test(agrees_with_one_pass),
        cmocka_unit_test(agrees_with_rank_form),
        cmocka_unit_test(layouts_agree),
        cmocka_unit_test(contracts_agree),
        cmocka_unit_test(rounds_between_tokens),
        cmocka_unit_test(given_gates_agree),
        cmocka_unit_test(fused_gate_is_its_formula),
        cmocka_unit_test(normalises_and_scales),
        cmocka_unit_test(maps_heads),
        cmocka_unit_test(leaves_invalid_sequences),
        cmocka_unit_test(leaves_sequences_with_bad_counts),
        cmocka_unit_test(skips_a_bad_write),
        cmocka_unit_test(finds_ring_positions),
        cmocka_unit_test(keeps_offsets_in_64_bits),
        cmocka_unit_test(chooses_snapshots),
        cmocka_unit_test(does_nothing_for_nothing),
        cmocka_unit_test(refuses_bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
