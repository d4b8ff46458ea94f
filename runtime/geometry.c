/*
 * geometry.c - launch terms, from text and to values. A term that parses is
 * safe to evaluate for any extents: overflow is found, not wrapped, and a
 * divisor is never 0.
 */
#include "geometry.h"
#include "status.h"
#include "hot.h"

#include <stddef.h>
#include <string.h>

/* Names in the order of gdr_factor_name. */
static const char *const names[] = {"b", "t", "hk", "hv", "k", "v", "sms"};
enum { NAMES = sizeof names / sizeof *names };

/* ---- parse ---- */

typedef struct reader {
    const char *text, *at;
    char *msg;
    size_t n;
} reader;

static gdr_status refuse(const reader *r, const char *want)
{
    return gdr_fail(GDR_ERR_PARSE, r->msg, r->n,
                    "term \"%.100s\", byte %zu: expected %s", r->text,
                    (size_t)(r->at - r->text), want);
}

static int accept(reader *r, const char *literal)
{
    size_t length = strlen(literal);

    if (strncmp(r->at, literal, length) != 0)
        return 0;
    r->at += length;
    return 1;
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

static gdr_status parse_number(reader *r, int32_t min, int32_t *value)
{
    reader start = *r;
    int64_t sum = 0;
    int valid = is_digit(*r->at);

    for (; valid && is_digit(*r->at); r->at++) {
        sum = sum * 10 + (*r->at - '0');
        valid = sum <= INT32_MAX;
    }
    if (!valid || sum < min)
        return refuse(&start, min ? "a number in 1 .. 2147483647"
                                  : "a number in 0 .. 2147483647");
    *value = (int32_t)sum;
    return GDR_OK;
}

static gdr_status parse_name(reader *r, uint8_t *name)
{
    size_t length = 0;

    while (is_letter(r->at[length]))
        length++;
    for (int i = 0; i < NAMES; i++)
        if (strlen(names[i]) == length && !memcmp(names[i], r->at, length)) {
            *name = (uint8_t)i;
            r->at += length;
            return GDR_OK;
        }
    return refuse(r, "a number, ceil(name/number) or one of b t hk hv k v sms");
}

static gdr_status parse_factor(reader *r, gdr_factor *f)
{
    gdr_status status;

    f->name = GDR_FACTOR_INT;
    f->number = 1;
    if (is_digit(*r->at))
        return parse_number(r, 0, &f->number);
    if (!accept(r, "ceil("))
        return parse_name(r, &f->name);
    if ((status = parse_name(r, &f->name)))
        return status;
    if (!accept(r, "/"))
        return refuse(r, "'/' and a divisor");
    if ((status = parse_number(r, 1, &f->number)))
        return status;
    return accept(r, ")") ? GDR_OK : refuse(r, "')'");
}

static gdr_status parse_product(reader *r, gdr_factor *f, uint8_t *n)
{
    gdr_status status;

    *n = 0;
    do {
        if (*n == GDR_TERM_FACTORS)
            return refuse(r, "at most 8 factors");
        if ((status = parse_factor(r, &f[*n])))
            return status;
        ++*n;
    } while (accept(r, "*"));
    return GDR_OK;
}

static gdr_status parse_term(reader *r, gdr_term *term)
{
    int is_min = accept(r, "min(");
    gdr_status status;

    if ((status = parse_product(r, term->f[0], &term->n[0])))
        return status;
    if (is_min) {
        if (!accept(r, ","))
            return refuse(r, "','");
        r->at += strspn(r->at, " ");
        if ((status = parse_product(r, term->f[1], &term->n[1])))
            return status;
        if (!accept(r, ")"))
            return refuse(r, "')'");
    }
    return *r->at ? refuse(r, "the end") : GDR_OK;
}

gdr_status gdr_term_parse(const char *text, gdr_term *out, char *msg, size_t n)
{
    reader r = {text, text, msg, n};
    gdr_term term;
    gdr_status status;

    if (!text || !out)
        return gdr_fail(GDR_ERR_ARG, msg, n, "%s is NULL",
                        text ? "out" : "the term's text");
    memset(&term, 0, sizeof term);
    if ((status = parse_term(&r, &term)))
        return status;
    *out = term;
    return GDR_OK;
}

/* ---- evaluate ---- */

/* x / d rounded up, with no x + d that could overflow. */
static int64_t ceil_div(int64_t x, int32_t d)
{
    return x / d + (x % d != 0);
}

static int64_t factor(const gdr_factor *f, const int64_t *value)
{
    return f->name == GDR_FACTOR_INT ? f->number
           : f->number == 1          ? value[f->name]
                                     : ceil_div(value[f->name], f->number);
}

/* -1 on overflow, unless a factor is 0: then the product is 0. */
GDR_HOT static int64_t product(const gdr_factor *f, int n, const int64_t *value)
{
    int64_t result = 1;
    int overflow = 0;

    for (int i = 0; i < n; i++) {
        int64_t x = factor(&f[i], value);

        if (x <= 0)
            return x < 0 ? -1 : 0;
        overflow |= __builtin_mul_overflow(result, x, &result);
    }
    return overflow ? -1 : result;
}

/* Of a factor that no call changes. */
static int is_fixed(const gdr_factor *f)
{
    return f->name >= GDR_FACTOR_K;
}

static void fix_product(gdr_factor *f, uint8_t *n, const int64_t *value)
{
    gdr_factor fixed[1 + GDR_TERM_FACTORS];
    int64_t number = 1;
    uint8_t kept = 1, first;

    for (int i = 0; i < *n; i++)
        if (!is_fixed(&f[i]))
            fixed[kept++] = f[i];
        else if (__builtin_mul_overflow(number, factor(&f[i], value),
                                        &number) ||
                 number < 0 || number > INT32_MAX)
            return; /* it stays as it is */
    fixed[0] = (gdr_factor){GDR_FACTOR_INT, (int32_t)number};
    first = number == 1 && kept > 1;
    *n = kept - first;
    memcpy(f, fixed + first, *n * sizeof *f);
}

_Static_assert(sizeof(gdr_term_env) == NAMES * sizeof(int64_t) &&
                   offsetof(gdr_term_env, x.Hv) == GDR_FACTOR_HV * 8 &&
                   offsetof(gdr_term_env, K) == GDR_FACTOR_K * 8 &&
                   offsetof(gdr_term_env, sms) == GDR_FACTOR_SMS * 8,
               "a number for each name, in their order");

int64_t gdr_term_eval(const gdr_term *term, const gdr_term_env *env)
{
    const int64_t *value = (const int64_t *)(const void *)env;
    int64_t a = product(term->f[0], term->n[0], value);
    int64_t b;

    if (term->n[1] == 0)
        return a;
    b = product(term->f[1], term->n[1], value);
    /* As unsigned, -1 is larger than every value: min takes the other one. */
    return (uint64_t)a < (uint64_t)b ? a : b;
}

/* ---- geometry ---- */

_Static_assert(sizeof(gdr_launch_dims) == GDR_TERMS * sizeof(int64_t),
               "a number for each term");

static void put(gdr_launch_dims *d, int term, int64_t value)
{
    memcpy((char *)d + (size_t)term * sizeof value, &value, sizeof value);
}

/* Is it one number times extents, each once? */
static int is_plain(const gdr_term *t, int64_t *number, uint8_t *times)
{
    *number = 1;
    *times = 0;
    for (int i = 0; i < t->n[0]; i++) {
        const gdr_factor *f = &t->f[0][i];
        uint8_t bit = (uint8_t)(1 << f->name);

        if (i == 0 && f->name == GDR_FACTOR_INT)
            *number = f->number;
        else if (is_fixed(f) || f->number != 1 || *times & bit)
            return 0;
        else
            *times |= bit;
    }
    return t->n[1] == 0;
}

static int64_t get(const gdr_launch_dims *d, int term)
{
    int64_t value;

    memcpy(&value, (const char *)d + (size_t)term * sizeof value, sizeof value);
    return value;
}

void gdr_geometry_make(gdr_geometry *g, const gdr_term *term, int64_t K,
                       int64_t V, int64_t sms)
{
    const int64_t value[NAMES] = {0, 0, 0, 0, K, V, sms};

    memset(g, 0, sizeof *g);
    for (int i = 0; i < GDR_TERMS; i++) {
        gdr_term *t = &g->term[i];
        int64_t number;

        *t = term[i];
        fix_product(t->f[0], &t->n[0], value);
        if (t->n[1] > 0)
            fix_product(t->f[1], &t->n[1], value);
        if (!is_plain(t, &number, &g->times[i])) {
            g->open |= (uint8_t)(1 << i);
            continue;
        }
        put(&g->fixed, i, number);
        if (g->times[i])
            g->plain |= (uint8_t)(1 << i);
    }
}

int gdr_geometry_eval(const gdr_geometry *g, const gdr_term_env *env,
                      gdr_launch_dims *out)
{
    const int64_t *extent = (const int64_t *)(const void *)env;

    *out = g->fixed;
    for (unsigned left = g->plain; left; left &= left - 1) {
        int i = __builtin_ctz(left);
        int64_t number = get(out, i);

        for (unsigned more = g->times[i]; more; more &= more - 1)
            if (__builtin_mul_overflow(number, extent[__builtin_ctz(more)],
                                       &number))
                return 0;
        put(out, i, number);
    }
    for (unsigned left = g->open; left; left &= left - 1) {
        int i = __builtin_ctz(left);
        int64_t value = gdr_term_eval(&g->term[i], env);

        if (value < 0)
            return 0;
        put(out, i, value);
    }
    return 1;
}
