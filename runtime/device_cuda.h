/*
 * device_cuda.h - a card in this process, for the backend and for the tuner,
 * which adds memory and time to it (tuner/target_cuda.c).
 *
 * Opening reads what the card is and makes no context: the tuner's parent must
 * never have one. The card's primary context, which a serving engine has
 * anyway, is retained at the first load or allocation.
 */
#ifndef GDR_DEVICE_CUDA_H
#define GDR_DEVICE_CUDA_H

#include "backend.h"
#include "cuda_driver.h"
#include "hot.h"

#if GDR_CUDA
#include <sys/types.h>

typedef struct gdr_cuda_module gdr_cuda_module;

typedef struct gdr_cuda_device {
    /* what a launch reads, in one line with what leads the driver's table */
    CUcontext context;      /* NULL: nothing needed it yet */
    _Atomic int last_error; /* CUresult of the last failure; 0: none */
    int cc;                 /* 90: compute capability 9.0 */
    gdr_cuda_driver driver;
    CUdevice card;
    pid_t owner; /* who retained it: a forked child has none */
    gdr_device_info info;
    gdr_cuda_module *modules;
    /* What the tuner keeps with the card; closed before the context goes. */
    void *bench;
    void (*bench_close)(void *bench);
} gdr_cuda_device;

/* Retains the context when there is none. GDR_ERR_NO_MEMORY,
 * GDR_ERR_NO_DEVICE with msg. */
gdr_status gdr_cuda_retain(gdr_cuda_device *d, char *msg, size_t n);

/* Makes the card's context current to this thread if it is not, and takes it
 * back. *entered is for leave alone. */
CUresult gdr_cuda_enter(const gdr_cuda_device *d, int *entered);
void gdr_cuda_leave(const gdr_cuda_device *d, int entered);

/* Remembers a failure; GDR_OK, GDR_ERR_NO_MEMORY or GDR_ERR_LAUNCH. */
GDR_HOT gdr_status gdr_cuda_note(gdr_cuda_device *d, CUresult code);

#endif
#endif
