/*
 * report.c - what gdr-tune says while it works: messages, the progress line, a
 * line or object for each finished problem. Results go to out, words to err.
 */
#include "json.h"
#include "facts.h"
#include "report_internal.h"
#include "text.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

gdr_status gdr_report_open(const gdr_report_options *o, gdr_report **out)
{
    gdr_report *r = *out = calloc(1, sizeof *r);
    if (!r)
        return GDR_ERR_NO_MEMORY;
    r->o = *o;
    r->out_terminal = isatty(fileno(o->out));
    r->err_terminal = isatty(fileno(o->err));
    const char *no_colour = getenv("NO_COLOR"); /* no-color.org: not empty */
    r->colour = r->out_terminal && !(no_colour && *no_colour);
    r->drawn_s = -1;
    return GDR_OK;
}

void gdr_report_close(gdr_report *r)
{
    if (!r)
        return;
    gdr_report_clear(r);
    for (int i = 0; i < GDR_REPORT_KINDS; i++)
        if (r->here[i].dev)
            r->here[i].backend->close(r->here[i].dev);
    free(r);
}

void gdr_report_attach(gdr_report *r, gdr_store *st)
{
    r->store = st;
}

/* ---- progress ---- */

void gdr_report_clear(gdr_report *r)
{
    if (!r->line_shown)
        return;
    fputs("\r\x1b[K", r->o.err);
    fflush(r->o.err);
    r->line_shown = 0;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int terminal_columns(FILE *f)
{
    struct winsize w;
    if (ioctl(fileno(f), TIOCGWINSZ, &w) || w.ws_col == 0)
        return 80;
    return w.ws_col;
}

/* The time left by the rate so far, when nobody knows better. */
static double left_of(const gdr_progress *p)
{
    if (p->left_s >= 0 || p->done <= 0 || p->total < p->done)
        return p->left_s >= 0 ? p->left_s : NAN;
    return p->elapsed_s * (double)(p->total - p->done) / (double)p->done;
}

static void format_progress(const gdr_progress *p, char *out, size_t n)
{
    char best[32], left[32], failures[48] = "";
    gdr_text_time(p->best_ns, best, sizeof best);
    gdr_text_duration(left_of(p), left, sizeof left);
    if (p->failures > 0)
        snprintf(failures, sizeof failures, ", %lld failed",
                 (long long)p->failures);
    snprintf(out, n, "%lld/%lld%s, best %s, %s left, %s %s", (long long)p->done,
             (long long)p->total, failures, best, left,
             p->phase ? p->phase : "", p->problem ? p->problem : "");
}

void gdr_report_progress(gdr_report *r, const gdr_progress *p)
{
    double now = now_s();
    if (!r->err_terminal || r->o.quiet ||
        (r->line_shown && now - r->drawn_s < 0.1))
        return;
    char text[512];
    format_progress(p, text, sizeof text);
    char *clean = gdr_text_clean(text, 0);
    if (!clean)
        return;
    gdr_text_cut(clean, terminal_columns(r->o.err) - 1);
    fprintf(r->o.err, "\r%s\x1b[K", clean);
    fflush(r->o.err);
    free(clean);
    r->line_shown = 1;
    r->drawn_s = now;
}

/* ---- messages ---- */

/* Keeps the line breaks that a message may have; a tab or an escape it may not
 * have. */
static void print_clean(char *text, FILE *f)
{
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        char *clean = gdr_text_clean(line, 0);
        fprintf(f, "%s\n", clean ? clean : "out of memory");
        free(clean);
    }
    fflush(f);
}

void gdr_report_say(gdr_report *r, int level, const char *format, ...)
{
    if ((level == 1 && r->o.quiet) || (level == 2 && !r->o.verbose))
        return;
    char *text = NULL;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    gdr_report_clear(r);
    if (n > 0 && text[n - 1] == '\n')
        text[n - 1] = 0;
    print_clean(text, r->o.err);
    free(text);
}

/* ---- a winner ---- */

gdr_rates gdr_rates_of(const gdr_choice_row *c)
{
    gdr_rates f = {NAN, NAN, 0};
    if (c->time_ns > 0 && c->bytes > 0) {
        f.gbps = c->bytes / c->time_ns; /* bytes per ns */
        if (c->roofline_bytes_per_s > 0)
            f.roofline = f.gbps * 1e9 / c->roofline_bytes_per_s;
    }
    f.is_default = strcmp(c->variant, c->fallback) == 0;
    return f;
}

/* Place of the kind's device among those of here; -1: there is none. */
static int place_of(gdr_report *r, const char *kind)
{
    const gdr_backend *backend = gdr_backend_find(kind, strlen(kind));
    char msg[256];
    int i = 0;

    if (!backend)
        return -1;
    while (i < GDR_REPORT_KINDS && r->here[i].backend &&
           r->here[i].backend != backend)
        i++;
    if (i == GDR_REPORT_KINDS)
        return -1;
    if (!r->here[i].backend) {
        r->here[i].backend = backend;
        if (backend->open("", NULL, &r->here[i].dev, msg, sizeof msg))
            r->here[i].dev = NULL;
    }
    return r->here[i].dev ? i : -1;
}

const gdr_device_info *gdr_report_here(gdr_report *r, const char *kind)
{
    int at = place_of(r, kind);

    return at < 0 ? NULL : r->here[at].backend->info(r->here[at].dev);
}

const char *gdr_report_match(gdr_report *r, const gdr_device_row *d)
{
    const gdr_device_info *info = gdr_report_here(r, d->kind);
    int at = info ? place_of(r, d->kind) : -1;

    if (at < 0)
        return NULL;
    if (strcmp(info->fingerprint, d->fingerprint) == 0)
        return gdr_match_name(GDR_MATCH_EXACT);
    if (strcmp(info->arch, d->arch) == 0 &&
        r->here[at].backend->loadable(r->here[at].dev, d->isa))
        return gdr_match_name(GDR_MATCH_SIBLING);
    return NULL;
}

typedef struct lookup {
    const char *hash;
    char *config; /* malloc'd, or NULL */
} lookup;

static int take_config(void *ctx, const gdr_trial_row *trial,
                       const gdr_variant_row *variant)
{
    lookup *l = ctx;
    (void)trial;
    if (strcmp(variant->hash, l->hash) != 0)
        return 0;
    l->config = strdup(variant->config);
    return 1;
}

/* The default has passed the gate, so that a trial has its config: one of the
 * problem or, while that is still being written, one of its static half. */
static char *default_config(gdr_report *r, const gdr_winner_row *row)
{
    const char *problem = row->choice.problem, *slash = strstr(problem, " / ");
    lookup l = {row->choice.fallback, NULL};
    if (gdr_rates_of(&row->choice).is_default)
        return strdup(row->variant.config);
    if (!r->store)
        return NULL;
    gdr_store_each_trial(r->store, row->device_id, problem, take_config, &l);
    char *statics = slash ? strndup(problem, (size_t)(slash - problem)) : NULL;
    if (!l.config && statics)
        gdr_store_each_trial(r->store, row->device_id, statics, take_config,
                             &l);
    free(statics);
    return l.config;
}

/* What a card has, and a cpu has not. */
static void put_facts(json_t *o, const gdr_facts *f)
{
    if (f->known) {
        json_object_set_new(o, "registers", json_integer(f->registers));
        json_object_set_new(o, "spill_bytes", json_integer(f->spill_bytes));
        json_object_set_new(o, "smem_bytes", json_integer(f->smem_bytes));
    }
    if (f->occupancy > 0)
        json_object_set_new(o, "occupancy", gdr_json_number(f->occupancy));
    if (f->in_flight > 0)
        json_object_set_new(o, "in_flight", json_integer(f->in_flight));
    if (f->eager_ns > 0)
        json_object_set_new(o, "eager_ns", gdr_json_number(f->eager_ns));
}

static void print_object(gdr_report *r, const gdr_winner_row *row)
{
    gdr_facts facts = gdr_facts_of(r->store, row);
    const gdr_choice_row *c = &row->choice;
    gdr_rates f = gdr_rates_of(c);
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"time_ns", c->time_ns},  {"spread", c->spread},
                   {"gain", c->gain},        {"gain_lo", c->gain_lo},
                   {"gain_hi", c->gain_hi},  {"gbps", f.gbps},
                   {"roofline", f.roofline}, {"noise", c->noise},
                   {"bytes", c->bytes},      {"regret", c->regret}};
    json_t *o = json_object();
    char *fallback = default_config(r, row);
    json_object_set_new(o, "problem", gdr_json_text(c->problem));
    json_object_set_new(o, "device", gdr_json_text(row->device.fingerprint));
    json_object_set_new(o, "kernel", gdr_json_text(row->variant.kernel));
    json_object_set_new(o, "config", gdr_json_text(row->variant.config));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_object_set_new(o, numbers[i].key,
                            gdr_json_number(numbers[i].value));
    put_facts(o, &facts);
    json_object_set_new(o, "default", gdr_json_text(fallback));
    json_object_set_new(o, "match",
                        gdr_json_text(gdr_report_match(r, &row->device)));
    json_object_set_new(o, "run", json_integer(c->run));
    free(fallback);
    gdr_json_line(o, r->o.out);
}

static void print_line(gdr_report *r, const gdr_winner_row *row)
{
    gdr_rates f = gdr_rates_of(&row->choice);
    char time[32], gbps[32], gain[48] = "the default", roofline[32];
    gdr_text_time(row->choice.time_ns, time, sizeof time);
    gdr_text_number(f.gbps, 1, " GB/s", gbps, sizeof gbps);
    gdr_text_number(100 * f.roofline, 0, " % of roofline", roofline,
                    sizeof roofline);
    if (!f.is_default)
        gdr_text_number(row->choice.gain, 2, "x the default", gain,
                        sizeof gain);
    gdr_report_say(r, 1, "%s: %s, %s, %s, %s, %s", row->choice.problem,
                   row->variant.config, time, gbps, gain, roofline);
}

void gdr_report_winner(gdr_report *r, const gdr_winner_row *row)
{
    gdr_report_clear(r);
    if (r->o.json)
        print_object(r, row);
    else
        print_line(r, row);
}

void gdr_report_stored(gdr_report *r, const gdr_winner_row *row)
{
    if (r->o.json)
        print_object(r, row);
}

/* ---- a device that only checks ---- */

static void print_checked(gdr_report *r, const gdr_checked *c)
{
    json_t *o = json_object(), *list = json_array();

    for (int64_t i = 0; i < c->variants - c->clean; i++) {
        json_t *f = json_object();
        json_object_set_new(f, "kernel", gdr_json_text(c->failed[i].kernel));
        json_object_set_new(f, "config", gdr_json_text(c->failed[i].config));
        json_object_set_new(f, "outcome", gdr_json_text(c->failed[i].outcome));
        json_object_set_new(f, "note", gdr_json_text(c->failed[i].note));
        json_array_append_new(list, f);
    }
    json_object_set_new(o, "problem", gdr_json_text(c->statics));
    json_object_set_new(o, "device", gdr_json_text(c->device));
    json_object_set_new(o, "variants", json_integer(c->variants));
    json_object_set_new(o, "clean", json_integer(c->clean));
    json_object_set_new(o, "failed", list);
    gdr_json_line(o, r->o.out);
}

void gdr_report_checked(gdr_report *r, const gdr_checked *c)
{
    gdr_report_clear(r);
    if (r->o.json) {
        print_checked(r, c);
        return;
    }
    gdr_report_say(r, 1, "%s: %lld variants, %lld clean, %lld failed",
                   c->statics, (long long)c->variants, (long long)c->clean,
                   (long long)(c->variants - c->clean));
    for (int64_t i = 0; i < c->variants - c->clean; i++)
        gdr_report_say(r, 0, "    %s %s: %s: %s", c->failed[i].kernel,
                       c->failed[i].config, c->failed[i].outcome,
                       c->failed[i].note);
}
