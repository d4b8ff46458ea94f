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
static gdr_status parse_geometry(const gdr_recipe *r, const gdr_step_text *text,
                                 gdr_geometry *g, char *msg, size_t n)
{
    const struct {
        const char *name, *text, *fallback;
    } terms[GDR_TERMS] = {
        {"grid_x", text->grid_x, "1"}, {"grid_y", text->grid_y, "1"},
        {"grid_z", text->grid_z, "1"}, {"block", text->block, "1"},
        {"smem", text->smem, "0"},     {"workspace", text->workspace, "0"},
        {"pdl", text->pdl, "0"},
    };
    gdr_term parsed[GDR_TERMS];
    for (int i = 0; i < GDR_TERMS; i++) {
        char why[256] = "";
        const char *t = terms[i].text ? terms[i].text : terms[i].fallback;
        gdr_status status = gdr_term_parse(t, &parsed[i], why, sizeof why);
        if (status != GDR_OK)
            return gdr_fail(status, msg, n, "geometry term %s = \"%s\": %s",
                            terms[i].name, t, why);
    }
    gdr_geometry_make(g, parsed, r->s.K, r->s.V, r->sms);
    return GDR_OK;
}

/* Either code or run. */
static gdr_status add_step(gdr_recipe *r, const gdr_step_text *text,
                           const void *code, size_t bytes, gdr_cpu_kernel run,
                           char *msg, size_t n)
{
    gdr_geometry geometry = {.open = 0};
    void *kernel = NULL;
    if (r->n_steps >= GDR_RECIPE_STEPS)
        return gdr_fail(GDR_ERR_ARG, msg, n, "a plan has at most %d steps",
                        GDR_RECIPE_STEPS);
    gdr_status status = parse_geometry(r, text, &geometry, msg, n);
    if (status != GDR_OK)
        return status;
    status = run ? r->backend->adopt(r->dev, run, &kernel, msg, n)
                 : r->backend->load(r->dev, code, bytes, text->entry, &kernel,
                                    msg, n);
    if (status != GDR_OK)
        return status;
    if (gdr_geometry_varies(&geometry, GDR_TERM_WORKSPACE))
        r->open_workspace = 1;
    else if (geometry.fixed.workspace > r->workspace)
        r->workspace = geometry.fixed.workspace;
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
    r->n_steps = r->open_workspace = 0;
    r->workspace = 0;
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
    int64_t most = r->workspace;
    if (!r->open_workspace)
        return most;
    gdr_term_env env = term_env(r, x);
    for (int i = 0; i < r->n_steps; i++) {
        const gdr_geometry *g = &r->step[i].geometry;
        if (!gdr_geometry_varies(g, GDR_TERM_WORKSPACE))
            continue;
        int64_t bytes = gdr_term_eval(&g->term[GDR_TERM_WORKSPACE], &env);
        if (bytes < 0)
            return -1;
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Bytes of an element of the snapshots; 0: there are none. */
static int64_t snapshot_bytes(const gdr_recipe *r, const gdr_args *a)
{
    return r->s.contract != GDR_SNAPSHOTS ? 0
           : a->flags & GDR_SNAPSHOT_F32  ? 4
                                         : (int64_t)gdr_dtype_bytes(r->s.state);
}

static gdr_status refuse_states(const gdr_recipe *r, const gdr_args *a,
                                char *msg, size_t n)
{
    const int64_t bytes = (int64_t)gdr_dtype_bytes(r->s.state);
    const int64_t snapshot = snapshot_bytes(r, a);
    const int64_t mask = (int64_t)r->backend->state_align - 1;
    const struct {
        const char *name;
        int64_t at;
    } all[] = {
        {"state", (int64_t)(uintptr_t)a->state},
        {"state_stride_slot", a->state_stride_slot * bytes},
        {"state_stride_head", a->state_stride_head * bytes},
        {"state_stride_ring",
         r->s.contract == GDR_RING ? a->state_stride_ring * bytes : 0},
        {"snapshots", snapshot ? (int64_t)(uintptr_t)a->snapshots : 0},
        {"snapshot_stride_n", a->snapshot_stride_n * snapshot},
        {"snapshot_stride_t", a->snapshot_stride_t * snapshot},
        {"snapshot_stride_head", a->snapshot_stride_head * snapshot},
    };
    size_t i = 0;
    while (i + 1 < sizeof all / sizeof *all && !(all[i].at & mask))
        i++;
    return gdr_fail(GDR_ERR_ARG, msg, n,
                    "%s: %" PRId64 " bytes; on this device a state begins at a "
                    "multiple of %" PRId64 " bytes",
                    all[i].name, all[i].at, mask + 1);
}

/* Kernels of a card read states in vectors. */
static gdr_status check_states(const gdr_recipe *r, const gdr_args *a,
                               char *msg, size_t n)
{
    const size_t align = r->backend->state_align;
    int64_t strides = a->state_stride_slot | a->state_stride_head;
    int64_t odd = (int64_t)(uintptr_t)a->state;
    if (align <= 1)
        return GDR_OK;
    if (r->s.contract == GDR_RING)
        strides |= a->state_stride_ring;
    odd |= strides * (int64_t)gdr_dtype_bytes(r->s.state);
    if (r->s.contract == GDR_SNAPSHOTS)
        odd |= (int64_t)(uintptr_t)a->snapshots |
               (a->snapshot_stride_n | a->snapshot_stride_t |
                a->snapshot_stride_head) *
                   snapshot_bytes(r, a);
    return odd & (int64_t)(align - 1) ? refuse_states(r, a, msg, n) : GDR_OK;
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
    int64_t units;
    return gdr_geometry_eval(g, env, d) &&
           !__builtin_mul_overflow(d->grid[0], d->grid[1], &units) &&
           !__builtin_mul_overflow(units, d->grid[2], &units);
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
    gdr_generic_params params; /* 400 bytes: not cleared first */
    size_t bytes = r->generic ? sizeof params : sizeof params.p;
    gdr_args_pack(args, &r->s, &params.p);
    params.s = r->s;
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
