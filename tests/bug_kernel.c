/*
 * bug_kernel.c - see bug_kernel.h. Addresses, gates and sums are written out
 * once more here, from the contract alone.
 */
#include "bug_kernel.h"
#include "../runtime/recurrent_abi.h"
#include "../runtime/reference.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

enum { TOKENS = 16, KMAX = 1024 };

typedef struct work {
    bug_kernel *kernel;
    const gdr_static *s;
    const gdr_recurrent_params *p;
    int64_t b, hv;
    int tree, marked;          /* this head has the bug */
    int64_t slot;              /* -1: invalid */
    float *S, *before, *d, *o; /* [V][K], the state before, [T][V], [V] */
    float q[TOKENS][KMAX], k[TOKENS][KMAX], decay[TOKENS], beta[TOKENS];
} work;

static int has(const work *w, bug b)
{
    return w->kernel->bug == b;
}

static int head_has(const work *w, bug b)
{
    return w->marked && has(w, b);
}

/* ---- numbers ------------------------------------------------------------ */

/* Off by -2 .. 2 ulp, the same way every time. */
static float blur(const work *w, float x)
{
    uint32_t u;
    if (!w->tree || x == 0 || x == 1 || !isfinite(x))
        return x;
    memcpy(&u, &x, sizeof u);
    u += (u * 2654435761u >> 16) % 5 - 2;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* a hardware exp is exp2 of a rounded product */
static float exponential(const work *w, float x)
{
    if (!w->tree)
        return expf(x);
    return x == 0 ? 1 : blur(w, (float)exp2(x * 1.44269504f));
}

static float to(gdr_dtype d, float x)
{
    return (float)gdr_round(d, x);
}

static float cut(gdr_dtype d, float x)
{
    float y = to(d, x);
    return fabsf(y) > fabsf(x) ? y - copysignf((float)gdr_ulp(d, x), x) : y;
}

static float sum32(float part[32])
{
    for (int m = 16; m; m /= 2)
        for (int l = 0; l < m; l++)
            part[l] += part[l + m];
    return part[0];
}

static float dot(const work *w, const float *x, const float *y)
{
    int K = w->s->K;
    float part[32] = {0}, sum = 0;
    if (has(w, BUG_HALF)) {
        for (int i = 0; i < K; i += 4) {
            float four = 0;
            for (int j = i; j < i + 4; j++)
                four = to(GDR_F16, four + x[j] * y[j]);
            sum += four;
        }
        return sum;
    }
    for (int i = 0; i < K; i++) {
        float yi = has(w, BUG_S) ? to(GDR_BF16, y[i]) : y[i];
        if (w->tree)
            part[i % 32] = fmaf(x[i], yi, part[i % 32]);
        else
            sum += x[i] * yi;
    }
    return w->tree ? sum32(part) : sum;
}

static void normalise(const work *w, float *x)
{
    float part[32] = {0};
    for (int i = 0; i < w->s->K; i++)
        part[i % 32] += x[i] * x[i];
    float ss = sum32(part);
    float f = blur(w, (float)(1 / sqrt((double)(ss + 1e-6f))));
    if (has(w, BUG_NORMALIZE))
        f = 1 / fmaxf(sqrtf(ss), 1e-12f);
    for (int i = 0; i < w->s->K; i++)
        x[i] *= f;
}

/* ---- inputs ------------------------------------------------------------- */

static float gate_at(const work *w, const void *base, unsigned io, int64_t at)
{
    return (float)gdr_load(w->p->flags & io ? w->s->io : GDR_F32, base, at);
}

static void read_gate(work *w, int64_t t)
{
    const gdr_recurrent_params *p = w->p;
    int64_t at_g = w->b * p->g_b + t * p->g_t + w->hv * p->g_h;
    int64_t at_b = w->b * p->beta_b + t * p->beta_t + w->hv * p->beta_h;
    float g = p->g ? gate_at(w, p->g, GDR_GATE_IO, at_g) : 0;
    float beta = p->beta ? gate_at(w, p->beta, GDR_BETA_IO, at_b) : 1;
    if (w->s->gate == GDR_GATE_FUSED) {
        float x = g + p->dt_bias[w->hv];
        int linear = x > 20 && !has(w, BUG_SOFTPLUS);
        float softplus = linear ? x : logf(1 + exponential(w, x));
        g = -exponential(w, p->A_log[w->hv]) * softplus;
        beta = 1 / (1 + exponential(w, -beta));
        if (p->flags & GDR_NEG_EIGVAL && !has(w, BUG_EIGVAL))
            beta *= 2;
    }
    if (has(w, BUG_GATE))
        g = to(GDR_BF16, g);
    int linear = p->flags & GDR_ALPHA && p->g && !has(w, BUG_ALPHA);
    w->decay[t] = linear ? g : exponential(w, g);
    w->beta[t] = has(w, BUG_BETA) ? to(GDR_BF16, beta) : beta;
}

static void read_token(work *w, int64_t t)
{
    const gdr_recurrent_params *p = w->p;
    int64_t ratio = p->Hv / p->Hk;
    int mod = p->flags & GDR_HEAD_MOD && !has(w, BUG_MAP);
    int64_t h = mod ? w->hv % p->Hk : w->hv / ratio;
    int64_t hk = head_has(w, BUG_NEIGHBOUR) ? (h + 1) % p->Hk : h;
    int64_t q_t = has(w, BUG_STRIDES) ? p->Hk * w->s->K : p->q_t;
    for (int i = 0; i < w->s->K; i++) {
        w->q[t][i] = (float)gdr_load(w->s->io, p->q,
                                     w->b * p->q_b + t * q_t + h * p->q_h + i);
        w->k[t][i] = (float)gdr_load(
            w->s->io, p->k, w->b * p->k_b + t * p->k_t + hk * p->k_h + i);
    }
    if (w->s->l2norm) {
        normalise(w, w->q[t]);
        normalise(w, w->k[t]);
    }
    for (int i = 0; i < w->s->K; i++)
        if (!(head_has(w, BUG_SCALE) && t == p->T - 1))
            w->q[t][i] *= p->scale;
    read_gate(w, t);
}

static float value(const work *w, int64_t t, int j)
{
    const gdr_recurrent_params *p = w->p;
    return (float)gdr_load(w->s->io, p->v,
                           w->b * p->v_b + t * p->v_t + w->hv * p->v_h + j);
}

/* ---- states ------------------------------------------------------------- */

static int64_t index_at(const work *w, int64_t i)
{
    const gdr_recurrent_params *p = w->p;
    int64_t slot = w->b;
    int64_t at = w->s->contract == GDR_INDEXED ? w->b * p->idx_b + i : w->b;
    if (p->state_indices && p->flags & GDR_INDEX64)
        slot = ((const int64_t *)p->state_indices)[at];
    else if (p->state_indices)
        slot = ((const int32_t *)p->state_indices)[at];
    if (has(w, BUG_INDEX64))
        slot = (int32_t)slot;
    if (has(w, BUG_INDEX) && slot >= p->index_min && slot < p->n_slots)
        slot = w->b;
    int64_t least = has(w, BUG_MIN) ? 0 : p->index_min;
    return slot >= least && slot < p->n_slots ? slot : -1;
}

static int64_t read_slot(const work *w)
{
    const gdr_recurrent_params *p = w->p;
    int64_t accepted = 1;
    if (w->s->contract == GDR_INDEXED && p->accepted)
        accepted = p->accepted[w->b];
    if (accepted < 1 || accepted > p->T)
        return -1;
    return index_at(w, has(w, BUG_ACCEPTED) ? 0 : accepted - 1);
}

static int64_t ring_at(const work *w, int64_t step)
{
    int64_t c = w->p->cache_seqlens[w->b] + step;
    if (has(w, BUG_INT32))
        return ((int32_t)c % w->p->ring + w->p->ring) % w->p->ring;
    return c % w->p->ring;
}

static int64_t place(const work *w, int64_t slot, int64_t ring)
{
    return slot * w->p->s_slot + ring * w->p->s_ring + w->hv * w->p->s_head;
}

static int64_t element(const gdr_static *s, int i, int j)
{
    return s->layout == GDR_VK ? (int64_t)j * s->K + i : (int64_t)i * s->V + j;
}

static void read_state(work *w)
{
    const gdr_static *s = w->s;
    int64_t ring = s->contract == GDR_RING ? ring_at(w, 0) : 0;
    int64_t slot = w->slot;
    if (head_has(w, BUG_SLOT)) /* one that is mapped */
        slot += slot + 1 < w->p->n_slots ? 1 : -1;
    for (int j = 0; j < s->V; j++)
        for (int i = 0; i < s->K; i++)
            w->S[j * s->K + i] = (float)gdr_load(
                s->state, w->p->state, place(w, slot, ring) + element(s, i, j));
}

static void store(const work *w, void *base, int64_t at, gdr_dtype d,
                  const float *S)
{
    const gdr_static *s = w->s;
    int columns = s->V - head_has(w, BUG_ROW);
    for (int j = 0; j < columns; j++)
        for (int i = 0; i < s->K; i++) {
            float x = S[j * s->K + i];
            gdr_store_rounded(d, base, at + element(s, i, j),
                              has(w, BUG_CUT_STATE) ? cut(d, x) : x);
        }
}

static void store_slot(const work *w, int64_t slot, int64_t ring,
                       const float *S)
{
    if (slot >= 0)
        store(w, w->p->state, place(w, slot, ring), w->s->state, S);
}

static void store_snapshot(const work *w, int64_t t, const float *S)
{
    const gdr_recurrent_params *p = w->p;
    int by_slot = p->flags & GDR_SNAPSHOT_BY_SLOT && !has(w, BUG_BY_SLOT);
    store(w, p->snapshots,
          (by_slot ? w->slot : w->b) * p->snap_n + t * p->snap_t +
              w->hv * p->snap_head,
          p->flags & GDR_SNAPSHOT_F32 ? GDR_F32 : w->s->state, S);
}

static void store_token(const work *w, int64_t t)
{
    const gdr_recurrent_params *p = w->p;
    const float *S = head_has(w, BUG_LATE) && t > 0 ? w->before : w->S;
    int last = t == p->T - 1;
    switch (w->s->contract) {
    case GDR_FINAL:
        if (last)
            store_slot(w, w->slot, 0, S);
        break;
    case GDR_RING:
        store_slot(w, w->slot, ring_at(w, t + !has(w, BUG_RING)), S);
        break;
    case GDR_INDEXED:
        store_slot(w, index_at(w, t), 0, S);
        break;
    case GDR_SNAPSHOTS:
        store_snapshot(w, t, S);
        if (last && (p->flags & GDR_UPDATE_STATE || has(w, BUG_UPDATE)))
            store_slot(w, w->slot, 0, S);
    }
}

/* ---- one token ---------------------------------------------------------- */

static void step_plain(work *w, int64_t t)
{
    int K = w->s->K;
    for (int j = 0; j < w->s->V; j++) {
        float *S = w->S + j * K;
        float kS = dot(w, w->k[t], S);
        for (int i = 0; i < K; i++)
            S[i] *= w->decay[t];
        if (!has(w, BUG_UNDECAYED))
            kS = dot(w, w->k[t], S);
        float d = w->beta[t] * (value(w, t, j) - kS);
        d = has(w, BUG_D) ? to(GDR_BF16, d) : d;
        float kept[KMAX];
        memcpy(kept, S, (size_t)K * sizeof *S);
        for (int i = 0; i < K; i++)
            S[i] += w->k[t][i] * d;
        w->o[j] = dot(w, w->q[t], S);
        if (head_has(w, BUG_DROP) && t == w->p->T - 1)
            memcpy(S, kept, (size_t)K * sizeof *S);
    }
}

static void step_tree(work *w, int64_t t)
{
    int K = w->s->K;
    float qk = dot(w, w->q[t], w->k[t]), a = w->decay[t];
    for (int j = 0; j < w->s->V; j++) {
        float *S = w->S + j * K;
        float kS = dot(w, w->k[t], S), qS = dot(w, w->q[t], S);
        float d = w->beta[t] *
                  fmaf(has(w, BUG_UNDECAYED) ? -1 : -a, kS, value(w, t, j));
        d = has(w, BUG_D) ? to(GDR_BF16, d) : d;
        w->o[j] = fmaf(a, qS, d * qk);
        if (head_has(w, BUG_DROP) && t == w->p->T - 1)
            d = 0;
        for (int i = 0; i < K; i++)
            S[i] = fmaf(a, S[i], w->k[t][i] * d);
    }
}

/* decay from after token s to after token t */
static float decayed(const work *w, int64_t t, int64_t s)
{
    float D = 1;
    while (++s <= t)
        D *= w->decay[s];
    return D;
}

/* Token t from the state before token 0 (in w->before) and the d's so far;
 * then S is advanced with the d that is known. */
static void step_rank(work *w, int64_t t)
{
    int K = w->s->K, V = w->s->V;
    for (int j = 0; j < V; j++) {
        const float *S0 = w->before + j * K;
        float D0 = decayed(w, t, -1);
        float d = value(w, t, j) - D0 * dot(w, w->k[t], S0);
        for (int64_t s = 0; s < t; s++)
            d -= decayed(w, t, s) * dot(w, w->k[t], w->k[s]) * w->d[s * V + j];
        w->d[t * V + j] = d *= w->beta[t];
        float o = D0 * dot(w, w->q[t], S0);
        for (int64_t s = 0; s <= t; s++)
            o += decayed(w, t, s) * dot(w, w->q[t], w->k[s]) * w->d[s * V + j];
        w->o[j] = o;
        for (int i = 0; i < K; i++)
            w->S[j * K + i] =
                fmaf(w->decay[t], w->S[j * K + i], w->k[t][i] * d);
    }
}

static void write_o(work *w, int64_t t)
{
    const gdr_recurrent_params *p = w->p;
    int64_t at = w->b * p->o_b + t * p->o_t + w->hv * p->o_h;
    for (int j = 0; j < w->s->V; j++)
        gdr_store_rounded(w->s->io, p->o, at + j,
                          has(w, BUG_CUT_O) ? cut(w->s->io, w->o[j]) : w->o[j]);
}

static void o_from_rounded(work *w, int64_t t)
{
    int K = w->s->K;
    for (int j = 0; j < w->s->V; j++) {
        float row[KMAX];
        for (int i = 0; i < K; i++)
            row[i] = to(w->s->state, w->S[j * K + i]);
        w->o[j] = dot(w, w->q[t], row);
    }
}

static void run_token(work *w, int64_t t)
{
    size_t bytes = (size_t)w->s->K * (size_t)w->s->V * sizeof *w->S;
    int rank = w->kernel->style == STYLE_RANK && !w->s->round_between_tokens;
    if (!rank || t == 0)
        memcpy(w->before, w->S, bytes);
    (rank ? step_rank : w->tree ? step_tree : step_plain)(w, t);
    if (has(w, BUG_O))
        o_from_rounded(w, t);
    write_o(w, t);
    if (w->s->round_between_tokens && !has(w, BUG_ROUND))
        for (size_t i = 0; i < bytes / sizeof *w->S; i++)
            w->S[i] = has(w, BUG_CUT_STATE) ? cut(w->s->state, w->S[i])
                                            : to(w->s->state, w->S[i]);
    store_token(w, t);
}

/* ---- manners ------------------------------------------------------------ */

/* A slot in the pool's memory that no sequence has; -1: none. */
static int64_t spare_slot(work *w)
{
    const gdr_recurrent_params *p = w->p;
    if (w->s->contract == GDR_INDEXED || !p->state_indices)
        return -1;
    int64_t own = w->b, b;
    for (int64_t slot = p->n_slots - 1; slot >= 0; slot--) {
        for (b = 0; b < p->B; b++) {
            w->b = b;
            if (index_at(w, 0) == slot)
                break;
        }
        w->b = own;
        if (b == p->B)
            return slot;
    }
    return -1;
}

static void misbehave(work *w)
{
    const gdr_recurrent_params *p = w->p;
    size_t io = gdr_dtype_bytes(w->s->io), st = gdr_dtype_bytes(w->s->state);
    int64_t end = (p->B - 1) * p->o_b + (p->T - 1) * p->o_t +
                  (p->Hv - 1) * p->o_h + w->s->V;
    int64_t head = (int64_t)w->s->K * w->s->V;
    char *state = p->state, *o = p->o;
    int last = w->b == p->B - 1 && w->hv == p->Hv - 1;
    if (has(w, BUG_O_PAST) && last)
        memset(o + (size_t)end * io, 0, io);
    if (has(w, BUG_S_BEFORE) && p->T == 1 && last)
        memset(state - st, 0, st);
    if (has(w, BUG_PADDING) && w->slot >= 0 && p->s_slot > p->Hv * p->s_head &&
        w->s->contract == GDR_FINAL)
        memset(state + (size_t)(w->slot * p->s_slot + p->Hv * p->s_head) * st,
               0, st);
    if (has(w, BUG_SPARE) && last && spare_slot(w) >= 0)
        state[(size_t)(spare_slot(w) * p->s_slot + head / 2) * st] ^= 1;
    if (has(w, BUG_INPUT))
        memset((char *)p->q + io, 0, io);
    if (has(w, BUG_NAN) && last && w->slot >= 0)
        gdr_store_rounded(w->s->io, o, end - 1, NAN);
    if (has(w, BUG_FLAKY) && last && w->kernel->launches % 7 == 6)
        o[(size_t)(end - 1) * io] ^= 1;
    if (has(w, BUG_INVALID_S) && w->slot < 0)
        store_slot(w, spare_slot(w), 0, w->S);
    if (has(w, BUG_WORKSPACE) && last)
        memset((char *)p->workspace + p->B * p->Hv * 64, 0, 4);
}

static void run_head(work *w)
{
    const gdr_recurrent_params *p = w->p;
    memset(w->S, 0, (size_t)w->s->K * (size_t)w->s->V * sizeof *w->S);
    w->slot = read_slot(w);
    w->marked = w->hv == p->Hv - 1 && w->b == p->B / 2;
    w->tree = w->kernel->style != STYLE_PLAIN;
    if ((has(w, BUG_BATCH) && p->B > 1) || (has(w, BUG_PACKET) && p->T > 1))
        w->tree = !w->tree;
    if (w->slot >= 0)
        read_state(w);
    if (has(w, BUG_WIDE) && w->b == p->B - 1 && w->hv == p->Hv - 1 && p->B > 3)
        w->S[0] += 1;
    memset(w->o, 0, (size_t)w->s->V * sizeof *w->o);
    for (int64_t t = 0; t < p->T; t++) {
        if (w->slot < 0 && !has(w, BUG_INVALID_O))
            write_o(w, t);
        if (w->slot < 0)
            continue;
        read_token(w, t);
        if (has(w, BUG_STALE))
            w->beta[t] *= *(const float *)p->workspace != 0 ? 1.0000001f : 1;
        run_token(w, t);
    }
    misbehave(w);
}

/* ---- backend and target ------------------------------------------------- */

static gdr_status launch(void *dev, void *kernel, const gdr_launch_dims *dims,
                         const void *params, size_t bytes, void *stream)
{
    bug_kernel *k = dev;
    (void)kernel, (void)dims, (void)bytes, (void)stream;
    if (k->bug == BUG_REFUSES)
        return GDR_ERR_LAUNCH;
    size_t head = (size_t)k->s.K * (size_t)k->s.V, V = (size_t)k->s.V;
    work *w = calloc(1, sizeof *w);
    float *memory = calloc(2 * head + (TOKENS + 1) * V, sizeof *memory);
    assert_true(w && memory);
    w->kernel = k;
    w->s = &k->s;
    w->p = params;
    w->S = memory;
    w->before = memory + head;
    w->o = memory + 2 * head;
    w->d = w->o + V;
    for (w->b = 0; w->b < w->p->B; w->b++)
        for (w->hv = 0; w->hv < w->p->Hv; w->hv++)
            run_head(w);
    k->launches++;
    free(memory);
    free(w);
    return GDR_OK;
}

static gdr_status load(void *dev, const void *code, size_t bytes,
                       const char *entry, void **kernel, char *msg, size_t n)
{
    (void)code, (void)bytes, (void)entry;
    if (n > 0)
        msg[0] = 0;
    *kernel = dev;
    return GDR_OK;
}

static void unload(void *dev, void *kernel)
{
    (void)dev, (void)kernel;
}

static const gdr_backend backend = {
    .kind = "bug", .load = load, .unload = unload, .launch = launch};

static gdr_status mem_alloc(void *dev, size_t bytes, void **p)
{
    bug_kernel *k = dev;
    *p = NULL;
    if (k->most_allocations && k->allocations++ >= k->most_allocations)
        return GDR_ERR_NO_MEMORY;
    *p = malloc(bytes ? bytes : 1);
    return *p ? GDR_OK : GDR_ERR_NO_MEMORY;
}

static void mem_free(void *dev, void *p)
{
    (void)dev;
    free(p);
}

static gdr_status mem_copy(void *dev, void *to_here, const void *from, size_t n)
{
    (void)dev;
    memcpy(to_here, from, n);
    return GDR_OK;
}

const gdr_target bug_target = {.kind = "bug",
                               .backend = &backend,
                               .alloc = mem_alloc,
                               .free = mem_free,
                               .write = mem_copy,
                               .read = mem_copy};

void bug_kernel_open(bug_kernel *k, const char *problem, bug b, bug_style style)
{
    char msg[200];
    gdr_problem p;
    int spills = b == BUG_WORKSPACE || b == BUG_STALE;
    gdr_step_text text = {.entry = "bug",
                          .grid_x = "b*hv",
                          .workspace = spills ? "b*hv*64" : NULL};
    if (gdr_problem_parse(problem, &p, msg, sizeof msg) != GDR_OK)
        fail_msg("%s: %s", problem, msg);
    *k = (bug_kernel){.s = p.s, .bug = b, .style = style};
    k->recipe = (gdr_recipe){.s = p.s, .backend = &backend, .dev = k, .sms = 1};
    assert_int_equal(
        gdr_recipe_add_step(&k->recipe, &text, NULL, 0, msg, sizeof msg),
        GDR_OK);
}

gdr_verdict bug_kernel_verify(bug_kernel *k, uint64_t seed, int thorough)
{
    gdr_verify_options options = {.seed = seed, .thorough = thorough};
    gdr_verdict verdict;
    assert_int_equal(gdr_verify(&bug_target, &k->recipe, &options, &verdict),
                     GDR_OK);
    return verdict;
}
