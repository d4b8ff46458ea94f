/*
 * compile_nvrtc_library.h - a loaded NVRTC: its functions, its version, the
 * cards it knows. Only for compile_nvrtc*.c: it needs the toolkit's header.
 */
#ifndef GDR_COMPILE_NVRTC_LIBRARY_H
#define GDR_COMPILE_NVRTC_LIBRARY_H

#include "find_nvrtc.h"
#include "gdr.h"

#if defined GDR_CUDA && __has_include(<nvrtc.h>)
#define GDR_NVRTC 1
#include <nvrtc.h>

enum { GDR_NVRTC_ARCHS = 64 };

/* Where there is a driver NVRTC keeps what it compiled, and then neither
 * compiles nor logs. An option of 12.8 and later. */
#define GDR_NVRTC_NO_CACHE "--no-cache"

typedef struct gdr_nvrtc {
    int major, minor;
    int arch[GDR_NVRTC_ARCHS]; /* [archs]: 90 is sm_90, ascending */
    int archs;
    int no_cache; /* knows GDR_NVRTC_NO_CACHE */
    const char *(*error_string)(nvrtcResult result);
    nvrtcResult (*version)(int *major, int *minor);
    nvrtcResult (*number_of_archs)(int *n);
    nvrtcResult (*supported_archs)(int *list);
    nvrtcResult (*create)(nvrtcProgram *p, const char *source, const char *name,
                          int headers, const char *const *header,
                          const char *const *header_name);
    nvrtcResult (*destroy)(nvrtcProgram *p);
    nvrtcResult (*compile)(nvrtcProgram p, int n, const char *const *option);
    nvrtcResult (*cubin_size)(nvrtcProgram p, size_t *bytes);
    nvrtcResult (*cubin)(nvrtcProgram p, char *out);
    nvrtcResult (*ptx_size)(nvrtcProgram p, size_t *bytes);
    nvrtcResult (*ptx)(nvrtcProgram p, char *out);
    nvrtcResult (*log_size)(nvrtcProgram p, size_t *bytes);
    nvrtcResult (*log)(nvrtcProgram p, char *out);
    /* NULL before 12.8: a compilation then cannot be ended. */
    nvrtcResult (*set_callback)(nvrtcProgram p, int (*fn)(void *, void *),
                                void *ctx);
} gdr_nvrtc;

/* Looks for one that compiles an empty kernel, in folders (gdr_nvrtc_each_in)
 * or, NULL, everywhere. The library stays loaded. GDR_ERR_COMPILE with every
 * place and what was wrong there in msg. */
gdr_status gdr_nvrtc_open(const char *const *folder, size_t folders,
                          gdr_nvrtc *out, char *msg, size_t n);

/* The process's one, looked for at the first call; any thread. NULL: none, msg
 * as above. */
const gdr_nvrtc *gdr_nvrtc_get(char *msg, size_t n);

#endif
#endif
