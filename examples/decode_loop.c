/*
 * decode_loop.c - a server's day: what a serving engine does with libgdr from
 * its start to its last token, on a card or on the cpu.
 *
 *     cc decode_loop.c $(pkg-config --cflags --libs gdr) -lm -o decode_loop
 *     ./decode_loop [DATABASE|BUNDLE [DEVICE [LAYERS]]]
 *
 * With a table that is linked in (gdr-bundle build --format c -o qwen.c):
 *
 *     cc -DTABLE=gdr_table_qwen decode_loop.c qwen.c libgdr.a -lsodium -lm \
 *         -ldl -pthread
 *
 * Once: open the table, select and preload a set for the layer kind, find a
 * plan for each batch size that will be captured, capture one graph for each.
 * Every step: pad the batch to a captured size, write the indices, launch. The
 * states are a pool of rings, as lmdeploy keeps them; rows of padding name slot
 * -1, which reads and writes no state and gives zeros.
 *
 * At the end everything is compared with gdr_reference.
 */
#include <gdr.h>
#include <gdr_embedded.h>

#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One linear attention layer of Qwen3-Next, with fewer heads. */
#define LAYER "recurrent:ring:vk:bf16/bf16:k128v128:l2norm:g:round"

enum {
    HK = 2,
    HV = 4,
    K = 128,
    V = 128,
    SLOTS = 6, /* requests that fit */
    RING = 4,  /* states of a request: speculation may go back */
    MOST = 4,  /* requests of a step, padding included */
    SIZES = 3,
    STEPS = 5
};
static const int64_t sizes[SIZES] = {1, 2, 4}; /* that are captured */

/* Slots in use at each step; the end of a list is padding. */
static const int32_t batch[STEPS][MOST] = {
    {3, -1, -1, -1}, /* one request */
    {3, 0, 5, -1},   /* two more: three, padded to four */
    {3, 0, 5, 1},
    {0, 5, -1, -1}, /* two have ended */
    {2, -1, -1, -1} /* a new one in a slot that nobody used yet */
};

/* ---- the machine: memory, copies and graphs, as any engine has them ---- */

typedef struct machine {
    void *driver; /* NULL: the cpu */
    void *stream;
    /* of the driver; 0 is success */
    int (*alloc)(uint64_t *p, size_t bytes);
    int (*release)(uint64_t p);
    int (*to)(uint64_t p, const void *from, size_t bytes);
    int (*from)(void *to, uint64_t p, size_t bytes);
    int (*begin)(void *stream, int mode);
    int (*end)(void *stream, void **graph);
    int (*instantiate)(void **exec, void *graph, unsigned long long flags);
    int (*replay)(void *exec, void *stream);
    int (*wait)(void *stream);
    int (*drop)(void *exec);
    int (*drop_graph)(void *graph);
} machine;

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "decode_loop: %s: %s\n", what, why);
    return 0;
}

static int look_up(machine *m, const char *name, void *to)
{
    void *f = dlsym(m->driver, name);

    memcpy(to, &f, sizeof f);
    return f || fail("libcuda.so.1 lacks", name);
}

/* The card's primary context, made current, and a stream. */
static int open_stream(machine *m, int card)
{
    int (*init)(unsigned), (*device)(int *, int), (*retain)(void **, int);
    int (*push)(void *), (*stream)(void **, unsigned);
    void *context;
    int ordinal;

    if (!look_up(m, "cuInit", &init) || !look_up(m, "cuDeviceGet", &device) ||
        !look_up(m, "cuDevicePrimaryCtxRetain", &retain) ||
        !look_up(m, "cuCtxPushCurrent_v2", &push) ||
        !look_up(m, "cuStreamCreate", &stream))
        return 0;
    return (!init(0) && !device(&ordinal, card) && !retain(&context, ordinal) &&
            !push(context) && !stream(&m->stream, 1)) ||
           fail("the card", "no context");
}

static int open_machine(machine *m, const char *fingerprint, const char *device)
{
    const struct {
        const char *name;
        void *to;
    } list[] = {{"cuMemAlloc_v2", &m->alloc},
                {"cuMemFree_v2", &m->release},
                {"cuMemcpyHtoD_v2", &m->to},
                {"cuMemcpyDtoH_v2", &m->from},
                {"cuStreamBeginCapture_v2", &m->begin},
                {"cuStreamEndCapture", &m->end},
                {"cuGraphInstantiateWithFlags", &m->instantiate},
                {"cuGraphLaunch", &m->replay},
                {"cuStreamSynchronize", &m->wait},
                {"cuGraphExecDestroy", &m->drop},
                {"cuGraphDestroy", &m->drop_graph}};
    const char *number = strchr(device, ':');

    memset(m, 0, sizeof *m);
    if (strncmp(fingerprint, "cuda", 4) != 0)
        return 1;
    m->driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (!m->driver)
        return fail("the driver", dlerror());
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (!look_up(m, list[i].name, list[i].to))
            return 0;
    return open_stream(m, atoi(number ? number + 1 : device));
}

static void *take(machine *m, size_t bytes)
{
    uint64_t p = 0;

    if (!m->driver)
        return calloc(1, bytes);
    return m->alloc(&p, bytes) ? NULL : (void *)(uintptr_t)p;
}

static void give_back(machine *m, void *p)
{
    if (!m->driver)
        free(p);
    else if (p)
        m->release((uint64_t)(uintptr_t)p);
}

static int copy_to(machine *m, void *p, const void *from, size_t bytes)
{
    if (m->driver)
        return !m->to((uint64_t)(uintptr_t)p, from, bytes);
    memcpy(p, from, bytes);
    return 1;
}

static int copy_from(machine *m, void *to, const void *p, size_t bytes)
{
    if (m->driver)
        return !m->from(to, (uint64_t)(uintptr_t)p, bytes);
    memcpy(to, p, bytes);
    return 1;
}

/* ---- numbers ---- */

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

static void fill(uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = to_bf16(uniform());
}

/* ---- the model ---- */

/* What all layers of a step share, and what each has of its own; twice, in the
 * machine's memory and in the host's for the reference. */
typedef struct tensors {
    uint16_t *q, *k, *v;     /* [MOST][1][H][128] */
    float *g, *beta;         /* [MOST][1][HV] */
    int32_t *slots, *length; /* [MOST] */
    uint16_t *o;             /* [layers][MOST][1][HV][V] */
    uint16_t *state;         /* [layers][SLOTS][RING][HV][V][K] */
} tensors;

enum {
    N_Q = MOST * HK * K,
    N_V = MOST * HV * V,
    N_G = MOST * HV,
    N_STATE = SLOTS * RING * HV * V * K
};

static int take_tensors(machine *m, tensors *t, int layers)
{
    const struct {
        void **to;
        size_t bytes;
    } list[] = {
        {(void **)&t->q, sizeof *t->q * N_Q},
        {(void **)&t->k, sizeof *t->k * N_Q},
        {(void **)&t->v, sizeof *t->v * N_V},
        {(void **)&t->g, sizeof *t->g * N_G},
        {(void **)&t->beta, sizeof *t->beta * N_G},
        {(void **)&t->slots, sizeof *t->slots * MOST},
        {(void **)&t->length, sizeof *t->length * MOST},
        {(void **)&t->o, sizeof *t->o * N_V * (size_t)layers},
        {(void **)&t->state, sizeof *t->state * N_STATE * (size_t)layers}};

    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (!(*list[i].to = take(m, list[i].bytes)))
            return fail("memory", "none left");
    return 1;
}

static void give_back_tensors(machine *m, tensors *t)
{
    void *list[] = {t->q,     t->k,      t->v, t->g,    t->beta,
                    t->slots, t->length, t->o, t->state};

    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        give_back(m, list[i]);
}

/* The call of one layer for B requests. */
static gdr_args args_of(const tensors *t, const gdr_static *s, int64_t B,
                        int layer)
{
    gdr_problem p = {.s = *s, .x = {B, 1, HK, HV}};
    gdr_args a;

    gdr_args_init(&a, &p);
    a.q.data = t->q;
    a.k.data = t->k;
    a.v.data = t->v;
    a.g.data = t->g;
    a.beta.data = t->beta;
    a.o.data = t->o + (size_t)layer * N_V;
    a.state = t->state + (size_t)layer * N_STATE;
    a.n_slots = SLOTS;
    a.ring = RING;
    a.state_stride_head = (int64_t)V * K;
    a.state_stride_ring = HV * a.state_stride_head;
    a.state_stride_slot = RING * a.state_stride_ring;
    a.state_indices = t->slots;
    a.cache_seqlens = t->length;
    return a;
}

/* ---- serving ---- */

typedef struct server {
    gdr *g;
    gdr_device *dev;
    gdr_set *set;
    gdr_static s;
    int layers;
    machine m;
    tensors here, ref; /* here: the machine's; ref: the host's */
    gdr_plan plan[SIZES];
    void *graph[SIZES];    /* on a card */
    int32_t length[SLOTS]; /* tokens of each request */
} server;

/* All layers of one step, into the stream. */
static int launch_layers(server *v, int size, char *msg, size_t n)
{
    for (int i = 0; i < v->layers; i++) {
        gdr_args a = args_of(&v->here, &v->s, sizes[size], i);
        if (gdr_launch(&v->plan[size], &a, v->m.stream, msg, n) != GDR_OK)
            return 0;
    }
    return 1;
}

/* A graph holds the plan's kernels and the addresses of the tensors; what
 * changes from step to step is in memory. */
static int capture(server *v, int size)
{
    char msg[256] = "the driver failed";
    void *graph = NULL;
    int ok;

    if (!v->m.driver)
        return 1;
    ok = !v->m.begin(v->m.stream, 1) && launch_layers(v, size, msg, sizeof msg);
    ok = !v->m.end(v->m.stream, &graph) && ok;
    ok = ok && !v->m.instantiate(&v->graph[size], graph, 0);
    if (graph)
        v->m.drop_graph(graph);
    return ok || fail("capture", msg);
}

/* Finds the plans, and says what they are. */
static int find_plans(server *v)
{
    for (int i = 0; i < SIZES; i++) {
        const gdr_extents x = {sizes[i], 1, HK, HV};
        gdr_plan_info info = {.size = sizeof info};

        if (gdr_set_find(v->set, &x, &v->plan[i]) != GDR_OK ||
            gdr_plan_describe(&v->plan[i], &x, &info) != GDR_OK)
            return fail("find", "no plan for these extents");
        printf("B = %d: %s %s, match %s\n", (int)sizes[i], info.kernel,
               info.config, gdr_match_name(info.match));
    }
    return 1;
}

#ifdef TABLE
extern const gdr_embedded TABLE;

static gdr_status open_table(const char *path, gdr **g)
{
    (void)path;
    return gdr_open_embedded(&TABLE, g);
}
#else
static gdr_status open_table(const char *path, gdr **g)
{
    return gdr_open(path, g);
}
#endif

/* Everything that is done once. */
static int start(server *v, const char *table, const char *device)
{
    const gdr_select_options any = {.size = sizeof any,
                                    .worst = GDR_MATCH_GENERIC};
    char msg[512], digest[GDR_DIGEST_TEXT];
    gdr_problem p;

    if (gdr_problem_parse(LAYER, &p, msg, sizeof msg) != GDR_OK)
        return fail(LAYER, msg);
    v->s = p.s;
    if (open_table(table, &v->g) != GDR_OK)
        fprintf(stderr, "decode_loop: %s\n", gdr_errmsg(v->g));
    if (!v->g || gdr_device_open(v->g, device, NULL, &v->dev) != GDR_OK)
        return fail(device, gdr_errmsg(v->g));
    /* A slow plan is better than none for an example; an engine would insist.
     */
    if (gdr_select(v->dev, &v->s, &any, &v->set) != GDR_OK)
        return fail("select", gdr_errmsg(v->g));
    if (gdr_preload(v->set, msg, sizeof msg) != GDR_OK)
        return fail("preload", msg);
    /* Ranks of one job compare this before the first token. */
    if (gdr_digest(v->g, digest) == GDR_OK)
        printf("device %s\ntable %.16s\n", gdr_device_fingerprint(v->dev),
               digest);
    if (!open_machine(&v->m, gdr_device_fingerprint(v->dev), device) ||
        !take_tensors(&v->m, &v->here, v->layers) || !find_plans(v))
        return 0;
    for (int i = 0; i < SIZES; i++)
        if (!capture(v, i))
            return 0;
    return 1;
}

static int size_for(int requests)
{
    int i = 0;

    while (sizes[i] < requests)
        i++;
    return i;
}

/* The same step by the reference, on the host. */
static int step_reference(server *v, int64_t B)
{
    char msg[256];

    for (int i = 0; i < v->layers; i++) {
        gdr_args a = args_of(&v->ref, &v->s, B, i);
        if (gdr_reference(&v->s, &a, msg, sizeof msg) != GDR_OK)
            return fail("reference", msg);
    }
    return 1;
}

/* New tokens, and who they belong to. */
static int write_inputs(server *v, int step, int *requests)
{
    const tensors *r = &v->ref, *h = &v->here;

    *requests = 0;
    fill(r->q, N_Q);
    fill(r->k, N_Q);
    fill(r->v, N_V);
    for (int i = 0; i < N_G; i++) {
        r->g[i] = -(uniform() + 1) / 2;
        r->beta[i] = (uniform() + 1) / 2;
    }
    for (int i = 0; i < MOST; i++) {
        int32_t slot = batch[step][i];
        r->slots[i] = slot;
        r->length[i] = slot < 0 ? 0 : v->length[slot];
        *requests += slot >= 0;
    }
    return copy_to(&v->m, h->q, r->q, sizeof *r->q * N_Q) &&
           copy_to(&v->m, h->k, r->k, sizeof *r->k * N_Q) &&
           copy_to(&v->m, h->v, r->v, sizeof *r->v * N_V) &&
           copy_to(&v->m, h->g, r->g, sizeof *r->g * N_G) &&
           copy_to(&v->m, h->beta, r->beta, sizeof *r->beta * N_G) &&
           copy_to(&v->m, h->slots, r->slots, sizeof *r->slots * MOST) &&
           copy_to(&v->m, h->length, r->length, sizeof *r->length * MOST);
}

/* The largest difference of n numbers. */
static double compare(server *v, const uint16_t *here, const uint16_t *ref,
                      size_t n)
{
    uint16_t *got = malloc(n * sizeof *got);
    double worst = got ? 0 : INFINITY;

    if (got && !copy_from(&v->m, got, here, n * sizeof *got))
        worst = INFINITY;
    for (size_t i = 0; got && i < n; i++) {
        double d = fabs((double)from_bf16(got[i]) - from_bf16(ref[i]));
        worst = d <= worst ? worst : isnan(d) ? INFINITY : d;
    }
    free(got);
    return worst;
}

static int step(server *v, int at)
{
    char msg[256] = "the driver failed";
    int requests, size, ok;
    double worst = 0;

    if (!write_inputs(v, at, &requests))
        return fail("copy", "the driver failed");
    size = size_for(requests);
    ok = v->m.driver ? !v->m.replay(v->graph[size], v->m.stream) &&
                           !v->m.wait(v->m.stream)
                     : launch_layers(v, size, msg, sizeof msg);
    if (!ok)
        return fail("launch", msg);
    if (!step_reference(v, sizes[size]))
        return 0;
    for (int i = 0; i < v->layers; i++)
        worst = fmax(worst, compare(v, v->here.o + (size_t)i * N_V,
                                    v->ref.o + (size_t)i * N_V,
                                    (size_t)sizes[size] * HV * V));
    for (int i = 0; i < MOST; i++)
        if (batch[at][i] >= 0)
            v->length[batch[at][i]]++;
    printf("step %d: %d requests in a graph of %d, o differs by at most %.2g\n",
           at, requests, (int)sizes[size], worst);
    /* bf16 has 8 bits; gdr-tune's gate, which every stored kernel passed, knows
     * each number's own bound. */
    return worst <= 0.05 || fail("o", "differs from the reference");
}

static int serve(server *v)
{
    size_t n = N_STATE * (size_t)v->layers;
    uint16_t *states = v->ref.state;
    double worst;

    fill(states, n);
    for (size_t i = 0; i < n; i++) /* states are smaller than values */
        states[i] = to_bf16(from_bf16(states[i]) / 8);
    if (!copy_to(&v->m, v->here.state, states, n * sizeof *states))
        return fail("copy", "the driver failed");
    for (int i = 0; i < STEPS; i++)
        if (!step(v, i))
            return 0;
    worst = compare(v, v->here.state, states, n);
    printf("%d layers, %d steps: states differ by at most %.2g\n", v->layers,
           (int)STEPS, worst);
    printf("finds that were not tuned: %llu\n",
           (unsigned long long)gdr_set_misses(v->set));
    return worst <= 0.05 || fail("states", "differ from the reference");
}

static void stop(server *v)
{
    machine host = {0};

    for (int i = 0; i < SIZES; i++)
        if (v->graph[i])
            v->m.drop(v->graph[i]);
    give_back_tensors(&v->m, &v->here);
    give_back_tensors(&host, &v->ref);
    gdr_set_close(v->set);
    gdr_device_close(v->dev);
    gdr_close(v->g);
}

int main(int argc, char **argv)
{
    const char *table = argc > 1 && *argv[1] ? argv[1] : NULL;
    const char *device = argc > 2 ? argv[2] : "cpu";
    server v = {.layers = argc > 3 ? atoi(argv[3]) : 48};
    machine host = {0};
    int ok;

    if (v.layers < 1 || v.layers > 1000)
        return fail("LAYERS", "1 to 1000"), 2;
    ok = take_tensors(&host, &v.ref, v.layers) && start(&v, table, device) &&
         serve(&v);
    stop(&v);
    return ok ? 0 : 1;
}
