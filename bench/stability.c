/*
 * stability.c - do two tuning runs agree? The winners of two databases, made by
 * two runs of gdr-tune from nothing, timed side by side, problem by problem,
 * beside an A/A run: the first winner against itself.
 *
 *     stability A.db B.db
 *
 * Figure to reach: median difference at most 1 %, 95th percentile at most 3 %.
 */
#include "retime.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const gdr_winner *find(const gdr_winners *w, const char *problem)
{
    for (int64_t i = 0; i < w->n; i++)
        if (strcmp(w->winner[i].row.choice.problem, problem) == 0)
            return &w->winner[i];
    return NULL;
}

static void print_row(const gdr_winner *a, const gdr_winner *b,
                      const retime_result *t)
{
    printf("%-72s %10.2f us %+7.2f %% +-%.2f  A/A %+6.2f %%  %s | %s\n",
           a->row.choice.problem, t->x_ns / 1000, 100 * expm1(t->other.mid),
           50 * (t->other.hi - t->other.lo), 100 * expm1(t->same.mid),
           a->row.variant.config,
           strcmp(a->row.choice.variant, b->row.choice.variant) == 0
               ? "the same"
               : b->row.variant.config);
    fflush(stdout);
}

/* Returns how many problems were timed. */
static int compare(retime *r, const retime_base *a, const retime_base *b,
                   double *differ, double *noise)
{
    int n = 0;
    for (int64_t i = 0; i < a->winners.n; i++) {
        const gdr_winner *x = &a->winners.winner[i];
        const gdr_winner *y = find(&b->winners, x->row.choice.problem);
        retime_result t;
        if (!y || x->problem.x.B == 0)
            continue;
        retime_code cx = {a->store, x->row.choice.variant,
                          x->row.choice.variant_stamp};
        retime_code cy = {b->store, y->row.choice.variant,
                          y->row.choice.variant_stamp};
        if (!retime_pair(r, &x->problem, &cx, &cy, &t))
            continue;
        print_row(x, y, &t);
        differ[n] = fabs(expm1(t.other.mid));
        noise[n++] = fabs(expm1(t.same.mid));
    }
    return n;
}

int main(int argc, char **argv)
{
    retime_base a = {0}, b = {0};
    int status = 2;
    if (argc != 3) {
        fprintf(stderr, "usage: stability A.db B.db\n");
        return status;
    }
    retime *r = retime_open();
    if (r && retime_load(r, argv[1], &a) && retime_load(r, argv[2], &b)) {
        double *differ = calloc((size_t)a.winners.n, sizeof *differ);
        double *noise = calloc((size_t)a.winners.n, sizeof *noise);
        int n = differ && noise ? compare(r, &a, &b, differ, noise) : 0;
        if (n) {
            retime_summary("winners of two runs", differ, n);
            retime_summary("the same winner (A/A)", noise, n);
        }
        status = n ? 0 : 1;
        free(differ);
        free(noise);
    }
    retime_unload(&a);
    retime_unload(&b);
    retime_close(r);
    return status;
}
