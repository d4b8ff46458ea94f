/*
 * serve.c - what libgdr costs a serving engine beside the driver, each beside
 * its bare counterpart:
 *
 *     open            1,000 plans       reading the file's bytes
 *     find + launch   host time alone   calling the device's launch
 *     first launch    of a real set     the launches after it
 *
 *     serve DATABASE  tuned for the cpu: the last of these takes plans from it
 *
 * In turns, medians. Launches of find + launch go to a device that pretends:
 * what is left is the checking of arguments, packing and geometry.
 */
#include "../db/store.h"
#include "../runtime/recurrent_abi.h"
#include "../runtime/set.h"
#include "../tuner/hash.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STATICS "recurrent:final:vk:bf16/f32:k128v128:l2norm:g"

enum { PLANS = 1000, IMAGES = 40, IMAGE = 20000, REPEATS = 31, CALLS = 20000 };

static void check(gdr_status status, const char *what, const char *msg)
{
    if (status == GDR_OK)
        return;
    fprintf(stderr, "serve: %s: %s: %s\n", what, gdr_strerror(status), msg);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, by_value);
    return x[n / 2];
}

/* ---- open ---- */

static void put_images(gdr_store *st, char hash[IMAGES][GDR_HASH_TEXT])
{
    static unsigned char code[IMAGE];
    uint64_t seed = 1;

    for (int i = 0; i < IMAGES; i++) {
        char image[GDR_HASH_TEXT], config[32];
        gdr_variant_row variant = {.hash = hash[i],
                                   .statics = STATICS,
                                   .kernel = "toy/recurrent",
                                   .config = config,
                                   .reduction = "toy",
                                   .abi = 1};
        gdr_step_row step = {.variant = hash[i],
                             .stamp = "stamp",
                             .entry = "kern",
                             .grid_x = "b*hv",
                             .grid_y = "1",
                             .grid_z = "1",
                             .block = "128",
                             .smem = "0",
                             .workspace = "0",
                             .isa = "toy",
                             .hash = image,
                             .code = code,
                             .bytes = IMAGE};

        for (int k = 0; k < IMAGE; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            code[k] = (unsigned char)(seed >> 56);
        }
        snprintf(config, sizeof config, "n=%d", i);
        gdr_hash_bytes(config, strlen(config), hash[i]);
        gdr_hash_bytes(code, IMAGE, image);
        check(gdr_store_put_variant(st, &variant), "variant",
              gdr_store_errmsg(st));
        check(gdr_store_put_step(st, &step), "step", gdr_store_errmsg(st));
    }
}

static void make_database(const char *path)
{
    const gdr_device_row device = {"toy", "toy", "toy", "toy", "toy"};
    gdr_run_row run = {.version = "0",
                       .compiler = "none",
                       .protocol = "none",
                       .command = "serve",
                       .host = "none",
                       .effort = "quick"};
    char hash[IMAGES][GDR_HASH_TEXT], problem[GDR_PROBLEM_TEXT];
    gdr_choice_row choice = {.problem = problem,
                             .stamp = "space",
                             .variant_stamp = "stamp",
                             .fallback_stamp = "stamp",
                             .time_ns = 1000,
                             .gain = 1,
                             .gain_lo = 1,
                             .gain_hi = 1};
    gdr_store *st;

    check(gdr_store_open(path, GDR_STORE_WRITE, &st), path, "not opened");
    check(gdr_store_put_device(st, &device, &run.device), "device", "");
    check(gdr_store_begin_run(st, &run, &choice.run), "run", "");
    choice.device = run.device;
    put_images(st, hash);
    for (int i = 0; i < PLANS; i++) {
        snprintf(problem, sizeof problem, STATICS " / b%dt%dhk16hv32",
                 1 + i / 4, 1 + i % 4);
        choice.variant = hash[i % IMAGES];
        choice.fallback = hash[0];
        check(gdr_store_put_choice(st, &choice), "choice",
              gdr_store_errmsg(st));
    }
    check(gdr_store_end_run(st, choice.run, "done"), "run", "");
    gdr_store_close(st);
}

static double time_open(const char *path)
{
    double start = now(), end;
    gdr *g;

    check(gdr_open(path, &g), path, g ? gdr_errmsg(g) : "");
    end = now();
    gdr_close(g);
    return end - start;
}

static double time_read(const char *path)
{
    static char bytes[1 << 16];
    double start = now();
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    while (fd >= 0 && read(fd, bytes, sizeof bytes) > 0)
        ;
    close(fd);
    return now() - start;
}

static void bench_open(void)
{
    char folder[] = "/tmp/gdr-serve-XXXXXX", path[64];
    double ours[REPEATS], bare[REPEATS];

    if (!mkdtemp(folder))
        exit(1);
    snprintf(path, sizeof path, "%s/gdr.db", folder);
    make_database(path);
    for (int i = 0; i < REPEATS; i++) {
        ours[i] = time_open(path);
        bare[i] = time_read(path);
    }
    printf("open           %8.2f ms for %d plans and %d images; reading the "
           "file %.2f ms\n",
           median(ours, REPEATS) / 1e6, PLANS, IMAGES,
           median(bare, REPEATS) / 1e6);
    unlink(path);
    rmdir(folder);
}

/* ---- find + launch on a device that pretends ---- */

static const gdr_device_info here = {.kind = "toy",
                                     .arch = "toy",
                                     .isa = "toy",
                                     .fingerprint = "here",
                                     .sms = 132};
static volatile int64_t sink;

static const gdr_device_info *info(const void *dev)
{
    (void)dev;
    return &here;
}

static int loadable(const void *dev, const char *isa)
{
    (void)dev, (void)isa;
    return 1;
}

static gdr_status load(void *dev, const void *code, size_t bytes,
                       const char *entry, void **kernel, char *msg, size_t n)
{
    (void)code, (void)bytes, (void)entry, (void)msg, (void)n;
    *kernel = dev;
    return GDR_OK;
}

static void unload(void *dev, void *kernel)
{
    (void)dev, (void)kernel;
}

static gdr_status launch(void *dev, void *kernel, const gdr_launch_dims *dims,
                         const void *params, size_t bytes, void *stream)
{
    (void)dev, (void)kernel, (void)params, (void)bytes, (void)stream;
    sink = dims->grid[0];
    return GDR_OK;
}

static const gdr_backend toy = {.kind = "toy",
                                .state_align = 16,
                                .info = info,
                                .loadable = loadable,
                                .load = load,
                                .unload = unload,
                                .launch = launch};

static gdr_rows *make_rows(void)
{
    const gdr_step_text text = {
        "kern", "b*hv*ceil(v/64)", "1", "1", "128", "0", "0", "0"};
    char problem[GDR_PROBLEM_TEXT];
    gdr_rows *rows;

    check(gdr_rows_open(&rows), "rows", "");
    for (int i = 0; i < PLANS; i++) {
        const gdr_row row = {.origin = {"here", "toy", "toy", "toy"},
                             .problem = problem,
                             .variant = "v",
                             .stamp = "stamp",
                             .kernel = "toy/recurrent",
                             .config = "",
                             .reduction = "",
                             .abi = 1};
        snprintf(problem, sizeof problem, STATICS " / b%dt1hk16hv32", 1 + i);
        check(gdr_rows_put(rows, &row), "put", "");
    }
    check(gdr_rows_put_step(rows, 0, 0, &text, "toy", "code", 4), "step", "");
    return rows;
}

static double time_calls(const gdr_set *set, gdr_args *args)
{
    double start = now();
    gdr_plan plan;

    for (int i = 0; i < CALLS; i++) {
        args->x.B = 1 + i % 512;
        check(gdr_set_find(set, &args->x, &plan), "find", "");
        check(gdr_launch(&plan, args, NULL, NULL, 0), "launch", "");
    }
    return (now() - start) / CALLS;
}

static double time_bare(const gdr_recurrent_params *params)
{
    gdr_launch_dims dims = {.grid = {1, 1, 1}, .block = 128};
    double start = now();

    for (int i = 0; i < CALLS; i++) {
        dims.grid[0] = 1 + i % 512;
        toy.launch((void *)&here, NULL, &dims, params, sizeof *params, NULL);
    }
    return (now() - start) / CALLS;
}

static void bench_launch(void)
{
    const gdr_select_options options = {.size = sizeof options,
                                        .worst = GDR_MATCH_EXACT};
    static float memory[4] __attribute__((aligned(256)));
    double ours[REPEATS], bare[REPEATS], a, b;
    gdr_recurrent_params params = {0};
    gdr_rows *rows = make_rows();
    char msg[512] = "";
    gdr_problem p;
    gdr_args args;
    gdr_set *set;

    check(gdr_problem_parse(STATICS " / b512t1hk16hv32", &p, msg, sizeof msg),
          "parse", msg);
    check(gdr_set_open(rows, &toy, (void *)&here, &p.s, &options, &set, msg,
                       sizeof msg),
          "select", msg);
    gdr_args_init(&args, &p);
    args.q.data = args.k.data = args.v.data = args.o.data = memory;
    args.g.data = args.beta.data = memory;
    args.state = memory;
    for (int i = 0; i < REPEATS; i++) {
        ours[i] = time_calls(set, &args);
        bare[i] = time_bare(&params);
    }
    a = median(ours, REPEATS);
    b = median(bare, REPEATS);
    printf("find + launch  %8.1f ns a call; the device's launch alone %.1f ns: "
           "%.1f ns beside it\n",
           a, b, a - b);
    gdr_set_close(set);
    gdr_rows_close(rows);
}

/* ---- the first launch ---- */

static const gdr_select_options any = {.size = sizeof any,
                                       .worst = GDR_MATCH_GENERIC};

/* B = 1 of the first set: select, preload, first and later launches in ns. */
static void time_first(const char *db, int preload, double out[4])
{
    gdr_problem p;
    gdr_device *dev;
    gdr_plan plan;
    gdr_args args;
    gdr_set *set;
    double later[REPEATS], start;
    char msg[512] = "";
    float *f = calloc(32 * 128 * 128 + 3 * 32 * 128, sizeof *f);
    gdr *g;

    check(gdr_problem_parse(STATICS " / b1t1hk16hv32", &p, msg, sizeof msg),
          "parse", msg);
    check(gdr_open(db, &g), db, g ? gdr_errmsg(g) : "");
    check(gdr_device_open(g, "cpu", NULL, &dev), "cpu", gdr_errmsg(g));
    start = now();
    check(gdr_select(dev, &p.s, &any, &set), "select", gdr_errmsg(g));
    out[0] = now() - start;
    start = now();
    if (preload)
        check(gdr_preload(set, msg, sizeof msg), "preload", msg);
    out[1] = now() - start;
    gdr_args_init(&args, &p);
    args.state = f;
    args.q.data = args.k.data = f + 32 * 128 * 128;
    args.v.data = f + 32 * 128 * 128 + 32 * 128;
    args.o.data = f + 32 * 128 * 128 + 2 * 32 * 128;
    check(gdr_set_find(set, &p.x, &plan), "find", "");
    for (int i = -1; i < REPEATS; i++) {
        start = now();
        check(gdr_launch(&plan, &args, NULL, msg, sizeof msg), "launch", msg);
        *(i < 0 ? &out[2] : &later[i]) = now() - start;
    }
    out[3] = median(later, REPEATS);
    gdr_set_close(set);
    gdr_device_close(dev);
    gdr_close(g);
    free(f);
}

static void bench_first(const char *db)
{
    for (int preload = 0; preload < 2; preload++) {
        double all[4][REPEATS], one[4];

        for (int i = 0; i < REPEATS; i++) {
            time_first(db, preload, one);
            for (int k = 0; k < 4; k++)
                all[k][i] = one[k];
        }
        printf("first launch   %8.1f us%s; later ones %.1f us; select %.1f us",
               median(all[2], REPEATS) / 1e3,
               preload ? " after gdr_preload" : "",
               median(all[3], REPEATS) / 1e3, median(all[0], REPEATS) / 1e3);
        if (preload)
            printf(", preload %.1f us", median(all[1], REPEATS) / 1e3);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: serve DATABASE\n");
        return 2;
    }
    bench_open();
    bench_launch();
    bench_first(argv[1]);
    return 0;
}
