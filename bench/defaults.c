/*
 * defaults.c - how slow is an untuned machine? The default of each problem
 * against its winner, timed side by side, beside an A/A run.
 *
 *     defaults A.db
 *
 * Figure to reach: median within 10 %, 95th percentile within 25 %.
 */
#include "retime.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_row(const gdr_winner *w, const retime_result *t)
{
    const gdr_choice_row *c = &w->row.choice;
    printf("%-72s %10.2f us %+7.2f %% +-%.2f  A/A %+6.2f %%  tuned %+6.2f %%  "
           "%s%s\n",
           c->problem, t->x_ns / 1000, 100 * expm1(t->other.mid),
           50 * (t->other.hi - t->other.lo), 100 * expm1(t->same.mid),
           100 * (c->gain - 1), w->row.variant.config,
           strcmp(c->variant, c->fallback) == 0 ? " (the default)" : "");
    fflush(stdout);
}

/* Returns how many problems were timed. loss: what the default takes longer. */
static int compare(retime *r, const retime_base *a, double *loss, double *noise)
{
    int n = 0;
    for (int64_t i = 0; i < a->winners.n; i++) {
        const gdr_winner *w = &a->winners.winner[i];
        const gdr_choice_row *c = &w->row.choice;
        retime_code best = {a->store, c->variant, c->variant_stamp};
        retime_code dflt = {a->store, c->fallback, c->fallback_stamp};
        retime_result t;
        if (w->problem.x.B == 0 ||
            !retime_pair(r, &w->problem, &best, &dflt, &t))
            continue;
        print_row(w, &t);
        loss[n] = expm1(t.other.mid);
        noise[n++] = fabs(expm1(t.same.mid));
    }
    return n;
}

int main(int argc, char **argv)
{
    retime_base a = {0};
    int status = 2;
    if (argc != 2) {
        fprintf(stderr, "usage: defaults A.db\n");
        return status;
    }
    retime *r = retime_open();
    if (r && retime_load(r, argv[1], &a)) {
        double *loss = calloc((size_t)a.winners.n, sizeof *loss);
        double *noise = calloc((size_t)a.winners.n, sizeof *noise);
        int n = loss && noise ? compare(r, &a, loss, noise) : 0;
        if (n) {
            retime_summary("default over winner", loss, n);
            retime_summary("the same winner (A/A)", noise, n);
        }
        status = n ? 0 : 1;
        free(loss);
        free(noise);
    }
    retime_unload(&a);
    retime_close(r);
    return status;
}
