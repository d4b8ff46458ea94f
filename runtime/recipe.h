/*
 * recipe.h - a code made launchable: its steps with evaluated-on-call
 * geometry and loaded kernels. libgdr makes recipes from database rows, the
 * tuner from fresh images; both launch through gdr_recipe_launch.
 */
#ifndef GDR_RECIPE_H
#define GDR_RECIPE_H

#include "backend.h"
#include "hot.h"

enum { GDR_RECIPE_STEPS = 8 };

/* Everything about a step that is not code; texts as stored. */
typedef struct gdr_step_text {
    const char *entry, *grid_x, *grid_y, *grid_z, *block, *smem, *workspace;
    const char *pdl; /* "1": programmatic dependent launch; NULL: "0" */
} gdr_step_text;

/* What a launch reads comes first, in three lines. */
typedef struct gdr_recipe {
    _Alignas(GDR_LINE) gdr_static s;
    const gdr_backend *backend;
    void *dev;
    int32_t sms;
    int n_steps;
    int generic;        /* kernels want gdr_generic_params */
    int open_workspace; /* a step's depends on the call's extents */
    int64_t workspace;  /* bytes, the most of the other steps */
    struct {
        void *kernel; /* NULL: not loaded */
        gdr_geometry geometry;
    } step[GDR_RECIPE_STEPS];
    /* what it is, owned by whoever made the recipe */
    const char *kernel, *config;
    /* the plans of a set, of which some are this code's; NULL: no plan's */
    const struct gdr_entry *const *entry;
} gdr_recipe;

/* Parses the geometry and loads the code of the next step. */
gdr_status gdr_recipe_add_step(gdr_recipe *r, const gdr_step_text *text,
                               const void *code, size_t bytes, char *msg,
                               size_t n);
/* The same with a function of this process. GDR_ERR_NOT_FOUND: the device runs
 * none. */
gdr_status gdr_recipe_add_kernel(gdr_recipe *r, const gdr_step_text *text,
                                 gdr_cpu_kernel run, char *msg, size_t n);
/* Harmless on a zeroed recipe, and twice. */
void gdr_recipe_unload(gdr_recipe *r);

/* A recipe of the plain kernel inside libgdr: needs no image, is correct for
 * every valid problem, slow. GDR_ERR_NOT_FOUND if the device has none. Fills
 * *r in whole; its provenance texts are static. */
#define GDR_GENERIC_REDUCTION "generic/recurrent"
gdr_status gdr_recipe_generic(gdr_recipe *r, const gdr_static *s,
                              const gdr_backend *backend, void *dev);

/* Packs args into the op's parameters, evaluates the geometry, launches every
 * step in order. The arguments must have passed gdr_args_check; the alignment
 * of states, which follows from the device, is checked here, and the workspace
 * is checked here (GDR_ERR_ARG), since it follows from the plan. B = 0 or T = 0
 * launches nothing. */
GDR_HOT gdr_status gdr_recipe_launch(const gdr_recipe *r, const gdr_args *args,
                                     void *stream, char *msg, size_t n);

/* Bytes of workspace for these extents; -1 on overflow. The steps share one
 * workspace: each one's term covers all that it touches, the largest counts. */
GDR_HOT int64_t gdr_recipe_workspace(const gdr_recipe *r, const gdr_extents *x);

/* Is Hv a multiple of Hk > 0? A division of 64 bits takes several times one of
 * 32, and each call asks twice. */
static inline int gdr_heads_fit(int64_t Hk, int64_t Hv)
{
    if ((Hk | Hv) >> 32 == 0)
        return (uint32_t)Hv % (uint32_t)Hk == 0;
    return Hv % Hk == 0;
}

/* gdr_args_check for a static problem that is known to be valid. */
GDR_HOT gdr_status gdr_args_fit(const gdr_static *s, const gdr_args *args,
                                char *msg, size_t n);

/* Fills the op's parameter struct (recurrent_abi.h). */
struct gdr_recurrent_params;
GDR_HOT void gdr_args_pack(const gdr_args *args, const gdr_static *s,
                           struct gdr_recurrent_params *p);

#endif
