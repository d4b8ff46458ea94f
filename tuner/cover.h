/*
 * cover.h - covering arrays: few rows in which every pair (or triple) of levels
 * of any two (three) axes occurs. Deterministic: same input, same rows.
 */
#ifndef GDR_COVER_H
#define GDR_COVER_H

#include "gdr.h"

enum { GDR_COVER_AXES = 31 };

/* levels[i] >= 1 for n axes; strength 2 or 3. *rows is malloc'd,
 * [*n_rows][n] levels. The greedy rows are about 1.3 times the fewest possible.
 */
gdr_status gdr_cover(const int *levels, int n, int strength, uint8_t **rows,
                     int64_t *n_rows);

#endif
