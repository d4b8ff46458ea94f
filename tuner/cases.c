/*
 * cases.c - from levels to a call: extents, strides, gaps and indices in
 * memory. What must stay true: no two sequences of a case share a slot (what
 * would be right is not defined), and every case passes gdr_args_check.
 */
#include "cases.h"
#include "../runtime/reference.h"
#include "data.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- levels ------------------------------------------------------------- */

enum { INDEX_DENSE, INDEX_32, INDEX_64 };
enum { INVALID_NONE, INVALID_RANGE, INVALID_MIN1 };
enum { PAD_NONE, PAD_SLOT, PAD_ALL, PAD_FAR };
enum { QKV_APART, QKV_PACKED, QKV_PADDED };
enum { G_F32, G_IO, G_NONE, G_ALPHA, G_ALPHA_IO };
enum { BETA_F32, BETA_IO, BETA_NONE };
enum { ACCEPTED_NONE, ACCEPTED_VALID, ACCEPTED_RANGE };
enum { SEQLEN_SMALL, SEQLEN_WRAP, SEQLEN_LARGE };

static const int sizes_b[] = {1, 2, 3};
static const int sizes_t[] = {1, 2, 3, 4, 5, 8, 11};
static const int extra_ring[] = {0, 1, 3};

/* "-" prints nothing; the numbers of the first axes are printed as extents */
static const char *const level_names[GDR_AXES][7] = {
    [GDR_AXIS_MAP] = {"-", "mod"},
    [GDR_AXIS_INDEX] = {"dense", "int32", "int64"},
    [GDR_AXIS_INVALID] = {"-", "invalid slots", "index_min 1"},
    [GDR_AXIS_PAD] = {"-", "padded slots", "padded heads", "far slots"},
    [GDR_AXIS_QKV] = {"-", "packed qkv", "padded qkv"},
    [GDR_AXIS_G] = {"-", "g io", "no g", "alpha", "alpha io"},
    [GDR_AXIS_BETA] = {"-", "beta io", "no beta"},
    [GDR_AXIS_EDGE] = {"-", "no zones"},
};

static const char *const fused_names[2][4] = {
    {"-", "a io"}, {"-", "b io", "neg_eigval", "neg_eigval b io"}};

static const char *const contract_names[][3][3] = {
    [GDR_RING] = {{"R=T", "R=T+1", "R=T+3"}, {"-", "wrap", "large seqlens"}},
    [GDR_INDEXED] = {{"-", "accepted", "accepted out of range"}},
    [GDR_SNAPSHOTS] = {{"-", "by slot"},
                       {"-", "f32 snapshots"},
                       {"-", "no update"}},
};

static const uint8_t contract_levels[][3] = {
    [GDR_FINAL] = {1, 1, 1},
    [GDR_RING] = {3, 3, 1},
    [GDR_INDEXED] = {3, 1, 1},
    [GDR_SNAPSHOTS] = {2, 2, 2},
};

enum { DATA_LEVELS = 7 };

void gdr_case_levels(const gdr_static *s, int levels[GDR_AXES])
{
    int fused = s->gate == GDR_GATE_FUSED;
    const int all[GDR_AXES] = {
        [GDR_AXIS_B] = 3,
        [GDR_AXIS_T] = 7,
        [GDR_AXIS_HK] = 2,
        [GDR_AXIS_RATIO] = 4,
        [GDR_AXIS_MAP] = 2,
        [GDR_AXIS_INDEX] = 3,
        [GDR_AXIS_INVALID] = 3,
        [GDR_AXIS_PAD] = 4,
        [GDR_AXIS_QKV] = 3,
        [GDR_AXIS_G] = fused ? 2 : 5,
        [GDR_AXIS_BETA] = fused ? 4 : 3,
        [GDR_AXIS_FIRST] = contract_levels[s->contract][0],
        [GDR_AXIS_SECOND] = contract_levels[s->contract][1],
        [GDR_AXIS_THIRD] = contract_levels[s->contract][2],
        [GDR_AXIS_DATA] = DATA_LEVELS,
        [GDR_AXIS_EDGE] = 2,
    };
    memcpy(levels, all, sizeof all);
}

/* Order: B T Hk ratio map, index invalid pad qkv, g beta, contract (3), data,
 * edge. Levels beyond what a problem has wrap round. */
const gdr_case_spec gdr_gate_cases[] = {
    {"decode", {2, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}},
    {"packet", {2, 3, 1, 1, 0, 2, 1, 1, 1, 0, 0, 1, 1, 0, 1, 0}},
    {"dense", {1, 1, 1, 2, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1, 2, 1}},
    {"mod", {1, 2, 1, 1, 1, 1, 2, 2, 2, 3, 2, 2, 2, 0, 3, 0}},
    {"far", {1, 1, 0, 3, 0, 1, 0, 3, 0, 2, 0, 1, 1, 1, 4, 0}},
    {"long", {0, 6, 0, 1, 0, 1, 0, 0, 0, 4, 3, 2, 2, 0, 5, 0}},
};
const int gdr_n_gate_cases = sizeof gdr_gate_cases / sizeof *gdr_gate_cases;

const gdr_case_spec gdr_repeat_case = {
    "repeat", {1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0}};

/* ---- building ----------------------------------------------------------- */

typedef struct builder {
    gdr_case *c;
    uint8_t level[GDR_AXES];
    int64_t *slots; /* [B] or, indexed, [B][T]: valid and all different */
    int64_t used;   /* slots in the state's memory */
    uint64_t seed;
    gdr_status status;
} builder;

static void append_name(gdr_case *c, const char *text)
{
    size_t n = strlen(c->name);
    if (text && strcmp(text, "-") != 0)
        snprintf(c->name + n, sizeof c->name - n, ", %s", text);
}

static void name_case(gdr_case *c, const gdr_case_spec *spec, const uint8_t *l)
{
    const gdr_extents *x = &c->args.x;
    int fused = c->s.gate == GDR_GATE_FUSED;
    snprintf(c->name, sizeof c->name, "%s b%dt%dhk%dhv%d", spec->name,
             (int)x->B, (int)x->T, (int)x->Hk, (int)x->Hv);
    for (int a = GDR_AXIS_MAP; a < GDR_AXES; a++) {
        if (a >= GDR_AXIS_FIRST && a <= GDR_AXIS_THIRD &&
            c->s.contract != GDR_FINAL)
            append_name(
                c, contract_names[c->s.contract][a - GDR_AXIS_FIRST][l[a]]);
        else if (fused && (a == GDR_AXIS_G || a == GDR_AXIS_BETA))
            append_name(c, fused_names[a - GDR_AXIS_G][l[a]]);
        else if (a != GDR_AXIS_DATA)
            append_name(c, level_names[a][l[a]]);
    }
    size_t n = strlen(c->name);
    snprintf(c->name + n, sizeof c->name - n, ", data %d", l[GDR_AXIS_DATA]);
}

void gdr_case_poison(unsigned char *image, size_t bytes)
{
    uint16_t *words = (uint16_t *)image;
    assert(bytes % 2 == 0);
    for (size_t i = 0; i < bytes / 2; i++)
        words[i] = (uint16_t)(0xffc0 | (i * 7 & 0x3f));
}

/* A buffer of so many bytes; returns its number. */
static int add_buffer(builder *w, const char *name, int64_t bytes, int output)
{
    gdr_case *c = w->c;
    assert(c->n_buffers < GDR_CASE_BUFFERS);
    gdr_buffer *b = &c->buffer[c->n_buffers];
    b->name = name;
    b->zone = w->level[GDR_AXIS_EDGE] ? 0 : GDR_ZONE_BYTES;
    b->bytes = (size_t)bytes;
    b->output = output;
    if (w->status != GDR_OK)
        return c->n_buffers++;
    b->image = malloc(2 * b->zone + b->bytes + 2);
    if (b->image)
        gdr_case_poison(b->image, (2 * b->zone + b->bytes + 1) / 2 * 2);
    else
        w->status = GDR_ERR_NO_MEMORY;
    return c->n_buffers++;
}

/* Points a field of args into a buffer, skip bytes from its payload. Negative:
 * the pointer stands where slot 0 would be. */
static void point(builder *w, size_t field, int buffer, int64_t skip)
{
    gdr_case *c = w->c;
    const gdr_buffer *b = &c->buffer[buffer];
    uintptr_t p = (uintptr_t)b->image + b->zone + (uintptr_t)skip;
    memcpy((char *)&c->args + field, &p, sizeof p);
    c->place[c->n_places].field = field;
    c->place[c->n_places++].buffer = buffer;
}

#define FIELD(name) offsetof(gdr_args, name)

static void set_strides(gdr_tensor *x, int64_t T, int64_t token, int64_t head,
                        int64_t pad)
{
    x->stride_h = head;
    x->stride_t = token;
    x->stride_b = T * token + pad;
}

/* q, k, v each in a buffer, or slices of one: [token][q k v] with gaps. */
static void build_qkv(builder *w)
{
    gdr_case *c = w->c;
    gdr_args *a = &c->args;
    int64_t bytes = (int64_t)gdr_dtype_bytes(c->s.io), T = a->x.T, B = a->x.B;
    int64_t nq = a->x.Hk * c->s.K, nv = a->x.Hv * c->s.V;
    int padded = w->level[GDR_AXIS_QKV] == QKV_PADDED;
    if (w->level[GDR_AXIS_QKV] == QKV_APART) {
        point(w, FIELD(q.data), add_buffer(w, "q", B * T * nq * bytes, 0), 0);
        point(w, FIELD(k.data), add_buffer(w, "k", B * T * nq * bytes, 0), 0);
        point(w, FIELD(v.data), add_buffer(w, "v", B * T * nv * bytes, 0), 0);
        return;
    }
    int64_t token = 2 * nq + nv + (padded ? 8 : 0), pad = padded ? 24 : 0;
    int qkv = add_buffer(w, "qkv", B * (T * token + pad) * bytes, 0);
    point(w, FIELD(q.data), qkv, 0);
    point(w, FIELD(k.data), qkv, nq * bytes);
    point(w, FIELD(v.data), qkv, 2 * nq * bytes);
    set_strides(&a->q, T, token, c->s.K, pad);
    set_strides(&a->k, T, token, c->s.K, pad);
    set_strides(&a->v, T, token, c->s.V, pad);
}

static void build_o(builder *w)
{
    gdr_case *c = w->c;
    gdr_args *a = &c->args;
    int padded = w->level[GDR_AXIS_QKV] == QKV_PADDED;
    int64_t head = c->s.V + (padded ? 8 : 0), token = a->x.Hv * head;
    set_strides(&a->o, a->x.T, token, head, padded ? 16 : 0);
    c->o_buffer = add_buffer(
        w, "o", a->x.B * a->o.stride_b * (int64_t)gdr_dtype_bytes(c->s.io), 1);
    point(w, FIELD(o.data), c->o_buffer, 0);
}

static void build_gate(builder *w, const char *name, size_t field, int io)
{
    gdr_case *c = w->c;
    const gdr_extents *x = &c->args.x;
    int64_t bytes = io ? (int64_t)gdr_dtype_bytes(c->s.io) : 4;
    point(w, field, add_buffer(w, name, x->B * x->T * x->Hv * bytes, 0), 0);
}

static void build_given(builder *w)
{
    int g = w->level[GDR_AXIS_G], beta = w->level[GDR_AXIS_BETA];
    int g_io = g == G_IO || g == G_ALPHA_IO;
    unsigned *flags = &w->c->args.flags;
    *flags |= g_io ? GDR_GATE_IO : 0;
    *flags |= g == G_ALPHA || g == G_ALPHA_IO ? GDR_ALPHA : 0;
    *flags |= beta == BETA_IO ? GDR_BETA_IO : 0;
    if (g != G_NONE)
        build_gate(w, "g", FIELD(g.data), g_io);
    if (beta != BETA_NONE)
        build_gate(w, "beta", FIELD(beta.data), beta == BETA_IO);
}

static void build_fused(builder *w)
{
    int g_io = w->level[GDR_AXIS_G] & 1, b_io = w->level[GDR_AXIS_BETA] & 1;
    gdr_args *a = &w->c->args;
    a->flags |= g_io ? GDR_GATE_IO : 0;
    a->flags |= b_io ? GDR_BETA_IO : 0;
    a->flags |= w->level[GDR_AXIS_BETA] & 2 ? GDR_NEG_EIGVAL : 0;
    build_gate(w, "a", FIELD(a.data), g_io);
    build_gate(w, "b", FIELD(b.data), b_io);
    point(w, FIELD(A_log), add_buffer(w, "A_log", a->x.Hv * 4, 0), 0);
    point(w, FIELD(dt_bias), add_buffer(w, "dt_bias", a->x.Hv * 4, 0), 0);
}

/* ---- slots -------------------------------------------------------------- */

/* How far slot 0 must lie ahead for offsets to pass 2^32 elements. */
static int64_t far_slots(int64_t stride)
{
    return ((int64_t)1 << 32) / stride + 3;
}

static gdr_status choose_slots(builder *w)
{
    gdr_case *c = w->c;
    gdr_args *a = &c->args;
    int64_t n = a->x.B * (c->s.contract == GDR_INDEXED ? a->x.T : 1);
    int64_t spare = w->level[GDR_AXIS_INDEX] == INDEX_DENSE ? 0 : 2;
    w->used = n + spare;
    w->slots = malloc((size_t)(w->used ? w->used : 1) * sizeof *w->slots);
    if (!w->slots)
        return GDR_ERR_NO_MEMORY;
    /* slot 0 stays spare under index_min 1: it is the one nobody may touch */
    int64_t first = w->level[GDR_AXIS_INVALID] == INVALID_MIN1 && spare;
    for (int64_t i = 0; i < w->used; i++)
        w->slots[i] = i + first;
    for (int64_t i = w->used - 1 - first; i > 0 && spare; i--) {
        int64_t j =
            (int64_t)(gdr_data_bits(w->seed, (uint64_t)i) % (uint64_t)(i + 1));
        int64_t t = w->slots[i];
        w->slots[i] = w->slots[j];
        w->slots[j] = t;
    }
    return GDR_OK;
}

/* Strides of the pool, then of the memory that holds the slots in use. */
static void build_state(builder *w)
{
    gdr_case *c = w->c;
    gdr_args *a = &c->args;
    int pad = w->level[GDR_AXIS_PAD];
    int64_t bytes = (int64_t)gdr_dtype_bytes(c->s.state);
    int64_t head = (int64_t)c->s.K * c->s.V + (pad == PAD_ALL ? 8 : 0);
    int64_t R = c->s.contract == GDR_RING ? a->x.T : 1;
    if (c->s.contract == GDR_RING)
        R += extra_ring[w->level[GDR_AXIS_FIRST]];
    a->ring = R;
    a->state_stride_head = head;
    a->state_stride_ring = a->x.Hv * head + (pad == PAD_ALL ? 16 : 0);
    a->state_stride_slot = R * a->state_stride_ring;
    a->state_stride_slot += pad == PAD_SLOT || pad == PAD_ALL ? 40 : 0;
    if (pad == PAD_FAR && a->state_indices)
        c->first_slot = far_slots(a->state_stride_slot);
    a->n_slots = c->first_slot + w->used;
    c->state_buffer =
        add_buffer(w, "state", w->used * a->state_stride_slot * bytes, 1);
    point(w, FIELD(state), c->state_buffer,
          -c->first_slot * a->state_stride_slot * bytes);
}

static void build_snapshots(builder *w)
{
    gdr_case *c = w->c;
    gdr_args *a = &c->args;
    int by_slot = w->level[GDR_AXIS_FIRST], f32 = w->level[GDR_AXIS_SECOND];
    int64_t bytes = f32 ? 4 : (int64_t)gdr_dtype_bytes(c->s.state);
    int64_t n = by_slot ? w->used : a->x.B;
    a->flags &= ~(unsigned)GDR_UPDATE_STATE;
    a->flags |= by_slot ? GDR_SNAPSHOT_BY_SLOT : 0;
    a->flags |= f32 ? GDR_SNAPSHOT_F32 : 0;
    a->flags |= w->level[GDR_AXIS_THIRD] ? 0 : GDR_UPDATE_STATE;
    a->snapshot_stride_head = a->state_stride_head;
    a->snapshot_stride_t = a->state_stride_ring;
    a->snapshot_stride_n = a->x.T * a->state_stride_ring;
    a->snapshot_stride_n += w->level[GDR_AXIS_PAD] == PAD_ALL ? 32 : 0;
    c->first_snapshot = by_slot ? c->first_slot : 0;
    a->n_snapshots = c->first_snapshot + n;
    c->snapshot_buffer =
        add_buffer(w, "snapshots", n * a->snapshot_stride_n * bytes, 1);
    point(w, FIELD(snapshots), c->snapshot_buffer,
          -c->first_snapshot * a->snapshot_stride_n * bytes);
}

/* ---- indices ------------------------------------------------------------ */

static void put_index(const gdr_args *a, int64_t i, int64_t value)
{
    if (a->flags & GDR_INDEX64)
        ((int64_t *)a->state_indices)[i] = value;
    else
        ((int32_t *)a->state_indices)[i] = (int32_t)value;
}

/* What sequence b gets instead of its slot, or the slot. The sequence in the
 * middle stays valid. A 64-bit index must not be cut to a valid 32-bit one. */
static int64_t index_of(const builder *w, int64_t b, int64_t slot)
{
    const gdr_args *a = &w->c->args;
    int kind = w->level[GDR_AXIS_INVALID];
    slot += w->c->first_slot;
    if (kind == INVALID_MIN1 && b == a->x.B - 1 && b > 0)
        return 0;
    if (kind != INVALID_RANGE || a->x.B < 2)
        return slot;
    if (b == a->x.B - 1)
        return a->flags & GDR_INDEX64 ? slot + ((int64_t)1 << 32) : a->n_slots;
    return b == 0 && a->x.B > 2 ? -1 : slot;
}

static void fill_indices(builder *w)
{
    const gdr_args *a = &w->c->args;
    int64_t T = a->x.T;
    for (int64_t b = 0; b < a->x.B; b++) {
        if (w->c->s.contract != GDR_INDEXED) {
            put_index(a, b, index_of(w, b, w->slots[b]));
            continue;
        }
        int64_t read = a->accepted && a->accepted[b] >= 1 && a->accepted[b] <= T
                           ? a->accepted[b] - 1
                           : 0;
        for (int64_t t = 0; t < T; t++) {
            int64_t slot = w->slots[b * T + t];
            int64_t index = index_of(w, b, slot);
            if (t != read) /* only what is read makes a sequence invalid */
                index = slot + w->c->first_slot;
            put_index(a, b * a->indices_stride_b + t, index);
        }
        /* a write of its own that is skipped: the last one, so that a state
         * that nobody can see is never rounded and used again */
        if (w->level[GDR_AXIS_INVALID] == INVALID_RANGE && read != T - 1)
            put_index(a, b * a->indices_stride_b + T - 1, -1);
    }
}

static void build_indices(builder *w)
{
    gdr_case *c = w->c;
    gdr_args *a = &c->args;
    int wide = w->level[GDR_AXIS_INDEX] == INDEX_64;
    int64_t columns = c->s.contract == GDR_INDEXED ? a->x.T : 1;
    a->flags |= wide ? GDR_INDEX64 : 0;
    a->index_min = w->level[GDR_AXIS_INVALID] == INVALID_MIN1;
    a->indices_stride_b = columns + (c->s.contract == GDR_INDEXED &&
                                     w->level[GDR_AXIS_QKV] == QKV_PADDED);
    point(w, FIELD(state_indices),
          add_buffer(w, "state_indices",
                     a->x.B * a->indices_stride_b * (wide ? 8 : 4), 0),
          0);
}

static void build_seqlens(builder *w)
{
    gdr_args *a = &w->c->args;
    int buffer = add_buffer(w, "cache_seqlens", a->x.B * 4, 0);
    point(w, FIELD(cache_seqlens), buffer, 0);
    if (w->status != GDR_OK)
        return;
    int32_t *c = (int32_t *)a->cache_seqlens, R = (int32_t)a->ring;
    for (int32_t b = 0; b < a->x.B; b++) {
        static const int32_t large[] = {INT32_MAX, INT32_MAX - 1, 1 << 30};
        switch (w->level[GDR_AXIS_SECOND]) {
        case SEQLEN_SMALL:
            c[b] = b;
            break;
        case SEQLEN_WRAP:
            c[b] = 7 * R + R - 1 - b % R;
            break;
        default:
            c[b] = large[b % 3];
        }
    }
}

static void build_accepted(builder *w)
{
    gdr_args *a = &w->c->args;
    int kind = w->level[GDR_AXIS_FIRST];
    if (kind == ACCEPTED_NONE)
        return;
    point(w, FIELD(accepted), add_buffer(w, "accepted", a->x.B * 4, 0), 0);
    if (w->status != GDR_OK)
        return;
    int32_t *n = (int32_t *)a->accepted, T = (int32_t)a->x.T;
    for (int32_t b = 0; b < a->x.B; b++)
        n[b] = T - b % T;
    if (kind == ACCEPTED_RANGE && a->x.B > 1)
        n[0] = w->seed & 1 ? 0 : T + 1;
}

/* ---- the whole ---------------------------------------------------------- */

/* A gate of tens of milliseconds: at most about a million state elements times
 * tokens. Ratio before tokens: long packets have bugs of their own. */
static void limit_work(const gdr_static *s, gdr_extents *x)
{
    const int64_t most = (int64_t)1 << 20;
    while (x->B * x->T * x->Hv * s->K * s->V > most) {
        int64_t ratio = x->Hv / x->Hk;
        if (x->Hk > 1)
            x->Hk--;
        else if (ratio > 2)
            ratio--;
        else if (x->B > 2)
            x->B--;
        else if (ratio > 1)
            ratio--;
        else if (x->T > 5)
            x->T--;
        else
            break;
        x->Hv = ratio * x->Hk;
    }
}

static gdr_status build(builder *w, int dense)
{
    gdr_case *c = w->c;
    gdr_status status = choose_slots(w);
    if (status != GDR_OK)
        return status;
    build_qkv(w);
    build_o(w);
    (c->s.gate == GDR_GATE_FUSED ? build_fused : build_given)(w);
    if (!dense)
        build_indices(w);
    build_state(w);
    if (c->s.contract == GDR_SNAPSHOTS)
        build_snapshots(w);
    if (c->s.contract == GDR_RING)
        build_seqlens(w);
    if (c->s.contract == GDR_INDEXED)
        build_accepted(w);
    if (w->status == GDR_OK && !dense)
        fill_indices(w);
    return w->status;
}

static gdr_status open_case(builder *w, const gdr_static *s,
                            const gdr_extents *x)
{
    const gdr_problem p = {*s, *x};
    w->c = calloc(1, sizeof *w->c);
    if (!w->c)
        return GDR_ERR_NO_MEMORY;
    w->c->s = *s;
    w->c->snapshot_buffer = -1;
    gdr_args_init(&w->c->args, &p);
    gdr_status status = build(w, w->level[GDR_AXIS_INDEX] == INDEX_DENSE);
    free(w->slots);
    if (status != GDR_OK) {
        gdr_case_close(w->c);
        w->c = NULL;
    }
    return status;
}

gdr_status gdr_case_open(const gdr_static *s, const gdr_case_spec *spec,
                         uint64_t seed, gdr_case **out)
{
    builder w = {.seed = seed};
    int levels[GDR_AXES];
    gdr_case_levels(s, levels);
    for (int i = 0; i < GDR_AXES; i++)
        w.level[i] = (uint8_t)(spec->level[i] % levels[i]);
    const uint8_t *l = w.level;
    if (s->contract == GDR_INDEXED && l[GDR_AXIS_INDEX] == INDEX_DENSE)
        w.level[GDR_AXIS_INDEX] = INDEX_32; /* has no dense form */
    gdr_extents x = {sizes_b[l[GDR_AXIS_B]], sizes_t[l[GDR_AXIS_T]],
                     l[GDR_AXIS_HK] + 1,
                     (l[GDR_AXIS_HK] + 1) * (l[GDR_AXIS_RATIO] + 1)};
    limit_work(s, &x);
    gdr_status status = open_case(&w, s, &x);
    *out = w.c;
    if (status != GDR_OK)
        return status;
    if (l[GDR_AXIS_MAP])
        w.c->args.flags |= GDR_HEAD_MOD;
    gdr_data_fill(s, &w.c->args, l[GDR_AXIS_DATA], seed);
    name_case(w.c, spec, l);
    return GDR_OK;
}

gdr_status gdr_case_open_extents(const gdr_static *s, const gdr_extents *real,
                                 size_t bytes, uint64_t seed, gdr_case **out)
{
    builder w = {.seed = seed};
    gdr_extents x = *real;
    int64_t copies = s->contract == GDR_FINAL ? 1 : x.T;
    int64_t one =
        copies * x.Hv * s->K * s->V * (int64_t)gdr_dtype_bytes(s->state);
    int64_t most = one > 0 ? (int64_t)bytes / one : 1;
    x.B = x.B > most ? most : x.B;
    x.B = x.B < 1 ? 1 : x.B;
    w.level[GDR_AXIS_INDEX] = INDEX_32;
    gdr_status status = open_case(&w, s, &x);
    *out = w.c;
    if (status != GDR_OK)
        return status;
    gdr_data_fill_plain(s, &w.c->args, seed);
    snprintf(w.c->name, sizeof w.c->name,
             "extents b%lldt%lldhk%lldhv%lld (of b%lld)", (long long)x.B,
             (long long)x.T, (long long)x.Hk, (long long)x.Hv,
             (long long)real->B);
    return GDR_OK;
}

void gdr_case_close(gdr_case *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n_buffers; i++)
        free(c->buffer[i].image);
    free(c);
}

void gdr_case_relocate(const gdr_case *c, unsigned char *const base[],
                       gdr_args *out)
{
    *out = c->args;
    for (int i = 0; i < c->n_places; i++) {
        uintptr_t p;
        char *field = (char *)out + c->place[i].field;
        memcpy(&p, field, sizeof p);
        p += (uintptr_t)base[c->place[i].buffer] -
             (uintptr_t)c->buffer[c->place[i].buffer].image;
        memcpy(field, &p, sizeof p);
    }
}
