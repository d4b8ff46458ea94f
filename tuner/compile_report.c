/* compile_report.c - two tables that grow and are printed when they end. JSON
 * takes their place; reasons go to people in either case. */
#include "compile_report.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

static const char chip_columns[] = "lrrrrrrr";
static const char problem_columns[] = "llrrrrrrrrrr";

struct gdr_compile_report {
    gdr_report *report;
    const gdr_report_options *o;
    gdr_columns *chip, *problem; /* NULL until a line is in it */
};

gdr_compile_report *gdr_compile_report_open(gdr_report *r,
                                            const gdr_report_options *o)
{
    gdr_compile_report *c = calloc(1, sizeof *c);

    if (c) {
        c->report = r;
        c->o = o;
    }
    return c;
}

void gdr_compile_report_close(gdr_compile_report *c)
{
    if (!c)
        return;
    gdr_columns_close(c->chip);
    gdr_columns_close(c->problem);
    free(c);
}

/* ---- tables ---- */

static int tables(const gdr_compile_report *c)
{
    return !c->o->json && !c->o->quiet;
}

/* Adds a line, before the first one its head. Without memory: no table. */
static void add(gdr_columns **to, const char *align, const char *const *head,
                const char *const *cells)
{
    if (!*to && gdr_columns_open(align, to) == GDR_OK)
        gdr_columns_row(*to, head);
    if (*to)
        gdr_columns_row(*to, cells);
}

static void print(gdr_compile_report *c, gdr_columns **table, const char *title)
{
    if (!*table)
        return;
    gdr_report_clear(c->report);
    fprintf(c->o->out, "%s\n", title);
    gdr_columns_print(*table, 2, 0, c->o->out);
    fflush(c->o->out);
    gdr_columns_close(*table);
    *table = NULL;
}

enum { CELL = 32 };

static void write_number(char cell[CELL], int64_t number)
{
    snprintf(cell, CELL, "%lld", (long long)number);
}

/* Config, and what is special: the step of several, the default. */
static void write_config(const gdr_compile_row *row, char *out, size_t n)
{
    const gdr_candidate *c = row->candidate;
    int at = snprintf(out, n, "%s", c->config);

    if (c->n_steps > 1 && at < (int)n)
        at +=
            snprintf(out + at, n - (size_t)at, " %s", c->step[row->step].entry);
    if (c->default_max_work && at < (int)n)
        snprintf(out + at, n - (size_t)at, " (default)");
}

static void add_variant(gdr_compile_report *c, const gdr_compile_row *row)
{
    static const char *const head[] = {
        "kernel",  "config", "regs",    "spill",  "stack",     "static",
        "dynamic", "bars",   "threads", "blocks", "occupancy", "KB in flight"};
    const gdr_figures *f = &row->compiled->figures;
    const int64_t number[] = {
        f->registers,  f->spill_bytes,          f->stack_bytes,
        f->smem_bytes, row->dynamic_smem_bytes, f->barriers,
        row->threads,  row->occupancy.blocks};
    enum { NUMBERS = sizeof number / sizeof *number };
    char config[512], cell[NUMBERS + 2][CELL];
    const char *cells[NUMBERS + 4] = {row->candidate->kernel, config};

    write_config(row, config, sizeof config);
    for (int i = 0; i < NUMBERS; i++)
        write_number(cell[i], number[i]);
    snprintf(cell[NUMBERS], CELL, "%.0f %%", 100 * row->occupancy.warps);
    snprintf(cell[NUMBERS + 1], CELL, "%.1f",
             (double)row->in_flight_bytes / 1024);
    for (int i = 0; i < NUMBERS + 2; i++)
        cells[i + 2] = cell[i];
    add(&c->problem, problem_columns, head, cells);
}

static void add_problem(gdr_compile_report *c, const char *problem,
                        const gdr_compile_sum *s)
{
    static const char *const head[] = {"problem",   "variants",    "good",
                                       "refused",   "errors",      "most regs",
                                       "occupancy", "KB in flight"};
    const int64_t number[] = {s->variants, s->good, s->refused, s->errors,
                              s->most_registers};
    enum { NUMBERS = sizeof number / sizeof *number };
    char cell[NUMBERS + 2][CELL];
    const char *cells[NUMBERS + 3] = {problem};

    for (int i = 0; i < NUMBERS; i++)
        write_number(cell[i], number[i]);
    snprintf(cell[NUMBERS], CELL, "%.0f-%.0f %%", 100 * s->least_warps,
             100 * s->most_warps);
    snprintf(cell[NUMBERS + 1], CELL, "%.1f",
             (double)s->most_in_flight_bytes / 1024);
    for (int i = 0; i < NUMBERS + 2; i++)
        cells[i + 1] = cell[i];
    add(&c->chip, chip_columns, head, cells);
}

void gdr_compile_report_problem(gdr_compile_report *c, const gdr_chip *chip,
                                const char *problem, const gdr_compile_sum *sum)
{
    char title[400];

    if (!tables(c))
        return;
    snprintf(title, sizeof title, "%s on %s", problem, chip->arch);
    print(c, &c->problem, title);
    add_problem(c, problem, sum);
}

void gdr_compile_report_chip(gdr_compile_report *c, const gdr_chip *chip)
{
    char title[128];

    snprintf(title, sizeof title, "%s (%s%s)", chip->arch, chip->card,
             chip->untested ? ", untested" : "");
    print(c, &c->chip, title);
}

/* ---- JSON ---- */

static json_t *identify(const gdr_compile_row *row)
{
    json_t *o = json_object();
    const gdr_candidate *c = row->candidate;

    json_object_set_new(o, "problem", gdr_json_text(row->problem));
    json_object_set_new(o, "arch", gdr_json_text(row->compiled->arch));
    json_object_set_new(o, "kernel", gdr_json_text(c->kernel));
    json_object_set_new(o, "config", gdr_json_text(c->config));
    json_object_set_new(o, "entry", gdr_json_text(c->step[row->step].entry));
    json_object_set_new(o, "default", json_boolean(c->default_max_work != 0));
    json_object_set_new(o, "source", gdr_json_text(row->compiled->source));
    json_object_set_new(o, "outcome", gdr_json_text(row->outcome));
    json_object_set_new(o, "reason",
                        gdr_json_text(*row->reason ? row->reason : NULL));
    json_object_set_new(o, "log", gdr_json_text(row->compiled->log));
    json_object_set_new(o, "min_driver",
                        json_integer(row->compiled->figures.min_driver));
    json_object_set_new(o, "code_bytes",
                        json_integer((json_int_t)row->compiled->code_bytes));
    return o;
}

static void add_numbers(json_t *o, const gdr_compile_row *row)
{
    const gdr_figures *f = &row->compiled->figures;
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {{"registers", f->registers},
                   {"spill_bytes", f->spill_bytes},
                   {"stack_bytes", f->stack_bytes},
                   {"smem_bytes", f->smem_bytes},
                   {"dynamic_smem_bytes", row->dynamic_smem_bytes},
                   {"barriers", f->barriers},
                   {"threads", row->threads},
                   {"blocks_per_sm", row->occupancy.blocks},
                   {"in_flight_bytes", row->in_flight_bytes}};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_object_set_new(o, numbers[i].key,
                            f->known ? json_integer(numbers[i].value)
                                     : json_null());
    json_object_set_new(o, "occupancy",
                        f->known ? gdr_json_number(row->occupancy.warps)
                                 : json_null());
    json_object_set_new(o, "limit",
                        gdr_json_text(f->known ? row->occupancy.limit : NULL));
}

static void print_object(gdr_compile_report *c, const gdr_compile_row *row)
{
    json_t *o = identify(row);

    add_numbers(o, row);
    gdr_report_clear(c->report);
    gdr_json_line(o, c->o->out);
}

/* ---- rows ---- */

/* The reason, and where the compiler has more words, its first ones. */
static void say_reason(gdr_compile_report *c, const gdr_compile_row *row)
{
    gdr_report_say(c->report, 0, "%s %s %s %s: %s: %s", row->compiled->arch,
                   row->problem, row->candidate->kernel, row->candidate->config,
                   row->outcome, row->reason);
    gdr_report_say(c->report, 2, "%s", row->compiled->log);
}

void gdr_compile_report_row(gdr_compile_report *c, const gdr_compile_row *row)
{
    if (c->o->json)
        print_object(c, row);
    else if (c->o->verbose && tables(c) && row->compiled->figures.known)
        add_variant(c, row);
    if (strcmp(row->outcome, "ok") != 0)
        say_reason(c, row);
}

void gdr_compile_report_ptx(gdr_compile_report *c, const gdr_compile_row *row)
{
    if (c->o->json)
        print_object(c, row);
    if (strcmp(row->outcome, "ok") != 0)
        say_reason(c, row);
    else
        gdr_report_say(c->report, 2, "%s %s %s %s: PTX of %zu bytes",
                       row->compiled->arch, row->problem,
                       row->candidate->kernel, row->candidate->config,
                       row->compiled->code_bytes);
}
