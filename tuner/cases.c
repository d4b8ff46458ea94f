/*
 * cases.c - which calls: the axes and their levels, the gate's short list,
 * names. What must stay true: the name of a case tells all of its levels.
 */
#include "cases.h"
#include "../runtime/reference.h"
#include "case_build.h"
#include "data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef gdr_case_builder builder;

/* ---- levels ------------------------------------------------------------- */

static const int sizes_b[] = {1, 2, 3};
static const int sizes_t[] = {1, 2, 3, 4, 5, 8, 11};

/* "-" prints nothing; the numbers of the first axes are printed as extents */
static const char *const level_names[GDR_AXES][7] = {
    [GDR_AXIS_MAP] = {"-", "mod"},
    [GDR_AXIS_INDEX] = {"dense", "int32", "int64"},
    [GDR_AXIS_INVALID] = {"-", "invalid slots", "index_min 1"},
    [GDR_AXIS_PAD] = {"-", "padded slots", "padded heads", "far slots"},
    [GDR_AXIS_QKV] = {"-", "packed qkv", "padded qkv"},
    [GDR_AXIS_G] = {"-", "g io", "no g", "alpha", "alpha io"},
    [GDR_AXIS_BETA] = {"-", "beta io", "no beta"},
    [GDR_AXIS_EDGE] = {"-", "no zones"},
};

static const char *const fused_names[2][4] = {
    {"-", "a io"}, {"-", "b io", "neg_eigval", "neg_eigval b io"}};

static const char *const contract_names[][3][3] = {
    [GDR_RING] = {{"R=T", "R=T+1", "R=T+3"}, {"-", "wrap", "large seqlens"}},
    [GDR_INDEXED] = {{"-", "accepted", "accepted out of range"}},
    [GDR_SNAPSHOTS] = {{"-", "by slot"},
                       {"-", "f32 snapshots"},
                       {"-", "no update"}},
};

static const uint8_t contract_levels[][3] = {
    [GDR_FINAL] = {1, 1, 1},
    [GDR_RING] = {3, 3, 1},
    [GDR_INDEXED] = {3, 1, 1},
    [GDR_SNAPSHOTS] = {2, 2, 2},
};

enum { DATA_LEVELS = 7 };

void gdr_case_levels(const gdr_static *s, int levels[GDR_AXES])
{
    int fused = s->gate == GDR_GATE_FUSED;
    const int all[GDR_AXES] = {
        [GDR_AXIS_B] = 3,
        [GDR_AXIS_T] = 7,
        [GDR_AXIS_HK] = 2,
        [GDR_AXIS_RATIO] = 4,
        [GDR_AXIS_MAP] = 2,
        [GDR_AXIS_INDEX] = 3,
        [GDR_AXIS_INVALID] = 3,
        [GDR_AXIS_PAD] = 4,
        [GDR_AXIS_QKV] = 3,
        [GDR_AXIS_G] = fused ? 2 : 5,
        [GDR_AXIS_BETA] = fused ? 4 : 3,
        [GDR_AXIS_FIRST] = contract_levels[s->contract][0],
        [GDR_AXIS_SECOND] = contract_levels[s->contract][1],
        [GDR_AXIS_THIRD] = contract_levels[s->contract][2],
        [GDR_AXIS_DATA] = DATA_LEVELS,
        [GDR_AXIS_EDGE] = 2,
    };
    memcpy(levels, all, sizeof all);
}

/* Order: B T Hk ratio map, index invalid pad qkv, g beta, contract (3), data,
 * edge. Levels beyond what a problem has wrap round. */
const gdr_case_spec gdr_gate_cases[] = {
    {"decode", {2, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}},
    {"packet", {2, 3, 1, 1, 0, 2, 1, 1, 1, 0, 0, 1, 1, 0, 1, 0}},
    {"dense", {1, 2, 0, 2, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1, 2, 1}},
    {"mod", {2, 1, 1, 1, 1, 1, 2, 2, 2, 3, 2, 2, 2, 0, 3, 0}},
    {"far", {1, 1, 0, 3, 0, 1, 0, 3, 0, 2, 0, 1, 1, 1, 4, 0}},
    {"long", {0, 6, 0, 1, 0, 1, 0, 0, 0, 4, 3, 2, 2, 0, 5, 0}},
};
const int gdr_n_gate_cases = sizeof gdr_gate_cases / sizeof *gdr_gate_cases;

const gdr_case_spec gdr_repeat_case = {
    "repeat", {1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0}};

/* ---- names ------------------------------------------------------------- */

static void append_name(gdr_case *c, const char *text)
{
    size_t n = strlen(c->name);
    if (text && strcmp(text, "-") != 0)
        snprintf(c->name + n, sizeof c->name - n, ", %s", text);
}

static void name_case(gdr_case *c, const gdr_case_spec *spec, const uint8_t *l)
{
    const gdr_extents *x = &c->args.x;
    int fused = c->s.gate == GDR_GATE_FUSED;
    snprintf(c->name, sizeof c->name, "%s b%dt%dhk%dhv%d", spec->name,
             (int)x->B, (int)x->T, (int)x->Hk, (int)x->Hv);
    for (int a = GDR_AXIS_MAP; a < GDR_AXES; a++) {
        if (a >= GDR_AXIS_FIRST && a <= GDR_AXIS_THIRD &&
            c->s.contract != GDR_FINAL)
            append_name(
                c, contract_names[c->s.contract][a - GDR_AXIS_FIRST][l[a]]);
        else if (fused && (a == GDR_AXIS_G || a == GDR_AXIS_BETA))
            append_name(c, fused_names[a - GDR_AXIS_G][l[a]]);
        else if (a != GDR_AXIS_DATA)
            append_name(c, level_names[a][l[a]]);
    }
    size_t n = strlen(c->name);
    snprintf(c->name + n, sizeof c->name - n, ", data %d", l[GDR_AXIS_DATA]);
}

/* ---- opening ------------------------------------------------------------ */

/* A gate of tens of milliseconds: at most about a million state elements times
 * tokens. Heads before tokens: long packets have bugs of their own. */
static void limit_work(const gdr_static *s, gdr_extents *x)
{
    const int64_t most = (int64_t)1 << 20;
    while (x->B * x->T * x->Hv * s->K * s->V > most) {
        int64_t ratio = x->Hv / x->Hk;
        if (x->Hk > 1)
            x->Hk--;
        else if (ratio > 1 && (ratio > 2 || x->B <= 2))
            ratio--;
        else if (x->B > 2)
            x->B--;
        else if (x->T > 5)
            x->T--;
        else
            break;
        x->Hv = ratio * x->Hk;
    }
}

static gdr_status open_case(builder *w, const gdr_static *s,
                            const gdr_extents *x)
{
    const gdr_problem p = {*s, *x};
    w->c = calloc(1, sizeof *w->c);
    if (!w->c)
        return GDR_ERR_NO_MEMORY;
    w->c->s = *s;
    w->c->snapshot_buffer = -1;
    gdr_args_init(&w->c->args, &p);
    gdr_status status =
        gdr_case_build(w, w->level[GDR_AXIS_INDEX] == INDEX_DENSE);
    free(w->slots);
    if (status != GDR_OK) {
        gdr_case_close(w->c);
        w->c = NULL;
    }
    return status;
}

gdr_status gdr_case_open(const gdr_static *s, const gdr_case_spec *spec,
                         uint64_t seed, gdr_case **out)
{
    builder w = {.seed = seed};
    int levels[GDR_AXES];
    gdr_case_levels(s, levels);
    for (int i = 0; i < GDR_AXES; i++)
        w.level[i] = (uint8_t)(spec->level[i] % levels[i]);
    const uint8_t *l = w.level;
    if (s->contract == GDR_INDEXED && l[GDR_AXIS_INDEX] == INDEX_DENSE)
        w.level[GDR_AXIS_INDEX] = INDEX_32; /* has no dense form */
    gdr_extents x = {sizes_b[l[GDR_AXIS_B]], sizes_t[l[GDR_AXIS_T]],
                     l[GDR_AXIS_HK] + 1,
                     (l[GDR_AXIS_HK] + 1) * (l[GDR_AXIS_RATIO] + 1)};
    limit_work(s, &x);
    gdr_status status = open_case(&w, s, &x);
    *out = w.c;
    if (status != GDR_OK)
        return status;
    if (l[GDR_AXIS_MAP])
        w.c->args.flags |= GDR_HEAD_MOD;
    gdr_data_fill(s, &w.c->args, l[GDR_AXIS_DATA], seed);
    gdr_case_seal(w.c);
    name_case(w.c, spec, l);
    return GDR_OK;
}

gdr_status gdr_case_open_extents(const gdr_static *s, const gdr_extents *real,
                                 size_t bytes, uint64_t seed, gdr_case **out)
{
    builder w = {.seed = seed};
    gdr_extents x = *real;
    int64_t copies = s->contract == GDR_FINAL ? 1 : x.T;
    int64_t one =
        copies * x.Hv * s->K * s->V * (int64_t)gdr_dtype_bytes(s->state);
    int64_t most = one > 0 ? (int64_t)bytes / one : 1;
    x.B = x.B > most ? most : x.B;
    x.B = x.B < 1 ? 1 : x.B;
    w.level[GDR_AXIS_INDEX] = INDEX_32;
    gdr_status status = open_case(&w, s, &x);
    *out = w.c;
    if (status != GDR_OK)
        return status;
    gdr_data_fill_plain(s, &w.c->args, seed);
    gdr_case_seal(w.c);
    snprintf(w.c->name, sizeof w.c->name,
             "extents b%lldt%lldhk%lldhv%lld (of b%lld)", (long long)x.B,
             (long long)x.T, (long long)x.Hk, (long long)x.Hv,
             (long long)real->B);
    return GDR_OK;
}

void gdr_case_relocate(const gdr_case *c, unsigned char *const base[],
                       gdr_args *out)
{
    *out = c->args;
    for (int i = 0; i < c->n_places; i++) {
        uintptr_t p;
        char *field = (char *)out + c->place[i].field;
        memcpy(&p, field, sizeof p);
        p += (uintptr_t)base[c->place[i].buffer] -
             (uintptr_t)c->buffer[c->place[i].buffer].image;
        memcpy(field, &p, sizeof p);
    }
}
