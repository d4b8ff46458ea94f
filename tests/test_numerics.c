/*
 * test_numerics.c - the gate against planted numeric bugs: each must be caught,
 * and correct kernels, serial and as a card would sum, must pass everywhere.
 */
#include "bug_kernel.h"
#include "../tuner/cover.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static const char *const style_names[] = {"plain", "tree", "rank"};

/* Each bug where it makes a difference, with what the note must name. */
static const struct {
    bug bug;
    const char *name, *problem, *what;
} planted[] = {
#define RING "recurrent:ring:vk:bf16/bf16:k64v32:l2norm:g:round"
#define RING_KV "recurrent:ring:kv:f16/f16:k64v33:g:round"
#define FINAL "recurrent:final:vk:bf16/f32:k64v32:l2norm:g"
#define FINAL16 "recurrent:final:kv:bf16/bf16:k64v32:l2norm:g:round"
#define INDEXED "recurrent:indexed:vk:bf16/f32:k64v32:l2norm:g"
#define SNAPSHOTS "recurrent:snapshots:kv:bf16/bf16:k64v32:l2norm:g"
#define SNAPSHOTS_ROUND "recurrent:snapshots:kv:bf16/bf16:k64v32:l2norm:g:round"
#define FUSED "recurrent:final:vk:bf16/f32:k64v32:l2norm:fused"
#define FUSED32 "recurrent:snapshots:vk:f32/f32:k32v17:fused"
    {BUG_DROP, "last update dropped", RING, "state"},
    {BUG_DROP, "last update dropped", FINAL, "state"},
    {BUG_NEIGHBOUR, "neighbour's key", RING, " of b"},
    {BUG_NEIGHBOUR, "neighbour's key", INDEXED, " of b"},
    {BUG_SCALE, "scale missing", RING, "o of b"},
    {BUG_SCALE, "scale missing", FUSED, "o of b"},
    {BUG_SLOT, "wrong slot", RING, " of b"},
    {BUG_SLOT, "wrong slot", FINAL, " of b"},
    {BUG_ROW, "stale column", RING, "state of b"},
    {BUG_ROW, "stale column", FINAL, "state of b"},
    {BUG_ROW, "stale column", SNAPSHOTS, "snapshot of b"},
    {BUG_LATE, "state of the token before", RING, " of b"},
    {BUG_LATE, "state of the token before", SNAPSHOTS, "snapshot of b"},
    {BUG_LATE, "state of the token before", FINAL, "state of b"},
    {BUG_ROUND, "not rounded between tokens", RING, " of b"},
    {BUG_ROUND, "not rounded between tokens", RING_KV, " of b"},
    {BUG_ROUND, "not rounded between tokens", FINAL16, " of b"},
    {BUG_ROUND, "not rounded between tokens", SNAPSHOTS_ROUND, " of b"},
    {BUG_CUT_STATE, "state cut", RING, "state of b"},
    {BUG_CUT_STATE, "state cut", FINAL16, "state of b"},
    {BUG_CUT_O, "o cut", RING, "o of b"},
    {BUG_CUT_O, "o cut", RING_KV, "o of b"},
    {BUG_BETA, "beta in bf16", RING, " of b"},
    {BUG_BETA, "beta in bf16", FUSED, " of b"},
    {BUG_BETA, "beta in bf16", FUSED32, " of b"},
    {BUG_GATE, "g in bf16", RING, " of b"},
    {BUG_GATE, "g in bf16", FUSED, " of b"},
    {BUG_S, "S in bf16 for the dots", FINAL, " of b"},
    {BUG_S, "S in bf16 for the dots", SNAPSHOTS, " of b"},
    {BUG_D, "d in bf16", RING, " of b"},
    {BUG_D, "d in bf16", INDEXED, " of b"},
    {BUG_NORMALIZE, "F.normalize", RING, " of b"},
    {BUG_NORMALIZE, "F.normalize", FUSED, " of b"},
    {BUG_O, "o from the rounded state", RING, "o of b"},
    {BUG_O, "o from the rounded state", SNAPSHOTS, "o of b"},
    {BUG_HALF, "partial sums in f16", RING, " of b"},
    {BUG_HALF, "partial sums in f16", RING_KV, " of b"},
    {BUG_UNDECAYED, "d before the decay", FINAL, " of b"},
    {BUG_MAP, "head map", FINAL, " of b"},
    {BUG_ALPHA, "alpha taken for g", FINAL, " of b"},
    {BUG_EIGVAL, "neg_eigval", FUSED, " of b"},
    {BUG_SOFTPLUS, "naive softplus", FUSED, " of b"},
    {BUG_RING, "ring one back", RING, "state: slot"},
    {BUG_INT32, "ring position in 32 bits", RING, "state: slot"},
    {BUG_ACCEPTED, "accepted ignored", INDEXED, "state: slot"},
    {BUG_UPDATE, "slot updated", SNAPSHOTS, "state: slot"},
    {BUG_BY_SLOT, "snapshots by sequence", SNAPSHOTS, "snapshot"},
    {BUG_STRIDES, "strides of q", FINAL, "o of b"},
};

static void catches_planted_bugs(void **state)
{
    int missed = 0;
    (void)state;
    for (size_t i = 0; i < sizeof planted / sizeof *planted; i++)
        for (int style = 0; style < STYLE_RANK; style++) {
            bug_kernel k;
            bug_kernel_open(&k, planted[i].problem, planted[i].bug,
                            (bug_style)style);
            gdr_verdict v = bug_kernel_verify(&k, 1, 0);
            if (strcmp(v.outcome, "wrong") != 0 ||
                !strstr(v.note, planted[i].what)) {
                missed++;
                print_error("%s, %s, %s: %s: %s\n", planted[i].name,
                            style_names[style], planted[i].problem, v.outcome,
                            v.note);
            }
            gdr_recipe_unload(&k.recipe);
        }
    assert_int_equal(missed, 0);
}

/* A bug must be caught whatever the seed. */
static void catches_with_any_seed(void **state)
{
    static const bug bugs[] = {BUG_DROP, BUG_NEIGHBOUR, BUG_BETA, BUG_GATE,
                               BUG_D,    BUG_HALF,      BUG_ROUND};
    (void)state;
    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++)
        for (uint64_t seed = 2; seed < 8; seed++) {
            bug_kernel k;
            bug_kernel_open(&k,
                            "recurrent:ring:vk:bf16/bf16:k64v16:l2norm:g:round",
                            bugs[i], STYLE_TREE);
            gdr_verdict v = bug_kernel_verify(&k, seed, 0);
            if (strcmp(v.outcome, "wrong") != 0)
                fail_msg("bug %d, seed %d: %s", (int)bugs[i], (int)seed,
                         v.outcome);
        }
}

/* ---- correct kernels ---------------------------------------------------- */

static const char *const contracts[] = {"final", "ring", "indexed",
                                        "snapshots"};
static const char *const layouts[] = {"vk", "kv"};
static const char *const dtypes[] = {"f32/f32", "bf16/f32", "bf16/bf16",
                                     "f16/f32", "f16/f16"};
static const char *const dims[] = {"k32v16", "k8v1",  "k64v37",
                                   "k24v9",  "k40v5", "k128v128"};
static const int static_levels[] = {4, 2, 5, 6, 2, 2, 2, STYLES};

enum { STATICS = sizeof static_levels / sizeof *static_levels };

static void assert_passes(const uint8_t *l, uint64_t seed, int thorough)
{
    char text[GDR_PROBLEM_TEXT];
    bug_kernel k;
    snprintf(text, sizeof text, "recurrent:%s:%s:%s:%s%s:%s%s", contracts[l[0]],
             layouts[l[1]], dtypes[l[2]], dims[l[3]], l[4] ? ":l2norm" : "",
             l[5] ? "fused" : "g", l[6] ? ":round" : "");
    bug_kernel_open(&k, text, BUG_NONE, (bug_style)l[7]);
    gdr_verdict v = bug_kernel_verify(&k, seed, thorough);
    gdr_recipe_unload(&k.recipe);
    if (strcmp(v.outcome, "ok") != 0)
        fail_msg("%s, %s: %s: %s", text, style_names[l[7]], v.outcome, v.note);
    assert_true(v.error_o <= 1 && v.error_s <= 1);
    assert_true(v.error_o > 0 && v.error_s > 0);
}

/* Every combination of statics passes the gate, at small dims. */
static void passes_correct_kernels(void **state)
{
    (void)state;
    for (int i = 0; i < 4 * 2 * 5 * 8; i++) {
        uint8_t l[STATICS] = {(uint8_t)(i % 4),      (uint8_t)(i / 4 % 2),
                              (uint8_t)(i / 8 % 5),  (uint8_t)(i % 5),
                              (uint8_t)(i / 40 % 2), (uint8_t)(i / 80 % 2),
                              (uint8_t)(i / 160),    STYLE_TREE};
        assert_passes(l, (uint64_t)i, 0);
    }
}

/* Pairs of statics, styles included, times pairs of the axes of a call; all
 * triples of both with GDR_THOROUGH=1. */
static void passes_covering_array(void **state)
{
    const char *level = getenv("GDR_THOROUGH");
    int strength = level && strcmp(level, "0") != 0 ? 3 : 2;
    uint8_t *rows;
    int64_t n;
    (void)state;
    assert_int_equal(gdr_cover(static_levels, STATICS, strength, &rows, &n),
                     GDR_OK);
    for (int64_t i = 0; i < n; i++) {
        uint8_t *l = rows + i * STATICS;
        if (strength == 2 && l[3] == 5)
            l[3] = 0; /* k128v128 takes seconds here */
        assert_passes(l, (uint64_t)i, strength - 1);
    }
    free(rows);
}

static void passes_common_case(void **state)
{
    static const uint8_t l[][STATICS] = {{1, 0, 2, 5, 1, 0, 1, STYLE_TREE},
                                         {0, 1, 1, 5, 1, 1, 0, STYLE_RANK}};
    (void)state;
    assert_passes(l[0], 3, 0);
    assert_passes(l[1], 3, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(catches_planted_bugs),
        cmocka_unit_test(catches_with_any_seed),
        cmocka_unit_test(passes_correct_kernels),
        cmocka_unit_test(passes_covering_array),
        cmocka_unit_test(passes_common_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
