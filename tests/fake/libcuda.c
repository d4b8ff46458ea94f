/* libcuda.c - cards, contexts, images and memory of the fake driver. */
#ifdef GDR_CUDA
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 16 };

static _Thread_local CUcontext stack[DEPTH];
static _Thread_local int depth;

/* ---- words ---- */

CUresult cuDriverGetVersion(int *version)
{
    *version = 12080;
    return CUDA_SUCCESS;
}

/* NVRTC asks, and crashes where this is not even there. */
CUresult cuGetExportTable(const void **table, const CUuuid *id)
{
    (void)id;
    *table = NULL;
    return CUDA_ERROR_NOT_FOUND;
}

static const struct {
    CUresult code;
    const char *name, *words;
} errors[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS",
     "an illegal memory access was encountered"},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {CUDA_ERROR_LAUNCH_TIMEOUT, "CUDA_ERROR_LAUNCH_TIMEOUT",
     "the launch timed out and was terminated"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
};

CUresult cuGetErrorName(CUresult code, const char **text)
{
    *text = "CUDA_ERROR_FAKE";
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].code == code)
            *text = errors[i].name;
    return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult code, const char **text)
{
    *text = "a fake error";
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].code == code)
            *text = errors[i].words;
    return CUDA_SUCCESS;
}

/* ---- cards ---- */

CUresult cuDeviceGetCount(int *count)
{
    *count = fake.config.devices;
    return fake.started ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    *device = ordinal;
    return ordinal >= 0 && ordinal < fake.config.devices
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetName(char *name, int n, CUdevice device)
{
    (void)device;
    snprintf(name, (size_t)n, "%s", fake.config.name);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char *text, int n, CUdevice device)
{
    snprintf(text, (size_t)n, "0000:%02x:00.0", device);
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device)
{
    (void)device;
    *bytes = (size_t)fake.config.memory_mib << 20;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute which,
                              CUdevice device)
{
    const struct {
        CUdevice_attribute which;
        int value;
    } list[] = {
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, fake.config.cc / 10},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, fake.config.cc % 10},
        {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, fake.config.sms},
        {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, fake.config.l2_kib << 10},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 232448},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, 233472},
        {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 5120},
        {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 2619000},
    };

    (void)device;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i].which == which) {
            *value = list[i].value;
            return CUDA_SUCCESS;
        }
    return CUDA_ERROR_INVALID_VALUE;
}

/* ---- contexts ---- */

CUcontext fake_current(void)
{
    return depth ? stack[depth - 1] : NULL;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    if (!fake.started)
        return CUDA_ERROR_NOT_INITIALIZED;
    *context = &fake.context[device];
    if (fake.context[device].users++ == 0)
        fake.count.contexts++;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
    if (fake.context[device].users < 1)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (--fake.context[device].users == 0) {
        fake.context[device].poison = CUDA_SUCCESS;
        fake.count.contexts--;
    }
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context)
{
    *context = fake_current();
    return fake.started ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

CUresult cuCtxPushCurrent(CUcontext context)
{
    if (!context || depth == DEPTH)
        return CUDA_ERROR_INVALID_CONTEXT;
    stack[depth++] = context;
    fake.count.pushes++;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *context)
{
    if (!depth)
        return CUDA_ERROR_INVALID_CONTEXT;
    depth--;
    if (context)
        *context = stack[depth];
    return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void)
{
    CUresult code = fake_check_outside_capture();

    if (code == CUDA_SUCCESS)
        fake_wait();
    return code;
}

/* ---- images ---- */

/* A cubin tells its length by its last section table, PTX by its 0. */
static size_t image_bytes(const char *image)
{
    const unsigned char *b = (const unsigned char *)image;
    uint64_t sections;
    uint16_t each, n;

    if (memcmp(image, "\177ELF", 4) != 0)
        return strlen(image);
    memcpy(&sections, b + 40, 8);
    memcpy(&each, b + 58, 2);
    memcpy(&n, b + 60, 2);
    return sections + (uint64_t)each * n;
}

static void understand(CUmodule m, const char *image, size_t bytes)
{
    static const char *const words[] = {
        "fake-crash", "fake-hang", "fake-refuse", "fake-wrong", "fake-slow"};
    static const char tag[] = "gdr-problem:";
    const char *at = memmem(image, bytes, tag, sizeof tag - 1);
    char text[GDR_PROBLEM_TEXT] = "";
    gdr_problem p;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (memmem(image, bytes, words[i], strlen(words[i])))
            m->marks |= 1 << i;
    m->hash = 1469598103934665603u;
    for (size_t i = 0; i < bytes; i++)
        m->hash = (m->hash ^ (unsigned char)image[i]) * 1099511628211u;
    if (!at)
        return;
    at += sizeof tag - 1;
    for (size_t i = 0; i + 1 < sizeof text && at + i < image + bytes; i++) {
        if (at[i] == ';')
            break;
        text[i] = at[i];
    }
    m->understood = gdr_problem_parse(text, &p, NULL, 0) == GDR_OK;
    m->s = p.s;
}

static void refuse_words(unsigned n, const CUjit_option *option, void **value)
{
    for (unsigned i = 0; i < n; i++)
        if (option[i] == CU_JIT_ERROR_LOG_BUFFER)
            strcpy(value[i], "fake-refuse stands in it\nand more");
}

CUresult cuModuleLoadDataEx(CUmodule *out, const void *image, unsigned n,
                            CUjit_option *option, void **value)
{
    CUresult code = fake_check_outside_capture();
    CUmodule m;

    if (code != CUDA_SUCCESS)
        return code;
    m = calloc(1, sizeof *m);
    if (!m)
        return CUDA_ERROR_OUT_OF_MEMORY;
    m->context = fake_current();
    understand(m, image, image_bytes(image));
    if (m->marks & FAKE_REFUSE) {
        refuse_words(n, option, value);
        free(m);
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    fake.count.modules++;
    *out = m;
    return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule m)
{
    while (m->functions) {
        CUfunction f = m->functions;
        m->functions = f->next;
        free(f);
    }
    free(m);
    fake.count.modules--;
    return CUDA_SUCCESS;
}

/* Any name but "absent..." is there. */
CUresult cuModuleGetFunction(CUfunction *out, CUmodule m, const char *name)
{
    CUresult code = fake_check();
    CUfunction f;

    if (code != CUDA_SUCCESS)
        return code;
    if (!strncmp(name, "absent", 6))
        return CUDA_ERROR_NOT_FOUND;
    f = calloc(1, sizeof *f);
    if (!f)
        return CUDA_ERROR_OUT_OF_MEMORY;
    f->module = m;
    f->smem_most = 48 << 10;
    snprintf(f->name, sizeof f->name, "%s", name);
    f->next = m->functions;
    m->functions = f;
    *out = f;
    return CUDA_SUCCESS;
}

CUresult cuFuncLoad(CUfunction f)
{
    f->loaded = !fake.config.lazy;
    return fake_check_outside_capture();
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction f)
{
    *state = f->loaded ? CU_FUNCTION_LOADING_STATE_LOADED
                       : CU_FUNCTION_LOADING_STATE_UNLOADED;
    return CUDA_SUCCESS;
}

/* One struct, as templates take it; "more" takes two. */
CUresult cuFuncGetParamInfo(CUfunction f, size_t i, size_t *offset,
                            size_t *bytes)
{
    size_t n = !strncmp(f->name, "more", 4) ? 2 : 1;

    if (i >= n)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = i * sizeof(gdr_recurrent_params);
    *bytes = sizeof(gdr_recurrent_params);
    return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute which,
                            CUfunction f)
{
    (void)f;
    if (which == CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)
        *value = 1024;
    else if (which == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)
        *value = 512;
    else
        return CUDA_ERROR_INVALID_VALUE;
    return fake_check();
}

CUresult cuFuncSetAttribute(CUfunction f, CUfunction_attribute which, int value)
{
    if (which != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 ||
        value + 1024 > 232448)
        return CUDA_ERROR_INVALID_VALUE;
    f->smem_most = value;
    return fake_check();
}

/* ---- memory: [bytes, 256 of it][data] ---- */

enum { HEAD = 256 };

CUresult cuMemGetInfo(size_t *free_bytes, size_t *total)
{
    *total = (size_t)fake.config.memory_mib << 20;
    *free_bytes = *total - (size_t)fake.bytes;
    return fake_check();
}

static CUresult take(CUdeviceptr *p, size_t bytes)
{
    size_t total = (size_t)fake.config.memory_mib << 20;
    long limit = fake.config.oom_after;
    char *base;

    fake.tried_allocations++;
    if ((limit && fake.tried_allocations >= limit) ||
        bytes > total - (size_t)fake.bytes)
        return CUDA_ERROR_OUT_OF_MEMORY;
    base = aligned_alloc(HEAD, (bytes + 2 * HEAD - 1) / HEAD * HEAD);
    if (!base)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(base, &bytes, sizeof bytes);
    fake.bytes += (long)bytes;
    fake.count.allocations++;
    *p = (CUdeviceptr)(uintptr_t)(base + HEAD);
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr *p, size_t bytes)
{
    CUresult code = fake_check_outside_capture();

    if (code == CUDA_SUCCESS && !bytes)
        code = CUDA_ERROR_INVALID_VALUE;
    return code == CUDA_SUCCESS ? take(p, bytes) : code;
}

CUresult cuMemFree(CUdeviceptr p)
{
    char *base = (char *)(uintptr_t)p - HEAD;
    size_t bytes;

    fake_wait();
    memcpy(&bytes, base, sizeof bytes);
    fake.bytes -= (long)bytes;
    fake.count.allocations--;
    free(base);
    return fake_check();
}

CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes)
{
    CUresult code = fake_check_outside_capture();

    fake_wait();
    if (code == CUDA_SUCCESS)
        memcpy((void *)(uintptr_t)to, from, bytes);
    return code;
}

CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes)
{
    CUresult code = fake_check_outside_capture();

    fake_wait();
    if (code == CUDA_SUCCESS)
        memcpy(to, (void *)(uintptr_t)from, bytes);
    return code;
}
#endif
