/*
 * columns.h - a table in aligned columns. Rows are collected first, since a
 * column is as wide as its widest cell; headings run over all columns.
 *
 * Life cycle: open, row and heading in order, print, close (NULL is harmless).
 */
#ifndef GDR_COLUMNS_H
#define GDR_COLUMNS_H

#include "gdr.h"
#include <stdio.h>

typedef struct gdr_columns gdr_columns;

/* align: 'l' or 'r' for each column, at most 12. */
gdr_status gdr_columns_open(const char *align, gdr_columns **out);
void gdr_columns_close(gdr_columns *c);

/* Copies the texts, cleaned; NULL is empty. */
gdr_status gdr_columns_row(gdr_columns *c, const char *const *cells);
gdr_status gdr_columns_heading(gdr_columns *c, const char *text);

/* Each row behind `indent` spaces, each heading at the margin (bold if asked).
 * Nothing is padded at the end of a line. */
void gdr_columns_print(const gdr_columns *c, int indent, int bold, FILE *f);

#endif
