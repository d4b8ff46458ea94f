/*
 * bug_kernel.h - a float32 kernel in plain C with a switch for one bug, behind
 * a backend and a target of its own: what the gate is tested on. Shares only
 * the dtype conversions with the oracle.
 */
#ifndef GDR_BUG_KERNEL_H
#define GDR_BUG_KERNEL_H

#include "../tuner/verify.h"

typedef enum bug {
    BUG_NONE,
    /* numbers; those marked 1 go wrong in one head only */
    BUG_DROP,      /* 1: the last token does not update the state */
    BUG_NEIGHBOUR, /* 1: the key of the next key head */
    BUG_SCALE,     /* 1: q is not scaled in the last token */
    BUG_SLOT,      /* 1: reads the next slot */
    BUG_ROW,       /* 1: the last value column of S is not stored */
    BUG_LATE,      /* 1: stores the state of the token before */
    BUG_ROUND,     /* no rounding between tokens */
    BUG_CUT_STATE, /* states are cut, not rounded */
    BUG_CUT_O,
    BUG_BETA,      /* beta rounded to bf16 */
    BUG_GATE,      /* g rounded to bf16 */
    BUG_S,         /* S rounded to bf16 for the dots */
    BUG_D,         /* d rounded to bf16 */
    BUG_NORMALIZE, /* x / max(|x|, 1e-12), PyTorch's F.normalize */
    BUG_O,         /* o from the rounded state */
    BUG_HALF,      /* partial sums in f16 */
    BUG_UNDECAYED, /* d from S before its decay */
    BUG_MAP,       /* ignores the head map */
    BUG_ALPHA,     /* takes alpha for a logarithm */
    BUG_EIGVAL,    /* ignores neg_eigval */
    BUG_SOFTPLUS,  /* the naive form: overflows */
    BUG_RING,      /* writes ring[c + t] */
    BUG_INT32,     /* c + 1 + t in 32 bits */
    BUG_ACCEPTED,  /* reads idx[b, 0] */
    BUG_UPDATE,    /* updates the slot though not asked to */
    BUG_BY_SLOT,   /* snapshots by b though asked for by slot */
    BUG_STRIDES,   /* takes q for contiguous */
    /* manners */
    BUG_O_PAST,    /* writes o past its end */
    BUG_S_BEFORE,  /* writes before the first state */
    BUG_PADDING,   /* writes between two states */
    BUG_SPARE,     /* writes a slot that nobody named */
    BUG_INPUT,     /* changes q */
    BUG_BATCH,     /* sums in another order when B > 1 */
    BUG_PACKET,    /* sums in another order when T > 1 */
    BUG_FLAKY,     /* every 7th launch differs in one bit */
    BUG_NAN,       /* one NaN */
    BUG_INDEX,     /* ignores the indices */
    BUG_INDEX64,   /* cuts indices to 32 bits */
    BUG_MIN,       /* ignores index_min */
    BUG_INVALID_O, /* leaves o of invalid sequences as it was */
    BUG_INVALID_S, /* writes some slot for an invalid one */
    BUG_WORKSPACE, /* writes past its workspace */
    BUG_STALE,     /* adds what it finds in its workspace */
    BUG_WIDE,      /* wrong in the last head of large batches */
    BUG_REFUSES,   /* the launch fails */
    BUG_ENDS
} bug;

/* How a correct kernel may compute. */
typedef enum bug_style {
    STYLE_PLAIN, /* the golden order, serial sums */
    STYLE_TREE,  /* one pass, 32 lanes, fma, exp and rsqrt off by up to 2 ulp */
    STYLE_RANK,  /* all tokens from one read of S (no rounding between) */
    STYLES
} bug_style;

typedef struct bug_kernel {
    gdr_static s;
    bug bug;
    bug_style style;
    int64_t launches;
    int64_t allocations, most_allocations; /* most 0: no limit */
    gdr_recipe recipe;
} bug_kernel;

/* Aborts the test when the text is no problem. The recipe points into k. */
void bug_kernel_open(bug_kernel *k, const char *problem, bug b, bug_style s);

/* The gate's verdict on it. */
gdr_verdict bug_kernel_verify(bug_kernel *k, uint64_t seed, int thorough);

extern const gdr_target bug_target; /* plain malloc */

#endif
