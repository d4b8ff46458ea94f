/* channel.c - a frame is a magic, a type, a length and the body. */
#include "channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAGIC = 0x47445246 }; /* "FRDG" */

/* Larger than any image (64 MiB) with its texts. */
static const uint64_t longest_body = 80u << 20;

typedef struct frame_head {
    uint32_t magic, type;
    uint64_t bytes;
} frame_head;

double gdr_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- packets ---- */

void gdr_packet_free(gdr_packet *p)
{
    free(p->data);
    memset(p, 0, sizeof *p);
}

/* Makes room for bytes more; 0 and bad when there is no memory. */
static int reserve(gdr_packet *p, size_t bytes)
{
    size_t room = p->room ? p->room : 256;
    uint8_t *data;

    if (p->bad)
        return 0;
    while (room - p->bytes < bytes)
        room *= 2;
    if (room == p->room)
        return 1;
    data = realloc(p->data, room);
    if (!data) {
        p->bad = 1;
        return 0;
    }
    p->data = data;
    p->room = room;
    return 1;
}

static void put(gdr_packet *p, const void *data, size_t bytes)
{
    if (!bytes || !reserve(p, bytes))
        return;
    memcpy(p->data + p->bytes, data, bytes);
    p->bytes += bytes;
}

void gdr_packet_put_int(gdr_packet *p, int64_t x)
{
    put(p, &x, sizeof x);
}

void gdr_packet_put_real(gdr_packet *p, double x)
{
    put(p, &x, sizeof x);
}

void gdr_packet_put_bytes(gdr_packet *p, const void *data, size_t bytes)
{
    gdr_packet_put_int(p, (int64_t)bytes);
    put(p, data, bytes);
}

void gdr_packet_put_text(gdr_packet *p, const char *text)
{
    const char *t = text ? text : "";

    gdr_packet_put_bytes(p, t, strlen(t) + 1);
}

static void get(gdr_packet *p, void *out, size_t bytes)
{
    if (p->bad || p->bytes - p->at < bytes) {
        p->bad = 1;
        memset(out, 0, bytes);
        return;
    }
    memcpy(out, p->data + p->at, bytes);
    p->at += bytes;
}

int64_t gdr_packet_get_int(gdr_packet *p)
{
    int64_t x;

    get(p, &x, sizeof x);
    return x;
}

double gdr_packet_get_real(gdr_packet *p)
{
    double x;

    get(p, &x, sizeof x);
    return x;
}

const void *gdr_packet_get_bytes(gdr_packet *p, size_t *bytes)
{
    int64_t n = gdr_packet_get_int(p);
    const void *data;

    *bytes = 0;
    if (p->bad || n < 0 || (uint64_t)n > p->bytes - p->at) {
        p->bad = 1;
        return NULL;
    }
    data = p->data + p->at;
    p->at += (size_t)n;
    *bytes = (size_t)n;
    return data;
}

const char *gdr_packet_get_text(gdr_packet *p)
{
    size_t bytes;
    const char *text = gdr_packet_get_bytes(p, &bytes);

    if (!text || !bytes || text[bytes - 1]) {
        p->bad = 1;
        return "";
    }
    return text;
}

/* ---- channels ---- */

void gdr_channel_init(gdr_channel *c, int fd)
{
    memset(c, 0, sizeof *c);
    c->fd = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void gdr_channel_close(gdr_channel *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->pending);
    memset(c, 0, sizeof *c);
    c->fd = -1;
}

/* 1: ready; 0: the time is over, or a signal came. */
static int wait_for(int fd, short events, double until_s)
{
    struct pollfd p = {.fd = fd, .events = events};
    double left_s = until_s - gdr_now();
    int ms = left_s > 0 ? (int)(left_s * 1e3) + 1 : 0;

    return poll(&p, 1, ms) > 0;
}

/* MSG_NOSIGNAL: a worker that died must not kill the tuner by SIGPIPE. */
static gdr_status send_all(int fd, const void *data, size_t bytes,
                           double until_s)
{
    const uint8_t *at = data;

    while (bytes) {
        ssize_t n = send(fd, at, bytes, MSG_NOSIGNAL);
        if (n > 0) {
            at += n;
            bytes -= (size_t)n;
        } else if (errno != EAGAIN && errno != EINTR) {
            return GDR_ERR_IO;
        } else if (gdr_now() > until_s) {
            return GDR_ERR_BUSY;
        } else {
            wait_for(fd, POLLOUT, until_s);
        }
    }
    return GDR_OK;
}

gdr_status gdr_channel_send(gdr_channel *c, uint32_t type,
                            const gdr_packet *body, double limit_s)
{
    frame_head head = {MAGIC, type, body ? body->bytes : 0};
    double until_s = gdr_now() + limit_s;
    gdr_status st;

    if (body && body->bad)
        return GDR_ERR_NO_MEMORY;
    if (head.bytes > longest_body)
        return GDR_ERR_ARG;
    st = send_all(c->fd, &head, sizeof head, until_s);
    if (st == GDR_OK && head.bytes)
        st = send_all(c->fd, body->data, head.bytes, until_s);
    return st;
}

/* Takes the first whole frame out of the pending bytes. GDR_ERR_BUSY: none. */
static gdr_status take(gdr_channel *c, uint32_t *type, gdr_packet *body)
{
    frame_head head;
    size_t whole;

    if (c->bytes < sizeof head)
        return GDR_ERR_BUSY;
    memcpy(&head, c->pending, sizeof head);
    if (head.magic != MAGIC || head.bytes > longest_body)
        return GDR_ERR_FORMAT;
    whole = sizeof head + (size_t)head.bytes;
    if (c->bytes < whole)
        return GDR_ERR_BUSY;
    body->bytes = body->at = 0;
    body->bad = 0;
    put(body, c->pending + sizeof head, (size_t)head.bytes);
    c->bytes -= whole;
    memmove(c->pending, c->pending + whole, c->bytes);
    *type = head.type;
    return body->bad ? GDR_ERR_NO_MEMORY : GDR_OK;
}

/* Reads what is there. GDR_ERR_BUSY: nothing. */
static gdr_status fill(gdr_channel *c)
{
    ssize_t n;

    if (c->room - c->bytes < 4096) {
        size_t room = c->room ? 2 * c->room : 65536;
        uint8_t *data = realloc(c->pending, room);
        if (!data)
            return GDR_ERR_NO_MEMORY;
        c->pending = data;
        c->room = room;
    }
    n = recv(c->fd, c->pending + c->bytes, c->room - c->bytes, 0);
    if (n > 0)
        c->bytes += (size_t)n;
    if (n > 0)
        return GDR_OK;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return GDR_ERR_BUSY;
    return GDR_ERR_NOT_FOUND;
}

gdr_status gdr_channel_receive(gdr_channel *c, double wait_s, uint32_t *type,
                               gdr_packet *body)
{
    double until_s = gdr_now() + wait_s;

    for (;;) {
        gdr_status st = take(c, type, body);
        if (st != GDR_ERR_BUSY)
            return st;
        st = fill(c);
        if (st == GDR_OK)
            continue;
        if (st != GDR_ERR_BUSY)
            return st;
        if (!wait_for(c->fd, POLLIN, until_s))
            return GDR_ERR_BUSY;
    }
}
