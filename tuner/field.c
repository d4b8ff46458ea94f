/* field.c - everyone who was tried for a problem. */
#include "field.h"
#include "race.h"
#include "stats.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct loader {
    gdr_field *out;
    int64_t room;
    gdr_status status;
} loader;

static void free_entry(gdr_entry *e)
{
    free(e->hash);
    free(e->kernel);
    free(e->config);
    free(e->outcome);
    free(e->note);
    free(e->samples);
}

static int copy_entry(const gdr_trial_row *t, const gdr_variant_row *v,
                      gdr_entry *out)
{
    *out = (gdr_entry){.hash = strdup(v->hash),
                       .kernel = strdup(v->kernel),
                       .config = strdup(v->config),
                       .outcome = strdup(t->outcome),
                       .note = strdup(t->note ? t->note : ""),
                       .stage = t->stage,
                       .time_ns = t->time_ns,
                       .spread = t->spread,
                       .error_o = t->error_o,
                       .error_s = t->error_s,
                       .ratio = NAN,
                       .run = t->run,
                       .n_samples = t->n_samples};
    size_t bytes = (size_t)t->n_samples * sizeof *t->samples;
    out->samples = malloc(bytes + 1);
    if (out->samples && bytes)
        memcpy(out->samples, t->samples, bytes);
    if (out->samples && out->hash && out->kernel && out->config &&
        out->outcome && out->note)
        return 1;
    free_entry(out);
    return 0;
}

const gdr_entry *gdr_field_find(const gdr_field *f, const char *hash)
{
    for (int64_t i = 0; i < f->n; i++)
        if (strcmp(f->entry[i].hash, hash) == 0)
            return &f->entry[i];
    return NULL;
}

/* A variant may have a row for the gate, one for the time and some of older
 * stamps: the last one read stands. */
static int take(void *ctx, const gdr_trial_row *trial,
                const gdr_variant_row *variant)
{
    loader *l = ctx;
    gdr_field *f = l->out;
    gdr_entry e, *at = (gdr_entry *)gdr_field_find(f, variant->hash);
    l->status = GDR_ERR_NO_MEMORY;
    if (!at && f->n == l->room) {
        int64_t room = l->room ? 2 * l->room : 64;
        void *p = realloc(f->entry, (size_t)room * sizeof e);
        if (!p)
            return 1;
        f->entry = p;
        l->room = room;
    }
    if (!copy_entry(trial, variant, &e))
        return 1;
    if (at)
        free_entry(at);
    else
        at = &f->entry[f->n++];
    *at = e;
    l->status = GDR_OK;
    return 0;
}

static int is_ok(const gdr_entry *e)
{
    return strcmp(e->outcome, "ok") == 0;
}

/* Timed, failed, passed without being timed. */
static int rank(const gdr_entry *e)
{
    return !is_ok(e) ? 1 : e->time_ns > 0 ? 0 : 2;
}

static int compare_entries(const void *a, const void *b)
{
    const gdr_entry *x = a, *y = b;
    int d = rank(x) - rank(y);
    if (d == 0 && rank(x) == 0)
        d = (x->ratio > y->ratio) - (x->ratio < y->ratio);
    if (d == 0 && rank(x) == 0)
        d = (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
    if (d == 0)
        d = strcmp(x->outcome, y->outcome);
    if (d == 0)
        d = strcmp(x->config, y->config);
    return d ? d : strcmp(x->hash, y->hash);
}

/* Sorts, takes out who passed and was not timed, counts. */
static void arrange(gdr_field *f)
{
    if (f->n > 1)
        qsort(f->entry, (size_t)f->n, sizeof *f->entry, compare_entries);
    for (; f->n > 0 && rank(&f->entry[f->n - 1]) == 2; f->n_passed++)
        free_entry(&f->entry[--f->n]);
    while (f->n_timed < f->n && rank(&f->entry[f->n_timed]) == 0)
        f->n_timed++;
}

/* Median of e / w over the rounds that e ran, but for the first; NaN when they
 * are not of one race. The winner never left, and only in the final can it have
 * run twice in a round: the rounds before stand at the same place in both. */
static double paired(const gdr_entry *e, const gdr_entry *w)
{
    int n = 0;
    if (e->run != w->run || e->n_samples < 2 || e->n_samples > w->n_samples ||
        e->n_samples > INT32_MAX)
        return NAN;
    double *ratio = malloc((size_t)e->n_samples * sizeof *ratio);
    for (int64_t i = 1; ratio && i < e->n_samples; i++) {
        double x = e->samples[i] / w->samples[i];
        if (isfinite(x) && x > 0)
            ratio[n++] = x;
    }
    double mid = ratio ? gdr_stats_median(ratio, n).mid : NAN;
    free(ratio);
    return mid;
}

void gdr_field_pair(gdr_field *f, const char *winner, const char *fallback,
                    double gain)
{
    const gdr_entry *w = gdr_field_find(f, winner);
    for (int64_t i = 0; w && i < f->n_timed; i++) {
        gdr_entry *e = &f->entry[i];
        if (e == w)
            e->ratio = 1;
        else if (strcmp(e->hash, fallback) == 0)
            e->ratio = gain;
        else if (e->stage != GDR_RACE_FINALIST)
            e->ratio = paired(e, w);
        if (!isfinite(e->ratio))
            e->ratio = e->time_ns / w->time_ns;
    }
    if (f->n_timed > 1)
        qsort(f->entry, (size_t)f->n_timed, sizeof *f->entry, compare_entries);
}

gdr_status gdr_field_load(gdr_store *st, int64_t device, const char *problem,
                          gdr_field *out)
{
    *out = (gdr_field){0};
    loader l = {.out = out};
    const char *slash = strstr(problem, " / ");
    char *statics = slash ? strndup(problem, (size_t)(slash - problem)) : NULL;
    gdr_status status = slash && !statics ? GDR_ERR_NO_MEMORY : GDR_OK;
    if (status == GDR_OK && slash)
        status = gdr_store_each_trial(st, device, statics, take, &l);
    if (status == GDR_OK && l.status == GDR_OK)
        status = gdr_store_each_trial(st, device, problem, take, &l);
    if (l.status != GDR_OK)
        status = l.status;
    free(statics);
    arrange(out);
    if (status != GDR_OK)
        gdr_field_free(out);
    return status;
}

void gdr_field_free(gdr_field *f)
{
    for (int64_t i = 0; i < f->n; i++)
        free_entry(&f->entry[i]);
    free(f->entry);
    *f = (gdr_field){0};
}
