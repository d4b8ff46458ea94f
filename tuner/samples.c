/* samples.c - the table of times that a race decides by. */
#include "samples.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

void gdr_samples_open(int n, int anchor, gdr_samples *s)
{
    *s = (gdr_samples){.n = n, .anchor = anchor};
}

void gdr_samples_close(gdr_samples *s)
{
    free(s->log_ns);
    free(s->scratch);
    gdr_samples_open(s->n, -1, s);
}

static double *row_of(const gdr_samples *s, int64_t round)
{
    return s->log_ns + round * (s->n + 1);
}

static gdr_status grow(gdr_samples *s)
{
    int64_t capacity = s->capacity ? 2 * s->capacity : 16;
    size_t row = (size_t)(s->n + 1) * sizeof(double);
    double *log_ns = realloc(s->log_ns, (size_t)capacity * row);
    if (log_ns)
        s->log_ns = log_ns;
    double *scratch = realloc(s->scratch, (size_t)capacity * sizeof(double));
    if (scratch)
        s->scratch = scratch;
    if (!log_ns || !scratch)
        return GDR_ERR_NO_MEMORY;
    s->capacity = capacity;
    return GDR_OK;
}

gdr_status gdr_samples_add_round(gdr_samples *s)
{
    gdr_status status = s->rounds < s->capacity ? GDR_OK : grow(s);
    if (status != GDR_OK)
        return status;
    double *row = row_of(s, s->rounds++);
    for (int i = 0; i <= s->n; i++)
        row[i] = NAN;
    return GDR_OK;
}

void gdr_samples_put(gdr_samples *s, int slot, double ns)
{
    assert(s->rounds > 0 && slot >= 0 && slot <= s->n && ns > 0);
    row_of(s, s->rounds - 1)[slot] = log(ns);
}

void gdr_samples_set_anchor(gdr_samples *s, int anchor)
{
    s->anchor = anchor;
    for (int64_t round = 0; round < s->rounds; round++)
        row_of(s, round)[s->n] = NAN;
}

static double log_time(const gdr_samples *s, int64_t round, int i)
{
    const double *row = row_of(s, round);
    if (i == s->anchor && !isnan(row[s->n]))
        return (row[i] + row[s->n]) / 2;
    return row[i];
}

gdr_interval gdr_samples_compare(const gdr_samples *s, int i, int j,
                                 int64_t from)
{
    int n = 0;
    for (int64_t round = from; round < s->rounds; round++) {
        double d = log_time(s, round, i);
        if (j >= 0)
            d -= log_time(s, round, j);
        if (!isnan(d))
            s->scratch[n++] = d;
    }
    return gdr_stats_median(s->scratch, n);
}

gdr_interval gdr_samples_noise(const gdr_samples *s, int64_t from, int *n)
{
    *n = 0;
    for (int64_t i = from; s->anchor >= 0 && i < s->rounds; i++) {
        double d = row_of(s, i)[s->n] - row_of(s, i)[s->anchor];
        if (!isnan(d))
            s->scratch[(*n)++] = d;
    }
    return gdr_stats_median(s->scratch, *n);
}
