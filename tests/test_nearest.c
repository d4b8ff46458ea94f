/* The map of nearest points against a search over all of them, and the hull
 * against all triangles. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../runtime/nearest.h"

#include <stdlib.h>

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void test_points(void **state)
{
    gdr_point last = {-1, -1};

    (void)state;
    for (int64_t i = 1; i < 5000; i++) {
        gdr_point p = gdr_point_of(&(gdr_extents){i, i, 1, 1});

        assert_true(p.w >= last.w && p.t >= last.t);
        assert_int_equal(p.w, p.t);
        last = p;
    }
    for (int i = 0; i < 62; i++) {
        gdr_point p = gdr_point_of(&(gdr_extents){1LL << i, 1, 1, 2});

        assert_int_equal(p.w, (i + 1) * GDR_POINT_OCTAVE);
        assert_int_equal(p.t, 0);
    }
    /* 0 counts as 1, and no product wraps. */
    assert_int_equal(gdr_point_of(&(gdr_extents){0, 0, 1, 1}).w, 0);
    assert_int_equal(gdr_point_of(&(gdr_extents){0, 0, 1, 1}).t, 0);
    assert_int_equal(
        gdr_point_of(&(gdr_extents){INT64_MAX, INT64_MAX, 1, INT64_MAX}).w,
        gdr_point_of(&(gdr_extents){INT64_MAX, 1, 1, 1}).w);
    /* Small numbers stay apart. */
    for (int64_t i = 1; i < 16; i++)
        assert_true(gdr_point_of(&(gdr_extents){i, 1, 1, 1}).w <
                    gdr_point_of(&(gdr_extents){i + 1, 1, 1, 1}).w);
}

/* The definition in nearest.h, word by word. */
static uint32_t search(const gdr_point *p, uint32_t n, gdr_point q)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < n; i++) {
        int64_t key[2][4];

        for (int j = 0; j < 2; j++) {
            gdr_point at = j ? p[best] : p[i];
            int64_t dw = labs((long)q.w - at.w), dt = labs((long)q.t - at.t);

            key[j][0] = dw + 2 * dt;
            key[j][1] = dt;
            key[j][2] = at.t;
            key[j][3] = at.w;
        }
        for (int k = 0; k < 4; k++) {
            if (key[0][k] < key[1][k])
                best = i;
            if (key[0][k] != key[1][k])
                break;
        }
    }
    return best;
}

static void compare(uint32_t n, int32_t width, int32_t height, uint64_t seed)
{
    uint64_t start = seed;
    gdr_point *p = malloc(n * sizeof *p);
    uint32_t *site = malloc(n * sizeof *site);
    gdr_nearest near;

    for (uint32_t i = 0; i < n; i++)
        p[i] = (gdr_point){20 + (int32_t)(next(&seed) % (uint64_t)width),
                           5 + (int32_t)(next(&seed) % (uint64_t)height)};
    assert_int_equal(gdr_nearest_open(p, n, site, &near), GDR_OK);
    for (int i = 0; i < 400; i++) {
        gdr_point q = {(int32_t)(next(&seed) % (uint64_t)(width + 40)),
                       (int32_t)(next(&seed) % (uint64_t)(height + 10))};
        gdr_neighbour got = gdr_nearest_find(&near, q);
        uint32_t want = search(p, n, q);

        if (got.site != site[want])
            fail_msg("compare(%u, %d, %d, %llu): query %d (%d, %d): %u, not %u",
                     n, width, height, (unsigned long long)start, i, q.w, q.t,
                     got.site, site[want]);
    }
    gdr_nearest_close(&near);
    free(p);
    free(site);
}

static void test_search(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 40; seed++) {
        compare(1, 1, 1, seed);
        compare(2, 9, 9, seed);
        compare(7, 60, 30, seed);
        compare(40, 100, 1, seed);
        compare(40, 1, 60, seed);
        compare(200, 12, 12, seed);
    }
    compare(3000, 300, 240, 1);
    compare(10000, 100, 30, 2);
}

/* ---- hull ---- */

static int64_t cross(gdr_point a, gdr_point b, gdr_point c)
{
    return (int64_t)(b.w - a.w) * (c.t - a.t) -
           (int64_t)(b.t - a.t) * (c.w - a.w);
}

static int between(int32_t x, int32_t a, int32_t b)
{
    return (x >= a && x <= b) || (x >= b && x <= a);
}

static int in_triangle(gdr_point q, gdr_point a, gdr_point b, gdr_point c)
{
    int64_t x = cross(a, b, q), y = cross(b, c, q), z = cross(c, a, q);

    if (cross(a, b, c) != 0)
        return (x >= 0 && y >= 0 && z >= 0) || (x <= 0 && y <= 0 && z <= 0);
    return cross(a, b, q) == 0 && between(q.w, a.w, b.w) &&
           between(q.t, a.t, b.t);
}

/* In the hull: in a triangle of three of the points, or on a line of two. */
static int in_hull(const gdr_point *p, int n, gdr_point q)
{
    for (int a = 0; a < n; a++)
        for (int b = 0; b < n; b++)
            for (int c = 0; c < n; c++)
                if (in_triangle(q, p[a], p[b], p[c]))
                    return 1;
    return 0;
}

static void test_hull(void **state)
{
    (void)state;
    for (uint64_t start = 1; start < 200; start++) {
        uint64_t seed = start;
        int n = 1 + (int)(start % 7);
        gdr_point p[7];
        uint32_t site[7];
        gdr_nearest near;

        for (int i = 0; i < n; i++)
            p[i] = (gdr_point){2 + (int32_t)(next(&seed) % 14),
                               2 + (int32_t)(next(&seed) % 8)};
        assert_int_equal(gdr_nearest_open(p, (uint32_t)n, site, &near), GDR_OK);
        for (int32_t t = 0; t < 12; t++)
            for (int32_t w = 0; w < 18; w++) {
                gdr_point q = {w, t};

                if (gdr_nearest_find(&near, q).inside != in_hull(p, n, q))
                    fail_msg("hull of seed %d is wrong at (%d, %d)", (int)start,
                             w, t);
            }
        gdr_nearest_close(&near);
    }
}

/* A corner that no tuned extents are near is outside. */
static void test_hull_is_not_the_box(void **state)
{
    const gdr_point p[] = {{0, 0}, {80, 0}, {0, 16}};
    uint32_t site[3];
    gdr_nearest near;

    (void)state;
    assert_int_equal(gdr_nearest_open(p, 3, site, &near), GDR_OK);
    assert_true(gdr_nearest_find(&near, (gdr_point){40, 8}).inside);
    assert_false(gdr_nearest_find(&near, (gdr_point){80, 16}).inside);
    assert_false(gdr_nearest_find(&near, (gdr_point){81, 0}).inside);
    gdr_nearest_close(&near);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_hull),
        cmocka_unit_test(test_hull_is_not_the_box),
    };

    return cmocka_run_group_tests_name("nearest", tests, NULL, NULL);
}
