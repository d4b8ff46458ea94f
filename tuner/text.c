/* text.c - UTF-8 and units. */
#include "text.h"
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The code point at p and its length; length 0: not UTF-8 (overlong forms,
 * surrogates and what is above 10FFFF included). Stops at the end of text. */
static uint32_t decode(const unsigned char *p, int *length)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int n = p[0] < 0x80   ? 1
            : p[0] < 0xc0 ? 0
            : p[0] < 0xe0 ? 2
            : p[0] < 0xf0 ? 3
            : p[0] < 0xf8 ? 4
                          : 0;
    uint32_t c = n > 1 ? p[0] & (0x7fu >> n) : p[0];
    for (int i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            n = 0;
        else
            c = c << 6 | (p[i] & 0x3fu);
    }
    if (n == 0 || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        n = 0;
    *length = n;
    return c;
}

typedef struct range {
    uint32_t first, last;
} range;

static int in_ranges(uint32_t c, const range *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= r[i].first && c <= r[i].last)
            return 1;
    return 0;
}

static int is_unsafe(uint32_t c)
{
    /* C0, DEL and C1; line separators; bidirectional marks and overrides */
    static const range unsafe[] = {{0, 0x1f},        {0x7f, 0x9f},
                                   {0x200e, 0x200f}, {0x2028, 0x202e},
                                   {0x2066, 0x2069}, {0xfeff, 0xfeff}};
    return in_ranges(c, unsafe, sizeof unsafe / sizeof *unsafe);
}

/* After Unicode 15's EastAsianWidth (W and F), its blocks as a whole. */
static int width_of(uint32_t c)
{
    static const range none[] = {
        {0x300, 0x36f}, {0x200b, 0x200d}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}};
    static const range wide[] = {
        {0x1100, 0x115f}, {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},
        {0xf900, 0xfaff}, {0xfe30, 0xfe6f},   {0xff00, 0xff60},
        {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd}};
    if (in_ranges(c, none, sizeof none / sizeof *none))
        return 0;
    return 1 + in_ranges(c, wide, sizeof wide / sizeof *wide);
}

char *gdr_text_clean(const char *text, int controls)
{
    const unsigned char *p = (const unsigned char *)(text ? text : "");
    char *out = malloc(strlen((const char *)p) + 1), *q = out;
    if (!out)
        return NULL;
    while (*p) {
        int n;
        uint32_t c = decode(p, &n);
        if (n == 0 || (!controls && is_unsafe(c))) {
            *q++ = '?';
            p += n ? n : 1;
            continue;
        }
        memcpy(q, p, (size_t)n);
        q += n;
        p += n;
    }
    *q = 0;
    return out;
}

/* Bytes of the longest start of text that fits, and its columns. */
static size_t fit(const char *text, int most, int *columns)
{
    const unsigned char *p = (const unsigned char *)text;
    *columns = 0;
    while (*p) {
        int n;
        uint32_t c = decode(p, &n);
        int width = n ? width_of(c) : 1;
        if (*columns + width > most)
            break;
        *columns += width;
        p += n ? n : 1;
    }
    return (size_t)(p - (const unsigned char *)text);
}

int gdr_text_columns(const char *text)
{
    int columns;
    fit(text, 1 << 30, &columns);
    return columns;
}

void gdr_text_cut(char *text, int columns)
{
    int used;
    text[fit(text, columns > 0 ? columns : 0, &used)] = 0;
}

/* Three significant digits, as long as there is a point to put. */
static int digits_of(double x)
{
    return x < 9.995 ? 2 : x < 99.95 ? 1 : 0;
}

void gdr_text_time(double ns, char *out, size_t n)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    int i = 0;
    if (!isfinite(ns) || !(ns > 0)) {
        snprintf(out, n, "-");
        return;
    }
    for (; ns >= 999.5 && i < 3; i++)
        ns /= 1000;
    if (ns < 1e7)
        snprintf(out, n, "%.*f %s", digits_of(ns), ns, units[i]);
    else
        snprintf(out, n, "%.3g %s", ns, units[i]);
}

void gdr_text_duration(double seconds, char *out, size_t n)
{
    if (!isfinite(seconds) || seconds < 0 || seconds > 8.64e6) {
        snprintf(out, n, "-");
        return;
    }
    int s = (int)(seconds + 0.5);
    if (s < 60)
        snprintf(out, n, "%d s", s);
    else if (s < 3600)
        snprintf(out, n, "%d min %d s", s / 60, s % 60);
    else
        snprintf(out, n, "%d h %d min", s / 3600, s / 60 % 60);
}

void gdr_text_number(double x, int digits, const char *unit, char *out,
                     size_t n)
{
    if (!isfinite(x))
        snprintf(out, n, "-");
    else if (fabs(x) < 1e7)
        snprintf(out, n, "%.*f%s", digits, x, unit);
    else
        snprintf(out, n, "%.3g%s", x, unit);
}

void gdr_text_line(FILE *out, const char *before, const char *format,
                   va_list args)
{
    char *text = NULL, *clean = NULL;

    if (vasprintf(&text, format, args) >= 0)
        clean = gdr_text_clean(text, 0);
    fprintf(out, "%s%s\n", before, clean ? clean : "out of memory");
    fflush(out);
    free(text);
    free(clean);
}
