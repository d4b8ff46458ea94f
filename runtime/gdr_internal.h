/*
 * gdr_internal.h - what is behind a gdr handle, for the files that fill it and
 * for the tuner.
 */
#ifndef GDR_INTERNAL_H
#define GDR_INTERNAL_H

#include "rows.h"

struct gdr {
    gdr_rows *rows;
    char *path; /* of the database, for messages; NULL: there was none */
    char msg[2048];
};

/* With no rows yet. GDR_ERR_ARG: out is NULL. GDR_ERR_NO_MEMORY. */
gdr_status gdr_new(gdr **out);

/* Reads a database into a new handle. key: who must have signed it; NULL:
 * nobody, and then nobody else may be able to write it. Failures as gdr_open's.
 */
gdr_status gdr_read_file(gdr *g, const char *path, const char *key);

/* What was read: rows, and notes on those that were skipped. Owned by g. */
const gdr_rows *gdr_rows_of(const gdr *g);

#endif
