/* test_cuda_code.c - what the compiler makes of the kernels for cards: the
 * default for many states of [V][K] in float32 must keep the memory busy. Needs
 * NVRTC, no card. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../runtime/geometry.h"
#include "../tuner/chip.h"
#include "../tuner/compile_nvrtc.h"
#include "generator_fixture.h"

#include <stdlib.h>
#include <string.h>

/* The default for a large batch: its source, and what a block of it asks for
 * before it waits. */
struct kernel {
    char *source;
    size_t bytes;
    int64_t threads, in_flight;
};

/* These terms of the kernel are numbers. */
static int64_t value_of(const char *text)
{
    gdr_term_env env = {.K = 128, .V = 128, .sms = 132};
    gdr_term term;
    char msg[256];
    assert_int_equal(gdr_term_parse(text, &term, msg, sizeof(msg)), GDR_OK);
    return gdr_term_eval(&term, &env);
}

static struct kernel default_of(const gdr_chip *chip)
{
    gdr_static s = static_of(plain_statics);
    gdr_generator_device d = gdr_chip_traits(chip);
    gdr_generator *g;
    gdr_space *space;
    struct kernel k;

    assert_int_equal(gdr_generator_open(NULL, &g), GDR_OK);
    assert_int_equal(gdr_generator_space(g, &s, &d, &space), GDR_OK);
    int64_t i = gdr_space_default(space, 4096);
    assert_true(i >= 0);
    const gdr_candidate *c = &space->candidate[i];
    assert_string_equal(c->kernel, "cuda/recurrent_rows");
    k.threads = value_of(c->step[0].block);
    k.in_flight = value_of(c->step[0].in_flight);
    assert_int_equal(gdr_generator_expand(g, &s, c->kernel, c->config, 0,
                                          &k.source, &k.bytes),
                     GDR_OK);
    gdr_space_close(space);
    gdr_generator_close(g);
    return k;
}

static gdr_image compile(const struct kernel *k, const char *arch)
{
    static char log[65536];
    gdr_image image;
    gdr_status st = gdr_nvrtc_compile(k->source, k->bytes, arch, 120, &image,
                                      log, sizeof(log));
    if (st)
        print_error("%s: %s\n", arch, log);
    assert_int_equal(st, GDR_OK);
    return image;
}

static void need_nvrtc(const char *arch)
{
    char msg[8192];
    if (gdr_nvrtc_knows(arch, msg, sizeof(msg)) == GDR_OK)
        return;
    print_message("%s\n", msg);
    skip();
}

static const gdr_chip *chip_of(const char *arch)
{
    const gdr_chip *chip;
    char msg[512];
    assert_int_equal(gdr_chip_find(arch, &chip, msg, sizeof(msg)), GDR_OK);
    return chip;
}

static void states_keep_memory_busy(void **state)
{
    static const char *const archs[] = {"sm_75", "sm_80", "sm_90a"};
    (void)state;
    for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++) {
        need_nvrtc(archs[i]);
        const gdr_chip *chip = chip_of(archs[i]);
        struct kernel k = default_of(chip);
        gdr_image image = compile(&k, archs[i]);
        gdr_block_needs needs = {.threads = (int)k.threads,
                                 .registers = image.figures.registers,
                                 .barriers = image.figures.barriers,
                                 .smem_bytes = image.figures.smem_bytes};
        gdr_occupancy o = gdr_chip_occupancy(chip, &needs);
        assert_int_equal(image.figures.spill_bytes, 0);
        assert_int_equal(image.figures.stack_bytes, 0);
        print_message("%s: %d registers, %d blocks, %lld KB in flight\n",
                      archs[i], needs.registers, o.blocks,
                      (long long)(o.blocks * k.in_flight >> 10));
        assert_true(o.blocks * k.in_flight >= 48 << 10);
        free(image.code);
        free(k.source);
    }
}

/* Lines with `what`, and with `and` behind it. */
static int count(const char *text, const char *what, const char *and)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++) {
        const char *end = strchr(p, '\n'), *at = strstr(p, and);
        n += at && (!end || at < end);
    }
    return n;
}

/* A thread's part of a tile comes in 16-byte loads that bypass L1; nothing
 * else is read with that hint, and nothing of a state without it. */
static void states_are_read_in_16_byte_loads(void **state)
{
    (void)state;
    need_nvrtc("compute_90");
    struct kernel k = default_of(chip_of("sm_90a"));
    gdr_image image = compile(&k, "compute_90");
    int64_t of_thread = k.in_flight / k.threads;
    int hinted = count(image.code, "ld.global.L1::no_allocate", "");
    int vectors = count(image.code, "ld.global.L1::no_allocate", ".v4.u32");
    assert_int_equal(hinted, vectors);
    assert_int_equal(vectors * 16, of_thread);
    assert_int_equal(
        count(image.code, "st.global.L1::no_allocate", ".v4.u32") % vectors, 0);
    assert_int_equal(count(image.code, "local", ".align"), 0);
    free(image.code);
    free(k.source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_keep_memory_busy),
        cmocka_unit_test(states_are_read_in_16_byte_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
