/*
 * data.c - the kinds of numbers that kernels get wrong. Keys, gates and values
 * have kinds of their own, spread over the heads of one call so that a handful
 * of launches meets them all. What must stay true: float64 and a correct
 * float32 kernel both stay finite, but for the one overflow that f16 is meant
 * to show.
 */
#include "data.h"
#include "../runtime/reference.h"

#include <assert.h>
#include <math.h>
#include <string.h>

typedef enum key_kind {
    KEY_UNIT,
    KEY_RAW,    /* uniform, not normalised: |k| about 3 under l2norm */
    KEY_TINY,   /* norm 2e-3: the 1e-6 inside l2norm matters */
    KEY_NEAR,   /* all at cosine .9 */
    KEY_SAME,   /* one key for all tokens, beta 2 */
    KEY_CANCEL, /* q = k, beta 1, v 1e-3: o is the rest of a difference */
    KEY_HOT,    /* the last token overflows f16 */
    KEY_KINDS
} key_kind;

typedef enum gate_kind {
    GATE_SLOW,  /* logsigmoid(n) / 16 */
    GATE_NONE,  /* 0: nothing is ever forgotten */
    GATE_STOP,  /* -inf now and then */
    GATE_STEEP, /* -100 beside -.05: not to be formed by differences */
    GATE_STEP,  /* -.3 every 8th token, else 0 */
    GATE_BROAD, /* uniform in -2..0 */
    GATE_KINDS
} gate_kind;

typedef enum value_kind {
    VALUE_UNIT,
    VALUE_LARGE, /* states and values of std 20 */
    VALUE_QUIET, /* 1e-3: a whole-tensor norm would not see it */
    VALUE_FRESH, /* the state is 0 */
    VALUE_KINDS
} value_kind;

enum { STREAM_Q, STREAM_K, STREAM_MEAN, STREAM_V, STREAM_GATE, STREAM_STATE };

uint64_t gdr_data_bits(uint64_t seed, uint64_t i)
{
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

double gdr_data_uniform(uint64_t seed, uint64_t i)
{
    return (double)(gdr_data_bits(seed, i) >> 11) * 0x1p-53;
}

/* Four 16-bit uniforms: variance 4/12, tails end at 3.5. Near enough, and five
 * times as fast as a logarithm. */
double gdr_data_normal(uint64_t seed, uint64_t i)
{
    uint64_t z = gdr_data_bits(seed, i);
    int64_t sum = 0;
    for (int n = 0; n < 4; n++)
        sum += (int64_t)(z >> 16 * n & 0xffff);
    return (double)(sum - 2 * 0xffff) * (1.7320508075688772 / 65536);
}

static uint64_t stream(uint64_t seed, int what, int64_t b, int64_t h)
{
    seed = gdr_data_bits(seed, (uint64_t)what);
    return gdr_data_bits(seed, (uint64_t)b << 20 | (uint64_t)h);
}

/* ---- one head ----------------------------------------------------------- */

typedef struct head {
    const gdr_static *s;
    const gdr_args *a;
    uint64_t seed;
    int64_t b, hv; /* hv: a query head where keys are filled */
    key_kind key;
    gate_kind gate;
    value_kind value;
} head;

static void put(gdr_dtype d, const gdr_tensor *x, const head *h, int64_t t,
                int64_t i, double value)
{
    gdr_store_rounded(
        d, x->data,
        h->b * x->stride_b + t * x->stride_t + h->hv * x->stride_h + i, value);
}

static key_kind key_of(int turn, const gdr_extents *x, int64_t b, int64_t h)
{
    return (key_kind)((turn + b * x->Hk + h) % KEY_KINDS);
}

static head head_of(const gdr_static *s, const gdr_args *a, int turn,
                    uint64_t seed, int64_t b, int64_t hv)
{
    int64_t Hk = a->x.Hk, n = turn + b * a->x.Hv + hv;
    assert(Hk > 0 && a->x.Hv >= Hk);
    int64_t h = a->flags & GDR_HEAD_MOD ? hv % Hk : hv / (a->x.Hv / Hk);
    return (head){s,
                  a,
                  seed,
                  b,
                  hv,
                  key_of(turn, &a->x, b, h),
                  (gate_kind)(n % GATE_KINDS),
                  (value_kind)((n + n / GATE_KINDS) % VALUE_KINDS)};
}

/* x [K] := m * mean + noise, of norm `norm` if positive */
static void direction(double *x, int K, uint64_t mean, double m, uint64_t noise,
                      int64_t t, double norm)
{
    double ss = 0;
    for (int i = 0; i < K; i++) {
        x[i] = m * gdr_data_normal(mean, (uint64_t)i) +
               gdr_data_normal(noise, (uint64_t)(t * K + i));
        ss += x[i] * x[i];
    }
    for (int i = 0; i < K; i++)
        x[i] *= norm / sqrt(ss);
}

static void fill_vector(const head *h, const gdr_tensor *out, int what,
                        int64_t t)
{
    double x[1024];
    int K = h->s->K, last = t == h->a->x.T - 1;
    uint64_t noise = stream(h->seed, what, h->b, h->hv);
    uint64_t mean = stream(h->seed, STREAM_MEAN, h->b, h->hv);
    double m = h->key == KEY_NEAR ? 3 : h->key == KEY_SAME ? 1e6 : 0;
    double norm = h->key == KEY_TINY                  ? 2e-3
                  : h->key == KEY_RAW && h->s->l2norm ? sqrt(K / 12.0)
                  : h->key == KEY_RAW                 ? 1.3
                                                      : 1;
    if (h->key == KEY_SAME && what == STREAM_Q)
        m = 0;
    if (h->key == KEY_CANCEL && t % 2 == 0)
        noise = stream(h->seed, STREAM_K, h->b, h->hv);
    direction(x, K, mean, m, noise, t, norm);
    if (h->key == KEY_HOT && last)
        for (int i = 0; i < K; i++)
            x[i] = i == h->b % K;
    for (int i = 0; i < K; i++)
        put(h->s->io, out, h, t, i, x[i]);
}

static double value_scale(const head *h, int64_t t)
{
    if (h->key == KEY_HOT && t == h->a->x.T - 1)
        return 0; /* set apart */
    if (h->key == KEY_CANCEL && t % 2 == 0)
        return 1e-3;
    static const double scale[] = {1, 20, 1e-3, 1};
    return scale[h->value];
}

static void fill_value(const head *h, int64_t t)
{
    uint64_t seed = stream(h->seed, STREAM_V, h->b, h->hv);
    double scale = value_scale(h, t);
    for (int j = 0; j < h->s->V; j++) {
        double x = scale * gdr_data_normal(seed, (uint64_t)(t * h->s->V + j));
        if (scale == 0) /* times beta 2: beyond 65504 */
            x = j % 2 ? -6e4 : 6e4;
        put(h->s->io, &h->a->v, h, t, j, x);
    }
}

static double log_decay(const head *h, int64_t t, uint64_t seed)
{
    double n = gdr_data_normal(seed, (uint64_t)t);
    switch (h->gate) {
    case GATE_SLOW:
        return -log1p(exp(-n)) / 16;
    case GATE_STOP:
        return (t + h->b) % 3 == 1 ? -INFINITY : -0.1;
    case GATE_STEEP:
        return (t + h->b) % 2 ? -0.05 : -100;
    case GATE_STEP:
        return t % 8 == 7 ? -0.3 : 0;
    case GATE_BROAD:
        return -2 * gdr_data_uniform(seed, (uint64_t)t);
    default:
        return 0;
    }
}

/* a + dt_bias that leads to much the same; 100 overflows a naive softplus */
static double gate_input(const head *h, int64_t t, uint64_t seed)
{
    double n = gdr_data_normal(seed, (uint64_t)t);
    switch (h->gate) {
    case GATE_SLOW:
        return n - 3;
    case GATE_STOP:
        return (t + h->b) % 3 == 1 ? 100 : n - 2;
    case GATE_STEEP:
        return (t + h->b) % 2 ? -4 : 40;
    case GATE_STEP:
        return t % 8 == 7 ? 0 : -30;
    case GATE_BROAD:
        return 2 * n;
    default:
        return -30;
    }
}

static double beta_of(const head *h, int64_t t, double n)
{
    if (h->key == KEY_SAME || h->key == KEY_HOT)
        return 2;
    if (h->key == KEY_CANCEL)
        return 1;
    if (h->hv % 3 == 1)
        return (double)((t + h->b) % 2);
    return 1 / (1 + exp(-n));
}

static void fill_gates(const head *h, int64_t t)
{
    uint64_t seed = stream(h->seed, STREAM_GATE, h->b, h->hv);
    double n = gdr_data_normal(~seed, (uint64_t)t), beta = beta_of(h, t, n);
    const gdr_args *a = h->a;
    gdr_dtype gate = a->flags & GDR_GATE_IO ? h->s->io : GDR_F32;
    gdr_dtype mix = a->flags & GDR_BETA_IO ? h->s->io : GDR_F32;
    if (h->s->gate == GDR_GATE_FUSED) {
        put(gate, &a->a, h, t, 0, gate_input(h, t, seed));
        put(mix, &a->b, h, t, 0, beta == 0 ? -12 : beta >= 1 ? 12 : n);
        return;
    }
    double g = log_decay(h, t, seed);
    if (a->g.data)
        put(gate, &a->g, h, t, 0, a->flags & GDR_ALPHA ? exp(g) : g);
    if (a->beta.data)
        put(mix, &a->beta, h, t, 0, beta);
}

static void fill_state(const head *h)
{
    const gdr_static *s = h->s;
    gdr_state_map source = gdr_state_source(s, h->a, h->b, h->hv);
    static const double scale[] = {0.3, 20, 1e-3, 0};
    uint64_t seed = stream(h->seed, STREAM_STATE, h->b, h->hv);
    for (int64_t i = 0; source.valid && i < (int64_t)s->K * s->V; i++)
        gdr_store_rounded(s->state, h->a->state, source.read + i,
                          scale[h->value] * gdr_data_normal(seed, (uint64_t)i));
}

/* A_log up to log 16, as initialised; every fourth head so small that an input
 * of 100 leaves a finite gate (a softplus that overflows does not). dt_bias
 * about 0. Written through args: the inputs of a case are its own. */
static void fill_fused(const gdr_args *a, uint64_t seed)
{
    float *A_log = (float *)a->A_log, *dt_bias = (float *)a->dt_bias;
    for (int64_t h = 0; h < a->x.Hv; h++) {
        double x = gdr_data_uniform(seed, (uint64_t)h);
        A_log[h] = (float)(h % 4 == 3 ? 2 * x - 6 : 5.7 * x - 3);
        dt_bias[h] = (float)(0.5 * gdr_data_normal(~seed, (uint64_t)h));
    }
}

void gdr_data_fill(const gdr_static *s, const gdr_args *a, int turn,
                   uint64_t seed)
{
    if (s->gate == GDR_GATE_FUSED)
        fill_fused(a, stream(seed, STREAM_GATE, -1, 0));
    for (int64_t b = 0; b < a->x.B; b++) {
        for (int64_t h = 0; h < a->x.Hk; h++) {
            head key = {s, a, seed, b, h, key_of(turn, &a->x, b, h), 0, 0};
            for (int64_t t = 0; t < a->x.T; t++) {
                fill_vector(&key, &a->q, STREAM_Q, t);
                fill_vector(&key, &a->k, STREAM_K, t);
            }
        }
        for (int64_t hv = 0; hv < a->x.Hv; hv++) {
            head value = head_of(s, a, turn, seed, b, hv);
            fill_state(&value);
            for (int64_t t = 0; t < a->x.T; t++) {
                fill_value(&value, t);
                fill_gates(&value, t);
            }
        }
    }
}

/* ---- plain data at real sizes ------------------------------------------- */

/* A block of normals in one dtype, copied to wherever values are wanted. Its
 * length is a prime, so that no two heads line up. */
enum { BLOCK = 8191 };

typedef struct block {
    gdr_dtype dtype;
    int64_t at;
    char bytes[BLOCK * 4];
} block;

static void block_fill(block *b, gdr_dtype d, double scale, uint64_t seed)
{
    b->dtype = d;
    b->at = 0;
    for (int i = 0; i < BLOCK; i++)
        gdr_store_rounded(d, b->bytes, i,
                          scale * gdr_data_normal(seed, (uint64_t)i));
}

static void block_copy(block *b, void *base, int64_t index, int64_t n)
{
    int64_t size = (int64_t)gdr_dtype_bytes(b->dtype);
    while (n > 0) {
        int64_t run = n < BLOCK - b->at ? n : BLOCK - b->at;
        memcpy((char *)base + index * size, b->bytes + b->at * size,
               (size_t)(run * size));
        b->at = (b->at + run) % BLOCK;
        index += run;
        n -= run;
    }
}

static void copy_tensor(block *b, const gdr_extents *x, const gdr_tensor *out,
                        int64_t heads, int64_t dim)
{
    for (int64_t i = 0; i < x->B; i++)
        for (int64_t t = 0; t < x->T; t++)
            for (int64_t h = 0; h < heads; h++)
                block_copy(b, out->data,
                           i * out->stride_b + t * out->stride_t +
                               h * out->stride_h,
                           dim);
}

void gdr_data_fill_plain(const gdr_static *s, const gdr_args *a, uint64_t seed)
{
    const gdr_extents *x = &a->x;
    block b;
    block_fill(&b, s->io, 1 / sqrt(s->K), seed);
    copy_tensor(&b, x, &a->q, x->Hk, s->K);
    copy_tensor(&b, x, &a->k, x->Hk, s->K);
    block_fill(&b, s->io, 1, seed + 1);
    copy_tensor(&b, x, &a->v, x->Hv, s->V);
    block_fill(&b, s->state, 0.3, seed + 2);
    if (s->gate == GDR_GATE_FUSED)
        fill_fused(a, seed + 3);
    for (int64_t i = 0; i < x->B; i++)
        for (int64_t hv = 0; hv < x->Hv; hv++) {
            head h = {s, a, seed, i, hv, KEY_UNIT, GATE_SLOW, VALUE_UNIT};
            gdr_state_map source = gdr_state_source(s, a, i, hv);
            if (source.valid)
                block_copy(&b, a->state, source.read, (int64_t)s->K * s->V);
            for (int64_t t = 0; t < x->T; t++)
                fill_gates(&h, t);
        }
}
