/*
 * emulator.h - a card made of this processor, one for each open device: loads
 * kernels compiled behind prim_emu.h, runs a grid to its end on the calling
 * thread, watches every access on the way. Each launch takes the next of nine
 * schedules (order of threads x time at which copies complete), so that a
 * sequence of launches sees all of them; launch n of a device is always the
 * same.
 *
 * Life cycle: open, alloc and load in any order, launches, close (which frees
 * what is left). One handle belongs to one thread.
 */
#ifndef GDR_EMULATOR_H
#define GDR_EMULATOR_H

#include "../../runtime/geometry.h"

typedef struct gdr_emu gdr_emu;
typedef struct gdr_emu_image gdr_emu_image;

/* What the emulator has to know of an architecture. */
typedef struct gdr_emu_chip {
    const char *arch;
    int macro;          /* __CUDA_ARCH__ */
    int64_t smem_bytes; /* of a block, at most */
    int64_t l2_bytes;
} gdr_emu_chip;

/* NULL when no chip of that name is known; names lists all of them. */
const gdr_emu_chip *gdr_emu_chip_find(const char *arch);
void gdr_emu_chip_names(char *text, size_t n);

gdr_status gdr_emu_open(const gdr_emu_chip *chip, gdr_emu **out);
void gdr_emu_close(gdr_emu *e); /* NULL is harmless */

/* ---- memory: aligned to 256, what was never written is uninitialised ---- */

gdr_status gdr_emu_alloc(gdr_emu *e, size_t bytes, void **p);
void gdr_emu_free(gdr_emu *e, void *p);
/* GDR_ERR_ARG when it is not memory of the device. */
gdr_status gdr_emu_write(gdr_emu *e, void *to, const void *from, size_t bytes);
gdr_status gdr_emu_read(gdr_emu *e, void *to, const void *from, size_t bytes);

/* ---- kernels ---- */

/* The bytes are copied. GDR_ERR_LOAD: not an image, or no such entry. */
gdr_status gdr_emu_load(gdr_emu *e, const void *code, size_t bytes,
                        const char *entry, gdr_emu_image **out, char *msg,
                        size_t n);
void gdr_emu_unload(gdr_emu *e, gdr_emu_image *image);

/* params: a gdr_recurrent_params. Returns when the grid is done.
 * GDR_ERR_LAUNCH: something was found, and gdr_emu_explain tells. */
gdr_status gdr_emu_launch(gdr_emu *e, gdr_emu_image *image,
                          const gdr_launch_dims *dims, const void *params,
                          size_t params_bytes);

/* What the last launch that failed did: "race", "timeout" or "crash", and one
 * line for each report in note. 0 when the last launch was clean. */
int gdr_emu_explain(gdr_emu *e, const char **outcome, char *note, size_t n);

/* The next launch is the n-th: for tests. */
void gdr_emu_seek(gdr_emu *e, unsigned n);

#endif
