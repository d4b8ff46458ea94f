/*
 * bundle_c.h - a table as C source: what gdr_open_embedded opens.
 */
#ifndef GDR_BUNDLE_C_H
#define GDR_BUNDLE_C_H

#include "../runtime/gdr_internal.h"

#include <stdio.h>

enum { GDR_BUNDLE_C_NAME = 64 };

/* The name of the table in a file: "gdr_table_" and the file's, up to its first
 * dot, with '_' for what is neither letter nor digit. */
void gdr_bundle_c_name(const char *path, char name[GDR_BUNDLE_C_NAME]);

/*
 * Writes rows as one C11 file that defines `const gdr_embedded NAME`: images of
 * cards as words, kernels of the cpu as source, compiled for what they were
 * tuned with. The same rows give the same bytes. Errors of out are its own.
 *
 * GDR_ERR_TEMPLATE: a kernel of the cpu was made from other templates than this
 * program holds. GDR_ERR_NO_MEMORY.
 */
gdr_status gdr_bundle_c_write(const gdr_rows *rows, const char *name, FILE *out,
                              char *msg, size_t n);

#endif
