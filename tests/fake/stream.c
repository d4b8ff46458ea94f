/*
 * stream.c - launches, streams, events and graphs of the fake driver. What is
 * put on a stream is done at once; a failure shows where the real one shows it:
 * at the next call that waits. A stream's clock advances by what its work
 * would have taken.
 */
#ifdef GDR_CUDA
#include "fake.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct node {
    CUfunction function; /* NULL: a copy */
    gdr_recurrent_params params;
    CUdeviceptr to, from;
    size_t bytes;
} node;

struct CUgraph_st {
    node *nodes;
    long n, room;
};

struct CUgraphExec_st {
    struct CUgraph_st graph;
};

struct CUstream_st {
    CUcontext context; /* NULL: of whichever is current */
    CUgraph capture;   /* NULL: not capturing */
    double now_ns;
};

struct CUevent_st {
    double at_ns;
    int recorded;
};

static struct CUstream_st legacy;

static double host_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static CUstream stream_of(CUstream s)
{
    return (uintptr_t)s > (uintptr_t)CU_STREAM_PER_THREAD ? s : &legacy;
}

/* ---- doing ---- */

static int put_node(CUgraph g, const node *x)
{
    if (g->n == g->room) {
        long room = g->room ? 2 * g->room : 64;
        node *grown = realloc(g->nodes, (size_t)room * sizeof *grown);
        if (!grown)
            return 0;
        g->nodes = grown;
        g->room = room;
    }
    g->nodes[g->n++] = *x;
    return 1;
}

/* compute 0: only the time passes. */
static void run(CUstream s, const node *x, int compute)
{
    if (!x->function) {
        if (compute)
            memmove((void *)(uintptr_t)x->to, (void *)(uintptr_t)x->from,
                    x->bytes);
        s->now_ns += 1e3 + (double)x->bytes / 1500;
        return;
    }
    const struct CUmod_st *m = x->function->module;
    CUcontext c = m->context;
    long i = ++fake.count.launches;
    s->now_ns += fake_launch_ns(m, (unsigned long)i);
    if (c->poison || c->hung)
        return;
    if (m->marks & FAKE_HANG || i == fake.config.hang_at)
        c->hung = 1;
    else if (i == fake.config.poison_at)
        c->poison = (CUresult)fake.config.poison_code;
    else if (m->marks & FAKE_CRASH)
        c->poison = CUDA_ERROR_ILLEGAL_ADDRESS;
    else if (compute)
        c->poison = fake_compute(m, &x->params);
}

/* Runs it, or writes it down. */
static CUresult submit(CUstream stream, const node *x)
{
    CUstream s = stream_of(stream);

    if (s->capture)
        return put_node(s->capture, x) ? CUDA_SUCCESS
                                       : CUDA_ERROR_OUT_OF_MEMORY;
    if (fake_capturing && s == &legacy)
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    run(s, x, 1);
    return CUDA_SUCCESS;
}

static CUresult check_launch(CUfunction f, const unsigned dims[7], CUstream s)
{
    CUcontext c = stream_of(s)->context;
    CUresult code = fake_check_in(c ? c : fake_current());

    if (code != CUDA_SUCCESS)
        return code;
    if (f->module->context != (c ? c : fake_current()))
        return CUDA_ERROR_INVALID_HANDLE;
    for (int i = 0; i < 6; i++)
        if (!dims[i])
            return CUDA_ERROR_INVALID_VALUE;
    if (dims[0] > 2147483647u || dims[1] > 65535 || dims[2] > 65535 ||
        dims[3] * dims[4] * dims[5] > 512 || dims[6] > (unsigned)f->smem_most)
        return CUDA_ERROR_INVALID_VALUE;
    if (!f->loaded && stream_of(s)->capture)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    return CUDA_SUCCESS;
}

static CUresult launch(CUfunction f, const unsigned dims[7], CUstream stream,
                       void **params)
{
    node x = {.function = f};
    CUresult code;

    pthread_mutex_lock(&fake.lock);
    code = check_launch(f, dims, stream);
    if (code == CUDA_SUCCESS && fake.config.fail_at &&
        fake.count.launches + 1 == fake.config.fail_at &&
        !stream_of(stream)->capture) {
        fake.count.launches++;
        code = (CUresult)fake.config.fail_code;
    }
    if (code == CUDA_SUCCESS) {
        f->loaded = 1;
        memcpy(&x.params, params[0], sizeof x.params);
        code = submit(stream, &x);
    }
    pthread_mutex_unlock(&fake.lock);
    return code;
}

CUresult cuLaunchKernel(CUfunction f, unsigned grid_x, unsigned grid_y,
                        unsigned grid_z, unsigned block_x, unsigned block_y,
                        unsigned block_z, unsigned smem, CUstream stream,
                        void **params, void **extra)
{
    const unsigned dims[] = {grid_x,  grid_y,  grid_z, block_x,
                             block_y, block_z, smem};

    return extra ? CUDA_ERROR_INVALID_VALUE : launch(f, dims, stream, params);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *c, CUfunction f, void **params,
                          void **extra)
{
    const unsigned dims[] = {c->gridDimX,      c->gridDimY,  c->gridDimZ,
                             c->blockDimX,     c->blockDimY, c->blockDimZ,
                             c->sharedMemBytes};
    CUresult code;

    if (extra || c->numAttrs != 1 ||
        c->attrs->id != CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION ||
        fake.config.cc < 90)
        return CUDA_ERROR_NOT_SUPPORTED;
    code = launch(f, dims, c->hStream, params);
    fake.count.early += code == CUDA_SUCCESS;
    return code;
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                           CUstream stream)
{
    const node x = {.to = to, .from = from, .bytes = bytes};
    CUresult code = fake_check();

    fake.count.copies++;
    return code == CUDA_SUCCESS ? submit(stream, &x) : code;
}

/* ---- streams ---- */

CUresult cuStreamCreate(CUstream *stream, unsigned flags)
{
    CUresult code = fake_check_outside_capture();

    (void)flags;
    if (code != CUDA_SUCCESS)
        return code;
    *stream = calloc(1, sizeof **stream);
    if (!*stream)
        return CUDA_ERROR_OUT_OF_MEMORY;
    (*stream)->context = fake_current();
    return CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream stream)
{
    free(stream);
    return fake_check();
}

CUresult cuStreamSynchronize(CUstream stream)
{
    CUresult code = fake_check();

    if (stream_of(stream)->capture)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (code == CUDA_SUCCESS)
        fake_wait();
    return code;
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *how)
{
    *how = stream_of(stream)->capture ? CU_STREAM_CAPTURE_STATUS_ACTIVE
                                      : CU_STREAM_CAPTURE_STATUS_NONE;
    return fake_check();
}

CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode)
{
    CUresult code = fake_check_outside_capture();

    (void)mode;
    if (code != CUDA_SUCCESS)
        return code;
    if (!stream)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    stream->capture = calloc(1, sizeof *stream->capture);
    fake_capturing = stream;
    return stream->capture ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph)
{
    if (!stream || !stream->capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    *graph = stream->capture;
    stream->capture = NULL;
    fake_capturing = NULL;
    return fake_check();
}

/* ---- events ---- */

CUresult cuEventCreate(CUevent *event, unsigned flags)
{
    (void)flags;
    *event = calloc(1, sizeof **event);
    return *event ? fake_check() : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuEventDestroy(CUevent event)
{
    free(event);
    return fake_check();
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
    event->at_ns = fake.config.scripted ? stream_of(stream)->now_ns : host_ns();
    event->recorded = 1;
    return fake_check();
}

CUresult cuEventSynchronize(CUevent event)
{
    CUresult code = fake_check();

    (void)event;
    if (code == CUDA_SUCCESS)
        fake_wait();
    return code;
}

/* cuda.h of CUDA 13 gives this name to another. */
#undef cuEventElapsedTime
__attribute__((visibility("default"))) CUresult
cuEventElapsedTime(float *ms, CUevent begin, CUevent end);

CUresult cuEventElapsedTime(float *ms, CUevent begin, CUevent end)
{
    if (!begin->recorded || !end->recorded)
        return CUDA_ERROR_INVALID_HANDLE;
    *ms = (float)((end->at_ns - begin->at_ns) * 1e-6);
    return fake_check();
}

/* ---- graphs ---- */

CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph graph,
                                     unsigned long long flags)
{
    CUgraphExec g = calloc(1, sizeof *g);

    (void)flags;
    if (!g)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (long i = 0; i < graph->n; i++)
        put_node(&g->graph, &graph->nodes[i]);
    fake.count.graphs++;
    fake.count.nodes += graph->n;
    *out = g;
    return fake_check();
}

CUresult cuGraphUpload(CUgraphExec graph, CUstream stream)
{
    (void)graph;
    (void)stream;
    return fake_check();
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream)
{
    CUresult code = fake_check();

    fake.count.replays++;
    for (long i = 0; i < exec->graph.n && code == CUDA_SUCCESS; i++)
        run(stream_of(stream), &exec->graph.nodes[i], !fake.config.skip);
    return code;
}

CUresult cuGraphDestroy(CUgraph graph)
{
    free(graph->nodes);
    free(graph);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec exec)
{
    fake.count.graphs--;
    fake.count.nodes -= exec->graph.n;
    free(exec->graph.nodes);
    free(exec);
    return CUDA_SUCCESS;
}
#endif
