/*
 * bundle_defaults.h - code for cards that nobody here has: the defaults of a
 * static problem, compiled for an architecture and timed nowhere.
 */
#ifndef GDR_BUNDLE_DEFAULTS_H
#define GDR_BUNDLE_DEFAULTS_H

#include "../db/store.h"
#include "chip.h"

/*
 * Puts, for each static problem, its defaults for the chip as cubins, and the
 * one for the largest work as PTX for later cards, as rows of devices that say
 * "not tuned". libgdr takes them as matches of kind default and ptx.
 *
 * GDR_ERR_COMPILE: no NVRTC, or one that refuses a default; msg says which.
 */
gdr_status gdr_bundle_defaults(gdr_store *st, const gdr_chip *chip,
                               const gdr_static *statics, int n_statics,
                               char *msg, size_t n);

#endif
