/*
 * test_generic.c - the plain kernel inside libgdr against the float64
 * recurrence, over every pair of values of the axes below, within the
 * forward-error bound. Nothing that a call does not own may change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../runtime/generic.h"
#include "../runtime/recipe.h"
#include "../runtime/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- axes and cases ------------------------------------------------------ */

enum axis {
    CONTRACT,
    LAYOUT,
    DTYPES,
    DIMS,
    GATE,
    L2NORM,
    ROUND,
    TOKENS,
    HEADS,
    HEAD_MOD,
    DECAY,
    BETA,
    INDEX,
    INVALID,
    PADDING,
    EXTRA,
    DATA,
    AXES
};

static const struct {
    const char *name;
    int levels;
} axes[AXES] = {
    [CONTRACT] = {"contract", 4}, [LAYOUT] = {"layout", 2},
    [DTYPES] = {"dtypes", 5},     [DIMS] = {"dims", 6},
    [GATE] = {"gate", 2},         [L2NORM] = {"l2norm", 2},
    [ROUND] = {"round", 2},       [TOKENS] = {"tokens", 4},
    [HEADS] = {"heads", 3},       [HEAD_MOD] = {"head_mod", 2},
    [DECAY] = {"decay", 4},       [BETA] = {"beta", 3},
    [INDEX] = {"index", 3},       [INVALID] = {"invalid", 3},
    [PADDING] = {"padding", 2},   [EXTRA] = {"extra", 4},
    [DATA] = {"data", 4},
};

typedef struct row {
    int level[AXES];
} row;

static uint64_t random_bits(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double uniform(uint64_t *seed)
{
    return (double)(random_bits(seed) >> 11) * 0x1p-53;
}

/* near enough to a normal number of variance 1 */
static double normal(uint64_t *seed)
{
    double x = -6;
    for (int i = 0; i < 12; i++)
        x += uniform(seed);
    return x;
}

typedef struct pairs {
    unsigned char seen[AXES][AXES][8][8];
} pairs;

static int new_pairs(const pairs *p, const row *r)
{
    int n = 0;
    for (int a = 0; a < AXES; a++)
        for (int b = 0; b < a; b++)
            n += !p->seen[a][b][r->level[a]][r->level[b]];
    return n;
}

/* Of 50 random rows the one with most pairs not yet seen; 0: all are seen. */
static int next_row(pairs *p, uint64_t *seed, row *best)
{
    int most = 0, left = 0;
    for (int a = 0; a < AXES; a++)
        for (int b = 0; b < a; b++)
            for (int i = 0; i < axes[a].levels; i++)
                for (int j = 0; j < axes[b].levels; j++)
                    left += !p->seen[a][b][i][j];
    while (left && !most)
        for (int i = 0; i < 50; i++) {
            row r;
            for (int a = 0; a < AXES; a++)
                r.level[a] =
                    (int)(random_bits(seed) % (unsigned)axes[a].levels);
            int n = new_pairs(p, &r);
            if (n > most) {
                most = n;
                *best = r;
            }
        }
    for (int a = 0; left && a < AXES; a++)
        for (int b = 0; b < a; b++)
            p->seen[a][b][best->level[a]][best->level[b]] = 1;
    return left != 0;
}

static const char *row_text(const row *r)
{
    static char text[400];
    size_t used = 0;
    for (int a = 0; a < AXES; a++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s=%d ",
                                 axes[a].name, r->level[a]);
    return text;
}

/* ---- memory -------------------------------------------------------------- */

/* What a call may write, with what was there and what it should have written.
 * Sizes are exact: the address sanitizer sees the first byte beyond. */
typedef struct buffer {
    char *data, *before, *owned; /* owned: 1 for bytes the call must write */
    size_t bytes;
} buffer;

static void buffer_open(buffer *b, size_t bytes)
{
    *b = (buffer){malloc(bytes), malloc(bytes), calloc(bytes, 1), bytes};
    assert_true(b->data && b->before && b->owned);
}

static void buffer_close(buffer *b)
{
    free(b->data);
    free(b->before);
    free(b->owned);
}

static int64_t buffer_stray(const buffer *b)
{
    for (size_t i = 0; i < b->bytes; i++)
        if (!b->owned[i] && b->data[i] != b->before[i])
            return (int64_t)i;
    return -1;
}

enum { BATCH = 3, SLOTS = 40, INPUTS = 8 };

typedef struct call {
    gdr_problem p;
    gdr_args a;
    buffer o, state, snapshots;
    void *inputs[INPUTS];
    int n_inputs;
    int64_t indices[64];
    int32_t indices32[64], seqlens[BATCH], accepted[BATCH];
    uint64_t seed;
} call;

static void fill(gdr_dtype d, void *data, int64_t n, double scale,
                 uint64_t *seed)
{
    for (int64_t i = 0; i < n; i++)
        gdr_store_rounded(d, data, i, scale * normal(seed));
}

/* An input [B][T][H][D], padded between rows or not. */
static void open_input(call *c, gdr_tensor *t, gdr_dtype d, int64_t H,
                       int64_t D, int64_t pad, double scale)
{
    int64_t T = c->p.x.T;
    t->stride_h = D + pad;
    t->stride_t = H * t->stride_h + 3 * pad;
    t->stride_b = T * t->stride_t + pad;
    int64_t n = (BATCH - 1) * t->stride_b + (T - 1) * t->stride_t +
                (H - 1) * t->stride_h + D;
    t->data = malloc((size_t)n * gdr_dtype_bytes(d));
    assert_non_null(t->data);
    fill(d, t->data, n, scale, &c->seed);
    c->inputs[c->n_inputs++] = t->data;
}

static void set_value(const call *c, gdr_dtype d, const gdr_tensor *t,
                      double (*value)(uint64_t *seed), uint64_t *seed)
{
    for (int64_t b = 0; b < c->p.x.B; b++)
        for (int64_t i = 0; i < c->p.x.T; i++)
            for (int64_t h = 0; h < c->p.x.Hv; h++)
                gdr_store_rounded(d, t->data,
                                  b * t->stride_b + i * t->stride_t +
                                      h * t->stride_h,
                                  value(seed));
}

static double common_g(uint64_t *seed)
{
    return -uniform(seed);
}

static double hostile_g(uint64_t *seed)
{
    static const double g[] = {0, -INFINITY, -100, -.05};
    return g[random_bits(seed) % 4];
}

static double alpha(uint64_t *seed)
{
    return random_bits(seed) % 5 ? exp(common_g(seed)) : 0;
}

static double two(uint64_t *seed)
{
    (void)seed;
    return 2;
}

/* ---- a case from a row --------------------------------------------------- */

static void set_problem(call *c, const row *r)
{
    static const gdr_dtype dtypes[][2] = {{GDR_F32, GDR_F32},
                                          {GDR_BF16, GDR_F32},
                                          {GDR_BF16, GDR_BF16},
                                          {GDR_F16, GDR_F32},
                                          {GDR_F16, GDR_F16}};
    static const int dims[][2] = {{8, 1},   {16, 17}, {64, 37},
                                  {128, 8}, {96, 24}, {1024, 9}};
    static const int heads[][2] = {{1, 1}, {2, 4}, {2, 6}};
    static const int tokens[] = {1, 2, 3, 5};
    const int *l = r->level;
    gdr_static *s = &c->p.s;
    *s = (gdr_static){.size = sizeof *s};
    s->contract = (gdr_contract)l[CONTRACT];
    s->layout = (gdr_layout)l[LAYOUT];
    s->io = dtypes[l[DTYPES]][0];
    s->state = dtypes[l[DTYPES]][1];
    s->K = dims[l[DIMS]][0];
    s->V = dims[l[DIMS]][1];
    s->gate = (gdr_gate)l[GATE];
    s->l2norm = l[L2NORM];
    s->round_between_tokens = l[ROUND];
    c->p.x = (gdr_extents){BATCH, tokens[l[TOKENS]], heads[l[HEADS]][0],
                           heads[l[HEADS]][1]};
    if (s->contract == GDR_FINAL && s->round_between_tokens)
        c->p.x.T = 1; /* the oracle sees no state between; see packets */
}

static void set_gates(call *c, const row *r)
{
    const gdr_extents *x = &c->p.x;
    gdr_args *a = &c->a;
    gdr_dtype io = c->p.s.io;
    int decay = r->level[DECAY], beta = r->level[BETA];
    int hostile = r->level[DATA] == 3, identical = r->level[DATA] == 2;
    a->flags |= decay == 3 ? GDR_GATE_IO : 0;
    a->flags |= beta == 2 ? GDR_BETA_IO : 0;
    gdr_dtype g = decay == 3 ? io : GDR_F32, b = beta == 2 ? io : GDR_F32;
    if (c->p.s.gate == GDR_GATE_FUSED) {
        a->flags |= r->level[EXTRA] & 1 ? GDR_NEG_EIGVAL : 0;
        open_input(c, &a->a, g, x->Hv, 1, 0, hostile ? 30 : 1);
        open_input(c, &a->b, b, x->Hv, 1, 0, hostile ? 5 : 1);
        gdr_tensor A = {0}, bias = {0};
        open_input(c, &A, GDR_F32, x->Hv, 1, 0, 1);
        open_input(c, &bias, GDR_F32, x->Hv, 1, 0, 1);
        a->A_log = A.data;
        a->dt_bias = bias.data;
        return;
    }
    if (decay != 0) {
        open_input(c, &a->g, g, x->Hv, 1, 0, 1);
        a->flags |= decay == 2 ? GDR_ALPHA : 0;
        set_value(c, g, &a->g,
                  decay == 2 ? alpha
                  : hostile  ? hostile_g
                             : common_g,
                  &c->seed);
    }
    if (beta != 0) {
        open_input(c, &a->beta, b, x->Hv, 1, 0, 1);
        set_value(c, b, &a->beta, identical ? two : uniform, &c->seed);
    }
}

static void set_vectors(call *c, const row *r)
{
    const gdr_extents *x = &c->p.x;
    const gdr_static *s = &c->p.s;
    static const double scales[] = {1, 1e-3, 1, 1};
    double scale = scales[r->level[DATA]];
    int64_t pad = r->level[PADDING] ? 5 : 0;
    double k = s->l2norm ? scale : 1 / sqrt(s->K);
    open_input(c, &c->a.q, s->io, x->Hk, s->K, pad, scale);
    open_input(c, &c->a.k, s->io, x->Hk, s->K, pad, k);
    open_input(c, &c->a.v, s->io, x->Hv, s->V, pad, scale);
    if (r->level[DATA] == 2) /* identical keys of norm 1 */
        for (int64_t i = 0; i < (BATCH - 1) * c->a.k.stride_b; i++)
            gdr_store_rounded(s->io, c->a.k.data, i, 1 / sqrt(s->K));
    gdr_tensor *o = &c->a.o;
    o->stride_h = s->V + pad;
    o->stride_b = x->Hv * o->stride_h; /* [T][B][Hv][V] */
    o->stride_t = BATCH * o->stride_b + pad;
    buffer_open(&c->o, (size_t)(x->T * o->stride_t) * gdr_dtype_bytes(s->io));
    memset(c->o.data, 0xff, c->o.bytes);
    memcpy(c->o.before, c->o.data, c->o.bytes);
    o->data = c->o.data;
}

static void set_pools(call *c, const row *r)
{
    const gdr_static *s = &c->p.s;
    gdr_args *a = &c->a;
    int64_t pad = r->level[PADDING] ? 11 : 0, head = (int64_t)s->K * s->V;
    int64_t ring = s->contract == GDR_RING ? c->p.x.T + r->level[EXTRA] : 1;
    gdr_dtype snapshot = r->level[EXTRA] & 1 ? GDR_F32 : s->state;
    a->n_slots = SLOTS;
    a->ring = ring;
    a->state_stride_head = head + pad;
    a->state_stride_ring = c->p.x.Hv * a->state_stride_head;
    a->state_stride_slot = ring * a->state_stride_ring + 2 * pad;
    int64_t n = SLOTS * a->state_stride_slot;
    buffer_open(&c->state, (size_t)n * gdr_dtype_bytes(s->state));
    fill(s->state, c->state.data, n, r->level[DATA] == 3 ? 20 : 1, &c->seed);
    memcpy(c->state.before, c->state.data, c->state.bytes);
    a->state = c->state.data;
    if (s->contract != GDR_SNAPSHOTS)
        return;
    a->flags = r->level[EXTRA] & 1 ? GDR_SNAPSHOT_F32 : 0;
    a->flags |= r->level[EXTRA] & 2 ? GDR_SNAPSHOT_BY_SLOT : 0;
    a->flags |= r->level[PADDING] ? GDR_UPDATE_STATE : 0;
    a->n_snapshots = SLOTS;
    a->snapshot_stride_head = head + pad;
    a->snapshot_stride_t = c->p.x.Hv * a->snapshot_stride_head;
    a->snapshot_stride_n = c->p.x.T * a->snapshot_stride_t;
    buffer_open(&c->snapshots, (size_t)(SLOTS * a->snapshot_stride_n) *
                                   gdr_dtype_bytes(snapshot));
    memset(c->snapshots.data, 0xff, c->snapshots.bytes);
    memcpy(c->snapshots.before, c->snapshots.data, c->snapshots.bytes);
    a->snapshots = c->snapshots.data;
}

/* Distinct slots, spread by a step that is prime to their number; one sequence
 * invalid when the row asks for it. */
static void set_indices(call *c, const row *r)
{
    gdr_args *a = &c->a;
    int indexed = c->p.s.contract == GDR_INDEXED;
    int kind = indexed && !r->level[INDEX] ? 1 : r->level[INDEX];
    int64_t per = indexed ? c->p.x.T : 1, stride = indexed ? per + 1 : 1;
    a->index_min = r->level[INVALID];
    for (int64_t b = 0; b < BATCH; b++) {
        c->seqlens[b] = (int32_t)(random_bits(&c->seed) % 1000);
        c->accepted[b] =
            (int32_t)(1 + random_bits(&c->seed) % (uint64_t)c->p.x.T);
        for (int64_t i = 0; i < stride; i++) /* the gap looks valid too */
            c->indices[b * stride + i] = 2 + (b * stride + i) * 7 % (SLOTS - 2);
    }
    if (r->level[INVALID] == 1)
        c->indices[stride] = 0; /* below index_min: read or only written */
    if (r->level[INVALID] == 2)
        c->indices[2 * stride] = SLOTS;
    if (r->level[INVALID] == 2)
        c->accepted[0] = (int32_t)c->p.x.T + 1;
    for (int i = 0; i < 64; i++)
        c->indices32[i] = (int32_t)c->indices[i];
    a->indices_stride_b = stride;
    a->cache_seqlens = c->seqlens;
    a->accepted = r->level[HEADS] ? c->accepted : NULL;
    a->flags |= kind == 2 ? GDR_INDEX64 : 0;
    a->state_indices = kind == 0   ? NULL
                       : kind == 1 ? (void *)c->indices32
                                   : (void *)c->indices;
}

static void call_open(call *c, const row *r, uint64_t seed)
{
    *c = (call){.seed = seed};
    set_problem(c, r);
    gdr_args_init(&c->a, &c->p);
    set_pools(c, r);
    set_vectors(c, r);
    set_gates(c, r);
    set_indices(c, r);
    c->a.flags |= r->level[HEAD_MOD] ? GDR_HEAD_MOD : 0;
}

static void call_close(call *c)
{
    for (int i = 0; i < c->n_inputs; i++)
        free(c->inputs[i]);
    buffer_close(&c->o);
    buffer_close(&c->state);
    buffer_close(&c->snapshots);
}

/* ---- the oracle ---------------------------------------------------------- */

typedef struct oracle {
    call *c;
    gdr_args before; /* the call as it was: its state is not yet written */
    double *S, *o, *e, *e_o, *q, *k, *v;
    int64_t elements;
    double worst;
    char fault[200];
} oracle;

/* One element: x against E, which was rounded to that dtype on its way, with
 * the scale e of float32 errors. */
static void compare(oracle *w, buffer *b, gdr_dtype d, int64_t at,
                    gdr_dtype rounded, double E, double e, const char *what)
{
    size_t bytes = gdr_dtype_bytes(d);
    double x = gdr_load(d, b->data, at);
    double ulp = gdr_ulp(rounded, E) / 2, bound = 16 * 0x1p-24 * e;
    double off = x == gdr_round(d, E) ? 0 : fabs(x - E) - ulp;
    double error = off <= 0 ? 0 : off / bound;
    assert_true(((size_t)at + 1) * bytes <= b->bytes);
    memset(b->owned + (size_t)at * bytes, 1, bytes);
    w->elements++;
    if (!(error <= w->worst))
        w->worst = error;
    if (!(error <= 1) && !w->fault[0])
        snprintf(w->fault, sizeof w->fault,
                 "%s element %lld: %.9g, expected %.9g within %.3g", what,
                 (long long)at, x, E, ulp + bound);
}

static void compare_output(oracle *w, int64_t b, int64_t t, int64_t hv,
                           int valid)
{
    const gdr_tensor *o = &w->c->a.o;
    int64_t at = b * o->stride_b + t * o->stride_t + hv * o->stride_h;
    for (int j = 0; j < w->c->p.s.V; j++)
        compare(w, &w->c->o, w->c->p.s.io, at + j, w->c->p.s.io,
                valid ? w->o[j] : 0, valid ? w->e_o[j] : 0, "o");
}

static void compare_state(oracle *w, int64_t b, int64_t t, int64_t hv)
{
    const gdr_static *s = &w->c->p.s;
    gdr_state_write to = gdr_state_sink(s, &w->before, b, hv, t);
    buffer *pool = to.pool ? &w->c->snapshots : &w->c->state;
    /* a float32 snapshot of a state that was rounded */
    gdr_dtype rounded = s->round_between_tokens ? s->state : to.dtype;
    if (to.offset < 0)
        return;
    for (int64_t j = 0; j < s->V; j++)
        for (int64_t i = 0; i < s->K; i++) {
            int64_t at = s->layout == GDR_VK ? j * s->K + i : i * s->V + j;
            compare(w, pool, to.dtype, to.offset + at, rounded,
                    w->S[j * s->K + i], w->e[j], "state");
        }
}

/* With rounding between tokens the next one starts from what was stored. */
static void take_stored_state(oracle *w, int64_t b, int64_t t, int64_t hv)
{
    const gdr_static *s = &w->c->p.s;
    gdr_state_write to = gdr_state_sink(s, &w->before, b, hv, t);
    if (to.offset < 0) { /* `indexed` skipped it: round as the kernel does */
        for (int64_t i = 0; i < (int64_t)s->K * s->V; i++)
            w->S[i] = gdr_round(s->state, w->S[i]);
        return;
    }
    gdr_state_load(s, to.dtype,
                   to.pool ? w->c->snapshots.data : w->c->state.data, to.offset,
                   w->S);
    memset(w->e, 0, (size_t)s->V * sizeof *w->e);
}

static void check_head(oracle *w, int64_t b, int64_t hv)
{
    const gdr_static *s = &w->c->p.s;
    int64_t T = w->c->p.x.T;
    gdr_state_map from = gdr_state_source(s, &w->before, b, hv);
    memset(w->e, 0, (size_t)s->V * sizeof *w->e);
    if (from.valid)
        gdr_state_load(s, s->state, w->before.state, from.read, w->S);
    for (int64_t t = 0; t < T; t++) {
        gdr_token token;
        if (from.valid) {
            if (t > 0 && s->round_between_tokens)
                take_stored_state(w, b, t - 1, hv);
            gdr_token_read(s, &w->before, b, t, hv, w->q, w->k, w->v, &token);
            gdr_token_step(&token, w->S, w->o, w->e, w->e_o);
            compare_state(w, b, t, hv);
        }
        compare_output(w, b, t, hv, from.valid);
    }
    if (from.valid)
        compare_state(w, b, T, hv);
}

static double check_call(call *c, const row *r)
{
    size_t K = (size_t)c->p.s.K, V = (size_t)c->p.s.V;
    double *memory = calloc(K * V + 2 * K + 4 * V, sizeof *memory);
    assert_non_null(memory);
    oracle w = {.c = c, .before = c->a, .S = memory};
    w.before.state = c->state.before;
    w.q = w.S + K * V;
    w.k = w.q + K;
    w.v = w.k + K;
    w.o = w.v + V;
    w.e = w.o + V;
    w.e_o = w.e + V;
    for (int64_t b = 0; b < c->p.x.B; b++)
        for (int64_t hv = 0; hv < c->p.x.Hv; hv++)
            check_head(&w, b, hv);
    free(memory);
    if (w.fault[0])
        fail_msg("%s\n%s", row_text(r), w.fault);
    if (buffer_stray(&c->o) >= 0 || buffer_stray(&c->state) >= 0 ||
        buffer_stray(&c->snapshots) >= 0)
        fail_msg("%s\nbytes not owned were written: o %lld state %lld "
                 "snapshots %lld",
                 row_text(r), (long long)buffer_stray(&c->o),
                 (long long)buffer_stray(&c->state),
                 (long long)buffer_stray(&c->snapshots));
    return w.worst;
}

/* ---- tests --------------------------------------------------------------- */

typedef struct fixture {
    void *dev;
} fixture;

static int open_device(void **state)
{
    static fixture f;
    const gdr_device_options options = {.size = sizeof options, .threads = 3};
    *state = &f;
    return gdr_backend_cpu.open("", &options, &f.dev, NULL, 0);
}

static int close_device(void **state)
{
    gdr_backend_cpu.close(((fixture *)*state)->dev);
    return 0;
}

static void launch(void *dev, const gdr_static *s, const gdr_args *a)
{
    gdr_recipe r;
    char msg[256] = "";
    assert_int_equal(gdr_recipe_generic(&r, s, &gdr_backend_cpu, dev), GDR_OK);
    assert_int_equal(r.generic, 1);
    if (gdr_args_check(s, a, msg, sizeof msg) != GDR_OK ||
        gdr_recipe_launch(&r, a, NULL, msg, sizeof msg) != GDR_OK)
        fail_msg("%s", msg);
    gdr_recipe_unload(&r);
}

static void every_pair_of_axes_is_correct(void **state)
{
    fixture *f = *state;
    pairs *seen = calloc(1, sizeof *seen);
    uint64_t seed = 1;
    double worst = 0;
    int cases = 0;
    row r;
    assert_non_null(seen);
    for (; next_row(seen, &seed, &r); cases++) {
        call c;
        call_open(&c, &r, seed);
        launch(f->dev, &c.p.s, &c.a);
        double error = check_call(&c, &r);
        worst = error > worst ? error : worst;
        call_close(&c);
    }
    free(seen);
    print_message("%d cases, worst error %.2f of its bound\n", cases, worst);
}

/* Any split of the units gives the same bytes; so does any order. */
static void any_split_gives_the_same_bytes(void **state)
{
    row r = {{[CONTRACT] = GDR_RING, [DTYPES] = 2, [DIMS] = 1, [TOKENS] = 3}};
    gdr_generic_params p;
    call c;
    (void)state;
    call_open(&c, &r, 5);
    p.s = c.p.s;
    gdr_args_pack(&c.a, &c.p.s, &p.p);
    long long units = BATCH * c.p.x.Hv * 3; /* V = 17: three tiles */
    gdr_generic_recurrent(&p.p, 0, units);
    char *o = c.o.data, *S = c.state.data;
    c.o.data = malloc(c.o.bytes);
    c.state.data = malloc(c.state.bytes);
    assert_true(c.o.data && c.state.data);
    memcpy(c.o.data, c.o.before, c.o.bytes);
    memcpy(c.state.data, c.state.before, c.state.bytes);
    p.p.o = c.o.data;
    p.p.state = c.state.data;
    for (long long i = units - 1; i >= 0; i--)
        gdr_generic_recurrent(&p.p, i, i + 1);
    assert_memory_equal(o, c.o.data, c.o.bytes);
    assert_memory_equal(S, c.state.data, c.state.bytes);
    free(o);
    free(S);
    call_close(&c);
}

/* With rounding a packet of T tokens is, bit for bit, T calls of one. */
static void a_packet_equals_its_tokens(void **state)
{
    fixture *f = *state;
    for (int dtypes = 0; dtypes < 5; dtypes++)
        for (int layout = 0; layout < 2; layout++) {
            row r = {{[DTYPES] = dtypes,
                      [LAYOUT] = layout,
                      [DIMS] = 2,
                      [TOKENS] = 3,
                      [DECAY] = 1,
                      [BETA] = 1,
                      [HEADS] = 1}};
            call packet, tokens;
            call_open(&packet, &r, 9);
            call_open(&tokens, &r, 9);
            packet.p.s.round_between_tokens = 1;
            launch(f->dev, &packet.p.s, &packet.a);
            int64_t T = tokens.a.x.T;
            size_t io = gdr_dtype_bytes(tokens.p.s.io);
            tokens.a.x.T = 1;
            for (int64_t t = 0; t < T; t++) {
                gdr_args *a = &tokens.a;
                launch(f->dev, &tokens.p.s, a);
                a->q.data = (char *)a->q.data + (size_t)a->q.stride_t * io;
                a->k.data = (char *)a->k.data + (size_t)a->k.stride_t * io;
                a->v.data = (char *)a->v.data + (size_t)a->v.stride_t * io;
                a->o.data = (char *)a->o.data + (size_t)a->o.stride_t * io;
                a->g.data = (float *)a->g.data + a->g.stride_t;
                a->beta.data = (float *)a->beta.data + a->beta.stride_t;
            }
            assert_memory_equal(packet.o.data, tokens.o.data, packet.o.bytes);
            assert_memory_equal(packet.state.data, tokens.state.data,
                                packet.state.bytes);
            call_close(&packet);
            call_close(&tokens);
        }
}

static void nothing_to_do_touches_nothing(void **state)
{
    fixture *f = *state;
    row r = {{[TOKENS] = 1}};
    call c;
    call_open(&c, &r, 3);
    c.a.x.T = 0;
    launch(f->dev, &c.p.s, &c.a);
    c.a.x.T = 2;
    c.a.x.B = 0;
    launch(f->dev, &c.p.s, &c.a);
    assert_memory_equal(c.o.data, c.o.before, c.o.bytes);
    assert_memory_equal(c.state.data, c.state.before, c.state.bytes);
    call_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_axes_is_correct),
        cmocka_unit_test(any_split_gives_the_same_bytes),
        cmocka_unit_test(a_packet_equals_its_tokens),
        cmocka_unit_test(nothing_to_do_touches_nothing),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
