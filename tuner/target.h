/*
 * target.h - what the tuner needs of a device beyond loading and launching:
 * compiling, memory, time. One table of functions per device; the rest of the
 * tuner does not know which it holds. A device is one file here
 * (target_cpu.c, ...), one in runtime/, one line in gdr_targets (target.c).
 */
#ifndef GDR_TARGET_H
#define GDR_TARGET_H

#include "../runtime/recipe.h"

/* What a card's compiler says of a kernel. */
typedef struct gdr_figures {
    int known;                    /* 0: a cpu, which has none of these */
    int registers;                /* of a thread */
    int spill_bytes, stack_bytes; /* of a thread */
    int smem_bytes; /* static shared memory of a block, as the template asks */
    int barriers;   /* named barriers, 0 included */
    int min_driver; /* 12080: CUDA 12.8 */
} gdr_figures;

/* Compiled code: what is stored and shipped. */
typedef struct gdr_image {
    void *code; /* malloc'd */
    size_t bytes;
    char isa[256]; /* "sm_90a"; "compute_90" is PTX */
    gdr_figures figures;
} gdr_image;

typedef struct gdr_target {
    const char *kind;
    const char *templates; /* folder of its kernels: "cpu", "cuda" */
    const gdr_backend *backend;

    /* Identity of the compiler and its flags: part of the fresh stamp.
     * GDR_ERR_COMPILE when there is none, with the remedy in msg. */
    gdr_status (*compiler)(char *text, size_t text_n, char *msg, size_t n);
    /* Source to image for an architecture (gdr_device_info.arch; "compute_90":
     * PTX; the cpu compiles for itself); blocking, safe from several threads at
     * once; ended after limit_s seconds. log gets the compiler's words, also
     * when it only warned. GDR_ERR_COMPILE: refused, or such that no card
     * should run it (spills, serialised wgmma). */
    gdr_status (*compile)(const char *source, size_t bytes, const char *arch,
                          double limit_s, gdr_image *out, char *log, size_t n);

    /* Device memory. The cpu puts an inaccessible page after the end, and one
     * before the start, of each allocation. */
    gdr_status (*alloc)(void *dev, size_t bytes, void **p);
    void (*free)(void *dev, void *p);
    gdr_status (*write)(void *dev, void *dst, const void *host, size_t bytes);
    gdr_status (*read)(void *dev, void *host, const void *src, size_t bytes);

    /* Returns when all launches are done; NULL: each is when it returns.
     * GDR_ERR_LAUNCH: one of them failed. */
    gdr_status (*wait)(void *dev);
    /* Words about the last failure: an outcome ("launch", "crash", "race";
     * static text) and a note. 1: the device is poisoned, and only a new
     * process helps. NULL: there is nothing to say. */
    int (*explain)(void *dev, const char **outcome, char *note, size_t n);
    /* 1: opening is slow (a context of a card), so that a worker whose variant
     * passed judges the next one too. */
    int keeps_worker;
    /* 1: its memory is not the host's: gdr_device_info.memory_bytes is. */
    int own_memory;
    /* Silence that is normal: opening a context, emulated launches. The least
     * deadline of a worker; 0: 2 s. */
    double deadline_s;
    /* Workers that may judge at once; 0: as many as there are jobs, or 4 where
     * they are kept, since they share one card. */
    int posts;

    /* Time of one launch in ns (NULL: this device checks and never times):
     * `launches` launches that walk round the ring
     * of argument sets from *at on (advanced), divided by their number. */
    gdr_status (*time)(const gdr_recipe *r, const gdr_args *ring, int n_ring,
                       int *at, int64_t launches, double *ns);
    /* The same launched one by one by the host, not replayed from a graph;
     * NULL: there is no difference. */
    gdr_status (*time_eager)(const gdr_recipe *r, const gdr_args *ring,
                             int n_ring, int *at, int64_t launches, double *ns);
    /* Time of an in-place read-modify-write (cpu) or a copy (card) of `bytes`,
     * cold, the yardstick of every result, by the same clock. It works on some
     * of the `all` bytes at p, the target's memory, the next time (*at, 0 at
     * first) on others. */
    gdr_status (*roofline)(void *dev, void *p, size_t all, size_t bytes,
                           int64_t *at, double *ns);
} gdr_target;

extern const gdr_target *const gdr_targets[];
const gdr_target *gdr_target_find(const char *kind);

/* As gdr_backend_open, and what the tuner needs beyond it; also opens devices
 * that libgdr does not know ("emu:sm_90a"). The caller closes *dev with
 * (*target)->backend->close. */
gdr_status gdr_target_open(const char *name, const gdr_device_options *options,
                           const gdr_target **target, void **dev, char *msg,
                           size_t n);

#endif
