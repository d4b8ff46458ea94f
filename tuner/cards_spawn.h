/*
 * cards_spawn.h - this program started again, both its outputs on pipes. In a
 * process group of its own: ^C reaches it through who started it.
 */
#ifndef GDR_CARDS_SPAWN_H
#define GDR_CARDS_SPAWN_H

#include <sys/types.h>

typedef struct gdr_child {
    pid_t pid;
    int out, err; /* to read, closed on exec; the caller's to close */
} gdr_child;

/* 0: it could not be started. argv as execv takes it. */
int gdr_child_start(char **argv, gdr_child *out);

#endif
