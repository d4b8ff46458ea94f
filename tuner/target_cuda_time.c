/*
 * target_cuda_time.c - time on a card: events around replays of a graph that
 * holds as many launches as the ring has sets, or a multiple, so that each
 * launch finds its state where all the others have been since: in memory.
 *
 * What must stay true: between the two events the card never waits for the
 * host. So a lead-in is running when the first event is recorded, and the
 * launches behind it are one graph.
 */
#include "target_cuda.h"

#include "../runtime/device_cuda.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if GDR_CUDA

/* Events resolve half a microsecond. */
static const double sample_ns = 200e3;

enum {
    MOST_LAUNCHES = 20000, /* of a graph that could be shorter */
    MOST_NODES = 200000,   /* of all graphs: some 300 MB of the driver's */
    MOST_TRIES = 6,        /* to make a sample long enough */
    EAGER_WARM = 8
};

typedef struct graph {
    struct graph *next; /* the most recently used first */
    uint64_t key;
    CUgraphExec exec;
    int64_t nodes;
} graph;

typedef struct bench {
    gdr_cuda_device *d;
    CUstream stream;
    CUevent begin, end;
    graph *graphs;
    int64_t nodes; /* of all graphs */
} bench;

/* What is done over and over: launches round a ring of arguments, or copies
 * round a ring of pieces, each to the piece half a ring away. */
typedef struct walk {
    const gdr_recipe *recipe; /* NULL: copies */
    const gdr_args *ring;     /* [n] */
    int64_t n;
    CUdeviceptr p; /* [n][bytes] */
    size_t bytes;
} walk;

/* ---- the bench ---- */

static void drop_graph(bench *b, graph **at)
{
    graph *g = *at;

    *at = g->next;
    b->nodes -= g->nodes;
    b->d->driver.graph_exec_destroy(g->exec);
    free(g);
}

/* The last used ones stay, `keep` of them. */
static void drop_graphs(bench *b, int64_t most_nodes, int keep)
{
    while (b->nodes > most_nodes) {
        graph **at = &b->graphs;
        for (int i = 0; i < keep && *at; i++)
            at = &(*at)->next;
        if (!*at)
            return;
        while ((*at)->next)
            at = &(*at)->next;
        drop_graph(b, at);
    }
}

static void close_bench(void *p)
{
    bench *b = p;

    drop_graphs(b, -1, 0);
    if (b->begin)
        b->d->driver.event_destroy(b->begin);
    if (b->end)
        b->d->driver.event_destroy(b->end);
    if (b->stream)
        b->d->driver.stream_destroy(b->stream);
    free(b);
}

/* The context is current. */
static gdr_status get_bench(gdr_cuda_device *d, bench **out)
{
    bench *b = d->bench;
    CUresult code;

    *out = b;
    if (b)
        return GDR_OK;
    b = calloc(1, sizeof *b);
    if (!b)
        return GDR_ERR_NO_MEMORY;
    b->d = d;
    code = d->driver.stream_create(&b->stream, CU_STREAM_DEFAULT);
    if (code == CUDA_SUCCESS)
        code = d->driver.event_create(&b->begin, CU_EVENT_DEFAULT);
    if (code == CUDA_SUCCESS)
        code = d->driver.event_create(&b->end, CU_EVENT_DEFAULT);
    if (code != CUDA_SUCCESS) {
        close_bench(b);
        return gdr_cuda_note(d, code);
    }
    d->bench = *out = b;
    d->bench_close = close_bench;
    return GDR_OK;
}

/* ---- walking ---- */

static gdr_status step(bench *b, const walk *w, int64_t i)
{
    CUdeviceptr from = w->p + (uint64_t)(i % w->n) * w->bytes;
    CUdeviceptr to = w->p + (uint64_t)((i + w->n / 2) % w->n) * w->bytes;

    if (w->recipe)
        return gdr_recipe_launch(w->recipe, &w->ring[i % w->n], b->stream, NULL,
                                 0);
    return gdr_cuda_note(
        b->d, b->d->driver.copy_async(to, from, w->bytes, b->stream));
}

static gdr_status steps(bench *b, const walk *w, int64_t from, int64_t count)
{
    gdr_status st = GDR_OK;

    for (int64_t i = from; i < from + count && st == GDR_OK; i++)
        st = step(b, w, i);
    return st;
}

/* ---- graphs ---- */

static uint64_t mix_bytes(uint64_t h, const void *p, size_t bytes)
{
    const char *at = p;
    uint64_t word;

    for (; bytes >= sizeof word; bytes -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return h;
}

/* By what the graph would do, not by where that is written: rings and recipes
 * come and go at the same addresses. Kernels and the card's memory do not mean
 * something else at the same address, or the same launch is meant. */
static uint64_t key_of(const walk *w, int64_t from, int64_t count)
{
    const int64_t numbers[] = {w->n, (int64_t)w->p, (int64_t)w->bytes, from,
                               count};
    uint64_t h = mix_bytes(1, numbers, sizeof numbers);

    if (!w->recipe)
        return h;
    assert(w->ring);
    h = mix_bytes(h, w->recipe, sizeof *w->recipe);
    return mix_bytes(h, w->ring, (size_t)w->n * sizeof *w->ring);
}

static graph *find_graph(bench *b, uint64_t key)
{
    for (graph **at = &b->graphs; *at; at = &(*at)->next) {
        graph *g = *at;
        if (g->key != key)
            continue;
        *at = g->next;
        g->next = b->graphs;
        b->graphs = g;
        return g;
    }
    return NULL;
}

static gdr_status capture(bench *b, const walk *w, int64_t from, int64_t count,
                          CUgraph *out)
{
    const gdr_cuda_driver *f = &b->d->driver;
    CUresult code =
        f->stream_begin_capture(b->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    gdr_status st;

    if (code != CUDA_SUCCESS)
        return gdr_cuda_note(b->d, code);
    st = steps(b, w, from, count);
    code = f->stream_end_capture(b->stream, out);
    return st == GDR_OK ? gdr_cuda_note(b->d, code) : st;
}

static gdr_status make_exec(bench *b, const walk *w, int64_t from,
                            int64_t count, CUgraphExec *out)
{
    const gdr_cuda_driver *f = &b->d->driver;
    CUgraph raw = NULL;
    CUresult code;
    gdr_status st = capture(b, w, from, count, &raw);

    if (st == GDR_OK) {
        code = f->graph_instantiate(out, raw, 0);
        if (code == CUDA_SUCCESS)
            code = f->graph_upload(*out, b->stream);
        if (code == CUDA_SUCCESS)
            code = f->stream_synchronize(b->stream);
        st = gdr_cuda_note(b->d, code);
    }
    if (raw)
        f->graph_destroy(raw);
    if (st != GDR_OK && *out)
        f->graph_exec_destroy(*out);
    return st;
}

static gdr_status get_graph(bench *b, const walk *w, int64_t from,
                            int64_t count, CUgraphExec *out)
{
    uint64_t key = key_of(w, from, count);
    int64_t nodes = count * (w->recipe ? w->recipe->n_steps : 1);
    graph *g = find_graph(b, key);
    gdr_status st;

    if (!g) {
        g = calloc(1, sizeof *g);
        if (!g)
            return GDR_ERR_NO_MEMORY;
        drop_graphs(b, MOST_NODES - nodes, 1); /* the lead-in is in use */
        st = make_exec(b, w, from, count, &g->exec);
        if (st != GDR_OK) {
            free(g);
            return st;
        }
        g->key = key;
        g->nodes = nodes;
        g->next = b->graphs;
        b->graphs = g;
        b->nodes += nodes;
    }
    *out = g->exec;
    return GDR_OK;
}

/* ---- samples ---- */

/* What lies between the two events, per launch, once both have passed. */
static gdr_status read_events(bench *b, CUresult code, double *ns)
{
    const gdr_cuda_driver *f = &b->d->driver;
    float ms = 0;

    if (code == CUDA_SUCCESS)
        code = f->event_record(b->end, b->stream);
    if (code == CUDA_SUCCESS)
        code = f->event_synchronize(b->end);
    if (code == CUDA_SUCCESS)
        code = f->event_elapsed(&ms, b->begin, b->end);
    *ns = 1e6 * (double)ms;
    return gdr_cuda_note(b->d, code);
}

static gdr_status replay(bench *b, CUgraphExec lead, CUgraphExec body,
                         int64_t times, double *ns)
{
    const gdr_cuda_driver *f = &b->d->driver;
    CUresult code = f->graph_launch(lead, b->stream);

    if (code == CUDA_SUCCESS)
        code = f->event_record(b->begin, b->stream);
    for (int64_t i = 0; i < times && code == CUDA_SUCCESS; i++)
        code = f->graph_launch(body, b->stream);
    return read_events(b, code, ns);
}

/* The lead-in is the end of the ring, so that its beginning is cold. It lasts
 * as long as a sample, or a third of the graph: the host needs less than that
 * to submit it. */
static gdr_status sample_graph(bench *b, const walk *w, int64_t launches,
                               double *ns)
{
    int64_t few = launches < MOST_LAUNCHES ? launches : MOST_LAUNCHES;
    int64_t count = (few + w->n - 1) / w->n * w->n;
    int64_t times = (launches + count - 1) / count;
    int64_t ahead = few > count / 3 ? few : count / 3;
    CUgraphExec lead = NULL, body = NULL;
    gdr_status st = get_graph(b, w, count - ahead, ahead, &lead);

    if (st == GDR_OK)
        st = get_graph(b, w, 0, count, &body);
    for (int i = 0; i < MOST_TRIES && st == GDR_OK; i++) {
        st = replay(b, lead, body, times, ns);
        if (st == GDR_OK && *ns >= sample_ns)
            break;
        times *= 1 + (int64_t)ceil(sample_ns / fmax(*ns, sample_ns / 1e3));
    }
    *ns /= (double)(times * count);
    return st;
}

/* One by one. busy: behind a lead-in that the card still works on, so that the
 * host's latency does not show; else that is part of it. */
static gdr_status sample_eager(bench *b, const walk *w, int64_t from,
                               int64_t launches, int busy, double *ns)
{
    const gdr_cuda_driver *f = &b->d->driver;
    gdr_status st = steps(b, w, from, busy ? launches : EAGER_WARM);
    CUresult code = CUDA_SUCCESS;

    if (st != GDR_OK)
        return st;
    if (!busy)
        code = f->stream_synchronize(b->stream);
    if (code == CUDA_SUCCESS)
        code = f->event_record(b->begin, b->stream);
    if (code != CUDA_SUCCESS)
        return gdr_cuda_note(b->d, code);
    st = steps(b, w, from, launches);
    if (st == GDR_OK)
        st = read_events(b, CUDA_SUCCESS, ns);
    *ns /= (double)launches;
    return st;
}

/* ---- what the target offers ---- */

/* The bench with the context current; NULL: *st says why. Either way it is
 * left with gdr_cuda_leave. */
static bench *enter(gdr_cuda_device *d, int *entered, gdr_status *st)
{
    bench *b = NULL;

    *entered = 0;
    *st = gdr_cuda_retain(d, NULL, 0);
    if (*st == GDR_OK)
        *st = gdr_cuda_note(d, gdr_cuda_enter(d, entered));
    if (*st == GDR_OK)
        *st = get_bench(d, &b);
    return b;
}

/* Starts at the ring's first set, whatever *at: the whole ring is walked. */
gdr_status gdr_cuda_time(const gdr_recipe *r, const gdr_args *ring, int n_ring,
                         int *at, int64_t launches, double *ns)
{
    const walk w = {.recipe = r, .ring = ring, .n = n_ring};
    int entered;
    gdr_status st;
    bench *b = enter(r->dev, &entered, &st);

    if (b)
        st = sample_graph(b, &w, launches, ns);
    if (st == GDR_ERR_NO_MEMORY && b) { /* the graphs of others took it */
        drop_graphs(b, -1, 0);
        st = sample_graph(b, &w, launches, ns);
    }
    *at = 0;
    gdr_cuda_leave(r->dev, entered);
    return st;
}

gdr_status gdr_cuda_time_eager(const gdr_recipe *r, const gdr_args *ring,
                               int n_ring, int *at, int64_t launches,
                               double *ns)
{
    const walk w = {.recipe = r, .ring = ring, .n = n_ring};
    int entered;
    gdr_status st;
    bench *b = enter(r->dev, &entered, &st);

    if (b)
        st = sample_eager(b, &w, *at, launches, 0, ns);
    *at = (int)((*at + launches) % n_ring);
    gdr_cuda_leave(r->dev, entered);
    return st;
}

/* The faster of two ways to have it copied: a yardstick must not be short. The
 * pieces lie in one ring, half of it apart, so that both what is read and what
 * is written is cold, and large problems need no more memory. */
gdr_status gdr_cuda_roofline(void *dev, void *p, size_t all, size_t bytes,
                             int64_t *at, double *ns)
{
    const double worth = 1e9; /* bytes that take 200 us or more to copy */
    size_t piece = (bytes < all / 2 ? bytes : all / 2) / 256 * 256;
    walk w = {.p = (CUdeviceptr)(uintptr_t)p, .bytes = piece};
    double slow_ns = INFINITY;
    int64_t launches;
    int entered;
    gdr_status st;
    bench *b;

    *at = 0; /* the whole ring is walked */
    if (!piece)
        return GDR_ERR_ARG;
    w.n = (int64_t)(all / piece);
    launches = (int64_t)ceil(worth / (2 * (double)piece));
    launches = launches < 512 ? launches : 512;
    b = enter(dev, &entered, &st);
    if (b)
        st = sample_graph(b, &w, launches, ns);
    if (b && st == GDR_OK)
        st = sample_eager(b, &w, 0, launches, 1, &slow_ns);
    gdr_cuda_leave(dev, entered);
    *ns = fmin(*ns, slow_ns) * ((double)bytes / (double)piece);
    return st;
}

#else
/* ISO C wants something in every file. */
typedef int gdr_cuda_time_is_absent;
#endif
