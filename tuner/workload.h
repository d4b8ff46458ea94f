/*
 * workload.h - what a kernel is timed on: a ring of argument sets with a state
 * each, so that a launch finds its state cold as in a serving engine, where it
 * was last touched a whole model pass ago, while q, k, v, g, beta are shared
 * and warm: the layer before has just written them. The data is stable:
 * thousands of launches neither blow the states up nor let them decay to
 * denormals (unit keys, decay < 1, beta in (0, 1)).
 *
 * Life cycle: open, time on set[0 .. n_sets-1], close (NULL is harmless).
 */
#ifndef GDR_WORKLOAD_H
#define GDR_WORKLOAD_H

#include "target.h"

/* Bytes of one argument set. -1 when they do not fit in int64. */
typedef struct gdr_footprint {
    int64_t state;   /* pool and snapshots: one per set */
    int64_t tensors; /* q k v o g beta ...: shared by all sets */
    int64_t traffic; /* compulsory bytes of a call: each state read once and
                        written as the contract says, each tensor once */
    int64_t rewrite; /* bytes whose read and write cost as much as the states':
                        half of the state traffic; what roofline is asked */
} gdr_footprint;

gdr_status gdr_footprint_of(const gdr_problem *p, gdr_footprint *out);

/* Bytes that can be had without swapping: MemAvailable, less where a cgroup
 * allows less. */
int64_t gdr_memory_available(void);

typedef struct gdr_workload {
    const gdr_target *target;
    void *dev;
    gdr_problem problem;
    gdr_footprint size;
    int n_sets;
    gdr_args *set;   /* [n_sets] */
    int64_t between; /* bytes between the states of two sets */
    void *states;    /* [n_sets] sets of states */
    void *tensor[12];
    int n_tensors;
    void *workspace;
    int64_t workspace_bytes;
} gdr_workload;

typedef struct gdr_workload_options {
    int64_t cold_bytes; /* the ring's states hold at least this ... */
    int64_t most_bytes; /* ... but no more than this (one set at least) */
    uint64_t seed;
    /* called every 64 MiB or so of filling; may be NULL */
    void (*tick)(void *ctx);
    void *ctx;
} gdr_workload_options;

gdr_status gdr_workload_open(const gdr_target *target, void *dev,
                             const gdr_problem *p,
                             const gdr_workload_options *o, gdr_workload **out);
void gdr_workload_close(gdr_workload *w);

/* Makes the workspace of every set at least this large. */
gdr_status gdr_workload_reserve(gdr_workload *w, int64_t workspace_bytes);

#endif
