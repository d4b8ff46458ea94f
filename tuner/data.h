/*
 * data.h - numbers for the tensors of a case. Random access: a value depends on
 * the seed, the tensor and its index, not on the order of filling.
 */
#ifndef GDR_DATA_H
#define GDR_DATA_H

#include "gdr.h"

/* Fills every input of the call, given args whose pointers and strides stand.
 * Heads get different kinds of data; turn rotates which. */
void gdr_data_fill(const gdr_static *s, const gdr_args *args, int turn,
                   uint64_t seed);

/* Ordinary data, cheap enough for gigabytes. */
void gdr_data_fill_plain(const gdr_static *s, const gdr_args *args,
                         uint64_t seed);

/* splitmix64 as a counter: bits, uniform in [0, 1), standard normal */
uint64_t gdr_data_bits(uint64_t seed, uint64_t i);
double gdr_data_uniform(uint64_t seed, uint64_t i);
double gdr_data_normal(uint64_t seed, uint64_t i);

#endif
