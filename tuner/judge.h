/*
 * judge.h - what the parts of the gate share: the variant, its verdict so far.
 * Only for verify.c and habits.c.
 */
#ifndef GDR_JUDGE_H
#define GDR_JUDGE_H

#include "oracle.h"
#include "stage.h"
#include "verify.h"

typedef struct gdr_judge {
    const gdr_target *target;
    const gdr_recipe *recipe;
    const gdr_verify_options *options;
    gdr_verdict *verdict;
    gdr_oracle *oracle;
    uint64_t seed;
} gdr_judge;

/* Writes the verdict; GDR_OK, since the judge is well. */
gdr_status gdr_judge_condemn(gdr_judge *g, const gdr_case *c,
                             const char *outcome, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

int gdr_judge_passing(const gdr_judge *g);

/* Launches and takes everything back; not passing afterwards if refused. */
gdr_status gdr_judge_launch(gdr_judge *g, gdr_stage *st, const gdr_args *args);

/* Many launches of one small case: the same bytes every time, for sequences
 * alone as in the batch, for tokens one by one where states are rounded
 * between; nothing at all for empty calls. */
gdr_status gdr_judge_habits(gdr_judge *g, gdr_stage *st);

#endif
