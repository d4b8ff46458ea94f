/*
 * table.c - the matching policy, once as an order on entries (pick, explain)
 * and once as a table that answers in nanoseconds. The two must agree: the
 * tests compare them over random extents.
 */
#include "table.h"
#include "status.h"
#include "hot.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rungs ---- */

/* Defaults that any newer card of the kind may compile. */
static int is_ptx(const gdr_origin *o)
{
    return !strcmp(o->arch, "ptx");
}

static gdr_match best_rung(const gdr_entry *e, const gdr_device_info *info)
{
    if (e->problem.x.B == 0)
        return is_ptx(e->origin) ? GDR_MATCH_PTX : GDR_MATCH_DEFAULT;
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
    if (strcmp(o->kind, info->kind) != 0 ||
        (*rung != GDR_MATCH_PTX && strcmp(o->arch, info->arch) != 0))
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
    if (is_ptx(a) && is_ptx(b) && strcmp(a->isa, b->isa) != 0)
        return strcmp(b->isa, a->isa); /* "compute_90" before "compute_80" */
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
    if (a->spare != b->spare)
        return a->spare - b->spare;
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
                        const char *reduction, sortable *out)
{
    gdr_problem want = {.s = *s};
    uint32_t n = 0;

    for (uint32_t i = 0; i < rows->n_entries; i++) {
        const gdr_entry *e = &rows->entry[i];
        gdr_problem have = {.s = e->problem.s};
        gdr_match stands;

        if (reduction ? strcmp(e->reduction, reduction) != 0 : e->spare)
            continue;
        if (gdr_problem_compare(&want, &have) == 0 &&
            gdr_entry_rung(e, backend, dev, &stands, NULL, 0) && stands == rung)
            out[n++] = (sortable){e, backend->info(dev)};
    }
    return n;
}

gdr_status gdr_table_pick(const gdr_rows *rows, const gdr_backend *backend,
                          const void *dev, const gdr_static *s, gdr_match rung,
                          const char *reduction, const gdr_entry ***out,
                          uint32_t *n)
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
    *n = collect(rows, backend, dev, s, rung, reduction, found);
    if (*n == 0)
        goto done;
    qsort(found, *n, sizeof *found, by_preference);
    *out = malloc(*n * sizeof(const gdr_entry *));
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

/* Heads alike enough to break a tie: a class of ratios, 0 for the large. */
enum { RATIOS = 256 };

static int64_t ratio_class(const gdr_extents *x)
{
    int64_t ratio = x->Hv / x->Hk;

    return ratio < RATIOS ? ratio : 0;
}

static int same_ratio(const gdr_extents *x, const gdr_extents *y)
{
    return ratio_class(x) != 0 && ratio_class(x) == ratio_class(y);
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
        order = same_ratio(x, z) - same_ratio(x, y);
    return order ? order : gdr_entry_compare(a, b, info);
}

/* ---- the table ---- */

/* Extents that were tuned, in 31 bits each (problem.c). */
typedef struct key {
    uint64_t bt, heads;
} key;

/* Two of them fill a cache line. */
typedef struct slot {
    _Alignas(32) key key;
    uint32_t index; /* 1 + the entry's; 0: free */
} slot;

/*
 * Exact matches are a hash map with a bitmap before it: one bit for each of 32
 * to 64 times as many hashes as there are keys. Most calls that match none end
 * at the bitmap, which stays in the L1 cache, on a branch that is predicted.
 *
 * Nearest matches are two look-ups with no branch: extents to site, site and
 * class of the ratio to entry.
 */
struct gdr_table {
    /* in the first line, what a find reads before it knows more */
    gdr_match rung;
    uint32_t n;
    /* exact */
    uint64_t bit_mask, *bit;
    slot *slot;
    uint32_t mask; /* slots - 1; at least half of the slots are free */
    /* nearest */
    uint32_t n_classes;
    uint32_t *plan;    /* [site][class] */
    int64_t *max_work; /* defaults: [n], ascending */
    gdr_nearest near;
    uint8_t class_of[RATIOS]; /* of a ratio; 0: no entry has it */
    /* defaults */
    /* the first threshold with at least this logarithm, n - 1 if none */
    uint32_t start[GDR_POINTS + 1];
};

static key key_of(const gdr_extents *x)
{
    return (key){(uint64_t)x->B | (uint64_t)x->T << 32,
                 (uint64_t)x->Hk | (uint64_t)x->Hv << 32};
}

static uint64_t hash_of(key k)
{
    /* Odd constants from splitmix64 (Steele, Lea, Flood 2014). */
    uint64_t h = k.bt * UINT64_C(0xbf58476d1ce4e5b9);

    h = (h ^ h >> 29 ^ k.heads) * UINT64_C(0x94d049bb133111eb);
    return h ^ h >> 32;
}

/* The index of the entry tuned for these extents, or `none`. */
static const uint32_t none = UINT32_MAX;

static uint32_t find_exact(const gdr_table *t, const gdr_extents *x)
{
    key want = key_of(x);
    uint64_t h = hash_of(want);
    uint64_t bit = h >> 16 & t->bit_mask;

    if ((t->bit[bit / 64] >> bit % 64 & 1) == 0)
        return none;
    for (uint32_t i = (uint32_t)h & t->mask; t->slot[i].index;
         i = (i + 1) & t->mask) {
        const slot *s = &t->slot[i];

        if (s->key.bt == want.bt && s->key.heads == want.heads)
            return s->index - 1;
    }
    return none;
}

/* Of equal extents the first one put is the first one met. */
static void put_exact(gdr_table *t, const gdr_extents *x, uint32_t index)
{
    uint64_t h = hash_of(key_of(x));
    uint64_t bit = h >> 16 & t->bit_mask;
    uint32_t i = (uint32_t)h & t->mask;

    while (t->slot[i].index)
        i = (i + 1) & t->mask;
    t->slot[i] = (slot){key_of(x), index + 1};
    t->bit[bit / 64] |= UINT64_C(1) << bit % 64;
}

static gdr_status open_exact(gdr_table *t, const gdr_entry *const *entry)
{
    size_t slots = 4;

    while (slots < (size_t)t->n * 2)
        slots *= 2;
    t->mask = (uint32_t)(slots - 1); /* n <= 2^28 */
    t->bit_mask = slots * 16 - 1;
    t->slot = gdr_line_alloc(slots, sizeof *t->slot);
    t->bit = calloc(slots * 16 / 64, sizeof *t->bit);
    if (!t->slot || !t->bit)
        return GDR_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < t->n; i++)
        put_exact(t, &entry[i]->problem.x, i);
    return GDR_OK;
}

/* Class 0 is the first entry of a site, and what a class has that has none. */
static gdr_status open_plans(gdr_table *t, const gdr_entry *const *entry,
                             const uint32_t *site)
{
    size_t n;

    t->n_classes = 1;
    for (uint32_t i = 0; i < t->n; i++) {
        uint8_t *class = &t->class_of[ratio_class(&entry[i]->problem.x)];

        if (!*class && class != t->class_of)
            *class = (uint8_t)t->n_classes++;
    }
    n = (size_t)t->near.n_sites * t->n_classes;
    t->plan = malloc(n * sizeof *t->plan);
    if (!t->plan)
        return GDR_ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        t->plan[i] = none;
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t *plan = &t->plan[(size_t)site[i] * t->n_classes];
        uint32_t class = t->class_of[ratio_class(&entry[i]->problem.x)];

        plan[0] = plan[0] == none ? i : plan[0];
        plan[class] = plan[class] == none ? i : plan[class];
    }
    for (size_t i = 0; i < n; i++)
        if (t->plan[i] == none)
            t->plan[i] = t->plan[i - i % t->n_classes];
    return GDR_OK;
}

static gdr_status open_nearest(gdr_table *t, const gdr_entry *const *entry)
{
    gdr_point *point = malloc(t->n * sizeof *point);
    uint32_t *site = malloc(t->n * sizeof *site);
    gdr_status status = GDR_ERR_NO_MEMORY;

    if (!point || !site)
        goto done;
    for (uint32_t i = 0; i < t->n; i++)
        point[i] = gdr_point_of(&entry[i]->problem.x);
    status = gdr_nearest_open(point, t->n, site, &t->near);
    if (!status)
        status = open_plans(t, entry, site);
done:
    free(point);
    free(site);
    return status;
}

static gdr_status open_tuned(gdr_table *t, const gdr_entry *const *entry)
{
    gdr_status status = open_exact(t, entry);

    return status ? status : open_nearest(t, entry);
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
    n = 0;
    for (int32_t i = 0; i <= GDR_POINTS; i++) {
        while (n < t->n - 1 && gdr_point_log2(t->max_work[n]) < i)
            n++;
        t->start[i] = n;
    }
    return GDR_OK;
}

gdr_status gdr_table_open(gdr_match rung, const gdr_entry *const *entry,
                          uint32_t n, gdr_table **out)
{
    gdr_table *t = gdr_line_alloc(1, sizeof *t);
    gdr_status status = GDR_OK;

    assert(rung == GDR_MATCH_GENERIC || n > 0);
    if (!t)
        return GDR_ERR_NO_MEMORY;
    t->rung = rung;
    t->n = n;
    if (rung == GDR_MATCH_EXACT || rung == GDR_MATCH_SIBLING)
        status = open_tuned(t, entry);
    else if (rung == GDR_MATCH_DEFAULT || rung == GDR_MATCH_PTX)
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
    free(table->slot);
    free(table->bit);
    gdr_nearest_close(&table->near);
    free(table->plan);
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

GDR_HOT static uint32_t find_tuned(const gdr_table *t, const gdr_extents *x,
                                   int64_t ratio, gdr_match *match)
{
    uint32_t index = none;
    gdr_neighbour near;
    uint32_t class;

    if ((x->B | x->T | x->Hk | x->Hv) >> 31 == 0)
        index = find_exact(t, x);
    *match = GDR_MATCH_EXACT;
    if (index != none)
        return index;
    near = gdr_nearest_find(&t->near, gdr_point_of(x));
    *match = near.inside ? GDR_MATCH_NEAR : GDR_MATCH_EDGE;
    class = t->class_of[ratio < RATIOS ? ratio : 0];
    return t->plan[(size_t)near.site * t->n_classes + class];
}

/* The first threshold that the work fits under, or the last. No branch depends
 * on a threshold: with many of them each step would be mispredicted. */
static uint32_t find_default(const gdr_table *t, const gdr_extents *x)
{
    int64_t work = work_of(x);
    const uint32_t *start = &t->start[gdr_point_log2(work)];
    const int64_t *first = t->max_work + start[0];

    for (size_t n = start[1] - start[0] + 1; n > 1; n -= n / 2)
        first += n / 2 & -(size_t)(first[n / 2 - 1] < work);
    return (uint32_t)(first - t->max_work);
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
    case GDR_MATCH_PTX:
        *index = find_default(table, x);
        break;
    default:
        *index = 0;
    }
    *match = table->rung;
    return GDR_OK;
}
