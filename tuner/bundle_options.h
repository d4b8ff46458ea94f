/*
 * bundle_options.h - the command line of gdr-bundle as data. Knows every
 * command and which options it takes, does nothing about any.
 */
#ifndef GDR_BUNDLE_OPTIONS_H
#define GDR_BUNDLE_OPTIONS_H

#include "bundle.h"

typedef enum gdr_bundle_command {
    GDR_BUNDLE_BUILD,
    GDR_BUNDLE_MERGE,
    GDR_BUNDLE_VERIFY,
    GDR_BUNDLE_SHOW,
    GDR_BUNDLE_DIFF,
    GDR_BUNDLE_KEYGEN,
    GDR_BUNDLE_COMMANDS
} gdr_bundle_command;

enum { GDR_BUNDLE_ARCHS = 64 };

/* Points into argv, and into itself: do not copy. */
typedef struct gdr_bundle_request {
    gdr_bundle_command command;
    char **word; /* [n_words] after the command */
    int n_words;
    const char *db, *output;
    gdr_bundle_options build;
    const char *verify_key; /* NULL: as $GDR_VERIFY_KEY says */
    const char *device;     /* to run on; NULL: those that are here */
    int run, json, help, version;
    /* what build.filter points to */
    const char *arch[GDR_BUNDLE_ARCHS];
    char *archs;    /* the list, cut up */
    char **statics; /* each malloc'd */
} gdr_bundle_request;

/* GDR_ERR_ARG with msg, which names the option or the word and what is needed.
 * With help or version the rest is not looked at. May permute argv, as getopt
 * does. Close it in any case. */
gdr_status gdr_bundle_options_read(int argc, char **argv,
                                   gdr_bundle_request *out, char *msg,
                                   size_t n);
void gdr_bundle_options_close(gdr_bundle_request *r);

extern const char gdr_bundle_help[];

#endif
