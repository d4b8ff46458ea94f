/*
 * effort.c - how much work a race is worth: the three levels of --effort. What
 * each buys is printed by the simulation in tests/test_race.c and quoted in
 * docs/measuring.md.
 */
#include "race.h"
#include <string.h>

typedef struct effort {
    const char *name;
    gdr_race_options o;
} effort;

/*
 * screen_rounds   one to warm up and three, whose median one outlier cannot
 *                 move; exhaustive has five, so that two cannot
 * screen_drop     half as fast after three rounds never won in a simulation;
 *                 quick cuts at 1.5, wrong only where noise is above 10 %, and
 *                 exhaustive doubts even 2
 * halve_rounds    rounds of the last stage, after which rank alone decides: 8
 *                 make 17 with those before, where a median of ratios is good
 *                 to +-1.3 % at 1 % noise a sample; 16 to +-0.9 %, 4 to +-1.8 %
 * finalists       what the final is for is telling apart what that could not;
 *                 each costs a sample in every round of it
 * final rounds    the half-width of a median's interval is 1.25 * 1.96 *
 *                 sqrt(2) * noise / sqrt(rounds): at 1 % noise 0.7 % after 24,
 *                 0.43 % after 64, 0.25 % after 192. Least: where ci_stop can
 *                 be met at 0.5 to 1 % noise; most: what a problem may cost.
 *                 32 candidates of 1.5 ms a sample take 0.6, 1.3 and 2 s at 1 %
 *                 noise, and never more than 0.8, 3 and 6 s
 * ci_stop         two runs may differ by 1 % (median) and 3 % (95th
 * percentile): half the former for measure, half that again for exhaustive
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
