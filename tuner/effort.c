/*
 * effort.c - how much work a race is worth: the three levels of --effort.
 *
 * Costs are for 32 candidates and samples of 1.5 ms; noise is 2 % a sample,
 * half of it shared. The figures in the comments come from the simulation in
 * tests/test_race.c, which prints them.
 */
#include "race.h"
#include <string.h>

typedef struct effort {
    const char *name;
    gdr_race_options o;
} effort;

/*
 * screen_rounds   one to warm up and three, so that one outlier (0.5 % of the
 *                 samples and more on a busy machine) cannot move a median;
 *                 exhaustive has five, so that two cannot
 * screen_drop     a variant twice as slow has never won; exhaustive doubts even
 *                 that. quick drops earlier, as three rounds tell 1.5x apart
 * halve_rounds    the last stage before the cut is by rank alone: with 8 rounds
 *                 a median is good to +-1.5 %, about what the final can mend
 * finalists       the winner is among the first 4 after halving in 97 of 100
 * final rounds    the interval of a median is +-1.25 * 1.96 * sqrt(2) * noise /
 *                 sqrt(rounds): 1 % takes 48 rounds at 2 % noise, 0.5 % 192;
 *                 the least is where the sign test's ranks get fine (64: 24 of
 *                 64), the most is what a problem may cost
 * ci_stop         half of what two runs may differ by (3 % at the 95th
 *                 percentile), and for measure half of the median's 1 %
 * epsilon_min     a difference nobody would notice
 */
static const effort efforts[] = {
    {"quick",
     {.screen_rounds = 4,
      .screen_drop = 1.5,
      .halve_rounds = 4,
      .finalists = 4,
      .final_rounds_min = 24,
      .final_rounds_max = 48,
      .ci_stop = 0.01,
      .epsilon_min = 0.005}},
    {"measure",
     {.screen_rounds = 4,
      .screen_drop = 2,
      .halve_rounds = 8,
      .finalists = 6,
      .final_rounds_min = 64,
      .final_rounds_max = 192,
      .ci_stop = 0.005,
      .epsilon_min = 0.005}},
    {"exhaustive",
     {.screen_rounds = 6,
      .screen_drop = 3,
      .halve_rounds = 16,
      .finalists = 8,
      .final_rounds_min = 64,
      .final_rounds_max = 400,
      .ci_stop = 0.0025,
      .epsilon_min = 0.005}},
};

int gdr_race_effort(const char *name, gdr_race_options *out)
{
    for (size_t i = 0; i < sizeof efforts / sizeof *efforts; i++)
        if (strcmp(name, efforts[i].name) == 0) {
            *out = efforts[i].o;
            return 1;
        }
    return 0;
}
