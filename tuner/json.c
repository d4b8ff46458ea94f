/* json.c - values and lines of JSON. */
#include "json.h"
#include "text.h"
#include <math.h>
#include <stdlib.h>

json_t *gdr_json_number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *gdr_json_text(const char *text)
{
    if (!text)
        return json_null();
    char *clean = gdr_text_clean(text, 1);
    json_t *value = clean ? json_string(clean) : NULL;
    free(clean);
    return value;
}

/* 12 digits: a time in ns to the ns below 1000 s, and no 0.30000000000000004.
 */
void gdr_json_line(json_t *object, FILE *f)
{
    if (object &&
        json_dumpf(object, f, JSON_COMPACT | JSON_REAL_PRECISION(12)) == 0)
        fputc('\n', f);
    fflush(f);
    json_decref(object);
}
