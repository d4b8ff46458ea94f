/* report_internal.h - what the files of the report share. */
#ifndef GDR_REPORT_INTERNAL_H
#define GDR_REPORT_INTERNAL_H

#include "../runtime/backend.h"
#include "report.h"

enum { GDR_REPORT_KINDS = 4 };

struct gdr_report {
    gdr_report_options o;
    int out_terminal, err_terminal, colour;
    int line_shown;   /* a progress line stands on the terminal */
    double drawn_s;   /* when; by the monotonic clock */
    gdr_store *store; /* for the configs of defaults */
    struct {
        const gdr_backend *backend; /* NULL: not asked for yet */
        void *dev;                  /* NULL: this machine has none */
    } here[GDR_REPORT_KINDS];       /* its first device of each kind */
};

/* Figures of a winner; NaN when they cannot be told. */
typedef struct gdr_rates {
    double gbps, roofline;
    int is_default;
} gdr_rates;
gdr_rates gdr_rates_of(const gdr_choice_row *choice);

/* What this machine's first device of a kind is ("cpu", "cuda"), opened when
 * first asked for; NULL when there is none. */
const gdr_device_info *gdr_report_here(gdr_report *r, const char *kind);

/* "exact", "sibling", or NULL: what results of that device are worth here. */
const char *gdr_report_match(gdr_report *r, const gdr_device_row *device);

#endif
