/*
 * cubin.h - what a cubin says of itself: an ELF file whose .nv.info sections
 * hold the figures of its kernels. Trusts no byte: a file may be cut, damaged
 * or hostile, and is then GDR_ERR_FORMAT.
 *
 * Layout: the ELF specification, and what cuobjdump and ptxas -v of CUDA 12.0,
 * 12.9 and 13.0 say of the same files; NVIDIA documents none of it.
 */
#ifndef GDR_CUBIN_H
#define GDR_CUBIN_H

#include "gdr.h"

/* Of several kernels, the largest figure each. */
typedef struct gdr_cubin {
    int arch; /* 90: sm_90, with whatever suffix */
    int kernels;
    int registers, stack_bytes; /* of a thread */
    int smem_bytes; /* static, of a block; not what the system takes */
    int barriers;
    int max_threads; /* of a block; 0: not bounded */
} gdr_cubin;

gdr_status gdr_cubin_read(const void *code, size_t bytes, gdr_cubin *out,
                          char *msg, size_t n);

/* May a card of this arch ("sm_90a") be given the code? GDR_ERR_FORMAT: it is
 * no cubin; GDR_ERR_LOAD: one for another arch. */
gdr_status gdr_cubin_check(const void *code, size_t bytes, const char *arch,
                           char *msg, size_t n);

#endif
