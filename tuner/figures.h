/*
 * figures.h - what a card's compiler said of an entrant, as rows, and what
 * follows from it.
 */
#ifndef GDR_FIGURES_H
#define GDR_FIGURES_H

#include "batch.h"

/* Stores figures and words of a step's compilation, where there are any. */
gdr_status gdr_figures_put(gdr_batch *b, const gdr_entrant *e, int step,
                           const gdr_image *image, const char *log);

/* Fills occupancy and in_flight, of the step that has most in flight; leaves
 * them where the compiler gave no figures or the chip is unknown. */
void gdr_figures_estimate(const gdr_batch *b, const gdr_entrant *e,
                          gdr_trial_row *row);

#endif
