/*
 * gate.c - the part of a batch that runs beside itself: compilers on their
 * threads, and up to `posts` workers with one variant each, watched from one
 * loop. A variant is judged by its worker's answer or by its worker's death.
 * Where workers are slow to open, one whose variant passed judges the next; but
 * what condemns a variant is always a worker that had no other before.
 */
#include "figures.h"
#include "quarantine.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORKERS = 64 };

/* How long a default may be compiled after its budget: 40 times the usual. */
static const double late_by_s = 20;

/* A worker and where it stands with its one variant. */
typedef struct post {
    gdr_worker *worker; /* NULL: nobody is there */
    gdr_entrant *e;     /* NULL: it waits for a variant */
    enum { OPENING, LOADING, JUDGING } doing;
    int used; /* it has judged others */
} post;

typedef struct gate {
    gdr_batch *b;
    post post[MOST_WORKERS];
    int n_posts; /* that may be used */
    const gdr_extents *x;
    int n_x;
    double late_s;     /* when a default is no longer waited for */
    gdr_status status; /* first trouble of our own */
} gate;

static void note_trouble(gate *g, gdr_status st)
{
    if (g->status == GDR_OK)
        g->status = st;
}

/* ---- outcomes ---- */

/* A note ends with what repeats it. */
static void write_note(gdr_entrant *e, const char *text)
{
    const char *statics = e->batch->statics;
    size_t most = sizeof e->note - strlen(statics) - strlen(e->c->config) - 48;

    if (strlen(statics) + strlen(e->c->config) + 48 >= sizeof e->note)
        return;
    snprintf(e->note, sizeof e->note, "%.*s; source: gdr-tune expand '%s' '%s'",
             (int)most, text, statics, e->c->config);
}

static void settle(gate *g, gdr_entrant *e, const char *outcome,
                   const char *text)
{
    int ok = !strcmp(outcome, "ok");
    gdr_trial_row row = {
        .outcome = outcome, .error_o = e->error_o, .error_s = e->error_s};

    e->outcome = outcome;
    e->judged = 1;
    if (!ok)
        write_note(e, text);
    row.note = e->note[0] ? e->note : NULL;
    if (!ok) {
        g->b->session->progress.failures++;
        gdr_report_say(g->b->session->o->report, 2, "%s %s: %s: %s",
                       e->c->kernel, e->c->config, outcome, text);
    }
    note_trouble(g, gdr_batch_put_trial(g->b, e, &row, g->b->statics));
}

/* The judge itself failed: no word about the variant, and no row. */
static void leave_out(gate *g, gdr_entrant *e, const char *text)
{
    e->outcome = "launch";
    e->judged = 1;
    snprintf(e->note, sizeof e->note, "not judged: %s", text);
    gdr_report_say(g->b->session->o->report, 0, "%s %s: not judged: %s",
                   e->c->kernel, e->c->config, text);
}

static int same_text(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

static int same_geometry(const gdr_candidate *a, const gdr_candidate *b)
{
    if (a->n_steps != b->n_steps)
        return 0;
    for (int i = 0; i < a->n_steps; i++)
        if (!same_text(a->step[i].grid_x, b->step[i].grid_x) ||
            !same_text(a->step[i].grid_y, b->step[i].grid_y) ||
            !same_text(a->step[i].grid_z, b->step[i].grid_z) ||
            !same_text(a->step[i].block, b->step[i].block) ||
            !same_text(a->step[i].smem, b->step[i].smem) ||
            !same_text(a->step[i].workspace, b->step[i].workspace) ||
            !same_text(a->step[i].pdl, b->step[i].pdl))
            return 0;
    return 1;
}

/* An entrant with the same code that is judged, or in a worker now. */
static int find_twin(const gdr_batch *b, const gdr_entrant *e)
{
    for (int i = 0; i < b->n; i++) {
        const gdr_entrant *o = &b->e[i];
        if (o != e && o->compiled && o->twin < 0 &&
            !strcmp(o->code_hash, e->code_hash) && same_geometry(o->c, e->c))
            return i;
    }
    return -1;
}

/* ---- compiling ---- */

static void hash_code(gdr_entrant *e)
{
    char hash[8][GDR_HASH_TEXT];
    const char *text[8];

    for (int i = 0; i < e->c->n_steps; i++) {
        gdr_hash_bytes(e->image[i].code, e->image[i].bytes, hash[i]);
        text[i] = hash[i];
    }
    gdr_hash_texts(text, (size_t)e->c->n_steps, e->code_hash);
}

/* Where the compiler fails at everything the run ends: that is no outcome. */
static void judge_compiler(gate *g, gdr_entrant *e, const gdr_compile_job *job)
{
    gdr_session *s = g->b->session;

    if (job->status == GDR_ERR_IO) {
        snprintf(s->msg, s->n, "the compiler compiles nothing: %.*s",
                 (int)strcspn(job->log, "\n"), job->log);
        note_trouble(g, GDR_ERR_IO);
    } else if (job->status == GDR_ERR_COMPILE && !e->judged) {
        settle(g, e, "compile", job->log);
    } else if (job->status != GDR_OK && !e->judged) {
        leave_out(g, e, *job->log ? job->log : gdr_strerror(job->status));
    }
}

/* Whoever killed a worker before is not loaded, whatever it did at its gate. */
static void consult_quarantine(gate *g, gdr_entrant *e)
{
    char note[sizeof e->note];
    const char *outcome = NULL;
    int yes = 0;

    if (e->judged && !gdr_entrant_ok(e))
        return;
    if (g->b->session->o->fresh || g->b->doubtful)
        note_trouble(g, gdr_quarantine_lift(g->b, e));
    else
        note_trouble(
            g, gdr_quarantine_look(g->b, e, &yes, &outcome, note, sizeof note));
    if (yes)
        settle(g, e, outcome, note);
}

static void compiled(gate *g, gdr_entrant *e)
{
    for (int i = 0; i < e->c->n_steps; i++) {
        gdr_compile_job *job = e->job[i];
        e->image[i] = job->image;
        judge_compiler(g, e, job);
        note_trouble(g, gdr_figures_put(g->b, e, i, &job->image, job->log));
        free(job);
        e->job[i] = NULL;
        free(e->source[i]);
        e->source[i] = NULL;
    }
    e->compiled = 1;
    for (int i = 0; i < e->c->n_steps; i++)
        e->compiled = e->compiled && e->image[i].code;
    if (!e->compiled)
        return;
    hash_code(e);
    consult_quarantine(g, e);
    e->twin = find_twin(e->batch, e);
}

/* Takes what the compilers have finished; of this batch or of the next. */
static void take_compiled(gate *g)
{
    gdr_compile_job *job;

    while ((job = gdr_compile_queue_next(g->b->session->queue))) {
        gdr_entrant *e = job->user;
        e->batch->queued--;
        if (--e->to_compile == 0 && e->batch == g->b)
            compiled(g, e);
    }
}

/* Jobs of this batch that came back while another one was gated. */
static void take_early(gate *g)
{
    for (int i = 0; i < g->b->n; i++) {
        gdr_entrant *e = &g->b->e[i];
        if (!e->compiled && e->job[0] && e->to_compile == 0)
            compiled(g, e);
    }
}

static gdr_status queue_entrant(gdr_batch *b, gdr_entrant *e)
{
    for (int i = 0; i < e->c->n_steps; i++) {
        gdr_compile_job *job = calloc(1, sizeof *job);
        if (!job)
            return GDR_ERR_NO_MEMORY;
        job->source = e->source[i];
        job->bytes = strlen(e->source[i]);
        job->arch = b->session->info.arch;
        job->user = e;
        job->owner = b;
        e->job[i] = job;
    }
    e->to_compile = e->c->n_steps;
    b->queued += e->c->n_steps;
    for (int i = 0; i < e->c->n_steps; i++)
        gdr_compile_queue_put(b->session->queue, e->job[i]);
    return GDR_OK;
}

gdr_status gdr_batch_compile(gdr_batch *b)
{
    gdr_status st = GDR_OK;

    for (int k = 0; k < b->n && st == GDR_OK; k++) {
        gdr_entrant *e = &b->e[b->order[k]];
        int bad = e->judged && !gdr_entrant_ok(e);
        if (!bad && !e->compiled && !e->to_compile && !e->job[0])
            st = queue_entrant(b, e);
    }
    return st;
}

/* ---- workers ---- */

static void leave_post(post *p)
{
    gdr_worker_close(p->worker);
    memset(p, 0, sizeof *p);
}

static gdr_status next_step(gate *g, post *p)
{
    gdr_worker_code code;

    if (p->doing == OPENING) {
        gdr_entrant_code(p->e, &code);
        p->doing = LOADING;
        return gdr_worker_load(p->worker, 0, &g->b->s, &code);
    }
    p->doing = JUDGING;
    return gdr_worker_verify(p->worker, 0, (uint64_t)g->b->session->o->seed,
                             g->x, g->n_x);
}

static void judge(gate *g, gdr_entrant *e, const gdr_verdict *v)
{
    e->error_o = isnan(v->error_o) ? INFINITY : v->error_o;
    e->error_s = isnan(v->error_s) ? INFINITY : v->error_s;
    settle(g, e, v->outcome, v->note);
}

/* After its first timeout, with more time; or when somebody killed it, such as
 * the kernel for want of memory. */
static int comes_again(const post *p, const gdr_answer *a)
{
    int doubtful = a->outside || !strcmp(a->outcome, "timeout");

    return p->doing != OPENING && doubtful && !p->e->timeouts++;
}

/* An earlier variant of the worker may have left the damage. */
static int suspect_others(post *p, gdr_status st, const gdr_answer *a)
{
    int failed = st != GDR_OK || strcmp(a->verdict.outcome, "ok") != 0;

    return p->used && failed ? (p->e->alone = 1) : 0;
}

/* The worker of a variant that passed may take the next. */
static void keep_worker(post *p)
{
    p->e = NULL;
    p->used = 1;
}

static void lose(gate *g, const post *p, gdr_status st, const gdr_answer *a)
{
    int judge_failed = p->doing == JUDGING && st != GDR_ERR_LAUNCH;

    if (p->doing == OPENING || judge_failed || a->outside)
        leave_out(g, p->e, a->note);
    else
        settle(g, p->e, a->outcome, a->note);
    if (st == GDR_ERR_LAUNCH && p->doing != OPENING && !a->outside)
        note_trouble(g, gdr_quarantine_put(g->b, p->e, a->outcome, p->e->note));
}

/* Whatever the worker has to say. */
static void hear(gate *g, post *p)
{
    gdr_answer a;
    gdr_status st = gdr_worker_answer(p->worker, 0, &a);

    if (st == GDR_ERR_BUSY)
        return;
    if (st == GDR_OK && p->doing != JUDGING) {
        note_trouble(g, next_step(g, p));
        return;
    }
    if (suspect_others(p, st, &a)) {
        leave_post(p);
        return;
    }
    if (st == GDR_OK)
        judge(g, p->e, &a.verdict);
    else if (!comes_again(p, &a))
        lose(g, p, st, &a);
    if (st == GDR_OK && !strcmp(a.verdict.outcome, "ok") &&
        g->b->session->target->keeps_worker)
        keep_worker(p);
    else
        leave_post(p);
}

static int in_work(const gate *g, const gdr_entrant *e)
{
    for (int i = 0; i < g->n_posts; i++)
        if (g->post[i].e == e)
            return 1;
    return 0;
}

/* The verdict of the same code is this one's too. */
static void copy_twin(gate *g, gdr_entrant *e)
{
    const gdr_entrant *o = &g->b->e[e->twin];

    e->error_o = o->error_o;
    e->error_s = o->error_s;
    if (o->stored) { /* its errors were not read back: let a worker tell */
        e->twin = -1;
        return;
    }
    settle(g, e, o->outcome, "the same code as another variant");
}

static gdr_entrant *next_to_judge(gate *g)
{
    for (int k = 0; k < g->b->n; k++) {
        gdr_entrant *e = &g->b->e[g->b->order[k]];
        if (e->judged || !e->compiled || in_work(g, e))
            continue;
        if (e->twin >= 0 && g->b->e[e->twin].judged)
            copy_twin(g, e);
        if (!e->judged && e->twin < 0)
            return e;
    }
    return NULL;
}

static void post_entrant(gate *g, post *p, gdr_entrant *e)
{
    if (p->worker && (e->alone || e->timeouts))
        leave_post(p);
    p->e = e;
    p->doing = OPENING;
    if (p->worker) {
        note_trouble(g, next_step(g, p));
        return;
    }
    p->worker = gdr_session_worker(g->b->session, e->timeouts ? 2 : 1);
    if (!p->worker) {
        p->e = NULL;
        note_trouble(g, GDR_ERR_IO);
    }
}

static void fill_posts(gate *g)
{
    for (int i = 0; i < g->n_posts && g->status == GDR_OK; i++) {
        gdr_entrant *e = g->post[i].e ? NULL : next_to_judge(g);
        if (e)
            post_entrant(g, &g->post[i], e);
    }
}

/* ---- the loop ---- */

static int all_judged(const gate *g)
{
    for (int i = 0; i < g->b->n; i++) {
        const gdr_entrant *e = &g->b->e[i];
        int bad = e->judged && !gdr_entrant_ok(e);
        if (!e->judged || (!e->compiled && !bad && e->to_compile))
            return 0;
    }
    return 1;
}

/* Sleeps until a worker speaks, a compilation ends, or a deadline is due. */
static void wait_for_news(gate *g)
{
    struct pollfd fd[MOST_WORKERS + 1];
    double until_s = gdr_now() + 0.5;
    int n = 0;

    fd[n++] = (struct pollfd){.fd = gdr_compile_queue_fd(g->b->session->queue),
                              .events = POLLIN};
    for (int i = 0; i < g->n_posts; i++) {
        if (!g->post[i].e)
            continue;
        fd[n++] = (struct pollfd){.fd = gdr_worker_fd(g->post[i].worker),
                                  .events = POLLIN};
        until_s = fmin(until_s, gdr_worker_deadline(g->post[i].worker));
    }
    until_s -= gdr_now();
    poll(fd, (nfds_t)n, until_s > 0 ? (int)(until_s * 1e3) + 1 : 0);
}

/* The budget is over: what has not begun is not begun, but for defaults; and
 * those neither when their compiler does not end. */
static void cut_off(gate *g)
{
    gdr_batch *b = g->b;
    int late = gdr_now() > g->late_s;

    for (int i = 0; i < b->n; i++) {
        gdr_entrant *e = &b->e[i];
        int wanted = e->is_default && (e->compiled || !late);
        if (e->judged || wanted || in_work(g, e))
            continue;
        e->judged = 1;
        e->outcome = "pruned";
        snprintf(e->note, sizeof e->note, "the budget was over");
    }
}

static int worth_waiting(const gate *g)
{
    int busy = 0;

    for (int i = 0; i < g->n_posts; i++)
        busy |= g->post[i].e != NULL;
    return busy || !all_judged(g);
}

static void show(gate *g)
{
    gdr_session *s = g->b->session;

    gdr_session_show(s, g->b->queued ? "compile" : "verify", g->b->statics);
}

/* Who stands for equal codes must not depend on which was compiled first: the
 * first default, else the first of all. */
static void order_twins(gdr_batch *b)
{
    for (int i = 0; i < b->n; i++) {
        gdr_entrant *e = &b->e[i];
        int best = -1;
        e->twin = -1;
        for (int k = 0; e->compiled && k < b->n; k++) {
            const gdr_entrant *o = &b->e[k];
            int is_default = o->is_default;
            int same = o->compiled && !strcmp(o->code_hash, e->code_hash) &&
                       !strcmp(o->outcome, e->outcome) &&
                       same_geometry(o->c, e->c);
            if (!same)
                continue;
            if (best < 0 || (is_default && !b->e[best].is_default))
                best = k;
        }
        e->twin = best == i ? -1 : best;
    }
}

gdr_status gdr_batch_gate(gdr_batch *b, double end_s, const gdr_extents *x,
                          int n_x)
{
    gate g = {.b = b, .x = x, .n_x = n_x};

    g.n_posts = b->session->posts;
    if (g.n_posts > MOST_WORKERS)
        g.n_posts = MOST_WORKERS;
    g.late_s = fmax(gdr_now(), end_s) + late_by_s;
    take_early(&g);
    while (g.status == GDR_OK && worth_waiting(&g)) {
        if (gdr_session_stopped(b->session))
            note_trouble(&g, GDR_ERR_BUSY);
        if (gdr_now() > end_s)
            cut_off(&g);
        fill_posts(&g);
        wait_for_news(&g);
        take_compiled(&g);
        for (int i = 0; i < g.n_posts; i++)
            if (g.post[i].e)
                hear(&g, &g.post[i]);
        show(&g);
    }
    for (int i = 0; i < g.n_posts; i++)
        leave_post(&g.post[i]);
    if (b->queued) /* cut off: nobody waits for them */
        gdr_compile_queue_withdraw(b->session->queue, b);
    b->queued = 0;
    if (g.status == GDR_OK)
        order_twins(b);
    return g.status;
}
