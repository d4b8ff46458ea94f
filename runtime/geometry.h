/*
 * geometry.h - launch terms: how grid, block, shared memory and workspace
 * follow from a call's extents. They are data, stored as text, so that libgdr
 * needs no Lua: a term is a product of integers, extents and
 * ceil(extent/constant), or min(product, product).
 *
 *     b*hv*ceil(v/32)      min(b*hv*4, sms*8)      128
 *
 * Names: b t hk hv k v sms (sms = multiprocessors, or threads of a cpu).
 */
#ifndef GDR_GEOMETRY_H
#define GDR_GEOMETRY_H

#include "gdr.h"
#include "hot.h"

typedef enum gdr_factor_name {
    GDR_FACTOR_B,
    GDR_FACTOR_T,
    GDR_FACTOR_HK,
    GDR_FACTOR_HV,
    GDR_FACTOR_K,
    GDR_FACTOR_V,
    GDR_FACTOR_SMS,
    GDR_FACTOR_INT
} gdr_factor_name;

typedef struct gdr_factor {
    uint8_t name;   /* a gdr_factor_name */
    int32_t number; /* the integer, or the divisor of ceil (1: none) */
} gdr_factor;

enum { GDR_TERM_FACTORS = 8 };

typedef struct gdr_term {
    uint8_t n[2]; /* factors of each product; n[1] = 0: no min */
    gdr_factor f[2][GDR_TERM_FACTORS];
} gdr_term;

typedef struct gdr_term_env {
    gdr_extents x;
    int64_t K, V, sms;
} gdr_term_env;

/* Blanks are allowed after min's comma alone; numbers are in 0..2^31-1. */
gdr_status gdr_term_parse(const char *text, gdr_term *out, char *msg, size_t n);

/* -1 when the value overflows int64 (a product with a factor 0 is 0, and a min
 * overflows when both products do), or when an extent in it is negative. The
 * term has been parsed. */
GDR_HOT int64_t gdr_term_eval(const gdr_term *term, const gdr_term_env *env);

/* What a launch needs, in the order of a geometry's terms. */
typedef struct gdr_launch_dims {
    int64_t grid[3], block, smem, workspace;
    int64_t pdl; /* not 0: may start before the kernel ahead of it ends, which
                    it waits for itself (griddepcontrol.wait) */
} gdr_launch_dims;

enum {
    GDR_TERM_GRID,
    GDR_TERM_BLOCK = 3,
    GDR_TERM_SMEM,
    GDR_TERM_WORKSPACE,
    GDR_TERM_PDL,
    GDR_TERMS
};

/* The terms of one step of a plan. Most are numbers, or become one with the
 * plan's K, V and sms: a call evaluates the others. */
typedef struct gdr_geometry {
    gdr_launch_dims fixed;
    uint8_t plain; /* bit i: term i is fixed's number times some extents */
    uint8_t open;  /* bit i: it is more than that, and term[i] tells */
    uint8_t times[GDR_TERMS]; /* of a plain term: bit k, the extent k */
    gdr_term term[GDR_TERMS];
} gdr_geometry;

/* From GDR_TERMS parsed terms. */
void gdr_geometry_make(gdr_geometry *g, const gdr_term *term, int64_t K,
                       int64_t V, int64_t sms);

/* Does a call change this term? */
static inline int gdr_geometry_varies(const gdr_geometry *g, int term)
{
    return (g->plain | g->open) >> term & 1;
}

/* 0 when a term overflows. No extent is less than 1. */
GDR_HOT int gdr_geometry_eval(const gdr_geometry *g, const gdr_term_env *env,
                              gdr_launch_dims *out);

#endif
