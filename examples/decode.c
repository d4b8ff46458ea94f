/*
 * decode.c - one decode step of a Qwen3.5-35B layer at B = 8 on the cpu,
 * checked against the reference.
 *
 *     cc decode.c $(pkg-config --cflags --libs gdr) -lm -o decode && ./decode
 *
 * It uses what gdr-tune stored for this machine; where that has no plan for the
 * layer it says which command makes one, and goes on with the generic kernel.
 */
#include <gdr.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYER "recurrent:final:vk:bf16/f32:k128v128:l2norm:g / b8t1hk16hv32"

static float from_bf16(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint16_t to_bf16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/* Uniform in -1 .. 1; a fixed seed, so that every run sees the same data. */
static float uniform(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (float)(state >> 40) / (1 << 23) - 1;
}

static uint16_t *random_bf16(int64_t n)
{
    uint16_t *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; x && i < n; i++)
        x[i] = to_bf16(uniform());
    return x;
}

static float *random_f32(int64_t n, float from, float to)
{
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; x && i < n; i++)
        x[i] = from + (to - from) * (uniform() + 1) / 2;
    return x;
}

/* The layer's tensors, as an engine has them: all contiguous here. */
typedef struct layer {
    uint16_t *q, *k, *v, *o; /* [B][1][H][D] bf16 */
    float *g, *beta;         /* [B][1][Hv] */
    float *state;            /* [B][Hv][V][K] */
    int64_t n_o, n_state;    /* elements */
} layer;

static int layer_open(layer *l, const gdr_problem *p)
{
    int64_t n = p->x.B * p->x.T, hk = n * p->x.Hk, hv = n * p->x.Hv;
    l->n_o = hv * p->s.V;
    l->n_state = p->x.B * p->x.Hv * p->s.K * p->s.V;
    l->q = random_bf16(hk * p->s.K);
    l->k = random_bf16(hk * p->s.K);
    l->v = random_bf16(l->n_o);
    l->o = calloc((size_t)l->n_o, sizeof *l->o);
    l->g = random_f32(hv, -1, 0);
    l->beta = random_f32(hv, 0, 1);
    l->state = random_f32(l->n_state, -1, 1);
    return l->q && l->k && l->v && l->o && l->g && l->beta && l->state;
}

static void layer_close(layer *l)
{
    free(l->q);
    free(l->k);
    free(l->v);
    free(l->o);
    free(l->g);
    free(l->beta);
    free(l->state);
}

static gdr_args layer_args(const layer *l, const gdr_problem *p)
{
    gdr_args args;
    gdr_args_init(&args, p);
    args.q.data = l->q;
    args.k.data = l->k;
    args.v.data = l->v;
    args.o.data = l->o;
    args.g.data = l->g;
    args.beta.data = l->beta;
    args.state = l->state;
    return args;
}

/* Runs the same step through gdr_reference on a copy of the state; prints the
 * largest differences. The bound is loose here: gdr-tune's gate, which every
 * stored kernel passed, is not. */
static int compare(const layer *l, const gdr_problem *p, const float *before)
{
    layer ref = *l;
    double worst_o = 0, worst_s = 0;
    char msg[256] = "out of memory";
    int ok = 0;

    ref.o = calloc((size_t)l->n_o, sizeof *ref.o);
    ref.state = malloc((size_t)l->n_state * sizeof *ref.state);
    if (!ref.o || !ref.state)
        goto done;
    memcpy(ref.state, before, (size_t)l->n_state * sizeof *before);
    gdr_args args = layer_args(&ref, p);
    if (gdr_reference(&p->s, &args, msg, sizeof msg) != GDR_OK)
        goto done;
    for (int64_t i = 0; i < l->n_o; i++)
        worst_o = fmax(worst_o,
                       fabs(from_bf16(l->o[i]) - (double)from_bf16(ref.o[i])));
    for (int64_t i = 0; i < l->n_state; i++)
        worst_s = fmax(worst_s, fabs(l->state[i] - (double)ref.state[i]));
    printf("largest difference to the reference: o %.2g, state %.2g\n", worst_o,
           worst_s);
    ok = worst_o <= 0.01 && worst_s <= 1e-5;
    snprintf(msg, sizeof msg, "the results differ");
done:
    if (!ok)
        fprintf(stderr, "decode: %s\n", msg);
    free(ref.o);
    free(ref.state);
    return ok;
}

/* Tuned if possible, else generic; 0 after a message if neither. */
static int find(gdr_device *dev, gdr *g, const gdr_problem *p, gdr_set **set,
                gdr_plan *plan)
{
    const gdr_select_options any = {.size = sizeof any,
                                    .worst = GDR_MATCH_GENERIC};

    if (gdr_select(dev, &p->s, NULL, set) != GDR_OK) {
        fprintf(stderr, "decode: %s\n", gdr_errmsg(g));
        gdr_set_close(*set);
        *set = NULL;
        if (gdr_select(dev, &p->s, &any, set) != GDR_OK)
            return 0;
    }
    return gdr_set_find(*set, &p->x, plan) == GDR_OK;
}

int main(int argc, char **argv)
{
    gdr *g = NULL;
    gdr_device *dev = NULL;
    gdr_set *set = NULL;
    gdr_plan plan;
    gdr_plan_info info = {.size = sizeof info};
    gdr_problem p;
    layer l = {0};
    float *before = NULL;
    char msg[256] = "";
    int ok = 0;

    if (gdr_problem_parse(LAYER, &p, msg, sizeof msg) != GDR_OK)
        goto done;
    /* A missing database is not the end: the generic kernel needs none. */
    if (gdr_open(argc > 1 ? argv[1] : NULL, &g) != GDR_OK)
        fprintf(stderr, "decode: %s\n", gdr_errmsg(g));
    if (gdr_device_open(g, "cpu", NULL, &dev) != GDR_OK ||
        !find(dev, g, &p, &set, &plan)) {
        snprintf(msg, sizeof msg, "%s", gdr_errmsg(g));
        goto done;
    }
    gdr_plan_describe(&plan, &p.x, &info);
    printf("%s\nmatch %s: %s %s\n", LAYER, gdr_match_name(info.match),
           info.kernel, info.config);

    snprintf(msg, sizeof msg, "out of memory");
    if (!layer_open(&l, &p) ||
        !(before = malloc((size_t)l.n_state * sizeof *before)))
        goto done;
    memcpy(before, l.state, (size_t)l.n_state * sizeof *before);

    gdr_args args = layer_args(&l, &p);
    if (gdr_launch(&plan, &args, NULL, msg, sizeof msg) != GDR_OK)
        goto done;
    *msg = 0;
    ok = compare(&l, &p, before);
done:
    if (*msg)
        fprintf(stderr, "decode: %s\n", msg);
    free(before);
    layer_close(&l);
    gdr_set_close(set);
    gdr_device_close(dev);
    gdr_close(g);
    return ok ? 0 : 1;
}
