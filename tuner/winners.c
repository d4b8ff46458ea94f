/* winners.c - all winners of a database, copied and sorted. */
#include "winners.h"
#include <stdlib.h>
#include <string.h>

typedef struct loader {
    gdr_winners *out;
    const char *only;
    int64_t room;
    gdr_status status;
} loader;

/* Copies the texts of a row into one block and points the row there. */
static gdr_status own_texts(gdr_winner_row *row, void **memory)
{
    gdr_choice_row *c = &row->choice;
    gdr_variant_row *v = &row->variant;
    gdr_device_row *d = &row->device;
    const char **texts[] = {
        &c->problem,  &c->stamp,          &c->variant,   &c->variant_stamp,
        &c->fallback, &c->fallback_stamp, &v->hash,      &v->statics,
        &v->kernel,   &v->config,         &v->reduction, &d->fingerprint,
        &d->kind,     &d->arch,           &d->isa,       &d->name};
    enum { N = sizeof texts / sizeof *texts };
    size_t bytes = 0;
    for (int i = 0; i < N; i++)
        bytes += strlen(*texts[i]) + 1;
    char *p = *memory = malloc(bytes);
    if (!p)
        return GDR_ERR_NO_MEMORY;
    for (int i = 0; i < N; i++) {
        size_t length = strlen(*texts[i]) + 1;
        *texts[i] = memcpy(p, *texts[i], length);
        p += length;
    }
    return GDR_OK;
}

static int take(void *ctx, const gdr_winner_row *row)
{
    loader *l = ctx;
    gdr_winners *w = l->out;
    if (l->only && strcmp(l->only, row->device.fingerprint) != 0)
        return 0;
    if (w->n == l->room) {
        int64_t room = l->room ? 2 * l->room : 64;
        void *p = realloc(w->winner, (size_t)room * sizeof *w->winner);
        if (!p) {
            l->status = GDR_ERR_NO_MEMORY;
            return 1;
        }
        w->winner = p;
        l->room = room;
    }
    gdr_winner *to = &w->winner[w->n];
    *to = (gdr_winner){.row = *row};
    l->status = own_texts(&to->row, &to->memory);
    if (l->status != GDR_OK)
        return 1;
    if (gdr_problem_parse(row->choice.problem, &to->problem, NULL, 0) != GDR_OK)
        memset(&to->problem, 0, sizeof to->problem);
    w->n++;
    return 0;
}

static int compare_winners(const void *a, const void *b)
{
    const gdr_winner *x = a, *y = b;
    int64_t d = x->row.device_id - y->row.device_id;
    if (d != 0)
        return d < 0 ? -1 : 1;
    if (x->problem.x.B == 0 || y->problem.x.B == 0)
        return (y->problem.x.B == 0) - (x->problem.x.B == 0);
    return gdr_problem_compare(&x->problem, &y->problem);
}

gdr_status gdr_winners_load(gdr_store *st, const char *only, gdr_winners *out)
{
    *out = (gdr_winners){0};
    loader l = {.out = out, .only = only};
    gdr_status status = gdr_store_each_winner(st, take, &l);
    if (l.status != GDR_OK)
        status = l.status;
    if (status != GDR_OK)
        gdr_winners_free(out);
    else if (out->n > 1)
        qsort(out->winner, (size_t)out->n, sizeof *out->winner,
              compare_winners);
    return status;
}

void gdr_winners_free(gdr_winners *w)
{
    for (int64_t i = 0; i < w->n; i++)
        free(w->winner[i].memory);
    free(w->winner);
    *w = (gdr_winners){0};
}
