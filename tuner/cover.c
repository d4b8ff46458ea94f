/*
 * cover.c - a greedy covering array. Each row starts from the first combination
 * that is still open; every further axis takes the level that closes most
 * combinations with the axes already set. What must stay true: a row closes at
 * least the combination it started from, so the loop ends.
 *
 * Pairs are triples whose third axis is a dummy of one level, the last one.
 */
#include "cover.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = GDR_COVER_AXES + 1, UNSET = 255 };

typedef struct cover {
    int n, strength;
    int levels[SIDE];
    int64_t base[SIDE][SIDE][SIDE]; /* i < j < k: first combination in open */
    unsigned char *open;
    int64_t size;
} cover;

typedef int (*triple_fn)(cover *c, void *ctx, int i, int j, int k);

/* Calls fn for each i < j < k; stops at the first that returns nonzero. */
static int each_triple(cover *c, triple_fn fn, void *ctx)
{
    for (int i = 0; i < c->n; i++)
        for (int j = i + 1; j < c->n; j++)
            for (int k = c->strength == 2 ? c->n : j + 1;
                 k < (c->strength == 2 ? c->n + 1 : c->n); k++)
                if (fn(c, ctx, i, j, k))
                    return 1;
    return 0;
}

static int reserve(cover *c, void *ctx, int i, int j, int k)
{
    (void)ctx;
    c->base[i][j][k] = c->size;
    c->size += (int64_t)c->levels[i] * c->levels[j] * c->levels[k];
    return 0;
}

static unsigned char *cell(cover *c, const uint8_t *row, int i, int j, int k)
{
    return c->open + c->base[i][j][k] +
           ((int64_t)row[i] * c->levels[j] + row[j]) * c->levels[k] + row[k];
}

/* Sets the row to the first open combination of these three axes. */
static int seed_row(cover *c, void *ctx, int i, int j, int k)
{
    uint8_t *row = ctx;
    int64_t n = (int64_t)c->levels[i] * c->levels[j] * c->levels[k];
    unsigned char *first = c->open + c->base[i][j][k];
    unsigned char *hit = memchr(first, 1, (size_t)n);
    if (!hit)
        return 0;
    int64_t at = hit - first;
    row[k] = (uint8_t)(at % c->levels[k]);
    row[j] = (uint8_t)(at / c->levels[k] % c->levels[j]);
    row[i] = (uint8_t)(at / c->levels[k] / c->levels[j]);
    return 1;
}

static int close_triple(cover *c, void *ctx, int i, int j, int k)
{
    *cell(c, ctx, i, j, k) = 0;
    return 0;
}

/* Open combinations of axis x, as set in row, with the axes already set. */
static int64_t gain(cover *c, const uint8_t *row, int x)
{
    int64_t open = 0;
    for (int p = 0; p < c->n; p++) {
        if (p == x || row[p] == UNSET)
            continue;
        if (c->strength == 2) {
            open += *cell(c, row, p < x ? p : x, p < x ? x : p, c->n);
            continue;
        }
        for (int q = p + 1; q < c->n; q++) {
            if (q == x || row[q] == UNSET)
                continue;
            open += x < p   ? *cell(c, row, x, p, q)
                    : x < q ? *cell(c, row, p, x, q)
                            : *cell(c, row, p, q, x);
        }
    }
    return open;
}

/* turn: rotates which of equal levels is taken, so that levels stay balanced */
static void fill_row(cover *c, uint8_t *row, int64_t turn)
{
    for (int x = 0; x < c->n; x++) {
        if (row[x] != UNSET)
            continue;
        int64_t best = -1;
        uint8_t chosen = 0;
        for (int l = 0; l < c->levels[x]; l++) {
            row[x] = (uint8_t)((turn + x + l) % c->levels[x]);
            int64_t g = gain(c, row, x);
            if (g > best) {
                best = g;
                chosen = row[x];
            }
        }
        row[x] = chosen;
    }
}

static gdr_status append(uint8_t **rows, int64_t *n_rows, const uint8_t *row,
                         int n)
{
    if ((*n_rows & (*n_rows - 1)) == 0) {
        size_t room = *n_rows ? (size_t)*n_rows * 2 : 1;
        uint8_t *grown = realloc(*rows, room * (size_t)n);
        if (!grown)
            return GDR_ERR_NO_MEMORY;
        *rows = grown;
    }
    memcpy(*rows + *n_rows * n, row, (size_t)n);
    ++*n_rows;
    return GDR_OK;
}

gdr_status gdr_cover(const int *levels, int n, int strength, uint8_t **rows,
                     int64_t *n_rows)
{
    assert(n >= strength && n <= GDR_COVER_AXES);
    assert(strength == 2 || strength == 3);
    gdr_status status = GDR_ERR_NO_MEMORY;
    *rows = NULL;
    *n_rows = 0;
    cover *c = calloc(1, sizeof *c);
    if (!c)
        goto done;
    c->n = n;
    c->strength = strength;
    memcpy(c->levels, levels, (size_t)n * sizeof *levels);
    c->levels[n] = 1;
    each_triple(c, reserve, NULL);
    assert(c->size > 0);
    if (!(c->open = malloc((size_t)c->size)))
        goto done;
    memset(c->open, 1, (size_t)c->size);
    for (;;) {
        uint8_t row[SIDE];
        memset(row, UNSET, sizeof row);
        row[n] = 0;
        status = GDR_OK;
        if (!each_triple(c, seed_row, row))
            break;
        fill_row(c, row, *n_rows);
        each_triple(c, close_triple, row);
        if ((status = append(rows, n_rows, row, n)) != GDR_OK)
            break;
    }
done:
    if (status != GDR_OK) {
        free(*rows);
        *rows = NULL;
        *n_rows = 0;
    }
    if (c)
        free(c->open);
    free(c);
    return status;
}
