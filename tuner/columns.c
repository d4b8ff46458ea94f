/* columns.c - a table in aligned columns. */
#include "columns.h"
#include "text.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 12 };

typedef struct line {
    struct line *next;
    int heading;
    char *cell[COLUMNS]; /* a heading has one */
} line;

struct gdr_columns {
    char align[COLUMNS + 1];
    int n, width[COLUMNS];
    line *first, **last;
};

gdr_status gdr_columns_open(const char *align, gdr_columns **out)
{
    size_t n = strlen(align);
    assert(n > 0 && n <= COLUMNS);
    gdr_columns *c = *out = calloc(1, sizeof *c);
    if (!c)
        return GDR_ERR_NO_MEMORY;
    memcpy(c->align, align, n + 1);
    c->n = (int)n;
    c->last = &c->first;
    return GDR_OK;
}

static void free_line(line *l)
{
    for (int i = 0; i < COLUMNS; i++)
        free(l->cell[i]);
    free(l);
}

void gdr_columns_close(gdr_columns *c)
{
    if (!c)
        return;
    for (line *l = c->first, *next; l; l = next) {
        next = l->next;
        free_line(l);
    }
    free(c);
}

static gdr_status add_line(gdr_columns *c, int heading,
                           const char *const *cells, int n)
{
    line *l = calloc(1, sizeof *l);
    if (!l)
        return GDR_ERR_NO_MEMORY;
    l->heading = heading;
    for (int i = 0; i < n; i++) {
        l->cell[i] = gdr_text_clean(cells[i], 0);
        if (!l->cell[i]) {
            free_line(l);
            return GDR_ERR_NO_MEMORY;
        }
        int width = heading ? 0 : gdr_text_columns(l->cell[i]);
        if (width > c->width[i])
            c->width[i] = width;
    }
    *c->last = l;
    c->last = &l->next;
    return GDR_OK;
}

gdr_status gdr_columns_row(gdr_columns *c, const char *const *cells)
{
    return add_line(c, 0, cells, c->n);
}

gdr_status gdr_columns_heading(gdr_columns *c, const char *text)
{
    return add_line(c, 1, &text, 1);
}

/* Spaces are owed, and paid only before text: none end a line. */
static void print_row(const gdr_columns *c, const line *l, int owed, FILE *f)
{
    for (int i = 0; i < c->n; i++) {
        int room = c->width[i] - gdr_text_columns(l->cell[i]);
        int right = c->align[i] == 'r';
        if (l->cell[i][0]) {
            fprintf(f, "%*s%s", owed + (right ? room : 0), "", l->cell[i]);
            owed = right ? 0 : room;
        } else {
            owed += room;
        }
        owed += 2;
    }
    fputc('\n', f);
}

void gdr_columns_print(const gdr_columns *c, int indent, int bold, FILE *f)
{
    for (const line *l = c->first; l; l = l->next)
        if (l->heading)
            fprintf(f, bold && l->cell[0][0] ? "\x1b[1m%s\x1b[0m\n" : "%s\n",
                    l->cell[0]);
        else
            print_row(c, l, indent, f);
}
