/*
 * digest.h - a name for all that dispatch depends on.
 */
#ifndef GDR_ROWS_DIGEST_H
#define GDR_ROWS_DIGEST_H

#include "rows.h"

/* SHA-256 in hex over the rows in the order of their own digests: the order in
 * which they were put does not count. GDR_ERR_NO_MEMORY. */
gdr_status gdr_rows_digest(const gdr_rows *rows, char digest[GDR_DIGEST_TEXT]);

#endif
