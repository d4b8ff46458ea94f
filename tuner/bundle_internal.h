/*
 * bundle_internal.h - what the files of gdr-bundle share.
 */
#ifndef GDR_BUNDLE_INTERNAL_H
#define GDR_BUNDLE_INTERNAL_H

#include "../runtime/gdr_internal.h"
#include "bundle.h"

/* gdr_store_open with the reason of a failure in msg. */
gdr_status gdr_bundle_open_store(const char *path, gdr_store_mode mode,
                                 gdr_store **st, char *msg, size_t n);

/* Of a file that is nothing but usable rows; GDR_ERR_FORMAT else. */
gdr_status gdr_bundle_sum_up(const gdr *g, const char *path,
                             gdr_bundle_sum *sum, char *msg, size_t n);

/* Static problems that the filter asks for and the rows have not. */
void gdr_bundle_count_absent(const gdr_rows *rows, const gdr_bundle_filter *f,
                             gdr_bundle_sum *sum);

#endif
