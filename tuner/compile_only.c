/*
 * compile_only.c - chips, from old to new, times static problems: expand all
 * variants, compile what is new, print. PTX is made of the oldest chip's
 * default, which every newer card can run.
 */
#include "compile_only.h"
#include "../runtime/geometry.h"
#include "agenda.h"
#include "channel.h"
#include "compile_nvrtc.h"
#include "compile_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHIPS = 16, STEPS = 8 };

/* 300 times the usual kernel. */
static const double limit_s = 60;

static const gdr_target nvrtc = {.kind = "cuda",
                                 .compiler = gdr_nvrtc_identity,
                                 .compile = gdr_nvrtc_compile};

typedef struct run {
    const gdr_tune_options *o;
    const gdr_report_options *print;
    const gdr_chip *chip[CHIPS];
    char virtual_arch[CHIPS][32]; /* "compute_90" of each */
    int chips;
    gdr_generator *generator;
    gdr_agenda agenda;
    int *has_ptx; /* [agenda.n] */
    gdr_compile_once *compiler;
    gdr_compile_report *report;
    gdr_compile_only_result *result;
    double began_s;
    char *msg;
    size_t n;
} run;

/* One static problem on one chip. */
typedef struct piece {
    run *r;
    const gdr_chip *chip;
    const gdr_group *group;
    char problem[256];
    gdr_space *space;
    const gdr_compiled *(*compiled)[STEPS]; /* [candidates] */
    const gdr_compiled *ptx[STEPS];
    gdr_compile_sum sum;
} piece;

/* ---- which chips ---- */

static int by_age(const void *a, const void *b)
{
    const gdr_chip *const *x = a, *const *y = b;

    return (*x > *y) - (*x < *y); /* the table is in order */
}

/* Once each, and known to the compiler. */
static gdr_status add_chip(run *r, const gdr_chip *chip)
{
    gdr_status st = gdr_nvrtc_knows(chip->arch, r->msg, r->n);

    if (st != GDR_OK)
        return st;
    for (int i = 0; i < r->chips; i++)
        if (r->chip[i] == chip)
            return GDR_OK;
    if (r->chips == CHIPS)
        return GDR_ERR_ARG;
    r->chip[r->chips++] = chip;
    return GDR_OK;
}

static gdr_status add_named(run *r, const char *archs)
{
    gdr_status st = GDR_OK;

    while (st == GDR_OK) {
        const gdr_chip *chip;
        char name[32];
        size_t length = strcspn(archs, ",");

        snprintf(name, sizeof name, "%.*s", (int)length, archs);
        st = gdr_chip_find(name, &chip, r->msg, r->n);
        if (st == GDR_OK)
            st = add_chip(r, chip);
        if (!archs[length])
            break;
        archs += length + 1;
    }
    return st;
}

static gdr_status add_tested(run *r)
{
    gdr_status st = GDR_OK;

    for (const gdr_chip *c = gdr_chips; c->arch && st == GDR_OK; c++)
        if (!c->untested)
            st = add_chip(r, c);
    return st;
}

static gdr_status choose_chips(run *r, const char *archs)
{
    gdr_status st = archs ? add_named(r, archs) : add_tested(r);

    qsort(r->chip, (size_t)r->chips, sizeof(const gdr_chip *), by_age);
    for (int i = 0; i < r->chips; i++)
        snprintf(r->virtual_arch[i], sizeof r->virtual_arch[i], "compute_%d",
                 atoi(r->chip[i]->arch + strlen("sm_")));
    return st;
}

/* ---- compiling ---- */

static gdr_status generator_failed(run *r, gdr_status st)
{
    snprintf(r->msg, r->n, "%s", gdr_generator_errmsg(r->generator));
    return st;
}

/* What does not expand is a variant that does not compile. */
static gdr_status want_step(piece *p, const gdr_candidate *c, int step,
                            const char *arch, const gdr_compiled **compiled)
{
    gdr_generator *g = p->r->generator;
    char *source = NULL;
    size_t bytes = 0;
    gdr_status st = gdr_generator_expand(g, &p->group->s, c->kernel, c->config,
                                         step, &source, &bytes);

    if (st == GDR_ERR_TEMPLATE)
        return gdr_compile_once_fail(p->r->compiler, gdr_generator_errmsg(g),
                                     arch, compiled);
    if (st != GDR_OK)
        return generator_failed(p->r, st);
    return gdr_compile_once_want(p->r->compiler, source, bytes, arch, compiled);
}

static gdr_status want(piece *p, const gdr_candidate *c, const char *arch,
                       const gdr_compiled **compiled)
{
    gdr_status st = GDR_OK;

    for (int i = 0; i < c->n_steps && st == GDR_OK; i++)
        st = want_step(p, c, i, arch, &compiled[i]);
    return st;
}

static int is_wanted(const piece *p, const gdr_candidate *c)
{
    return strcmp(p->r->o->effort, "quick") != 0 || c->default_max_work;
}

/* The default for the usual decode: 8 sequences of 32 heads. */
static const gdr_candidate *usual_default(const piece *p)
{
    int64_t i = gdr_space_default(p->space, 256);

    return i < 0 ? NULL : &p->space->candidate[i];
}

static gdr_status want_ptx(piece *p)
{
    const run *r = p->r;
    const gdr_candidate *c = usual_default(p);

    if (!c || r->has_ptx[p->group - r->agenda.group])
        return GDR_OK;
    for (int i = 0; i < r->chips; i++)
        if (r->chip[i] == p->chip)
            return want(p, c, r->virtual_arch[i], p->ptx);
    return GDR_OK;
}

static gdr_status compile_all(piece *p)
{
    gdr_status st = want_ptx(p);

    for (int64_t i = 0; i < p->space->n_candidates && st == GDR_OK; i++)
        if (is_wanted(p, &p->space->candidate[i]))
            st =
                want(p, &p->space->candidate[i], p->chip->arch, p->compiled[i]);
    if (st == GDR_OK)
        p->r->result->interrupted =
            gdr_compile_once_wait(p->r->compiler, p->r->o->stop);
    return st;
}

/* ---- judging ---- */

static gdr_term_env largest_call(const piece *p)
{
    const gdr_group *g = p->group;
    gdr_term_env env = {.K = g->s.K, .V = g->s.V, .sms = p->chip->sms};
    int64_t most = -1;

    for (int i = 0; i < g->n; i++) {
        const gdr_extents *x = &g->problem[i].x;
        if (x->B * x->T * x->Hv > most) {
            most = x->B * x->T * x->Hv;
            env.x = *x;
        }
    }
    return env;
}

static int64_t value(const char *text, const gdr_term_env *env)
{
    gdr_term term;
    char msg[128];

    return gdr_term_parse(text, &term, msg, sizeof msg) == GDR_OK
               ? gdr_term_eval(&term, env)
               : -1;
}

static void measure(const piece *p, gdr_compile_row *row)
{
    const gdr_figures *f = &row->compiled->figures;
    gdr_term_env env = largest_call(p);
    const char *in_flight = row->candidate->step[row->step].in_flight;

    row->threads = value(row->candidate->step[row->step].block, &env);
    row->dynamic_smem_bytes = value(row->candidate->step[row->step].smem, &env);
    row->occupancy = gdr_chip_occupancy(
        p->chip, &(gdr_block_needs){.threads = (int)row->threads,
                                    .registers = f->registers,
                                    .barriers = f->barriers,
                                    .smem_bytes = f->smem_bytes +
                                                  row->dynamic_smem_bytes});
    row->in_flight_bytes = row->occupancy.blocks * value(in_flight, &env);
}

/* A compiler's log begins with the reason. */
static void refuse(gdr_compile_row *row, const char *outcome,
                   const char *reason)
{
    row->outcome = outcome;
    snprintf(row->reason, sizeof row->reason, "%.*s",
             (int)strcspn(reason, "\n"), reason);
}

static void judge(gdr_compile_row *row)
{
    const gdr_compiled *c = row->compiled;
    char why[64];

    row->outcome = "ok";
    if (c->status != GDR_OK) {
        refuse(row, c->figures.known ? "refused" : "error",
               *c->log ? c->log : gdr_strerror(c->status));
    } else if (c->figures.known && row->occupancy.blocks < 1) {
        snprintf(why, sizeof why, "no block fits: too many %s",
                 row->occupancy.limit);
        refuse(row, "refused", why);
    }
}

static int is_ok(const gdr_compile_row *row)
{
    return !strcmp(row->outcome, "ok");
}

/* ---- counting ---- */

static void count_good(gdr_compile_sum *s, const gdr_compile_row *row)
{
    int registers = row->compiled->figures.registers;
    double warps = row->occupancy.warps;

    if (!s->good || warps < s->least_warps)
        s->least_warps = warps;
    if (warps > s->most_warps)
        s->most_warps = warps;
    if (registers > s->most_registers)
        s->most_registers = registers;
    if (row->in_flight_bytes > s->most_in_flight_bytes)
        s->most_in_flight_bytes = row->in_flight_bytes;
}

/* The worst step decides. */
static void take_variant(piece *p, int64_t i)
{
    const gdr_candidate *c = &p->space->candidate[i];
    int errors = 0, refused = 0;
    gdr_compile_row row = {0};

    for (int step = 0; step < c->n_steps; step++) {
        row = (gdr_compile_row){.arch = p->chip->arch,
                                .problem = p->problem,
                                .candidate = c,
                                .step = step,
                                .compiled = p->compiled[i][step]};
        measure(p, &row);
        judge(&row);
        errors += !strcmp(row.outcome, "error");
        refused += !strcmp(row.outcome, "refused");
        gdr_compile_report_row(p->r->report, &row);
        if (is_ok(&row))
            count_good(&p->sum, &row);
    }
    p->sum.variants++;
    p->sum.errors += errors > 0;
    p->sum.refused += !errors && refused;
    p->sum.good += !errors && !refused;
}

static void take_ptx(piece *p)
{
    const gdr_candidate *c = usual_default(p);
    int *has = &p->r->has_ptx[p->group - p->r->agenda.group];
    int good = 0;

    if (!p->ptx[0])
        return;
    for (int step = 0; step < c->n_steps; step++) {
        gdr_compile_row row = {.arch = p->chip->arch,
                               .problem = p->problem,
                               .candidate = c,
                               .step = step,
                               .compiled = p->ptx[step]};
        judge(&row);
        gdr_compile_report_ptx(p->r->report, &row);
        good += is_ok(&row);
    }
    *has = good == c->n_steps;
}

static void add_up(gdr_compile_only_result *all, const gdr_compile_sum *s)
{
    all->variants += s->variants;
    all->good += s->good;
    all->refused += s->refused;
    all->errors += s->errors;
    all->missing += !s->good;
    if (s->variants > all->most)
        all->most = s->variants;
}

static void take_all(piece *p)
{
    take_ptx(p);
    for (int64_t i = 0; i < p->space->n_candidates; i++)
        if (is_wanted(p, &p->space->candidate[i]))
            take_variant(p, i);
}

/* ---- the loop ---- */

static void show(const piece *p, int64_t done)
{
    const run *r = p->r;
    gdr_progress progress = {.phase = p->chip->arch,
                             .problem = p->problem,
                             .done = done,
                             .total = (int64_t)r->chips * r->agenda.n,
                             .failures = r->result->variants - r->result->good,
                             .elapsed_s = gdr_now() - r->began_s,
                             .left_s = -1};

    gdr_report_progress(r->o->report, &progress);
}

static gdr_status open_space(piece *p)
{
    gdr_generator_device traits = gdr_chip_traits(p->chip);
    gdr_status st =
        gdr_generator_space(p->r->generator, &p->group->s, &traits, &p->space);

    if (st == GDR_ERR_NOT_FOUND)
        return GDR_OK; /* no kernel serves it: no variants */
    if (st != GDR_OK)
        return generator_failed(p->r, st);
    p->compiled =
        calloc((size_t)p->space->n_candidates + 1, sizeof *p->compiled);
    return p->compiled ? GDR_OK : GDR_ERR_NO_MEMORY;
}

static gdr_status run_piece(run *r, const gdr_chip *chip,
                            const gdr_group *group, int64_t done)
{
    piece p = {.r = r, .chip = chip, .group = group};
    gdr_problem statics = {.s = group->s};
    gdr_status st;

    gdr_problem_format(&statics, p.problem, sizeof p.problem);
    show(&p, done);
    st = open_space(&p);
    if (st == GDR_OK && p.space)
        st = compile_all(&p);
    if (st == GDR_OK && !r->result->interrupted) {
        if (p.space)
            take_all(&p);
        if (!p.sum.good)
            gdr_report_say(r->o->report, 0, "%s %s: no variant is good",
                           chip->arch, p.problem);
        gdr_compile_report_problem(r->report, chip, p.problem, &p.sum);
        add_up(r->result, &p.sum);
    }
    free(p.compiled);
    gdr_space_close(p.space);
    return st;
}

static gdr_status run_chip(run *r, int chip)
{
    gdr_status st = GDR_OK;

    for (int i = 0; i < r->agenda.n && st == GDR_OK; i++) {
        st = run_piece(r, r->chip[chip], &r->agenda.group[i],
                       (int64_t)chip * r->agenda.n + i);
        if (r->result->interrupted)
            return st;
    }
    gdr_compile_report_chip(r->report, r->chip[chip]);
    return st;
}

static gdr_status run_all(run *r)
{
    gdr_status st = GDR_OK;

    for (int i = 0; i < r->chips && st == GDR_OK; i++)
        if (!r->result->interrupted)
            st = run_chip(r, i);
    for (int i = 0; i < r->agenda.n; i++)
        r->result->ptx_missing += !r->has_ptx[i];
    r->result->compiled = gdr_compile_once_count(r->compiler);
    return st;
}

static gdr_status open_run(run *r, const char *archs)
{
    const gdr_agenda_sources from = {r->o->shapes, r->o->n_shapes, r->o->only,
                                     r->o->n_only, r->o->misses};
    char identity[1024];
    int jobs = r->o->jobs > 0 ? r->o->jobs : (int)sysconf(_SC_NPROCESSORS_ONLN);
    gdr_status st = gdr_nvrtc_identity(identity, sizeof identity, r->msg, r->n);

    if (st == GDR_OK)
        st = choose_chips(r, archs);
    if (st == GDR_OK) {
        gdr_report_say(r->o->report, 1, "compiler: %s", identity);
        st = gdr_generator_open(r->o->templates, &r->generator);
        if (st != GDR_OK && r->generator)
            generator_failed(r, st);
    }
    if (st == GDR_OK)
        st = gdr_agenda_read(r->generator, &from, &r->agenda, r->msg, r->n);
    if (st == GDR_OK)
        st = gdr_compile_once_open(&nvrtc, jobs, limit_s, &r->compiler);
    if (st != GDR_OK)
        return st;
    r->report = gdr_compile_report_open(r->o->report, r->print);
    r->has_ptx = calloc((size_t)r->agenda.n + 1, sizeof *r->has_ptx);
    return r->report && r->has_ptx ? GDR_OK : GDR_ERR_NO_MEMORY;
}

static void close_run(run *r)
{
    gdr_compile_report_close(r->report);
    gdr_compile_once_close(r->compiler);
    gdr_agenda_free(&r->agenda);
    gdr_generator_close(r->generator);
    free(r->has_ptx);
}

gdr_status gdr_compile_only(const gdr_tune_options *o, const char *archs,
                            const gdr_report_options *print,
                            gdr_compile_only_result *result, char *msg,
                            size_t n)
{
    run r = {.o = o,
             .print = print,
             .result = result,
             .began_s = gdr_now(),
             .msg = msg,
             .n = n};
    gdr_status st;

    memset(result, 0, sizeof *result);
    msg[0] = 0;
    st = open_run(&r, archs);
    if (st == GDR_OK)
        st = run_all(&r);
    if (st != GDR_OK && !*msg)
        snprintf(msg, n, "%s", gdr_strerror(st));
    close_run(&r);
    return st;
}
