/*
 * pin.h - one reduction id for all extents of a static problem.
 */
#ifndef GDR_PIN_H
#define GDR_PIN_H

#include "table.h"

/*
 * The reduction id that serves best on a rung: which most tuned extents (or
 * sizes of defaults) have, then which costs least over them, then by name. NULL
 * when the rung has no entry. Owned by the rows.
 */
const char *gdr_pin_best(const gdr_rows *rows, const gdr_backend *backend,
                         const void *dev, const gdr_static *s, gdr_match rung);

/* Every id of the static problem that the device could be served with, "a, b",
 * cut at n; "none" where there is none. */
void gdr_pin_list(const gdr_rows *rows, const gdr_backend *backend,
                  const void *dev, const gdr_static *s, char *text, size_t n);

#endif
