/*
 * quarantine.h - code that crashed, hung or poisoned a device is not loaded
 * there again: for no other problem, and by no later run. --fresh, and a static
 * problem where nothing ever passed, give it another try.
 */
#ifndef GDR_QUARANTINE_H
#define GDR_QUARANTINE_H

#include "batch.h"

/* Puts the entrant's code away: its worker died of it, and not from outside. */
gdr_status gdr_quarantine_put(gdr_batch *b, const gdr_entrant *e,
                              const char *outcome, const char *note);

/* Is it put away? Then outcome (static text) and a note for its rows. */
gdr_status gdr_quarantine_look(gdr_batch *b, const gdr_entrant *e, int *yes,
                               const char **outcome, char *note, size_t n);

/* Lets it out. */
gdr_status gdr_quarantine_lift(gdr_batch *b, const gdr_entrant *e);

#endif
