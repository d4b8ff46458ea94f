/*
 * fake.h - an NVIDIA driver for tests: libcuda.so.1 as a program would see it,
 * on a machine without a card. Device memory is the host's, a launch is
 * computed with gdr_reference, and whatever can go wrong goes wrong on demand.
 * Strict where the real one is: contexts, captures, limits of a launch.
 *
 * $FAKE_CUDA is read by each cuInit, "key=value,...":
 *
 *     devices=1 cc=90 sms=132 l2_kib=64 memory_mib=1024 name=TEXT
 *     init=CODE             cuInit returns it
 *     lazy=1                kernels are loaded by their first launch
 *     oom_after=N           allocations fail from the N-th on
 *     launch=N:CODE         the N-th launch returns CODE
 *     poison=N:CODE         the N-th launch breaks the context with CODE
 *     hang=N                the N-th launch never ends
 *     clock=script:SEED     times follow from images; else from the host
 *     noisy=PERCENT slow=FACTOR   of the scripted clock
 *     skip=1                replays of graphs compute nothing
 *
 * An image is anything that holds "gdr-problem:STATICS;". Words in it bring
 * failures to it alone: fake-crash fake-hang fake-refuse fake-wrong fake-slow.
 */
#ifndef FAKE_H
#define FAKE_H

#pragma GCC visibility push(default)
#include <cuda.h>

/* What a test may ask: "contexts" "modules" "allocations" "launches" "early"
 * (programmatic dependent launches) "pushes" "graphs" "nodes" "replays"
 * "copies". -1: no such count. */
long fake_cuda_count(const char *what);
#pragma GCC visibility pop

#include "../../include/gdr.h"
#include "../../runtime/recurrent_abi.h"

#include <pthread.h>

enum { FAKE_MOST_DEVICES = 8 };

typedef struct fake_config {
    int devices, cc, sms, l2_kib, memory_mib, init, lazy, skip;
    long oom_after, fail_at, poison_at, hang_at;
    int fail_code, poison_code;
    int scripted;
    unsigned long seed;
    double noisy, slow;
    char name[128];
} fake_config;

typedef struct fake_counts {
    long contexts, modules, allocations, launches, early, pushes, graphs, nodes,
        replays, copies;
} fake_counts;

struct CUctx_st {
    int users;
    CUresult poison;
    int hung;
};

/* The one that every call locks. */
typedef struct fake_world {
    pthread_mutex_t lock;
    int started;
    fake_config config;
    fake_counts count;
    struct CUctx_st context[FAKE_MOST_DEVICES];
    long bytes; /* of live allocations */
    long tried_allocations;
} fake_world;

extern fake_world fake;

/* The context of this thread, or NULL. */
CUcontext fake_current(void);
/* CUDA_SUCCESS, or what any call with the current context returns. */
CUresult fake_check(void);
/* The same with another. */
CUresult fake_check_in(CUcontext context);
/* The same for calls that a capture on this thread forbids. */
CUresult fake_check_outside_capture(void);
extern _Thread_local CUstream fake_capturing;
/* Never returns when something hangs in the current context. */
void fake_wait(void);

typedef enum fake_mark {
    FAKE_CRASH = 1,
    FAKE_HANG = 2,
    FAKE_REFUSE = 4,
    FAKE_WRONG = 8,
    FAKE_SLOW = 16
} fake_mark;

struct CUmod_st {
    CUcontext context;
    int marks;
    int understood; /* s is set */
    gdr_static s;
    unsigned long hash;
    struct CUfunc_st *functions;
};

struct CUfunc_st {
    struct CUfunc_st *next;
    CUmodule module;
    int loaded;
    int smem_most;
    char name[256];
};

/* The op from its packed parameters. */
CUresult fake_compute(const struct CUmod_st *m, const gdr_recurrent_params *p);

/* Nanoseconds of the sample-th launch of an image; scripted clock. */
double fake_launch_ns(const struct CUmod_st *m, unsigned long sample);

#endif
