/*
 * facts.h - what the database knows of a winner beyond its time: its compiler's
 * figures, and what follows from them. A cpu has none.
 */
#ifndef GDR_FACTS_H
#define GDR_FACTS_H

#include "../db/store.h"

typedef struct gdr_facts {
    int known;                      /* 0: the compiler gave none */
    int64_t registers, spill_bytes; /* of the step that has most */
    int64_t smem_bytes;             /* static and dynamic, the same */
    double occupancy;               /* 0: unknown */
    int64_t in_flight;              /* bytes of an SM; 0: unknown */
    double eager_ns;                /* 0: not taken */
} gdr_facts;

/* st may be NULL. What cannot be read is unknown: this is for people. */
gdr_facts gdr_facts_of(gdr_store *st, const gdr_winner_row *row);

int gdr_facts_any(const gdr_facts *f);

#endif
