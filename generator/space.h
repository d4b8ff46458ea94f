/*
 * space.h - takes in what space.lua packed. Inside generator/ only.
 */
#ifndef GDR_SPACE_H
#define GDR_SPACE_H

#include "generator.h"

gdr_status gdr_space_unpack(const char *data, size_t bytes, gdr_alloc_fn alloc,
                            void *ctx, gdr_space **out);

#endif
