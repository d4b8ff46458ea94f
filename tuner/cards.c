/*
 * cards.c - which devices, and who does what. No device is opened in this
 * process: whoever opens one never hears the end of it.
 */
#include "cards.h"
#include "cards_spawn.h"

#include "../runtime/backend.h"
#include "../runtime/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int gdr_cards_several(const char *device)
{
    return !strcmp(device, "all") || strchr(device, ',') != NULL;
}

/* ---- names ---- */

static void write_name(const char *text, size_t bytes, gdr_card *out)
{
    int is_number = bytes > 0 && strspn(text, "0123456789") >= bytes;

    snprintf(out->name, sizeof out->name, "%s%.*s", is_number ? "cuda:" : "",
             (int)bytes, text);
}

static int is_there(const gdr_cards *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->card[i].name, name))
            return 1;
    return 0;
}

gdr_status gdr_cards_read(const char *list, gdr_cards *out, char *msg, size_t n)
{
    memset(out, 0, sizeof *out);
    for (const char *at = list;; at++) {
        size_t bytes = strcspn(at, ",");
        gdr_card *card = &out->card[out->n];
        if (out->n == GDR_CARDS)
            return gdr_fail(GDR_ERR_ARG, msg, n,
                            "--device '%s': more than %d devices", list,
                            GDR_CARDS);
        if (bytes == 0 || bytes >= sizeof card->name - 8)
            return gdr_fail(GDR_ERR_ARG, msg, n,
                            "--device '%s': a list is names with ',' between: "
                            "0,1",
                            list);
        write_name(at, bytes, card);
        if (is_there(out, card->name))
            return gdr_fail(GDR_ERR_ARG, msg, n,
                            "--device '%s': %s is there twice", list,
                            card->name);
        out->n++;
        at += bytes;
        if (!*at)
            return GDR_OK;
    }
}

/* ---- shares ---- */

void gdr_cards_share(gdr_cards *c)
{
    for (int i = 0; i < c->n; i++) {
        c->card[i].share = c->card[i].shares = 0;
        for (int k = 0; k < c->n; k++) {
            int same = !strcmp(c->card[i].fingerprint, c->card[k].fingerprint);
            c->card[i].share += same && k < i;
            c->card[i].shares += same;
        }
    }
}

/* ---- asking ---- */

int gdr_cards_probe_asked(int argc, char **argv)
{
    return argc == 3 && !strcmp(argv[1], "--probe");
}

/* The fingerprint on stdout, or why there is none on stderr. */
int gdr_cards_probe_main(char **argv)
{
    gdr_device_options o = {.size = sizeof o};
    const gdr_backend *backend;
    void *dev = NULL;
    char msg[1024] = "";

    if (gdr_backend_open(argv[2], &o, &backend, &dev, msg, sizeof msg) !=
        GDR_OK) {
        fprintf(stderr, "%s\n", msg);
        return 2;
    }
    printf("%s\n", backend->info(dev)->fingerprint);
    backend->close(dev);
    return fflush(stdout) ? 2 : 0;
}

/* All that comes, cut at n - 1 bytes and the first line. */
static void read_line(int fd, char *text, size_t n)
{
    char rest[256];
    size_t at = 0;

    for (;;) {
        int full = at == n - 1;
        ssize_t got =
            read(fd, full ? rest : text + at, full ? sizeof rest : n - 1 - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        at += full ? 0 : (size_t)got;
    }
    text[at] = 0;
    text[strcspn(text, "\n")] = 0;
}

static gdr_status probe(gdr_card *card, char *msg, size_t n)
{
    char *argv[] = {(char *)"gdr-tune", (char *)"--probe", card->name, NULL};
    gdr_child child;
    int status = 0;

    if (!gdr_child_start(argv, &child))
        return gdr_fail(GDR_ERR_IO, msg, n, "cannot start a process");
    read_line(child.out, card->fingerprint, sizeof card->fingerprint);
    read_line(child.err, msg, n);
    close(child.out);
    close(child.err);
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && card->fingerprint[0])
        return GDR_OK;
    if (!msg[0])
        gdr_fail(GDR_ERR_NO_DEVICE, msg, n, "%s: its driver crashed",
                 card->name);
    return GDR_ERR_NO_DEVICE;
}

static gdr_status find_all(gdr_cards *out, char *msg, size_t n)
{
    gdr_status st = GDR_OK;

    memset(out, 0, sizeof *out);
    while (out->n < GDR_CARDS && st == GDR_OK) {
        gdr_card *card = &out->card[out->n];
        snprintf(card->name, sizeof card->name, "cuda:%d", out->n);
        st = probe(card, msg, n);
        out->n += st == GDR_OK;
    }
    return out->n && st == GDR_ERR_NO_DEVICE ? GDR_OK : st;
}

gdr_status gdr_cards_find(const char *device, gdr_cards *out, char *msg,
                          size_t n)
{
    gdr_status st;

    if (!strcmp(device, "all")) {
        st = find_all(out, msg, n);
    } else {
        st = gdr_cards_read(device, out, msg, n);
        for (int i = 0; i < out->n && st == GDR_OK; i++)
            st = probe(&out->card[i], msg, n);
    }
    if (st == GDR_OK)
        gdr_cards_share(out);
    return st;
}
