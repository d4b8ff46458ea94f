/*
 * generator.h - from a problem to the source text of its variants. Owns the Lua
 * state; generator.c is the only file that includes lua.h. Scripts, templates
 * and shape lists are packed into the program; a folder overrides them file by
 * file. Same input, same bytes.
 *
 * Life cycle: open, any calls, close (NULL is harmless). One handle belongs to
 * one thread. Texts live until the object that gave them is closed.
 */
#ifndef GDR_GENERATOR_H
#define GDR_GENERATOR_H

#include "gdr.h"

typedef struct gdr_generator gdr_generator;

/* What constraints may look at, beside the statics. */
typedef struct gdr_generator_device {
    const char *kind;     /* "cpu": the folder of the templates */
    const char *arch;     /* "x86-64", "sm_90a" */
    const char *isa;      /* "avx+avx2+..." */
    int64_t vector_bytes; /* widest vector register */
    int64_t l1_bytes, l2_bytes;
    int64_t smem_bytes; /* per block, cards only */
    int64_t sms;
} gdr_generator_device;

/* folder NULL: only what is packed. *out is set on failure too (unless memory
 * ran out) so that errmsg works. GDR_ERR_TEMPLATE for a bad script or spec. */
gdr_status gdr_generator_open(const char *folder, gdr_generator **out);
void gdr_generator_close(gdr_generator *g);

/* The same with all memory taken from a function with the contract of Lua's
 * allocator: bytes = 0 frees, else realloc; shrinking must not fail. What
 * outlives the generator (a space, a source) comes from it too, and the source
 * is freed with free(). For tests: fail allocation n for all n. */
typedef void *(*gdr_alloc_fn)(void *ctx, void *p, size_t old_bytes,
                              size_t bytes);
gdr_status gdr_generator_open_with(const char *folder, gdr_alloc_fn alloc,
                                   void *ctx, gdr_generator **out);
const char *gdr_generator_errmsg(const gdr_generator *g);

/* A candidate: what is stored and dispatched. */
typedef struct gdr_candidate {
    const char *kernel; /* "cpu/recurrent" */
    const char *config; /* canonical "name=int" pairs, sorted by name */
    const char
        *reduction; /* bitwise class: kernel and the tunables that matter */
    int64_t default_max_work; /* default for B*T*Hv up to this; 0: not one */
    int n_steps;
    struct {
        const char *entry, *grid_x, *grid_y, *grid_z, *block, *smem, *workspace;
        const char *pdl;       /* term: 1 for programmatic dependent launch */
        const char *in_flight; /* term: bytes of state that a block has asked
                                  for before it uses the first; "0": unsaid */
    } step[8];
} gdr_candidate;

typedef struct gdr_pruned {
    const char *kernel, *reason;
    int64_t count;
} gdr_pruned;

typedef struct gdr_space {
    int64_t n_candidates, n_pruned; /* n_pruned: distinct reasons */
    const gdr_candidate *candidate; /* sorted by kernel, config */
    const gdr_pruned *pruned;
    int64_t total; /* all configs before pruning */
} gdr_space;

/* All variants of the static part of p on a device, of every kernel whose spec
 * applies. GDR_ERR_NOT_FOUND when no kernel does. */
gdr_status gdr_generator_space(gdr_generator *g, const gdr_static *s,
                               const gdr_generator_device *dev,
                               gdr_space **out);
void gdr_space_close(gdr_space *space);

/* Index of the default for this much work; -1 if the space is empty. */
int64_t gdr_space_default(const gdr_space *space, int64_t work);

/* The source text of step n of a variant; *source is malloc'd. A declared
 * tunable that the template never reads is a warning in errmsg (status OK). */
gdr_status gdr_generator_expand(gdr_generator *g, const gdr_static *s,
                                const char *kernel, const char *config, int n,
                                char **source, size_t *bytes);

/* Shape lists. name: a packed list, or a path of a Lua file (sandboxed: no I/O,
 * bounded time and memory). Calls fn for each canonical problem text. */
typedef int (*gdr_shape_fn)(void *ctx, const char *problem);
gdr_status gdr_generator_each_shape(gdr_generator *g, const char *name,
                                    gdr_shape_fn fn, void *ctx);
/* Calls fn for each packed list: its name and its one-line doc. */
typedef int (*gdr_shapes_fn)(void *ctx, const char *name, const char *doc);
gdr_status gdr_generator_each_list(gdr_generator *g, gdr_shapes_fn fn,
                                   void *ctx);

#endif
