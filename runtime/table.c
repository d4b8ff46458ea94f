/*
 * table.c - the matching policy, once as an order on entries (pick, explain)
 * and once as a table that answers in nanoseconds. The two must agree: the
 * tests compare them over random extents.
 */
#include "table.h"
#include "status.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rungs ---- */

static gdr_match best_rung(const gdr_entry *e, const gdr_device_info *info)
{
    if (e->problem.x.B == 0)
        return GDR_MATCH_DEFAULT;
    return strcmp(e->origin->fingerprint, info->fingerprint) ? GDR_MATCH_SIBLING
                                                             : GDR_MATCH_EXACT;
}

int gdr_entry_rung(const gdr_entry *e, const gdr_backend *backend,
                   const void *dev, gdr_match *rung, char *why, size_t n)
{
    const gdr_device_info *info = backend->info(dev);
    const gdr_origin *o = e->origin;
    const gdr_code *code = e->code;

    *rung = best_rung(e, info);
    if (strcmp(o->kind, info->kind) || strcmp(o->arch, info->arch))
        gdr_fail(GDR_ERR_LOAD, why, n, "made for %.16s %.32s", o->kind,
                 o->arch);
    else if (code->why)
        gdr_fail(GDR_ERR_LOAD, why, n, "unusable: %s", code->why);
    else if (code->n_steps == 0)
        gdr_fail(GDR_ERR_LOAD, why, n, "its code is not in the database");
    else {
        for (int i = 0; i < code->n_steps; i++)
            if (!backend->loadable(dev, code->step[i].isa)) {
                gdr_fail(GDR_ERR_LOAD, why, n, "its code needs %.256s",
                         code->step[i].isa);
                return 0;
            }
        return 1;
    }
    return 0;
}

/* ---- order ---- */

/* The likest device first: itself, the same ISA, more of it (a longer text),
 * then by text, so that the order is total. */
static int compare_origins(const gdr_origin *a, const gdr_origin *b,
                           const gdr_device_info *info)
{
    int own = !strcmp(b->fingerprint, info->fingerprint) -
              !strcmp(a->fingerprint, info->fingerprint);
    int same = !strcmp(b->isa, info->isa) - !strcmp(a->isa, info->isa);
    size_t m = strlen(a->isa), n = strlen(b->isa);

    if (own || same)
        return own ? own : same;
    if (m != n)
        return m > n ? -1 : 1;
    return strcmp(a->fingerprint, b->fingerprint);
}

static int compare_code(const gdr_entry *a, const gdr_entry *b)
{
    int order = strcmp(a->code->variant, b->code->variant);

    return order ? order : strcmp(a->code->stamp, b->code->stamp);
}

int gdr_entry_compare(const gdr_entry *a, const gdr_entry *b,
                      const gdr_device_info *info)
{
    int origins = compare_origins(a->origin, b->origin, info);
    int order = gdr_problem_compare(&a->problem, &b->problem);

    if (a->problem.x.B == 0 && b->problem.x.B == 0) {
        if (origins || order)
            return origins ? origins : order;
        if (a->max_work != b->max_work)
            return a->max_work < b->max_work ? -1 : 1;
        return compare_code(a, b);
    }
    if (order || origins)
        return order ? order : origins;
    return compare_code(a, b);
}

/* qsort has no context, and qsort_r is not portable: the device travels with
 * each element. */
typedef struct sortable {
    const gdr_entry *entry;
    const gdr_device_info *info;
} sortable;

static int by_preference(const void *a, const void *b)
{
    const sortable *x = a, *y = b;

    return gdr_entry_compare(x->entry, y->entry, x->info);
}

static uint32_t collect(const gdr_rows *rows, const gdr_backend *backend,
                        const void *dev, const gdr_static *s, gdr_match rung,
                        sortable *out)
{
    gdr_problem want = {.s = *s};
    uint32_t n = 0;

    for (uint32_t i = 0; i < rows->n_entries; i++) {
        const gdr_entry *e = &rows->entry[i];
        gdr_problem have = {.s = e->problem.s};
        gdr_match stands;

        if (gdr_problem_compare(&want, &have) == 0 &&
            gdr_entry_rung(e, backend, dev, &stands, NULL, 0) && stands == rung)
            out[n++] = (sortable){e, backend->info(dev)};
    }
    return n;
}

gdr_status gdr_table_pick(const gdr_rows *rows, const gdr_backend *backend,
                          const void *dev, const gdr_static *s, gdr_match rung,
                          const gdr_entry ***out, uint32_t *n)
{
    sortable *found = NULL;
    gdr_status status = GDR_OK;

    *out = NULL;
    *n = 0;
    if (rows->n_entries == 0)
        return GDR_OK;
    found = malloc(rows->n_entries * sizeof *found);
    if (!found)
        return GDR_ERR_NO_MEMORY;
    *n = collect(rows, backend, dev, s, rung, found);
    if (*n == 0)
        goto done;
    qsort(found, *n, sizeof *found, by_preference);
    *out = malloc(*n * sizeof **out);
    if (!*out) {
        status = GDR_ERR_NO_MEMORY;
        goto done;
    }
    for (uint32_t i = 0; i < *n; i++)
        (*out)[i] = found[i].entry;
done:
    free(found);
    return status;
}

double gdr_entry_distance(const gdr_extents *x, const gdr_entry *e)
{
    return (double)gdr_point_distance(gdr_point_of(x),
                                      gdr_point_of(&e->problem.x)) /
           GDR_POINT_OCTAVE;
}

static int64_t work_of(const gdr_extents *x)
{
    int64_t work;

    if (x->B == 0 || x->T == 0)
        return 0;
    if (__builtin_mul_overflow(x->B, x->T, &work) ||
        __builtin_mul_overflow(work, x->Hv, &work))
        return INT64_MAX;
    return work;
}

static int same_extents(const gdr_extents *a, const gdr_extents *b)
{
    return a->B == b->B && a->T == b->T && a->Hk == b->Hk && a->Hv == b->Hv;
}

/* 3 same extents; else 2 same heads, 1 same ratio, 0. */
static int likeness(const gdr_extents *x, const gdr_extents *y)
{
    if (same_extents(x, y))
        return 3;
    if (x->Hk == y->Hk && x->Hv == y->Hv)
        return 2;
    return x->Hv / x->Hk == y->Hv / y->Hk;
}

static int closer_default(const gdr_extents *x, const gdr_entry *a,
                          const gdr_entry *b)
{
    int fits_a = a->max_work >= work_of(x), fits_b = b->max_work >= work_of(x);

    if (fits_a != fits_b)
        return fits_b - fits_a;
    if (a->max_work == b->max_work)
        return 0;
    return (a->max_work < b->max_work) == fits_a ? -1 : 1;
}

int gdr_entry_closer(const gdr_extents *x, const gdr_entry *a,
                     const gdr_entry *b, const gdr_device_info *info)
{
    const gdr_extents *y = &a->problem.x, *z = &b->problem.x;
    int order;

    if (y->B == 0 && z->B == 0)
        order = closer_default(x, a, b);
    else if (same_extents(x, y) != same_extents(x, z))
        order = same_extents(x, z) - same_extents(x, y);
    else
        order = gdr_point_compare(gdr_point_of(x), gdr_point_of(y),
                                  gdr_point_of(z));
    if (!order && y->B > 0)
        order = likeness(x, z) - likeness(x, y);
    return order ? order : gdr_entry_compare(a, b, info);
}

/* ---- the table ---- */

/*
 * Three kinds of key in one map, each an index of an entry: the extents; a
 * shared point and its heads; a shared point and the ratio of its heads. Tuned
 * extents fit in 31 bits (problem.c), which leaves the top bit of `a` to tell
 * the second and third kind from the first; a ratio has Hk = 0.
 */
typedef struct key {
    uint64_t a, b;
    uint32_t index;
} key;

/* The tag is the hash's upper half: a probe that meets a stranger seldom needs
 * the key. */
typedef struct slot {
    uint32_t tag;
    uint32_t key; /* 1 + index into keys; 0: free */
} slot;

struct gdr_table {
    gdr_match rung;
    uint32_t n, n_keys;
    uint32_t mask; /* slots - 1; at least half of the slots are free */
    slot *slot;
    key *key;
    gdr_nearest near;  /* the points of all n */
    int64_t *max_work; /* [n], ascending: defaults */
};

static const uint64_t point_key = UINT64_C(1) << 63;

static uint64_t hash_of(uint64_t a, uint64_t b)
{
    /* Odd constants from splitmix64 (Steele, Lea, Flood 2014). */
    uint64_t h = a * UINT64_C(0xbf58476d1ce4e5b9);

    h = (h ^ h >> 29 ^ b) * UINT64_C(0x94d049bb133111eb);
    return h ^ h >> 32;
}

static uint64_t pair(int64_t low, int64_t high)
{
    return (uint64_t)low | (uint64_t)high << 32;
}

/* The index of the key's entry, or `none`. */
static uint32_t map_find(const gdr_table *t, uint64_t a, uint64_t b,
                         uint32_t none)
{
    uint64_t h = hash_of(a, b);
    uint32_t tag = (uint32_t)(h >> 32);

    for (uint32_t i = (uint32_t)h & t->mask; t->slot[i].key;
         i = (i + 1) & t->mask) {
        const key *k = &t->key[t->slot[i].key - 1];

        if (t->slot[i].tag == tag && k->a == a && k->b == b)
            return k->index;
    }
    return none;
}

/* The first entry with a key keeps it. */
static void map_put(gdr_table *t, uint64_t a, uint64_t b, uint32_t index)
{
    uint64_t h = hash_of(a, b);
    uint32_t i = (uint32_t)h & t->mask;

    if (map_find(t, a, b, UINT32_MAX) != UINT32_MAX)
        return;
    while (t->slot[i].key)
        i = (i + 1) & t->mask;
    t->key[t->n_keys] = (key){a, b, index};
    t->slot[i] = (slot){(uint32_t)(h >> 32), ++t->n_keys};
}

static gdr_status open_map(gdr_table *t)
{
    size_t slots = 8;

    while (slots < (size_t)t->n * 6) /* three keys each, half of them free */
        slots *= 2;
    t->mask = (uint32_t)(slots - 1); /* n <= 2^28, so slots <= 2^31 */
    t->slot = calloc(slots, sizeof *t->slot);
    t->key = malloc((size_t)t->n * 3 * sizeof *t->key);
    return t->slot && t->key ? GDR_OK : GDR_ERR_NO_MEMORY;
}

static gdr_status open_points(gdr_table *t, const gdr_entry *const *entry)
{
    gdr_point *point = malloc(t->n * sizeof *point);
    gdr_status status;

    if (!point)
        return GDR_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < t->n; i++)
        point[i] = gdr_point_of(&entry[i]->problem.x);
    status = gdr_nearest_open(point, t->n, &t->near);
    free(point);
    return status;
}

static gdr_status open_tuned(gdr_table *t, const gdr_entry *const *entry)
{
    gdr_status status = open_map(t);

    if (!status)
        status = open_points(t, entry);
    if (status)
        return status;
    for (uint32_t i = 0; i < t->n; i++) {
        const gdr_extents *x = &entry[i]->problem.x;
        gdr_neighbour near = gdr_nearest_find(&t->near, gdr_point_of(x));

        map_put(t, pair(x->B, x->T), pair(x->Hk, x->Hv), i);
        if (near.shared) {
            map_put(t, point_key | near.index, pair(x->Hk, x->Hv), i);
            map_put(t, point_key | near.index, pair(0, x->Hv / x->Hk), i);
        }
    }
    return GDR_OK;
}

/* The defaults of the likest device alone: two short lists of thresholds do not
 * mix. */
static gdr_status open_defaults(gdr_table *t, const gdr_entry *const *entry)
{
    uint32_t n = 0;

    t->max_work = malloc(t->n * sizeof *t->max_work);
    if (!t->max_work)
        return GDR_ERR_NO_MEMORY;
    while (n < t->n && entry[n]->origin == entry[0]->origin) {
        t->max_work[n] = entry[n]->max_work;
        n++;
    }
    t->n = n;
    return GDR_OK;
}

gdr_status gdr_table_open(gdr_match rung, const gdr_entry *const *entry,
                          uint32_t n, gdr_table **out)
{
    gdr_table *t = calloc(1, sizeof *t);
    gdr_status status = GDR_OK;

    assert(rung == GDR_MATCH_GENERIC || n > 0);
    if (!t)
        return GDR_ERR_NO_MEMORY;
    t->rung = rung;
    t->n = n;
    if (rung == GDR_MATCH_EXACT || rung == GDR_MATCH_SIBLING)
        status = open_tuned(t, entry);
    else if (rung == GDR_MATCH_DEFAULT)
        status = open_defaults(t, entry);
    if (status) {
        gdr_table_close(t);
        return status;
    }
    *out = t;
    return GDR_OK;
}

void gdr_table_close(gdr_table *table)
{
    if (!table)
        return;
    gdr_nearest_close(&table->near);
    free(table->slot);
    free(table->key);
    free(table->max_work);
    free(table);
}

/* ---- find ---- */

/* Hv/Hk, or 0 for extents that no call may have. Small heads avoid a 64-bit
 * division, which takes up to 90 cycles on older x86. */
static int64_t head_ratio(const gdr_extents *x)
{
    int64_t ratio;

    if (x->B < 0 || x->T < 0 || x->Hk < 1 || x->Hv < 1)
        return 0;
    ratio = (x->Hk | x->Hv) >> 32 ? x->Hv / x->Hk
                                  : (uint32_t)x->Hv / (uint32_t)x->Hk;
    return ratio * x->Hk == x->Hv ? ratio : 0;
}

static uint32_t find_tuned(const gdr_table *t, const gdr_extents *x,
                           int64_t ratio, gdr_match *match)
{
    int small = (x->B | x->T | x->Hk | x->Hv) >> 31 == 0;
    uint64_t heads = pair(x->Hk, x->Hv);
    gdr_neighbour near;
    uint32_t index = UINT32_MAX;

    *match = GDR_MATCH_EXACT;
    if (small)
        index = map_find(t, pair(x->B, x->T), heads, UINT32_MAX);
    if (index != UINT32_MAX)
        return index;
    near = gdr_nearest_find(&t->near, gdr_point_of(x));
    *match = near.inside ? GDR_MATCH_NEAR : GDR_MATCH_EDGE;
    if (!near.shared)
        return near.index;
    if (small)
        index = map_find(t, point_key | near.index, heads, UINT32_MAX);
    if (index != UINT32_MAX || ratio >> 31)
        return index != UINT32_MAX ? index : near.index;
    return map_find(t, point_key | near.index, pair(0, ratio), near.index);
}

/* The first threshold that the work fits under, or the last. */
static uint32_t find_default(const gdr_table *t, const gdr_extents *x)
{
    int64_t work = work_of(x);
    uint32_t lo = 0, hi = t->n - 1;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (t->max_work[mid] >= work)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

gdr_status gdr_table_find(const gdr_table *table, const gdr_extents *x,
                          uint32_t *index, gdr_match *match)
{
    int64_t ratio = head_ratio(x);

    if (!ratio)
        return GDR_ERR_ARG;
    switch (table->rung) {
    case GDR_MATCH_EXACT:
        *index = find_tuned(table, x, ratio, match);
        return GDR_OK;
    case GDR_MATCH_SIBLING:
        *index = find_tuned(table, x, ratio, match);
        break;
    case GDR_MATCH_DEFAULT:
        *index = find_default(table, x);
        break;
    default:
        *index = 0;
    }
    *match = table->rung;
    return GDR_OK;
}
