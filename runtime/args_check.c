/*
 * args_check.c - do the arguments of a call fit its problem? Works on addresses
 * and strides alone: device memory is never read, so it holds for a card as
 * well. A message starts with the name of the argument.
 */
#include "recipe.h"
#include "reference.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* What the rules below look at; the first failure is written to msg. */
typedef struct check {
    const gdr_static *s;
    const gdr_args *a;
    size_t io, state; /* bytes of an element */
    char *msg;
    size_t n;
} check;

/* Returns 0, so that rules read as conjunctions. */
__attribute__((cold, format(printf, 2, 3))) static int
refuse(const check *c, const char *format, ...)
{
    va_list list;
    if (!c->msg || !c->n)
        return 0;
    va_start(list, format);
    vsnprintf(c->msg, c->n, format, list);
    va_end(list);
    return 0;
}

static int flags_ok(const check *c)
{
    const unsigned all = (GDR_SNAPSHOT_F32 << 1) - 1;
    const unsigned snapshots =
        GDR_UPDATE_STATE | GDR_SNAPSHOT_BY_SLOT | GDR_SNAPSHOT_F32;
    int fused = c->s->gate == GDR_GATE_FUSED;
    unsigned flags = c->a->flags;
    if (flags & ~all)
        return refuse(c, "flags: unknown bits 0x%x", flags & ~all);
    if (fused && flags & GDR_ALPHA)
        return refuse(c, "flags: GDR_ALPHA needs the gate 'g'; the problem's "
                         "is fused");
    if (!fused && flags & GDR_NEG_EIGVAL)
        return refuse(c, "flags: GDR_NEG_EIGVAL needs the fused gate; the "
                         "problem's is 'g' (double beta yourself)");
    if (c->s->contract != GDR_SNAPSHOTS && flags & snapshots)
        return refuse(c, "flags: 0x%x is for the contract 'snapshots' only",
                      flags & snapshots);
    return 1;
}

static int refuse_extents(const check *c)
{
    const gdr_extents *x = &c->a->x;
    const struct {
        const char *name;
        int64_t value, least;
    } extents[] = {
        {"B", x->B, 0}, {"T", x->T, 0}, {"Hk", x->Hk, 1}, {"Hv", x->Hv, 1}};
    for (size_t i = 0; i < sizeof extents / sizeof *extents; i++)
        if (extents[i].value < extents[i].least)
            return refuse(c, "x.%s = %" PRId64 ": must be at least %" PRId64,
                          extents[i].name, extents[i].value, extents[i].least);
    return refuse(c,
                  "x.Hv = %" PRId64 ": must be a multiple of x.Hk = %" PRId64,
                  x->Hv, x->Hk);
}

static int extents_ok(const check *c)
{
    const gdr_extents *x = &c->a->x;
    if ((x->B | x->T | (x->Hk - 1) | (x->Hv - 1)) < 0 ||
        !gdr_heads_fit(x->Hk, x->Hv))
        return refuse_extents(c);
    return 1;
}

static int aligned(const check *c, const char *name, const void *p,
                   size_t bytes)
{
    if ((uintptr_t)p & (bytes - 1)) /* a power of two */
        return refuse(c, "%s = %p: not aligned to its %zu-byte elements", name,
                      p, bytes);
    return 1;
}

static int present(const check *c, const char *name, const void *p,
                   size_t bytes)
{
    return p ? aligned(c, name, p, bytes) : refuse(c, "%s is NULL", name);
}

static int inputs_ok(const check *c)
{
    const gdr_args *a = c->a;
    size_t io = c->io;
    return present(c, "q", a->q.data, io) && present(c, "k", a->k.data, io) &&
           present(c, "v", a->v.data, io);
}

static int gates_ok(const check *c)
{
    const gdr_args *a = c->a;
    size_t io = c->io;
    size_t g = a->flags & GDR_GATE_IO ? io : 4;
    size_t beta = a->flags & GDR_BETA_IO ? io : 4;
    if (c->s->gate == GDR_GATE_G)
        return aligned(c, "g", a->g.data, g) &&
               aligned(c, "beta", a->beta.data, beta);
    return present(c, "a", a->a.data, g) && present(c, "b", a->b.data, beta) &&
           present(c, "A_log", a->A_log, 4) &&
           present(c, "dt_bias", a->dt_bias, 4);
}

/* One dim of an output: that many steps, that far apart. */
typedef struct dim {
    const char *name;
    int64_t extent, stride;
} dim;

/* Few, and mostly in order from the largest down, as tensors are laid out. */
static void sort_by_stride(dim *d, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && d[k].stride < d[k - 1].stride; k--) {
            dim swap = d[k];
            d[k] = d[k - 1];
            d[k - 1] = swap;
        }
}

/* Makes room for one more dim around a block; 0: it is too near, or far. */
static int spans(int64_t *block, int64_t extent, int64_t stride)
{
    int64_t reach;
    return extent <= 1 ||
           (stride >= *block &&
            !__builtin_mul_overflow(extent - 1, stride, &reach) &&
            !__builtin_add_overflow(*block, reach, block));
}

/*
 * Blocks of `block` elements at every combination of the dims must not overlap.
 * The rule is nesting: with dims in the order of their strides, each stride
 * spans all that is inside it. It refuses no slice or permutation of a packed
 * tensor; combs that interleave by number theory alone are refused too. The
 * stride of a dim of extent 1 is never used.
 */
static __attribute__((noinline)) int nested(const check *c, const char *tensor,
                                            int64_t block, dim *d, int n)
{
    int64_t span = block, reach;
    for (int i = 0; i < n; i++) {
        if (d[i].extent <= 1)
            d[i].stride = 0;
        else if (d[i].stride == INT64_MIN)
            d[i].stride = INT64_MAX;
        else
            d[i].stride = llabs(d[i].stride);
    }
    sort_by_stride(d, n);
    for (int i = 0; i < n; i++) {
        if (d[i].extent <= 1)
            continue;
        if (d[i].stride < span)
            return refuse(c,
                          "%s: stride_%s = %" PRId64 " overlaps: must be at "
                          "least %" PRId64 " elements",
                          tensor, d[i].name, d[i].stride, span);
        if (__builtin_mul_overflow(d[i].extent - 1, d[i].stride, &reach) ||
            __builtin_add_overflow(span, reach, &span))
            return refuse(c,
                          "%s: stride_%s = %" PRId64 " times %" PRId64
                          " passes 2^63 elements",
                          tensor, d[i].name, d[i].stride, d[i].extent);
    }
    return 1;
}

/* Most tensors nest as their dims come: nested() is for the others. */
static int o_ok(const check *c)
{
    const gdr_args *a = c->a;
    int64_t block = c->s->V;
    if (spans(&block, a->x.Hv, a->o.stride_h) &&
        spans(&block, a->x.T, a->o.stride_t) &&
        spans(&block, a->x.B, a->o.stride_b))
        return 1;
    return nested(c, "o", c->s->V,
                  (dim[]){{"b", a->x.B, a->o.stride_b},
                          {"t", a->x.T, a->o.stride_t},
                          {"h", a->x.Hv, a->o.stride_h}},
                  3);
}

static int output_ok(const check *c)
{
    return present(c, "o", c->a->o.data, c->io) && o_ok(c);
}

static int slots_ok(const check *c)
{
    const gdr_args *a = c->a;
    if (a->n_slots < 0)
        return refuse(c, "n_slots = %" PRId64 ": must not be negative",
                      a->n_slots);
    if (a->index_min < 0)
        return refuse(c, "index_min = %" PRId64 ": must not be negative",
                      a->index_min);
    if (a->state_indices)
        return aligned(c, "state_indices", a->state_indices,
                       a->flags & GDR_INDEX64 ? 8 : 4);
    if (c->s->contract == GDR_INDEXED)
        return refuse(c, "state_indices is NULL: the contract 'indexed' needs "
                         "it");
    if (a->n_slots < a->x.B)
        return refuse(c,
                      "n_slots = %" PRId64 ": without state_indices at least "
                      "x.B = %" PRId64,
                      a->n_slots, a->x.B);
    return 1;
}

static int slots_apart(const check *c)
{
    const gdr_args *a = c->a;
    const int64_t state = (int64_t)c->s->K * c->s->V;
    int64_t ring = c->s->contract == GDR_RING ? a->ring : 1;
    int64_t block = state;
    if (spans(&block, a->x.Hv, a->state_stride_head) &&
        spans(&block, ring, a->state_stride_ring) &&
        spans(&block, a->n_slots, a->state_stride_slot))
        return 1;
    return nested(c, "state", state,
                  (dim[]){{"slot", a->n_slots, a->state_stride_slot},
                          {"ring", ring, a->state_stride_ring},
                          {"head", a->x.Hv, a->state_stride_head}},
                  3);
}

static int state_ok(const check *c)
{
    const gdr_args *a = c->a;
    int read_only =
        c->s->contract == GDR_SNAPSHOTS && !(a->flags & GDR_UPDATE_STATE);
    return present(c, "state", a->state, c->state) && slots_ok(c) &&
           (read_only || slots_apart(c));
}

static int ring_ok(const check *c)
{
    const gdr_args *a = c->a;
    if (c->s->contract != GDR_RING)
        return 1;
    if (a->ring < a->x.T)
        return refuse(c,
                      "ring = %" PRId64 ": must be at least x.T = %" PRId64
                      ", or a token overwrites a state that another needs",
                      a->ring, a->x.T);
    return present(c, "cache_seqlens", a->cache_seqlens, 4);
}

static int snapshots_ok(const check *c)
{
    const gdr_args *a = c->a;
    int by_slot = (a->flags & GDR_SNAPSHOT_BY_SLOT) != 0;
    size_t bytes = a->flags & GDR_SNAPSHOT_F32 ? 4 : c->state;
    int64_t least = by_slot ? a->n_slots : a->x.B;
    if (c->s->contract != GDR_SNAPSHOTS)
        return 1;
    if (a->n_snapshots < least)
        return refuse(
            c, "n_snapshots = %" PRId64 ": must be at least %s = %" PRId64,
            a->n_snapshots, by_slot ? "n_slots" : "x.B", least);
    return present(c, "snapshots", a->snapshots, bytes) &&
           nested(c, "snapshots", (int64_t)c->s->K * c->s->V,
                  (dim[]){{"n", a->n_snapshots, a->snapshot_stride_n},
                          {"t", a->x.T, a->snapshot_stride_t},
                          {"head", a->x.Hv, a->snapshot_stride_head}},
                  3);
}

static int accepted_ok(const check *c)
{
    if (c->s->contract != GDR_INDEXED)
        return 1;
    return aligned(c, "accepted", c->a->accepted, 4);
}

/* msg is written through c. NOLINTNEXTLINE(readability-non-const-parameter) */
gdr_status gdr_args_fit(const gdr_static *s, const gdr_args *args, char *msg,
                        size_t n)
{
    const check c = {.s = s,
                     .a = args,
                     .io = gdr_dtype_bytes(s->io),
                     .state = gdr_dtype_bytes(s->state),
                     .msg = msg,
                     .n = n};

    if (args->size != sizeof *args) {
        refuse(&c, "size = %zu: must be %zu, start from gdr_args_init",
               args->size, sizeof *args);
        return GDR_ERR_ARG;
    }
    if (!extents_ok(&c) || !flags_ok(&c))
        return GDR_ERR_ARG;
    if (args->x.B == 0 || args->x.T == 0)
        return GDR_OK;
    return inputs_ok(&c) && gates_ok(&c) && output_ok(&c) && state_ok(&c) &&
                   ring_ok(&c) && snapshots_ok(&c) && accepted_ok(&c)
               ? GDR_OK
               : GDR_ERR_ARG;
}

gdr_status gdr_args_check(const gdr_static *s, const gdr_args *args, char *msg,
                          size_t n)
{
    const gdr_problem p = {.s = *s};
    gdr_status status = gdr_problem_check(&p, msg, n);

    return status ? status : gdr_args_fit(s, args, msg, n);
}
