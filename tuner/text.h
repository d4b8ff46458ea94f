/*
 * text.h - texts for people and terminals: UTF-8 in columns, human units. Text
 * from a database or a device may hold anything; what is printed never does.
 */
#ifndef GDR_TEXT_H
#define GDR_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* A copy (malloc'd; NULL without memory) that is valid UTF-8; NULL is "". What
 * does not decode becomes '?', and so do, unless `controls`, control characters
 * and marks that reorder text, which could forge other output. */
char *gdr_text_clean(const char *text, int controls);

/* Columns on a terminal: combining marks take none, East Asian wide ones two.
 */
int gdr_text_columns(const char *text);

/* Cuts valid UTF-8 in place to at most this many columns. */
void gdr_text_cut(char *text, int columns);

/* "812 ns", "21.4 us", "1.32 s"; "-" unless finite and positive. */
void gdr_text_time(double ns, char *out, size_t n);

/* "7 s", "1 min 20 s", "2 h 5 min", "-" as above or above 100 days. */
void gdr_text_duration(double seconds, char *out, size_t n);

/* A number with this many digits behind the point, and a unit; "-" when it is
 * not finite. */
void gdr_text_number(double x, int digits, const char *unit, char *out,
                     size_t n);

/* A line, cleaned: what a stranger wrote moves no cursor. */
void gdr_text_line(FILE *out, const char *before, const char *format,
                   va_list args) __attribute__((format(printf, 3, 0)));

#endif
