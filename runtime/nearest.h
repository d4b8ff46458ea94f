/*
 * nearest.h - which of many tuned extents is nearest to a call's, in a few
 * nanoseconds whatever their number.
 *
 * Extents become a point: the logarithms of the work B*Hv and of T, in eighths
 * of an octave. The distance of two points is |dw| + 2 |dt|: a plan for another
 * amount of work is off by how it splits the heads, one for another T by how
 * often it passes over the states, so T counts double (a proposal: to be
 * calibrated with measured regret). Among equals the smaller |dt|, then the
 * smaller t, then the smaller w is nearer: a total order on points.
 *
 * All cells of the box around the tuned points are computed in advance. Outside
 * the box the answer is that of the nearest cell in it, exactly: in a sum of
 * absolute differences a coordinate beyond all points adds the same to each.
 */
#ifndef GDR_NEAREST_H
#define GDR_NEAREST_H

#include "gdr.h"

typedef struct gdr_point {
    int32_t w, t; /* log2 of B*Hv and of T, in 1/8 */
} gdr_point;

enum { GDR_POINT_OCTAVE = 8, GDR_POINTS = 63 * GDR_POINT_OCTAVE };

/* The logarithm, 0 .. GDR_POINTS - 1: the exponent and the top three bits below
 * the leading one, at most 0.09 octaves under the truth. 0 counts as 1. */
int32_t gdr_point_log2(int64_t x);

/* x has no negative member; a 0 counts as a 1. */
gdr_point gdr_point_of(const gdr_extents *x);
int32_t gdr_point_distance(gdr_point a, gdr_point b);
/* <0, 0, >0: a is nearer to q, the same point, b is nearer. */
int gdr_point_compare(gdr_point q, gdr_point a, gdr_point b);

/* Points that coincide are one site; sites are numbered as they first appear.
 */
typedef struct gdr_nearest {
    gdr_point lo, hi; /* the box */
    uint32_t *cell;   /* [hi.t - lo.t + 1][hi.w - lo.w + 1], see the .c */
    uint32_t n_sites;
} gdr_nearest;

typedef struct gdr_neighbour {
    uint32_t site;
    int inside; /* the query is in the convex hull of the points */
} gdr_neighbour;

enum { GDR_NEAREST_MAX = 1 << 28 }; /* points */

/* n in 1 .. GDR_NEAREST_MAX; site[n] gets the site of each point. On
 * GDR_ERR_NO_MEMORY nothing is to be closed. */
gdr_status gdr_nearest_open(const gdr_point *point, uint32_t n, uint32_t *site,
                            gdr_nearest *out);
void gdr_nearest_close(gdr_nearest *near);
gdr_neighbour gdr_nearest_find(const gdr_nearest *near, gdr_point q);

#endif
