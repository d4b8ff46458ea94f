/*
 * cards_run.c - one process a card, their lines one after the other. What must
 * stay true: no line is mixed with another's, and none of the processes
 * outlives this call.
 */
#include "cards.h"
#include "cards_spawn.h"

#include "../runtime/status.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- starting ---- */

static void close_pipe(int pipe[2])
{
    for (int i = 0; i < 2; i++)
        if (pipe[i] >= 0)
            close(pipe[i]);
}

static int spawn(char **argv, const int out[2], const int err[2], pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int error;

    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    posix_spawn_file_actions_adddup2(&files, err[1], 2);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP |
                                        POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    error = posix_spawn(pid, "/proc/self/exe", &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return !error;
}

int gdr_child_start(char **argv, gdr_child *out)
{
    int to[2] = {-1, -1}, err[2] = {-1, -1};

    if (pipe2(to, O_CLOEXEC) || pipe2(err, O_CLOEXEC) ||
        !spawn(argv, to, err, &out->pid)) {
        close_pipe(to);
        close_pipe(err);
        return 0;
    }
    close(to[1]);
    close(err[1]);
    out->out = to[0];
    out->err = err[0];
    return 1;
}

void gdr_cards_follow(void)
{
    prctl(PR_SET_PDEATHSIG, SIGINT);
}

/* ---- lines ---- */

/* What a process wrote to one of its outputs and is not yet a line. */
typedef struct stream {
    int fd; /* -1: it ended */
    FILE *to;
    const char *name; /* before each line; NULL: nothing */
    size_t bytes;
    char text[16384];
} stream;

static void put_line(stream *s, size_t bytes)
{
    if (s->name)
        fprintf(s->to, "%s: ", s->name);
    fwrite(s->text, 1, bytes, s->to);
    if (!bytes || s->text[bytes - 1] != '\n')
        fputc('\n', s->to);
    fflush(s->to);
    s->bytes -= bytes;
    memmove(s->text, s->text + bytes, s->bytes);
}

static void put_lines(stream *s)
{
    char *end;

    while ((end = memchr(s->text, '\n', s->bytes)))
        put_line(s, (size_t)(end - s->text) + 1);
    if (s->bytes == sizeof s->text) /* longer than any that we write */
        put_line(s, s->bytes);
}

static void hear(stream *s)
{
    ssize_t got = read(s->fd, s->text + s->bytes, sizeof s->text - s->bytes);

    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got > 0) {
        s->bytes += (size_t)got;
        put_lines(s);
        return;
    }
    if (s->bytes)
        put_line(s, s->bytes);
    close(s->fd);
    s->fd = -1;
}

/* ---- all of them ---- */

typedef struct crew {
    const gdr_cards *cards;
    const gdr_cards_options *o;
    pid_t pid[GDR_CARDS];
    stream *stream; /* [2 * n] */
    int n;          /* started */
    int told;       /* they know of the interrupt */
} crew;

/* The same command with its own device, which is the last and so counts. */
static int start(crew *c, const gdr_card *card)
{
    const gdr_cards_options *o = c->o;
    char share[32], jobs[16];
    char **argv = calloc((size_t)o->argc + 7, sizeof *argv);
    gdr_child child;
    int at = o->argc, ok;

    if (!argv)
        return 0;
    memcpy(argv, o->argv, sizeof *argv * (size_t)o->argc);
    snprintf(share, sizeof share, "%d/%d", card->share, card->shares);
    argv[at++] = (char *)"--device";
    argv[at++] = (char *)card->name;
    argv[at++] = (char *)"--share";
    argv[at++] = share;
    if (o->jobs) {
        snprintf(jobs, sizeof jobs, "%d", o->jobs);
        argv[at++] = (char *)"--jobs";
        argv[at++] = jobs;
    }
    ok = gdr_child_start(argv, &child);
    free(argv);
    if (!ok)
        return 0;
    c->pid[c->n] = child.pid;
    c->stream[2 * c->n] = (stream){
        .fd = child.out, .to = o->out, .name = o->json ? NULL : card->name};
    c->stream[2 * c->n + 1] =
        (stream){.fd = child.err, .to = o->err, .name = card->name};
    c->n++;
    return 1;
}

static void tell_all(crew *c)
{
    for (int i = 0; i < c->n; i++)
        kill(c->pid[i], SIGINT);
    c->told = 1;
}

/* Until all outputs have ended. */
static void listen_all(crew *c)
{
    struct pollfd fd[2 * GDR_CARDS];

    for (;;) {
        int open = 0;
        if (c->o->stop && *c->o->stop && !c->told)
            tell_all(c);
        for (int i = 0; i < 2 * c->n; i++) {
            fd[i] = (struct pollfd){.fd = c->stream[i].fd, .events = POLLIN};
            open += c->stream[i].fd >= 0;
        }
        if (!open)
            return;
        if (poll(fd, 2 * (nfds_t)c->n, 200) <= 0)
            continue;
        for (int i = 0; i < 2 * c->n; i++)
            if (c->stream[i].fd >= 0 && fd[i].revents)
                hear(&c->stream[i]);
    }
}

static int worse(int a, int b)
{
    static const int order[] = {0, 1, 130, 2};
    int at[2] = {3, 3};

    for (int i = 0; i < 4; i++) {
        at[0] = order[i] == a ? i : at[0];
        at[1] = order[i] == b ? i : at[1];
    }
    return order[at[0] > at[1] ? at[0] : at[1]];
}

static int wait_all(crew *c)
{
    int code = 0;

    for (int i = 0; i < c->n; i++) {
        int status = 0;
        while (waitpid(c->pid[i], &status, 0) < 0 && errno == EINTR)
            ;
        if (WIFSIGNALED(status))
            fprintf(c->o->err, "%s: killed by signal %d\n",
                    c->cards->card[i].name, WTERMSIG(status));
        code = worse(code, WIFEXITED(status) ? WEXITSTATUS(status) : 2);
    }
    return code;
}

gdr_status gdr_cards_run(const gdr_cards *cards, const gdr_cards_options *o,
                         int *code, char *msg, size_t n)
{
    crew c = {.cards = cards, .o = o};
    gdr_status st = GDR_OK;

    *code = 2;
    c.stream = calloc((size_t)cards->n * 2, sizeof *c.stream);
    if (!c.stream)
        return gdr_fail(GDR_ERR_NO_MEMORY, msg, n, "out of memory");
    for (int i = 0; i < cards->n && st == GDR_OK; i++)
        if (!start(&c, &cards->card[i]))
            st = gdr_fail(GDR_ERR_IO, msg, n, "cannot start a process for %s",
                          cards->card[i].name);
    if (st != GDR_OK)
        tell_all(&c);
    listen_all(&c);
    *code = wait_all(&c);
    free(c.stream);
    return st;
}
