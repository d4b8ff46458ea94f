/*
 * c_names.h - several C sources in one file: each keeps the names of its file
 * scope to itself.
 */
#ifndef GDR_C_NAMES_H
#define GDR_C_NAMES_H

#include "gdr.h"

#include <stdio.h>

/*
 * Writes the source to out; every name that it declares at file scope
 * (functions, types, tags, constants of enums, variables, macros) gets the
 * suffix, wherever it stands. Names that begin with '_' keep it. #line goes, as
 * it would name files that the reader has not. GDR_ERR_NO_MEMORY.
 */
gdr_status gdr_c_names_write(const char *source, const char *suffix, FILE *out);

#endif
