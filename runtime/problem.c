/*
 * problem.c - a gdr_problem and its text. What must stay true: a text that
 * parses formats back to itself but for blanks around '/', and a problem that
 * passes gdr_problem_check parses back to the same value.
 *
 * Limits: K is a multiple of 8 in 8..1024, V is in 1..4096, B, T, Hk and Hv are
 * in 1..2^31-1, Hv is a multiple of Hk, and B*T*Hv is at most 2^38, so that
 * every byte offset of a contiguous call, snapshots of 1024 x 4096 float32
 * included, fits in int64.
 */
#include "status.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { K_STEP = 8, K_MAX = 1024, V_MAX = 4096 };
static const int64_t extent_max = INT32_MAX;
static const int64_t work_max = INT64_C(1) << 38;

/* A field that is one of a few words, in the order of its enum. */
typedef struct words {
    const char *field;
    const char *word[5];
    int n;
} words;

static const words ops = {"op", {"recurrent"}, 1};
static const words contracts = {
    "contract", {"final", "ring", "indexed", "snapshots"}, 4};
static const words layouts = {"layout", {"vk", "kv"}, 2};
static const words gates = {"gate", {"g", "fused"}, 2};

static const char *const dtype_words[] = {"f32", "bf16", "f16"};

/* io and state dtypes that exist together; indices are into both tables. */
static const words dtype_pairs = {
    "dtypes", {"f32/f32", "bf16/f32", "bf16/bf16", "f16/f32", "f16/f16"}, 5};
static const gdr_dtype pair_io[] = {GDR_F32, GDR_BF16, GDR_BF16, GDR_F16,
                                    GDR_F16};
static const gdr_dtype pair_state[] = {GDR_F32, GDR_F32, GDR_BF16, GDR_F32,
                                       GDR_F16};

static int pair_index(gdr_dtype io, gdr_dtype state)
{
    for (int i = 0; i < dtype_pairs.n; i++)
        if (pair_io[i] == io && pair_state[i] == state)
            return i;
    return -1;
}

/* ---- check ---- */

static gdr_status check_word(const words *w, int value, char *msg, size_t n)
{
    if (value >= 0 && value < w->n)
        return GDR_OK;
    return gdr_fail(GDR_ERR_ARG, msg, n, "%s is %d; allowed: 0 .. %d", w->field,
                    value, w->n - 1);
}

static gdr_status check_range(const char *field, int64_t value, int64_t max,
                              char *msg, size_t n)
{
    if (value >= 1 && value <= max)
        return GDR_OK;
    return gdr_fail(GDR_ERR_ARG, msg, n,
                    "%s is %" PRId64 "; allowed: 1 .. %" PRId64, field, value,
                    max);
}

static gdr_status check_dims(const gdr_static *s, char *msg, size_t n)
{
    if (s->K < K_STEP || s->K > K_MAX || s->K % K_STEP != 0)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "K is %" PRId32 "; allowed: multiples of %d up to %d",
                        s->K, K_STEP, K_MAX);
    return check_range("V", s->V, V_MAX, msg, n);
}

static gdr_status check_flags(const gdr_static *s, char *msg, size_t n)
{
    if (s->l2norm != 0 && s->l2norm != 1)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "l2norm is %" PRId32 "; allowed: 0 or 1", s->l2norm);
    if (s->round_between_tokens != 0 && s->round_between_tokens != 1)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "round_between_tokens is %" PRId32 "; allowed: 0 or 1",
                        s->round_between_tokens);
    return GDR_OK;
}

static gdr_status check_static(const gdr_static *s, char *msg, size_t n)
{
    gdr_status status;

    if (s->size != sizeof *s)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "size is %zu; set it to sizeof(gdr_static), %zu",
                        s->size, sizeof *s);
    if ((status = check_word(&ops, (int)s->op, msg, n)) ||
        (status = check_word(&contracts, (int)s->contract, msg, n)) ||
        (status = check_word(&layouts, (int)s->layout, msg, n)) ||
        (status = check_word(&gates, (int)s->gate, msg, n)) ||
        (status = check_dims(s, msg, n)) || (status = check_flags(s, msg, n)))
        return status;
    if (pair_index(s->io, s->state) < 0)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "io and state are dtypes %d and %d; allowed: f32/f32 "
                        "bf16/f32 bf16/bf16 f16/f32 f16/f16",
                        (int)s->io, (int)s->state);
    return GDR_OK;
}

static gdr_status check_extents(const gdr_extents *x, char *msg, size_t n)
{
    gdr_status status;

    if ((status = check_range("B", x->B, extent_max, msg, n)) ||
        (status = check_range("T", x->T, extent_max, msg, n)) ||
        (status = check_range("Hk", x->Hk, extent_max, msg, n)) ||
        (status = check_range("Hv", x->Hv, extent_max, msg, n)))
        return status;
    assert(x->B > 0 && x->T > 0 && x->Hk > 0);
    if (x->Hv % x->Hk != 0)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "Hv is %" PRId64 "; allowed: multiples of Hk, %" PRId64,
                        x->Hv, x->Hk);
    if (x->T > work_max / x->B || x->Hv > work_max / x->B / x->T)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "B*T*Hv is %" PRId64 "*%" PRId64 "*%" PRId64
                        "; allowed: up to 2^38",
                        x->B, x->T, x->Hv);
    return GDR_OK;
}

gdr_status gdr_problem_check(const gdr_problem *p, char *msg, size_t n)
{
    const gdr_extents *x;
    gdr_status status;

    if (!p)
        return gdr_fail(GDR_ERR_ARG, msg, n, "problem is NULL");
    if ((status = check_static(&p->s, msg, n)))
        return status;
    x = &p->x;
    if (x->B == 0 && x->T == 0 && x->Hk == 0 && x->Hv == 0)
        return GDR_OK;
    return check_extents(x, msg, n);
}

/* ---- format ---- */

size_t gdr_problem_format(const gdr_problem *p, char *text, size_t n)
{
    const gdr_static *s = &p->s;
    char extents[96] = "";
    int length;

    assert(gdr_problem_check(p, NULL, 0) == GDR_OK);
    if (p->x.B > 0)
        snprintf(extents, sizeof extents,
                 " / b%" PRId64 "t%" PRId64 "hk%" PRId64 "hv%" PRId64, p->x.B,
                 p->x.T, p->x.Hk, p->x.Hv);
    length = snprintf(
        text, n, "%s:%s:%s:%s/%s:k%" PRId32 "v%" PRId32 "%s:%s%s%s",
        ops.word[s->op], contracts.word[s->contract], layouts.word[s->layout],
        dtype_words[s->io], dtype_words[s->state], s->K, s->V,
        s->l2norm ? ":l2norm" : "", gates.word[s->gate],
        s->round_between_tokens ? ":round" : "", extents);
    return length < 0 ? 0 : (size_t)length;
}

/* ---- parse ---- */

/* Where the parser is, and where its message goes. */
typedef struct reader {
    const char *text, *at;
    char *msg;
    size_t n;
} reader;

static gdr_status refuse(const reader *r, const char *field, const char *want)
{
    int got = (int)strcspn(r->at, ": \t");

    return gdr_fail(GDR_ERR_PARSE, r->msg, r->n,
                    "problem \"%.200s\", byte %zu: %s is \"%.*s\"; allowed: %s",
                    r->text, (size_t)(r->at - r->text), field,
                    got < 40 ? got : 40, r->at, want);
}

/* Steps over the literal, if it is there. */
static int accept(reader *r, const char *literal)
{
    size_t length = strlen(literal);

    if (strncmp(r->at, literal, length) != 0)
        return 0;
    r->at += length;
    return 1;
}

/* Steps over the literal when a field ends behind it. */
static int accept_word(reader *r, const char *literal)
{
    const char *start = r->at;

    if (accept(r, literal) && (!*r->at || strchr(": \t/", *r->at)))
        return 1;
    r->at = start;
    return 0;
}

static gdr_status parse_word(reader *r, const words *w, int *value)
{
    char want[80] = "";
    size_t used = 0;

    for (int i = 0; i < w->n; i++)
        if (accept_word(r, w->word[i])) {
            *value = i;
            return GDR_OK;
        }
    for (int i = 0; i < w->n; i++)
        used += (size_t)snprintf(want + used, sizeof want - used, "%s%s",
                                 i ? " " : "", w->word[i]);
    return refuse(r, w->field, want);
}

static gdr_status parse_colon(reader *r, const char *field)
{
    return accept(r, ":") ? GDR_OK : refuse(r, field, "':' and then the value");
}

/* Digits without a leading zero, up to max. */
static gdr_status parse_number(reader *r, const char *field, const char *name,
                               int64_t max, int64_t *value)
{
    reader start = *r;
    char want[48];
    int64_t sum = 0;
    int valid;

    valid = accept(r, name) && *r->at >= '1' && *r->at <= '9';
    for (; valid && *r->at >= '0' && *r->at <= '9'; r->at++) {
        sum = sum * 10 + (*r->at - '0'); /* max < 2^31: cannot overflow */
        valid = sum <= max;
    }
    if (!valid) {
        snprintf(want, sizeof want, "%s1 .. %s%" PRId64, name, name, max);
        return refuse(&start, field, want);
    }
    *value = sum;
    return GDR_OK;
}

static gdr_status parse_dtypes(reader *r, gdr_static *s)
{
    gdr_status status;
    int pair = 0;

    if ((status = parse_word(r, &dtype_pairs, &pair)))
        return status;
    s->io = pair_io[pair];
    s->state = pair_state[pair];
    return GDR_OK;
}

static gdr_status parse_dims(reader *r, gdr_static *s)
{
    reader start = *r;
    gdr_status status;
    int64_t K = 0, V = 0;

    if ((status = parse_number(r, "K", "k", K_MAX, &K)))
        return status;
    if (K % K_STEP != 0)
        return refuse(&start, "K", "multiples of 8 up to k1024");
    if ((status = parse_number(r, "V", "v", V_MAX, &V)))
        return status;
    s->K = (int32_t)K;
    s->V = (int32_t)V;
    return GDR_OK;
}

static gdr_status parse_static(reader *r, gdr_static *s)
{
    gdr_status status;
    int op = 0, contract = 0, layout = 0, gate = 0;

    if ((status = parse_word(r, &ops, &op)) ||
        (status = parse_colon(r, "contract")) ||
        (status = parse_word(r, &contracts, &contract)) ||
        (status = parse_colon(r, "layout")) ||
        (status = parse_word(r, &layouts, &layout)) ||
        (status = parse_colon(r, "dtypes")) || (status = parse_dtypes(r, s)) ||
        (status = parse_colon(r, "K")) || (status = parse_dims(r, s)))
        return status;
    s->l2norm = accept_word(r, ":l2norm");
    if ((status = parse_colon(r, "gate")) ||
        (status = parse_word(r, &gates, &gate)))
        return status;
    s->round_between_tokens = accept_word(r, ":round");
    s->op = (gdr_op)op;
    s->contract = (gdr_contract)contract;
    s->layout = (gdr_layout)layout;
    s->gate = (gdr_gate)gate;
    return GDR_OK;
}

static gdr_status parse_extents(reader *r, gdr_extents *x)
{
    gdr_status status;

    if ((status = parse_number(r, "B", "b", extent_max, &x->B)) ||
        (status = parse_number(r, "T", "t", extent_max, &x->T)) ||
        (status = parse_number(r, "Hk", "hk", extent_max, &x->Hk)) ||
        (status = parse_number(r, "Hv", "hv", extent_max, &x->Hv)))
        return status;
    return *r->at ? refuse(r, "rest", "nothing") : GDR_OK;
}

/* Extents that are in range one by one but not together. */
static gdr_status parse_combination(const reader *r, const gdr_extents *x)
{
    char why[160];

    if (check_extents(x, why, sizeof why) == GDR_OK)
        return GDR_OK;
    return gdr_fail(GDR_ERR_PARSE, r->msg, r->n, "problem \"%.200s\": %s",
                    r->text, why);
}

static gdr_status parse_problem(reader *r, gdr_problem *p)
{
    gdr_status status;
    const char *end;

    if ((status = parse_static(r, &p->s)))
        return status;
    if (!*r->at)
        return GDR_OK;
    end = r->at;
    r->at += strspn(r->at, " \t");
    if (!accept(r, "/")) {
        r->at = end;
        return refuse(r, "rest", "nothing, \":round\" or \" / \" and extents");
    }
    r->at += strspn(r->at, " \t");
    if ((status = parse_extents(r, &p->x)))
        return status;
    return parse_combination(r, &p->x);
}

gdr_status gdr_problem_parse(const char *text, gdr_problem *out, char *msg,
                             size_t n)
{
    reader r = {text, text, msg, n};
    gdr_problem p;
    gdr_status status;

    if (!text || !out)
        return gdr_fail(GDR_ERR_ARG, msg, n, "%s is NULL",
                        text ? "out" : "text");
    memset(&p, 0, sizeof p); /* padding too: values can be compared as bytes */
    p.s.size = sizeof p.s;
    if ((status = parse_problem(&r, &p)))
        return status;
    *out = p;
    return GDR_OK;
}

/* ---- compare ---- */

int gdr_problem_compare(const gdr_problem *a, const gdr_problem *b)
{
    const gdr_static *s = &a->s, *t = &b->s;
    const int64_t pair[][2] = {
        {s->op, t->op},
        {s->contract, t->contract},
        {s->layout, t->layout},
        {s->io, t->io},
        {s->state, t->state},
        {s->K, t->K},
        {s->V, t->V},
        {s->l2norm, t->l2norm},
        {s->gate, t->gate},
        {s->round_between_tokens, t->round_between_tokens},
        {a->x.B, b->x.B},
        {a->x.T, b->x.T},
        {a->x.Hk, b->x.Hk},
        {a->x.Hv, b->x.Hv},
    };

    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++)
        if (pair[i][0] != pair[i][1])
            return pair[i][0] < pair[i][1] ? -1 : 1;
    return 0;
}
