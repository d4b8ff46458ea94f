/*
 * session.h - everything that is open during a run, and what is written into
 * each of its rows: device, compiler, protocol, stamps.
 */
#ifndef GDR_SESSION_H
#define GDR_SESSION_H

#include "../generator/generator.h"
#include "compile_queue.h"
#include "hash.h"
#include "nvml.h"
#include "tune.h"
#include "worker.h"

typedef struct gdr_session {
    const gdr_tune_options *o;
    gdr_generator *generator;
    gdr_store *store;         /* NULL in a dry run */
    gdr_compile_queue *queue; /* NULL until something is compiled */
    const gdr_target *target;
    char device_name[64]; /* what follows "kind:" */
    gdr_device_info info;
    gdr_nvml *nvml; /* NULL: no card, or nothing to ask */
    gdr_generator_device traits;
    char path[4096]; /* of the database */
    char compiler[1024];
    char protocol[64];
    int scripted; /* times come from a hash, not from a clock */
    uint64_t script_seed;
    int jobs;       /* compilers at once */
    int posts;      /* workers that judge at once */
    int64_t device; /* row; 0 in a dry run */
    int64_t run;    /* row; 0 until there is something to do */
    double began_s; /* gdr_now */
    double end_s;   /* when the budget ends; infinite without one */
    gdr_progress progress;
    char *msg; /* the caller's */
    size_t n;
} gdr_session;

/* Opens generator, device, database. The session is valid (and to be closed)
 * on failure too. */
gdr_status gdr_session_open(gdr_session *s, const gdr_tune_options *o,
                            char *msg, size_t n);
/* Only device and generator: enough to make source text. */
gdr_status gdr_session_open_source(gdr_session *s, const gdr_tune_options *o,
                                   char *msg, size_t n);
void gdr_session_close(gdr_session *s);

/* Makes the run's row, and the compile threads, when not yet there. */
gdr_status gdr_session_begin(gdr_session *s);
void gdr_session_end(gdr_session *s, const char *outcome);

int gdr_session_stopped(const gdr_session *s);
/* A new worker, which may be silent for `patience` times the usual deadline.
 * NULL: it cannot be started, msg says why. */
gdr_worker *gdr_session_worker(gdr_session *s, double patience);

/* Bytes that a problem may use. Of a card, which the tuner's process must not
 * touch, all but a tenth; a worker finds out whether others hold it. */
int64_t gdr_session_memory(const gdr_session *s);

/* Copies the store's or generator's message. */
gdr_status gdr_session_store_failed(gdr_session *s, gdr_status st);

/* Shows where the run is; phase NULL: as before. */
void gdr_session_show(gdr_session *s, const char *phase, const char *problem);

/* Fresh stamp of a variant with this source hash. */
void gdr_session_stamp(const gdr_session *s, const char *hash, int64_t abi,
                       char stamp[GDR_HASH_TEXT]);

#endif
