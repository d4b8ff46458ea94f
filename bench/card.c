/*
 * card.c - what libgdr costs a serving engine on a card, beside the driver:
 *
 *     open, select, preload, first launch     in a process that has a context
 *     find + launch    host time of a call    beside the driver's own launch of
 *                                              the same kernel, grid and bytes
 *
 *     card DATABASE [PROBLEM [N]]    tuned for card N (0)
 *
 * In turns, medians. A batch of calls stays below what a stream takes before it
 * makes the host wait.
 */
#include "../runtime/cuda_driver.h"
#include "../runtime/gdr_internal.h"
#include "../runtime/recurrent_abi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if GDR_CUDA

#define PROBLEM "recurrent:final:vk:bf16/f32:k128v128:l2norm:g / b1t1hk16hv32"

enum { TURNS = 201, CALLS = 200, OPENS = 9 };

typedef struct card {
    gdr_cuda_driver driver;
    CUstream stream;
    gdr_problem p;
    gdr_args args;
    char device[16];
} card;

typedef struct opened {
    gdr *g;
    gdr_device *dev;
    gdr_set *set;
    gdr_plan plan;
} opened;

/* Microseconds. */
typedef struct start {
    double open, device, select, preload, first, later;
} start;

static void check(int failed, const char *what, const char *why)
{
    if (!failed)
        return;
    fprintf(stderr, "card: %s: %s\n", what, why);
    exit(1);
}

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The value that this share of all is below: 0.5 is the median. */
static double quantile(double *x, size_t n, double share)
{
    qsort(x, n, sizeof *x, by_value);
    return x[(size_t)((double)n * share)];
}

static double median(double *x, size_t n)
{
    return quantile(x, n, 0.5);
}

/* The primary context current, as in an engine. */
static void open_context(card *c, int ordinal)
{
    CUdevice device;
    CUcontext context;
    char msg[256] = "";

    check(gdr_cuda_driver_open(&c->driver, msg, sizeof msg), "driver", msg);
    check(c->driver.device_get(&device, ordinal) ||
              c->driver.primary_retain(&context, device) ||
              c->driver.context_push(context) ||
              c->driver.stream_create(&c->stream, 1),
          "card", "no context");
}

static void *room(card *c, size_t bytes)
{
    CUdeviceptr p = 0;

    check(c->driver.mem_alloc(&p, bytes), "card", "out of memory");
    return (void *)(uintptr_t)p;
}

static void make_args(card *c)
{
    size_t heads = (size_t)(c->p.x.B * c->p.x.T * c->p.x.Hv);
    size_t tensor = heads * (size_t)(c->p.s.K + c->p.s.V) * 4;

    gdr_args_init(&c->args, &c->p);
    c->args.q.data = room(c, tensor);
    c->args.k.data = room(c, tensor);
    c->args.v.data = room(c, tensor);
    c->args.o.data = room(c, tensor);
    c->args.g.data = room(c, heads * 4);
    c->args.beta.data = room(c, heads * 4);
    c->args.state = room(c, heads * (size_t)(c->p.s.K * c->p.s.V) * 4);
}

static void launch(const card *c, const opened *o)
{
    char msg[512] = "";

    check(gdr_launch(&o->plan, &c->args, c->stream, msg, sizeof msg), "launch",
          msg);
}

static void wait(const card *c)
{
    check(c->driver.stream_synchronize(c->stream), "card", "a launch failed");
}

static opened open_all(const card *c, const char *db, int preload, start *s)
{
    opened o = {0};
    char msg[512] = "";
    double t = now_us();

    check(gdr_open(db, &o.g), db, o.g ? gdr_errmsg(o.g) : "");
    s->open = now_us() - t;
    t = now_us();
    check(gdr_device_open(o.g, c->device, NULL, &o.dev), c->device,
          gdr_errmsg(o.g));
    s->device = now_us() - t;
    t = now_us();
    check(gdr_select(o.dev, &c->p.s, NULL, &o.set), "select", gdr_errmsg(o.g));
    s->select = now_us() - t;
    t = now_us();
    if (preload)
        check(gdr_preload(o.set, msg, sizeof msg), "preload", msg);
    s->preload = now_us() - t;
    check(gdr_set_find(o.set, &c->p.x, &o.plan), "find", "");
    t = now_us();
    launch(c, &o);
    s->first = now_us() - t;
    wait(c);
    t = now_us();
    launch(c, &o);
    s->later = now_us() - t;
    wait(c);
    return o;
}

static void close_all(opened *o)
{
    gdr_set_close(o->set);
    gdr_device_close(o->dev);
    gdr_close(o->g);
}

static void bench_start(const card *c, const char *db)
{
    for (int preload = 0; preload < 2; preload++) {
        double all[6][OPENS];

        for (int i = 0; i < OPENS; i++) {
            start s;
            opened o = open_all(c, db, preload, &s);

            close_all(&o);
            all[0][i] = s.open;
            all[1][i] = s.select;
            all[2][i] = s.preload;
            all[3][i] = s.first;
            all[4][i] = s.later;
            all[5][i] = s.device;
        }
        printf("open %.0f us, device %.0f us, select %.0f us, preload %.1f "
               "us%s: first launch "
               "%.1f us, the next %.1f us\n",
               median(all[0], OPENS), median(all[5], OPENS),
               median(all[1], OPENS), median(all[2], OPENS),
               preload ? "" : " (not called)", median(all[3], OPENS),
               median(all[4], OPENS));
    }
}

/* ---- beside the driver's own launch ---- */

/* The one step of a plan, by the driver alone. */
typedef struct bare {
    CUfunction function;
    gdr_launch_dims dims;
    gdr_recurrent_params params;
    CUlaunchAttribute early;
    CUlaunchConfig config;
} bare;

static void make_bare(const card *c, const opened *o, bare *b)
{
    const gdr_recipe *r = o->plan.recipe;
    const gdr_code *code = r->entry[o->plan.index]->code;
    const gdr_geometry *g = &r->step[0].geometry;
    const gdr_term_env env = {c->p.x, r->s.K, r->s.V, r->sms};
    CUmodule module;

    check(code->n_steps != 1, "plan", "more than one step");
    check(c->driver.module_load(&module, code->step[0].image, 0, NULL, NULL) ||
              c->driver.module_function(&b->function, module,
                                        code->step[0].text.entry),
          "plan", "its image was not loaded");
    check(!gdr_geometry_eval(g, &env, &b->dims), "plan", "its grid overflows");
    check(c->driver.function_set(
              b->function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
              (int)b->dims.smem),
          "plan", "too much shared memory");
    gdr_args_pack(&c->args, &r->s, &b->params);
    b->early.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    b->early.value.programmaticStreamSerializationAllowed = 1;
    b->config = (CUlaunchConfig){(unsigned)b->dims.grid[0],
                                 (unsigned)b->dims.grid[1],
                                 (unsigned)b->dims.grid[2],
                                 (unsigned)b->dims.block,
                                 1,
                                 1,
                                 (unsigned)b->dims.smem,
                                 c->stream,
                                 &b->early,
                                 1};
}

static double time_ours(const card *c, const opened *o)
{
    double t = now_us(), end;

    for (int i = 0; i < CALLS; i++) {
        gdr_plan plan;

        check(gdr_set_find(o->set, &c->args.x, &plan), "find", "");
        check(gdr_launch(&plan, &c->args, c->stream, NULL, 0), "launch", "");
    }
    end = now_us();
    wait(c);
    return (end - t) / CALLS * 1e3;
}

static double time_bare(const card *c, bare *b)
{
    void *params[] = {&b->params};
    double t = now_us(), end;

    for (int i = 0; i < CALLS; i++)
        check(b->dims.pdl
                  ? c->driver.launch_ex(&b->config, b->function, params, NULL)
                  : c->driver.launch(
                        b->function, b->config.gridDimX, b->config.gridDimY,
                        b->config.gridDimZ, b->config.blockDimX, 1, 1,
                        b->config.sharedMemBytes, c->stream, params, NULL),
              "driver", "launch");
    end = now_us();
    wait(c);
    return (end - t) / CALLS * 1e3;
}

static void bench_launch(const card *c, const char *db)
{
    gdr_plan_info info = {.size = sizeof info};
    double ours[TURNS], alone[TURNS], beside[TURNS];
    start s;
    opened o = open_all(c, db, 1, &s);
    bare b = {0};

    make_bare(c, &o, &b);
    check(gdr_plan_describe(&o.plan, &c->p.x, &info), "describe", "");
    for (int i = 0; i < TURNS; i++) {
        ours[i] = time_ours(c, &o);
        alone[i] = time_bare(c, &b);
        beside[i] = ours[i] - alone[i];
    }
    printf("find + launch %.0f ns a call, the driver's launch %.0f ns: %.0f ns "
           "beside it; in the quietest tenth %.0f and %.0f (%s %s, match %s)\n",
           median(ours, TURNS), median(alone, TURNS), median(beside, TURNS),
           quantile(ours, TURNS, 0.1), quantile(alone, TURNS, 0.1), info.kernel,
           info.config, gdr_match_name(info.match));
    close_all(&o);
}

int main(int argc, char **argv)
{
    card c = {0};
    char msg[512] = "";
    int ordinal = argc > 3 ? atoi(argv[3]) : 0;

    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: card DATABASE [PROBLEM [N]]\n");
        return 2;
    }
    check(
        gdr_problem_parse(argc > 2 ? argv[2] : PROBLEM, &c.p, msg, sizeof msg),
        "problem", msg);
    snprintf(c.device, sizeof c.device, "cuda:%d", ordinal);
    open_context(&c, ordinal);
    make_args(&c);
    bench_start(&c, argv[1]);
    bench_launch(&c, argv[1]);
    return 0;
}

#else

int main(void)
{
    fprintf(stderr, "card: built without cuda.h\n");
    return 2;
}

#endif
