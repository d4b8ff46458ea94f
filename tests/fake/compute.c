/* compute.c - a launch by the oracle: the arguments of a call rebuilt from what
 * a kernel receives (the inverse of gdr_args_pack). */
#ifdef GDR_CUDA
#include "fake.h"

#include <string.h>

static gdr_tensor tensor(const void *p, int64_t b, int64_t t, int64_t h)
{
    return (gdr_tensor){(void *)(uintptr_t)p, b, t, h};
}

static void unpack(const gdr_recurrent_params *p, const gdr_static *s,
                   gdr_args *a)
{
    gdr_tensor g = tensor(p->g, p->g_b, p->g_t, p->g_h);
    gdr_tensor beta = tensor(p->beta, p->beta_b, p->beta_t, p->beta_h);

    *a = (gdr_args){
        .size = sizeof *a,
        .x = {p->B, p->T, p->Hk, p->Hv},
        .flags = p->flags,
        .scale = p->scale,
        .q = tensor(p->q, p->q_b, p->q_t, p->q_h),
        .k = tensor(p->k, p->k_b, p->k_t, p->k_h),
        .v = tensor(p->v, p->v_b, p->v_t, p->v_h),
        .o = tensor(p->o, p->o_b, p->o_t, p->o_h),
        .A_log = p->A_log,
        .dt_bias = p->dt_bias,
        .state = p->state,
        .state_stride_slot = p->s_slot,
        .state_stride_ring = p->s_ring,
        .state_stride_head = p->s_head,
        .n_slots = p->n_slots,
        .ring = p->ring,
        .state_indices = p->state_indices,
        .indices_stride_b = p->idx_b,
        .index_min = p->index_min,
        .cache_seqlens = p->cache_seqlens,
        .accepted = p->accepted,
        .snapshots = p->snapshots,
        .snapshot_stride_n = p->snap_n,
        .snapshot_stride_t = p->snap_t,
        .snapshot_stride_head = p->snap_head,
        .n_snapshots = p->flags & GDR_SNAPSHOT_BY_SLOT ? p->n_slots : p->B,
    };
    if (s->gate == GDR_GATE_FUSED) {
        a->a = g;
        a->b = beta;
    } else {
        a->g = g;
        a->beta = beta;
    }
}

CUresult fake_compute(const struct CUmod_st *m, const gdr_recurrent_params *p)
{
    gdr_args a;

    if (!m->understood)
        return CUDA_SUCCESS; /* a kernel that does nothing */
    unpack(p, &m->s, &a);
    if (gdr_reference(&m->s, &a, NULL, 0) != GDR_OK)
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    if (m->marks & FAKE_WRONG && a.x.B > 0 && a.x.T > 0)
        memset(a.o.data, 0x3d, 2);
    return CUDA_SUCCESS;
}
#endif
