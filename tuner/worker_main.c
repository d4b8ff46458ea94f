/*
 * worker_main.c - inside the worker: reads a request, obeys, answers. Trusts
 * the tuner, not the kernels: it promises nothing but to be killable, and to
 * show signs of life between launches.
 */
#include "worker.h"
#include "../runtime/backend.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

typedef struct child {
    gdr_channel channel;
    const gdr_target *target;
    void *dev;
    gdr_recipe *recipe; /* [GDR_WORKER_RECIPES] */
    gdr_workload *work;
    int at;       /* next set of the ring */
    int64_t walk; /* where the roofline goes on */
    char msg[512];
    const char *outcome; /* of a failed request, NULL: "launch" */
    int poisoned;        /* the device */
} child;

static void say(child *c, gdr_request type, gdr_packet *body)
{
    /* The tuner always reads; if it does not, it is gone. */
    if (gdr_channel_send(&c->channel, type, body, 60) != GDR_OK)
        _exit(3);
    gdr_packet_free(body);
}

static void say_alive(void *ctx, const char *doing)
{
    gdr_packet body = {0};

    gdr_packet_put_text(&body, doing);
    say(ctx, GDR_SAY_ALIVE, &body);
}

static void say_filling(void *ctx)
{
    say_alive(ctx, "filling the workload");
}

__attribute__((format(printf, 3, 4))) static gdr_status
fail(child *c, gdr_status st, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(c->msg, sizeof c->msg, format, args);
    va_end(args);
    return st;
}

/* ---- requests: each reads its body and fills the answer ---- */

static gdr_status obey_open(child *c, gdr_packet *in, gdr_packet *out)
{
    const char *device = gdr_packet_get_text(in);
    gdr_device_options o = {.size = sizeof o};

    (void)out;
    o.threads = (int32_t)gdr_packet_get_int(in);
    c->recipe = gdr_line_alloc(GDR_WORKER_RECIPES, sizeof *c->recipe);
    if (!c->recipe)
        return fail(c, GDR_ERR_NO_MEMORY, "out of memory");
    return gdr_target_open(device, &o, &c->target, &c->dev, c->msg,
                           sizeof c->msg);
}

static void get_step(gdr_packet *in, gdr_step_text *t)
{
    t->entry = gdr_packet_get_text(in);
    t->grid_x = gdr_packet_get_text(in);
    t->grid_y = gdr_packet_get_text(in);
    t->grid_z = gdr_packet_get_text(in);
    t->block = gdr_packet_get_text(in);
    t->smem = gdr_packet_get_text(in);
    t->workspace = gdr_packet_get_text(in);
    t->pdl = gdr_packet_get_text(in);
}

/* The recipe that a request names; NULL when the number is out of range. */
static gdr_recipe *named(child *c, gdr_packet *in)
{
    int64_t id = gdr_packet_get_int(in);

    return id >= 0 && id < GDR_WORKER_RECIPES ? &c->recipe[id] : NULL;
}

static gdr_status obey_load(child *c, gdr_packet *in, gdr_packet *out)
{
    gdr_recipe *r = named(c, in);
    gdr_status st = GDR_OK;
    size_t bytes;
    const void *s = gdr_packet_get_bytes(in, &bytes);
    int64_t n = gdr_packet_get_int(in);

    (void)out;
    if (!r || !s || bytes != sizeof r->s)
        return fail(c, GDR_ERR_INTERNAL, "a load request is damaged");
    gdr_recipe_unload(r); /* what stood there */
    memset(r, 0, sizeof *r);
    memcpy(&r->s, s, bytes);
    r->backend = c->target->backend;
    r->dev = c->dev;
    r->sms = c->target->backend->info(c->dev)->sms;
    say_alive(c, "loading the code");
    for (int64_t i = 0; i < n && st == GDR_OK; i++) {
        gdr_step_text text;
        const void *code;
        get_step(in, &text);
        code = gdr_packet_get_bytes(in, &bytes);
        if (in->bad)
            return fail(c, GDR_ERR_INTERNAL, "a load request is damaged");
        st = gdr_recipe_add_step(r, &text, code, bytes, c->msg, sizeof c->msg);
    }
    return st;
}

/* The device's own words, where it has any. */
static gdr_status fail_launch(child *c, gdr_status st, const char *what)
{
    char note[sizeof c->msg] = "";

    if (c->target->explain)
        c->poisoned =
            c->target->explain(c->dev, &c->outcome, note, sizeof note);
    return fail(c, st, "%s: %s", what, note[0] ? note : gdr_strerror(st));
}

static gdr_status obey_verify(child *c, gdr_packet *in, gdr_packet *out)
{
    gdr_recipe *r = named(c, in);
    gdr_verify_options o = {.progress = say_alive, .ctx = c};
    gdr_verdict v = {0};
    gdr_status st;
    size_t bytes;

    o.seed = (uint64_t)gdr_packet_get_int(in);
    o.extents = gdr_packet_get_bytes(in, &bytes);
    o.n_extents = (int)(bytes / sizeof *o.extents);
    if (!r || in->bad)
        return fail(c, GDR_ERR_INTERNAL, "a verify request is damaged");
    st = gdr_verify(c->target, r, &o, &v);
    if (st != GDR_OK)
        return fail_launch(c, st, "the judge failed");
    gdr_packet_put_text(out, v.outcome);
    gdr_packet_put_real(out, v.error_o);
    gdr_packet_put_real(out, v.error_s);
    gdr_packet_put_int(out, v.cases);
    gdr_packet_put_text(out, v.note);
    gdr_packet_put_int(out, v.poisoned);
    return GDR_OK;
}

static gdr_status obey_workload(child *c, gdr_packet *in, gdr_packet *out)
{
    size_t bytes;
    const gdr_problem *p = gdr_packet_get_bytes(in, &bytes);
    gdr_workload_options o = {.tick = say_filling, .ctx = c};
    gdr_problem problem;
    gdr_status st;

    (void)out;
    o.cold_bytes = gdr_packet_get_int(in);
    o.most_bytes = gdr_packet_get_int(in);
    o.seed = (uint64_t)gdr_packet_get_int(in);
    if (in->bad || bytes != sizeof problem)
        return fail(c, GDR_ERR_INTERNAL, "a workload request is damaged");
    memcpy(&problem, p, sizeof problem);
    say_filling(c);
    gdr_workload_close(c->work);
    c->work = NULL;
    c->at = 0;
    c->walk = 0;
    st = gdr_workload_open(c->target, c->dev, &problem, &o, &c->work);
    return st == GDR_OK
               ? st
               : fail(c, st, "making the workload: %s", gdr_strerror(st));
}

/* A clock of the target. */
typedef gdr_status (*clock_fn)(const gdr_recipe *r, const gdr_args *ring,
                               int n_ring, int *at, int64_t launches,
                               double *ns);

static gdr_status take_time(child *c, clock_fn clock, gdr_packet *in,
                            gdr_packet *out)
{
    gdr_recipe *r = named(c, in);
    int64_t launches = gdr_packet_get_int(in), workspace;
    double ns = 0;
    gdr_status st;

    if (!r || !r->n_steps || !c->work || !clock || in->bad || launches < 1)
        return fail(c, GDR_ERR_INTERNAL, "a sample request is damaged");
    workspace = gdr_recipe_workspace(r, &c->work->problem.x);
    if (workspace < 0)
        return fail(c, GDR_ERR_LAUNCH, "workspace overflows");
    st = gdr_workload_reserve(c->work, workspace);
    if (st == GDR_OK)
        st = clock(r, c->work->set, c->work->n_sets, &c->at, launches, &ns);
    if (st != GDR_OK)
        return fail_launch(c, st, "launch");
    gdr_packet_put_real(out, ns);
    return GDR_OK;
}

static gdr_status obey_sample(child *c, gdr_packet *in, gdr_packet *out)
{
    return take_time(c, c->target->time, in, out);
}

static gdr_status obey_eager(child *c, gdr_packet *in, gdr_packet *out)
{
    return take_time(c, c->target->time_eager, in, out);
}

static gdr_status obey_roofline(child *c, gdr_packet *in, gdr_packet *out)
{
    gdr_workload *w = c->work;
    double ns = 0;
    gdr_status st;

    (void)in;
    if (!w)
        return fail(c, GDR_ERR_INTERNAL, "no workload");
    st =
        c->target->roofline(c->dev, w->states, (size_t)(w->between * w->n_sets),
                            (size_t)w->size.rewrite, &c->walk, &ns);
    if (st != GDR_OK)
        return fail_launch(c, st, "roofline");
    gdr_packet_put_real(out, ns);
    return GDR_OK;
}

static const struct {
    gdr_request type;
    gdr_status (*obey)(child *c, gdr_packet *in, gdr_packet *out);
} requests[] = {
    {GDR_ASK_OPEN, obey_open},     {GDR_ASK_LOAD, obey_load},
    {GDR_ASK_VERIFY, obey_verify}, {GDR_ASK_WORKLOAD, obey_workload},
    {GDR_ASK_SAMPLE, obey_sample}, {GDR_ASK_ROOFLINE, obey_roofline},
    {GDR_ASK_EAGER, obey_eager},
};

static void answer(child *c, uint32_t type, gdr_packet *in)
{
    gdr_status st = GDR_ERR_INTERNAL;
    gdr_packet out = {0};

    c->msg[0] = 0;
    c->outcome = NULL;
    c->poisoned = 0;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        if (requests[i].type == type)
            st = requests[i].obey(c, in, &out);
    if (st == GDR_OK) {
        say(c, GDR_SAY_DONE, &out);
        return;
    }
    gdr_packet_free(&out);
    gdr_packet_put_int(&out, st);
    gdr_packet_put_text(&out, c->msg[0] ? c->msg : gdr_strerror(st));
    gdr_packet_put_text(&out, c->outcome ? c->outcome : "launch");
    gdr_packet_put_int(&out, c->poisoned);
    say(c, GDR_SAY_FAILED, &out);
}

/* Dies with the tuner, dumps no core, and lets signals kill it even when a
 * sanitizer has handlers of its own: the signal is the outcome. */
static void prepare(long parent)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(3);
}

int gdr_worker_asked(int argc, char **argv)
{
    return argc == 3 && !strcmp(argv[1], "--worker") &&
           fcntl(GDR_WORKER_FD, F_GETFD) >= 0;
}

int gdr_worker_main(int argc, char **argv)
{
    child c = {0};
    gdr_packet in = {0};
    uint32_t type;
    gdr_status st;

    prepare(argc > 2 ? strtol(argv[2], NULL, 10) : 0);
    gdr_channel_init(&c.channel, GDR_WORKER_FD);
    for (;;) {
        st = gdr_channel_receive(&c.channel, 3600, &type, &in);
        if (st == GDR_OK)
            answer(&c, type, &in);
        else if (st != GDR_ERR_BUSY)
            break;
    }
    /* No tidying: the tuner is gone, and loaded code may hold threads. */
    _exit(0);
}
