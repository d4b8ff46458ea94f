/*
 * isa.h - instruction set names: what this cpu and its system can run, and what
 * a compiler was told to use. Both come from one table, so that they compare.
 *
 * A text is the names in ASCII order with '+' between, "" for none.
 */
#ifndef GDR_ISA_H
#define GDR_ISA_H

#include "gdr.h"

/* "x86-64", "aarch64", or "unknown". */
const char *gdr_isa_arch(void);

/* What may run here, the system's support for the registers included.
 * GDR_ERR_INTERNAL if n is too small (256 always fits). */
gdr_status gdr_isa_detect(char *out, size_t n);

/* What a compiler will use: macros is what `cc -march=... -dM -E` prints. */
gdr_status gdr_isa_from_macros(const char *macros, char *out, size_t n);

/* 1 if all names of needed are in have. */
int gdr_isa_subset(const char *needed, const char *have);

/* Bytes of the widest register that a C vector type of fixed size can live in.
 * SVE does not count: without -msve-vector-bits compilers use its 128-bit part
 * for such types. */
int32_t gdr_isa_vector_bytes(const char *names);

#endif
