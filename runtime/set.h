/*
 * set.h - all plans of one static problem on one device: gdr_set of gdr.h, from
 * rows instead of a database handle.
 */
#ifndef GDR_SET_H
#define GDR_SET_H

#include "misses.h"
#include "table.h"

/* What became of a code: neither is not tried yet. */
typedef struct gdr_attempt {
    gdr_recipe *recipe; /* loaded */
    char *why;          /* it does not load; malloc'd */
} gdr_attempt;

struct gdr_set {
    /* what a find needs, in one line of memory */
    gdr_table *table;
    gdr_recipe **recipe; /* [n]: plans of one code share one */
    gdr_misses *misses;
    gdr_match worst, rung;
    uint32_t n; /* plans: 1 for the generic kernel */

    const gdr_rows *rows;
    const gdr_backend *backend;
    void *dev;
    gdr_static s;
    const char *reduction;   /* the id that all plans have; NULL: any */
    const gdr_entry **entry; /* [n]; NULL for the generic kernel */
    gdr_attempt *attempt;    /* [rows->n_codes] */
    gdr_recipe *generic;     /* NULL: it does not serve */
};

/*
 * Takes the best rung that has an entry whose code loads, and loads all of it
 * now, each code once: find never loads. Rows and device must outlive the set;
 * the options need not.
 *
 * GDR_ERR_NO_PLAN when nothing at least as good as `worst` is there; msg says
 * what was tried, with the gdr-tune command that mends it.
 */
gdr_status gdr_set_open(const gdr_rows *rows, const gdr_backend *backend,
                        void *dev, const gdr_static *s,
                        const gdr_select_options *options, gdr_set **out,
                        char *msg, size_t n);

/* One row that was considered for a call. */
typedef struct gdr_contender {
    const gdr_entry *entry; /* NULL: the generic kernel */
    gdr_match match;        /* what it would be, if it served */
    double octaves;         /* tuned rows: how far away, T counting double */
    int chosen;             /* the one that gdr_set_find returns */
    const char *why;        /* why it is chosen, or why not */
} gdr_contender;

/* It returns 0 to go on, else stops. The texts live until it returns. */
typedef int (*gdr_contender_fn)(void *ctx, const gdr_contender *c);

/* Every row of the set's static problem, best first, those that cannot serve
 * last. GDR_ERR_ARG for extents that no call may have. */
gdr_status gdr_set_explain(const gdr_set *set, const gdr_extents *x,
                           gdr_contender_fn fn, void *ctx);

#endif
