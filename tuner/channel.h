/*
 * channel.h - framed messages between the tuner and a worker, over one local
 * socket. What arrives is not trusted: a worker runs generated code that may
 * have overwritten anything, so lengths are bounded and reads never run over.
 */
#ifndef GDR_CHANNEL_H
#define GDR_CHANNEL_H

#include "gdr.h"

/* A message body, written then read front to back. Start from {0}. A failed
 * allocation or a read past the end sets bad, which sticks; test it once at
 * the end. */
typedef struct gdr_packet {
    uint8_t *data; /* malloc'd */
    size_t bytes, room;
    size_t at; /* next byte to read */
    int bad;
} gdr_packet;

void gdr_packet_free(gdr_packet *p);
void gdr_packet_put_int(gdr_packet *p, int64_t x);
void gdr_packet_put_real(gdr_packet *p, double x);
void gdr_packet_put_bytes(gdr_packet *p, const void *data, size_t bytes);
void gdr_packet_put_text(gdr_packet *p, const char *text); /* NULL: "" */

int64_t gdr_packet_get_int(gdr_packet *p);
double gdr_packet_get_real(gdr_packet *p);
/* Points into the packet; NULL (and bad) when the length does not fit. */
const void *gdr_packet_get_bytes(gdr_packet *p, size_t *bytes);
const char *gdr_packet_get_text(gdr_packet *p); /* "" when bad */

/* One end. Owns the descriptor, which is made non-blocking. */
typedef struct gdr_channel {
    int fd;
    uint8_t *pending; /* bytes that arrived and are not yet a whole frame */
    size_t bytes, room;
} gdr_channel;

void gdr_channel_init(gdr_channel *c, int fd);
void gdr_channel_close(gdr_channel *c);

/* Sends one frame; body may be NULL. GDR_ERR_IO when the other end is gone,
 * GDR_ERR_BUSY when it does not read for limit_s. */
gdr_status gdr_channel_send(gdr_channel *c, uint32_t type,
                            const gdr_packet *body, double limit_s);

/* Next frame; its body replaces *body. GDR_ERR_BUSY: none within wait_s or a
 * signal came; GDR_ERR_NOT_FOUND: the other end closed; GDR_ERR_FORMAT: not a
 * frame. */
gdr_status gdr_channel_receive(gdr_channel *c, double wait_s, uint32_t *type,
                               gdr_packet *body);

/* CLOCK_MONOTONIC in seconds. */
double gdr_now(void);

#endif
