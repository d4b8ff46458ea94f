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

/* How a bundle is opened: $GDR_VERIFY_KEY may ask for a signature, and who has
 * that may read a file that others can write. */
gdr_store_mode gdr_bundle_read_mode(void);

/* To read rows of a bundle that libgdr takes: with the signature that
 * $GDR_VERIFY_KEY may ask for. */
gdr_status gdr_bundle_open_signed(const char *path, gdr_store **st, char *msg,
                                  size_t n);

/* gdr_store_beside, whose folder must be there; GDR_ERR_ARG with msg. */
enum { GDR_BUNDLE_PATH = 4096 };
gdr_status gdr_bundle_beside(const char *path, const char *word,
                             char out[GDR_BUNDLE_PATH], char *msg, size_t n);

/* A message that names a file of ours names the caller's instead. */
void gdr_bundle_put_name(char *msg, size_t n, const char *ours,
                         const char *theirs);

/* Of a file that is nothing but usable rows; GDR_ERR_FORMAT else. */
gdr_status gdr_bundle_sum_up(const gdr *g, const char *path,
                             gdr_bundle_sum *sum, char *msg, size_t n);

/* Static problems that the filter asks for and the rows have not. */
void gdr_bundle_count_absent(const gdr_rows *rows, const gdr_bundle_filter *f,
                             gdr_bundle_sum *sum);

#endif
