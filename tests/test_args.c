/* test_args.c - defaults, check and packing of a call's arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../runtime/recipe.h"
#include "../runtime/recurrent_abi.h"

#include <stdio.h>
#include <string.h>

/* Pointers are never read by what is tested here. */
#define AT(n) ((void *)(uintptr_t)((n) << 12))

static gdr_problem problem(gdr_contract contract, gdr_gate gate)
{
    return (gdr_problem){
        .s = {.size = sizeof(gdr_static),
              .contract = contract,
              .io = GDR_BF16,
              .state = GDR_F32,
              .K = 64,
              .V = 48,
              .gate = gate},
        .x = {.B = 3, .T = 2, .Hk = 2, .Hv = 4},
    };
}

static gdr_args full_args(const gdr_problem *p)
{
    gdr_args a;
    gdr_args_init(&a, p);
    a.q.data = AT(1);
    a.k.data = AT(2);
    a.v.data = AT(3);
    a.o.data = AT(4);
    a.g.data = AT(5);
    a.beta.data = AT(6);
    a.a.data = AT(7);
    a.b.data = AT(8);
    a.A_log = AT(9);
    a.dt_bias = AT(10);
    a.state = AT(11);
    a.state_indices = AT(12);
    a.cache_seqlens = AT(13);
    a.accepted = AT(14);
    a.snapshots = AT(15);
    return a;
}

static void init_sets_contiguous_defaults(void **state)
{
    (void)state;
    gdr_problem p = problem(GDR_RING, GDR_GATE_G);
    gdr_args a;
    gdr_args_init(&a, &p);
    assert_int_equal(a.size, sizeof a);
    assert_int_equal(a.x.Hv, 4);
    assert_true(a.scale == 0.125f);
    assert_int_equal(a.q.stride_h, 64);
    assert_int_equal(a.q.stride_t, 2 * 64);
    assert_int_equal(a.k.stride_b, 2 * 2 * 64);
    assert_int_equal(a.v.stride_h, 48);
    assert_int_equal(a.o.stride_t, 4 * 48);
    assert_int_equal(a.o.stride_b, 2 * 4 * 48);
    assert_int_equal(a.beta.stride_b, 2 * 4);
    assert_int_equal(a.a.stride_t, 4);
    assert_int_equal(a.b.stride_h, 1);
    assert_int_equal(a.state_stride_head, 64 * 48);
    assert_int_equal(a.state_stride_ring, 4 * 64 * 48);
    assert_int_equal(a.state_stride_slot, 2 * 4 * 64 * 48);
    assert_int_equal(a.n_slots, 3);
    assert_int_equal(a.ring, 2);
    assert_int_equal(a.n_snapshots, 3);
    assert_int_equal(a.flags, 0);
    assert_null(a.q.data);

    p.s.contract = GDR_SNAPSHOTS;
    gdr_args_init(&a, &p);
    assert_int_equal(a.flags, GDR_UPDATE_STATE);
    assert_int_equal(a.state_stride_slot, 4 * 64 * 48);
    assert_int_equal(a.snapshot_stride_n, 2 * 4 * 64 * 48);
    p.s.contract = GDR_INDEXED;
    gdr_args_init(&a, &p);
    assert_int_equal(a.indices_stride_b, 2);
}

static void what_init_sets_passes(void **state)
{
    (void)state;
    for (int contract = GDR_FINAL; contract <= GDR_SNAPSHOTS; contract++)
        for (int gate = GDR_GATE_G; gate <= GDR_GATE_FUSED; gate++) {
            gdr_problem p = problem((gdr_contract)contract, (gdr_gate)gate);
            gdr_args a = full_args(&p);
            char msg[200] = "";
            if (gdr_args_check(&p.s, &a, msg, sizeof msg) != GDR_OK)
                fail_msg("contract %d gate %d: %s", contract, gate, msg);
        }
}

/* ---- refusals ----------------------------------------------------------- */

/* Each spoils one argument of a good call and says how the message begins. */
typedef struct refusal {
    const char *name; /* of the case */
    gdr_contract contract;
    gdr_gate gate;
    void (*spoil)(gdr_args *a);
    const char *begins; /* NULL: must pass */
} refusal;

#define CASE(id, code)                                                         \
    static void id(gdr_args *a)                                                \
    {                                                                          \
        code;                                                                  \
    }

CASE(size, a->size--)
CASE(q_null, a->q.data = NULL)
CASE(k_null, a->k.data = NULL)
CASE(v_null, a->v.data = NULL)
CASE(o_null, a->o.data = NULL)
CASE(state_null, a->state = NULL)
CASE(a_null, a->a.data = NULL)
CASE(b_null, a->b.data = NULL)
CASE(A_log_null, a->A_log = NULL)
CASE(dt_bias_null, a->dt_bias = NULL)
CASE(seqlens_null, a->cache_seqlens = NULL)
CASE(indices_null, a->state_indices = NULL)
CASE(snapshots_null, a->snapshots = NULL)
CASE(gates_null, a->g.data = a->beta.data = NULL)
CASE(optional_null, a->accepted = NULL)

CASE(q_odd, a->q.data = (char *)a->q.data + 1)
CASE(o_odd, a->o.data = (char *)a->o.data + 1)
CASE(q_half, a->q.data = (char *)a->q.data + 2)
CASE(state_half, a->state = (char *)a->state + 2)
CASE(g_half, a->g.data = (char *)a->g.data + 2)
CASE(g_half_io, g_half(a); a->flags |= GDR_GATE_IO)
CASE(beta_half, a->beta.data = (char *)a->beta.data + 2)
CASE(b_half, a->b.data = (char *)a->b.data + 2)
CASE(b_half_io, b_half(a); a->flags |= GDR_BETA_IO)
CASE(dt_bias_half, a->dt_bias = (void *)((char *)a->dt_bias + 2))
CASE(index_four, a->state_indices = (char *)a->state_indices + 4)
CASE(index_four64, index_four(a); a->flags |= GDR_INDEX64)
CASE(accepted_odd, a->accepted = (void *)((char *)a->accepted + 2))
CASE(snapshots_odd, a->snapshots = (char *)a->snapshots + 2)

CASE(B_negative, a->x.B = -1)
CASE(T_negative, a->x.T = -1)
CASE(Hk_zero, a->x.Hk = 0)
CASE(Hv_odd, a->x.Hv = 3)
CASE(B_zero, a->x.B = 0; a->q.data = NULL)
CASE(T_zero, a->x.T = 0; a->state = NULL)
CASE(ring_short, a->ring = 1)
CASE(ring_long, a->ring = 5; a->state_stride_slot *= 5)
CASE(slots_negative, a->n_slots = -1)
CASE(slots_few, a->n_slots = 2; a->state_indices = NULL)
CASE(slots_few_indexed, a->n_slots = 2)
CASE(index_min, a->index_min = -1)
CASE(snapshots_few, a->n_snapshots = 2)
CASE(by_slot_few, a->flags |= GDR_SNAPSHOT_BY_SLOT; a->n_slots = 9)
CASE(by_slot, by_slot_few(a); a->n_snapshots = 9)

CASE(flags_unknown, a->flags |= 1u << 9)
CASE(flags_alpha, a->flags |= GDR_ALPHA)
CASE(flags_neg, a->flags |= GDR_NEG_EIGVAL)
CASE(flags_update, a->flags |= GDR_UPDATE_STATE)

CASE(o_head, a->o.stride_h = 47)
CASE(o_token, a->o.stride_t = 4 * 48 - 1)
CASE(o_batch, a->o.stride_b = 0)
CASE(o_negative, a->o.stride_b = -a->o.stride_b)
CASE(o_negative_close, a->o.stride_t = -47)
CASE(o_minimum, a->o.stride_t = INT64_MIN)
CASE(o_huge, a->o.stride_b = INT64_MAX / 2)
/* [T][B][Hv][V] and a slice of a wider row are fine */
CASE(o_permuted, a->o.stride_t = 3 * 4 * 48; a->o.stride_b = 4 * 48)
CASE(o_slice, a->o.stride_t = 1000; a->o.stride_b = 2000)
CASE(o_one_token, a->x.T = 1; a->o.stride_t = 0)
CASE(q_broadcast, a->q.stride_b = a->q.stride_t = 0)
CASE(slot_close, a->state_stride_slot -= 1)
CASE(slot_padded, a->state_stride_slot += 7)
CASE(head_zero, a->state_stride_head = 0)
CASE(ring_zero, a->state_stride_ring = 0)
CASE(snapshot_token, a->snapshot_stride_t -= 1)
CASE(snapshot_n, a->snapshot_stride_n = 0)
CASE(read_only, a->flags = 0; a->state_stride_slot = 0)

static const refusal refusals[] = {
#define R(id, contract, gate, begins)                                          \
    {                                                                          \
#id, GDR_##contract, GDR_GATE_##gate, id, begins                       \
    }
    R(size, FINAL, G, "size"),
    R(q_null, FINAL, G, "q "),
    R(k_null, FINAL, G, "k "),
    R(v_null, FINAL, G, "v "),
    R(o_null, FINAL, G, "o "),
    R(state_null, FINAL, G, "state "),
    R(a_null, FINAL, FUSED, "a "),
    R(a_null, FINAL, G, NULL),
    R(b_null, FINAL, FUSED, "b "),
    R(A_log_null, FINAL, FUSED, "A_log "),
    R(dt_bias_null, FINAL, FUSED, "dt_bias "),
    R(seqlens_null, RING, G, "cache_seqlens "),
    R(seqlens_null, FINAL, G, NULL),
    R(indices_null, INDEXED, G, "state_indices "),
    R(indices_null, RING, G, NULL),
    R(snapshots_null, SNAPSHOTS, G, "snapshots "),
    R(gates_null, FINAL, G, NULL),
    R(optional_null, INDEXED, G, NULL),

    R(q_odd, FINAL, G, "q "),
    R(o_odd, FINAL, G, "o "),
    R(q_half, FINAL, G, NULL),
    R(state_half, FINAL, G, "state "),
    R(g_half, FINAL, G, "g "),
    R(g_half_io, FINAL, G, NULL),
    R(beta_half, FINAL, G, "beta "),
    R(b_half, FINAL, FUSED, "b "),
    R(b_half_io, FINAL, FUSED, NULL),
    R(dt_bias_half, FINAL, FUSED, "dt_bias "),
    R(index_four, FINAL, G, NULL),
    R(index_four64, FINAL, G, "state_indices "),
    R(accepted_odd, INDEXED, G, "accepted "),
    R(snapshots_odd, SNAPSHOTS, G, "snapshots "),

    R(B_negative, FINAL, G, "x.B "),
    R(T_negative, FINAL, G, "x.T "),
    R(Hk_zero, FINAL, G, "x.Hk "),
    R(Hv_odd, FINAL, G, "x.Hv "),
    R(B_zero, FINAL, G, NULL),
    R(T_zero, RING, G, NULL),
    R(ring_short, RING, G, "ring "),
    R(ring_short, FINAL, G, NULL),
    R(ring_long, RING, G, NULL),
    R(slots_negative, FINAL, G, "n_slots "),
    R(slots_few, FINAL, G, "n_slots "),
    R(slots_few_indexed, FINAL, G, NULL),
    R(index_min, FINAL, G, "index_min "),
    R(snapshots_few, SNAPSHOTS, G, "n_snapshots "),
    R(by_slot_few, SNAPSHOTS, G, "n_snapshots "),
    R(by_slot, SNAPSHOTS, G, NULL),

    R(flags_unknown, FINAL, G, "flags"),
    R(flags_alpha, FINAL, FUSED, "flags"),
    R(flags_alpha, FINAL, G, NULL),
    R(flags_neg, FINAL, G, "flags"),
    R(flags_neg, FINAL, FUSED, NULL),
    R(flags_update, RING, G, "flags"),
    R(flags_update, SNAPSHOTS, G, NULL),

    R(o_head, FINAL, G, "o: stride_h"),
    R(o_token, FINAL, G, "o: stride_t"),
    R(o_batch, FINAL, G, "o: stride_b"),
    R(o_negative, FINAL, G, NULL),
    R(o_negative_close, FINAL, G, "o: stride_t"),
    R(o_minimum, FINAL, G, "o: stride_t"),
    R(o_huge, FINAL, G, "o: stride_b"),
    R(o_permuted, FINAL, G, NULL),
    R(o_slice, FINAL, G, NULL),
    R(o_one_token, FINAL, G, NULL),
    R(q_broadcast, FINAL, G, NULL),
    R(slot_close, FINAL, G, "state: stride_slot"),
    R(slot_padded, FINAL, G, NULL),
    R(head_zero, FINAL, G, "state: stride_head"),
    R(ring_zero, RING, G, "state: stride_ring"),
    R(ring_zero, FINAL, G, NULL),
    R(snapshot_token, SNAPSHOTS, G, "snapshots: stride_t"),
    R(snapshot_n, SNAPSHOTS, G, "snapshots: stride_n"),
    R(read_only, SNAPSHOTS, G, NULL),
};

static void a_bad_argument_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        gdr_problem p = problem(r->contract, r->gate);
        gdr_args a = full_args(&p);
        char msg[200] = "";
        r->spoil(&a);
        gdr_status status = gdr_args_check(&p.s, &a, msg, sizeof msg);
        gdr_status want = r->begins ? GDR_ERR_ARG : GDR_OK;
        if (status != want ||
            (r->begins && strncmp(msg, r->begins, strlen(r->begins)) != 0))
            fail_msg("refusals[%zu] %s (contract %d, gate %d): status %d, "
                     "\"%s\"; expected \"%s\"",
                     i, r->name, r->contract, r->gate, status, msg,
                     r->begins ? r->begins : "GDR_OK");
        /* without a place for the message the answer is the same */
        assert_int_equal(gdr_args_check(&p.s, &a, NULL, 0), status);
    }
}

static void a_bad_problem_is_refused(void **state)
{
    (void)state;
    gdr_problem p = problem(GDR_FINAL, GDR_GATE_G);
    gdr_args a = full_args(&p);
    char msg[200] = "";
    p.s.K = 12;
    assert_int_equal(gdr_args_check(&p.s, &a, msg, sizeof msg), GDR_ERR_ARG);
    assert_true(msg[0]);
}

static void absurd_extents_are_refused(void **state)
{
    (void)state;
    gdr_problem p = problem(GDR_FINAL, GDR_GATE_G);
    p.x = (gdr_extents){INT64_MAX, INT64_MAX, 1, INT64_MAX};
    gdr_args a = full_args(&p);
    char msg[200] = "";
    assert_int_equal(gdr_args_check(&p.s, &a, msg, sizeof msg), GDR_ERR_ARG);
}

/* ---- packing ------------------------------------------------------------ */

/* Every 8 bytes of the arguments differ, so that a swapped field shows. */
static gdr_args numbered_args(void)
{
    gdr_args a;
    uint64_t n = 1000;
    for (size_t i = 0; i < sizeof a; i += sizeof n, n++)
        memcpy((char *)&a + i, &n, sizeof n);
    a.scale = 0.5f;
    a.flags = 0x155;
    return a;
}

static void assert_tensor(const gdr_tensor *t, const void *data, int64_t b,
                          int64_t tt, int64_t h)
{
    assert_ptr_equal(t->data, data);
    assert_int_equal(t->stride_b, b);
    assert_int_equal(t->stride_t, tt);
    assert_int_equal(t->stride_h, h);
}

static void every_field_is_packed(void **state)
{
    (void)state;
    gdr_problem problem_g = problem(GDR_INDEXED, GDR_GATE_G);
    gdr_args a = numbered_args();
    gdr_recurrent_params p;
    gdr_args_pack(&a, &problem_g.s, &p);
    assert_tensor(&a.q, p.q, p.q_b, p.q_t, p.q_h);
    assert_tensor(&a.k, p.k, p.k_b, p.k_t, p.k_h);
    assert_tensor(&a.v, p.v, p.v_b, p.v_t, p.v_h);
    assert_tensor(&a.o, p.o, p.o_b, p.o_t, p.o_h);
    assert_tensor(&a.g, p.g, p.g_b, p.g_t, p.g_h);
    assert_tensor(&a.beta, p.beta, p.beta_b, p.beta_t, p.beta_h);
    assert_ptr_equal(p.A_log, a.A_log);
    assert_ptr_equal(p.dt_bias, a.dt_bias);
    assert_ptr_equal(p.state, a.state);
    assert_ptr_equal(p.snapshots, a.snapshots);
    assert_ptr_equal(p.state_indices, a.state_indices);
    assert_ptr_equal(p.cache_seqlens, a.cache_seqlens);
    assert_ptr_equal(p.accepted, a.accepted);
    assert_ptr_equal(p.workspace, a.workspace);
    assert_int_equal(p.s_slot, a.state_stride_slot);
    assert_int_equal(p.s_ring, a.state_stride_ring);
    assert_int_equal(p.s_head, a.state_stride_head);
    assert_int_equal(p.snap_n, a.snapshot_stride_n);
    assert_int_equal(p.snap_t, a.snapshot_stride_t);
    assert_int_equal(p.snap_head, a.snapshot_stride_head);
    assert_int_equal(p.idx_b, a.indices_stride_b);
    assert_int_equal(p.B, a.x.B);
    assert_int_equal(p.T, a.x.T);
    assert_int_equal(p.Hk, a.x.Hk);
    assert_int_equal(p.Hv, a.x.Hv);
    assert_int_equal(p.n_slots, a.n_slots);
    assert_int_equal(p.ring, a.ring);
    assert_int_equal(p.index_min, a.index_min);
    assert_int_equal(p.flags, a.flags);
    assert_true(p.scale == a.scale);
}

static void the_fused_gate_packs_a_and_b(void **state)
{
    (void)state;
    gdr_problem fused = problem(GDR_FINAL, GDR_GATE_FUSED);
    gdr_args a = numbered_args();
    gdr_recurrent_params p;
    gdr_args_pack(&a, &fused.s, &p);
    assert_tensor(&a.a, p.g, p.g_b, p.g_t, p.g_h);
    assert_tensor(&a.b, p.beta, p.beta_b, p.beta_t, p.beta_h);
    assert_int_equal(p.idx_b, 1); /* rows of indices are for `indexed` alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_sets_contiguous_defaults),
        cmocka_unit_test(what_init_sets_passes),
        cmocka_unit_test(a_bad_argument_is_named),
        cmocka_unit_test(a_bad_problem_is_refused),
        cmocka_unit_test(absurd_extents_are_refused),
        cmocka_unit_test(every_field_is_packed),
        cmocka_unit_test(the_fused_gate_packs_a_and_b),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
