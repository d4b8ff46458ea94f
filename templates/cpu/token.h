/* One token's inputs for one value head, as float32: q scaled, q and k
 * normalised where the problem says so, the gates resolved. */

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

struct token {
    float q[@(K)], k[@(K)];
    float decay, beta;
    float qk; /* q'k */
} __attribute__((aligned(64)));

INLINE float dot(const float *a, const float *b)
{
    vf sum = {0};
    for (int i = 0; i < @(K); i += @(width))
        sum = mul_add(load_f32(a + i), load_f32(b + i), sum);
    return sum_lanes(sum, sum)[0];
}

INLINE void read_row(const @(io) *from, float *to)
{
    for (int i = 0; i < @(K); i += @(width))
        store_f32(to + i, load_@(io)(from + i));
}

INLINE void scale_row(float *x, float by)
{
    for (int i = 0; i < @(K); i += @(width))
        store_f32(x + i, load_f32(x + i) * by);
}

INLINE float read_gate(const void *base, long long at, unsigned in_io)
{
    return in_io ? get_@(io)((const @(io) *)base + at)
                 : ((const float *)base)[at];
}

//@ if gate == "fused" then
/* softplus has threshold 20 as in PyTorch: the naive form overflows above 88 */
static void read_gates(const gdr_recurrent_params *p, long long b, long long t,
                       long long hv, struct token *token)
{
    float a = read_gate(p->g, b * p->g_b + t * p->g_t + hv * p->g_h,
                        p->flags & GATE_IO);
    float x = read_gate(p->beta, b * p->beta_b + t * p->beta_t + hv * p->beta_h,
                        p->flags & BETA_IO);
    a += p->dt_bias[hv];
    float softplus = a > 20 ? a : log1pf(expf(a));
    float sigmoid = 1 / (1 + expf(-x));
    token->decay = expf(-expf(p->A_log[hv]) * softplus);
    token->beta = p->flags & NEG_EIGVAL ? 2 * sigmoid : sigmoid;
}
//@ else
static void read_gates(const gdr_recurrent_params *p, long long b, long long t,
                       long long hv, struct token *token)
{
    token->decay = token->beta = 1;
    if (p->g) {
        float g = read_gate(p->g, b * p->g_b + t * p->g_t + hv * p->g_h,
                            p->flags & GATE_IO);
        token->decay = p->flags & ALPHA ? g : expf(g);
    }
    if (p->beta)
        token->beta =
            read_gate(p->beta, b * p->beta_b + t * p->beta_t + hv * p->beta_h,
                      p->flags & BETA_IO);
}
//@ end

static void read_token(const gdr_recurrent_params *p, long long b, long long t,
                       long long hv, struct token *token)
{
    long long h = p->flags & HEAD_MOD ? hv % p->Hk : hv / (p->Hv / p->Hk);
    read_row((const @(io) *)p->q + b * p->q_b + t * p->q_t + h * p->q_h,
             token->q);
    read_row((const @(io) *)p->k + b * p->k_b + t * p->k_t + h * p->k_h,
             token->k);
//@ if l2norm then
    scale_row(token->q, p->scale / sqrtf(dot(token->q, token->q) + 1e-6f));
    scale_row(token->k, 1 / sqrtf(dot(token->k, token->k) + 1e-6f));
//@ else
    scale_row(token->q, p->scale);
//@ end
    token->qk = dot(token->q, token->k);
    read_gates(p, b, t, hv, token);
}
