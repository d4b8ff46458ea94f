/*
 * packed.h - the scripts and templates inside the program. The table is written
 * by pack.lua at build time, sorted by name and ended by a NULL name; names
 * are paths from the root of the source tree.
 */
#ifndef GDR_PACKED_H
#define GDR_PACKED_H

#include <stddef.h>

struct gdr_packed_file {
    const char *name; /* "templates/cpu/recurrent.c" */
    const char *text; /* 0-terminated */
    size_t bytes;     /* without that 0 */
};

extern const struct gdr_packed_file gdr_packed_files[];

#endif
