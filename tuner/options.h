/*
 * options.h - the command line of gdr-tune as data. Knows every option, does
 * nothing about any.
 */
#ifndef GDR_OPTIONS_H
#define GDR_OPTIONS_H

#include "tune.h"

enum { GDR_OPTIONS_TEXTS = 256 };

/* Points into argv, and into itself: do not copy. */
typedef struct gdr_options {
    gdr_tune_options tune;
    gdr_report_options report;
    const char *shapes[GDR_OPTIONS_TEXTS], *only[GDR_OPTIONS_TEXTS];
    const char *command; /* NULL: tune */
    char **args;         /* [n_args] after the command */
    int n_args;
    int compile_only;
    const char *arch; /* "sm_75,sm_90a"; NULL: all. Only with compile_only */
    int help, version;
    char text[4096]; /* the command line, for the record */
} gdr_options;

/* GDR_ERR_ARG with msg, which names the option and what it takes. May permute
 * argv, as getopt does. */
gdr_status gdr_options_read(int argc, char **argv, gdr_options *out, char *msg,
                            size_t n);

extern const char gdr_options_help[];

#endif
