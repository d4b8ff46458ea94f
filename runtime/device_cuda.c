/*
 * device_cuda.c - an NVIDIA card as a device: images are modules of the card's
 * primary context, launches go to the caller's stream.
 *
 * What must stay true: a launch allocates nothing, waits for nothing and loads
 * nothing, so that it may be captured into a graph; all of that is done by
 * load. A module stays until the device is closed, since graphs may hold its
 * kernels long after the last plan is gone.
 */
#include "device_cuda.h"

#include "status.h"

#include <stdio.h>

#if GDR_CUDA
#include "cuda_image.h"
#include "recurrent_abi.h"
#include "hot.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct kernel {
    CUfunction function;
    int64_t smem_most; /* dynamic, of a block */
    int64_t block_most;
    int loaded; /* 0: the driver would load it at its first launch */
    struct kernel *next;
    char entry[];
} kernel;

struct gdr_cuda_module {
    gdr_cuda_module *next;
    CUmodule module;
    kernel *kernels;
    size_t bytes;
    char code[]; /* to know equal bytes again; ends with a 0, for PTX */
};

/* ---- the context -------------------------------------------------------- */

gdr_status gdr_cuda_note(gdr_cuda_device *d, CUresult code)
{
    if (code == CUDA_SUCCESS)
        return GDR_OK;
    d->last_error = (int)code;
    return code == CUDA_ERROR_OUT_OF_MEMORY ? GDR_ERR_NO_MEMORY
                                            : GDR_ERR_LAUNCH;
}

/* The driver's words become the message of a failure to load. */
static gdr_status refuse(gdr_cuda_device *d, CUresult code, const char *what,
                         char *msg, size_t n)
{
    char why[256];
    gdr_status status = gdr_cuda_note(d, code);

    gdr_cuda_describe(&d->driver, code, why, sizeof why);
    if (status != GDR_ERR_NO_MEMORY)
        status = GDR_ERR_LOAD;
    return gdr_fail(status, msg, n, "%s: %s", what, why);
}

gdr_status gdr_cuda_retain(gdr_cuda_device *d, char *msg, size_t n)
{
    CUcontext context = NULL;
    CUresult code;

    if (d->context)
        return GDR_OK;
    code = d->driver.primary_retain(&context, d->card);
    if (code != CUDA_SUCCESS) {
        gdr_status status = refuse(d, code, "no context on the card", msg, n);
        return status == GDR_ERR_LOAD ? GDR_ERR_NO_DEVICE : status;
    }
    d->context = context;
    d->owner = getpid();
    return GDR_OK;
}

CUresult gdr_cuda_enter(const gdr_cuda_device *d, int *entered)
{
    CUcontext now = NULL;
    CUresult code = d->driver.context_current(&now);

    *entered = 0;
    if (code != CUDA_SUCCESS || now == d->context)
        return code;
    code = d->driver.context_push(d->context);
    *entered = code == CUDA_SUCCESS;
    return code;
}

void gdr_cuda_leave(const gdr_cuda_device *d, int entered)
{
    CUcontext context;

    if (entered)
        d->driver.context_pop(&context);
}

/* ---- images and kernels ------------------------------------------------- */

static int attribute(const gdr_cuda_device *d, CUdevice_attribute which)
{
    int value = 0;

    d->driver.device_attribute(&value, which, d->card);
    return value;
}

static gdr_status load_module(gdr_cuda_device *d, gdr_cuda_module *m, char *msg,
                              size_t n)
{
    char log[512] = "", what[600];
    size_t log_bytes = sizeof log - 1;
    CUjit_option option[] = {CU_JIT_ERROR_LOG_BUFFER,
                             CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *value[] = {log, (void *)log_bytes};
    CUresult code =
        d->driver.module_load(&m->module, m->code, 2, option, value);

    if (code == CUDA_SUCCESS)
        return GDR_OK;
    snprintf(what, sizeof what, "the driver refuses the image%s%.*s",
             log[0] ? ": " : "", (int)strcspn(log, "\n"), log);
    return refuse(d, code, what, msg, n);
}

static gdr_status get_module(gdr_cuda_device *d, const void *code, size_t bytes,
                             gdr_cuda_module **out, char *msg, size_t n)
{
    gdr_cuda_module *m;
    gdr_status status;

    for (m = d->modules; m; m = m->next)
        if (m->bytes == bytes && !memcmp(m->code, code, bytes)) {
            *out = m;
            return GDR_OK;
        }
    status = gdr_cuda_image_check(code, bytes, msg, n);
    if (status != GDR_OK)
        return status;
    m = calloc(1, sizeof *m + bytes + 1);
    if (!m)
        return gdr_fail(GDR_ERR_NO_MEMORY, msg, n, "no memory for an image");
    memcpy(m->code, code, bytes);
    m->bytes = bytes;
    status = load_module(d, m, msg, n);
    if (status != GDR_OK) {
        free(m);
        return status;
    }
    m->next = d->modules;
    d->modules = m;
    *out = m;
    return GDR_OK;
}

/* A kernel that takes more than the one struct would have the driver read past
 * it; a shorter one was made for an older, equal beginning. */
static gdr_status check_params(gdr_cuda_device *d, CUfunction f, char *msg,
                               size_t n)
{
    size_t offset, bytes = 0;

    if (!d->driver.function_param)
        return GDR_OK;
    if (d->driver.function_param(f, 0, &offset, &bytes) != CUDA_SUCCESS)
        return GDR_OK; /* it takes nothing */
    if (bytes > sizeof(gdr_recurrent_params) ||
        d->driver.function_param(f, 1, &offset, &bytes) == CUDA_SUCCESS)
        return gdr_fail(GDR_ERR_LOAD, msg, n,
                        "the kernel takes other parameters than this libgdr "
                        "passes (%zu bytes)",
                        sizeof(gdr_recurrent_params));
    return GDR_OK;
}

/* Loads the code now, whatever CUDA_MODULE_LOADING says, and lifts the limit of
 * 48 KiB of dynamic shared memory. */
static CUresult prepare(const gdr_cuda_device *d, kernel *k)
{
    int fixed = 0, threads = 0, state = 1;
    CUresult code = CUDA_SUCCESS;

    if (d->driver.function_load)
        code = d->driver.function_load(k->function);
    if (code == CUDA_SUCCESS)
        code = d->driver.function_attribute(
            &fixed, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, k->function);
    if (code == CUDA_SUCCESS)
        code = d->driver.function_attribute(
            &threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, k->function);
    if (code != CUDA_SUCCESS)
        return code;
    k->block_most = threads;
    k->smem_most = d->info.smem_bytes - fixed;
    if (d->driver.function_loaded &&
        d->driver.function_loaded(&state, k->function) != CUDA_SUCCESS)
        state = 1;
    k->loaded = state;
    return d->driver.function_set(
        k->function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
        k->smem_most > 0 ? (int)k->smem_most : 0);
}

static gdr_status get_kernel(gdr_cuda_device *d, gdr_cuda_module *m,
                             const char *entry, void **out, char *msg, size_t n)
{
    size_t length = strlen(entry) + 1;
    gdr_status status;
    CUresult code;
    kernel *k;

    for (k = m->kernels; k; k = k->next)
        if (!strcmp(k->entry, entry)) {
            *out = k;
            return GDR_OK;
        }
    k = gdr_line_alloc(1, sizeof *k + length);
    if (!k)
        return gdr_fail(GDR_ERR_NO_MEMORY, msg, n, "no memory for a kernel");
    memcpy(k->entry, entry, length);
    code = d->driver.module_function(&k->function, m->module, entry);
    status = code == CUDA_SUCCESS
                 ? check_params(d, k->function, msg, n)
                 : gdr_fail(GDR_ERR_LOAD, msg, n, "the image has no kernel %s",
                            entry);
    if (status == GDR_OK && (code = prepare(d, k)) != CUDA_SUCCESS)
        status = refuse(d, code, "loading the kernel", msg, n);
    if (status != GDR_OK) {
        free(k);
        return status;
    }
    k->next = m->kernels;
    m->kernels = k;
    *out = k;
    return GDR_OK;
}

static gdr_status load(void *dev, const void *code, size_t bytes,
                       const char *entry, void **out, char *msg, size_t n)
{
    gdr_cuda_device *d = dev;
    gdr_cuda_module *m = NULL;
    gdr_status status;
    CUresult error;
    int entered;

    *out = NULL;
    status = gdr_cuda_retain(d, msg, n);
    if (status != GDR_OK)
        return status;
    error = gdr_cuda_enter(d, &entered);
    if (error != CUDA_SUCCESS)
        return refuse(d, error, "entering the card's context", msg, n);
    status = get_module(d, code, bytes, &m, msg, n);
    if (m)
        status = get_kernel(d, m, entry, out, msg, n);
    gdr_cuda_leave(d, entered);
    return status;
}

/* Modules and their kernels go with the device. */
static void unload(void *dev, void *handle)
{
    (void)dev;
    (void)handle;
}

static gdr_status ready(void *dev, void *handle, char *msg, size_t n)
{
    const kernel *k = handle;

    (void)dev;
    if (k->loaded)
        return GDR_OK;
    return gdr_fail(GDR_ERR_LOAD, msg, n,
                    "the driver loads %s at its first launch alone: launch it "
                    "once before a capture, or set CUDA_MODULE_LOADING=EAGER",
                    k->entry);
}

/* "sm_86" runs on 8.6 and later 8.x, "sm_90a" on 9.0 alone; PTX, "compute_90",
 * on everything from 9.0 on, "compute_90a" on 9.0 alone. */
static int loadable(const void *dev, const char *isa)
{
    const gdr_cuda_device *d = dev;
    int ptx = !strncmp(isa, "compute_", 8);
    const char *number = isa + (ptx ? 8 : 3);
    char *end;
    long cc;

    if (!ptx && strncmp(isa, "sm_", 3) != 0)
        return 0;
    if (*number < '1' || *number > '9')
        return 0;
    cc = strtol(number, &end, 10);
    if (!strcmp(end, "a"))
        return cc == d->cc;
    if (*end)
        return 0;
    return cc <= d->cc && (ptx || cc / 10 == d->cc / 10);
}

/* ---- launch ------------------------------------------------------------- */

static int dims_fit(const kernel *k, const gdr_launch_dims *dims)
{
    return dims->grid[0] <= INT_MAX && dims->grid[1] <= 65535 &&
           dims->grid[2] <= 65535 && dims->block >= 1 &&
           dims->block <= k->block_most && dims->smem >= 0 &&
           dims->smem <= k->smem_most;
}

/* May start before the kernel ahead of it on the stream has ended. */
GDR_HOT static CUresult launch_early(const gdr_cuda_device *d, const kernel *k,
                                     const gdr_launch_dims *dims, void **params,
                                     CUstream stream)
{
    CUlaunchAttribute early = {
        .id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION};
    CUlaunchConfig config = {.gridDimX = (unsigned)dims->grid[0],
                             .gridDimY = (unsigned)dims->grid[1],
                             .gridDimZ = (unsigned)dims->grid[2],
                             .blockDimX = (unsigned)dims->block,
                             .blockDimY = 1,
                             .blockDimZ = 1,
                             .sharedMemBytes = (unsigned)dims->smem,
                             .hStream = stream,
                             .attrs = &early,
                             .numAttrs = 1};

    early.value.programmaticStreamSerializationAllowed = 1;
    return d->driver.launch_ex(&config, k->function, params, NULL);
}

GDR_HOT static CUresult launch_now(const gdr_cuda_device *d, const kernel *k,
                                   const gdr_launch_dims *dims, void **params,
                                   CUstream stream)
{
    CUstreamCaptureStatus capture = CU_STREAM_CAPTURE_STATUS_NONE;

    /* It would have to be loaded, which a capture does not survive. */
    if (!k->loaded && d->driver.stream_capturing(stream, &capture) == 0 &&
        capture != CU_STREAM_CAPTURE_STATUS_NONE)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (dims->pdl && d->cc >= 90 && d->driver.launch_ex)
        return launch_early(d, k, dims, params, stream);
    return d->driver.launch(k->function, (unsigned)dims->grid[0],
                            (unsigned)dims->grid[1], (unsigned)dims->grid[2],
                            (unsigned)dims->block, 1, 1, (unsigned)dims->smem,
                            stream, params, NULL);
}

/*
 * Launches again, with the card's context as the current one. The driver
 * takes a launch when the kernel's context is that of the stream, or the
 * current one for the streams that belong to none, and refuses all others
 * (seen on an H200 with driver 580.159, for the current context none, another
 * of the card, and another card's). So the usual launch needs no look at the
 * context before it.
 */
static CUresult launch_inside(const gdr_cuda_device *d, const kernel *k,
                              const gdr_launch_dims *dims, void **params,
                              CUstream stream)
{
    int entered;
    CUresult code = gdr_cuda_enter(d, &entered);

    if (code == CUDA_SUCCESS)
        code = launch_now(d, k, dims, params, stream);
    gdr_cuda_leave(d, entered);
    return code;
}

GDR_HOT static gdr_status launch(void *dev, void *handle,
                                 const gdr_launch_dims *dims,
                                 const void *params, size_t params_bytes,
                                 void *stream)
{
    gdr_cuda_device *d = dev;
    const kernel *k = handle;
    void *list[] = {(void *)(uintptr_t)params}; /* the driver copies it */
    CUresult code;

    (void)params_bytes;
    for (int i = 0; i < 3; i++) {
        if (dims->grid[i] < 0)
            return gdr_cuda_note(d, CUDA_ERROR_INVALID_VALUE);
        if (dims->grid[i] == 0)
            return GDR_OK;
    }
    if (!dims_fit(k, dims))
        return gdr_cuda_note(d, CUDA_ERROR_INVALID_VALUE);
    code = launch_now(d, k, dims, list, stream);
    if (code == CUDA_ERROR_INVALID_CONTEXT || code == CUDA_ERROR_INVALID_HANDLE)
        code = launch_inside(d, k, dims, list, stream);
    return gdr_cuda_note(d, code);
}

/* ---- what a card is ------------------------------------------------------ */

/* The driver tells a little less than what is soldered, by what it and the ECC
 * keep: the next even number of GiB is the same for all cards of a kind. */
static int even_gib(size_t bytes)
{
    const size_t two = (size_t)2 << 30;

    return (int)((bytes + two - 1) / two * 2);
}

/* A slice of a card calls itself "NVIDIA H100 80GB HBM3 MIG 1g.10gb". */
static const char *slice_of(const char *name)
{
    const char *at = strstr(name, " MIG ");

    return at ? at + 5 : "";
}

/* Silicon alone: neither driver nor serial number, so that plans made on one
 * card are exact on the next of its kind. */
static void set_fingerprint(const gdr_cuda_device *d, gdr_device_info *info)
{
    const char *slice = slice_of(info->name);

    snprintf(
        info->fingerprint, sizeof info->fingerprint,
        "cuda:%s:sms=%d:l2=%lld:smem=%lld/%lld:bus=%d:mem_khz=%d:memory=%dG"
        "%s%s",
        info->arch, info->sms, (long long)info->l2_bytes,
        (long long)info->smem_bytes, (long long)info->smem_sm_bytes,
        attribute(d, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH),
        attribute(d, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE),
        even_gib((size_t)info->memory_bytes), *slice ? ":mig=" : "", slice);
}

static void set_info(gdr_cuda_device *d)
{
    gdr_device_info *info = &d->info;
    size_t memory = 0;

    d->cc = 10 * attribute(d, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
            attribute(d, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    d->driver.device_total_mem(&memory, d->card);
    *info = (gdr_device_info){
        .kind = "cuda",
        .sms = attribute(d, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
        .vector_bytes = 16,
        .l2_bytes = attribute(d, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE),
        .memory_bytes = (int64_t)memory,
        .smem_bytes =
            attribute(d, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
        .smem_sm_bytes = attribute(
            d, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR),
    };
    info->llc_bytes = info->l2_bytes;
    snprintf(info->arch, sizeof info->arch, "sm_%d%s", d->cc,
             d->cc >= 90 ? "a" : "");
    snprintf(info->isa, sizeof info->isa, "%s", info->arch);
    d->driver.device_name(info->name, sizeof info->name - 1, d->card);
    d->driver.device_bus(info->bus, sizeof info->bus, d->card);
    set_fingerprint(d, info);
}

/* ---- open and close ------------------------------------------------------ */

static void free_modules(gdr_cuda_device *d, int alive)
{
    while (d->modules) {
        gdr_cuda_module *m = d->modules;
        d->modules = m->next;
        while (m->kernels) {
            kernel *k = m->kernels;
            m->kernels = k->next;
            free(k);
        }
        if (alive)
            d->driver.module_unload(m->module);
        free(m);
    }
}

/* What the driver says is not asked: at the end of a process it may have gone
 * already, and in a forked child it never was. */
static void close_device(void *dev)
{
    gdr_cuda_device *d = dev;
    int entered = 0, alive;

    if (!d)
        return;
    alive = d->context && d->owner == getpid() &&
            gdr_cuda_enter(d, &entered) == CUDA_SUCCESS;
    if (d->bench_close && alive)
        d->bench_close(d->bench);
    free_modules(d, alive);
    gdr_cuda_leave(d, entered);
    if (alive)
        d->driver.primary_release(d->card);
    free(d);
}

static gdr_status find_card(gdr_cuda_device *d, const char *name, char *msg,
                            size_t n)
{
    unsigned long ordinal = name && *name ? strtoul(name, NULL, 10) : 0;
    int count = 0;
    CUresult code = d->driver.device_count(&count);

    if (code != CUDA_SUCCESS || count < 1)
        return gdr_fail(GDR_ERR_NO_DEVICE, msg, n,
                        "the NVIDIA driver finds no card; use --device cpu");
    if (ordinal >= (unsigned long)count)
        return gdr_fail(GDR_ERR_NO_DEVICE, msg, n,
                        "no card cuda:%s: there %s %d, cuda:0%s%.0d", name,
                        count == 1 ? "is" : "are", count,
                        count == 1 ? "" : " to cuda:", count - 1);
    code = d->driver.device_get(&d->card, (int)ordinal);
    if (code == CUDA_SUCCESS)
        return GDR_OK;
    refuse(d, code, "the card does not open", msg, n);
    return GDR_ERR_NO_DEVICE;
}

static gdr_status open_device(const char *name,
                              const gdr_device_options *options, void **dev,
                              char *msg, size_t n)
{
    gdr_cuda_device *d;
    gdr_status status;

    (void)options; /* threads are the cpu's */
    *dev = NULL;
    d = gdr_line_alloc(1, sizeof *d);
    if (!d)
        return gdr_fail(GDR_ERR_NO_MEMORY, msg, n, "no memory for a device");
    status = gdr_cuda_driver_open(&d->driver, msg, n);
    if (status == GDR_OK)
        status = find_card(d, name, msg, n);
    if (status != GDR_OK) {
        free(d);
        return status;
    }
    set_info(d);
    *dev = d;
    return GDR_OK;
}

static const gdr_device_info *info(const void *dev)
{
    return &((const gdr_cuda_device *)dev)->info;
}

const gdr_backend gdr_backend_cuda = {
    .kind = "cuda",
    .open = open_device,
    .close = close_device,
    .info = info,
    .loadable = loadable,
    .load = load,
    .unload = unload,
    .ready = ready,
    .launch = launch,
};

#else

static gdr_status open_none(const char *name, const gdr_device_options *options,
                            void **dev, char *msg, size_t n)
{
    (void)name;
    (void)options;
    *dev = NULL;
    return gdr_fail(GDR_ERR_NO_DEVICE, msg, n,
                    "this build has no cuda device: it was built without "
                    "cuda.h; use --device cpu");
}

/* Nothing but open is ever called. */
const gdr_backend gdr_backend_cuda = {.kind = "cuda", .open = open_none};

#endif
