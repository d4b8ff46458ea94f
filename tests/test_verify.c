/*
 * test_verify.c - the gate against kernels with bad manners: what they write,
 * where, how often and depending on what. Each must be caught, and the note
 * must name the place.
 */
#include "bug_kernel.h"
#include "../tuner/cases.h"
#include "../tuner/cover.h"
#include "../tuner/oracle.h"
#include "../runtime/reference.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#define FINAL32 "recurrent:final:vk:f32/f32:k32v16:l2norm:g"
#define ROUND32 "recurrent:final:vk:f32/f32:k32v16:l2norm:g:round"
#define RING16 "recurrent:ring:kv:bf16/bf16:k32v16:l2norm:g:round"
#define INDEXED16 "recurrent:indexed:vk:bf16/f32:k32v16:g"
#define SNAPSHOTS16 "recurrent:snapshots:vk:f16/f16:k32v16:fused"

static const struct {
    bug bug;
    const char *problem, *outcome, *what;
} planted[] = {
    {BUG_O_PAST, FINAL32, "wrong", "o: 0 bytes past its end: written"},
    {BUG_O_PAST, SNAPSHOTS16, "wrong", "o: 0 bytes past its end: written"},
    {BUG_S_BEFORE, FINAL32, "wrong", "state: 4 bytes before its start"},
    {BUG_S_BEFORE, RING16, "wrong", "state: 2 bytes before its start"},
    {BUG_PADDING, FINAL32, "wrong", "its padding: written"},
    {BUG_SPARE, FINAL32, "wrong", "hv 0 k 0 v 8: written"},
    {BUG_SPARE, RING16, "wrong", "ring 0 hv 0 k 16 v 0: written"},
    {BUG_INPUT, FINAL32, "wrong", "qkv: byte 4: an input was changed"},
    {BUG_INPUT, INDEXED16, "wrong", "qkv: byte 2: an input was changed"},
    {BUG_BATCH, FINAL32, "wrong", "depends on the batch"},
    {BUG_BATCH, INDEXED16, "wrong", "depends on the batch"},
    {BUG_PACKET, ROUND32, "wrong", "a packet differs from its tokens"},
    {BUG_PACKET, "recurrent:ring:vk:f32/f32:k32v16:l2norm:g:round", "wrong",
     "a packet differs from its tokens"},
    {BUG_PACKET, "recurrent:snapshots:vk:f32/f32:k32v16:l2norm:g:round",
     "wrong", "a packet differs from its tokens"},
    {BUG_FLAKY, FINAL32, "wrong", "not repeatable: launch "},
    {BUG_NAN, FINAL32, "wrong", "got nan"},
    {BUG_NAN, SNAPSHOTS16, "wrong", "got nan"},
    {BUG_INDEX, FINAL32, "wrong", " of b"},
    {BUG_INDEX, RING16, "wrong", " of b"},
    {BUG_INDEX64, FINAL32, "wrong", "o of b 2"},
    {BUG_INDEX64, SNAPSHOTS16, "wrong", "state: slot"},
    {BUG_MIN, FINAL32, "wrong", "o of b 2"},
    {BUG_MIN, INDEXED16, "wrong", "state: slot"},
    {BUG_INVALID_O, FINAL32, "wrong", "o of b 0 t 0 hv 0 v 0: expected 0"},
    {BUG_INVALID_O, INDEXED16, "wrong", "o of b "},
    {BUG_INVALID_S, FINAL32, "wrong", "state: slot"},
    {BUG_INVALID_S, SNAPSHOTS16, "wrong", "state: slot"},
    {BUG_WORKSPACE, FINAL32, "wrong", "workspace: 0 bytes past its end"},
    {BUG_STALE, FINAL32, "wrong", "not repeatable"},
    {BUG_REFUSES, FINAL32, "launch", "the launch failed"},
};

static void catches_bad_manners(void **state)
{
    int missed = 0;
    (void)state;
    for (size_t i = 0; i < sizeof planted / sizeof *planted; i++) {
        bug_kernel k;
        bug_kernel_open(&k, planted[i].problem, planted[i].bug, STYLE_TREE);
        gdr_verdict v = bug_kernel_verify(&k, 1, 0);
        gdr_recipe_unload(&k.recipe);
        if (strcmp(v.outcome, planted[i].outcome) == 0 &&
            strstr(v.note, planted[i].what) && strstr(v.note, "; case ") &&
            strstr(v.note, "; seed 1"))
            continue;
        missed++;
        print_error("bug %d in %s: expected \"%s\", got %s: %s\n",
                    (int)planted[i].bug, planted[i].problem, planted[i].what,
                    v.outcome, v.note);
    }
    assert_int_equal(missed, 0);
}

/* ---- real extents, progress, trouble ------------------------------------ */

typedef struct heard {
    int64_t n;
    char last[256];
} heard;

static void hear(void *ctx, const char *name)
{
    heard *h = ctx;
    h->n++;
    snprintf(h->last, sizeof h->last, "%s", name);
}

/* 64 sequences of 8 heads: only a sample is checked, the last head is in it. */
static void checks_real_extents(void **state)
{
    static const bug bugs[] = {BUG_NONE, BUG_WIDE};
    const gdr_extents x = {64, 2, 4, 8};
    (void)state;
    for (int i = 0; i < 2; i++) {
        bug_kernel k;
        gdr_verdict v;
        heard h = {0};
        gdr_verify_options o = {
            .extents = &x, .n_extents = 1, .progress = hear, .ctx = &h};
        bug_kernel_open(&k, RING16, bugs[i], STYLE_TREE);
        assert_int_equal(gdr_verify(&bug_target, &k.recipe, &o, &v), GDR_OK);
        assert_string_equal(v.outcome, i ? "wrong" : "ok");
        assert_int_equal(h.n, v.cases);
        assert_string_equal(h.last, "extents b64t2hk4hv8 (of b64)");
        assert_true(!i || strstr(v.note, "of b 63 t 0 hv 7"));
    }
}

/* 1e6 sequences would take 64 GB: cut to what fits. */
static void cuts_huge_extents(void **state)
{
    const gdr_static *s;
    const gdr_extents x = {1000000, 1, 1, 2};
    bug_kernel k;
    gdr_case *c;
    (void)state;
    bug_kernel_open(&k, FINAL32, BUG_NONE, STYLE_TREE);
    s = &k.s;
    assert_int_equal(gdr_case_open_extents(s, &x, 1 << 20, 1, &c), GDR_OK);
    assert_int_equal(c->args.x.B, (1 << 20) / (2 * 32 * 16 * 4));
    gdr_case_close(c);
}

/* The n-th allocation on the device fails, for all n. */
static void survives_failed_allocations(void **state)
{
    gdr_status status = GDR_ERR_NO_MEMORY;
    int64_t most = 1;
    (void)state;
    for (; status != GDR_OK; most++) {
        gdr_verify_options o = {.seed = 1};
        bug_kernel k;
        gdr_verdict v;
        bug_kernel_open(&k, "recurrent:ring:vk:bf16/bf16:k8v3:g:round",
                        BUG_NONE, STYLE_TREE);
        k.most_allocations = most;
        status = gdr_verify(&bug_target, &k.recipe, &o, &v);
        assert_true(status == GDR_OK || status == GDR_ERR_NO_MEMORY);
        assert_true(most < 300);
    }
    assert_true(most > 50);
}

/* ---- launches that end later, devices that know why -----------------------
 */

static int waits_left;

static gdr_status wait_some(void *dev)
{
    (void)dev;
    return waits_left-- > 0 ? GDR_OK : GDR_ERR_LAUNCH;
}

static int say_race(void *dev, const char **outcome, char *note, size_t n)
{
    (void)dev;
    *outcome = "race";
    snprintf(note, n, "two threads write o");
    return 0;
}

static int say_poisoned(void *dev, const char **outcome, char *note, size_t n)
{
    (void)dev;
    *outcome = "crash";
    snprintf(note, n, "illegal address");
    return 1;
}

/* The launch is well, and what it began fails: in the first case, or later. */
static void believes_the_device(void **state)
{
    static const struct {
        int waits, poisoned;
        int (*explain)(void *, const char **, char *, size_t);
        const char *outcome, *note;
    } cases[] = {{0, 0, NULL, "launch", "launch"},
                 {0, 0, say_race, "race", "two threads write o"},
                 {5, 1, say_poisoned, "crash", "illegal address"},
                 {1000000, 0, say_race, "ok", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gdr_verify_options o = {.seed = 1};
        gdr_target target = bug_target;
        bug_kernel k;
        gdr_verdict v;
        target.wait = wait_some;
        target.explain = cases[i].explain;
        waits_left = cases[i].waits;
        bug_kernel_open(&k, FINAL32, BUG_NONE, STYLE_TREE);
        assert_int_equal(gdr_verify(&target, &k.recipe, &o, &v), GDR_OK);
        assert_string_equal(v.outcome, cases[i].outcome);
        assert_int_equal(v.poisoned, cases[i].poisoned);
        if (!strstr(v.note, cases[i].note))
            fail_msg("'%s' lacks '%s'", v.note, cases[i].note);
    }
}

/* ---- cases -------------------------------------------------------------- */

static const char *const problems[] = {
    "recurrent:final:vk:f32/f32:k16v5:l2norm:g",
    "recurrent:ring:kv:bf16/bf16:k8v8:fused:round",
    "recurrent:indexed:vk:f16/f32:k8v3:l2norm:g",
    "recurrent:snapshots:kv:f16/f16:k16v17:l2norm:fused",
};

static void assert_same_case(const gdr_case *a, const gdr_case *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->n_buffers, b->n_buffers);
    for (int i = 0; i < a->n_buffers; i++) {
        size_t bytes = 2 * a->buffer[i].zone + a->buffer[i].bytes;
        assert_int_equal(a->buffer[i].bytes, b->buffer[i].bytes);
        assert_memory_equal(a->buffer[i].image, b->buffer[i].image, bytes);
    }
}

/* Some sequence is valid, and what it reads is finite. */
static void assert_readable(const gdr_case *c)
{
    int64_t valid = 0;
    for (int64_t b = 0; b < c->args.x.B; b++) {
        gdr_state_map m = gdr_state_source(&c->s, &c->args, b, 0);
        if (!m.valid)
            continue;
        valid++;
        for (int i = 0; i < c->s.K * c->s.V; i++)
            assert_true(
                isfinite(gdr_load(c->s.state, c->args.state, m.read + i)));
    }
    if (valid == 0)
        fail_msg("no valid sequence: %s", c->name);
}

/* All pairs of levels: right for gdr_args_check, and the same bytes again. */
static void builds_valid_cases(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        gdr_problem p;
        int levels[GDR_AXES];
        uint8_t *rows;
        int64_t n;
        char msg[200] = "";
        assert_int_equal(gdr_problem_parse(problems[i], &p, msg, sizeof msg),
                         GDR_OK);
        gdr_case_levels(&p.s, levels);
        assert_int_equal(gdr_cover(levels, GDR_AXES, 2, &rows, &n), GDR_OK);
        for (int64_t r = 0; r < n; r++) {
            gdr_case_spec spec = {.name = "row"};
            gdr_case *a, *b;
            memcpy(spec.level, rows + r * GDR_AXES, GDR_AXES);
            assert_int_equal(gdr_case_open(&p.s, &spec, 7, &a), GDR_OK);
            assert_int_equal(gdr_case_open(&p.s, &spec, 7, &b), GDR_OK);
            if (gdr_args_check(&p.s, &a->args, msg, sizeof msg) != GDR_OK)
                fail_msg("%s: %s: %s", problems[i], a->name, msg);
            assert_same_case(a, b);
            assert_readable(a);
            gdr_case_close(a);
            gdr_case_close(b);
        }
        free(rows);
    }
}

/* ---- the oracle's comparison -------------------------------------------- */

/* One head of one token, k8v1: the state is S, v takes it to E. */
static double ratio_of(const char *problem, double v, double stored)
{
    gdr_problem p;
    gdr_args a;
    gdr_oracle *oracle;
    gdr_miss o = {0}, s = {0};
    uint16_t q[8] = {0}, k[8] = {0}, v16[1], o16[1] = {0};
    uint16_t before[8] = {0}, after[8] = {0};
    float beta = 2;
    assert_int_equal(gdr_problem_parse(problem, &p, NULL, 0), GDR_OK);
    gdr_args_init(&a, &p);
    gdr_store_rounded(GDR_F16, k, 0, 1);
    gdr_store_rounded(GDR_F16, v16, 0, v);
    gdr_store_rounded(GDR_F16, after, 0, stored);
    a.q.data = q;
    a.k.data = k;
    a.v.data = v16;
    a.o.data = o16;
    a.beta.data = &beta;
    a.state = before;
    gdr_args got = a;
    got.state = after;
    assert_int_equal(gdr_oracle_open(&p.s, &oracle), GDR_OK);
    gdr_oracle_judge(oracle, &a, &got, NULL, 0, 0, 0, &o, &s);
    gdr_oracle_close(oracle);
    assert_true(o.ratio == 0);
    return s.ratio;
}

static void compares_element_by_element(void **state)
{
    const char *text = "recurrent:final:vk:f16/f16:k8v1:g / b1t1hk1hv1";
    (void)state;
    assert_true(ratio_of(text, 1, 2) == 0);
    assert_true(ratio_of(text, 1, 2.001) > 1); /* one ulp */
    assert_true(isinf(ratio_of(text, 1, NAN)));
    assert_true(isinf(ratio_of(text, 1, INFINITY)));
    assert_true(ratio_of(text, 60000, INFINITY) == 0);
    assert_true(isinf(ratio_of(text, 60000, 65504)));
    assert_true(isinf(ratio_of(text, 60000, -INFINITY)));
    assert_true(isinf(ratio_of(text, 60000, NAN)));
    assert_true(ratio_of(text, 0x1p-20, 0x1p-19) == 0); /* subnormal */
    assert_true(ratio_of(text, 0x1p-20, 0x1p-19 + 0x1p-24) > 1);
}

/* ---- covering arrays ---------------------------------------------------- */

static int has_triple(const uint8_t *rows, int64_t n, int width,
                      const int at[3], const int level[3])
{
    for (int64_t r = 0; r < n; r++)
        if (rows[r * width + at[0]] == level[0] &&
            rows[r * width + at[1]] == level[1] &&
            rows[r * width + at[2]] == level[2])
            return 1;
    return 0;
}

/* at[2] = at[1] asks for a pair. */
static void assert_covered(const uint8_t *rows, int64_t n, int width,
                           const int *levels, const int at[3])
{
    for (int a = 0; a < levels[at[0]]; a++)
        for (int b = 0; b < levels[at[1]]; b++)
            for (int c = 0; c < levels[at[2]]; c++)
                if (at[2] != at[1] || b == c)
                    assert_true(
                        has_triple(rows, n, width, at, (const int[]){a, b, c}));
}

static void covers_all_combinations(void **state)
{
    static const int levels[] = {3, 7, 2, 1, 4, 5, 2};
    enum { N = sizeof levels / sizeof *levels };
    (void)state;
    for (int strength = 2; strength <= 3; strength++) {
        uint8_t *rows;
        int64_t n;
        assert_int_equal(gdr_cover(levels, N, strength, &rows, &n), GDR_OK);
        assert_true(n < (strength == 2 ? 50 : 200));
        for (int i = 0; i < N; i++)
            for (int j = i + 1; j < N; j++) {
                assert_covered(rows, n, N, levels, (const int[]){i, j, j});
                for (int k = j + 1; k < N && strength == 3; k++)
                    assert_covered(rows, n, N, levels, (const int[]){i, j, k});
            }
        for (int64_t i = 0; i < n * N; i++)
            assert_true(rows[i] < levels[i % N]);
        free(rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(catches_bad_manners),
        cmocka_unit_test(checks_real_extents),
        cmocka_unit_test(cuts_huge_extents),
        cmocka_unit_test(survives_failed_allocations),
        cmocka_unit_test(believes_the_device),
        cmocka_unit_test(builds_valid_cases),
        cmocka_unit_test(compares_element_by_element),
        cmocka_unit_test(covers_all_combinations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
