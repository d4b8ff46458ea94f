/*
 * bundle_print.h - what gdr-bundle says, as lines for people or for machines.
 */
#ifndef GDR_BUNDLE_PRINT_H
#define GDR_BUNDLE_PRINT_H

#include "bundle.h"
#include "bundle_diff.h"
#include "bundle_run.h"

/* To stderr, with the program's name. */
void gdr_bundle_print_error(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

void gdr_bundle_print_sum(const char *path, const gdr_bundle_sum *sum,
                          int json);

/* What came of verify --run. */
void gdr_bundle_print_trials(const gdr_bundle_trials *t, int json);

/* Callbacks; ctx: a const int, is it JSON? */
void gdr_bundle_print_trial(void *ctx, const gdr_bundle_trial *t);
void gdr_bundle_print_change(void *ctx, const gdr_bundle_change *c);

#endif
