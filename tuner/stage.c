/*
 * stage.c - what a launch did to memory. What must stay true: every byte that
 * was allocated is looked at, zones and gaps included, and only what the
 * contract names may differ.
 */
#include "stage.h"
#include "../runtime/reference.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKSPACE_ALIGN = 256 }; /* gdr_args.workspace */

static size_t image_bytes(const gdr_buffer *b)
{
    return 2 * b->zone + b->bytes;
}

/* ---- setting up --------------------------------------------------------- */

static gdr_status open_workspace(gdr_stage *st)
{
    int64_t bytes = gdr_recipe_workspace(st->recipe, &st->c->args.x);
    if (bytes < 0)
        return GDR_ERR_ARG;
    st->workspace_bytes = ((size_t)bytes + 1) / 2 * 2;
    if (bytes == 0)
        return GDR_OK;
    size_t whole = st->workspace_bytes + 2 * GDR_ZONE_BYTES;
    st->workspace_image = malloc(whole);
    if (!st->workspace_image)
        return GDR_ERR_NO_MEMORY;
    gdr_status status = st->target->alloc(
        st->recipe->dev, whole + WORKSPACE_ALIGN, &st->workspace_memory);
    uintptr_t p = (uintptr_t)st->workspace_memory + WORKSPACE_ALIGN - 1;
    if (status == GDR_OK)
        st->workspace = (void *)(p / WORKSPACE_ALIGN * WORKSPACE_ALIGN);
    return status;
}

gdr_status gdr_stage_open(gdr_stage *st, const gdr_target *target,
                          const gdr_recipe *recipe, const gdr_case *c)
{
    *st = (gdr_stage){.target = target, .recipe = recipe, .c = c};
    gdr_status status = GDR_OK;
    for (int i = 0; i < c->n_buffers && status == GDR_OK; i++) {
        size_t bytes = image_bytes(&c->buffer[i]);
        if (!(st->got[i] = malloc(bytes + 1)))
            status = GDR_ERR_NO_MEMORY;
        else
            status = target->alloc(recipe->dev, bytes, &st->device[i]);
    }
    if (status == GDR_OK)
        status = open_workspace(st);
    if (status != GDR_OK)
        gdr_stage_close(st);
    return status;
}

void gdr_stage_close(gdr_stage *st)
{
    for (int i = 0; st->c && i < st->c->n_buffers; i++) {
        if (st->device[i])
            st->target->free(st->recipe->dev, st->device[i]);
        free(st->got[i]);
    }
    if (st->workspace_memory)
        st->target->free(st->recipe->dev, st->workspace_memory);
    free(st->workspace_image);
    *st = (gdr_stage){0};
}

void gdr_stage_args(const gdr_stage *st, gdr_args *device, gdr_args *got)
{
    unsigned char *base[GDR_CASE_BUFFERS];
    for (int i = 0; i < st->c->n_buffers; i++)
        base[i] = st->device[i];
    gdr_case_relocate(st->c, base, device);
    if (st->workspace) {
        device->workspace = (char *)st->workspace + GDR_ZONE_BYTES;
        device->workspace_bytes = st->workspace_bytes;
    }
    for (int i = 0; i < st->c->n_buffers; i++)
        base[i] = st->c->buffer[i].output ? st->got[i] : st->c->buffer[i].image;
    gdr_case_relocate(st->c, base, got);
}

gdr_status gdr_stage_reset(gdr_stage *st, int fill)
{
    gdr_status status = GDR_OK;
    for (int i = 0; i < st->c->n_buffers && status == GDR_OK; i++)
        status = st->target->write(st->recipe->dev, st->device[i],
                                   st->c->buffer[i].image,
                                   image_bytes(&st->c->buffer[i]));
    if (status != GDR_OK || !st->workspace)
        return status;
    size_t whole = st->workspace_bytes + 2 * GDR_ZONE_BYTES;
    gdr_case_poison(st->workspace_image, whole);
    if (fill >= 0)
        memset(st->workspace_image + GDR_ZONE_BYTES, fill, st->workspace_bytes);
    return st->target->write(st->recipe->dev, st->workspace,
                             st->workspace_image, whole);
}

gdr_status gdr_stage_fetch(gdr_stage *st)
{
    gdr_status status = GDR_OK;
    for (int i = 0; i < st->c->n_buffers && status == GDR_OK; i++)
        status = st->target->read(st->recipe->dev, st->got[i], st->device[i],
                                  image_bytes(&st->c->buffer[i]));
    if (status != GDR_OK || !st->workspace)
        return status;
    return st->target->read(st->recipe->dev, st->workspace_image, st->workspace,
                            st->workspace_bytes + 2 * GDR_ZONE_BYTES);
}

/* ---- describing --------------------------------------------------------- */

/* Divides *rest by a stride: which one, and what is left inside it. */
static int64_t split(int64_t *rest, int64_t stride)
{
    int64_t n = stride > 0 ? *rest / stride : 0;
    *rest -= n * stride;
    return n;
}

static void describe_block(const gdr_case *c, int64_t rest, char *text,
                           size_t n)
{
    int64_t minor = c->s.layout == GDR_VK ? c->s.K : c->s.V;
    if (rest >= (int64_t)c->s.K * c->s.V) {
        snprintf(text, n, "the padding");
        return;
    }
    int64_t major = split(&rest, minor);
    int vk = c->s.layout == GDR_VK;
    snprintf(text, n, "k %" PRId64 " v %" PRId64, vk ? rest : major,
             vk ? major : rest);
}

static void describe_state(const gdr_case *c, int64_t rest, char *text,
                           size_t n)
{
    const gdr_args *a = &c->args;
    char block[64];
    int64_t slot = c->first_slot + split(&rest, a->state_stride_slot);
    int64_t ring =
        c->s.contract == GDR_RING ? split(&rest, a->state_stride_ring) : 0;
    int64_t head = split(&rest, a->state_stride_head);
    describe_block(c, rest, block, sizeof block);
    if (ring >= a->ring || head >= a->x.Hv)
        snprintf(text, n, "slot %" PRId64 ", its padding", slot);
    else if (c->s.contract == GDR_RING)
        snprintf(text, n, "slot %" PRId64 " ring %" PRId64 " hv %" PRId64 " %s",
                 slot, ring, head, block);
    else
        snprintf(text, n, "slot %" PRId64 " hv %" PRId64 " %s", slot, head,
                 block);
}

static void describe_snapshot(const gdr_case *c, int64_t rest, char *text,
                              size_t n)
{
    const gdr_args *a = &c->args;
    char block[64];
    int64_t i = c->first_snapshot + split(&rest, a->snapshot_stride_n);
    int64_t t = split(&rest, a->snapshot_stride_t);
    int64_t head = split(&rest, a->snapshot_stride_head);
    describe_block(c, rest, block, sizeof block);
    snprintf(text, n, "row %" PRId64 " t %" PRId64 " hv %" PRId64 " %s", i, t,
             head, block);
}

static void describe_o(const gdr_case *c, int64_t rest, char *text, size_t n)
{
    const gdr_tensor *o = &c->args.o;
    int64_t b = split(&rest, o->stride_b), t = split(&rest, o->stride_t);
    int64_t head = split(&rest, o->stride_h);
    if (t >= c->args.x.T || head >= c->args.x.Hv || rest >= c->s.V)
        snprintf(text, n, "b %" PRId64 " t %" PRId64 ", the padding", b, t);
    else
        snprintf(text, n,
                 "b %" PRId64 " t %" PRId64 " hv %" PRId64 " v %" PRId64, b, t,
                 head, rest);
}

void gdr_stage_describe(const gdr_case *c, int buffer, size_t byte, char *text,
                        size_t n)
{
    const gdr_buffer *b = &c->buffer[buffer];
    int used = snprintf(text, n, "%s: ", b->name);
    if (used < 0 || (size_t)used >= n)
        return;
    text += used;
    n -= (size_t)used;
    if (byte < b->zone) {
        snprintf(text, n, "%zu bytes before its start", b->zone - byte);
        return;
    }
    byte -= b->zone;
    int snapshot = buffer == c->snapshot_buffer;
    int f32 = snapshot && c->args.flags & GDR_SNAPSHOT_F32;
    gdr_dtype d = buffer == c->o_buffer ? c->s.io : f32 ? GDR_F32 : c->s.state;
    int64_t element = (int64_t)(byte / gdr_dtype_bytes(d));
    if (byte >= b->bytes)
        snprintf(text, n, "%zu bytes past its end", byte - b->bytes);
    else if (buffer == c->state_buffer)
        describe_state(c, element, text, n);
    else if (snapshot)
        describe_snapshot(c, element, text, n);
    else if (buffer == c->o_buffer)
        describe_o(c, element, text, n);
    else
        snprintf(text, n, "byte %zu", byte);
}

/* ---- inspecting --------------------------------------------------------- */

size_t gdr_stage_differs(const unsigned char *a, const unsigned char *b,
                         size_t bytes)
{
    size_t i = 0;
    if (memcmp(a, b, bytes) == 0)
        return bytes;
    while (a[i] == b[i])
        i++;
    return i;
}

/* Undoes a permitted write: the image gets what was there before. */
static void undo(gdr_stage *st, int buffer, const void *got, int64_t element,
                 int64_t count, gdr_dtype d)
{
    int64_t size = (int64_t)gdr_dtype_bytes(d);
    uintptr_t to = (uintptr_t)got + (uintptr_t)(element * size);
    uintptr_t at = to - (uintptr_t)st->got[buffer];
    memcpy(st->got[buffer] + at, st->c->buffer[buffer].image + at,
           (size_t)(count * size));
}

static void undo_head(gdr_stage *st, const gdr_args *a, int64_t b, int64_t hv)
{
    const gdr_static *s = &st->c->s;
    for (int64_t t = 0; t < a->x.T; t++)
        undo(st, st->c->o_buffer, a->o.data,
             b * a->o.stride_b + t * a->o.stride_t + hv * a->o.stride_h, s->V,
             s->io);
    for (int64_t t = 0; t <= a->x.T; t++) {
        gdr_state_write w = gdr_state_sink(s, a, b, hv, t);
        if (w.offset >= 0)
            undo(st, w.pool ? st->c->snapshot_buffer : st->c->state_buffer,
                 w.pool ? a->snapshots : a->state, w.offset,
                 (int64_t)s->K * s->V, w.dtype);
    }
}

static int inspect_workspace(const gdr_stage *st, char *note, size_t n)
{
    unsigned char zone[GDR_ZONE_BYTES + 128];
    if (!st->workspace)
        return 0;
    const unsigned char *image = st->workspace_image;
    size_t after = GDR_ZONE_BYTES + st->workspace_bytes;
    /* the pattern depends on the position, with a period of 128 bytes */
    gdr_case_poison(zone, sizeof zone);
    size_t before = gdr_stage_differs(image, zone, GDR_ZONE_BYTES);
    size_t past =
        gdr_stage_differs(image + after, zone + after % 128, GDR_ZONE_BYTES);
    if (before < GDR_ZONE_BYTES)
        snprintf(note, n, "workspace: %zu bytes before its start: written",
                 GDR_ZONE_BYTES - before);
    else if (past < GDR_ZONE_BYTES)
        snprintf(note, n, "workspace: %zu bytes past its end: written", past);
    return before < GDR_ZONE_BYTES || past < GDR_ZONE_BYTES;
}

void gdr_stage_inspect(gdr_stage *st, const gdr_args *got, char *note, size_t n)
{
    note[0] = 0;
    for (int64_t b = 0; b < got->x.B; b++)
        for (int64_t hv = 0; hv < got->x.Hv; hv++)
            undo_head(st, got, b, hv);
    for (int i = 0; i < st->c->n_buffers; i++) {
        const gdr_buffer *b = &st->c->buffer[i];
        size_t bytes = image_bytes(b);
        size_t at = gdr_stage_differs(st->got[i], b->image, bytes);
        char place[160];
        if (at == bytes)
            continue;
        gdr_stage_describe(st->c, i, at, place, sizeof place);
        snprintf(note, n, "%s: %s", place,
                 b->output ? "written, though this call does not address it"
                           : "an input was changed");
        return;
    }
    inspect_workspace(st, note, n);
}
