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

/* Four adjacent elements of a row as they lie there, at a multiple of their
 * size. Loads alone: what is asked for first may come while more is asked for. */
//@ local four = io == "f32" and "v4" or "v2"
typedef @(four) four;
DEVICE four load_four(const @(io) *p) { return load_@(four)(p); }

DEVICE void unpack_four(four w, float *x)
{
//@ if io == "f32" then
    x[0] = float_of(w.x), x[1] = float_of(w.y);
    x[2] = float_of(w.z), x[3] = float_of(w.w);
//@ else
    x[0] = low_@(io)(w.x), x[1] = high_@(io)(w.x);
    x[2] = low_@(io)(w.y), x[3] = high_@(io)(w.y);
//@ end
}

/* The same from anywhere; aligned: load_four may be used. */
DEVICE void read_four(const @(io) *p, bool aligned, float *x)
{
    if (aligned) {
        unpack_four(load_four(p), x);
        return;
    }
    for (int i = 0; i < 4; i++)
        x[i] = get_@(io)(p + i);
}

/* May read_four be told `aligned` for every fourth element of this row? */
DEVICE bool row_aligned(const @(io) *row)
{
    return ((u64)row & @(4 * io_bytes - 1)) == 0;
}
/* And for those of all rows of q and k? */
DEVICE bool rows_aligned(const gdr_recurrent_params &p)
{
    i64 strides = p.q_b | p.q_t | p.q_h | p.k_b | p.k_t | p.k_h;
    return row_aligned((const @(io) *)p.q) && row_aligned((const @(io) *)p.k) &&
           strides % 4 == 0;
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
/* What they are made of, as loaded: bits of float32 or of the io dtype. */
struct raw_gates {
    u32 g, beta;
//@ if gate == "fused" then
    float A_log, dt_bias;
//@ end
};

DEVICE u32 fetch_gate(const void *base, i64 at, u32 in_io)
{
//@ if io == "f32" then
    (void)in_io;
    return ((const u32 *)base)[at];
//@ else
    return in_io ? ((const @(io) *)base)[at] : ((const u32 *)base)[at];
//@ end
}
DEVICE float gate_of(u32 bits, u32 in_io)
{
//@ if io == "f32" then
    (void)in_io;
    return float_of(bits);
//@ else
    return in_io ? from_@(io)(bits) : float_of(bits);
//@ end
}

DEVICE raw_gates fetch_gates(const gdr_recurrent_params &p, i64 b, i64 t, i64 hv)
{
    raw_gates w = {};
    i64 at_g = b * p.g_b + t * p.g_t + hv * p.g_h;
    i64 at_beta = b * p.beta_b + t * p.beta_t + hv * p.beta_h;
//@ if gate == "fused" then
    w.A_log = p.A_log[hv];
    w.dt_bias = p.dt_bias[hv];
    w.g = fetch_gate(p.g, at_g, p.flags & GATE_IO);
    w.beta = fetch_gate(p.beta, at_beta, p.flags & BETA_IO);
//@ else
    if (p.g)
        w.g = fetch_gate(p.g, at_g, p.flags & GATE_IO);
    if (p.beta)
        w.beta = fetch_gate(p.beta, at_beta, p.flags & BETA_IO);
//@ end
    return w;
}

DEVICE gates resolve_gates(const gdr_recurrent_params &p, const raw_gates &raw)
{
    gates w = {1, 1};
    float g = gate_of(raw.g, p.flags & GATE_IO);
    float beta = gate_of(raw.beta, p.flags & BETA_IO);
//@ if gate == "fused" then
    /* softplus has threshold 20 as in PyTorch: the naive form overflows */
    float a = plus(g, raw.dt_bias);
    float softplus = a > 20 ? a : log_1p(exponential(a));
    float sigmoid = inverse(plus(1, exponential(-beta)));
    w.decay = exponential(times(-exponential(raw.A_log), softplus));
    w.beta = p.flags & NEG_EIGVAL ? times(2, sigmoid) : sigmoid;
//@ else
    if (p.g)
        w.decay = p.flags & ALPHA ? g : exponential(g);
    if (p.beta)
        w.beta = beta;
//@ end
    return w;
}
