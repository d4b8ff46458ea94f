/*
 * stage.h - a case set up in a device's memory: put there, launched, taken
 * back, and every byte that the call had no business with compared.
 *
 * Life cycle: open, any number of run and inspect, close. The case outlives it.
 */
#ifndef GDR_STAGE_H
#define GDR_STAGE_H

#include "cases.h"
#include "target.h"

typedef struct gdr_stage {
    const gdr_target *target;
    const gdr_recipe *recipe;
    const gdr_case *c;
    void *device[GDR_CASE_BUFFERS];
    unsigned char *got[GDR_CASE_BUFFERS]; /* the images after a run */
    void *workspace, *workspace_memory;   /* aligned in what was allocated */
    unsigned char *workspace_image;
    size_t workspace_bytes;
} gdr_stage;

/* GDR_ERR_NO_MEMORY, or GDR_ERR_ARG for a workspace that overflows. */
gdr_status gdr_stage_open(gdr_stage *st, const gdr_target *target,
                          const gdr_recipe *recipe, const gdr_case *c);
void gdr_stage_close(gdr_stage *st);

/* The case's arguments on the device, and on the images after a run (inputs
 * from the case itself, so that a kernel that changed them fools nobody). */
void gdr_stage_args(const gdr_stage *st, gdr_args *device, gdr_args *got);

/* Puts every image back as it was; fill: what the workspace holds. */
gdr_status gdr_stage_reset(gdr_stage *st, int fill);
gdr_status gdr_stage_fetch(gdr_stage *st);

/* Empty text: nothing changed that the call (args, as given to the launch, on
 * the images) may not write. Overwrites what it may write in the images. */
void gdr_stage_inspect(gdr_stage *st, const gdr_args *got, char *note,
                       size_t n);

/* The place of a byte of an image, for people: "state: slot 3 head 1 k 5 v 7"
 */
void gdr_stage_describe(const gdr_case *c, int buffer, size_t byte, char *text,
                        size_t n);

/* First byte that differs, or `bytes`. */
size_t gdr_stage_differs(const unsigned char *a, const unsigned char *b,
                         size_t bytes);

#endif
