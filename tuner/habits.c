/*
 * habits.c - does a variant do the same again? What must stay true: what is
 * compared is bytes, and everything that a launch may not depend on differs
 * between the launches.
 */
#include "../runtime/reference.h"
#include "judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Launches of one small case; a fault in one of 7 or 16 launches shows. */
enum { REPEATS = 16 };

/* Compares every output with what the first launch left. */
static gdr_status check_same(gdr_judge *g, const gdr_stage *st,
                             unsigned char *const first[], int only,
                             const char *what)
{
    for (int i = 0; i < st->c->n_buffers && gdr_judge_passing(g); i++) {
        const gdr_buffer *b = &st->c->buffer[i];
        size_t bytes = 2 * b->zone + b->bytes;
        size_t at = b->output && (only < 0 || only == i)
                        ? gdr_stage_differs(first[i], st->got[i], bytes)
                        : bytes;
        char place[160];
        if (at == bytes)
            continue;
        gdr_stage_describe(st->c, i, at, place, sizeof place);
        gdr_judge_condemn(g, st->c, "wrong", "%s differs at %s", what, place);
    }
    return GDR_OK;
}

/* Memory that a launch may not depend on differs from time to time: caches, and
 * what the workspace holds. */
static gdr_status check_repeats(gdr_judge *g, gdr_stage *st,
                                const gdr_args *device,
                                unsigned char *const first[])
{
    gdr_status status = GDR_OK;
    for (int i = 2; i <= REPEATS && status == GDR_OK && gdr_judge_passing(g);
         i++) {
        char what[64];
        snprintf(what, sizeof what, "not repeatable: launch %d", i);
        status = gdr_stage_reset(st, i % 3 ? (i % 2 ? 0 : 0x3c) : -1);
        if (status == GDR_OK)
            status = gdr_judge_launch(g, st, device);
        if (status == GDR_OK && gdr_judge_passing(g))
            status = check_same(g, st, first, -1, what);
    }
    return status;
}

static void move(void *field, int64_t bytes)
{
    uintptr_t p;
    memcpy(&p, field, sizeof p);
    p = p ? p + (uintptr_t)bytes : 0;
    memcpy(field, &p, sizeof p);
}

static void move_tensor(gdr_tensor *x, int64_t elements, gdr_dtype d)
{
    move(&x->data, elements * (int64_t)gdr_dtype_bytes(d));
}

/* Points the tensors of tokens at sequence b, token t. */
static void move_tokens(const gdr_static *s, gdr_args *a, int64_t b, int64_t t)
{
    gdr_dtype decay = a->flags & GDR_GATE_IO ? s->io : GDR_F32;
    gdr_dtype mix = a->flags & GDR_BETA_IO ? s->io : GDR_F32;
    const struct {
        gdr_tensor *x;
        gdr_dtype d;
    } all[] = {{&a->q, s->io}, {&a->k, s->io}, {&a->v, s->io},  {&a->o, s->io},
               {&a->g, decay}, {&a->a, decay}, {&a->beta, mix}, {&a->b, mix}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        move_tensor(all[i].x, b * all[i].x->stride_b + t * all[i].x->stride_t,
                    all[i].d);
}

static gdr_dtype snapshot_dtype(const gdr_static *s, const gdr_args *a)
{
    return a->flags & GDR_SNAPSHOT_F32 ? GDR_F32 : s->state;
}

/* The call of sequence b alone, on the same memory. */
static gdr_args alone(const gdr_static *s, const gdr_args *all, int64_t b)
{
    gdr_args a = *all;
    int64_t width = a.flags & GDR_INDEX64 ? 8 : 4;
    int64_t columns = s->contract == GDR_INDEXED ? a.indices_stride_b : 1;
    a.x.B = 1;
    move_tokens(s, &a, b, 0);
    move(&a.state_indices, b * columns * width);
    move(&a.cache_seqlens, b * 4);
    move(&a.accepted, b * 4);
    if (!(a.flags & GDR_SNAPSHOT_BY_SLOT))
        move(&a.snapshots, b * a.snapshot_stride_n *
                               (int64_t)gdr_dtype_bytes(snapshot_dtype(s, &a)));
    if (!a.state_indices)
        move(&a.state,
             b * a.state_stride_slot * (int64_t)gdr_dtype_bytes(s->state));
    return a;
}

static gdr_status check_batch(gdr_judge *g, gdr_stage *st,
                              const gdr_args *device,
                              unsigned char *const first[])
{
    gdr_status status = gdr_stage_reset(st, -1);
    for (int64_t b = device->x.B;
         b-- > 0 && status == GDR_OK && gdr_judge_passing(g);) {
        gdr_args one = alone(&st->c->s, device, b);
        status = gdr_judge_launch(g, st, &one);
    }
    if (status != GDR_OK || !gdr_judge_passing(g))
        return status;
    return check_same(g, st, first, -1,
                      "depends on the batch: sequences alone");
}

/* Rounding between tokens promises that a packet leaves the same states as
 * its tokens one by one. Not asked of `indexed`, whose next call reads
 * elsewhere. */
static gdr_status check_tokens(gdr_judge *g, gdr_stage *st,
                               const gdr_args *device,
                               unsigned char *const first[])
{
    const gdr_static *s = &st->c->s;
    if (!s->round_between_tokens || s->contract == GDR_INDEXED)
        return GDR_OK;
    gdr_status status = gdr_stage_reset(st, -1);
    int32_t c[8];
    int64_t B = device->x.B;
    for (int64_t t = 0;
         t < device->x.T && status == GDR_OK && gdr_judge_passing(g); t++) {
        gdr_args one = *device;
        one.x.T = 1;
        move_tokens(s, &one, 0, t);
        move(&one.snapshots,
             t * one.snapshot_stride_t *
                 (int64_t)gdr_dtype_bytes(snapshot_dtype(s, &one)));
        for (int64_t b = 0; b < B && s->contract == GDR_RING; b++)
            c[b] = st->c->args.cache_seqlens[b] + (int32_t)t;
        if (s->contract == GDR_RING)
            status = g->target->write(g->recipe->dev, (void *)one.cache_seqlens,
                                      c, (size_t)B * sizeof *c);
        if (status == GDR_OK)
            status = gdr_judge_launch(g, st, &one);
    }
    if (status != GDR_OK || !gdr_judge_passing(g))
        return status;
    return check_same(g, st, first, st->c->state_buffer,
                      "a packet differs from its tokens one by one: the state");
}

/* No sequences or no tokens: nothing may happen. */
static gdr_status check_empty(gdr_judge *g, gdr_stage *st,
                              const gdr_args *device)
{
    gdr_status status = gdr_stage_reset(st, -1);
    for (int i = 0; i < 2 && status == GDR_OK && gdr_judge_passing(g); i++) {
        gdr_args none = *device, unused, got;
        char note[256];
        gdr_stage_args(st, &unused, &got);
        if (i)
            none.x.B = got.x.B = 0;
        else
            none.x.T = got.x.T = 0;
        status = gdr_judge_launch(g, st, &none);
        if (status != GDR_OK || !gdr_judge_passing(g))
            break;
        gdr_stage_inspect(st, &got, note, sizeof note);
        if (note[0])
            status = gdr_judge_condemn(g, st->c, "wrong", "%s = 0: %s",
                                       i ? "B" : "T", note);
    }
    return status;
}

/* The first launch is kept; the others must leave the same bytes. */
gdr_status gdr_judge_habits(gdr_judge *g, gdr_stage *st)
{
    gdr_args device, got;
    unsigned char *first[GDR_CASE_BUFFERS] = {0};
    gdr_stage_args(st, &device, &got);
    gdr_status status = gdr_stage_reset(st, -1);
    if (status == GDR_OK)
        status = gdr_judge_launch(g, st, &device);
    for (int i = 0; i < st->c->n_buffers && status == GDR_OK; i++) {
        size_t bytes = 2 * st->c->buffer[i].zone + st->c->buffer[i].bytes;
        if (!(first[i] = malloc(bytes + 1)))
            status = GDR_ERR_NO_MEMORY;
        else
            memcpy(first[i], st->got[i], bytes);
    }
    if (status == GDR_OK && gdr_judge_passing(g))
        status = check_repeats(g, st, &device, first);
    if (status == GDR_OK && gdr_judge_passing(g))
        status = check_batch(g, st, &device, first);
    if (status == GDR_OK && gdr_judge_passing(g))
        status = check_tokens(g, st, &device, first);
    if (status == GDR_OK && gdr_judge_passing(g))
        status = check_empty(g, st, &device);
    for (int i = 0; i < GDR_CASE_BUFFERS; i++)
        free(first[i]);
    return status;
}
