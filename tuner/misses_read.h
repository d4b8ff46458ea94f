/*
 * misses_read.h - what serving engines wrote with gdr_misses_append.
 */
#ifndef GDR_MISSES_READ_H
#define GDR_MISSES_READ_H

#include "gdr.h"

/*
 * The problems of a file of lines "COUNT PROBLEM", each once, most missed
 * first. *out is malloc'd, NULL when the file is empty. GDR_ERR_IO,
 * GDR_ERR_PARSE with "FILE:LINE: ..." in msg, GDR_ERR_NO_MEMORY.
 */
gdr_status gdr_misses_read(const char *path, gdr_problem **out, int *count,
                           char *msg, size_t n);

#endif
