/*
 * cuda_driver.h - the functions of the NVIDIA driver, found in libcuda.so.1
 * when a card is first asked for and never linked, so that one binary runs
 * where there is none. Only types come from the toolkit's cuda.h; where the
 * Makefile finds none GDR_CUDA is not set, and there are no cards.
 *
 * The names are the oldest that do what we need, so that a build against
 * CUDA 13 works with a driver of CUDA 12: cuda.h would turn cuEventElapsedTime
 * into a name that only 13 has.
 */
#ifndef GDR_CUDA_DRIVER_H
#define GDR_CUDA_DRIVER_H

#include "gdr.h"

#if GDR_CUDA
#include <cuda.h>

typedef struct gdr_cuda_driver {
    /* at every launch */
    CUresult (*launch)(CUfunction function, unsigned grid_x, unsigned grid_y,
                       unsigned grid_z, unsigned block_x, unsigned block_y,
                       unsigned block_z, unsigned smem_bytes, CUstream stream,
                       void **params, void **extra);
    CUresult (*launch_ex)(const CUlaunchConfig *config, CUfunction function,
                          void **params, void **extra); /* 11.8; or NULL */

    CUresult (*init)(unsigned flags);
    CUresult (*driver_version)(int *version);
    CUresult (*error_name)(CUresult code, const char **text);
    CUresult (*error_string)(CUresult code, const char **text);

    CUresult (*device_count)(int *count);
    CUresult (*device_get)(CUdevice *device, int ordinal);
    CUresult (*device_name)(char *name, int n, CUdevice device);
    CUresult (*device_bus)(char *text, int n, CUdevice device);
    CUresult (*device_total_mem)(size_t *bytes, CUdevice device);
    CUresult (*device_attribute)(int *value, CUdevice_attribute attribute,
                                 CUdevice device);

    CUresult (*primary_retain)(CUcontext *context, CUdevice device);
    CUresult (*primary_release)(CUdevice device);
    CUresult (*context_current)(CUcontext *context);
    CUresult (*context_push)(CUcontext context);
    CUresult (*context_pop)(CUcontext *context);
    CUresult (*context_synchronize)(void);

    CUresult (*module_load)(CUmodule *module, const void *image, unsigned n,
                            CUjit_option *option, void **value);
    CUresult (*module_unload)(CUmodule module);
    CUresult (*module_function)(CUfunction *function, CUmodule module,
                                const char *name);
    CUresult (*function_attribute)(int *value, CUfunction_attribute attribute,
                                   CUfunction function);
    CUresult (*function_set)(CUfunction function, CUfunction_attribute which,
                             int value);
    CUresult (*function_load)(CUfunction function);      /* 12.4; or NULL */
    CUresult (*function_loaded)(int *yes, CUfunction f); /* 12.4; or NULL */
    CUresult (*function_param)(CUfunction f, size_t i, size_t *offset,
                               size_t *bytes); /* 12.4; or NULL */

    CUresult (*mem_info)(size_t *free_bytes, size_t *total_bytes);
    CUresult (*mem_alloc)(CUdeviceptr *p, size_t bytes);
    CUresult (*mem_free)(CUdeviceptr p);
    CUresult (*copy_to)(CUdeviceptr to, const void *from, size_t bytes);
    CUresult (*copy_from)(void *to, CUdeviceptr from, size_t bytes);
    CUresult (*copy_async)(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                           CUstream stream);

    CUresult (*stream_create)(CUstream *stream, unsigned flags);
    CUresult (*stream_destroy)(CUstream stream);
    CUresult (*stream_synchronize)(CUstream stream);
    CUresult (*stream_capturing)(CUstream stream, CUstreamCaptureStatus *how);
    CUresult (*stream_begin_capture)(CUstream stream, CUstreamCaptureMode mode);
    CUresult (*stream_end_capture)(CUstream stream, CUgraph *graph);
    CUresult (*event_create)(CUevent *event, unsigned flags);
    CUresult (*event_destroy)(CUevent event);
    CUresult (*event_record)(CUevent event, CUstream stream);
    CUresult (*event_synchronize)(CUevent event);
    CUresult (*event_elapsed)(float *ms, CUevent begin, CUevent end);
    CUresult (*graph_instantiate)(CUgraphExec *out, CUgraph graph,
                                  unsigned long long flags);
    CUresult (*graph_upload)(CUgraphExec graph, CUstream stream);
    CUresult (*graph_launch)(CUgraphExec graph, CUstream stream);
    CUresult (*graph_destroy)(CUgraph graph);
    CUresult (*graph_exec_destroy)(CUgraphExec graph);
} gdr_cuda_driver;

/* Fills the table and starts the driver. It stays in the process: it has
 * threads of its own. GDR_ERR_NO_DEVICE says what is missing and what to do;
 * the toolkit's stub counts as missing. */
gdr_status gdr_cuda_driver_open(gdr_cuda_driver *out, char *msg, size_t n);

/* "CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access ..." */
void gdr_cuda_describe(const gdr_cuda_driver *d, CUresult code, char *text,
                       size_t n);

#endif
#endif
