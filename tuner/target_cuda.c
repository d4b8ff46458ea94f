/*
 * target_cuda.c - an NVIDIA card as something to tune for: its memory, and what
 * its failures mean. Everything here runs in a worker; the tuner's own process
 * never has a context.
 */
#include "compile_nvrtc.h"
#include "target.h"
#include "target_cuda.h"

#include "../runtime/device_cuda.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern const gdr_target gdr_target_cuda;

/* A context takes a second to make, and on a busy machine longer. */
static const double least_deadline_s = 10;

#if GDR_CUDA

/* What lies before and after each allocation is ours, too: a kernel that runs
 * over its buffer by a vector shows in the red zones, and hits nobody else's.
 * Also keeps the alignment of cuMemAlloc, 256 bytes. */
enum { GUARD = 4096 };

/* ---- memory ---- */

static gdr_status mem_alloc(void *dev, size_t bytes, void **p)
{
    gdr_cuda_device *d = dev;
    CUdeviceptr at = 0;
    CUresult code;
    int entered;
    gdr_status st = gdr_cuda_retain(d, NULL, 0);

    *p = NULL;
    if (st != GDR_OK)
        return st;
    if (bytes > SIZE_MAX / 2)
        return GDR_ERR_NO_MEMORY;
    code = gdr_cuda_enter(d, &entered);
    if (code == CUDA_SUCCESS)
        code = d->driver.mem_alloc(&at, bytes + 2 * GUARD);
    gdr_cuda_leave(d, entered);
    if (code == CUDA_SUCCESS)
        *p = (void *)(uintptr_t)(at + GUARD);
    return gdr_cuda_note(d, code);
}

static void mem_free(void *dev, void *p)
{
    gdr_cuda_device *d = dev;
    int entered;

    if (!p || gdr_cuda_enter(d, &entered) != CUDA_SUCCESS)
        return;
    d->driver.mem_free((CUdeviceptr)(uintptr_t)p - GUARD);
    gdr_cuda_leave(d, entered);
}

/* Both copies are in the order of the legacy stream, where the gate launches;
 * the stream of time waits for that, and is waited for. */
static gdr_status mem_write(void *dev, void *dst, const void *host,
                            size_t bytes)
{
    gdr_cuda_device *d = dev;
    int entered;
    CUresult code;

    if (!bytes)
        return GDR_OK;
    code = gdr_cuda_enter(d, &entered);
    if (code == CUDA_SUCCESS)
        code = d->driver.copy_to((CUdeviceptr)(uintptr_t)dst, host, bytes);
    gdr_cuda_leave(d, entered);
    return gdr_cuda_note(d, code);
}

static gdr_status mem_read(void *dev, void *host, const void *src, size_t bytes)
{
    gdr_cuda_device *d = dev;
    int entered;
    CUresult code;

    if (!bytes)
        return GDR_OK;
    code = gdr_cuda_enter(d, &entered);
    if (code == CUDA_SUCCESS)
        code = d->driver.copy_from(host, (CUdeviceptr)(uintptr_t)src, bytes);
    gdr_cuda_leave(d, entered);
    return gdr_cuda_note(d, code);
}

/* ---- failures ---- */

static gdr_status wait_all(void *dev)
{
    gdr_cuda_device *d = dev;
    int entered;
    CUresult code;

    if (!d->context)
        return GDR_OK;
    code = gdr_cuda_enter(d, &entered);
    if (code == CUDA_SUCCESS)
        code = d->driver.context_synchronize();
    gdr_cuda_leave(d, entered);
    return gdr_cuda_note(d, code) == GDR_OK ? GDR_OK : GDR_ERR_LAUNCH;
}

/* A kernel did it, and not the way that it was launched. */
static const char *outcome_of(CUresult code)
{
    static const CUresult crashes[] = {
        CUDA_ERROR_ILLEGAL_ADDRESS,
        CUDA_ERROR_MISALIGNED_ADDRESS,
        CUDA_ERROR_ILLEGAL_INSTRUCTION,
        CUDA_ERROR_HARDWARE_STACK_ERROR,
        CUDA_ERROR_INVALID_ADDRESS_SPACE,
        CUDA_ERROR_INVALID_PC,
        CUDA_ERROR_ASSERT,
        CUDA_ERROR_LAUNCH_FAILED,
    };

    if (code == CUDA_ERROR_LAUNCH_TIMEOUT)
        return "timeout";
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
        if (crashes[i] == code)
            return "crash";
    return "launch";
}

/* Does the context still do anything? After an illegal address it says no to
 * all, forever. */
static CUresult probe(const gdr_cuda_device *d)
{
    CUdeviceptr p = 0;
    int entered;
    CUresult code = gdr_cuda_enter(d, &entered);

    if (code == CUDA_SUCCESS)
        code = d->driver.context_synchronize();
    if (code == CUDA_SUCCESS)
        code = d->driver.mem_alloc(&p, GUARD);
    if (code == CUDA_SUCCESS)
        code = d->driver.mem_free(p);
    gdr_cuda_leave(d, entered);
    return code;
}

static int explain(void *dev, const char **outcome, char *note, size_t n)
{
    gdr_cuda_device *d = dev;
    CUresult last = (CUresult)d->last_error;
    CUresult now = d->context ? probe(d) : CUDA_SUCCESS;
    int poisoned = now != CUDA_SUCCESS && now != CUDA_ERROR_OUT_OF_MEMORY;

    if (poisoned) /* the cause, where what failed last was a consequence */
        last = now;
    *outcome = outcome_of(last);
    if (n)
        *note = 0;
    if (last != CUDA_SUCCESS)
        gdr_cuda_describe(&d->driver, last, note, n);
    d->last_error = CUDA_SUCCESS;
    return poisoned;
}

const gdr_target gdr_target_cuda = {
    .kind = "cuda",
    .templates = "cuda",
    .backend = &gdr_backend_cuda,
    .compiler = gdr_nvrtc_identity,
    .compile = gdr_nvrtc_compile,
    .alloc = mem_alloc,
    .free = mem_free,
    .write = mem_write,
    .read = mem_read,
    .wait = wait_all,
    .explain = explain,
    .keeps_worker = 1,
    .own_memory = 1,
    .deadline_s = least_deadline_s,
    .time = gdr_cuda_time,
    .time_eager = gdr_cuda_time_eager,
    .roofline = gdr_cuda_roofline,
};

#else

/* Compiles for cards, and never opens one. */
const gdr_target gdr_target_cuda = {
    .kind = "cuda",
    .backend = &gdr_backend_cuda,
    .compiler = gdr_nvrtc_identity,
    .compile = gdr_nvrtc_compile,
    .keeps_worker = 1,
    .own_memory = 1,
    .deadline_s = least_deadline_s,
};

#endif
