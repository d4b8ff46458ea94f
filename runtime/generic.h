/*
 * generic.h - the plain kernel of the op `recurrent` inside libgdr. It reads
 * the statics at run time, so they travel behind the parameters: the kernel
 * must be given the first member of a gdr_generic_params.
 */
#ifndef GDR_GENERIC_H
#define GDR_GENERIC_H

#include "gdr.h"
#include "recurrent_abi.h"

typedef struct gdr_generic_params {
    gdr_recurrent_params p; /* first: a gdr_cpu_kernel sees this alone */
    gdr_static s;
} gdr_generic_params;

/* Units: (sequence, value head, tile of GDR_GENERIC_TILE value columns), the
 * tile fastest. The grid that covers a call: */
enum { GDR_GENERIC_TILE = 8 };
#define GDR_GENERIC_GRID "b*hv*ceil(v/8)"

void gdr_generic_recurrent(const gdr_recurrent_params *p, long long begin,
                           long long end);

#endif
