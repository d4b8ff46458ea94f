/* show.c - the table of winners. */
#include "columns.h"
#include "facts.h"
#include "report_internal.h"
#include "text.h"
#include "winners.h"
#include <stdlib.h>
#include <string.h>

typedef struct table {
    gdr_report *report;
    const char *only;
    gdr_columns *columns; /* NULL for JSON */
    char *heading;        /* of the last group */
    int cards; /* some winner has what only cards have: columns for that */
    int64_t n;
    gdr_status status;
} table;

/* The length of a problem's static half: what a group has in common. */
static int statics_length(const char *problem)
{
    const char *slash = strstr(problem, " / ");
    return (int)(slash ? slash - problem : (long)strlen(problem));
}

/* A new heading wherever the device or the static half changes. */
static gdr_status add_heading(table *t, const gdr_winner_row *row)
{
    static const char *const names[] = {"extents", "config",   "time", "GB/s",
                                        "gain",    "roofline", "match"};
    static const char *const of_cards[] = {
        "extents",   "config",    "time",         "GB/s",  "gain", "roofline",
        "registers", "occupancy", "KB in flight", "eager", "match"};
    char *text = NULL;
    if (asprintf(&text, "%.*s on %s (%s)", statics_length(row->choice.problem),
                 row->choice.problem, row->device.name, row->device.kind) < 0)
        return GDR_ERR_NO_MEMORY;
    if (t->heading && strcmp(t->heading, text) == 0) {
        free(text);
        return GDR_OK;
    }
    gdr_status status = GDR_OK;
    if (t->heading)
        status = gdr_columns_heading(t->columns, "");
    if (status == GDR_OK)
        status = gdr_columns_heading(t->columns, text);
    if (status == GDR_OK)
        status = gdr_columns_row(t->columns, t->cards ? of_cards : names);
    free(t->heading);
    t->heading = text;
    return status;
}

/* With the columns of cards, "-" where there is nothing. */
static gdr_status add_card_row(table *t, const gdr_winner_row *row,
                               const char *const cells[7])
{
    gdr_facts f = gdr_facts_of(t->report->store, row);
    char registers[24] = "-", occupancy[24] = "-", flying[24] = "-";
    char eager[32] = "-";
    if (f.known)
        snprintf(registers, sizeof registers, "%lld", (long long)f.registers);
    if (f.occupancy > 0)
        snprintf(occupancy, sizeof occupancy, "%.0f %%", 100 * f.occupancy);
    if (f.in_flight > 0)
        snprintf(flying, sizeof flying, "%.1f", (double)f.in_flight / 1024);
    if (f.eager_ns > 0)
        gdr_text_time(f.eager_ns, eager, sizeof eager);
    const char *all[] = {cells[0], cells[1], cells[2],  cells[3],
                         cells[4], cells[5], registers, occupancy,
                         flying,   eager,    cells[6]};
    return gdr_columns_row(t->columns, all);
}

/* A bundle of few codes does not have the fastest for all. */
static void write_match(gdr_report *r, const gdr_winner_row *row, char *out,
                        size_t n)
{
    const char *match = gdr_report_match(r, &row->device);
    int at = snprintf(out, n, "%s", match ? match : "-");
    if (row->choice.regret > 0)
        snprintf(out + at, n - (size_t)at, ", %.1f %% slower than the fastest",
                 100 * row->choice.regret);
}

static gdr_status add_row(table *t, const gdr_winner_row *row)
{
    gdr_rates f = gdr_rates_of(&row->choice);
    const char *extents =
        row->choice.problem + statics_length(row->choice.problem);
    char time[32], gbps[32], gain[32] = "default", roofline[32];
    gdr_text_time(row->choice.time_ns, time, sizeof time);
    gdr_text_number(f.gbps, 1, "", gbps, sizeof gbps);
    gdr_text_number(100 * f.roofline, 0, " %", roofline, sizeof roofline);
    if (!f.is_default)
        gdr_text_number(row->choice.gain, 2, "x", gain, sizeof gain);
    char match[64];
    write_match(t->report, row, match, sizeof match);
    const char *cells[] = {*extents ? extents + 3 : "",
                           row->variant.config,
                           time,
                           gbps,
                           gain,
                           roofline,
                           match};
    return t->cards ? add_card_row(t, row, cells)
                    : gdr_columns_row(t->columns, cells);
}

static int any_facts(const gdr_report *r, const gdr_winners *w)
{
    for (int64_t i = 0; i < w->n; i++) {
        gdr_facts f = gdr_facts_of(r->store, &w->winner[i].row);
        if (gdr_facts_any(&f))
            return 1;
    }
    return 0;
}

static gdr_status print_table(gdr_report *r, const gdr_winners *w)
{
    table t = {.report = r, .cards = any_facts(r, w)};
    gdr_status status =
        gdr_columns_open(t.cards ? "llrrrrrrrrl" : "llrrrrl", &t.columns);
    for (int64_t i = 0; i < w->n && status == GDR_OK; i++) {
        status = add_heading(&t, &w->winner[i].row);
        if (status == GDR_OK)
            status = add_row(&t, &w->winner[i].row);
    }
    if (status == GDR_OK)
        gdr_columns_print(t.columns, 2, r->colour, r->o.out);
    fflush(r->o.out);
    gdr_columns_close(t.columns);
    free(t.heading);
    return status;
}

/* Configs and names have no quotes in them; problems have no commas. */
static void print_csv(gdr_report *r, const gdr_winners *w)
{
    fputs("problem,device,kernel,config,time_us,spread,gain,eager_us,"
          "gb_per_s,copy_gb_per_s,percent_of_copy,registers,occupancy,"
          "kb_in_flight\n",
          r->o.out);
    for (int64_t i = 0; i < w->n; i++) {
        const gdr_winner_row *row = &w->winner[i].row;
        gdr_facts f = gdr_facts_of(r->store, row);
        gdr_rates rate = gdr_rates_of(&row->choice);
        fprintf(r->o.out,
                "%s,\"%s\",%s,%s,%.3f,%.4f,%.3f,%.3f,%.1f,%.1f,%.1f,%lld,"
                "%.2f,%.1f\n",
                row->choice.problem, row->device.name, row->variant.kernel,
                row->variant.config, row->choice.time_ns / 1e3,
                row->choice.spread, row->choice.gain, f.eager_ns / 1e3,
                rate.gbps, row->choice.roofline_bytes_per_s / 1e9,
                100 * rate.roofline, (long long)f.registers, f.occupancy,
                (double)f.in_flight / 1024);
    }
}

gdr_status gdr_report_show(gdr_report *r, gdr_store *st, const char *only,
                           int64_t *n)
{
    gdr_winners w;
    gdr_status status = gdr_winners_load(st, only, &w);
    gdr_store *attached = r->store;
    gdr_report_attach(r, st);
    gdr_report_clear(r);
    if (status == GDR_OK && w.n == 0)
        gdr_report_say(r, 1, "nothing is tuned yet: run gdr-tune");
    else if (status == GDR_OK && r->o.csv)
        print_csv(r, &w);
    else if (status == GDR_OK && !r->o.json)
        status = print_table(r, &w);
    for (int64_t i = 0; status == GDR_OK && r->o.json && i < w.n; i++)
        gdr_report_winner(r, &w.winner[i].row);
    gdr_report_attach(r, attached);
    *n = w.n;
    gdr_winners_free(&w);
    return status;
}
