/*
 * batch.c - makes the entrants and keeps their rows. Invariant: an entrant's
 * stamp is known before anything is compiled, so that what is stored can be
 * found without a compiler run.
 */
#include "batch.h"
#include "figures.h"

#include "../runtime/recurrent_abi.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- choosing ---- */

/* Variants of a static problem that an effort may cost: each takes half a
 * second to compile and gate, and whoever is near a default comes first. */
static int64_t most_variants(const char *effort)
{
    if (!strcmp(effort, "quick"))
        return 12;
    return strcmp(effort, "measure") ? INT64_MAX : 32;
}

/* How many "name=int" words of two configs differ; both are sorted by name. */
static int words_apart(const char *a, const char *b)
{
    int apart = 0;

    while (*a || *b) {
        size_t n = strcspn(a, " "), m = strcspn(b, " ");
        apart += n != m || strncmp(a, b, n) != 0;
        a += n + (a[n] == ' ');
        b += m + (b[m] == ' ');
    }
    return apart;
}

typedef struct ranked {
    int64_t candidate;
    int apart; /* tunables away from the nearest default of its kernel */
    uint64_t draw;
} ranked;

static int apart_from_defaults(const gdr_space *space, const gdr_candidate *c)
{
    int best = 99; /* a kernel without a default */

    for (int64_t i = 0; i < space->n_candidates; i++) {
        const gdr_candidate *d = &space->candidate[i];
        int apart;
        if (!d->default_max_work || strcmp(d->kernel, c->kernel) != 0)
            continue;
        apart = words_apart(d->config, c->config);
        best = apart < best ? apart : best;
    }
    return best;
}

static int by_rank(const void *a, const void *b)
{
    const ranked *x = a, *y = b;

    if (x->apart != y->apart)
        return x->apart < y->apart ? -1 : 1;
    if (x->draw != y->draw)
        return x->draw < y->draw ? -1 : 1;
    return 0;
}

static int by_candidate(const void *a, const void *b)
{
    const ranked *x = a, *y = b;

    return x->candidate < y->candidate ? -1 : x->candidate > y->candidate;
}

/* The candidates that are tried, in the order of the space; all that are as
 * near to a default are drawn by the seed. Returns how many; -1: no memory. */
static int64_t choose(const gdr_batch *b, const char *effort, ranked **out)
{
    int64_t n = b->space->n_candidates, most = most_variants(effort);
    ranked *r = calloc((size_t)n + 1, sizeof *r);

    *out = r;
    if (!r)
        return -1;
    for (int64_t i = 0; i < n; i++)
        r[i] =
            (ranked){i, apart_from_defaults(b->space, &b->space->candidate[i]),
                     gdr_mix((uint64_t)b->session->o->seed, (uint64_t)i, 3)};
    qsort(r, (size_t)n, sizeof *r, by_rank);
    most = most < n ? most : n;
    qsort(r, (size_t)most, sizeof *r, by_candidate);
    return most;
}

/* ---- making ---- */

static gdr_status generator_failed(gdr_session *s, gdr_status st)
{
    snprintf(s->msg, s->n, "%s", gdr_generator_errmsg(s->generator));
    return st;
}

static gdr_status expand(gdr_batch *b, gdr_entrant *e)
{
    gdr_session *s = b->session;

    for (int i = 0; i < e->c->n_steps; i++) {
        size_t bytes;
        gdr_status st =
            gdr_generator_expand(s->generator, &b->s, e->c->kernel,
                                 e->c->config, i, &e->source[i], &bytes);
        if (st != GDR_OK)
            return generator_failed(s, st);
    }
    if (e->c->n_steps == 1)
        gdr_hash_bytes(e->source[0], strlen(e->source[0]), e->hash);
    else
        gdr_hash_texts((const char *const *)e->source, (size_t)e->c->n_steps,
                       e->hash);
    gdr_session_stamp(s, e->hash, GDR_RECURRENT_ABI, e->stamp);
    return GDR_OK;
}

static void free_sources(gdr_entrant *e)
{
    for (int i = 0; i < 8; i++) {
        free(e->source[i]);
        e->source[i] = NULL;
    }
}

static int find_hash(const gdr_batch *b, const char *hash)
{
    for (int i = 0; i < b->n; i++)
        if (!strcmp(b->e[i].hash, hash))
            return i;
    return -1;
}

/* The outcome that an earlier run stored for this very stamp, if any. */
static gdr_status recall(gdr_batch *b, gdr_entrant *e)
{
    static const char *const known[] = {"ok",   "compile", "launch", "wrong",
                                        "race", "timeout", "crash"};
    gdr_session *s = b->session;
    gdr_trial_row row;
    gdr_status st;

    if (!s->store || s->o->fresh)
        return GDR_OK;
    st = gdr_store_get_trial(s->store, s->device, b->statics, e->hash, e->stamp,
                             &row);
    if (st == GDR_ERR_NOT_FOUND)
        return GDR_OK;
    if (st != GDR_OK)
        return gdr_session_store_failed(s, st);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(row.outcome, known[i])) {
            e->outcome = known[i];
            e->judged = e->stored = 1;
        }
    snprintf(e->note, sizeof e->note, "%s", row.note ? row.note : "");
    return GDR_OK;
}

/* Equal sources are one entrant: a tunable that changes nothing here. */
static gdr_status add(gdr_batch *b, int64_t candidate)
{
    gdr_entrant *e = &b->e[b->n];
    gdr_status st;
    int same;

    memset(e, 0, sizeof *e);
    e->c = &b->space->candidate[candidate];
    e->is_default = e->c->default_max_work > 0;
    e->batch = b;
    e->twin = -1;
    e->error_o = e->error_s = -1;
    st = expand(b, e);
    if (st == GDR_OK && (same = find_hash(b, e->hash)) >= 0) {
        b->e[same].is_default |= e->is_default;
        free_sources(e);
        b->of_candidate[candidate] = same;
        return GDR_OK;
    }
    if (st == GDR_OK)
        st = recall(b, e);
    b->of_candidate[candidate] = b->n++;
    return st;
}

/* Where not even a default passed, it may have been the machine: what failed
 * is tried again. */
static void doubt_failures(gdr_batch *b)
{
    int failed = 0;

    for (int i = 0; i < b->n; i++) {
        if (b->e[i].stored && gdr_entrant_ok(&b->e[i]))
            return;
        failed |= b->e[i].stored && b->e[i].is_default;
    }
    b->doubtful = failed;
    for (int i = 0; i < b->n && failed; i++) {
        b->e[i].judged = b->e[i].stored = 0;
        b->e[i].outcome = NULL;
        b->e[i].note[0] = 0;
    }
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Over the sorted variant stamps: the space, whatever order it came in. */
static gdr_status stamp_space(gdr_batch *b)
{
    const char **text = malloc(sizeof *text * (size_t)(b->n + 1));

    if (!text)
        return GDR_ERR_NO_MEMORY;
    for (int i = 0; i < b->n; i++)
        text[i] = b->e[i].stamp;
    qsort(text, (size_t)b->n, sizeof *text, compare_texts);
    gdr_hash_texts(text, (size_t)b->n, b->stamp);
    free(text);
    return GDR_OK;
}

/* Defaults first, the rest shuffled: what a budget cuts off is a fair sample.
 */
static void make_order(gdr_batch *b)
{
    uint64_t seed = (uint64_t)b->session->o->seed;
    int n = 0;

    for (int i = 0; i < b->n; i++)
        if (b->e[i].is_default)
            b->order[n++] = i;
    for (int i = 0, first = n; i < b->n; i++) {
        int at;
        if (b->e[i].is_default)
            continue;
        at = first +
             (int)(gdr_mix(seed, (uint64_t)i, 1) % (uint64_t)(n - first + 1));
        b->order[n++] = b->order[at];
        b->order[at] = i;
    }
}

static gdr_status add_chosen(gdr_batch *b, const char *effort)
{
    ranked *chosen;
    int64_t n = choose(b, effort, &chosen);
    gdr_status st = n < 0 ? GDR_ERR_NO_MEMORY : GDR_OK;

    for (int64_t i = 0; i < b->space->n_candidates; i++)
        b->of_candidate[i] = -1;
    for (int64_t i = 0; i < n && st == GDR_OK; i++)
        st = add(b, chosen[i].candidate);
    free(chosen);
    doubt_failures(b);
    return st;
}

gdr_status gdr_batch_open(gdr_session *s, const gdr_static *problem,
                          const char *effort, gdr_batch **out)
{
    gdr_batch *b = calloc(1, sizeof *b);
    gdr_problem p = {.s = *problem};
    gdr_status st;

    *out = b;
    if (!b)
        return GDR_ERR_NO_MEMORY;
    b->session = s;
    b->s = *problem;
    gdr_problem_format(&p, b->statics, sizeof b->statics);
    st = gdr_generator_space(s->generator, problem, &s->traits, &b->space);
    if (st != GDR_OK)
        return generator_failed(s, st);
    b->e = calloc((size_t)b->space->n_candidates + 1, sizeof *b->e);
    b->of_candidate = calloc((size_t)b->space->n_candidates + 1, sizeof(int));
    b->order = calloc((size_t)b->space->n_candidates + 1, sizeof(int));
    if (!b->e || !b->of_candidate || !b->order)
        return GDR_ERR_NO_MEMORY;
    st = add_chosen(b, effort);
    if (st == GDR_OK)
        st = stamp_space(b);
    make_order(b);
    return st;
}

void gdr_batch_close(gdr_batch *b)
{
    if (!b)
        return;
    if (b->queued)
        gdr_compile_queue_withdraw(b->session->queue, b);
    for (int i = 0; b->e && i < b->space->n_candidates; i++) {
        free_sources(&b->e[i]);
        for (int k = 0; k < 8; k++) {
            free(b->e[i].image[k].code);
            free(b->e[i].job[k]);
        }
    }
    gdr_space_close(b->space);
    free(b->of_candidate);
    free(b->order);
    free(b->e);
    free(b);
}

/* ---- rows ---- */

gdr_status gdr_batch_put_variant(gdr_batch *b, const gdr_entrant *e)
{
    gdr_variant_row row = {e->hash,      b->statics,      e->c->kernel,
                           e->c->config, e->c->reduction, GDR_RECURRENT_ABI};

    return gdr_session_store_failed(
        b->session, gdr_store_put_variant(b->session->store, &row));
}

gdr_status gdr_batch_put_trial(gdr_batch *b, const gdr_entrant *e,
                               gdr_trial_row *row, const char *problem)
{
    gdr_session *s = b->session;
    gdr_status st = gdr_batch_put_variant(b, e);

    row->run = s->run;
    row->device = s->device;
    row->problem = problem;
    row->variant = e->hash;
    row->stamp = e->stamp;
    gdr_figures_estimate(b, e, row);
    if (st == GDR_OK)
        st = gdr_session_store_failed(s, gdr_store_put_trial(s->store, row));
    return st;
}

gdr_status gdr_batch_put_step(gdr_batch *b, const gdr_entrant *e, int i,
                              const gdr_image *image, const char *stamp)
{
    char hash[GDR_HASH_TEXT];
    gdr_step_row row = {.variant = e->hash,
                        .stamp = stamp,
                        .n = i,
                        .entry = e->c->step[i].entry,
                        .grid_x = e->c->step[i].grid_x,
                        .grid_y = e->c->step[i].grid_y,
                        .grid_z = e->c->step[i].grid_z,
                        .block = e->c->step[i].block,
                        .smem = e->c->step[i].smem,
                        .workspace = e->c->step[i].workspace,
                        .pdl = e->c->step[i].pdl,
                        .isa = image->isa,
                        .code = image->code,
                        .bytes = (int64_t)image->bytes,
                        .hash = hash};

    gdr_hash_bytes(row.code, image->bytes, hash);
    return gdr_session_store_failed(
        b->session, gdr_store_put_step(b->session->store, &row));
}

gdr_status gdr_batch_save(gdr_batch *b, gdr_entrant *e)
{
    gdr_status st = e->saved ? GDR_OK : gdr_batch_put_variant(b, e);

    if (e->saved)
        return GDR_OK;
    for (int i = 0; i < e->c->n_steps && st == GDR_OK; i++)
        st = gdr_batch_put_step(b, e, i, &e->image[i], e->stamp);
    e->saved = st == GDR_OK;
    return st;
}

gdr_status gdr_batch_put_defaults(gdr_batch *b)
{
    gdr_session *s = b->session;
    gdr_status st = GDR_OK;

    for (int64_t i = 0; i < b->space->n_candidates && st == GDR_OK; i++) {
        int64_t max_work = b->space->candidate[i].default_max_work;
        gdr_entrant *e = max_work && b->of_candidate[i] >= 0
                             ? &b->e[b->of_candidate[i]]
                             : NULL;
        gdr_default_row row = {
            .device = s->device, .statics = b->statics, .max_work = max_work};
        if (!e || !e->compiled || !gdr_entrant_ok(e))
            continue;
        row.variant = e->hash;
        row.variant_stamp = e->stamp;
        st = gdr_batch_save(b, e);
        if (st == GDR_OK)
            st = gdr_session_store_failed(
                s, gdr_store_put_default(s->store, &row));
    }
    return st;
}

/* ---- asking ---- */

int gdr_entrant_ok(const gdr_entrant *e)
{
    return e->judged && e->outcome && strcmp(e->outcome, "ok") == 0;
}

int gdr_entrant_fit(const gdr_entrant *e)
{
    return e->compiled && e->twin < 0 && gdr_entrant_ok(e);
}

/* The entrant that stands for e: itself, or the one with the same code. */
static int stands_for(const gdr_batch *b, int i)
{
    return b->e[i].twin >= 0 ? b->e[i].twin : i;
}

int gdr_batch_default(const gdr_batch *b, int64_t work)
{
    int64_t candidate = gdr_space_default(b->space, work);
    int best = -1;

    if (candidate < 0 || b->of_candidate[candidate] < 0)
        return -1;
    best = stands_for(b, b->of_candidate[candidate]);
    if (gdr_entrant_fit(&b->e[best]))
        return best;
    best = -1;
    for (int i = 0; i < b->n; i++) {
        int is_default = b->e[i].is_default;
        if (!gdr_entrant_fit(&b->e[i]))
            continue;
        if (best < 0 || (is_default && !b->e[best].is_default))
            best = i;
    }
    return best;
}

int64_t gdr_entrant_term(const gdr_entrant *e, const char *term)
{
    const gdr_batch *b = e->batch;
    gdr_term_env env = {{1, 1, 1, 1}, b->s.K, b->s.V, b->session->info.sms};
    gdr_term parsed;

    if (!term || gdr_term_parse(term, &parsed, NULL, 0) != GDR_OK)
        return -1;
    return gdr_term_eval(&parsed, &env);
}

/* How many ended as this one did. */
static int count_outcome(const gdr_batch *b, const char *outcome)
{
    int n = 0;

    for (int i = 0; i < b->n; i++)
        n += b->e[i].outcome && !strcmp(b->e[i].outcome, outcome);
    return n;
}

void gdr_batch_explain(const gdr_batch *b, char *text, size_t n)
{
    const gdr_entrant *usual = NULL;
    int most = 0;

    for (int i = 0; i < b->n; i++) {
        const gdr_entrant *e = &b->e[i];
        int count = e->outcome ? count_outcome(b, e->outcome) : 0;
        if (count <= most || gdr_entrant_ok(e))
            continue;
        usual = e;
        most = count;
    }
    if (usual)
        snprintf(text, n, "%d of %d: %s: %.*s; --verbose shows all", most, b->n,
                 usual->outcome, (int)strcspn(usual->note, "\n"), usual->note);
    else
        snprintf(text, n, "%d variants", b->n);
}

void gdr_entrant_code(const gdr_entrant *e, gdr_worker_code *code)
{
    code->n_steps = e->c->n_steps;
    for (int i = 0; i < e->c->n_steps; i++) {
        code->text[i] = (gdr_step_text){
            e->c->step[i].entry,     e->c->step[i].grid_x, e->c->step[i].grid_y,
            e->c->step[i].grid_z,    e->c->step[i].block,  e->c->step[i].smem,
            e->c->step[i].workspace, e->c->step[i].pdl};
        code->image[i] = &e->image[i];
    }
}
