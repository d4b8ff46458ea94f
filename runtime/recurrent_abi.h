/*
 * recurrent_abi.h - what every kernel of the op `recurrent` receives, on every
 * device. Append only: a kernel compiled against an older text finds its fields
 * where they were. The same text goes into the templates (//@ abi()), so it
 * includes nothing and uses only types that C and CUDA agree on.
 *
 * Strides are in elements of the tensor they belong to. Pointers to g, beta:
 * the fused gate passes a and b there.
 */
#define GDR_RECURRENT_ABI 1

typedef struct gdr_recurrent_params {
    const void *q, *k, *v;
    void *o;
    const void *g, *beta;         /* g form: NULL means absent; fused: a, b */
    const float *A_log, *dt_bias; /* fused */
    void *state;
    void *snapshots;
    const void *state_indices;
    const int *cache_seqlens;
    const int *accepted;
    void *workspace;
    long long q_b, q_t, q_h, k_b, k_t, k_h, v_b, v_t, v_h, o_b, o_t, o_h;
    long long g_b, g_t, g_h, beta_b, beta_t, beta_h;
    long long s_slot, s_ring, s_head;
    long long snap_n, snap_t, snap_head;
    long long idx_b;
    long long B, T, Hk, Hv;
    long long n_slots, ring, index_min;
    unsigned flags; /* GDR_* run-time flags of gdr.h, same bits */
    float scale;
} gdr_recurrent_params;
