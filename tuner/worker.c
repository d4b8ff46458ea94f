/*
 * worker.c - starts, asks, watches and kills a worker. Invariant: every request
 * is answered in bounded time, because a silent worker is killed.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* No request may stay silent for longer, whatever was predicted; but for a
 * device whose least deadline is longer. */
static const double longest_silence_s = 30;
/* A worker that does not read for this long does not live. */
static const double send_limit_s = 10;

struct gdr_worker {
    pid_t pid; /* 0: reaped */
    gdr_channel channel;
    gdr_packet body;
    double least_s;   /* shortest deadline */
    double silence_s; /* how long it may stay silent in this request */
    double last_s;    /* when it was last heard */
    gdr_request asked;
    char doing[128];
};

/* ---- starting ---- */

static int spawn_child(int fd, int loud, pid_t *pid)
{
    char parent[24];
    char *argv[] = {(char *)"gdr-tune", (char *)"--worker", parent, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int error;

    snprintf(parent, sizeof parent, "%ld", (long)getpid());
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    if (!loud)
        posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&files, fd, GDR_WORKER_FD);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP |
                                        POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    error = posix_spawn(pid, "/proc/self/exe", &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

/* A socket pair away from the numbers that the child uses. */
static int socket_pair(int pair[2])
{
    int low[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, low))
        return -1;
    for (int i = 0; i < 2; i++) {
        pair[i] = fcntl(low[i], F_DUPFD_CLOEXEC, GDR_WORKER_FD + 1);
        close(low[i]);
    }
    if (pair[0] >= 0 && pair[1] >= 0)
        return 0;
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
    return -1;
}

static gdr_status ask(gdr_worker *w, gdr_request type, gdr_packet *body,
                      double expected_s)
{
    double silence_s = 20 * expected_s;

    if (silence_s > longest_silence_s)
        silence_s = longest_silence_s;
    w->silence_s = silence_s > w->least_s ? silence_s : w->least_s;
    w->asked = type;
    w->doing[0] = 0;
    w->last_s = gdr_now();
    /* A dead reader is found by answer, with the reason of its death. */
    if (gdr_channel_send(&w->channel, type, body, send_limit_s) ==
        GDR_ERR_NO_MEMORY) {
        gdr_packet_free(body);
        return GDR_ERR_NO_MEMORY;
    }
    gdr_packet_free(body);
    return GDR_OK;
}

gdr_status gdr_worker_open(const gdr_worker_options *o, gdr_worker **out,
                           char *msg, size_t n)
{
    gdr_worker *w = calloc(1, sizeof *w);
    gdr_packet body = {0};
    int pair[2], error;

    *out = NULL;
    if (!w)
        return GDR_ERR_NO_MEMORY;
    if (socket_pair(pair)) {
        snprintf(msg, n, "cannot start a worker: socketpair: %s",
                 strerror(errno));
        free(w);
        return GDR_ERR_IO;
    }
    error = spawn_child(pair[1], o->loud, &w->pid);
    close(pair[1]);
    gdr_channel_init(&w->channel, pair[0]);
    w->least_s = o->deadline_s > 0 ? o->deadline_s : 2;
    if (error) {
        snprintf(msg, n, "cannot start a worker: %s", strerror(error));
        w->pid = 0;
        gdr_worker_close(w);
        return GDR_ERR_IO;
    }
    gdr_packet_put_text(&body, o->device);
    gdr_packet_put_int(&body, o->threads);
    *out = w;
    return ask(w, GDR_ASK_OPEN, &body, 0);
}

/* ---- ending ---- */

/* Kills the whole group and collects the status. */
static int end_child(gdr_worker *w)
{
    int status = 0;

    if (!w->pid)
        return 0;
    kill(-w->pid, SIGKILL);
    kill(w->pid, SIGKILL);
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR)
        ;
    w->pid = 0;
    return status;
}

void gdr_worker_close(gdr_worker *w)
{
    if (!w)
        return;
    end_child(w);
    gdr_channel_close(&w->channel);
    gdr_packet_free(&w->body);
    free(w);
}

int gdr_worker_fd(const gdr_worker *w)
{
    return w->channel.fd;
}

double gdr_worker_deadline(const gdr_worker *w)
{
    return w->last_s + w->silence_s;
}

/* ---- requests ---- */

static void put_step(gdr_packet *p, const gdr_step_text *t,
                     const gdr_image *image)
{
    gdr_packet_put_text(p, t->entry);
    gdr_packet_put_text(p, t->grid_x);
    gdr_packet_put_text(p, t->grid_y);
    gdr_packet_put_text(p, t->grid_z);
    gdr_packet_put_text(p, t->block);
    gdr_packet_put_text(p, t->smem);
    gdr_packet_put_text(p, t->workspace);
    gdr_packet_put_text(p, t->pdl ? t->pdl : "0");
    gdr_packet_put_bytes(p, image->code, image->bytes);
}

gdr_status gdr_worker_load(gdr_worker *w, int id, const gdr_static *s,
                           const gdr_worker_code *code)
{
    gdr_packet body = {0};

    gdr_packet_put_int(&body, id);
    gdr_packet_put_bytes(&body, s, sizeof *s);
    gdr_packet_put_int(&body, code->n_steps);
    for (int i = 0; i < code->n_steps; i++)
        put_step(&body, &code->text[i], code->image[i]);
    return ask(w, GDR_ASK_LOAD, &body, 0);
}

gdr_status gdr_worker_verify(gdr_worker *w, int id, uint64_t seed,
                             const gdr_extents *x, int n_x)
{
    gdr_packet body = {0};

    gdr_packet_put_int(&body, id);
    gdr_packet_put_int(&body, (int64_t)seed);
    gdr_packet_put_bytes(&body, x, sizeof *x * (size_t)n_x);
    return ask(w, GDR_ASK_VERIFY, &body, 0);
}

gdr_status gdr_worker_workload(gdr_worker *w, const gdr_problem *p,
                               int64_t cold_bytes, int64_t most_bytes,
                               uint64_t seed)
{
    gdr_packet body = {0};

    gdr_packet_put_bytes(&body, p, sizeof *p);
    gdr_packet_put_int(&body, cold_bytes);
    gdr_packet_put_int(&body, most_bytes);
    gdr_packet_put_int(&body, (int64_t)seed);
    return ask(w, GDR_ASK_WORKLOAD, &body, 0);
}

static gdr_status ask_time(gdr_worker *w, gdr_request type, int id,
                           int64_t launches, double expected_s)
{
    gdr_packet body = {0};

    gdr_packet_put_int(&body, id);
    gdr_packet_put_int(&body, launches);
    return ask(w, type, &body, expected_s);
}

gdr_status gdr_worker_sample(gdr_worker *w, int id, int64_t launches,
                             double expected_s)
{
    return ask_time(w, GDR_ASK_SAMPLE, id, launches, expected_s);
}

gdr_status gdr_worker_eager(gdr_worker *w, int id, int64_t launches,
                            double expected_s)
{
    return ask_time(w, GDR_ASK_EAGER, id, launches, expected_s);
}

gdr_status gdr_worker_roofline(gdr_worker *w, double expected_s)
{
    gdr_packet body = {0};

    return ask(w, GDR_ASK_ROOFLINE, &body, expected_s);
}

/* ---- answers ---- */

static const char *signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {{SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},
                 {SIGFPE, "SIGFPE"},   {SIGILL, "SIGILL"},
                 {SIGABRT, "SIGABRT"}, {SIGKILL, "SIGKILL"},
                 {SIGTRAP, "SIGTRAP"}, {SIGSYS, "SIGSYS"},
                 {SIGXCPU, "SIGXCPU"}, {SIGTERM, "SIGTERM"}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == number)
            return names[i].name;
    return "a signal";
}

static void describe_death(const gdr_worker *w, int status, gdr_answer *out)
{
    const char *where = w->doing[0] ? w->doing : "loading";

    out->outcome = "crash";
    if (WIFSIGNALED(status)) {
        int number = WTERMSIG(status);
        out->outside = number == SIGKILL || number == SIGTERM;
        snprintf(out->note, sizeof out->note,
                 "killed by %s (signal %d) in %s%s", signal_name(number),
                 number, where, number == SIGKILL ? "; out of memory?" : "");
    } else {
        snprintf(out->note, sizeof out->note,
                 "worker ended with exit status %d in %s", WEXITSTATUS(status),
                 where);
    }
}

/* The socket closed, or something that is no frame came. A wild kernel may have
 * done either while the process lives on. */
static gdr_status bury(gdr_worker *w, gdr_answer *out)
{
    int status = 0;
    double until_s = gdr_now() + 1;

    while (w->pid && waitpid(w->pid, &status, WNOHANG) == 0) {
        if (gdr_now() > until_s) {
            end_child(w);
            out->outcome = "crash";
            snprintf(out->note, sizeof out->note,
                     "the worker's socket was damaged in %s", w->doing);
            return GDR_ERR_LAUNCH;
        }
        usleep(1000);
    }
    w->pid = 0;
    describe_death(w, status, out);
    return GDR_ERR_LAUNCH;
}

static gdr_status time_out(gdr_worker *w, gdr_answer *out)
{
    int status = end_child(w);

    /* It had died, and a child of its own held the socket. */
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        describe_death(w, status, out);
        return GDR_ERR_LAUNCH;
    }
    out->outcome = "timeout";
    snprintf(out->note, sizeof out->note, "silent for %.1f s in %s, killed",
             w->silence_s, w->doing[0] ? w->doing : "loading");
    return GDR_ERR_LAUNCH;
}

static const char *known_outcome(const char *text)
{
    static const char *const known[] = {"ok", "wrong", "race", "crash",
                                        "timeout"};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(text, known[i]))
            return known[i];
    return "launch";
}

/* A sticky error of the device: the process is as good as dead. */
static gdr_status put_down(gdr_worker *w, const char *note, gdr_answer *out)
{
    end_child(w);
    out->outcome = "crash";
    snprintf(out->note, sizeof out->note, "%s", note);
    return GDR_ERR_LAUNCH;
}

static gdr_status read_done(gdr_worker *w, gdr_answer *out)
{
    gdr_packet *p = &w->body;
    gdr_verdict *v = &out->verdict;

    if (w->asked == GDR_ASK_VERIFY) {
        v->outcome = known_outcome(gdr_packet_get_text(p));
        v->error_o = gdr_packet_get_real(p);
        v->error_s = gdr_packet_get_real(p);
        v->cases = gdr_packet_get_int(p);
        snprintf(v->note, sizeof v->note, "%s", gdr_packet_get_text(p));
        v->poisoned = gdr_packet_get_int(p) != 0;
    } else if (w->asked == GDR_ASK_SAMPLE || w->asked == GDR_ASK_EAGER ||
               w->asked == GDR_ASK_ROOFLINE) {
        out->ns = gdr_packet_get_real(p);
    }
    if (p->bad)
        return bury(w, out);
    return v->poisoned ? put_down(w, v->note, out) : GDR_OK;
}

static gdr_status read_failed(gdr_worker *w, gdr_answer *out)
{
    int64_t st = gdr_packet_get_int(&w->body);
    int poisoned;

    snprintf(out->note, sizeof out->note, "%s", gdr_packet_get_text(&w->body));
    out->outcome = known_outcome(gdr_packet_get_text(&w->body));
    poisoned = gdr_packet_get_int(&w->body) != 0;
    if (w->body.bad || st <= GDR_OK || st > GDR_ERR_INTERNAL)
        return bury(w, out);
    if (poisoned) {
        out->outcome = "crash";
        end_child(w);
        return GDR_ERR_LAUNCH;
    }
    /* LAUNCH is kept for the dead. */
    return st == GDR_ERR_LAUNCH || st == GDR_ERR_BUSY ? GDR_ERR_LOAD
                                                      : (gdr_status)st;
}

/* One frame. BUSY: it was only a sign of life. */
static gdr_status read_frame(gdr_worker *w, uint32_t type, gdr_answer *out)
{
    w->last_s = gdr_now();
    if (type == GDR_SAY_ALIVE) {
        snprintf(w->doing, sizeof w->doing, "%s",
                 gdr_packet_get_text(&w->body));
        return GDR_ERR_BUSY;
    }
    if (type == GDR_SAY_FAILED)
        return read_failed(w, out);
    return type == GDR_SAY_DONE ? read_done(w, out) : bury(w, out);
}

gdr_status gdr_worker_answer(gdr_worker *w, double wait_s, gdr_answer *out)
{
    double until_s = gdr_now() + wait_s;

    memset(out, 0, sizeof *out);
    out->outcome = "ok";
    if (!w->pid)
        return GDR_ERR_LAUNCH;
    for (;;) {
        double now_s = gdr_now(), end_s = gdr_worker_deadline(w);
        double left_s = (until_s < end_s ? until_s : end_s) - now_s;
        uint32_t type;
        gdr_status st = gdr_channel_receive(
            &w->channel, left_s > 0 ? left_s : 0, &type, &w->body);

        if (st == GDR_OK)
            st = read_frame(w, type, out);
        else if (st == GDR_ERR_BUSY)
            st = gdr_now() >= gdr_worker_deadline(w) ? time_out(w, out)
                                                     : GDR_ERR_BUSY;
        else if (st != GDR_ERR_NO_MEMORY)
            st = bury(w, out);
        if (st != GDR_ERR_BUSY || gdr_now() >= until_s)
            return st;
    }
}
