/* explain_print.c - an explanation as text and as JSON. */
#include "explain_internal.h"
#include "facts.h"
#include "race.h"
#include "text.h"
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* What a match means, for people, and whether tuning would better it. */
static const struct {
    const char *means;
    int best;
} meanings[] = {
    [GDR_MATCH_EXACT] = {"tuned on this machine for these extents", 1},
    [GDR_MATCH_NEAR] = {"tuned on this machine for extents around these", 0},
    [GDR_MATCH_EDGE] = {"tuned on this machine, but for other extents", 0},
    [GDR_MATCH_SIBLING] =
        {"tuned on a machine of this kind, with other threads or caches", 0},
    [GDR_MATCH_DEFAULT] = {"a default, correct but not tuned", 0},
    [GDR_MATCH_PTX] = {"a default that the driver compiles", 0},
    [GDR_MATCH_GENERIC] = {"nothing is tuned: the plain kernel of libgdr", 0},
};

static const char *why_not(const gdr_explanation *e, const gdr_entry *t)
{
    static const char *const stages[] = {
        [GDR_RACE_SCREENED] = "slower: out after the screening",
        [GDR_RACE_HALVED] = "slower: out after halving",
        [GDR_RACE_FINALIST] = "slower in the final"};
    const gdr_choice_row *c = &e->winner->row.choice;
    int is_default = strcmp(t->hash, c->fallback) == 0;
    if (strcmp(t->hash, c->variant) == 0)
        return is_default ? "the winner: nothing beat this default beyond noise"
                          : "the winner";
    if (is_default)
        return "the default: slower";
    if (t->stage == GDR_RACE_FINALIST &&
        t->ratio <= 1 + fmax(0.005, 2 * c->noise))
        return "as fast, within noise";
    return t->stage >= 0 && t->stage <= GDR_RACE_FINALIST ? stages[t->stage]
                                                          : "slower";
}

/* An interval this wide says that the machine was busy, or the variant odd. */
static int suspicious(const gdr_entry *t)
{
    return !(t->spread <= 0.1);
}

/* ---- for people ---- */

static gdr_status pair(gdr_columns *c, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static gdr_status pair(gdr_columns *c, const char *key, const char *format, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0)
        return GDR_ERR_NO_MEMORY;
    gdr_status status = gdr_columns_row(c, (const char *[]){key, text});
    free(text);
    return status;
}

/* What a card's compiler said, and what a launch costs without a graph. */
static gdr_status add_facts(const gdr_explanation *e, gdr_columns *c)
{
    gdr_facts f = gdr_facts_of(e->r->store, &e->winner->row);
    char time[32], spills[48] = "";
    gdr_status s = GDR_OK;

    if (f.spill_bytes)
        snprintf(spills, sizeof spills, " (%lld bytes spilled)",
                 (long long)f.spill_bytes);
    if (f.known)
        s = pair(c, "block", "%lld registers a thread%s, %.1f KB shared",
                 (long long)f.registers, spills, (double)f.smem_bytes / 1024);
    if (s == GDR_OK && f.occupancy > 0)
        s = pair(c, "occupancy", "%.0f %%, %.1f KB in flight on an SM",
                 100 * f.occupancy, (double)f.in_flight / 1024);
    gdr_text_time(f.eager_ns, time, sizeof time);
    if (s == GDR_OK && f.eager_ns > 0)
        s = pair(c, "eager", "%s launched one by one, without a graph", time);
    return s;
}

static gdr_status add_figures(const gdr_explanation *e, gdr_columns *c)
{
    const gdr_choice_row *row = &e->winner->row.choice;
    gdr_rates f = gdr_rates_of(row);
    char time[32], gbps[32], roofline[32];
    const gdr_entry *fallback = gdr_field_find(&e->field, row->fallback);
    gdr_text_time(row->time_ns, time, sizeof time);
    gdr_text_number(f.gbps, 1, " GB/s", gbps, sizeof gbps);
    gdr_text_number(100 * f.roofline, 0, " %", roofline, sizeof roofline);
    gdr_status s = pair(c, "time", "%s +- %.1f %%, %s, %s of the roofline",
                        time, 100 * row->spread, gbps, roofline);
    if (s == GDR_OK && !f.is_default)
        s = pair(c, "gain", "%.2fx the default%s%s (95 %%: %.2fx to %.2fx)",
                 row->gain, fallback ? " " : "",
                 fallback ? fallback->config : "", row->gain_lo, row->gain_hi);
    if (s == GDR_OK && f.is_default)
        s = pair(c, "gain", "none: it is the default");
    if (s == GDR_OK)
        s = pair(c, "noise",
                 "two runs of the same code differ by up to %.1f %%",
                 100 * row->noise);
    return s == GDR_OK ? add_facts(e, c) : s;
}

/* The command that tunes this call into this database. */
static void remedy(const gdr_explanation *e, char *text, size_t n)
{
    const char *quote = e->db ? "'" : "";
    snprintf(text, n, "gdr-tune%s%s%s%s --only '%s'", e->db ? " --db " : "",
             quote, e->db ? e->db : "", quote, e->text);
}

static gdr_status add_plan(const gdr_explanation *e, gdr_columns *c)
{
    const gdr_plan_info *info = &e->a.info;
    const char *fingerprint = gdr_device_fingerprint(e->a.dev);
    char kind[16], better[PATH_MAX + 256];
    const gdr_device_info *here;
    gdr_status s = gdr_columns_heading(c, e->text);
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(fingerprint, ":"),
             fingerprint);
    here = gdr_report_here(e->r, kind);
    if (s == GDR_OK)
        s = pair(c, "device", "%s",
                 here && !e->r->o.verbose &&
                         !strcmp(here->fingerprint, fingerprint)
                     ? here->name
                     : fingerprint);
    if (s == GDR_OK)
        s = pair(c, "plan", "%s%s%s", info->kernel ? info->kernel : "",
                 info->config && *info->config ? " " : "",
                 info->config ? info->config : "");
    if (s == GDR_OK)
        s = pair(c, "match", "%s: %s", gdr_match_name(info->match),
                 meanings[info->match].means);
    if (s == GDR_OK && info->problem && *info->problem &&
        strcmp(info->problem, e->text) != 0)
        s = pair(c, "tuned as", "%s", info->problem);
    if (s == GDR_OK && e->r->o.verbose && info->run && *info->run)
        s = pair(c, "made by", "%s", info->run);
    if (s == GDR_OK && e->winner)
        s = add_figures(e, c);
    if (s == GDR_OK && info->workspace_bytes)
        s = pair(c, "workspace", "%zu bytes", info->workspace_bytes);
    if (s == GDR_OK && !meanings[info->match].best) {
        remedy(e, better, sizeof better);
        s = pair(c, "better", "%s", better);
    }
    return s;
}

static gdr_status print_plan(const gdr_explanation *e)
{
    gdr_columns *c;
    gdr_status status = gdr_columns_open("ll", &c);
    if (status == GDR_OK)
        status = add_plan(e, c);
    if (status == GDR_OK)
        gdr_columns_print(c, 2, e->r->colour, e->r->o.out);
    gdr_columns_close(c);
    return status;
}

static gdr_status add_timed(const gdr_explanation *e, gdr_columns *c,
                            const gdr_entry *t)
{
    char ratio[32], time[32], spread[32], why[96];
    gdr_text_number(t->ratio, 3, "", ratio, sizeof ratio);
    gdr_text_time(t->time_ns, time, sizeof time);
    gdr_text_number(100 * t->spread, 1, " %", spread, sizeof spread);
    snprintf(why, sizeof why, "%s%s", why_not(e, t),
             suspicious(t) ? "; suspicious spread" : "");
    return gdr_columns_row(
        c, (const char *[]){ratio, time, spread, t->config, why});
}

static gdr_status print_timed(const gdr_explanation *e)
{
    enum { SHORT = 20 };
    const gdr_field *f = &e->field;
    int64_t most = e->r->o.verbose || f->n_timed <= SHORT ? f->n_timed : SHORT;
    gdr_columns *c;
    if (!e->winner || f->n_timed == 0)
        return GDR_OK;
    gdr_status s = gdr_columns_open("rrrll", &c);
    if (s == GDR_OK)
        s = gdr_columns_heading(c, "The race");
    if (s == GDR_OK)
        s = gdr_columns_row(c, (const char *[]){"ratio", "time", "spread",
                                                "config", "what became of it"});
    for (int64_t i = 0; i < most && s == GDR_OK; i++)
        s = add_timed(e, c, &f->entry[i]);
    if (s == GDR_OK) {
        fputc('\n', e->r->o.out);
        gdr_columns_print(c, 2, e->r->colour, e->r->o.out);
    }
    if (s == GDR_OK && most < f->n_timed)
        fprintf(e->r->o.out, "  and %lld slower ones (--verbose lists them)\n",
                (long long)(f->n_timed - most));
    gdr_columns_close(c);
    return s;
}

static gdr_status print_failed(const gdr_explanation *e)
{
    const gdr_field *f = &e->field;
    gdr_columns *c;
    if (f->n_timed == f->n)
        return GDR_OK;
    gdr_status s = gdr_columns_open("lll", &c);
    if (s == GDR_OK)
        s = gdr_columns_heading(c, "Failed");
    for (int64_t i = f->n_timed; i < f->n && s == GDR_OK; i++) {
        const gdr_entry *t = &f->entry[i];
        s = gdr_columns_row(c,
                            (const char *[]){t->outcome, t->config, t->note});
    }
    if (s == GDR_OK) {
        fputc('\n', e->r->o.out);
        gdr_columns_print(c, 2, e->r->colour, e->r->o.out);
    }
    gdr_columns_close(c);
    return s;
}

gdr_status gdr_explanation_print(const gdr_explanation *e)
{
    gdr_status s = print_plan(e);
    if (s == GDR_OK)
        s = print_timed(e);
    if (s == GDR_OK)
        s = print_failed(e);
    if (s == GDR_OK && e->n_pruned) {
        fputc('\n', e->r->o.out);
        gdr_columns_print(e->pruned, 2, e->r->colour, e->r->o.out);
    }
    if (s == GDR_OK && e->winner && e->field.n_passed)
        fprintf(e->r->o.out,
                "\n%lld more are correct and were not timed here\n",
                (long long)e->field.n_passed);
    fflush(e->r->o.out);
    return s;
}

/* ---- for programs ---- */

static json_t *plan_object(const gdr_explanation *e)
{
    const gdr_plan_info *info = &e->a.info;
    json_t *o = json_object();
    json_object_set_new(o, "kernel", gdr_json_text(info->kernel));
    json_object_set_new(o, "config", gdr_json_text(info->config));
    json_object_set_new(o, "match", gdr_json_text(gdr_match_name(info->match)));
    json_object_set_new(o, "tuned", gdr_json_text(info->problem));
    json_object_set_new(o, "reduction", gdr_json_text(info->reduction));
    json_object_set_new(
        o, "time_ns", gdr_json_number(info->time_ns > 0 ? info->time_ns : NAN));
    json_object_set_new(o, "workspace_bytes",
                        json_integer((json_int_t)info->workspace_bytes));
    return o;
}

static json_t *timed_array(const gdr_explanation *e)
{
    json_t *list = json_array();
    for (int64_t i = 0; e->winner && i < e->field.n_timed; i++) {
        const gdr_entry *t = &e->field.entry[i];
        json_t *o = json_object();
        json_object_set_new(o, "kernel", gdr_json_text(t->kernel));
        json_object_set_new(o, "config", gdr_json_text(t->config));
        json_object_set_new(o, "ratio", gdr_json_number(t->ratio));
        json_object_set_new(o, "time_ns", gdr_json_number(t->time_ns));
        json_object_set_new(o, "spread", gdr_json_number(t->spread));
        json_object_set_new(o, "stage", json_integer((json_int_t)t->stage));
        json_object_set_new(o, "suspicious", json_boolean(suspicious(t)));
        json_object_set_new(o, "why", gdr_json_text(why_not(e, t)));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *failed_array(const gdr_explanation *e)
{
    json_t *list = json_array();
    for (int64_t i = e->field.n_timed; i < e->field.n; i++) {
        const gdr_entry *t = &e->field.entry[i];
        json_t *o = json_object();
        json_object_set_new(o, "kernel", gdr_json_text(t->kernel));
        json_object_set_new(o, "config", gdr_json_text(t->config));
        json_object_set_new(o, "outcome", gdr_json_text(t->outcome));
        json_object_set_new(o, "note", gdr_json_text(t->note));
        json_array_append_new(list, o);
    }
    return list;
}

void gdr_explanation_print_json(const gdr_explanation *e)
{
    gdr_match match = e->a.info.match;
    json_t *o = json_object();
    char better[PATH_MAX + 256] = "";
    if (!meanings[match].best)
        remedy(e, better, sizeof better);
    json_object_set_new(o, "problem", gdr_json_text(e->text));
    json_object_set_new(o, "device",
                        gdr_json_text(gdr_device_fingerprint(e->a.dev)));
    json_object_set_new(o, "plan", plan_object(e));
    json_object_set_new(o, "note", gdr_json_text(meanings[match].means));
    json_object_set_new(o, "remedy",
                        *better ? gdr_json_text(better) : json_null());
    json_object_set_new(o, "trials", timed_array(e));
    json_object_set_new(o, "failed", failed_array(e));
    json_object_set(o, "pruned", e->pruned_json);
    gdr_json_line(o, e->r->o.out);
}
