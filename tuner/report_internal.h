/* report_internal.h - what the files of the report share. */
#ifndef GDR_REPORT_INTERNAL_H
#define GDR_REPORT_INTERNAL_H

#include "../runtime/backend.h"
#include "report.h"

struct gdr_report {
    gdr_report_options o;
    int out_terminal, err_terminal, colour;
    int line_shown;   /* a progress line stands on the terminal */
    double drawn_s;   /* when; by the monotonic clock */
    gdr_store *store; /* for the configs of defaults */
    const gdr_backend *backend;
    void *here; /* this machine's cpu, or NULL */
};

/* Figures of a winner; NaN when they cannot be told. */
typedef struct gdr_rates {
    double gbps, roofline;
    int is_default;
} gdr_rates;
gdr_rates gdr_rates_of(const gdr_choice_row *choice);

/* This machine's cpu, opened when first asked for; NULL when that fails. */
const gdr_device_info *gdr_report_here(gdr_report *r);

/* "exact", "sibling", or NULL: what results of that device are worth here. */
const char *gdr_report_match(gdr_report *r, const gdr_device_row *device);

#endif
