/* test_chip.c - occupancy against what cuda_occupancy.h of CUDA 13.0 computes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/chip.h"

#include <string.h>

static const gdr_chip *find(const char *arch)
{
    const gdr_chip *chip = NULL;
    char msg[256];

    assert_int_equal(gdr_chip_find(arch, &chip, msg, sizeof msg), GDR_OK);
    return chip;
}

static void finds_by_arch(void **state)
{
    (void)state;
    assert_string_equal(find("sm_75")->card, "T4");
    assert_ptr_equal(find("sm_90"), find("sm_90a"));
    assert_ptr_equal(find("sm_120"), find("sm_120a"));
    assert_true(find("sm_70")->untested);
    assert_false(find("sm_100a")->untested);
}

static void lists_what_there_is(void **state)
{
    static const char *const unknown[] = {
        "", "sm_", "sm_9", "sm_12", "sm_900", "sm_75a", "x86-64", "SM_75"};
    const gdr_chip *chip;
    char msg[256], small[8];

    (void)state;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        assert_int_equal(gdr_chip_find(unknown[i], &chip, msg, sizeof msg),
                         GDR_ERR_NOT_FOUND);
        assert_null(chip);
        assert_non_null(strstr(msg, "sm_90a"));
        assert_non_null(strstr(msg, unknown[i]));
    }
    assert_int_equal(gdr_chip_find("x", &chip, small, sizeof small),
                     GDR_ERR_NOT_FOUND);
    assert_int_equal(strlen(small), sizeof small - 1);
}

static void tells_a_generator(void **state)
{
    gdr_generator_device d = gdr_chip_traits(find("sm_90a"));

    (void)state;
    assert_string_equal(d.kind, "cuda");
    assert_string_equal(d.arch, "sm_90a");
    assert_string_equal(d.isa, "sm_90a");
    assert_int_equal(d.smem_bytes, 227 * 1024);
    assert_int_equal(d.sms, 132);
    assert_int_equal(d.l2_bytes, 50 << 20);
    assert_int_equal(d.vector_bytes, 16);
}

static const gdr_block_needs needs[] = {
    {.threads = 128, .registers = 32, .barriers = 1},
    {.threads = 128, .registers = 64, .barriers = 1},
    {.threads = 64, .registers = 168, .barriers = 1},
    {.threads = 256, .registers = 255, .barriers = 1},
    {.threads = 32, .registers = 40},
    {.threads = 96, .registers = 86, .barriers = 1, .smem_bytes = 24878},
    {.threads = 256, .registers = 40, .barriers = 16, .smem_bytes = 66560},
    {.threads = 1024, .registers = 65, .barriers = 1},
    {.threads = 128, .registers = 24, .barriers = 1, .smem_bytes = 232448},
};
enum { NEEDS = sizeof needs / sizeof *needs };

/* cudaOccMaxActiveBlocksPerMultiprocessor, with the carve-out for the most
 * shared memory. */
static const struct {
    const char *arch;
    int blocks[NEEDS];
} toolkit[] = {
    {"sm_70", {16, 8, 6, 1, 32, 3, 1, 0, 0}},
    {"sm_75", {8, 8, 6, 1, 16, 2, 0, 0, 0}},
    {"sm_80", {16, 8, 6, 1, 32, 6, 2, 0, 0}},
    {"sm_86", {12, 8, 6, 1, 16, 3, 1, 0, 0}},
    {"sm_89", {12, 8, 6, 1, 24, 3, 1, 0, 0}},
    {"sm_90a", {16, 8, 6, 1, 32, 6, 3, 0, 1}},
    {"sm_100a", {16, 8, 6, 1, 32, 6, 3, 0, 1}},
    {"sm_120a", {12, 8, 6, 1, 24, 3, 1, 0, 0}},
};

static void agrees_with_the_toolkit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof toolkit / sizeof *toolkit; i++)
        for (int k = 0; k < NEEDS; k++) {
            gdr_occupancy o =
                gdr_chip_occupancy(find(toolkit[i].arch), &needs[k]);
            if (o.blocks != toolkit[i].blocks[k])
                print_error("%s, needs %d: limit %s\n", toolkit[i].arch, k,
                            o.limit);
            assert_int_equal(o.blocks, toolkit[i].blocks[k]);
        }
}

static void says_what_the_limit_is(void **state)
{
    const gdr_chip *h100 = find("sm_90a");
    gdr_occupancy o;

    (void)state;
    o = gdr_chip_occupancy(h100, &needs[0]);
    assert_string_equal(o.limit, "warps");
    assert_true(o.warps == 1);
    o = gdr_chip_occupancy(h100, &needs[1]);
    assert_string_equal(o.limit, "registers");
    assert_true(o.warps == 0.5);
    o = gdr_chip_occupancy(h100, &needs[4]);
    assert_string_equal(o.limit, "blocks");
    o = gdr_chip_occupancy(h100, &needs[5]);
    assert_string_equal(o.limit, "registers");
    o = gdr_chip_occupancy(h100, &needs[8]);
    assert_string_equal(o.limit, "shared memory");
    o = gdr_chip_occupancy(
        h100,
        &(gdr_block_needs){.threads = 32, .registers = 16, .barriers = 16});
    assert_string_equal(o.limit, "barriers");
    assert_int_equal(o.blocks, 4);
    o = gdr_chip_occupancy(h100, &(gdr_block_needs){.threads = 1056});
    assert_int_equal(o.blocks, 0);
    assert_string_equal(o.limit, "threads");
    o = gdr_chip_occupancy(h100, &(gdr_block_needs){.threads = -1});
    assert_int_equal(o.blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_by_arch),
        cmocka_unit_test(lists_what_there_is),
        cmocka_unit_test(tells_a_generator),
        cmocka_unit_test(agrees_with_the_toolkit),
        cmocka_unit_test(says_what_the_limit_is),
    };
    return cmocka_run_group_tests_name("chip", tests, NULL, NULL);
}
