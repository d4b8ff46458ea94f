/*
 * batch.h - all variants of one static problem on their way to a race: made,
 * compiled, gated, each outcome stored as it comes. What an earlier run has
 * already judged under the same stamp is not judged again.
 *
 * Life cycle: open (expands everything, compiles nothing), compile, gate, any
 * contests, close.
 */
#ifndef GDR_BATCH_H
#define GDR_BATCH_H

#include "session.h"

typedef struct gdr_entrant {
    const gdr_candidate *c;
    struct gdr_batch *batch;
    char hash[GDR_HASH_TEXT];  /* of the source */
    char stamp[GDR_HASH_TEXT]; /* fresh stamp */
    char code_hash[GDR_HASH_TEXT];
    char *source[8]; /* NULL once compiled */
    gdr_compile_job *job[8];
    gdr_image image[8];
    int is_default; /* of the spec, for some size of work */
    int to_compile; /* steps still in the queue */
    int compiled;
    int judged;          /* outcome is final */
    int stored;          /* ... and from an earlier run */
    int twin;            /* entrant with the same code and geometry, or -1 */
    int timeouts;        /* of its gate: a busy machine is no proof */
    int alone;           /* failed in a used worker: wants one of its own */
    const char *outcome; /* static text */
    double error_o, error_s;
    char note[1024];   /* why it failed, also when that was stored */
    double last_ratio; /* in the last contest of the batch; 0: none */
    int saved;         /* its steps are in the database */
} gdr_entrant;

typedef struct gdr_batch {
    gdr_session *session;
    gdr_static s;
    char statics[GDR_PROBLEM_TEXT];
    gdr_space *space;
    int n; /* entrants; fewer than candidates where sources are equal */
    gdr_entrant *e;
    int *
        of_candidate; /* [n_candidates] entrant of a candidate; -1: not tried */
    int *order;       /* [n] defaults first, then at random */
    char stamp[GDR_HASH_TEXT]; /* of the whole space */
    int queued;                /* jobs not yet come back */
    int doubtful; /* what was stored is tried again, what is put away too */
} gdr_batch;

/* effort: how much of the space is tried: all of it, or what is nearest to the
 * defaults. */
gdr_status gdr_batch_open(gdr_session *s, const gdr_static *problem,
                          const char *effort, gdr_batch **out);
void gdr_batch_close(gdr_batch *b);

/* Queues whatever has to be compiled. */
gdr_status gdr_batch_compile(gdr_batch *b);

/* Compiles and gates until all are judged. end_s: no new ones after this time,
 * defaults excepted. x: extents to check too. GDR_ERR_BUSY: interrupted. */
gdr_status gdr_batch_gate(gdr_batch *b, double end_s, const gdr_extents *x,
                          int n_x);

/* Stores the defaults of the spec that passed. */
gdr_status gdr_batch_put_defaults(gdr_batch *b);

/* Puts the row of an entrant's source. */
gdr_status gdr_batch_put_variant(gdr_batch *b, const gdr_entrant *e);

/* Puts step i of an entrant with this code; the variant comes first. */
gdr_status gdr_batch_put_step(gdr_batch *b, const gdr_entrant *e, int i,
                              const gdr_image *image, const char *stamp);

/* Value of a launch term of an entrant for the smallest call; -1: none. */
int64_t gdr_entrant_term(const gdr_entrant *e, const char *term);

/* Puts variant and steps of an entrant, once. */
gdr_status gdr_batch_save(gdr_batch *b, gdr_entrant *e);

/* Has it been judged, and well? */
int gdr_entrant_ok(const gdr_entrant *e);

/* May it race? Passed, compiled, and not the same code as another. */
int gdr_entrant_fit(const gdr_entrant *e);

/* The entrant to measure against for this much work: the spec's default or,
 * when that is not fit, the fit default or entrant nearest to it. -1: none. */
int gdr_batch_default(const gdr_batch *b, int64_t work);

/* Stores an outcome of an entrant for a problem (static or full text). */
gdr_status gdr_batch_put_trial(gdr_batch *b, const gdr_entrant *e,
                               gdr_trial_row *row, const char *problem);

/* The commonest failure and one note of it, for a person. */
void gdr_batch_explain(const gdr_batch *b, char *text, size_t n);

/* What a compiled entrant's steps are, for a worker. */
void gdr_entrant_code(const gdr_entrant *e, gdr_worker_code *code);

#endif
