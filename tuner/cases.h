/*
 * cases.h - the calls that a variant is judged on: arguments, inputs ordinary
 * and hostile, and every byte of memory around them, as host images. What the
 * right answer is, oracle.h knows; how images reach a device, verify.c.
 *
 * Deterministic: the same static problem, spec and seed give the same bytes.
 */
#ifndef GDR_CASES_H
#define GDR_CASES_H

#include "gdr.h"

/* What may differ between two calls of one static problem. A case has one level
 * of each axis; level 0 is always the plain one. */
typedef enum gdr_axis {
    GDR_AXIS_B,
    GDR_AXIS_T,
    GDR_AXIS_HK,
    GDR_AXIS_RATIO,   /* Hv / Hk */
    GDR_AXIS_MAP,     /* query head of a value head */
    GDR_AXIS_INDEX,   /* slots: none (dense), int32, int64 */
    GDR_AXIS_INVALID, /* slots that are not valid; index_min */
    GDR_AXIS_PAD,     /* gaps between states; far: offsets beyond int32 */
    GDR_AXIS_QKV,     /* slices of one packed tensor */
    GDR_AXIS_G,
    GDR_AXIS_BETA,
    GDR_AXIS_FIRST,  /* ring: R - T; indexed: accepted; snapshots: by b, slot */
    GDR_AXIS_SECOND, /* ring: cache_seqlens; snapshots: their dtype */
    GDR_AXIS_THIRD,  /* snapshots: update_state */
    GDR_AXIS_DATA,   /* which kinds of data the heads get */
    GDR_AXIS_EDGE,   /* red zones, or buffers that end where memory ends */
    GDR_AXES
} gdr_axis;

typedef struct gdr_case_spec {
    const char *name;
    uint8_t level[GDR_AXES];
} gdr_case_spec;

/* How many levels each axis has for this static problem. */
void gdr_case_levels(const gdr_static *s, int levels[GDR_AXES]);

/* The short list of the gate: every hostile kind in a few launches. */
extern const gdr_case_spec gdr_gate_cases[];
extern const int gdr_n_gate_cases;

/* A small case for many launches. */
extern const gdr_case_spec gdr_repeat_case;

/* One allocation: zone, payload, zone. Everything that is not an input is
 * filled with a pattern that is NaN in every dtype and negative as an index. */
typedef struct gdr_buffer {
    const char *name;
    unsigned char *image;
    size_t zone, bytes; /* of one zone, of the payload */
    int output;
} gdr_buffer;

enum { GDR_CASE_BUFFERS = 16, GDR_ZONE_BYTES = 4096 };

typedef struct gdr_case {
    char name[200]; /* the spec's name and every level */
    gdr_static s;
    gdr_args args; /* pointers into the images */
    gdr_buffer buffer[GDR_CASE_BUFFERS];
    int n_buffers;
    int state_buffer, snapshot_buffer, o_buffer; /* -1: none */
    int64_t first_slot; /* the slot at the start of the state's payload */
    int64_t first_snapshot;
    struct {
        size_t field; /* offset of a pointer in gdr_args */
        int buffer;
    } place[GDR_CASE_BUFFERS];
    int n_places;
} gdr_case;

/* *out is NULL on failure. */
gdr_status gdr_case_open(const gdr_static *s, const gdr_case_spec *spec,
                         uint64_t seed, gdr_case **out);

/* Plain arguments and ordinary data at given extents, B cut so that the states
 * take at most `bytes`. */
gdr_status gdr_case_open_extents(const gdr_static *s, const gdr_extents *x,
                                 size_t bytes, uint64_t seed, gdr_case **out);
void gdr_case_close(gdr_case *c);

/* The arguments for a copy of the images: base[i] is where image i was put. */
void gdr_case_relocate(const gdr_case *c, unsigned char *const base[],
                       gdr_args *out);

/* A gap or a zone is filled with this; at counts bytes from the image's start.
 */
void gdr_case_poison(unsigned char *image, size_t bytes);

#endif
