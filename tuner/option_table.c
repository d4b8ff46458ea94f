/* option_table.c - see option_table.h. */
#include "option_table.h"

#include <assert.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

enum { FIRST = 256 }; /* what getopt returns for option 0 */

gdr_status gdr_option_refuse(const gdr_option_reader *r, const char *format,
                             ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(r->msg, r->n, format, args);
    va_end(args);
    return GDR_ERR_ARG;
}

static gdr_status apply(const gdr_option_reader *r, const gdr_option *one,
                        const char *arg)
{
    if (one->take)
        return one->take(r, arg);
    if (one->flag)
        *(int *)((char *)r->to + one->flag) = 1;
    else
        *(const char **)((char *)r->to + one->text) = arg;
    return GDR_OK;
}

/* ":" and the letters, as getopt wants them. */
static void fill(const gdr_option *table, int n, struct option *names,
                 char *letters)
{
    *letters++ = ':';
    for (int i = 0; i < n; i++) {
        names[i] =
            (struct option){table[i].name, !table[i].flag, NULL, FIRST + i};
        if (!table[i].letter)
            continue;
        *letters++ = (char)table[i].letter;
        if (!table[i].flag)
            *letters++ = ':';
    }
    *letters = 0;
}

/* The option that getopt found. */
static int place_of(int found, const gdr_option *table)
{
    int i = found - FIRST;

    if (i < 0)
        for (i = 0; table[i].letter != found;)
            i++;
    return i;
}

gdr_status gdr_option_table_read(int argc, char **argv, const gdr_option *table,
                                 int n, const gdr_option_reader *r,
                                 uint32_t *given)
{
    struct option names[GDR_OPTIONS_MOST + 1] = {{0}};
    char letters[2 * GDR_OPTIONS_MOST + 2];
    gdr_status status = GDR_OK;
    int found;

    assert(n <= GDR_OPTIONS_MOST);
    *given = 0;
    fill(table, n, names, letters);
    opterr = 0;
    optind = 0; /* from the start, also the second time */
    while (status == GDR_OK &&
           (found = getopt_long(argc, argv, letters, names, NULL)) != -1) {
        if (found == ':')
            status = gdr_option_refuse(r, "%s: an argument is missing",
                                       argv[optind - 1]);
        else if (found == '?')
            status = gdr_option_refuse(r,
                                       "%s: no such option, or it takes no "
                                       "argument; see --help",
                                       argv[optind - 1]);
        else {
            int i = place_of(found, table);

            *given |= UINT32_C(1) << i;
            status = apply(r, &table[i], optarg);
        }
    }
    return status;
}
