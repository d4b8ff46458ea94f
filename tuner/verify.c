/*
 * verify.c - the gate as a sequence of questions, the cheapest to blame first:
 * does it launch, did it stay in its memory, is it right, does it repeat
 * itself, does it depend on the batch. What must stay true: a variant is asked
 * only through gdr_recipe_launch and the target's memory, as any caller would.
 */
#include "cover.h"
#include "judge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* At real extents: so many heads are checked, of states of so many bytes. */
enum { SAMPLE_HEADS = 16 };
static const size_t extents_bytes = (size_t)64 << 20;

gdr_status gdr_judge_condemn(gdr_judge *g, const gdr_case *c,
                             const char *outcome, const char *format, ...)
{
    char what[448];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    g->verdict->outcome = outcome;
    snprintf(g->verdict->note, sizeof g->verdict->note,
             "%s; case %s; seed %" PRIu64, what, c->name, g->seed);
    return GDR_OK;
}

int gdr_judge_passing(const gdr_judge *g)
{
    return strcmp(g->verdict->outcome, "ok") == 0;
}

static void announce(const gdr_judge *g, const char *name)
{
    if (g->options->progress)
        g->options->progress(g->options->ctx, name);
}

/* What the device says of a failed launch; else what the library says. */
static gdr_status blame_launch(gdr_judge *g, const gdr_case *c,
                               gdr_status status, const char *msg)
{
    const char *outcome = NULL;
    char note[440] = "";
    if (g->target->explain)
        g->verdict->poisoned =
            g->target->explain(g->recipe->dev, &outcome, note, sizeof note);
    if (note[0])
        return gdr_judge_condemn(g, c, outcome ? outcome : "launch", "%s",
                                 note);
    return gdr_judge_condemn(g, c, outcome ? outcome : "launch", "%s: %s",
                             gdr_strerror(status), msg);
}

gdr_status gdr_judge_launch(gdr_judge *g, gdr_stage *st, const gdr_args *args)
{
    char msg[200] = "";
    gdr_status status =
        gdr_recipe_launch(g->recipe, args, NULL, msg, sizeof msg);
    if (status == GDR_OK && g->target->wait)
        status = g->target->wait(g->recipe->dev);
    if (status != GDR_OK)
        return blame_launch(g, st->c, status, msg);
    return gdr_stage_fetch(st);
}

/* ---- right numbers ------------------------------------------------------ */

static gdr_status blame(gdr_judge *g, const gdr_case *c, const gdr_miss *miss)
{
    char place[64] = "";
    if (miss->row >= 0)
        snprintf(place, sizeof place, " k %d", miss->row);
    return gdr_judge_condemn(
        g, c, "wrong",
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

static void judge_heads(gdr_judge *g, gdr_stage *st, const gdr_args *got,
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
static gdr_status check_call(gdr_judge *g, gdr_stage *st, int64_t T,
                             gdr_args *stored, int64_t from, int64_t most)
{
    gdr_args device, got;
    gdr_miss o = {0}, state = {0};
    char note[256];
    gdr_status status = gdr_stage_reset(st, -1);
    gdr_stage_args(st, &device, &got);
    device.x.T = got.x.T = T;
    if (status == GDR_OK)
        status = gdr_judge_launch(g, st, &device);
    if (status != GDR_OK || !gdr_judge_passing(g))
        return status;
    judge_heads(g, st, &got, stored, from, most, &o, &state);
    gdr_stage_inspect(st, &got, note, sizeof note);
    if (note[0])
        return gdr_judge_condemn(g, st->c, "wrong", "%s", note);
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
static gdr_status check_prefixes(gdr_judge *g, gdr_stage *st, int64_t most)
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
    for (int64_t t = 1; t <= T && status == GDR_OK && gdr_judge_passing(g);
         t++) {
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

static gdr_status check_case(gdr_judge *g, const gdr_case *c, int64_t most)
{
    gdr_stage st;
    int64_t T = c->args.x.T;
    announce(g, c->name);
    gdr_status status = gdr_stage_open(&st, g->target, g->recipe, c);
    if (status == GDR_ERR_ARG)
        return gdr_judge_condemn(g, c, "launch", "the workspace overflows");
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

static gdr_status check_habits(gdr_judge *g)
{
    gdr_case *c;
    gdr_stage st;
    gdr_status status =
        gdr_case_open(&g->recipe->s, &gdr_repeat_case, g->seed, &c);
    if (status != GDR_OK)
        return status;
    status = check_case(g, c, INT64_MAX);
    if (status == GDR_OK && gdr_judge_passing(g)) {
        status = gdr_stage_open(&st, g->target, g->recipe, c);
        if (status == GDR_OK) {
            status = gdr_judge_habits(g, &st);
            gdr_stage_close(&st);
        }
    }
    gdr_case_close(c);
    return status;
}

/* ---- which cases -------------------------------------------------------- */

static gdr_status check_spec(gdr_judge *g, const gdr_case_spec *spec,
                             uint64_t seed)
{
    gdr_case *c;
    gdr_status status = gdr_case_open(&g->recipe->s, spec, seed, &c);
    if (status != GDR_OK)
        return status;
    status = check_case(g, c, INT64_MAX);
    gdr_case_close(c);
    return status;
}

static gdr_status check_cover(gdr_judge *g, int strength)
{
    int levels[GDR_AXES];
    uint8_t *rows;
    int64_t n;
    gdr_case_levels(&g->recipe->s, levels);
    gdr_status status = gdr_cover(levels, GDR_AXES, strength, &rows, &n);
    for (int64_t i = 0; i < n && status == GDR_OK && gdr_judge_passing(g);
         i++) {
        char name[32];
        gdr_case_spec spec = {.name = name};
        snprintf(name, sizeof name, "%d-way %" PRId64, strength, i);
        memcpy(spec.level, rows + i * GDR_AXES, GDR_AXES);
        status = check_spec(g, &spec, g->seed + (uint64_t)i);
    }
    free(rows);
    return status;
}

static gdr_status check_extents(gdr_judge *g, const gdr_extents *x)
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
    gdr_judge g = {target, recipe, options, verdict, NULL, options->seed};
    *verdict = (gdr_verdict){.outcome = "ok"};
    gdr_status status = gdr_oracle_open(&recipe->s, &g.oracle);
    for (int i = 0;
         i < gdr_n_gate_cases && status == GDR_OK && gdr_judge_passing(&g); i++)
        status = check_spec(&g, &gdr_gate_cases[i], g.seed);
    if (status == GDR_OK && gdr_judge_passing(&g))
        status = check_habits(&g);
    for (int i = 0;
         i < options->n_extents && status == GDR_OK && gdr_judge_passing(&g);
         i++)
        status = check_extents(&g, &options->extents[i]);
    if (status == GDR_OK && gdr_judge_passing(&g) && options->thorough)
        status = check_cover(&g, options->thorough > 1 ? 3 : 2);
    gdr_oracle_close(g.oracle);
    return status;
}
