/*
 * field.h - everyone who was tried for a problem on a device, and what became
 * of them: those that were timed, fastest first, then those that failed.
 */
#ifndef GDR_FIELD_H
#define GDR_FIELD_H

#include "../db/store.h"

typedef struct gdr_entry {
    char *hash, *kernel, *config, *outcome, *note; /* owned */
    int64_t stage;                                 /* GDR_RACE_SCREENED, ... */
    double time_ns;                                /* 0: not timed */
    double spread, error_o, error_s;
} gdr_entry;

typedef struct gdr_field {
    gdr_entry *entry;
    int64_t n, n_timed;
    int64_t n_passed; /* correct, but never timed for this problem */
} gdr_field;

/* problem: full text, or static text alone for the gate's results. What passed
 * the gate and was not timed is counted and left out. */
gdr_status gdr_field_load(gdr_store *st, int64_t device, const char *problem,
                          gdr_field *out);
void gdr_field_free(gdr_field *f);

/* NULL when nobody has that hash. */
const gdr_entry *gdr_field_find(const gdr_field *f, const char *hash);

#endif
