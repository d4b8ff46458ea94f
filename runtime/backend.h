/*
 * backend.h - the one table of functions that every device of libgdr fills in:
 * load an image, launch it. The rest of libgdr does not know which it holds.
 * A device is one file here and one line in gdr_backends (backend.c).
 */
#ifndef GDR_BACKEND_H
#define GDR_BACKEND_H

#include "gdr_embedded.h"
#include "geometry.h"

typedef struct gdr_device_info {
    char kind[8];   /* "cpu", "cuda" */
    char arch[32];  /* "x86-64", "aarch64", "sm_90" */
    char isa[256];  /* sorted ISA names, '+' between: "avx+avx2+f16c+fma" */
    char name[128]; /* for people: "AMD EPYC 9654" */
    char fingerprint[512]; /* canonical; equal means plans are exact */
    int32_t sms;           /* multiprocessors, or threads the pool will use */
    int32_t vector_bytes;  /* cpu: widest vector register; 16 on a card */
    int64_t l1_bytes, l2_bytes, llc_bytes; /* llc: last level, for rings */
    int64_t memory_bytes;
    int64_t smem_bytes;    /* card: shared memory that a block can ask for */
    int64_t smem_sm_bytes; /* card: and that a multiprocessor has */
    char bus[32];          /* card: its PCI address; "" unknown */
} gdr_device_info;

typedef struct gdr_backend {
    const char *kind;
    size_t state_align; /* bytes at whose multiples a state must begin;
                           0 and 1: anywhere */
    /* params: the op's parameter struct, by value; dims as evaluated. */
    gdr_status (*launch)(void *dev, void *kernel, const gdr_launch_dims *dims,
                         const void *params, size_t params_bytes, void *stream);
    /* name is what follows "kind:" or "" */
    gdr_status (*open)(const char *name, const gdr_device_options *options,
                       void **dev, char *msg, size_t n);
    void (*close)(void *dev);
    const gdr_device_info *(*info)(const void *dev);
    /* May code that needs this ISA text (image.isa) run here? */
    int (*loadable)(const void *dev, const char *isa);
    /* Makes `entry` of an image launchable. The bytes are copied or mapped, and
     * equal bytes are loaded once. */
    gdr_status (*load)(void *dev, const void *code, size_t bytes,
                       const char *entry, void **kernel, char *msg, size_t n);
    /* The same for a function of this process. NULL: the device runs none. */
    gdr_status (*adopt)(void *dev, gdr_cpu_kernel run, void **kernel, char *msg,
                        size_t n);
    void (*unload)(void *dev, void *kernel);
    /* Does what the kernel's first launch would do beside launching. NULL:
     * nothing. GDR_ERR_LOAD when only a launch can. */
    gdr_status (*ready)(void *dev, void *kernel, char *msg, size_t n);
} gdr_backend;

/* Terminated by NULL; "auto" takes the first that opens. */
extern const gdr_backend *const gdr_backends[];

extern const gdr_backend gdr_backend_cuda;
extern const gdr_backend gdr_backend_cpu;

/*
 * Opens the device of a name: "cpu", "cuda:N", "N" (the same) or "auto" (the
 * first backend that opens; a card comes before the cpu). The one place that
 * knows device names. GDR_ERR_NO_DEVICE says what is missing and what to do.
 * The caller closes *dev with (*backend)->close.
 */
gdr_status gdr_backend_open(const char *name, const gdr_device_options *options,
                            const gdr_backend **backend, void **dev, char *msg,
                            size_t n);

/* NULL when no backend has that kind. */
const gdr_backend *gdr_backend_find(const char *kind, size_t length);

#endif
