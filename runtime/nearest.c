/*
 * nearest.c - a map of the nearest tuned point for every cell of the box around
 * them. A cell is site << 1 | inside. Work up to 2^38 and T up
 * to 2^31 (problem.c) bound the box to 305 x 249 cells.
 */
#include "nearest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t none = UINT32_MAX;

int32_t gdr_point_log2(int64_t x)
{
    uint64_t u = x > 0 ? (uint64_t)x : 1;
    int exponent = 63 - __builtin_clzll(u);
    uint64_t fraction = u << (63 - exponent) >> 60 & 7;

    return exponent * GDR_POINT_OCTAVE + (int32_t)fraction;
}

gdr_point gdr_point_of(const gdr_extents *x)
{
    int64_t work;

    assert(x->B >= 0 && x->T >= 0 && x->Hv >= 0);
    if (__builtin_mul_overflow(x->B, x->Hv, &work))
        work = INT64_MAX;
    return (gdr_point){gdr_point_log2(work), gdr_point_log2(x->T)};
}

int32_t gdr_point_distance(gdr_point a, gdr_point b)
{
    return abs(a.w - b.w) + 2 * abs(a.t - b.t);
}

static int sign(int32_t a, int32_t b)
{
    return (a > b) - (a < b);
}

int gdr_point_compare(gdr_point q, gdr_point a, gdr_point b)
{
    int order = sign(gdr_point_distance(q, a), gdr_point_distance(q, b));

    if (!order)
        order = sign(abs(q.t - a.t), abs(q.t - b.t));
    if (!order)
        order = sign(a.t, b.t);
    return order ? order : sign(a.w, b.w);
}

/* ---- the map ---- */

/* The map while it is made: a cell holds the nearest point known so far. */
typedef struct map {
    gdr_point *site;
    gdr_point lo;
    int32_t width, height;
    uint32_t *cell;
} map;

static uint32_t *cell_at(const map *m, int32_t w, int32_t t)
{
    return &m->cell[(size_t)t * (size_t)m->width + (size_t)w];
}

/* The box around the points. */
static void measure(const gdr_point *point, uint32_t n, gdr_point *lo,
                    gdr_point *hi)
{
    *lo = *hi = point[0];
    for (uint32_t i = 1; i < n; i++) {
        lo->w = point[i].w < lo->w ? point[i].w : lo->w;
        lo->t = point[i].t < lo->t ? point[i].t : lo->t;
        hi->w = point[i].w > hi->w ? point[i].w : hi->w;
        hi->t = point[i].t > hi->t ? point[i].t : hi->t;
    }
}

/* Numbers the sites and puts each into its cell. */
static uint32_t place(const map *m, const gdr_point *point, uint32_t n,
                      uint32_t *site)
{
    uint32_t sites = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t *cell = cell_at(m, point[i].w - m->lo.w, point[i].t - m->lo.t);

        if (*cell == none) {
            m->site[sites] = point[i];
            *cell = sites++;
        }
        site[i] = *cell;
    }
    return sites;
}

/* Lets the cell at (w, t) take over its neighbour's answer if that is nearer.
 */
static void relax(const map *m, int32_t w, int32_t t, int32_t from_w,
                  int32_t from_t)
{
    gdr_point q = {w + m->lo.w, t + m->lo.t};
    uint32_t *here = cell_at(m, w, t);
    uint32_t other = *cell_at(m, from_w, from_t);

    if (other != none &&
        (*here == none ||
         gdr_point_compare(q, m->site[other], m->site[*here]) < 0))
        *here = other;
}

/* Along each row, then along each column, there and back. Exact, because a step
 * along an axis adds the same to the distance of all points behind it. */
static void spread(const map *m)
{
    int32_t width = m->width, height = m->height;

    for (int32_t t = 0; t < height; t++) {
        for (int32_t w = 1; w < width; w++)
            relax(m, w, t, w - 1, t);
        for (int32_t w = width - 2; w >= 0; w--)
            relax(m, w, t, w + 1, t);
    }
    for (int32_t t = 1; t < height; t++)
        for (int32_t w = 0; w < width; w++)
            relax(m, w, t, w, t - 1);
    for (int32_t t = height - 2; t >= 0; t--)
        for (int32_t w = 0; w < width; w++)
            relax(m, w, t, w, t + 1);
}

/* ---- the hull ---- */

/* First and last column of the points of a row; first > last: none. */
typedef struct extent {
    int32_t first, last;
} extent;

static void measure_rows(const map *m, uint32_t n, extent *row)
{
    for (int32_t t = 0; t < m->height; t++)
        row[t] = (extent){m->width, -1};
    for (uint32_t i = 0; i < n; i++) {
        extent *r = &row[m->site[i].t - m->lo.t];
        int32_t w = m->site[i].w - m->lo.w;

        r->first = w < r->first ? w : r->first;
        r->last = w > r->last ? w : r->last;
    }
}

/* The hull's columns of row t: of all lines between a point below and one above
 * it, the leftmost and the rightmost crossing. */
static extent hull_row(const extent *row, int32_t height, int32_t t)
{
    extent hull = row[t];

    for (int32_t a = 0; a < t; a++)
        for (int32_t b = t + 1; b < height; b++) {
            int32_t up = t - a, down = b - t, all = b - a;
            int32_t first = row[a].first * down + row[b].first * up;
            int32_t last = row[a].last * down + row[b].last * up;

            if (row[a].last < 0 || row[b].last < 0)
                continue;
            first = (first + all - 1) / all;
            last /= all;
            hull.first = first < hull.first ? first : hull.first;
            hull.last = last > hull.last ? last : hull.last;
        }
    return hull;
}

/* Turns site numbers into cells. */
static void seal(const map *m, const extent *row)
{
    for (int32_t t = 0; t < m->height; t++) {
        extent hull = hull_row(row, m->height, t);

        for (int32_t w = 0; w < m->width; w++) {
            uint32_t *cell = cell_at(m, w, t);
            uint32_t inside = w >= hull.first && w <= hull.last;

            *cell = *cell << 1 | inside;
        }
    }
}

gdr_status gdr_nearest_open(const gdr_point *point, uint32_t n, uint32_t *site,
                            gdr_nearest *out)
{
    gdr_status status = GDR_ERR_NO_MEMORY;
    gdr_nearest near = {.cell = NULL};
    extent *row = NULL;
    size_t cells;
    map m;

    assert(n > 0 && n <= GDR_NEAREST_MAX);
    measure(point, n, &near.lo, &near.hi);
    m = (map){.lo = near.lo,
              .width = near.hi.w - near.lo.w + 1,
              .height = near.hi.t - near.lo.t + 1};
    cells = (size_t)m.width * (size_t)m.height;
    near.cell = m.cell = malloc(cells * sizeof *m.cell);
    m.site = calloc(n, sizeof *m.site);
    row = calloc((size_t)m.height, sizeof *row);
    if (!m.cell || !m.site || !row)
        goto done;
    memset(m.cell, 0xff, cells * sizeof *m.cell); /* none */
    near.n_sites = place(&m, point, n, site);
    spread(&m);
    measure_rows(&m, near.n_sites, row);
    seal(&m, row);
    *out = near;
    near.cell = NULL;
    status = GDR_OK;
done:
    free(near.cell);
    free(m.site);
    free(row);
    return status;
}

void gdr_nearest_close(gdr_nearest *near)
{
    free(near->cell);
    near->cell = NULL;
}

static int32_t clamp(int32_t x, int32_t lo, int32_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

gdr_neighbour gdr_nearest_find(const gdr_nearest *near, gdr_point q)
{
    gdr_point c = {clamp(q.w, near->lo.w, near->hi.w),
                   clamp(q.t, near->lo.t, near->hi.t)};
    int in_box = c.w == q.w && c.t == q.t;
    size_t width = (size_t)near->hi.w - (size_t)near->lo.w + 1;
    size_t w = (size_t)c.w - (size_t)near->lo.w;
    size_t t = (size_t)c.t - (size_t)near->lo.t;
    uint32_t cell = near->cell[t * width + w];

    return (gdr_neighbour){cell >> 1, in_box & (int)cell};
}
