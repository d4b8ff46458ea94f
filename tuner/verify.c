/*
 * verify.c - the gate as a sequence of questions, the cheapest to blame first:
 * does it launch, did it stay in its memory, is it right, does it repeat
 * itself, does it depend on the batch. What must stay true: a variant is asked
 * only through gdr_recipe_launch and the target's memory, as any caller would.
 */
#include "verify.h"
#include "../runtime/reference.h"
#include "cover.h"
#include "oracle.h"
#include "stage.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* At real extents: so many heads are checked, of states of so many bytes. */
enum { SAMPLE_HEADS = 16 };
static const size_t extents_bytes = (size_t)64 << 20;

/* Launches of one small case; a fault in one of 7 or 16 launches shows. */
enum { REPEATS = 16 };

typedef struct gate {
    const gdr_target *target;
    const gdr_recipe *recipe;
    const gdr_verify_options *options;
    gdr_verdict *verdict;
    gdr_oracle *oracle;
    uint64_t seed;
} gate;

/* The verdict: always GDR_OK, since the judge is well. */
__attribute__((format(printf, 4, 5))) static gdr_status
condemn(gate *g, const gdr_case *c, const char *outcome, const char *format,
        ...)
{
    char what[256];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    g->verdict->outcome = outcome;
    snprintf(g->verdict->note, sizeof g->verdict->note,
             "%s; case %s; seed %" PRIu64, what, c->name, g->seed);
    return GDR_OK;
}

static int passing(const gate *g)
{
    return strcmp(g->verdict->outcome, "ok") == 0;
}

static void announce(const gate *g, const char *name)
{
    if (g->options->progress)
        g->options->progress(g->options->ctx, name);
}

/* Launches and takes everything back; not passing() afterwards if refused. */
static gdr_status launch(gate *g, gdr_stage *st, const gdr_args *args)
{
    char msg[200] = "";
    gdr_status status =
        gdr_recipe_launch(g->recipe, args, NULL, msg, sizeof msg);
    if (status != GDR_OK)
        return condemn(g, st->c, "launch", "%s: %s", gdr_strerror(status), msg);
    return gdr_stage_fetch(st);
}

/* ---- right numbers ------------------------------------------------------ */

static gdr_status blame(gate *g, const gdr_case *c, const gdr_miss *miss)
{
    char place[64] = "";
    if (miss->row >= 0)
        snprintf(place, sizeof place, " k %d", miss->row);
    return condemn(g, c, "wrong",
                   "%s of b %" PRId64 " t %" PRId64 " hv %" PRId64
                   "%s v %d: expected %.9g, got %.9g, off by %.3g times the "
                   "bound of %.3g",
                   miss->what, miss->b, miss->t, miss->hv, place, miss->column,
                   miss->expected, miss->got, miss->ratio, miss->bound);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Spread over the heads, first and last included; all when there are few. */
static int64_t sampled(int64_t heads, int64_t i, int64_t most)
{
    return heads <= most ? i : i * (heads - 1) / (most - 1);
}

static void judge_heads(gate *g, gdr_stage *st, const gdr_args *got,
                        const gdr_args *stored, int64_t from, int64_t most,
                        gdr_miss *o, gdr_miss *state)
{
    gdr_args in = st->c->args;
    int64_t heads = got->x.B * got->x.Hv;
    in.x.T = got->x.T;
    for (int64_t i = 0; i < heads && i < most; i++) {
        int64_t h = sampled(heads, i, most);
        gdr_oracle_judge(g->oracle, &in, got, stored, h / got->x.Hv,
                         h % got->x.Hv, from, o, state);
    }
    g->verdict->error_o = larger(g->verdict->error_o, o->ratio);
    g->verdict->error_s = larger(g->verdict->error_s, state->ratio);
}

/* One launch of the first T tokens. Where both are wrong, memory is blamed: a
 * changed input or a stray write explains wrong numbers. */
static gdr_status check_call(gate *g, gdr_stage *st, int64_t T,
                             gdr_args *stored, int64_t from, int64_t most)
{
    gdr_args device, got;
    gdr_miss o = {0}, state = {0};
    char note[256];
    gdr_status status = gdr_stage_reset(st, -1);
    gdr_stage_args(st, &device, &got);
    device.x.T = got.x.T = T;
    if (status == GDR_OK)
        status = launch(g, st, &device);
    if (status != GDR_OK || !passing(g))
        return status;
    judge_heads(g, st, &got, stored, from, most, &o, &state);
    gdr_stage_inspect(st, &got, note, sizeof note);
    if (note[0])
        return condemn(g, st->c, "wrong", "%s", note);
    if (!(o.ratio <= 1))
        return blame(g, st->c, &o);
    if (!(state.ratio <= 1))
        return blame(g, st->c, &state);
    return GDR_OK;
}

/*
 * `final` with rounding between tokens shows only its last state. So every
 * prefix is a call of its own, and token t is judged from the state that the
 * call of t tokens left.
 */
static gdr_status check_prefixes(gate *g, gdr_stage *st, int64_t most)
{
    int64_t T = st->c->args.x.T;
    int state = st->c->state_buffer;
    const gdr_buffer *b = &st->c->buffer[state];
    size_t bytes = 2 * b->zone + b->bytes;
    gdr_status status = GDR_OK;
    gdr_args *stored = calloc((size_t)T, sizeof *stored);
    unsigned char *images = malloc(bytes * (size_t)(T - 1) + 1);
    if (!stored || !images)
        status = GDR_ERR_NO_MEMORY;
    for (int64_t t = 1; t <= T && status == GDR_OK && passing(g); t++) {
        gdr_args device;
        status = check_call(g, st, t, stored, t < T ? t - 1 : 0, most);
        if (t == T || status != GDR_OK)
            break;
        /* inspection undid what was written: fetch the state again */
        gdr_stage_args(st, &device, &stored[t]);
        unsigned char *image = images + bytes * (size_t)(t - 1);
        status =
            g->target->read(g->recipe->dev, image, st->device[state], bytes);
        stored[t].x.T = t;
        stored[t].state =
            (void *)((uintptr_t)stored[t].state + (uintptr_t)image -
                     (uintptr_t)st->got[state]);
    }
    free(images);
    free(stored);
    return status;
}

static gdr_status check_case(gate *g, const gdr_case *c, int64_t most)
{
    gdr_stage st;
    int64_t T = c->args.x.T;
    announce(g, c->name);
    gdr_status status = gdr_stage_open(&st, g->target, g->recipe, c);
    if (status == GDR_ERR_ARG)
        return condemn(g, c, "launch", "the workspace overflows");
    if (status != GDR_OK)
        return status;
    if (c->s.contract == GDR_FINAL && c->s.round_between_tokens && T > 1)
        status = check_prefixes(g, &st, most);
    else
        status = check_call(g, &st, T, NULL, 0, most);
    g->verdict->cases++;
    gdr_stage_close(&st);
    return status;
}

/* ---- the same again ----------------------------------------------------- */

/* Compares every output with what the first launch left. */
static gdr_status check_same(gate *g, const gdr_stage *st,
                             unsigned char *const first[], int only,
                             const char *what)
{
    for (int i = 0; i < st->c->n_buffers && passing(g); i++) {
        const gdr_buffer *b = &st->c->buffer[i];
        size_t bytes = 2 * b->zone + b->bytes;
        size_t at = b->output && (only < 0 || only == i)
                        ? gdr_stage_differs(first[i], st->got[i], bytes)
                        : bytes;
        char place[160];
        if (at == bytes)
            continue;
        gdr_stage_describe(st->c, i, at, place, sizeof place);
        condemn(g, st->c, "wrong", "%s differs at %s", what, place);
    }
    return GDR_OK;
}

/* Memory that a launch may not depend on differs from time to time: caches, and
 * what the workspace holds. */
static gdr_status check_repeats(gate *g, gdr_stage *st, const gdr_args *device,
                                unsigned char *const first[])
{
    gdr_status status = GDR_OK;
    for (int i = 2; i <= REPEATS && status == GDR_OK && passing(g); i++) {
        char what[64];
        snprintf(what, sizeof what, "not repeatable: launch %d", i);
        status = gdr_stage_reset(st, i % 3 ? (i % 2 ? 0 : 0x3c) : -1);
        if (status == GDR_OK)
            status = launch(g, st, device);
        if (status == GDR_OK && passing(g))
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

static gdr_status check_batch(gate *g, gdr_stage *st, const gdr_args *device,
                              unsigned char *const first[])
{
    gdr_status status = gdr_stage_reset(st, -1);
    for (int64_t b = device->x.B; b-- > 0 && status == GDR_OK && passing(g);) {
        gdr_args one = alone(&st->c->s, device, b);
        status = launch(g, st, &one);
    }
    if (status != GDR_OK || !passing(g))
        return status;
    return check_same(g, st, first, -1,
                      "depends on the batch: sequences alone");
}

/* Rounding between tokens promises that a packet leaves the same states as
 * its tokens one by one. Not asked of `indexed`, whose next call reads
 * elsewhere. */
static gdr_status check_tokens(gate *g, gdr_stage *st, const gdr_args *device,
                               unsigned char *const first[])
{
    const gdr_static *s = &st->c->s;
    if (!s->round_between_tokens || s->contract == GDR_INDEXED)
        return GDR_OK;
    gdr_status status = gdr_stage_reset(st, -1);
    int32_t c[8];
    int64_t B = device->x.B;
    for (int64_t t = 0; t < device->x.T && status == GDR_OK && passing(g);
         t++) {
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
            status = launch(g, st, &one);
    }
    if (status != GDR_OK || !passing(g))
        return status;
    return check_same(g, st, first, st->c->state_buffer,
                      "a packet differs from its tokens one by one: the state");
}

/* No sequences or no tokens: nothing may happen. */
static gdr_status check_empty(gate *g, gdr_stage *st, const gdr_args *device)
{
    gdr_status status = gdr_stage_reset(st, -1);
    for (int i = 0; i < 2 && status == GDR_OK && passing(g); i++) {
        gdr_args none = *device, unused, got;
        char note[256];
        gdr_stage_args(st, &unused, &got);
        if (i)
            none.x.B = got.x.B = 0;
        else
            none.x.T = got.x.T = 0;
        status = launch(g, st, &none);
        if (status != GDR_OK || !passing(g))
            break;
        gdr_stage_inspect(st, &got, note, sizeof note);
        if (note[0])
            status =
                condemn(g, st->c, "wrong", "%s = 0: %s", i ? "B" : "T", note);
    }
    return status;
}

/* The first launch is kept; the others must leave the same bytes. */
static gdr_status check_launches(gate *g, gdr_stage *st)
{
    gdr_args device, got;
    unsigned char *first[GDR_CASE_BUFFERS] = {0};
    gdr_stage_args(st, &device, &got);
    gdr_status status = gdr_stage_reset(st, -1);
    if (status == GDR_OK)
        status = launch(g, st, &device);
    for (int i = 0; i < st->c->n_buffers && status == GDR_OK; i++) {
        size_t bytes = 2 * st->c->buffer[i].zone + st->c->buffer[i].bytes;
        if (!(first[i] = malloc(bytes + 1)))
            status = GDR_ERR_NO_MEMORY;
        else
            memcpy(first[i], st->got[i], bytes);
    }
    if (status == GDR_OK && passing(g))
        status = check_repeats(g, st, &device, first);
    if (status == GDR_OK && passing(g))
        status = check_batch(g, st, &device, first);
    if (status == GDR_OK && passing(g))
        status = check_tokens(g, st, &device, first);
    if (status == GDR_OK && passing(g))
        status = check_empty(g, st, &device);
    for (int i = 0; i < st->c->n_buffers; i++)
        free(first[i]);
    return status;
}

static gdr_status check_habits(gate *g)
{
    gdr_case *c;
    gdr_stage st;
    gdr_status status =
        gdr_case_open(&g->recipe->s, &gdr_repeat_case, g->seed, &c);
    if (status != GDR_OK)
        return status;
    status = check_case(g, c, INT64_MAX);
    if (status == GDR_OK && passing(g)) {
        status = gdr_stage_open(&st, g->target, g->recipe, c);
        if (status == GDR_OK) {
            status = check_launches(g, &st);
            gdr_stage_close(&st);
        }
    }
    gdr_case_close(c);
    return status;
}

/* ---- which cases -------------------------------------------------------- */

static gdr_status check_spec(gate *g, const gdr_case_spec *spec, uint64_t seed)
{
    gdr_case *c;
    gdr_status status = gdr_case_open(&g->recipe->s, spec, seed, &c);
    if (status != GDR_OK)
        return status;
    status = check_case(g, c, INT64_MAX);
    gdr_case_close(c);
    return status;
}

static gdr_status check_cover(gate *g, int strength)
{
    int levels[GDR_AXES];
    uint8_t *rows;
    int64_t n;
    gdr_case_levels(&g->recipe->s, levels);
    gdr_status status = gdr_cover(levels, GDR_AXES, strength, &rows, &n);
    for (int64_t i = 0; i < n && status == GDR_OK && passing(g); i++) {
        char name[32];
        gdr_case_spec spec = {.name = name};
        snprintf(name, sizeof name, "%d-way %" PRId64, strength, i);
        memcpy(spec.level, rows + i * GDR_AXES, GDR_AXES);
        status = check_spec(g, &spec, g->seed + (uint64_t)i);
    }
    free(rows);
    return status;
}

static gdr_status check_extents(gate *g, const gdr_extents *x)
{
    gdr_case *c;
    gdr_status status =
        gdr_case_open_extents(&g->recipe->s, x, extents_bytes, g->seed, &c);
    if (status != GDR_OK)
        return status;
    status = check_case(g, c, SAMPLE_HEADS);
    gdr_case_close(c);
    return status;
}

gdr_status gdr_verify(const gdr_target *target, const gdr_recipe *recipe,
                      const gdr_verify_options *options, gdr_verdict *verdict)
{
    gate g = {target, recipe, options, verdict, NULL, options->seed};
    *verdict = (gdr_verdict){.outcome = "ok"};
    gdr_status status = gdr_oracle_open(&recipe->s, &g.oracle);
    for (int i = 0; i < gdr_n_gate_cases && status == GDR_OK && passing(&g);
         i++)
        status = check_spec(&g, &gdr_gate_cases[i], g.seed);
    if (status == GDR_OK && passing(&g))
        status = check_habits(&g);
    for (int i = 0; i < options->n_extents && status == GDR_OK && passing(&g);
         i++)
        status = check_extents(&g, &options->extents[i]);
    if (status == GDR_OK && passing(&g) && options->thorough)
        status = check_cover(&g, options->thorough > 1 ? 3 : 2);
    gdr_oracle_close(g.oracle);
    return status;
}
