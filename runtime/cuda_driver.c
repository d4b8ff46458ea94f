/* cuda_driver.c - see cuda_driver.h; the names are listed here and nowhere
 * else. */
#include "cuda_driver.h"

#if GDR_CUDA
#include "status.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const struct {
    size_t at;
    const char *name;
    int optional;
} functions[] = {
#define AT(field) offsetof(gdr_cuda_driver, field)
    {AT(init), "cuInit", 0},
    {AT(driver_version), "cuDriverGetVersion", 0},
    {AT(error_name), "cuGetErrorName", 0},
    {AT(error_string), "cuGetErrorString", 0},
    {AT(device_count), "cuDeviceGetCount", 0},
    {AT(device_get), "cuDeviceGet", 0},
    {AT(device_name), "cuDeviceGetName", 0},
    {AT(device_bus), "cuDeviceGetPCIBusId", 0},
    {AT(device_total_mem), "cuDeviceTotalMem_v2", 0},
    {AT(device_attribute), "cuDeviceGetAttribute", 0},
    {AT(primary_retain), "cuDevicePrimaryCtxRetain", 0},
    {AT(primary_release), "cuDevicePrimaryCtxRelease_v2", 0},
    {AT(context_current), "cuCtxGetCurrent", 0},
    {AT(context_push), "cuCtxPushCurrent_v2", 0},
    {AT(context_pop), "cuCtxPopCurrent_v2", 0},
    {AT(context_synchronize), "cuCtxSynchronize", 0},
    {AT(module_load), "cuModuleLoadDataEx", 0},
    {AT(module_unload), "cuModuleUnload", 0},
    {AT(module_function), "cuModuleGetFunction", 0},
    {AT(function_attribute), "cuFuncGetAttribute", 0},
    {AT(function_set), "cuFuncSetAttribute", 0},
    {AT(function_load), "cuFuncLoad", 1},
    {AT(function_loaded), "cuFuncIsLoaded", 1},
    {AT(function_param), "cuFuncGetParamInfo", 1},
    {AT(launch), "cuLaunchKernel", 0},
    {AT(launch_ex), "cuLaunchKernelEx", 1},
    {AT(mem_info), "cuMemGetInfo_v2", 0},
    {AT(mem_alloc), "cuMemAlloc_v2", 0},
    {AT(mem_free), "cuMemFree_v2", 0},
    {AT(copy_to), "cuMemcpyHtoD_v2", 0},
    {AT(copy_from), "cuMemcpyDtoH_v2", 0},
    {AT(copy_async), "cuMemcpyDtoDAsync_v2", 0},
    {AT(stream_create), "cuStreamCreate", 0},
    {AT(stream_destroy), "cuStreamDestroy_v2", 0},
    {AT(stream_synchronize), "cuStreamSynchronize", 0},
    {AT(stream_capturing), "cuStreamIsCapturing", 0},
    {AT(stream_begin_capture), "cuStreamBeginCapture_v2", 0},
    {AT(stream_end_capture), "cuStreamEndCapture", 0},
    {AT(event_create), "cuEventCreate", 0},
    {AT(event_destroy), "cuEventDestroy_v2", 0},
    {AT(event_record), "cuEventRecord", 0},
    {AT(event_synchronize), "cuEventSynchronize", 0},
    {AT(event_elapsed), "cuEventElapsedTime", 0},
    {AT(graph_instantiate), "cuGraphInstantiateWithFlags", 0},
    {AT(graph_upload), "cuGraphUpload", 0},
    {AT(graph_launch), "cuGraphLaunch", 0},
    {AT(graph_destroy), "cuGraphDestroy", 0},
    {AT(graph_exec_destroy), "cuGraphExecDestroy", 0},
#undef AT
};

static gdr_status find_functions(void *library, gdr_cuda_driver *out, char *msg,
                                 size_t n)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *symbol = dlsym(library, functions[i].name);
        if (!symbol && !functions[i].optional)
            return gdr_fail(GDR_ERR_NO_DEVICE, msg, n,
                            "the NVIDIA driver is too old: libcuda.so.1 has no "
                            "%s; update it, or use --device cpu",
                            functions[i].name);
        memcpy((char *)out + functions[i].at, &symbol, sizeof symbol);
    }
    return GDR_OK;
}

void gdr_cuda_describe(const gdr_cuda_driver *d, CUresult code, char *text,
                       size_t n)
{
    const char *name = NULL, *words = NULL;

    d->error_name(code, &name);
    d->error_string(code, &words);
    snprintf(text, n, "%s (%d): %s", name ? name : "CUDA error", (int)code,
             words ? words : "unknown");
}

/* CUDA_ERROR_STUB_LIBRARY: the toolkit's file for linkers was found in place of
 * a driver. */
static gdr_status start(const gdr_cuda_driver *d, char *msg, size_t n)
{
    char why[256];
    CUresult code = d->init(0);

    if (code == CUDA_SUCCESS)
        return GDR_OK;
    if (code == CUDA_ERROR_STUB_LIBRARY)
        return gdr_fail(GDR_ERR_NO_DEVICE, msg, n,
                        "no NVIDIA driver: libcuda.so.1 is the toolkit's stub; "
                        "use --device cpu, or install the driver");
    if (code == CUDA_ERROR_NO_DEVICE)
        return gdr_fail(GDR_ERR_NO_DEVICE, msg, n,
                        "the NVIDIA driver finds no card; use --device cpu "
                        "(is CUDA_VISIBLE_DEVICES set?)");
    gdr_cuda_describe(d, code, why, sizeof why);
    return gdr_fail(GDR_ERR_NO_DEVICE, msg, n,
                    "the NVIDIA driver does not start: %s; use --device cpu",
                    why);
}

gdr_status gdr_cuda_driver_open(gdr_cuda_driver *out, char *msg, size_t n)
{
    void *library =
        dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    gdr_status status;

    if (!library)
        return gdr_fail(GDR_ERR_NO_DEVICE, msg, n,
                        "no NVIDIA driver: libcuda.so.1 not found; use "
                        "--device cpu, or install the driver");
    status = find_functions(library, out, msg, n);
    if (status == GDR_OK)
        status = start(out, msg, n);
    dlclose(library); /* RTLD_NODELETE: it stays mapped */
    return status;
}
#else
/* ISO C wants something in every file. */
typedef int gdr_cuda_driver_is_absent;
#endif
