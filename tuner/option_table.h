/*
 * option_table.h - a command line by a table: what each option does with its
 * argument. The programs have a table each; getopt_long reads.
 */
#ifndef GDR_OPTION_TABLE_H
#define GDR_OPTION_TABLE_H

#include "gdr.h"

typedef struct gdr_option_reader {
    void *to; /* what the options fill */
    char *msg;
    size_t n;
} gdr_option_reader;

/* One option: sets a flag, or takes an argument, as a text or by a call. */
typedef struct gdr_option {
    const char *name;
    size_t flag; /* offset of an int that becomes 1; 0: none */
    size_t text; /* offset of a const char * that becomes arg; 0: none */
    gdr_status (*take)(const gdr_option_reader *r, const char *arg);
    int letter;        /* its short form; 0: none */
    unsigned commands; /* bits of those that take it, for the program */
} gdr_option;

enum { GDR_OPTIONS_MOST = 32 };

/* n is at most GDR_OPTIONS_MOST. *given gets a bit for each option that was
 * there; optind is the first word. GDR_ERR_ARG with msg. May permute argv. */
gdr_status gdr_option_table_read(int argc, char **argv, const gdr_option *table,
                                 int n, const gdr_option_reader *r,
                                 uint32_t *given);

/* GDR_ERR_ARG with msg. */
gdr_status gdr_option_refuse(const gdr_option_reader *r, const char *format,
                             ...) __attribute__((format(printf, 2, 3)));

#endif
