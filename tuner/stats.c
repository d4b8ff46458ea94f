/*
 * stats.c - medians, quantiles and the sign test. Pure functions; the order of
 * the input never matters.
 */
#include "stats.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* 2^-n stays a normal number up to 1022; the normal approximation is exact to
 * one rank long before that. */
enum { SIGN_EXACT_MAX = 1000 };

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void gdr_stats_sort(double *x, int n)
{
    assert(n >= 0);
    if (n > 1)
        qsort(x, (size_t)n, sizeof *x, compare_doubles);
}

double gdr_stats_quantile(const double *sorted, int n, double q)
{
    assert(q >= 0 && q <= 1);
    if (n <= 0)
        return NAN;
    double at = q * (n - 1);
    int i = (int)at;
    if (i >= n - 1 || sorted[i] == sorted[i + 1])
        return sorted[i];
    return sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]);
}

int gdr_stats_sign_rank(int n)
{
    if (n > SIGN_EXACT_MAX)
        return (int)(n / 2.0 - 0.98 * sqrt(n)); /* 1.96 standard deviations */
    double p = ldexp(1, -n), tail = 0;          /* P(Bin(n, 1/2) = k), summed */
    int k = 0;
    while (k < n && tail + p <= 0.025) {
        tail += p;
        p *= (double)(n - k) / (k + 1);
        k++;
    }
    return k;
}

/* Lord's table: the 97.5 % point of |mean - mu| / range for n normal values. */
static gdr_interval few_interval(const double *sorted, int n, double mid)
{
    static const double u[] = {INFINITY, INFINITY, 6.353, 1.304, 0.717, 0.507};
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += sorted[i];
    if (n < 2)
        return (gdr_interval){mid, -INFINITY, INFINITY};
    double half = u[n] * (sorted[n - 1] - sorted[0]);
    /* the median is not the mean: keep it inside its own interval */
    return (gdr_interval){mid, fmin(sum / n - half, sorted[0]),
                          fmax(sum / n + half, sorted[n - 1])};
}

gdr_interval gdr_stats_median(double *x, int n)
{
    if (n <= 0)
        return (gdr_interval){NAN, NAN, NAN};
    gdr_stats_sort(x, n);
    double mid = gdr_stats_quantile(x, n, 0.5);
    int k = gdr_stats_sign_rank(n);
    if (k == 0)
        return few_interval(x, n, mid);
    return (gdr_interval){mid, x[k - 1], x[n - k]};
}
