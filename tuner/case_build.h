/*
 * case_build.h - the levels by name, and the making of a case's memory. Only
 * for cases.c and case_build.c.
 */
#ifndef GDR_CASE_BUILD_H
#define GDR_CASE_BUILD_H

#include "cases.h"

enum { INDEX_DENSE, INDEX_32, INDEX_64 };
enum { INVALID_NONE, INVALID_RANGE, INVALID_MIN1 };
enum { PAD_NONE, PAD_SLOT, PAD_ALL, PAD_FAR };
enum { QKV_APART, QKV_PACKED, QKV_PADDED };
enum { G_F32, G_IO, G_NONE, G_ALPHA, G_ALPHA_IO };
enum { BETA_F32, BETA_IO, BETA_NONE };
enum { ACCEPTED_NONE, ACCEPTED_VALID, ACCEPTED_RANGE };
enum { SEQLEN_SMALL, SEQLEN_WRAP, SEQLEN_LARGE };

typedef struct gdr_case_builder {
    gdr_case *c;
    uint8_t level[GDR_AXES];
    int64_t *slots; /* [B] or, indexed, [B][T]: valid and all different */
    int64_t used;   /* slots in the state's memory */
    uint64_t seed;
    gdr_status status;
} gdr_case_builder;

/* Buffers, strides, slots and indices, of a case that gdr_args_init has been
 * over. What was made stays in w->c on failure. */
gdr_status gdr_case_build(gdr_case_builder *w, int dense);

/* From here on the images are read-only: a wild kernel in the same process
 * cannot change what it is judged by. */
void gdr_case_seal(gdr_case *c);

#endif
