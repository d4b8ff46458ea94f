/*
 * winners.h - all winners of a database at once, in the order of the devices
 * and then of gdr_problem_compare: 8 sequences come before 16.
 */
#ifndef GDR_WINNERS_H
#define GDR_WINNERS_H

#include "../db/store.h"

typedef struct gdr_winner {
    gdr_winner_row row;  /* texts owned by the list */
    gdr_problem problem; /* zeros when the text does not parse */
    void *memory;
} gdr_winner;

typedef struct gdr_winners {
    gdr_winner *winner;
    int64_t n;
} gdr_winners;

/* only: device fingerprint, or NULL for all. On failure the list is empty. */
gdr_status gdr_winners_load(gdr_store *st, const char *only, gdr_winners *out);
void gdr_winners_free(gdr_winners *w);

#endif
