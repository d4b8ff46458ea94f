/*
 * generic.c - the whole op `recurrent` in plain C, driven by the statics at run
 * time: what serves where no image can be loaded or none was tuned. Correct for
 * every valid problem; no vector types, no allocation.
 *
 * What must stay true: a unit reads and writes the states of its own value
 * columns alone, all reads before the first write, so any split of the units
 * and a ring of R = T are safe. Arithmetic on S is float32; sums over K are
 * float32 in short blocks and float64 across them, so that their error does not
 * grow with K.
 */
#include "generic.h"
#include "half.h"

#include <math.h>

enum { TILE = GDR_GENERIC_TILE, KMAX = 1024, BLOCK = 8 /* divides any K */ };

/* ---- one unit ----------------------------------------------------------- */

/* The tile of states and the inputs of the token at hand. */
typedef struct unit {
    const gdr_generic_params *g;
    int64_t b, hv, h; /* sequence, value head, its key head */
    int v0, columns;  /* value columns v0 .. v0 + columns - 1 */
    float S[KMAX][TILE];
    float q[KMAX], k[KMAX];
    float v[TILE], decay, beta;
} unit;

/* 1 / |x|, with the field's epsilon */
static float inverse_norm(const float *x, int K)
{
    double sum = 1e-6;
    for (int i = 0; i < K; i++)
        sum += (double)x[i] * x[i];
    return (float)(1 / sqrt(sum));
}

static void read_vector(const unit *u, const void *base, int64_t at,
                        float scale, float *x)
{
    const gdr_static *s = &u->g->s;
    int K = s->K;
    for (int i = 0; i < K; i++)
        x[i] = half_load(s->io, base, at + i);
    if (s->l2norm)
        scale *= inverse_norm(x, K);
    for (int i = 0; i < K; i++)
        x[i] *= scale;
}

static float gate_input(const unit *u, const void *base, unsigned io_flag,
                        int64_t at)
{
    return half_load(u->g->p.flags & io_flag ? u->g->s.io : GDR_F32, base, at);
}

/* float64 for a few scalars per token: costs nothing, and leaves the error of
 * exp and softplus out of the sum. softplus is linear above 20. */
static void read_fused_gate(unit *u, float a, float b)
{
    const gdr_recurrent_params *p = &u->g->p;
    double x = (double)a + p->dt_bias[u->hv];
    double softplus = x > 20 ? x : log1p(exp(x));
    double sigmoid = 1 / (1 + exp(-(double)b));
    u->decay = (float)exp(-exp(p->A_log[u->hv]) * softplus);
    u->beta = (float)(p->flags & GDR_NEG_EIGVAL ? 2 * sigmoid : sigmoid);
}

static void read_gate(unit *u, int64_t t)
{
    const gdr_recurrent_params *p = &u->g->p;
    int64_t g_at = u->b * p->g_b + t * p->g_t + u->hv * p->g_h;
    int64_t beta_at = u->b * p->beta_b + t * p->beta_t + u->hv * p->beta_h;
    float g = p->g ? gate_input(u, p->g, GDR_GATE_IO, g_at) : 0;
    float beta = p->beta ? gate_input(u, p->beta, GDR_BETA_IO, beta_at) : 1;
    if (u->g->s.gate == GDR_GATE_FUSED) {
        read_fused_gate(u, g, beta);
        return;
    }
    u->beta = beta;
    u->decay = !p->g ? 1 : p->flags & GDR_ALPHA ? g : (float)exp(g);
}

static void read_token(unit *u, int64_t t)
{
    const gdr_recurrent_params *p = &u->g->p;
    int64_t v_at = u->b * p->v_b + t * p->v_t + u->hv * p->v_h + u->v0;
    read_vector(u, p->q, u->b * p->q_b + t * p->q_t + u->h * p->q_h, p->scale,
                u->q);
    read_vector(u, p->k, u->b * p->k_b + t * p->k_t + u->h * p->k_h, 1, u->k);
    for (int c = 0; c < u->columns; c++)
        u->v[c] = half_load(u->g->s.io, p->v, v_at + c);
    read_gate(u, t);
}

/* S *= decay; dot = k'S */
static void decay_and_dot(unit *u, double dot[TILE])
{
    for (int i = 0; i < u->g->s.K; i += BLOCK) {
        float sum[TILE] = {0};
        for (int j = i; j < i + BLOCK; j++)
            for (int c = 0; c < TILE; c++) {
                u->S[j][c] *= u->decay;
                sum[c] += u->k[j] * u->S[j][c];
            }
        for (int c = 0; c < TILE; c++)
            dot[c] += sum[c];
    }
}

/* S += k d'; o = q'S */
static void update_and_dot(unit *u, const float d[TILE], double o[TILE])
{
    for (int i = 0; i < u->g->s.K; i += BLOCK) {
        float sum[TILE] = {0};
        for (int j = i; j < i + BLOCK; j++)
            for (int c = 0; c < TILE; c++) {
                u->S[j][c] += u->k[j] * d[c];
                sum[c] += u->q[j] * u->S[j][c];
            }
        for (int c = 0; c < TILE; c++)
            o[c] += sum[c];
    }
}

static void write_output(const unit *u, int64_t t, const double o[TILE])
{
    const gdr_recurrent_params *p = &u->g->p;
    int64_t at = u->b * p->o_b + t * p->o_t + u->hv * p->o_h + u->v0;
    for (int c = 0; c < u->columns; c++)
        half_store(u->g->s.io, p->o, at + c, (float)o[c]);
}

static void step(unit *u, int64_t t)
{
    const gdr_static *s = &u->g->s;
    double dot[TILE] = {0}, o[TILE] = {0};
    float d[TILE] = {0};
    read_token(u, t);
    decay_and_dot(u, dot);
    for (int c = 0; c < u->columns; c++)
        d[c] = (float)(u->beta * (u->v[c] - dot[c]));
    update_and_dot(u, d, o);
    write_output(u, t, o);
    if (s->round_between_tokens)
        for (int i = 0; i < s->K; i++)
            for (int c = 0; c < TILE; c++)
                u->S[i][c] = half_rounded(s->state, u->S[i][c]);
}

/* ---- where states are --------------------------------------------------- */

/* The slot of row b, column i of the indices; -1 if it is not valid. */
static int64_t slot_at(const unit *u, int64_t i)
{
    const gdr_recurrent_params *p = &u->g->p;
    int64_t slot = u->b, at = u->b * p->idx_b + i;
    if (p->state_indices)
        slot = p->flags & GDR_INDEX64 ? ((const int64_t *)p->state_indices)[at]
                                      : ((const int32_t *)p->state_indices)[at];
    return slot >= p->index_min && slot >= 0 && slot < p->n_slots ? slot : -1;
}

/* The slot that is read, -1: this sequence is not valid. */
static int64_t source_slot(const unit *u)
{
    const gdr_recurrent_params *p = &u->g->p;
    int64_t accepted = 1;
    if (u->g->s.contract == GDR_INDEXED && p->accepted)
        accepted = p->accepted[u->b];
    return accepted >= 1 && accepted <= p->T ? slot_at(u, accepted - 1) : -1;
}

static int64_t ring_at(const unit *u, int64_t steps)
{
    const gdr_recurrent_params *p = &u->g->p;
    int64_t at = ((int64_t)p->cache_seqlens[u->b] + steps) % p->ring;
    return at < 0 ? at + p->ring : at;
}

static int64_t state_at(const unit *u, int64_t slot, int64_t ring)
{
    const gdr_recurrent_params *p = &u->g->p;
    return slot * p->s_slot + ring * p->s_ring + u->hv * p->s_head;
}

/* Element (i, c) of the tile lies at at + i * row + c * column. */
typedef struct strides {
    int64_t row, column;
} strides;

static strides tile_strides(const unit *u)
{
    const gdr_static *s = &u->g->s;
    return s->layout == GDR_VK ? (strides){1, s->K} : (strides){s->V, 1};
}

static void load_tile(unit *u, int64_t at)
{
    strides d = tile_strides(u);
    at += u->v0 * d.column;
    for (int i = 0; i < u->g->s.K; i++)
        for (int c = 0; c < TILE; c++)
            u->S[i][c] = c < u->columns
                             ? half_load(u->g->s.state, u->g->p.state,
                                         at + i * d.row + c * d.column)
                             : 0;
}

static void store_tile(const unit *u, gdr_dtype dtype, void *base, int64_t at)
{
    strides d = tile_strides(u);
    at += u->v0 * d.column;
    for (int c = 0; c < u->columns; c++)
        for (int i = 0; i < u->g->s.K; i++)
            half_store(dtype, base, at + i * d.row + c * d.column, u->S[i][c]);
}

static void write_slot(const unit *u, int64_t slot, int64_t ring)
{
    if (slot >= 0)
        store_tile(u, u->g->s.state, u->g->p.state, state_at(u, slot, ring));
}

static void write_snapshot(const unit *u, int64_t slot, int64_t t)
{
    const gdr_recurrent_params *p = &u->g->p;
    int64_t n = p->flags & GDR_SNAPSHOT_BY_SLOT ? slot : u->b;
    gdr_dtype dtype = p->flags & GDR_SNAPSHOT_F32 ? GDR_F32 : u->g->s.state;
    store_tile(u, dtype, p->snapshots,
               n * p->snap_n + t * p->snap_t + u->hv * p->snap_head);
}

/* After token t, as the contract says. */
static void write_state(const unit *u, int64_t slot, int64_t t)
{
    const gdr_recurrent_params *p = &u->g->p;
    int last = t == p->T - 1;
    switch (u->g->s.contract) {
    case GDR_FINAL:
        write_slot(u, last ? slot : -1, 0);
        break;
    case GDR_RING:
        write_slot(u, slot, ring_at(u, 1 + t));
        break;
    case GDR_INDEXED:
        write_slot(u, slot_at(u, t), 0);
        break;
    case GDR_SNAPSHOTS:
        write_snapshot(u, slot, t);
        write_slot(u, last && p->flags & GDR_UPDATE_STATE ? slot : -1, 0);
        break;
    }
}

/* ---- all units ---------------------------------------------------------- */

static void run_unit(unit *u)
{
    const gdr_recurrent_params *p = &u->g->p;
    const double zeros[TILE] = {0};
    int64_t slot = source_slot(u);
    int64_t ring = u->g->s.contract == GDR_RING ? ring_at(u, 0) : 0;
    if (slot >= 0)
        load_tile(u, state_at(u, slot, ring));
    for (int64_t t = 0; t < p->T; t++) {
        if (slot < 0) {
            write_output(u, t, zeros);
            continue;
        }
        step(u, t);
        write_state(u, slot, t);
    }
}

void gdr_generic_recurrent(const gdr_recurrent_params *p, long long begin,
                           long long end)
{
    unit u;
    u.g = (const gdr_generic_params *)p;
    int64_t tiles = (u.g->s.V + TILE - 1) / TILE;
    for (int64_t i = begin; i < end; i++) {
        int64_t row = i / tiles; /* b * Hv + hv */
        u.v0 = (int)(i % tiles) * TILE;
        u.columns = u.g->s.V - u.v0 < TILE ? u.g->s.V - u.v0 : TILE;
        u.b = row / p->Hv;
        u.hv = row % p->Hv;
        u.h = p->flags & GDR_HEAD_MOD ? u.hv % p->Hk : u.hv / (p->Hv / p->Hk);
        run_unit(&u);
    }
}
