/*
 * gdr_internal.h - what the tuner may ask of libgdr beyond gdr.h.
 */
#ifndef GDR_INTERNAL_H
#define GDR_INTERNAL_H

#include "rows.h"

/* What was read: rows, and notes on those that were skipped. Owned by g. */
const gdr_rows *gdr_rows_of(const gdr *g);

#endif
