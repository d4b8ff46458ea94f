/*
 * find.c - what gdr_set_find costs, in ns, over 10^7 random extents, whatever
 * the match, in a table as large as one that is tuned well and in one that is
 * ten times that. Plans are made up in memory: no database, no code, a device
 * that pretends.
 *
 * A repeat makes 2^16 new extents, then walks them with find and with an empty
 * loop, in turns. Each call waits for the answer of the one before, as a layer
 * of a model would: it is a latency, not a throughput. The figure is the median
 * of find minus the median of the empty loop, with both, the best and the worst
 * repeat printed.
 */
#include "../runtime/set.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATICS "recurrent:final:vk:bf16/f32:k128v128:l2norm:g"

enum { MOST_PLANS = 10000, EXTENTS = 1 << 16, REPEATS = 153 };

/* ---- a device that pretends ---- */

static const gdr_device_info here = {.kind = "toy",
                                     .arch = "toy",
                                     .isa = "toy",
                                     .fingerprint = "here",
                                     .sms = 1};

static const gdr_device_info *info(const void *dev)
{
    (void)dev;
    return &here;
}

static int loadable(const void *dev, const char *isa)
{
    (void)dev;
    return !strcmp(isa, here.isa);
}

static gdr_status load(void *dev, const void *code, size_t bytes,
                       const char *entry, void **kernel, char *msg, size_t n)
{
    (void)code;
    (void)bytes;
    (void)entry;
    (void)msg;
    (void)n;
    *kernel = dev;
    return GDR_OK;
}

static void unload(void *dev, void *kernel)
{
    (void)dev;
    (void)kernel;
}

static const gdr_backend toy = {.kind = "toy",
                                .info = info,
                                .loadable = loadable,
                                .load = load,
                                .unload = unload};

/* ---- plans and extents ---- */

static int plans;

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* Extents as engines have them: heads of the models, B and T of any size. */
static gdr_extents random_extents(uint64_t *seed, int spread)
{
    static const int64_t heads[][2] = {{16, 16}, {16, 32}, {16, 48}, {16, 64},
                                       {8, 16},  {8, 32},  {4, 8},   {2, 8}};
    const int64_t *h = heads[next(seed) % 8];

    return (gdr_extents){
        1 + (int64_t)(next(seed) % (uint64_t)spread >> next(seed) % 12),
        1 + (int64_t)(next(seed) % 256 >> next(seed) % 9), h[0], h[1]};
}

static void format(const gdr_extents *x, char *text, size_t n)
{
    snprintf(text, n,
             STATICS " / b%" PRId64 "t%" PRId64 "hk%" PRId64 "hv%" PRId64, x->B,
             x->T, x->Hk, x->Hv);
}

static void check(gdr_status status, const char *what)
{
    if (status == GDR_OK)
        return;
    fprintf(stderr, "find: %s: %s\n", what, gdr_strerror(status));
    exit(1);
}

/* All plans of one rung; with defaults, thresholds instead of extents. */
static gdr_rows *make_rows(const char *fingerprint, int defaults,
                           gdr_extents *tuned)
{
    const gdr_step_text text = {"kern", "b*hv", "1", "1", "1", "0", "0", NULL};
    uint64_t seed = 1;
    gdr_rows *rows;

    check(gdr_rows_open(&rows), "rows");
    for (int i = 0; i < plans; i++) {
        char problem[GDR_PROBLEM_TEXT] = STATICS, variant[32];
        gdr_row row = {.origin = {fingerprint, "toy", "toy", "toy"},
                       .problem = problem,
                       .max_work = defaults ? 1 + 400 * i : 0,
                       .variant = variant,
                       .stamp = "stamp",
                       .kernel = "toy/recurrent",
                       .config = "",
                       .reduction = "",
                       .abi = 1};

        tuned[i] = random_extents(&seed, 1 << 16);
        if (!defaults)
            format(&tuned[i], problem, sizeof problem);
        snprintf(variant, sizeof variant, "%d", i % 100);
        check(gdr_rows_put(rows, &row), "put");
    }
    for (uint32_t i = 0; i < rows->n_codes; i++)
        check(gdr_rows_put_step(rows, i, 0, &text, "toy", "code", 4), "step");
    return rows;
}

/* ---- timing ---- */

/* The thread's own time: other programs on the machine do not count. */
static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* What keeps the loops honest: every plan and every extent is looked at. */
static uint64_t sink;

static double time_find(const gdr_set *set, const gdr_extents *x)
{
    double start = now_ns();
    size_t at = 0;

    while (at < EXTENTS) {
        gdr_plan plan = {.match = GDR_MATCH_EXACT};

        check(gdr_set_find(set, &x[at], &plan), "find");
        at += (plan.recipe != NULL) + (size_t)(plan.match > GDR_MATCH_GENERIC);
    }
    sink += at;
    return (now_ns() - start) / EXTENTS;
}

static double time_empty(const gdr_extents *x)
{
    double start = now_ns();
    size_t at = 0;

    while (at < EXTENTS) {
        const gdr_extents *y = &x[at];

        at += (y->B & y->T & y->Hk & y->Hv) >= 0;
        __asm__ volatile("" : "+r"(at));
    }
    sink += at;
    return (now_ns() - start) / EXTENTS;
}

/* ---- mixes ---- */

/* What the random extents of a mix are made of. */
typedef enum kind { TUNED, ANY, FAR, MIXED } kind;

static void fill(gdr_extents *x, kind mix, const gdr_extents *tuned,
                 uint64_t *seed)
{
    for (int i = 0; i < EXTENTS; i++) {
        kind k = mix == MIXED ? (kind)(next(seed) % MIXED) : mix;

        x[i] = k == TUNED ? tuned[next(seed) % (uint64_t)plans]
                          : random_extents(seed, 1 << 16);
        if (k == FAR)
            x[i].T += 1000;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void count_matches(const gdr_set *set, const gdr_extents *x, char *text,
                          size_t n)
{
    int count[GDR_MATCH_GENERIC + 1] = {0};
    size_t used = 0;

    for (int i = 0; i < EXTENTS; i++) {
        gdr_plan plan;

        check(gdr_set_find(set, &x[i], &plan), "find");
        count[plan.match]++;
    }
    text[0] = 0;
    for (int m = 0; m <= GDR_MATCH_GENERIC; m++)
        if (count[m])
            used += (size_t)snprintf(text + used, n - used, " %s %.0f%%",
                                     gdr_match_name((gdr_match)m),
                                     100.0 * count[m] / EXTENTS);
}

static void bench(const char *name, const gdr_rows *rows, kind mix,
                  const gdr_extents *tuned)
{
    static gdr_extents x[EXTENTS];
    const gdr_select_options options = {.size = sizeof options,
                                        .worst = GDR_MATCH_DEFAULT};
    double find[REPEATS], empty[REPEATS], f, e;
    char matches[128], msg[512];
    uint64_t seed = 7;
    gdr_problem p;
    gdr_set *set;

    check(gdr_problem_parse(STATICS, &p, NULL, 0), "parse");
    check(gdr_set_open(rows, &toy, (void *)&here, &p.s, &options, &set, msg,
                       sizeof msg),
          "select");
    for (int i = 0; i < REPEATS; i++) {
        fill(x, mix, tuned, &seed);
        if (i % 2)
            empty[i] = time_empty(x);
        find[i] = time_find(set, x);
        if (i % 2 == 0)
            empty[i] = time_empty(x);
    }
    count_matches(set, x, matches, sizeof matches);
    qsort(find, REPEATS, sizeof *find, by_value);
    qsort(empty, REPEATS, sizeof *empty, by_value);
    f = find[REPEATS / 2];
    e = empty[REPEATS / 2];
    printf("%-8s %5.1f ns a find (loop %.1f - empty %.1f; repeats %.1f .. "
           "%.1f)%s\n",
           name, f - e, f, e, find[0], find[REPEATS - 1], matches);
    gdr_set_close(set);
}

static void bench_all(int n)
{
    static gdr_extents tuned[MOST_PLANS];
    gdr_rows *own, *sibling, *defaults;

    plans = n;
    own = make_rows("here", 0, tuned);
    sibling = make_rows("there", 0, tuned);
    defaults = make_rows("here", 1, tuned);
    printf("gdr_set_find: %d plans, %d random extents a line\n", plans,
           EXTENTS * REPEATS);
    bench("exact", own, TUNED, tuned);
    bench("near", own, ANY, tuned);
    bench("edge", own, FAR, tuned);
    bench("mixed", own, MIXED, tuned);
    bench("sibling", sibling, MIXED, tuned);
    bench("default", defaults, MIXED, tuned);
    gdr_rows_close(own);
    gdr_rows_close(sibling);
    gdr_rows_close(defaults);
}

int main(void)
{
    bench_all(MOST_PLANS / 10);
    bench_all(MOST_PLANS);
    return sink == 0; /* never */
}
