/*
 * stats.h - order statistics of timings. Medians and their distribution-free
 * confidence intervals: outliers stay in the data and do no harm, no noise
 * model is assumed.
 */
#ifndef GDR_STATS_H
#define GDR_STATS_H

/* A median and its 95 % confidence interval. */
typedef struct gdr_interval {
    double mid, lo, hi;
} gdr_interval;

/* Sorts ascending. NaN must not occur in any function here. */
void gdr_stats_sort(double *x, int n);

/* The q-quantile (0 .. 1) of sorted values, interpolated linearly between
 * order statistics (type 7 of Hyndman and Fan, 1996). NaN when n = 0. */
double gdr_stats_quantile(const double *sorted, int n, double q);

/*
 * The median and its interval; sorts x. From 6 values on the interval is that
 * of the sign test: a pair of order statistics, whatever the distribution.
 * Below that no pair reaches 95 %, and the interval is mean +- u * range,
 * Lord's test (E. Lord, Biometrika 34, 1947), which takes the noise as about
 * normal; n = 1: -inf .. inf; n = 0: all NaN.
 */
gdr_interval gdr_stats_median(double *x, int n);

/* 1-based rank k of the sign test's interval [x(k), x(n+1-k)], the largest k
 * with a coverage of at least 95 %; 0 when there is none (n < 6). */
int gdr_stats_sign_rank(int n);

#endif
