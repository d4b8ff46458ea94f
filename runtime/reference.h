/*
 * reference.h - the float64 golden recurrence, head by head, with the running
 * scale of a float32 kernel's forward error. Written from the definition alone;
 * shares no code with the templates. gdr_reference and the tuner's oracle both
 * stand on it.
 */
#ifndef GDR_REFERENCE_H
#define GDR_REFERENCE_H

#include "gdr.h"

/* One head for one token. q (scaled), k already normalised, in float64.
 * S is [V][K] whatever the layout of the problem, updated in place, unrounded.
 * e is [V], the error scale in units of 2^-24 per value column: updated.
 * o and e_o are [V]. e and e_o may be NULL. */
typedef struct gdr_token {
    int K, V;
    const double *q, *k, *v;
    double decay; /* exp(g) */
    double beta;
    double gate_error; /* extra error of the decay, in units of 2^-24 */
    double beta_error; /* the same of beta; both 0 unless the gate is fused */
} gdr_token;

void gdr_token_step(const gdr_token *t, double *S, double *o, double *e,
                    double *e_o);

/* Inputs of token (b, t, hv) as float64: q scaled and normalised [K], k [K],
 * v [V], decay, beta, with head map, gate form and dtypes resolved. */
void gdr_token_read(const gdr_static *s, const gdr_args *a, int64_t b,
                    int64_t t, int64_t hv, double *q, double *k, double *v,
                    gdr_token *out);

/* Where a call reads and writes states. Element offset, or -1: none/invalid. */
typedef struct gdr_state_map {
    int valid;    /* 0: invalid index, o is zeros, nothing is touched */
    int64_t read; /* element offset into state of this head's S */
} gdr_state_map;

gdr_state_map gdr_state_source(const gdr_static *s, const gdr_args *a,
                               int64_t b, int64_t hv);

/* Reads the state at an element offset into S [V][K], whatever its layout. */
void gdr_state_load(const gdr_static *s, gdr_dtype d, const void *base,
                    int64_t offset, double *S);

/*
 * Where the definition leaves room: the index that is read decides whether a
 * sequence is valid; `indexed` skips a write whose own index is invalid and
 * goes on (vLLM). A call without state_indices uses slot b under the same
 * limits. With round_between_tokens a float32 snapshot holds the rounded state.
 */

/* The write after token t: pool 0 = state, 1 = snapshots; offset -1: none.
 * A snapshots call with GDR_UPDATE_STATE also writes the slot after the last
 * token: that one is asked for with t = T. */
typedef struct gdr_state_write {
    int pool;
    int64_t offset;
    gdr_dtype dtype;
} gdr_state_write;

gdr_state_write gdr_state_sink(const gdr_static *s, const gdr_args *a,
                               int64_t b, int64_t hv, int64_t t);

/* No table: it would be one more line to wait for. */
static inline size_t gdr_dtype_bytes(gdr_dtype d)
{
    return d == GDR_F32 ? 4 : 2;
}

/* dtype conversions, exact; store rounds to nearest even from float64. */
double gdr_load(gdr_dtype d, const void *base, int64_t index);
void gdr_store_rounded(gdr_dtype d, void *base, int64_t index, double x);
double gdr_round(gdr_dtype d, double x);
double gdr_ulp(gdr_dtype d, double x); /* spacing of d at |x| */

#endif
