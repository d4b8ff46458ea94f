/*
 * args.c - the arguments of one call: their contiguous defaults and their
 * packing for kernels. Whatever init sets passes the check once the pointers
 * are set.
 */
#include "recipe.h"
#include "recurrent_abi.h"

/* Products of absurd extents saturate: init has no status to return, and the
 * check finds such strides too long. */
static int64_t times(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_mul_overflow(a, b, &r) ? INT64_MAX : r;
}

static gdr_tensor contiguous(const gdr_extents *x, int64_t H, int64_t D)
{
    int64_t row = times(H, D);
    return (gdr_tensor){NULL, times(x->T, row), row, D};
}

void gdr_args_init(gdr_args *args, const gdr_problem *p)
{
    const gdr_static *s = &p->s;
    const gdr_extents *x = &p->x;
    int ring = s->contract == GDR_RING;
    int64_t head = times(s->K, s->V), heads = times(x->Hv, head);
    *args = (gdr_args){.size = sizeof *args, .x = *x};
    args->flags = s->contract == GDR_SNAPSHOTS ? GDR_UPDATE_STATE : 0;
    args->scale = (float)(1 / __builtin_sqrt(s->K));
    args->q = args->k = contiguous(x, x->Hk, s->K);
    args->v = args->o = contiguous(x, x->Hv, s->V);
    args->g = args->beta = args->a = args->b = contiguous(x, x->Hv, 1);
    args->state_stride_head = head;
    args->state_stride_ring = heads;
    args->state_stride_slot = ring ? times(x->T, heads) : heads;
    args->n_slots = args->n_snapshots = x->B;
    args->ring = x->T;
    args->indices_stride_b = s->contract == GDR_INDEXED ? x->T : 1;
    args->snapshot_stride_head = head;
    args->snapshot_stride_t = heads;
    args->snapshot_stride_n = times(x->T, heads);
}

void gdr_args_pack(const gdr_args *args, const gdr_static *s,
                   gdr_recurrent_params *p)
{
    const gdr_args *a = args;
    int fused = s->gate == GDR_GATE_FUSED;
    const gdr_tensor *g = fused ? &a->a : &a->g;
    const gdr_tensor *beta = fused ? &a->b : &a->beta;
    *p = (gdr_recurrent_params){
        .q = a->q.data,
        .k = a->k.data,
        .v = a->v.data,
        .o = a->o.data,
        .g = g->data,
        .beta = beta->data,
        .A_log = a->A_log,
        .dt_bias = a->dt_bias,
        .state = a->state,
        .snapshots = a->snapshots,
        .state_indices = a->state_indices,
        .cache_seqlens = a->cache_seqlens,
        .accepted = a->accepted,
        .workspace = a->workspace,
        .q_b = a->q.stride_b,
        .q_t = a->q.stride_t,
        .q_h = a->q.stride_h,
        .k_b = a->k.stride_b,
        .k_t = a->k.stride_t,
        .k_h = a->k.stride_h,
        .v_b = a->v.stride_b,
        .v_t = a->v.stride_t,
        .v_h = a->v.stride_h,
        .o_b = a->o.stride_b,
        .o_t = a->o.stride_t,
        .o_h = a->o.stride_h,
        .g_b = g->stride_b,
        .g_t = g->stride_t,
        .g_h = g->stride_h,
        .beta_b = beta->stride_b,
        .beta_t = beta->stride_t,
        .beta_h = beta->stride_h,
        .s_slot = a->state_stride_slot,
        .s_ring = a->state_stride_ring,
        .s_head = a->state_stride_head,
        .snap_n = a->snapshot_stride_n,
        .snap_t = a->snapshot_stride_t,
        .snap_head = a->snapshot_stride_head,
        /* kernels use it whatever the contract; only `indexed` has rows */
        .idx_b = s->contract == GDR_INDEXED ? a->indices_stride_b : 1,
        .B = a->x.B,
        .T = a->x.T,
        .Hk = a->x.Hk,
        .Hv = a->x.Hv,
        .n_slots = a->n_slots,
        .ring = a->ring,
        .index_min = a->index_min,
        .flags = a->flags,
        .scale = a->scale,
    };
}
