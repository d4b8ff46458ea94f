/*
 * recipe.c - a plan made launchable: geometry terms parsed once, evaluated per
 * call. Nothing on the way to a launch allocates.
 */
#include "recipe.h"
#include "generic.h"
#include "reference.h"
#include "status.h"

#include <assert.h>
#include <inttypes.h>

/* A NULL term is a constant that the device does not use. */
static gdr_status parse_geometry(const gdr_step_text *text, gdr_geometry *g,
                                 char *msg, size_t n)
{
    const struct {
        const char *name, *text, *fallback;
        gdr_term *term;
    } terms[] = {
        {"grid_x", text->grid_x, "1", &g->grid[0]},
        {"grid_y", text->grid_y, "1", &g->grid[1]},
        {"grid_z", text->grid_z, "1", &g->grid[2]},
        {"block", text->block, "1", &g->block},
        {"smem", text->smem, "0", &g->smem},
        {"workspace", text->workspace, "0", &g->workspace},
        {"pdl", text->pdl, "0", &g->pdl},
    };
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
        char why[256] = "";
        const char *t = terms[i].text ? terms[i].text : terms[i].fallback;
        gdr_status status = gdr_term_parse(t, terms[i].term, why, sizeof why);
        if (status != GDR_OK)
            return gdr_fail(status, msg, n, "geometry term %s = \"%s\": %s",
                            terms[i].name, t, why);
    }
    return GDR_OK;
}

/* Either code or run. */
static gdr_status add_step(gdr_recipe *r, const gdr_step_text *text,
                           const void *code, size_t bytes, gdr_cpu_kernel run,
                           char *msg, size_t n)
{
    gdr_geometry geometry;
    void *kernel = NULL;
    if (r->n_steps >= GDR_RECIPE_STEPS)
        return gdr_fail(GDR_ERR_ARG, msg, n, "a plan has at most %d steps",
                        GDR_RECIPE_STEPS);
    gdr_status status = parse_geometry(text, &geometry, msg, n);
    if (status != GDR_OK)
        return status;
    status = run ? r->backend->adopt(r->dev, run, &kernel, msg, n)
                 : r->backend->load(r->dev, code, bytes, text->entry, &kernel,
                                    msg, n);
    if (status != GDR_OK)
        return status;
    r->step[r->n_steps].geometry = geometry;
    r->step[r->n_steps].kernel = kernel;
    r->n_steps++;
    return GDR_OK;
}

gdr_status gdr_recipe_add_step(gdr_recipe *r, const gdr_step_text *text,
                               const void *code, size_t bytes, char *msg,
                               size_t n)
{
    return add_step(r, text, code, bytes, NULL, msg, n);
}

gdr_status gdr_recipe_add_kernel(gdr_recipe *r, const gdr_step_text *text,
                                 gdr_cpu_kernel run, char *msg, size_t n)
{
    if (!r->backend->adopt)
        return gdr_fail(GDR_ERR_NOT_FOUND, msg, n,
                        "a device of kind %s runs no kernel of the cpu",
                        r->backend->kind);
    return add_step(r, text, NULL, 0, run, msg, n);
}

void gdr_recipe_unload(gdr_recipe *r)
{
    for (int i = 0; i < r->n_steps; i++)
        if (r->step[i].kernel)
            r->backend->unload(r->dev, r->step[i].kernel);
    r->n_steps = 0;
}

gdr_status gdr_recipe_generic(gdr_recipe *r, const gdr_static *s,
                              const gdr_backend *backend, void *dev)
{
    const gdr_step_text text = {.entry = "gdr_generic_recurrent",
                                .grid_x = GDR_GENERIC_GRID};
    *r = (gdr_recipe){
        .s = *s,
        .backend = backend,
        .dev = dev,
        .sms = backend->info(dev)->sms,
        .kernel = "generic/recurrent",
        .config = "",
        .problem = "",
        .reduction = GDR_GENERIC_REDUCTION,
        .run = "",
        .regret = -1,
        .generic = 1,
    };
    return gdr_recipe_add_kernel(r, &text, gdr_generic_recurrent, NULL, 0);
}

/* ---- launching ---------------------------------------------------------- */

static gdr_term_env term_env(const gdr_recipe *r, const gdr_extents *x)
{
    return (gdr_term_env){.x = *x, .K = r->s.K, .V = r->s.V, .sms = r->sms};
}

int64_t gdr_recipe_workspace(const gdr_recipe *r, const gdr_extents *x)
{
    gdr_term_env env = term_env(r, x);
    int64_t most = 0;
    for (int i = 0; i < r->n_steps; i++) {
        int64_t bytes = gdr_term_eval(&r->step[i].geometry.workspace, &env);
        if (bytes < 0)
            return -1;
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Kernels of a card read states in vectors. */
static gdr_status check_states(const gdr_recipe *r, const gdr_args *a,
                               char *msg, size_t n)
{
    const int64_t align = (int64_t)r->backend->state_align;
    const int64_t mask = align > 1 ? align - 1 : 0;
    const int64_t bytes = (int64_t)gdr_dtype_bytes(r->s.state);
    const int ring = r->s.contract == GDR_RING;
    /* 0 where there are none: then nothing below is odd */
    const int64_t snapshot = r->s.contract != GDR_SNAPSHOTS ? 0
                             : a->flags & GDR_SNAPSHOT_F32  ? 4
                                                            : bytes;
    const struct {
        const char *name;
        int64_t at;
    } all[] = {
        {"state", (int64_t)(uintptr_t)a->state},
        {"state_stride_slot", a->state_stride_slot * bytes},
        {"state_stride_ring", ring ? a->state_stride_ring * bytes : 0},
        {"state_stride_head", a->state_stride_head * bytes},
        {"snapshots", snapshot ? (int64_t)(uintptr_t)a->snapshots : 0},
        {"snapshot_stride_n", a->snapshot_stride_n * snapshot},
        {"snapshot_stride_t", a->snapshot_stride_t * snapshot},
        {"snapshot_stride_head", a->snapshot_stride_head * snapshot},
    };
    int64_t odd = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        odd |= all[i].at & mask;
    for (size_t i = 0; odd && i < sizeof all / sizeof *all; i++)
        if (all[i].at & mask)
            return gdr_fail(GDR_ERR_ARG, msg, n,
                            "%s: %" PRId64 " bytes; on this device a state "
                            "begins at a multiple of %" PRId64 " bytes",
                            all[i].name, all[i].at, align);
    return GDR_OK;
}

static gdr_status check_workspace(const gdr_recipe *r, const gdr_args *a,
                                  char *msg, size_t n)
{
    int64_t bytes = gdr_recipe_workspace(r, &a->x);
    if (bytes < 0)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "x: the workspace passes 2^63 bytes");
    if (bytes == 0)
        return GDR_OK;
    if (!a->workspace)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "workspace is NULL: this plan needs %" PRId64
                        " bytes (gdr_plan_info.workspace_bytes)",
                        bytes);
    if ((uintptr_t)a->workspace % 256)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "workspace = %p: not aligned to 256 bytes",
                        a->workspace);
    if (a->workspace_bytes < (uint64_t)bytes)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "workspace_bytes = %zu: this plan needs %" PRId64
                        " (gdr_plan_info.workspace_bytes)",
                        a->workspace_bytes, bytes);
    return GDR_OK;
}

/* 0 when a term or the number of units overflows. */
static int eval_dims(const gdr_geometry *g, const gdr_term_env *env,
                     gdr_launch_dims *d)
{
    int64_t units = 1;
    for (int i = 0; i < 3; i++) {
        d->grid[i] = gdr_term_eval(&g->grid[i], env);
        if (d->grid[i] < 0 || __builtin_mul_overflow(units, d->grid[i], &units))
            return 0;
    }
    d->block = gdr_term_eval(&g->block, env);
    d->smem = gdr_term_eval(&g->smem, env);
    d->workspace = gdr_term_eval(&g->workspace, env);
    d->pdl = gdr_term_eval(&g->pdl, env);
    return d->block >= 0 && d->smem >= 0 && d->workspace >= 0;
}

gdr_status gdr_recipe_launch(const gdr_recipe *r, const gdr_args *args,
                             void *stream, char *msg, size_t n)
{
    assert(r->n_steps > 0);
    if (args->x.B == 0 || args->x.T == 0)
        return GDR_OK;
    gdr_status status = check_states(r, args, msg, n);
    if (status == GDR_OK)
        status = check_workspace(r, args, msg, n);
    if (status != GDR_OK)
        return status;
    gdr_generic_params params = {.s = r->s};
    size_t bytes = r->generic ? sizeof params : sizeof params.p;
    gdr_args_pack(args, &r->s, &params.p);
    gdr_term_env env = term_env(r, &args->x);
    for (int i = 0; i < r->n_steps; i++) {
        gdr_launch_dims dims;
        if (!eval_dims(&r->step[i].geometry, &env, &dims))
            return gdr_fail(GDR_ERR_ARG, msg, n,
                            "x: the grid of step %d passes 2^63 units", i);
        status = r->backend->launch(r->dev, r->step[i].kernel, &dims, &params,
                                    bytes, stream);
        if (status != GDR_OK)
            return gdr_fail(
                status, msg, n, "step %d of %s %s: the launch failed", i,
                r->kernel ? r->kernel : "?", r->config ? r->config : "");
    }
    return GDR_OK;
}
