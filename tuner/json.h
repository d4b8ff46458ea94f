/* json.h - values and lines of JSON that are always valid, on jansson. */
#ifndef GDR_JSON_H
#define GDR_JSON_H

#include <jansson.h>
#include <stdio.h>

/* null when x is not finite: JSON has no NaN. */
json_t *gdr_json_number(double x);

/* null for NULL; what is not UTF-8 becomes '?'. */
json_t *gdr_json_text(const char *text);

/* One object on a line of its own; takes the reference. */
void gdr_json_line(json_t *object, FILE *f);

#endif
