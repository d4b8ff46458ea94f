/*
 * cards.h - several devices in one command: "0,1", "all". Each is tuned by a
 * process of its own, since a driver does not survive a fork and one card's
 * failure is not another's. Cards that are the same share the problems, cards
 * that differ each do all; one problem's variants never meet on two cards.
 *
 * Life cycle: find, run. One thread. A program that does this must call
 * gdr_cards_probe_main first thing in its main when gdr_cards_probe_asked says
 * so.
 */
#ifndef GDR_CARDS_H
#define GDR_CARDS_H

#include "gdr.h"

#include <signal.h>
#include <stdio.h>

enum { GDR_CARDS = 64 };

typedef struct gdr_card {
    char name[64];         /* "cuda:0" */
    char fingerprint[512]; /* equal: the same */
    int share, shares;     /* its part of the problems: 0 of 1 is all */
} gdr_card;

typedef struct gdr_cards {
    gdr_card card[GDR_CARDS];
    int n;
} gdr_cards;

/* Does --device name more than one? */
int gdr_cards_several(const char *device);

/* The names of a list; "3" is "cuda:3". GDR_ERR_ARG: one is empty, too long, or
 * there twice. */
gdr_status gdr_cards_read(const char *list, gdr_cards *out, char *msg,
                          size_t n);

/* Sets share and shares by the fingerprints. */
void gdr_cards_share(gdr_cards *c);

/* All of the above, asking each device, in a process of its own, who it is;
 * "all" is every card from 0 on. GDR_ERR_NO_DEVICE with the device's words. */
gdr_status gdr_cards_find(const char *device, gdr_cards *out, char *msg,
                          size_t n);

typedef struct gdr_cards_options {
    int argc; /* the command line: of each process with its own --device */
    char **argv;
    FILE *out, *err; /* get their lines, each behind the device's name */
    int jobs;        /* of each; 0: as the command line says */
    int json;        /* out gets the lines as they are: they name the device */
    const volatile sig_atomic_t *stop; /* set: all are interrupted */
} gdr_cards_options;

/* Runs all and waits. *code: the worst exit code: 2, then 130, 1, 0. */
gdr_status gdr_cards_run(const gdr_cards *c, const gdr_cards_options *o,
                         int *code, char *msg, size_t n);

/* In a process of gdr_cards_run: ends it, as by ^C, when its starter is gone.
 */
void gdr_cards_follow(void);

int gdr_cards_probe_asked(int argc, char **argv);
int gdr_cards_probe_main(char **argv);

#endif
