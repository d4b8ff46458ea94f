/*
 * order.h - in which order the runs of one round go. Seeded: the same seed
 * gives the same orders on every machine.
 */
#ifndef GDR_ORDER_H
#define GDR_ORDER_H

#include <stdint.h>

/* The next number of the sequence (SplitMix64: Steele, Lea and Flood, 2014). */
uint64_t gdr_order_random(uint64_t *state);

/* Every order of items equally likely (Fisher and Yates). */
void gdr_order_shuffle(uint64_t *state, int *items, int n);

/*
 * Row `row` of a square that is balanced for position and for carry-over
 * (E. J. Williams, Aust. J. Sci. Res. A 2, 1949): over gdr_order_rows(n) rows,
 * every item stands in every place, and right after every other item, equally
 * often. out gets the n indices.
 */
int gdr_order_rows(int n);
void gdr_order_balanced(int n, int64_t row, int *out);

#endif
