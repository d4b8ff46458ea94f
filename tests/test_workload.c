/* test_workload.c - what kernels are timed on: its size, its arguments, and
 * that thousands of launches leave it ordinary. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../runtime/reference.h"
#include "../tuner/workload.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static gdr_problem parse(const char *text)
{
    gdr_problem p;
    char msg[256];

    if (gdr_problem_parse(text, &p, msg, sizeof msg) != GDR_OK)
        fail_msg("%s: %s", text, msg);
    return p;
}

/* Bytes by hand: Hv K V bytes of a state, times what the contract moves. */
static void footprints(void **state)
{
    static const struct {
        const char *text;
        int64_t state, moved; /* states held, states moved per sequence */
    } cases[] = {
        {"recurrent:final:vk:f32/f32:k16v8:g / b3t1hk2hv4", 3, 2},
        {"recurrent:final:vk:f32/f32:k16v8:g / b3t5hk2hv4", 3, 2},
        {"recurrent:ring:vk:f32/f32:k16v8:g / b3t2hk2hv4", 6, 3},
        {"recurrent:indexed:vk:f32/f32:k16v8:g / b3t4hk2hv4", 12, 5},
        {"recurrent:snapshots:vk:f32/f32:k16v8:g / b3t4hk2hv4", 15, 6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gdr_problem p = parse(cases[i].text);
        const int64_t row = 4 * 16 * 8 * 4; /* Hv K V f32 */
        int64_t BT = p.x.B * p.x.T;
        int64_t tensors = BT * (2 * 2 * 16 + 2 * 4 * 8) * 4 + BT * 4 * 8;
        gdr_footprint f;
        assert_int_equal(gdr_footprint_of(&p, &f), GDR_OK);
        assert_int_equal(f.state, cases[i].state * row);
        assert_int_equal(f.tensors, tensors);
        assert_int_equal(f.traffic, tensors + 3 * cases[i].moved * row);
        assert_int_equal(f.rewrite, 3 * cases[i].moved * row / 2);
    }
}

static void overflow_is_refused(void **state)
{
    gdr_problem p =
        parse("recurrent:final:vk:f32/f32:k1024v4096:g / b1t1hk1hv1");
    gdr_footprint f;

    (void)state;
    p.x.B = (int64_t)1 << 40;
    p.x.T = (int64_t)1 << 40;
    assert_int_equal(gdr_footprint_of(&p, &f), GDR_ERR_ARG);
}

static void ticked(void *ctx)
{
    ++*(int *)ctx;
}

static gdr_workload *open_workload(const gdr_problem *p, int64_t cold,
                                   int64_t most)
{
    gdr_workload_options o = {
        .cold_bytes = cold, .most_bytes = most, .seed = 1};
    gdr_workload *w;

    assert_int_equal(gdr_workload_open(gdr_target_find("cpu"), NULL, p, &o, &w),
                     GDR_OK);
    return w;
}

static void ring_is_cold_and_bounded(void **state)
{
    gdr_problem p = parse("recurrent:final:vk:f32/f32:k16v16:g / b1t1hk1hv2");
    const int64_t one = 2 * 16 * 16 * 4;
    gdr_workload *w;

    (void)state;
    w = open_workload(&p, 10 * one - 5, 1 << 20);
    assert_int_equal(w->n_sets, 10);
    for (int i = 1; i < w->n_sets; i++) {
        assert_ptr_equal(w->set[i].q.data, w->set[0].q.data);
        assert_ptr_equal(w->set[i].state,
                         (char *)w->set[0].state + i * w->between);
    }
    gdr_workload_close(w);
    w = open_workload(&p, 10 * one, 3 * one);
    assert_int_equal(w->n_sets, 3);
    gdr_workload_close(w);
    w = open_workload(&p, 10 * one, 1); /* one set at least */
    assert_int_equal(w->n_sets, 1);
    gdr_workload_close(w);
    gdr_workload_close(NULL);
}

static void filling_shows_life(void **state)
{
    gdr_problem p = parse("recurrent:final:vk:f32/f32:k16v16:g / b1t1hk1hv2");
    int ticks = 0;
    gdr_workload_options o = {.cold_bytes = 130 << 20,
                              .most_bytes = 200 << 20,
                              .tick = ticked,
                              .ctx = &ticks};
    gdr_workload *w;

    (void)state;
    p.x.B = 1024; /* sets of 2 MiB: the ring is not cut by their number */
    assert_int_equal(
        gdr_workload_open(gdr_target_find("cpu"), NULL, &p, &o, &w), GDR_OK);
    assert_int_equal(ticks, 2);
    gdr_workload_close(w);
}

/* The oracle launches what a kernel would: states stay ordinary numbers, since
 * neither overflow nor denormals may be what is timed. */
static void states_stay_ordinary(void **state)
{
    static const char *const texts[] = {
        "recurrent:final:vk:f32/f32:k16v8:g / b2t1hk1hv2",
        "recurrent:final:kv:bf16/bf16:k16v8:l2norm:g / b2t3hk1hv2",
        "recurrent:final:vk:f16/f16:k16v8:fused / b2t2hk2hv2",
        "recurrent:ring:vk:bf16/bf16:k16v8:l2norm:g:round / b2t2hk1hv2",
        "recurrent:indexed:vk:bf16/f32:k16v8:l2norm:g / b2t4hk1hv2",
        "recurrent:snapshots:vk:bf16/f32:k16v8:l2norm:g / b2t2hk1hv2",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        gdr_problem p = parse(texts[i]);
        gdr_workload *w = open_workload(&p, 1, 1 << 20);
        int64_t n = w->size.state / (int64_t)gdr_dtype_bytes(p.s.state);
        char msg[256] = "";
        double most = 0, tiny = 0;
        if (gdr_args_check(&p.s, &w->set[0], msg, sizeof msg) != GDR_OK)
            fail_msg("%s: %s", texts[i], msg);
        for (int launch = 0; launch < 2000; launch++)
            if (gdr_reference(&p.s, &w->set[0], msg, sizeof msg) != GDR_OK)
                fail_msg("%s: %s", texts[i], msg);
        for (int64_t k = 0; k < n; k++) {
            double x = fabs(gdr_load(p.s.state, w->states, k));
            if (!(x < 50))
                fail_msg("%s: state %ld is %g", texts[i], (long)k, x);
            most = fmax(most, x);
            tiny += x < 1e-7 && x > 0;
        }
        assert_true(most > 1e-3);
        if (tiny > 0.01 * (double)n)
            fail_msg("%s: %g of %ld near denormal", texts[i], tiny, (long)n);
        gdr_workload_close(w);
    }
}

static void memory_is_known(void **state)
{
    (void)state;
    assert_true(gdr_memory_available() > 1 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(footprints),
        cmocka_unit_test(overflow_is_refused),
        cmocka_unit_test(ring_is_cold_and_bounded),
        cmocka_unit_test(filling_shows_life),
        cmocka_unit_test(states_stay_ordinary),
        cmocka_unit_test(memory_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
