/* test_target_cuda.c - a card as something to tune for, on the fake driver:
 * memory, failures, time by graphs, and workers that meet all of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/worker.h"
#include "fake_kit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const gdr_target gdr_target_cuda;

static const char statics[] = "recurrent:final:vk:f32/f32:k16v16:g";

/* A card with one variant loaded, and a workload to time it on. */
typedef struct bed {
    void *dev;
    gdr_problem p;
    gdr_recipe r;
    gdr_workload *w;
} bed;

static void open_bed(bed *b, const char *config, const char *words)
{
    static const gdr_step_text text = {.entry = "gdr_kernel", .block = "32"};
    const gdr_workload_options o = {
        .cold_bytes = 3 * 1024, .most_bytes = 1 << 20, .seed = 1};
    char image[512], msg[512] = "", problem[128];
    size_t n = fake_kit_image(image, sizeof image, statics, words);

    if (!fake_kit_usable())
        skip();
    memset(b, 0, sizeof *b);
    snprintf(problem, sizeof problem, "%s / b1t1hk1hv1", statics);
    assert_int_equal(gdr_problem_parse(problem, &b->p, NULL, 0), GDR_OK);
    if (fake_kit_open(config, "", &b->dev, msg, sizeof msg) != GDR_OK)
        fail_msg("%s", msg);
    b->r = (gdr_recipe){
        .s = b->p.s, .backend = &gdr_backend_cuda, .dev = b->dev, .sms = 132};
    if (gdr_recipe_add_step(&b->r, &text, image, n, msg, sizeof msg) != GDR_OK)
        fail_msg("%s", msg);
    assert_int_equal(
        gdr_workload_open(&gdr_target_cuda, b->dev, &b->p, &o, &b->w), GDR_OK);
    assert_int_equal(b->w->n_sets, 3);
}

static void close_bed(bed *b)
{
    gdr_workload_close(b->w);
    gdr_recipe_unload(&b->r);
    gdr_backend_cuda.close(b->dev);
    assert_int_equal(fake_kit_count("allocations"), 0);
    assert_int_equal(fake_kit_count("graphs"), 0);
    assert_int_equal(fake_kit_count("modules"), 0);
    assert_int_equal(fake_kit_count("contexts"), 0);
}

static double time_it(bed *b, int64_t launches)
{
    double ns = 0;
    int at = 0;

    assert_int_equal(gdr_target_cuda.time(&b->r, b->w->set, b->w->n_sets, &at,
                                          launches, &ns),
                     GDR_OK);
    return ns;
}

/* ---- memory ---- */

static void memory_comes_and_goes(void **state)
{
    char out[1000], back[1000];
    bed b;
    void *p, *q;

    (void)state;
    open_bed(&b, "memory_mib=64", "");
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (char)(i * 7);
    assert_int_equal(gdr_target_cuda.alloc(b.dev, sizeof out, &p), GDR_OK);
    assert_int_equal((uintptr_t)p % 256, 0);
    assert_int_equal(gdr_target_cuda.write(b.dev, p, out, sizeof out), GDR_OK);
    assert_int_equal(gdr_target_cuda.read(b.dev, back, p, sizeof back), GDR_OK);
    assert_memory_equal(out, back, sizeof out);
    /* what is just outside is ours as well */
    assert_int_equal(gdr_target_cuda.read(b.dev, back, (char *)p - 1000, 1000),
                     GDR_OK);
    assert_int_equal(
        gdr_target_cuda.read(b.dev, back, (char *)p + sizeof out, 1000),
        GDR_OK);
    assert_int_equal(gdr_target_cuda.alloc(b.dev, 64 << 20, &q),
                     GDR_ERR_NO_MEMORY);
    assert_null(q);
    assert_int_equal(gdr_target_cuda.alloc(b.dev, SIZE_MAX - 100, &q),
                     GDR_ERR_NO_MEMORY);
    assert_int_equal(gdr_target_cuda.wait(b.dev), GDR_OK);
    gdr_target_cuda.free(b.dev, p);
    gdr_target_cuda.free(b.dev, NULL);
    close_bed(&b);
}

/* Whichever allocation fails, nothing is left behind. */
static void out_of_memory_is_a_status(void **state)
{
    const gdr_workload_options o = {.cold_bytes = 3072, .most_bytes = 1 << 20};
    gdr_workload *w;
    gdr_problem p;

    (void)state;
    if (!fake_kit_usable())
        skip();
    assert_int_equal(gdr_problem_parse("recurrent:indexed:vk:f32/f32:k16v16:g "
                                       "/ b2t2hk1hv1",
                                       &p, NULL, 0),
                     GDR_OK);
    for (int i = 1;; i++) {
        char config[64], msg[256];
        void *dev;
        gdr_status st;
        snprintf(config, sizeof config, "oom_after=%d", i);
        assert_int_equal(fake_kit_open(config, "", &dev, msg, sizeof msg), 0);
        st = gdr_workload_open(&gdr_target_cuda, dev, &p, &o, &w);
        gdr_workload_close(w);
        assert_int_equal(fake_kit_count("allocations"), 0);
        gdr_backend_cuda.close(dev);
        if (st == GDR_OK && i > 3)
            return;
        assert_int_equal(st, GDR_ERR_NO_MEMORY);
        assert_true(i < 40);
    }
}

/* ---- failures ---- */

static void failures_have_names(void **state)
{
    static const struct {
        const char *config, *outcome, *words;
        gdr_status launch, wait;
        int poisoned;
    } cases[] = {
        {"poison=1:700", "crash", "CUDA_ERROR_ILLEGAL_ADDRESS (700): an",
         GDR_OK, GDR_ERR_LAUNCH, 1},
        {"poison=1:716", "crash", "(716)", GDR_OK, GDR_ERR_LAUNCH, 1},
        {"poison=1:719", "crash", "(719)", GDR_OK, GDR_ERR_LAUNCH, 1},
        {"poison=1:702", "timeout", "LAUNCH_TIMEOUT", GDR_OK, GDR_ERR_LAUNCH,
         1},
        {"launch=1:701", "launch", "OUT_OF_RESOURCES", GDR_ERR_LAUNCH, GDR_OK,
         0},
        {"launch=1:1", "launch", "INVALID_VALUE", GDR_ERR_LAUNCH, GDR_OK, 0},
        {"", "launch", "", GDR_OK, GDR_OK, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *outcome = NULL;
        char note[256];
        void *p;
        bed b;
        open_bed(&b, cases[i].config, "");
        assert_int_equal(gdr_recipe_launch(&b.r, b.w->set, NULL, NULL, 0),
                         cases[i].launch);
        assert_int_equal(gdr_target_cuda.wait(b.dev), cases[i].wait);
        assert_int_equal(
            gdr_target_cuda.explain(b.dev, &outcome, note, sizeof note),
            cases[i].poisoned);
        assert_string_equal(outcome, cases[i].outcome);
        if (!strstr(note, cases[i].words))
            fail_msg("'%s' lacks '%s'", note, cases[i].words);
        if (cases[i].poisoned)
            assert_int_equal(gdr_target_cuda.alloc(b.dev, 256, &p),
                             GDR_ERR_LAUNCH);
        close_bed(&b);
    }
}

static void a_crash_in_a_sample_is_told(void **state)
{
    const char *outcome;
    char note[256];
    double ns;
    int at = 0;
    bed b;

    (void)state;
    open_bed(&b, "clock=script:1", "fake-crash");
    assert_int_equal(gdr_target_cuda.time(&b.r, b.w->set, 3, &at, 10, &ns),
                     GDR_ERR_LAUNCH);
    assert_int_equal(
        gdr_target_cuda.explain(b.dev, &outcome, note, sizeof note), 1);
    assert_string_equal(outcome, "crash");
    close_bed(&b);
}

/* ---- time ---- */

static void a_sample_is_one_launch(void **state)
{
    double slow_ns, eager_ns = 0, ns;
    int at = 2;
    bed b;

    (void)state;
    open_bed(&b, "clock=script:7,noisy=0", "one");
    ns = time_it(&b, 1);
    assert_true(ns > 2900 && ns < 4900); /* fake_launch_ns */
    assert_int_equal(
        gdr_target_cuda.time_eager(&b.r, b.w->set, 3, &at, 50, &eager_ns),
        GDR_OK);
    assert_int_equal(at, 52 % 3);
    assert_true(fabs(eager_ns / ns - 1) < 1e-4);
    assert_true(fabs(time_it(&b, 500) / ns - 1) < 1e-4);
    close_bed(&b);
    open_bed(&b, "clock=script:7,noisy=0", "one fake-slow");
    slow_ns = time_it(&b, 1);
    assert_true(slow_ns > 10 * ns);
    close_bed(&b);
}

/* Noise averages out; it is not hidden by the clock. */
static void noise_is_averaged(void **state)
{
    double ns, noisy_ns;
    bed b;

    (void)state;
    open_bed(&b, "clock=script:7,noisy=0", "one");
    ns = time_it(&b, 100);
    close_bed(&b);
    open_bed(&b, "clock=script:7,noisy=40", "one");
    noisy_ns = time_it(&b, 100);
    assert_true(noisy_ns != ns);
    assert_true(fabs(noisy_ns / ns - 1) < 0.1);
    close_bed(&b);
}

/* 3 sets, 10 launches: a graph of 12 with 10 ahead of it, made once. */
static void graphs_walk_the_ring_and_are_kept(void **state)
{
    long replays;
    bed b;

    (void)state;
    open_bed(&b, "clock=script:7,noisy=0", "one");
    time_it(&b, 10);
    assert_int_equal(fake_kit_count("graphs"), 2);
    assert_int_equal(fake_kit_count("nodes"), 12 + 10);
    replays = fake_kit_count("replays");
    time_it(&b, 10);
    assert_int_equal(fake_kit_count("graphs"), 2);
    assert_true(fake_kit_count("replays") > replays);
    /* the same address, other arguments: not the same graph */
    b.w->set[1].scale *= 2;
    time_it(&b, 10);
    assert_int_equal(fake_kit_count("graphs"), 4);
    b.w->set[1].scale /= 2;
    time_it(&b, 10);
    assert_int_equal(fake_kit_count("graphs"), 4);
    close_bed(&b);
}

/* A launch of 3 ns: whatever was asked, no sample is under 200 us. */
static void samples_are_long_enough(void **state)
{
    long before;
    bed b;

    (void)state;
    open_bed(&b, "clock=script:7,slow=0.001,skip=1", "one");
    before = fake_kit_count("launches");
    time_it(&b, 1);
    assert_true(fake_kit_count("launches") - before > 200000 / 5);
    close_bed(&b);
}

/* What a graph replays is what was captured. */
static void replays_compute(void **state)
{
    float before[256], after[256];
    bed b;

    (void)state;
    open_bed(&b, "clock=script:7", "one");
    gdr_target_cuda.read(b.dev, before, b.w->set[2].state, sizeof before);
    time_it(&b, 3);
    gdr_target_cuda.read(b.dev, after, b.w->set[2].state, sizeof after);
    assert_memory_not_equal(before, after, sizeof before);
    close_bed(&b);
}

/* The fake's copies take 1 us and 1500 bytes per ns. */
static void roofline_is_a_copy(void **state)
{
    static const struct {
        size_t all, bytes;
        double expected_ns;
    } cases[] = {{3 << 20, 1 << 20, 1e3 + 1048576 / 1500.0},
                 {2 << 20, 1 << 20, 1e3 + 1048576 / 1500.0},
                 {1 << 20, 1 << 20, 2 * (1e3 + 524288 / 1500.0)},
                 {3 << 20, 1 << 10, 1e3 + 1024 / 1500.0}};
    bed b;

    (void)state;
    open_bed(&b, "clock=script:7", "one");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t at = 0;
        double ns = 0;
        void *p;
        assert_int_equal(gdr_target_cuda.alloc(b.dev, cases[i].all, &p), 0);
        assert_int_equal(gdr_target_cuda.roofline(b.dev, p, cases[i].all,
                                                  cases[i].bytes, &at, &ns),
                         GDR_OK);
        if (fabs(ns / cases[i].expected_ns - 1) > 1e-3)
            fail_msg("case %zu: %g ns, not %g", i, ns, cases[i].expected_ns);
        assert_int_equal(gdr_target_cuda.roofline(b.dev, p, 100, 100, &at, &ns),
                         GDR_ERR_ARG);
        gdr_target_cuda.free(b.dev, p);
    }
    close_bed(&b);
}

/* ---- workers ---- */

static gdr_status hear(gdr_worker *w, gdr_answer *a)
{
    gdr_status st;

    do
        st = gdr_worker_answer(w, 1, a);
    while (st == GDR_ERR_BUSY);
    return st;
}

/* A worker's verdict about an image with these words in it. */
static gdr_status judge(const char *words, gdr_answer *a)
{
    const gdr_worker_options o = {.device = "cuda:0", .deadline_s = 1.5};
    char text[512], msg[256];
    gdr_image image = {.code = text};
    gdr_worker_code code = {
        .n_steps = 1,
        .text = {{"gdr_kernel", "1", "1", "1", "32", "0", "0", "0"}},
        .image = {&image}};
    gdr_problem p;
    gdr_worker *w;
    gdr_status st;

    if (!fake_kit_usable())
        skip();
    setenv("FAKE_CUDA", "clock=script:7", 1);
    gdr_problem_parse(statics, &p, NULL, 0);
    image.bytes = fake_kit_image(text, sizeof text, statics, words);
    assert_int_equal(gdr_worker_open(&o, &w, msg, sizeof msg), GDR_OK);
    if (hear(w, a) != GDR_OK)
        fail_msg("%s", a->note);
    assert_int_equal(gdr_worker_load(w, 0, &p.s, &code), GDR_OK);
    st = hear(w, a);
    if (st == GDR_OK) {
        assert_int_equal(gdr_worker_verify(w, 0, 1, NULL, 0), GDR_OK);
        st = hear(w, a);
    }
    gdr_worker_close(w);
    return st;
}

static void workers_judge_cards(void **state)
{
    gdr_answer a;

    (void)state;
    assert_int_equal(judge("good", &a), GDR_OK);
    assert_string_equal(a.verdict.outcome, "ok");
    assert_true(a.verdict.cases > 0);
    assert_int_equal(judge("fake-wrong", &a), GDR_OK);
    assert_string_equal(a.verdict.outcome, "wrong");
    assert_int_equal(judge("fake-refuse", &a), GDR_ERR_LOAD);
    assert_non_null(strstr(a.note, "fake-refuse stands in it"));
    assert_int_equal(judge("fake-hang", &a), GDR_ERR_LAUNCH);
    assert_string_equal(a.outcome, "timeout");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_comes_and_goes),
        cmocka_unit_test(out_of_memory_is_a_status),
        cmocka_unit_test(failures_have_names),
        cmocka_unit_test(a_crash_in_a_sample_is_told),
        cmocka_unit_test(a_sample_is_one_launch),
        cmocka_unit_test(noise_is_averaged),
        cmocka_unit_test(graphs_walk_the_ring_and_are_kept),
        cmocka_unit_test(samples_are_long_enough),
        cmocka_unit_test(replays_compute),
        cmocka_unit_test(roofline_is_a_copy),
        cmocka_unit_test(workers_judge_cards),
    };

    if (gdr_worker_asked(argc, argv))
        return gdr_worker_main(argc, argv);
    fake_kit_restart(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
