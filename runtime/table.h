/*
 * table.h - which row serves a call. All matching policy lives here.
 *
 * An entry stands on a rung for a device: tuned on the very device (EXACT,
 * which stands for NEAR and EDGE too), tuned on a sibling (same kind and arch,
 * and code that this device can run), a default, or a default that the driver
 * has to compile (of the device "ptx" of its kind). A set holds the entries of
 * the best rung that has any; a table finds among them:
 *
 *     same device     same extents: exact. Else the nearest tuned point, near
 *                     inside the convex hull of the tuned points, edge outside
 *     sibling         the nearest tuned point
 *     default         the smallest that is made for this much work B*T*Hv, or
 *                     the largest there is
 *     ptx             the same, of the newest language that it knows
 *     generic         the one plan
 *
 * Nearest is what nearest.h says. Where several entries share the nearest point
 * one with the call's Hv/Hk is taken if there is one, else the first; "first"
 * is the order of gdr_entry_compare throughout. A ratio above 255 counts as
 * none.
 */
#ifndef GDR_TABLE_H
#define GDR_TABLE_H

#include "nearest.h"
#include "rows.h"
#include "hot.h"

/* The rung of an entry for a device: EXACT, SIBLING, DEFAULT or PTX. 0 when it
 * cannot serve there; why says for what reason. */
int gdr_entry_rung(const gdr_entry *e, const gdr_backend *backend,
                   const void *dev, gdr_match *rung, char *why, size_t n);

/* Order of preference among entries of one rung and equal extents (for
 * defaults: of equal work): defaults of the device itself first, then by
 * problem and work, the likest device, chosen before spare, and text. */
int gdr_entry_compare(const gdr_entry *a, const gdr_entry *b,
                      const gdr_device_info *info);

/* All entries of the static problem on a rung, in order of preference; with a
 * reduction id those that have it, spare ones included, else those that are not
 * spare. *out is malloc'd, NULL when *n is 0. */
gdr_status gdr_table_pick(const gdr_rows *rows, const gdr_backend *backend,
                          const void *dev, const gdr_static *s, gdr_match rung,
                          const char *reduction, const gdr_entry ***out,
                          uint32_t *n);

typedef struct gdr_table gdr_table;

/* A table of n picked entries of one rung; rung GENERIC needs none. The entries
 * are not needed afterwards. */
gdr_status gdr_table_open(gdr_match rung, const gdr_entry *const *entry,
                          uint32_t n, gdr_table **out);
void gdr_table_close(gdr_table *table);

/* The index of the entry for a call (0 for GENERIC), and how good a match it
 * is. GDR_ERR_ARG for extents that no call may have. Nanoseconds: no lock, no
 * allocation, no system call. */
GDR_HOT gdr_status gdr_table_find(const gdr_table *table, const gdr_extents *x,
                                  uint32_t *index, gdr_match *match);

/* The same policy spelled out, for explain and for tests: <0 if a would be
 * found rather than b, both on the same rung, both in one table. */
int gdr_entry_closer(const gdr_extents *x, const gdr_entry *a,
                     const gdr_entry *b, const gdr_device_info *info);

/* Octaves between a call and a tuned entry, T counting double. */
double gdr_entry_distance(const gdr_extents *x, const gdr_entry *e);

#endif
