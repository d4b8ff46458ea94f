/*
 * compile_nvrtc_library.c - a library counts as found when it compiles an empty
 * kernel: pip's wheels lose their builtins, toolkits their links.
 */
#include "compile_nvrtc_library.h"

#ifdef GDR_NVRTC
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { LEAST_MAJOR = 12 };

/* The table of functions: name, place in gdr_nvrtc, may be missing. */
static const struct {
    const char *name;
    size_t at;
    int optional;
} functions[] = {
    {"nvrtcGetErrorString", offsetof(gdr_nvrtc, error_string), 0},
    {"nvrtcVersion", offsetof(gdr_nvrtc, version), 0},
    {"nvrtcGetNumSupportedArchs", offsetof(gdr_nvrtc, number_of_archs), 0},
    {"nvrtcGetSupportedArchs", offsetof(gdr_nvrtc, supported_archs), 0},
    {"nvrtcCreateProgram", offsetof(gdr_nvrtc, create), 0},
    {"nvrtcDestroyProgram", offsetof(gdr_nvrtc, destroy), 0},
    {"nvrtcCompileProgram", offsetof(gdr_nvrtc, compile), 0},
    {"nvrtcGetCUBINSize", offsetof(gdr_nvrtc, cubin_size), 0},
    {"nvrtcGetCUBIN", offsetof(gdr_nvrtc, cubin), 0},
    {"nvrtcGetPTXSize", offsetof(gdr_nvrtc, ptx_size), 0},
    {"nvrtcGetPTX", offsetof(gdr_nvrtc, ptx), 0},
    {"nvrtcGetProgramLogSize", offsetof(gdr_nvrtc, log_size), 0},
    {"nvrtcGetProgramLog", offsetof(gdr_nvrtc, log), 0},
    {"nvrtcSetFlowCallback", offsetof(gdr_nvrtc, set_callback), 1},
};

/* Returns the name of a function that is missing, or NULL. */
static const char *fill_table(void *handle, gdr_nvrtc *l)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *f = dlsym(handle, functions[i].name);
        if (!f && !functions[i].optional)
            return functions[i].name;
        memcpy((char *)l + functions[i].at, &f, sizeof f);
    }
    return NULL;
}

/* ---- does it work ---- */

static nvrtcResult compile_probe(gdr_nvrtc *l, nvrtcProgram p)
{
    char arch[32];
    const char *option[] = {arch, GDR_NVRTC_NO_CACHE};
    size_t bytes = 0;
    nvrtcResult r;

    snprintf(arch, sizeof arch, "-arch=sm_%d", l->arch[l->archs - 1]);
    r = l->compile(p, 2, option);
    l->no_cache = r != NVRTC_ERROR_INVALID_OPTION;
    if (!l->no_cache)
        r = l->compile(p, 1, option);
    if (r == NVRTC_SUCCESS)
        r = l->cubin_size(p, &bytes);
    return r == NVRTC_SUCCESS && !bytes ? NVRTC_ERROR_INTERNAL_ERROR : r;
}

/* What the library answers to an empty kernel; why gets its first words. */
static int compiles(gdr_nvrtc *l, char *why, size_t n)
{
    static const char source[] = "extern \"C\" __global__ void probe() {}\n";
    char log[4096] = "";
    size_t bytes = 0;
    nvrtcProgram p = NULL;
    nvrtcResult r = l->create(&p, source, "probe.cu", 0, NULL, NULL);

    if (r == NVRTC_SUCCESS)
        r = compile_probe(l, p);
    if (r != NVRTC_SUCCESS) {
        if (p && l->log_size(p, &bytes) == NVRTC_SUCCESS && bytes < sizeof log)
            l->log(p, log);
        log[strcspn(log, "\n")] = 0;
        snprintf(why, n, "does not compile an empty kernel: %s %.500s",
                 l->error_string(r), log);
    }
    if (p)
        l->destroy(&p);
    return r == NVRTC_SUCCESS;
}

/* NVRTC asks the loader for its builtins by name: one that is loaded already
 * is found, wherever it lies. */
static void load_builtins(const gdr_nvrtc *l, const char *path)
{
    const char *slash = strrchr(path, '/');
    char name[PATH_MAX];

    if (slash && snprintf(name, sizeof name, "%.*s/libnvrtc-builtins.so.%d.%d",
                          (int)(slash - path), path, l->major,
                          l->minor) < (int)sizeof name)
        dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

/* Version and cards. 0: why says what is wrong. */
static int ask(gdr_nvrtc *l, char *why, size_t n)
{
    if (l->version(&l->major, &l->minor) != NVRTC_SUCCESS) {
        snprintf(why, n, "does not say its version");
        return 0;
    }
    if (l->major < LEAST_MAJOR) {
        snprintf(why, n, "is NVRTC %d.%d, and %d is needed", l->major, l->minor,
                 LEAST_MAJOR);
        return 0;
    }
    if (l->number_of_archs(&l->archs) != NVRTC_SUCCESS || l->archs < 1 ||
        l->archs > GDR_NVRTC_ARCHS ||
        l->supported_archs(l->arch) != NVRTC_SUCCESS) {
        snprintf(why, n, "does not say which cards it knows");
        return 0;
    }
    return 1;
}

static int load(const char *path, gdr_nvrtc *l, char *why, size_t n)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const char *missing;

    memset(l, 0, sizeof *l);
    if (!handle) {
        snprintf(why, n, "%s", dlerror());
        return 0;
    }
    missing = fill_table(handle, l);
    if (missing) {
        snprintf(why, n, "has no %s", missing);
        return 0;
    }
    if (!ask(l, why, n))
        return 0;
    load_builtins(l, path);
    return compiles(l, why, n);
}

/* ---- looking for it ---- */

typedef struct hunt {
    gdr_nvrtc *out;
    char *wrong; /* "PATH: reason; ..." */
    size_t n, at;
} hunt;

/* A bare name that the loader does not know is no finding worth a word. */
static int try_place(void *ctx, const char *path)
{
    hunt *h = ctx;
    char why[1024] = "";

    if (load(path, h->out, why, sizeof why))
        return 1;
    if (strstr(why, "No such file") && !strchr(path, '/'))
        return 0;
    if (h->at < h->n)
        h->at += (size_t)snprintf(h->wrong + h->at, h->n - h->at, "; %s%s%s",
                                  strstr(why, path) ? "" : path,
                                  strstr(why, path) ? "" : " ", why);
    return 0;
}

gdr_status gdr_nvrtc_open(const char *const *folder, size_t folders,
                          gdr_nvrtc *out, char *msg, size_t n)
{
    char tried[4096] = "", wrong[4096] = "";
    hunt h = {out, wrong, sizeof wrong, 0};
    int found = folder
                    ? gdr_nvrtc_each_in(folder, folders, try_place, &h, tried,
                                        sizeof tried)
                    : gdr_nvrtc_each_place(try_place, &h, tried, sizeof tried);

    if (found)
        return GDR_OK;
    snprintf(msg, n,
             "no NVRTC that works: tried %s%s; install the CUDA toolkit, or "
             "'pip install nvidia-cuda-nvrtc-cu12', or set CUDA_HOME, or "
             "GDR_NVRTC to the library",
             tried, wrong);
    return GDR_ERR_COMPILE;
}

/* ---- the process's one ---- */

static struct {
    pthread_once_t once;
    gdr_status status;
    gdr_nvrtc library;
    char msg[6000];
} loaded = {.once = PTHREAD_ONCE_INIT};

static void load_once(void)
{
    loaded.status =
        gdr_nvrtc_open(NULL, 0, &loaded.library, loaded.msg, sizeof loaded.msg);
}

const gdr_nvrtc *gdr_nvrtc_get(char *msg, size_t n)
{
    pthread_once(&loaded.once, load_once);
    if (loaded.status == GDR_OK)
        return &loaded.library;
    snprintf(msg, n, "%s", loaded.msg);
    return NULL;
}
#endif
