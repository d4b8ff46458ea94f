/*
 * case_build.c - from levels to memory: strides, gaps and indices. What must
 * stay true: no two sequences of a case share a slot (what would be right is
 * not defined), and every case passes gdr_args_check.
 */
#include "case_build.h"
#include "../runtime/reference.h"
#include "data.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef gdr_case_builder builder;

static const int extra_ring[] = {0, 1, 3};

void gdr_case_poison(unsigned char *image, size_t bytes)
{
    uint16_t *words = (uint16_t *)image;
    assert(bytes % 2 == 0);
    for (size_t i = 0; i < bytes / 2; i++)
        words[i] = (uint16_t)(0xffc0 | (i * 7 & 0x3f));
}

/* An even number, and never 0. */
static size_t mapped_bytes(const gdr_buffer *b)
{
    return (2 * b->zone + b->bytes + 2) / 2 * 2;
}

void gdr_case_seal(gdr_case *c)
{
    for (int i = 0; i < c->n_buffers; i++)
        mprotect(c->buffer[i].image, mapped_bytes(&c->buffer[i]), PROT_READ);
}

void gdr_case_close(gdr_case *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n_buffers; i++)
        if (c->buffer[i].image)
            munmap(c->buffer[i].image, mapped_bytes(&c->buffer[i]));
    free(c);
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
    b->image = mmap(NULL, mapped_bytes(b), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->image == MAP_FAILED) {
        b->image = NULL;
        w->status = GDR_ERR_NO_MEMORY;
    } else {
        gdr_case_poison(b->image, mapped_bytes(b));
    }
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
    /* where another may be invalid by its index, so that one stays valid */
    int crowded = w->level[GDR_AXIS_INVALID] == INVALID_RANGE ||
                  (w->level[GDR_AXIS_INVALID] != INVALID_NONE && a->x.B == 2);
    if (kind == ACCEPTED_RANGE && a->x.B > 1)
        n[crowded ? a->x.B - 1 : 0] = w->seed & 1 ? 0 : T + 1;
}

gdr_status gdr_case_build(builder *w, int dense)
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
