/*
 * device_cpu.c - the cpu as a device: images are shared objects in this
 * process, launches run on the pool or on the caller's threads.
 *
 * What must stay true: an image is opened once however often its bytes are
 * loaded, and stays until its last kernel is unloaded or the device is closed.
 */
#include "backend.h"
#include "cpu_image.h"
#include "cpu_info.h"
#include "isa.h"
#include "pool.h"
#include "status.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct image {
    struct image *next;
    void *handle; /* of dlopen */
    int users;
    size_t bytes;
    char code[]; /* to know equal bytes again */
} image;

typedef struct kernel {
    struct kernel *next;
    gdr_cpu_kernel run;
    image *image; /* NULL: of this process */
} kernel;

typedef struct device {
    gdr_device_info info;
    gdr_parallel_for parallel_for; /* NULL: the pool */
    void *user;
    gdr_pool *pool;
    image *images;
    kernel *kernels;
} device;

/* ---- images and kernels ------------------------------------------------- */

static void put_image(device *d, image *i)
{
    if (!i || --i->users > 0)
        return;
    for (image **at = &d->images; *at; at = &(*at)->next)
        if (*at == i) {
            *at = i->next;
            break;
        }
    gdr_cpu_image_close(i->handle);
    free(i);
}

/* Each success is one user more. */
static gdr_status get_image(device *d, const void *code, size_t bytes,
                            image **out, char *msg, size_t n)
{
    for (image *i = d->images; i; i = i->next)
        if (i->bytes == bytes && !memcmp(i->code, code, bytes)) {
            i->users++;
            *out = i;
            return GDR_OK;
        }
    image *i = malloc(sizeof *i + bytes);
    if (!i)
        return gdr_fail(GDR_ERR_NO_MEMORY, msg, n, "no memory for an image");
    memcpy(i->code, code, bytes);
    i->bytes = bytes;
    i->users = 1;
    gdr_status status = gdr_cpu_image_open(code, bytes, &i->handle, msg, n);
    if (status != GDR_OK) {
        free(i);
        return status;
    }
    i->next = d->images;
    d->images = i;
    *out = i;
    return GDR_OK;
}

static gdr_status find_symbol(const image *i, const char *entry,
                              gdr_cpu_kernel *out, char *msg, size_t n)
{
    void *symbol = dlsym(i->handle, entry);
    if (!symbol)
        return gdr_fail(GDR_ERR_LOAD, msg, n, "the image has no symbol %s",
                        entry);
    memcpy(out, &symbol, sizeof symbol); /* C has no cast for it */
    return GDR_OK;
}

/* Takes over the image. */
static gdr_status add_kernel(device *d, gdr_cpu_kernel run, image *i,
                             void **out, char *msg, size_t n)
{
    kernel *k = malloc(sizeof *k);
    *out = k;
    if (!k) {
        put_image(d, i);
        return gdr_fail(GDR_ERR_NO_MEMORY, msg, n, "no memory for a kernel");
    }
    *k = (kernel){d->kernels, run, i};
    d->kernels = k;
    return GDR_OK;
}

static gdr_status adopt(void *dev, gdr_cpu_kernel run, void **out, char *msg,
                        size_t n)
{
    return add_kernel(dev, run, NULL, out, msg, n);
}

static gdr_status load(void *dev, const void *code, size_t bytes,
                       const char *entry, void **out, char *msg, size_t n)
{
    device *d = dev;
    image *i = NULL;
    gdr_cpu_kernel run = NULL;
    gdr_status status = get_image(d, code, bytes, &i, msg, n);
    *out = NULL;
    if (status != GDR_OK || !i)
        return status;
    status = find_symbol(i, entry, &run, msg, n);
    if (status != GDR_OK) {
        put_image(d, i);
        return status;
    }
    return add_kernel(d, run, i, out, msg, n);
}

static void unload(void *dev, void *kernel_handle)
{
    device *d = dev;
    for (kernel **at = &d->kernels; *at; at = &(*at)->next) {
        kernel *k = *at;
        if (k != kernel_handle)
            continue;
        *at = k->next;
        put_image(d, k->image);
        free(k);
        return;
    }
}

static int loadable(const void *dev, const char *isa)
{
    return gdr_isa_subset(isa, ((const device *)dev)->info.isa);
}

/* ---- launch ------------------------------------------------------------- */

typedef struct job {
    gdr_cpu_kernel run;
    const struct gdr_recurrent_params *params;
} job;

static void run_units(void *ctx, int64_t begin, int64_t end)
{
    const job *j = ctx;
    j->run(j->params, begin, end);
}

static gdr_status launch(void *dev, void *kernel_handle,
                         const gdr_launch_dims *dims, const void *params,
                         size_t params_bytes, void *stream)
{
    device *d = dev;
    const kernel *k = kernel_handle;
    job j = {k->run, params};
    int64_t units = dims->grid[0];
    (void)params_bytes;
    if (stream || units < 0 || dims->grid[1] < 0 || dims->grid[2] < 0 ||
        __builtin_mul_overflow(units, dims->grid[1], &units) ||
        __builtin_mul_overflow(units, dims->grid[2], &units))
        return GDR_ERR_LAUNCH;
    if (units == 0)
        return GDR_OK;
    if (d->parallel_for)
        d->parallel_for(d->user, units, run_units, &j);
    else
        gdr_pool_run(d->pool, units, run_units, &j);
    return GDR_OK;
}

static void nothing(void *ctx, int64_t begin, int64_t end)
{
    (void)ctx, (void)begin, (void)end;
}

/* The pool makes its threads when it first has work for them. */
static gdr_status ready(void *dev, void *kernel_handle, char *msg, size_t n)
{
    device *d = dev;

    (void)kernel_handle;
    if (msg && n > 0)
        msg[0] = 0;
    if (!d->parallel_for)
        gdr_pool_run(d->pool, d->info.sms, nothing, NULL);
    return GDR_OK;
}

/* ---- open and close ----------------------------------------------------- */

/* Plans are exact where all of this is equal. The model's name is left out: a
 * hypervisor may change it at will; family and model numbers tell cores with
 * equal instruction sets apart. */
static void set_info(gdr_device_info *info, const gdr_cpu_info *cpu,
                     int threads)
{
    *info = (gdr_device_info){
        .kind = "cpu",
        .sms = threads,
        .vector_bytes = gdr_isa_vector_bytes(cpu->isa),
        .l1_bytes = cpu->l1_bytes,
        .l2_bytes = cpu->l2_bytes,
        .llc_bytes = cpu->llc_total_bytes,
        .memory_bytes = cpu->memory_bytes,
    };
    snprintf(info->arch, sizeof info->arch, "%s", gdr_isa_arch());
    snprintf(info->isa, sizeof info->isa, "%s", cpu->isa);
    snprintf(info->name, sizeof info->name, "%s", cpu->name);
    snprintf(info->fingerprint, sizeof info->fingerprint,
             "cpu:%s:%s:threads=%d:l1=%lld:l2=%lld:llc=%lld:%s", info->arch,
             cpu->isa, threads, (long long)cpu->l1_bytes,
             (long long)cpu->l2_bytes, (long long)cpu->llc_bytes, cpu->model);
}

static void close_device(void *dev)
{
    device *d = dev;
    if (!d)
        return;
    gdr_pool_close(d->pool);
    while (d->kernels)
        unload(d, d->kernels);
    free(d);
}

static gdr_status check_options(const char *name,
                                const gdr_device_options *options, char *msg,
                                size_t n)
{
    if (name && *name)
        return gdr_fail(GDR_ERR_NO_DEVICE, msg, n,
                        "no device cpu:%s: there is one, \"cpu\"", name);
    if (!options)
        return GDR_OK;
    if (options->size != sizeof *options)
        return gdr_fail(GDR_ERR_ARG, msg, n, "options.size = %zu: must be %zu",
                        options->size, sizeof *options);
    if (options->threads < 0 || options->threads > GDR_POOL_MAX)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "options.threads = %d: must be 0 (all that we may "
                        "use) to %d",
                        (int)options->threads, GDR_POOL_MAX);
    return GDR_OK;
}

static int pool_threads(const gdr_cpu_info *cpu,
                        const gdr_device_options *options)
{
    int32_t n = options && options->threads ? options->threads : cpu->cores;
    return n < GDR_POOL_MAX ? n : GDR_POOL_MAX;
}

static gdr_status open_device(const char *name,
                              const gdr_device_options *options, void **dev,
                              char *msg, size_t n)
{
    gdr_cpu_info cpu;
    *dev = NULL;
    gdr_status status = check_options(name, options, msg, n);
    if (status != GDR_OK)
        return status;
    device *d = calloc(1, sizeof *d);
    if (!d)
        return gdr_fail(GDR_ERR_NO_MEMORY, msg, n, "no memory for a device");
    gdr_cpu_info_read("", &cpu);
    set_info(&d->info, &cpu, pool_threads(&cpu, options));
    if (options) {
        d->parallel_for = options->parallel_for;
        d->user = options->user;
    }
    status = gdr_pool_open(d->info.sms, &d->pool);
    if (status != GDR_OK) {
        close_device(d);
        return gdr_fail(status, msg, n, "no memory for the thread pool");
    }
    *dev = d;
    return GDR_OK;
}

static const gdr_device_info *info(const void *dev)
{
    return &((const device *)dev)->info;
}

const gdr_backend gdr_backend_cpu = {
    .kind = "cpu",
    .open = open_device,
    .close = close_device,
    .info = info,
    .loadable = loadable,
    .load = load,
    .adopt = adopt,
    .unload = unload,
    .ready = ready,
    .launch = launch,
};
