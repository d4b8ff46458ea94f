/* One token's inputs as float32: pieces of q and k, v, the gates resolved; and
 * o on its way back. Rows of q, k, v and o begin anywhere: a packed tensor's
 * strides are the caller's. */
//@ local io_bytes = bytes(io)

enum { /* the run-time flags of gdr.h */
    HEAD_MOD = 1 << 0,
    ALPHA = 1 << 1,
    NEG_EIGVAL = 1 << 2,
    INDEX64 = 1 << 3,
    GATE_IO = 1 << 4,
    BETA_IO = 1 << 5,
    UPDATE_STATE = 1 << 6,
    SNAPSHOT_BY_SLOT = 1 << 7,
    SNAPSHOT_F32 = 1 << 8
};

typedef float f32;
typedef u16 bf16, f16; /* bits */

//@ for _, name in ipairs { "f32", "bf16", "f16" } do
//@     if name == "f32" then
DEVICE float get_f32(const f32 *p) { return *p; }
DEVICE void put_f32(f32 *p, float x) { *p = x; }
//@     else
DEVICE float get_@(name)(const @(name) *p) { return from_@(name)(*p); }
DEVICE void put_@(name)(@(name) *p, float x) { *p = (u16)to_@(name)(x); }
//@     end
//@ end

/* Two 16-bit numbers in a word, the first in the low half. */
//@ for _, name in ipairs { "bf16", "f16" } do
DEVICE u32 pair_@(name)(float low, float high)
{
    return to_@(name)(low) | to_@(name)(high) << 16;
}
DEVICE float low_@(name)(u32 x) { return from_@(name)(x & 0xffff); }
DEVICE float high_@(name)(u32 x) { return from_@(name)(x >> 16); }
//@ end

/* A float as a state of this dtype would hold it. */
DEVICE float round_f32(float x) { return x; }
DEVICE float round_bf16(float x) { return from_bf16(to_bf16(x)); }
DEVICE float round_f16(float x) { return from_f16(to_f16(x)); }

/* Four adjacent elements of a row; aligned: they lie at a multiple of their
 * size. */
DEVICE void read_four(const @(io) *p, bool aligned, float x[4])
{
//@ if io == "f32" then
    if (aligned) {
        v4 w = load_v4(p);
        x[0] = float_of(w.x), x[1] = float_of(w.y);
        x[2] = float_of(w.z), x[3] = float_of(w.w);
        return;
    }
//@ else
    if (aligned) {
        v2 w = load_v2(p);
        x[0] = low_@(io)(w.x), x[1] = high_@(io)(w.x);
        x[2] = low_@(io)(w.y), x[3] = high_@(io)(w.y);
        return;
    }
//@ end
    for (int i = 0; i < 4; i++)
        x[i] = get_@(io)(p + i);
}

/* May read_four be told `aligned` for every fourth element of this row? */
DEVICE bool row_aligned(const @(io) *row)
{
    return ((u64)row & @(4 * io_bytes - 1)) == 0;
}

DEVICE i64 key_head(const gdr_recurrent_params &p, i64 hv)
{
    u32 n = (u32)hv, Hk = (u32)p.Hk;
    return p.flags & HEAD_MOD ? n % Hk : n / ((u32)p.Hv / Hk);
}

DEVICE const @(io) *q_row(const gdr_recurrent_params &p, i64 b, i64 t, i64 h)
{
    return (const @(io) *)p.q + b * p.q_b + t * p.q_t + h * p.q_h;
}
DEVICE const @(io) *k_row(const gdr_recurrent_params &p, i64 b, i64 t, i64 h)
{
    return (const @(io) *)p.k + b * p.k_b + t * p.k_t + h * p.k_h;
}
DEVICE const @(io) *v_row(const gdr_recurrent_params &p, i64 b, i64 t, i64 hv)
{
    return (const @(io) *)p.v + b * p.v_b + t * p.v_t + hv * p.v_h;
}
DEVICE @(io) *o_row(const gdr_recurrent_params &p, i64 b, i64 t, i64 hv)
{
    return (@(io) *)p.o + b * p.o_b + t * p.o_t + hv * p.o_h;
}

/* What q and k are multiplied with, from the sums of their squares. */
DEVICE float q_factor(const gdr_recurrent_params &p, float squares)
{
//@ if l2norm then
    return times(p.scale, inverse_root(plus(squares, 1e-6f)));
//@ else
    return p.scale;
//@ end
}
DEVICE float k_factor(float squares)
{
//@ if l2norm then
    return inverse_root(plus(squares, 1e-6f));
//@ else
    return 1;
//@ end
}

struct gates {
    float decay, beta;
};

DEVICE float read_gate(const void *base, i64 at, u32 in_io)
{
    return in_io ? get_@(io)((const @(io) *)base + at)
                 : ((const float *)base)[at];
}

DEVICE gates read_gates(const gdr_recurrent_params &p, i64 b, i64 t, i64 hv)
{
    gates w = {1, 1};
    i64 at_g = b * p.g_b + t * p.g_t + hv * p.g_h;
    i64 at_beta = b * p.beta_b + t * p.beta_t + hv * p.beta_h;
//@ if gate == "fused" then
    /* softplus has threshold 20 as in PyTorch: the naive form overflows */
    float a = plus(read_gate(p.g, at_g, p.flags & GATE_IO), p.dt_bias[hv]);
    float x = read_gate(p.beta, at_beta, p.flags & BETA_IO);
    float softplus = a > 20 ? a : log_1p(exponential(a));
    float sigmoid = inverse(plus(1, exponential(-x)));
    w.decay = exponential(times(-exponential(p.A_log[hv]), softplus));
    w.beta = p.flags & NEG_EIGVAL ? times(2, sigmoid) : sigmoid;
//@ else
    if (p.g) {
        float g = read_gate(p.g, at_g, p.flags & GATE_IO);
        w.decay = p.flags & ALPHA ? g : exponential(g);
    }
    if (p.beta)
        w.beta = read_gate(p.beta, at_beta, p.flags & BETA_IO);
//@ end
    return w;
}
