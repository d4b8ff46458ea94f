/*
 * kernels.c - every variant of one problem against the machine: GB/s of state
 * traffic, and the share of an in-place read-modify-write of the same bytes,
 * through the same pool and in turns with it. A figure is the median over
 * rounds of the ratio within a round.
 *
 *     kernels [--warm] [--rounds N] [PROBLEM] [CONFIG]
 *
 * PROBLEM gives T and the heads too if it has extents; CONFIG picks the
 * variants whose text contains it. Cold (as in a serving engine): a ring of
 * states three times the last level cache. --warm: one set, again and again.
 */
#include "../generator/generator.h"
#include "../runtime/recurrent_abi.h"
#include "../runtime/reference.h"
#include "../tuner/target.h"
#include "../tuner/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROUNDS = 101, MAX_THREADS = 2 };

/* ns of one timed sample: long beside a tick of the clock, so short that the
 * machine's mood does not change within a round. */
static const double sample_ns = 1e6;

static const int64_t batches[] = {1, 2, 4, 8, 16};
enum { BATCHES = sizeof batches / sizeof *batches };

/* The yardstick, a kernel like any other; one unit is a head. It flips signs,
 * so that no number of launches changes the magnitudes. Numbers: where `state`
 * lies in the parameters, and the bytes of a head. */
static const char rewrite_form[] =
    "typedef unsigned lanes\n"
    "    __attribute__((vector_size(64), aligned(4), may_alias));\n"
    "void gdr_kernel(const char *p, long long begin, long long end)\n"
    "{\n"
    "    char *s = *(char *const *)(p + %zu);\n"
    "    for (long long i = begin * %lld; i < end * %lld; i += 256)\n"
    "        for (int j = 0; j < 256; j += 64)\n"
    "            *(lanes *)(s + i + j) ^= 0x80000000u;\n"
    "}\n";

typedef struct bench {
    gdr_problem problem;
    const gdr_target *target;
    gdr_generator *generator;
    gdr_space *space;
    const gdr_candidate **variant; /* [n] */
    gdr_image *image;              /* [n + 1], the yardstick last */
    int n;
    int warm, rounds;
    /* [threads][batch][n + 1]: share of the yardstick; last: its GB/s */
    double *figure[MAX_THREADS][BATCHES];
} bench;

/* One problem on one device, everything loaded. */
typedef struct stand {
    gdr_workload *work;
    gdr_recipe *recipe; /* [n + 1] */
    int64_t *launches;  /* [n + 1] in one sample */
    int at;
} stand;

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "kernels: %s: %s\n", what, why);
    return 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_value);
    return x[n / 2];
}

/* ---- images ---- */

static int64_t head_bytes(const bench *b)
{
    return (int64_t)b->problem.s.K * b->problem.s.V *
           (int64_t)gdr_dtype_bytes(b->problem.s.state);
}

static int compile(const bench *b, const char *source, gdr_image *image)
{
    char log[2048] = "";
    if (b->target->compile(source, strlen(source), "", 60, image, log,
                           sizeof log) != GDR_OK)
        return fail("compile", log);
    return 1;
}

static int compile_rewrite(bench *b)
{
    char source[1024];
    long long head = head_bytes(b);
    if (head % 256)
        return fail("PROBLEM", "a head must be a multiple of 256 bytes");
    snprintf(source, sizeof source, rewrite_form,
             offsetof(gdr_recurrent_params, state), head, head);
    return compile(b, source, &b->image[b->n]);
}

static int compile_variant(bench *b, int i)
{
    char *source = NULL;
    size_t bytes;
    const gdr_candidate *c = b->variant[i];
    if (gdr_generator_expand(b->generator, &b->problem.s, c->kernel, c->config,
                             0, &source, &bytes) != GDR_OK)
        return fail(c->config, gdr_generator_errmsg(b->generator));
    int good = compile(b, source, &b->image[i]);
    free(source);
    return good;
}

/* The variants of one step whose config contains `only`. */
static int choose_variants(bench *b, const gdr_device_info *info,
                           const char *only)
{
    const gdr_generator_device traits = {
        .kind = info->kind,
        .arch = info->arch,
        .isa = info->isa,
        .vector_bytes = info->vector_bytes,
        .l1_bytes = info->l1_bytes,
        .l2_bytes = info->l2_bytes,
        .sms = info->sms,
    };
    if (gdr_generator_open(NULL, &b->generator) != GDR_OK ||
        gdr_generator_space(b->generator, &b->problem.s, &traits, &b->space) !=
            GDR_OK)
        return fail("space", gdr_generator_errmsg(b->generator));
    size_t most = (size_t)b->space->n_candidates + 1;
    b->variant = calloc(most, sizeof *b->variant);
    b->image = calloc(most, sizeof *b->image);
    if (!b->variant || !b->image)
        return fail("memory", "none left");
    for (int64_t i = 0; i < b->space->n_candidates; i++) {
        const gdr_candidate *c = &b->space->candidate[i];
        if (c->n_steps == 1 && (!only || strstr(c->config, only)))
            b->variant[b->n++] = c;
    }
    for (int i = 0; i < b->n; i++)
        if (!compile_variant(b, i))
            return 0;
    return compile_rewrite(b);
}

/* ---- one problem, one number of threads ---- */

static int load(const bench *b, stand *s, void *dev, int i)
{
    static const gdr_step_text rewrite = {.entry = "gdr_kernel",
                                          .grid_x = "b*hv"};
    gdr_step_text text = rewrite;
    char msg[256] = "";
    gdr_recipe *r = &s->recipe[i];
    if (i < b->n)
        text = (gdr_step_text){.entry = b->variant[i]->step[0].entry,
                               .grid_x = b->variant[i]->step[0].grid_x};
    *r = (gdr_recipe){
        .s = b->problem.s, .backend = b->target->backend, .dev = dev};
    r->sms = r->backend->info(dev)->sms;
    if (gdr_recipe_add_step(r, &text, b->image[i].code, b->image[i].bytes, msg,
                            sizeof msg) != GDR_OK)
        return fail("load", msg);
    return 1;
}

static double sample(const bench *b, stand *s, int i, int64_t launches)
{
    double ns = 0;
    b->target->time(&s->recipe[i], s->work->set, s->work->n_sets, &s->at,
                    launches, &ns);
    return ns;
}

/* Fills figure[0 .. n] from rounds in which each is timed once, the order
 * rotated. A sample goes round the ring at least once where that is short. */
static void race(const bench *b, stand *s, double *figure)
{
    int n = b->n + 1;
    double *ratio = calloc((size_t)n * MAX_ROUNDS, sizeof *ratio);
    double *ns = calloc((size_t)n, sizeof *ns);
    double traffic = (double)s->work->size.rewrite;
    double touched =
        (double)(head_bytes(b) * s->work->problem.x.B * s->work->problem.x.Hv);
    if (!ratio || !ns)
        abort();
    for (int i = 0; i < n; i++)
        s->launches[i] = 1 + (int64_t)(sample_ns / sample(b, s, i, 2));
    for (int round = 0; round < b->rounds; round++) {
        for (int i = 0; i < n; i++) {
            int j = (i + round) % n;
            ns[j] = sample(b, s, j, s->launches[j]);
        }
        double rewrite_ns = ns[n - 1] / touched * traffic;
        for (int i = 0; i < n - 1; i++)
            ratio[i * MAX_ROUNDS + round] = rewrite_ns / ns[i];
        ratio[(n - 1) * MAX_ROUNDS + round] = 2 * traffic / rewrite_ns;
    }
    for (int i = 0; i < n; i++)
        figure[i] = median(ratio + i * MAX_ROUNDS, b->rounds);
    free(ratio);
    free(ns);
}

static int run_batch(const bench *b, void *dev, int64_t B, double *figure)
{
    stand s = {0};
    gdr_problem p = b->problem;
    const gdr_device_info *info = b->target->backend->info(dev);
    gdr_workload_options o = {
        .cold_bytes = b->warm ? 0 : 3 * info->llc_bytes,
        .most_bytes = gdr_memory_available() / 4,
        .seed = 1,
    };
    int loaded = 0;
    p.x.B = B;
    s.recipe = gdr_line_alloc((size_t)b->n + 1, sizeof *s.recipe);
    s.launches = calloc((size_t)b->n + 1, sizeof *s.launches);
    if (!s.recipe || !s.launches ||
        gdr_workload_open(b->target, dev, &p, &o, &s.work) != GDR_OK)
        return fail("workload", "no memory");
    while (loaded <= b->n && load(b, &s, dev, loaded))
        loaded++;
    if (loaded > b->n)
        race(b, &s, figure);
    for (int i = 0; i < loaded; i++)
        gdr_recipe_unload(&s.recipe[i]);
    gdr_workload_close(s.work);
    free(s.recipe);
    free(s.launches);
    return loaded > b->n;
}

static int run_threads(bench *b, int column, int threads)
{
    const gdr_backend *backend = b->target->backend;
    gdr_device_options o = {.size = sizeof o, .threads = threads};
    char msg[256] = "";
    void *dev = NULL;
    int good = 1;
    if (backend->open("", &o, &dev, msg, sizeof msg) != GDR_OK)
        return fail("cpu", msg);
    for (int i = 0; i < BATCHES && good; i++) {
        double *figure = calloc((size_t)b->n + 1, sizeof *figure);
        b->figure[column][i] = figure;
        good = figure && run_batch(b, dev, batches[i], figure);
    }
    backend->close(dev);
    return good;
}

/* ---- the table ---- */

static void print_row(const bench *b, int columns, int row, const char *name,
                      double factor)
{
    printf("%-46s", name);
    for (int c = 0; c < columns; c++) {
        printf(c ? " |" : "");
        for (int i = 0; i < BATCHES; i++)
            printf(" %6.1f", factor * b->figure[c][i][row]);
    }
    printf("\n");
}

static void print_table(const bench *b, const int *threads, int columns)
{
    char name[256];
    printf("%% of a read-modify-write of the same bytes, %s\n%-46s",
           b->warm ? "warm" : "cold", "threads");
    for (int c = 0; c < columns; c++)
        printf("%s %-*d", c ? " |" : "", 7 * BATCHES - 1, threads[c]);
    printf("\n%-46s", "B");
    for (int c = 0; c < columns; c++) {
        printf(c ? " |" : "");
        for (int i = 0; i < BATCHES; i++)
            printf(" %6lld", (long long)batches[i]);
    }
    printf("\n");
    for (int i = 0; i < b->n; i++) {
        const gdr_candidate *v = b->variant[i];
        snprintf(name, sizeof name, "%s%s%s", v->config,
                 strcmp(v->kernel, "cpu/recurrent") ? " " : "",
                 strcmp(v->kernel, "cpu/recurrent") ? v->kernel : "");
        if (v->default_max_work)
            strcat(name, " *");
        print_row(b, columns, i, name, 100);
    }
    print_row(b, columns, b->n, "read-modify-write, GB/s", 1);
}

static void print_best(const bench *b, int columns)
{
    printf("%-46s", "best variant");
    for (int c = 0; c < columns; c++) {
        printf(c ? " |" : "");
        for (int i = 0; i < BATCHES; i++) {
            double most = 0;
            for (int j = 0; j < b->n; j++)
                most = b->figure[c][i][j] > most ? b->figure[c][i][j] : most;
            printf(" %6.1f", 100 * most);
        }
    }
    printf("\n");
}

/* ---- */

static int usage(void)
{
    fprintf(stderr,
            "usage: kernels [--warm] [--rounds N] [PROBLEM] [CONFIG]\n");
    return 2;
}

static int parse(bench *b, int argc, char **argv, const char **only)
{
    const char *text[2] = {"recurrent:final:vk:bf16/f32:k128v128:l2norm:g",
                           NULL};
    char msg[256] = "";
    int n = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--warm"))
            b->warm = 1;
        else if (!strcmp(argv[i], "--rounds") && i + 1 < argc)
            b->rounds = atoi(argv[++i]);
        else if (argv[i][0] != '-' && n < 2)
            text[n++] = argv[i];
        else
            return 0;
    }
    if (gdr_problem_parse(text[0], &b->problem, msg, sizeof msg) != GDR_OK)
        return fail(text[0], msg);
    if (b->problem.x.B == 0)
        b->problem.x = (gdr_extents){1, 1, 16, 32};
    *only = text[1];
    return b->rounds >= 1 && b->rounds <= MAX_ROUNDS;
}

static void close_bench(bench *b)
{
    for (int c = 0; c < MAX_THREADS; c++)
        for (int i = 0; i < BATCHES; i++)
            free(b->figure[c][i]);
    for (int i = 0; i <= b->n && b->image; i++)
        free(b->image[i].code);
    free(b->image);
    free(b->variant);
    gdr_space_close(b->space);
    gdr_generator_close(b->generator);
}

/* The device's traits, with all threads that it would use. */
static int probe(const bench *b, gdr_device_info *info)
{
    char msg[256] = "";
    void *dev = NULL;
    if (b->target->backend->open("", NULL, &dev, msg, sizeof msg) != GDR_OK)
        return fail("cpu", msg);
    *info = *b->target->backend->info(dev);
    b->target->backend->close(dev);
    return 1;
}

int main(int argc, char **argv)
{
    bench b = {.rounds = 15, .target = gdr_target_find("cpu")};
    gdr_device_info info;
    const char *only = NULL;
    if (!parse(&b, argc, argv, &only))
        return usage();
    int good = probe(&b, &info) && choose_variants(&b, &info, only);
    int threads[MAX_THREADS] = {1, good ? info.sms : 1};
    int columns = threads[1] > 1 ? 2 : 1;
    for (int c = 0; c < columns && good; c++)
        good = run_threads(&b, c, threads[c]);
    if (good) {
        print_table(&b, threads, columns);
        print_best(&b, columns);
    }
    close_bench(&b);
    return !good;
}
