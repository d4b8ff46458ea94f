/*
 * gdr_internal.h - what the tuner may ask of libgdr beyond gdr.h.
 */
#ifndef GDR_INTERNAL_H
#define GDR_INTERNAL_H

#include "rows.h"

/*
 * Opens the device of a name: "cpu", "cuda:N", "N" (the same) or "auto" (the
 * first backend that opens; a card comes before the cpu). The one place that
 * knows device names. GDR_ERR_NO_DEVICE says what is missing and what to do.
 * The caller closes *dev with (*backend)->close.
 */
gdr_status gdr_backend_open(const char *name, const gdr_device_options *options,
                            const gdr_backend **backend, void **dev, char *msg,
                            size_t n);

/* What was read: rows, and notes on those that were skipped. Owned by g. */
const gdr_rows *gdr_rows_of(const gdr *g);

#endif
