/*
 * misses.h - which extents were asked for and not tuned. Counted on the way to
 * every launch: no lock, no allocation, and no more than a cache line or two.
 */
#ifndef GDR_MISSES_H
#define GDR_MISSES_H

#include "gdr.h"

typedef struct gdr_misses gdr_misses;

/* NULL: no memory. */
gdr_misses *gdr_misses_open(void);
void gdr_misses_close(gdr_misses *m);

/* From any number of threads. Extents that no call may have do not count. */
void gdr_misses_count(gdr_misses *m, const gdr_extents *x);
uint64_t gdr_misses_total(const gdr_misses *m);

/* Lines "COUNT PROBLEM" behind what the file has, in one write; then all counts
 * are 0. GDR_ERR_IO, GDR_ERR_NO_MEMORY: the counts stay. */
gdr_status gdr_misses_write(gdr_misses *m, const gdr_static *s,
                            const char *path, char *msg, size_t n);

#endif
