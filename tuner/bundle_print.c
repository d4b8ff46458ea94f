/* bundle_print.c - see bundle_print.h. */
#include "bundle_print.h"
#include "json.h"
#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    gdr_text_line(stdout, "", format, args);
    va_end(args);
}

void gdr_bundle_print_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    gdr_text_line(stderr, "gdr-bundle: ", format, args);
    va_end(args);
}

void gdr_bundle_print_sum(const char *path, const gdr_bundle_sum *s, int json)
{
    json_t *o;

    if (!json) {
        printf("%s: %u plans, %u codes, %.1f KiB, ", path, (unsigned)s->plans,
               (unsigned)s->codes, (double)s->bytes / 1024);
        if (*s->table)
            printf("extern const gdr_embedded %s;\n", s->table);
        else
            printf("digest %.16s\n", s->digest);
        if (s->slower)
            printf("%u of %u tuned places have a plan that is slower than the "
                   "fastest, by %.1f %% at most\n",
                   (unsigned)s->slower, (unsigned)s->tuned, 100 * s->regret);
        if (s->absent)
            printf("%d static problems that were asked for are not in it; the "
                   "first: %s\n",
                   s->absent, s->first_absent);
        return;
    }
    o = json_object();
    json_object_set_new(o, "file", gdr_json_text(path));
    json_object_set_new(o, "plans", json_integer(s->plans));
    json_object_set_new(o, "codes", json_integer(s->codes));
    json_object_set_new(o, "tuned", json_integer(s->tuned));
    json_object_set_new(o, "slower", json_integer(s->slower));
    json_object_set_new(o, "regret", json_real(s->regret));
    json_object_set_new(o, "absent", json_integer(s->absent));
    json_object_set_new(o, "bytes", json_integer((json_int_t)s->bytes));
    if (*s->table)
        json_object_set_new(o, "table", gdr_json_text(s->table));
    else
        json_object_set_new(o, "digest", gdr_json_text(s->digest));
    gdr_json_line(o, stdout);
}

void gdr_bundle_print_trial(void *ctx, const gdr_bundle_trial *t)
{
    const int *json = ctx;
    json_t *o;

    if (!*json) {
        if (strcmp(t->outcome, "ok") != 0)
            say("%s on %s: %s %s: %s: %s", t->outcome, t->device, t->kernel,
                t->config, t->statics, t->note);
        else
            say("ok on %s: %s %s: %s: error %.2f of its bound", t->device,
                t->kernel, t->config, t->statics,
                t->error_o > t->error_s ? t->error_o : t->error_s);
        return;
    }
    o = json_object();
    json_object_set_new(o, "device", gdr_json_text(t->device));
    json_object_set_new(o, "problem", gdr_json_text(t->statics));
    json_object_set_new(o, "kernel", gdr_json_text(t->kernel));
    json_object_set_new(o, "config", gdr_json_text(t->config));
    json_object_set_new(o, "outcome", gdr_json_text(t->outcome));
    json_object_set_new(o, "note", gdr_json_text(t->note));
    json_object_set_new(o, "error_o", gdr_json_number(t->error_o));
    json_object_set_new(o, "error_s", gdr_json_number(t->error_s));
    gdr_json_line(o, stdout);
}

void gdr_bundle_print_trials(const gdr_bundle_trials *t, int json)
{
    json_t *o;

    if (!json) {
        printf("%d codes: %d checks, %d failed; %d codes that no device here "
               "can run\n",
               t->codes, t->ran, t->failed, t->idle);
        return;
    }
    o = json_object();
    json_object_set_new(o, "codes", json_integer(t->codes));
    json_object_set_new(o, "checks", json_integer(t->ran));
    json_object_set_new(o, "failed", json_integer(t->failed));
    json_object_set_new(o, "idle", json_integer(t->idle));
    gdr_json_line(o, stdout);
}

void gdr_bundle_print_change(void *ctx, const gdr_bundle_change *c)
{
    const int *json = ctx;
    const char *mark = !c->before ? "+" : !c->after ? "-" : "~";
    char work[64] = "";
    json_t *o;

    if (c->max_work == INT64_MAX)
        snprintf(work, sizeof work, " (default)");
    else if (c->max_work > 0)
        snprintf(work, sizeof work, " (default up to B*T*Hv = %" PRId64 ")",
                 c->max_work);
    if (!*json) {
        say("%s %s%s on %.80s: %s%s%s%s", mark, c->problem, work, c->device,
            c->before ? c->before : c->after,
            c->before && c->after ? " -> " : "",
            c->before && c->after ? c->after : "",
            c->same_config ? " (other code)" : "");
        return;
    }
    o = json_object();
    json_object_set_new(o, "device", gdr_json_text(c->device));
    json_object_set_new(o, "problem", gdr_json_text(c->problem));
    json_object_set_new(o, "max_work", json_integer((json_int_t)c->max_work));
    json_object_set_new(o, "before", gdr_json_text(c->before));
    json_object_set_new(o, "after", gdr_json_text(c->after));
    gdr_json_line(o, stdout);
}
