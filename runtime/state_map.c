/*
 * state_map.c - where a call reads and writes states: the only place that knows
 * what a contract, an index or a ring position means in memory.
 */
#include "reference.h"

/* The slot in row b, column i of state_indices; -1 if it is not valid. */
static int64_t slot_at(const gdr_static *s, const gdr_args *a, int64_t b,
                       int64_t i)
{
    int64_t slot = b;
    if (a->state_indices) {
        int64_t n =
            s->contract == GDR_INDEXED ? b * a->indices_stride_b + i : b;
        slot = a->flags & GDR_INDEX64 ? ((const int64_t *)a->state_indices)[n]
                                      : ((const int32_t *)a->state_indices)[n];
    }
    return slot >= a->index_min && slot >= 0 && slot < a->n_slots ? slot : -1;
}

/* The slot that is read; -1 if the sequence is not valid. */
static int64_t source_slot(const gdr_static *s, const gdr_args *a, int64_t b)
{
    int64_t accepted = 1;
    if (s->contract == GDR_INDEXED && a->accepted)
        accepted = a->accepted[b];
    if (s->contract == GDR_INDEXED && (accepted < 1 || accepted > a->x.T))
        return -1;
    return slot_at(s, a, b, accepted - 1);
}

static int64_t ring_at(const gdr_args *a, int64_t b, int64_t step)
{
    int64_t n = a->cache_seqlens[b] + step;
    return (n % a->ring + a->ring) % a->ring;
}

static int64_t pool_offset(const gdr_args *a, int64_t slot, int64_t ring,
                           int64_t hv)
{
    return slot * a->state_stride_slot + ring * a->state_stride_ring +
           hv * a->state_stride_head;
}

gdr_state_map gdr_state_source(const gdr_static *s, const gdr_args *a,
                               int64_t b, int64_t hv)
{
    int64_t slot = source_slot(s, a, b);
    if (slot < 0)
        return (gdr_state_map){0, -1};
    int64_t ring = s->contract == GDR_RING ? ring_at(a, b, 0) : 0;
    return (gdr_state_map){1, pool_offset(a, slot, ring, hv)};
}

static gdr_state_write snapshot_write(const gdr_static *s, const gdr_args *a,
                                      int64_t n, int64_t t, int64_t hv)
{
    return (gdr_state_write){
        1,
        n * a->snapshot_stride_n + t * a->snapshot_stride_t +
            hv * a->snapshot_stride_head,
        a->flags & GDR_SNAPSHOT_F32 ? GDR_F32 : s->state,
    };
}

gdr_state_write gdr_state_sink(const gdr_static *s, const gdr_args *a,
                               int64_t b, int64_t hv, int64_t t)
{
    gdr_state_write none = {0, -1, s->state};
    int64_t slot = source_slot(s, a, b), ring = 0, T = a->x.T;
    if (slot < 0)
        return none;
    switch (s->contract) {
    case GDR_FINAL:
        if (t != T - 1)
            return none;
        break;
    case GDR_RING:
        if (t >= T)
            return none;
        ring = ring_at(a, b, 1 + t);
        break;
    case GDR_INDEXED:
        if (t >= T || (slot = slot_at(s, a, b, t)) < 0)
            return none;
        break;
    case GDR_SNAPSHOTS:
        if (t < T)
            return snapshot_write(
                s, a, a->flags & GDR_SNAPSHOT_BY_SLOT ? slot : b, t, hv);
        if (!(a->flags & GDR_UPDATE_STATE))
            return none;
        break;
    }
    return (gdr_state_write){0, pool_offset(a, slot, ring, hv), s->state};
}
