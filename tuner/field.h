/*
 * field.h - everyone who was tried for a problem on a device, and what became
 * of them: those that were timed, fastest first, then those that failed.
 */
#ifndef GDR_FIELD_H
#define GDR_FIELD_H

#include "../db/store.h"

typedef struct gdr_entry {
    char *hash, *kernel, *config, *outcome, *note; /* owned */
    int64_t stage;                                 /* GDR_RACE_SCREENED, ... */
    double time_ns;                                /* 0: not timed */
    double spread, error_o, error_s;
    double ratio;    /* to the winner's time, see gdr_field_pair */
    int64_t run;     /* that timed it */
    double *samples; /* one a round, as the race took them */
    int64_t n_samples;
} gdr_entry;

typedef struct gdr_field {
    gdr_entry *entry;
    int64_t n, n_timed;
    int64_t n_passed; /* correct, but never timed for this problem */
} gdr_field;

/* problem: full text, or static text alone for the gate's results. What passed
 * the gate and was not timed is counted and left out. */
gdr_status gdr_field_load(gdr_store *st, int64_t device, const char *problem,
                          gdr_field *out);
void gdr_field_free(gdr_field *f);

/*
 * Sets the ratios of those that were timed, and sorts by them. Where a racer
 * left early, its samples are paired with the winner's of the same rounds: the
 * machine may have been faster then than in the final that the times of winner
 * and finalists are from. gain: default over winner, as the race found it.
 */
void gdr_field_pair(gdr_field *f, const char *winner, const char *fallback,
                    double gain);

/* NULL when nobody has that hash. */
const gdr_entry *gdr_field_find(const gdr_field *f, const char *hash);

#endif
