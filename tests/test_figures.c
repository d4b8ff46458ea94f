/* test_figures.c - from a compiler's figures to what a card is full of. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/figures.h"

#include <stdio.h>
#include <string.h>

/* An H100: 64 warps, 65536 registers and 227 KB a multiprocessor, 132 of them.
 * Worked out by hand from the CUDA programming guide's table. */
static const struct {
    const char *grid, *smem;
    int registers, barriers;
    double occupancy;
    int64_t in_flight;
} cases[] = {
    {"b*hv", "0", 32, 1, 1.0, 16 * 4096},             /* warps */
    {"b*hv", "0", 64, 1, 0.5, 8 * 4096},              /* registers */
    {"b*hv", "65536", 32, 1, 0.1875, 12288},          /* shared memory */
    {"min(b*hv,sms*2)", "0", 64, 1, 0.125, 2 * 4096}, /* blocks that stay */
    {"b*hv", "512*k*v", 32, 1, 0, 0},                 /* does not fit at all */
};

static void estimates(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gdr_candidate c = {.n_steps = 1};
        gdr_session s = {.info = {.arch = "sm_90a", .sms = 132}};
        gdr_batch b = {.session = &s, .s = {.K = 128, .V = 128}};
        gdr_entrant e = {.c = &c, .batch = &b, .compiled = 1};
        gdr_trial_row row = {0};
        c.step[0].grid_x = cases[i].grid;
        c.step[0].block = "128";
        c.step[0].smem = cases[i].smem;
        c.step[0].in_flight = "k*32";
        gdr_figures_estimate(&b, &e, &row); /* no figures: nothing known */
        assert_true(row.occupancy == 0 && row.in_flight == 0);
        e.image[0].figures = (gdr_figures){.known = 1,
                                           .registers = cases[i].registers,
                                           .barriers = cases[i].barriers};
        gdr_figures_estimate(&b, &e, &row);
        if (row.occupancy != cases[i].occupancy ||
            row.in_flight != cases[i].in_flight)
            fail_msg("case %zu: %g, %lld bytes", i, row.occupancy,
                     (long long)row.in_flight);
        snprintf(s.info.arch, sizeof s.info.arch, "x86-64");
        row = (gdr_trial_row){0};
        gdr_figures_estimate(&b, &e, &row); /* no card that is known */
        assert_true(row.occupancy == 0 && row.in_flight == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(estimates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
