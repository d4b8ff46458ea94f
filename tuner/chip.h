/*
 * chip.h - what is known of cards without having one: a chip for each
 * architecture, and how many blocks of a kernel fit on a multiprocessor. For
 * --compile-only and the emu device; a real card is asked itself.
 */
#ifndef GDR_CHIP_H
#define GDR_CHIP_H

#include "../generator/generator.h"
#include "target.h"

typedef struct gdr_chip {
    const char *arch;        /* "sm_90a" */
    const char *card;        /* the one that the last two lines are of */
    int warps, blocks;       /* resident on a multiprocessor */
    int barriers;            /* the same; 0: they never are the limit */
    int smem_bytes;          /* of a multiprocessor */
    int block_smem_bytes;    /* the most that a block may opt in to */
    int reserved_smem_bytes; /* of each block, for the system */
    int smem_unit_bytes;     /* what a block gets is a multiple of this */
    int sms;
    int64_t l2_bytes;
    int untested; /* no kernel has run on it, or been emulated for it */
} gdr_chip;

/* "sm_90a", or "sm_90" for the same. GDR_ERR_NOT_FOUND lists the known. */
gdr_status gdr_chip_find(const char *arch, const gdr_chip **out, char *msg,
                         size_t n);

/* All of them, terminated by an entry without arch. */
extern const gdr_chip gdr_chips[];

/* What constraints may ask of it; the texts are the chip's. */
gdr_generator_device gdr_chip_traits(const gdr_chip *chip);

/* What a block takes of a multiprocessor. */
typedef struct gdr_block_needs {
    int threads, registers, barriers; /* registers: of a thread */
    int64_t smem_bytes;               /* static and dynamic */
} gdr_block_needs;

typedef struct gdr_occupancy {
    int blocks;        /* resident on a multiprocessor; 0: does not run */
    double warps;      /* the part of the warps that may be resident */
    const char *limit; /* what lets no more in: "registers", ... */
} gdr_occupancy;

/* As cuda_occupancy.h of the toolkit computes it, with all of shared memory
 * that the chip can give. */
gdr_occupancy gdr_chip_occupancy(const gdr_chip *chip,
                                 const gdr_block_needs *needs);

#endif
