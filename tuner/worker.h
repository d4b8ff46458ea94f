/*
 * worker.h - the child that runs untrusted code, seen from the tuner. A worker
 * is this same program started with a hidden argument, in a process group of
 * its own, speaking frames over one socket. Its death is an answer, not an
 * error of the tuner.
 *
 * Life cycle: open, one request after another (ask, then answer until it is
 * not GDR_ERR_BUSY), close (kills, reaps; NULL is harmless). One thread.
 *
 * A program that opens workers must call gdr_worker_main first thing in its
 * main when gdr_worker_asked says so.
 */
#ifndef GDR_WORKER_H
#define GDR_WORKER_H

#include "channel.h"
#include "verify.h"
#include "workload.h"

typedef struct gdr_worker gdr_worker;

typedef struct gdr_worker_options {
    const char *device; /* "cpu", "cuda:0" */
    int threads;        /* 0: what the device takes by itself */
    double deadline_s;  /* silence after which it is killed: the least */
    int loud;           /* keeps stderr */
} gdr_worker_options;

/* Starts the child; its first answer says whether the device opened.
 * GDR_ERR_IO with msg when it cannot be started. */
gdr_status gdr_worker_open(const gdr_worker_options *o, gdr_worker **out,
                           char *msg, size_t n);
void gdr_worker_close(gdr_worker *w);

/* Readable when an answer may be there: for poll. */
int gdr_worker_fd(const gdr_worker *w);
/* When it will be killed if it stays silent, on gdr_now's clock. */
double gdr_worker_deadline(const gdr_worker *w);

/* One variant's code. */
typedef struct gdr_worker_code {
    int n_steps;
    gdr_step_text text[GDR_RECIPE_STEPS];
    const gdr_image *image[GDR_RECIPE_STEPS];
} gdr_worker_code;

/* Requests. Each returns GDR_OK when it was sent; the worker may be dead
 * already: then the answer says so. A load replaces what has its number. */
gdr_status gdr_worker_load(gdr_worker *w, int id, const gdr_static *s,
                           const gdr_worker_code *code);
gdr_status gdr_worker_verify(gdr_worker *w, int id, uint64_t seed,
                             const gdr_extents *x, int n_x);
gdr_status gdr_worker_workload(gdr_worker *w, const gdr_problem *p,
                               int64_t cold_bytes, int64_t most_bytes,
                               uint64_t seed);
/* expected_s: how long it should take; the deadline follows from it. */
gdr_status gdr_worker_sample(gdr_worker *w, int id, int64_t launches,
                             double expected_s);
/* The same, launched one by one where a sample replays a graph. */
gdr_status gdr_worker_eager(gdr_worker *w, int id, int64_t launches,
                            double expected_s);
gdr_status gdr_worker_roofline(gdr_worker *w, double expected_s);

/* What came of a request. */
typedef struct gdr_answer {
    gdr_verdict verdict; /* verify */
    double ns;           /* sample, eager, roofline */
    const char *outcome; /* of a failure: "crash" "timeout" "launch" "race" */
    char note[768];      /* of a failure: signal and where, or the message */
    int outside;         /* killed, not by us: no word about the variant */
} gdr_answer;

/*
 * Waits up to wait_s for the answer of the last request. GDR_OK: it is there;
 * GDR_ERR_BUSY: not yet (or a signal came); GDR_ERR_LAUNCH: the worker crashed
 * or hung, or its device was poisoned, and it is dead now, outcome and note say
 * how; any other: the request failed, the worker lives.
 */
gdr_status gdr_worker_answer(gdr_worker *w, double wait_s, gdr_answer *out);

/* Was this program started as a worker? Then main must return gdr_worker_main.
 */
int gdr_worker_asked(int argc, char **argv);
int gdr_worker_main(int argc, char **argv);

/* ---- what both ends of the socket know ---- */

enum { GDR_WORKER_FD = 3, GDR_WORKER_RECIPES = 4096 };

typedef enum gdr_request {
    GDR_ASK_OPEN = 1,
    GDR_ASK_LOAD,
    GDR_ASK_VERIFY,
    GDR_ASK_WORKLOAD,
    GDR_ASK_SAMPLE,
    GDR_ASK_ROOFLINE,
    GDR_ASK_EAGER,
    GDR_SAY_ALIVE = 100, /* text: what it is doing; any number, then one of */
    GDR_SAY_DONE,        /* what the request asked for */
    GDR_SAY_FAILED       /* status, message, outcome, poisoned */
} gdr_request;

#endif
