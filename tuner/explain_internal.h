/* explain_internal.h - what explain gathers, and how it is printed. */
#ifndef GDR_EXPLAIN_INTERNAL_H
#define GDR_EXPLAIN_INTERNAL_H

#include "columns.h"
#include "field.h"
#include "json.h"
#include "report_internal.h"
#include "winners.h"

/* The answer of libgdr; close gives everything back. */
typedef struct gdr_answer {
    gdr *g;
    gdr_device *dev;
    gdr_set *set;
    gdr_plan_info info;
} gdr_answer;

typedef struct gdr_explanation {
    gdr_report *r;
    const gdr_problem *problem;
    gdr_answer a;
    char text[GDR_PROBLEM_TEXT];
    const char *db; /* NULL: where gdr-tune writes when not told */
    gdr_winners winners;
    const gdr_winner *winner; /* of the race behind the plan, or NULL */
    gdr_field field;
    gdr_columns *pruned; /* for people */
    json_t *pruned_json; /* for programs */
    int64_t n_pruned;
    gdr_status status;
} gdr_explanation;

gdr_status gdr_explanation_print(const gdr_explanation *e);
void gdr_explanation_print_json(const gdr_explanation *e);

#endif
