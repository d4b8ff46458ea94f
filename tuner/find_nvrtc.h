/*
 * find_nvrtc.h - where a machine may keep NVRTC. Knows places, opens nothing:
 * a library that is there need not work (compile_nvrtc_library.c tries it).
 */
#ifndef GDR_FIND_NVRTC_H
#define GDR_FIND_NVRTC_H

#include <stddef.h>

/* A library: a path, or a bare name that the loader looks up. Not 0: enough. */
typedef int (*gdr_nvrtc_place_fn)(void *ctx, const char *path);

/*
 * Calls fn for each library, best first, until it returns not 0, which is
 * returned: $GDR_NVRTC and no other when that is set; else $CUDA_HOME, the
 * loader's path, the toolkit's default prefixes, pip's nvidia packages. tried
 * gets all places that were looked at, ", " between, cut at n.
 */
int gdr_nvrtc_each_place(gdr_nvrtc_place_fn fn, void *ctx, char *tried,
                         size_t n);

/* The same for folders of one's own: patterns of glob, a leading $NAME/ being
 * the environment's; "" is the loader's path. For the list above, and tests. */
int gdr_nvrtc_each_in(const char *const *folder, size_t folders,
                      gdr_nvrtc_place_fn fn, void *ctx, char *tried, size_t n);

#endif
