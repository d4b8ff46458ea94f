/*
 * hot.h - functions that run at every call lie side by side in the library. A
 * driver's launch throws our code and data out of the nearest caches and of the
 * table of pages; what comes back is few lines of few pages.
 */
#ifndef GDR_HOT_H
#define GDR_HOT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GDR_HOT __attribute__((hot))

enum { GDR_LINE = 64 }; /* bytes of a cache line */

/* Zeroed memory that begins with a line; free() it. NULL: there is none. */
static inline void *gdr_line_alloc(size_t n, size_t bytes)
{
    size_t all;
    void *p;

    if (__builtin_mul_overflow(n, bytes, &all) || all > SIZE_MAX - GDR_LINE)
        return NULL;
    all = (all + GDR_LINE - 1) / GDR_LINE * GDR_LINE;
    p = aligned_alloc(GDR_LINE, all);
    return p ? memset(p, 0, all) : NULL;
}

#endif
