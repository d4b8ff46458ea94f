/*
 * oracle.h - the right answer to a call and how far a float32 kernel may be
 * from it: |x - E| <= ulp(E)/2 + 16 u e, element by element (semantics.md,
 * "forward- error bounds"). Where states are rounded between tokens, each token
 * starts from the state that the variant itself stored.
 */
#ifndef GDR_ORACLE_H
#define GDR_ORACLE_H

#include "gdr.h"

/* The worst element so far. ratio > 1 is a failure. */
typedef struct gdr_miss {
    double ratio;     /* |x - E| over its bound; infinite for a NaN */
    const char *what; /* "o", "state", "snapshot" */
    int64_t b, t, hv;
    int row, column; /* column of o: -1 for row; of a state: k, v */
    double expected, got, bound;
} gdr_miss;

typedef struct gdr_oracle gdr_oracle;

gdr_status gdr_oracle_open(const gdr_static *s, gdr_oracle **out);
void gdr_oracle_close(gdr_oracle *oracle);

/*
 * Judges one head of one sequence. in: the inputs as they were before the call;
 * got: the same arguments on the memory after it. The first tokens are computed
 * but not compared: `from` is the first that is.
 *
 * stored: only for `final` with rounding between tokens, where the states
 * between are not to be seen: stored[t] is the memory after a call of t tokens,
 * for t = 1 .. T-1. NULL otherwise.
 */
void gdr_oracle_judge(gdr_oracle *oracle, const gdr_args *in,
                      const gdr_args *got, const gdr_args *stored, int64_t b,
                      int64_t hv, int64_t from, gdr_miss *o, gdr_miss *state);

#endif
