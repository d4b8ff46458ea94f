/*
 * portable.h - code for cards newer than the database: the default of a static
 * problem once more, in the language that every later driver compiles.
 */
#ifndef GDR_PORTABLE_H
#define GDR_PORTABLE_H

#include "batch.h"

/* "sm_90a" gives "compute_90"; 0 when arch has no such language. */
int gdr_portable_language(const char *arch, char *language, size_t n);

/* The default for the largest work that passed, compiled to PTX and stored as a
 * default of the device "cuda:ptx:...". GDR_OK also where that is not possible:
 * on a cpu, or for a kernel that only one architecture has the instructions
 * for; the report then says so. */
gdr_status gdr_portable_put(gdr_batch *b);

#endif
