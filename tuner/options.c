/* options.c - one table of names, one of what each does with its argument. */
#include "options.h"
#include "agenda.h"
#include "race.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char gdr_options_help[] =
    "usage: gdr-tune [options]                  tune this machine\n"
    "       gdr-tune show                       the winners\n"
    "       gdr-tune explain PROBLEM            which plan a call gets\n"
    "       gdr-tune expand PROBLEM [CONFIG]    the generated source\n"
    "       gdr-tune shapes                     lists and their problems\n"
    "\n"
    "  --device auto|cpu|N   what to tune for (auto); 0,1 or all: several "
    "cards;\n"
    "                        emu:sm_90a: check kernels with no card\n"
    "  --shapes NAME|FILE    list of problems, repeatable (qwen3.5)\n"
    "  --only PROBLEM        only this one; a static text filters the "
    "list\n"
    "  --from-misses FILE    what engines asked for and did not find tuned\n"
    "  --db FILE             database ($GDR_DB, else "
    "~/.local/share/gdr/gdr.db)\n"
    "  --budget SECONDS      time for all of it, shared out evenly\n"
    "  --effort LEVEL        quick, measure or exhaustive (measure)\n"
    "  --jobs N              compilers and checks at once (all threads)\n"
    "  --seed N              of data and order (1)\n"
    "  --fresh               ignore what earlier runs found\n"
    "  --dry-run             say what would be done\n"
    "  --check-only          check every variant, time nothing\n"
    "  --compile-only        compile everything for cards that need not be "
    "here\n"
    "  --arch sm_NN,...      which ones (sm_75 to sm_120a)\n"
    "  --templates DIR       files here replace the ones in the program\n"
    "  --json                results as JSON lines on stdout\n"
    "  --csv                 show: the winners as CSV\n"
    "  --quiet, --verbose    less, more\n"
    "  --help, --version\n"
    "\n"
    "A problem reads: recurrent:final:vk:bf16/f32:k128v128:l2norm:g / "
    "b1t1hk16hv32\n"
    "Exit code: 0 every problem has a winner (--compile-only: and nothing "
    "was\n"
    "refused), 1 some have none, 2 usage or environment, 130 interrupted (what "
    "was finished is kept).\n";

typedef struct reader {
    gdr_options *o;
    char *msg;
    size_t n;
} reader;

__attribute__((format(printf, 2, 3))) static gdr_status
refuse(const reader *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(r->msg, r->n, format, args);
    va_end(args);
    return GDR_ERR_ARG;
}

/* ---- what an argument must be ---- */

/* A number of [least, most]; 0 when text is anything else. */
static int read_number(const char *text, double least, double most, double *x)
{
    char *end;

    errno = 0;
    *x = strtod(text, &end);
    return end != text && !*end && !errno && *x >= least && *x <= most;
}

static int read_whole(const char *text, double least, double most, int64_t *x)
{
    double number;

    if (!read_number(text, least, most, &number))
        return 0;
    *x = (int64_t)number;
    return (double)*x == number;
}

static gdr_status take_text(reader *r, const char **list, int *n,
                            const char *text)
{
    if (*n == GDR_OPTIONS_TEXTS)
        return refuse(r, "more than %d of one option", GDR_OPTIONS_TEXTS);
    list[(*n)++] = text;
    return GDR_OK;
}

/* ---- one function per option that can go wrong ---- */

static gdr_status take_shapes(reader *r, const char *arg)
{
    return take_text(r, r->o->shapes, &r->o->tune.n_shapes, arg);
}

static gdr_status take_only(reader *r, const char *arg)
{
    return take_text(r, r->o->only, &r->o->tune.n_only, arg);
}

static gdr_status take_budget(reader *r, const char *arg)
{
    if (read_number(arg, 1e-3, 1e9, &r->o->tune.budget_s))
        return GDR_OK;
    return refuse(r, "--budget '%s': a number of seconds is needed", arg);
}

static gdr_status take_jobs(reader *r, const char *arg)
{
    int64_t jobs;

    if (!read_whole(arg, 1, 1024, &jobs))
        return refuse(r, "--jobs '%s': 1 to 1024 is needed", arg);
    r->o->tune.jobs = (int)jobs;
    return GDR_OK;
}

static gdr_status take_share(reader *r, const char *arg)
{
    gdr_tune_options *o = &r->o->tune;
    int end = 0;

    if (sscanf(arg, "%d/%d%n", &o->share, &o->shares, &end) == 2 && !arg[end] &&
        o->share >= 0 && o->share < o->shares && o->shares <= GDR_AGENDA_SHARES)
        return GDR_OK;
    return refuse(r, "--share '%s': I/N is needed, I less than N", arg);
}

static gdr_status take_seed(reader *r, const char *arg)
{
    if (read_whole(arg, 0, 9e15, &r->o->tune.seed))
        return GDR_OK;
    return refuse(r, "--seed '%s': a whole number is needed", arg);
}

static gdr_status take_effort(reader *r, const char *arg)
{
    gdr_race_options known;

    r->o->tune.effort = arg;
    if (gdr_race_effort(arg, &known))
        return GDR_OK;
    return refuse(r, "--effort '%s': quick, measure or exhaustive", arg);
}

/* ---- the table ---- */

/* What an option does: sets a flag or a text at an offset, or calls. */
typedef struct rule {
    const char *name;
    int has_arg;
    size_t flag; /* offset of an int that becomes 1; 0: none */
    size_t text; /* offset of a const char * that becomes arg; 0: none */
    gdr_status (*take)(reader *r, const char *arg);
} rule;

static const rule rules[] = {
    {"device", 1, 0, offsetof(gdr_options, tune.device), NULL},
    {"shapes", 1, 0, 0, take_shapes},
    {"only", 1, 0, 0, take_only},
    {"from-misses", 1, 0, offsetof(gdr_options, tune.misses), NULL},
    {"db", 1, 0, offsetof(gdr_options, tune.db), NULL},
    {"budget", 1, 0, 0, take_budget},
    {"effort", 1, 0, 0, take_effort},
    {"jobs", 1, 0, 0, take_jobs},
    {"seed", 1, 0, 0, take_seed},
    {"fresh", 0, offsetof(gdr_options, tune.fresh), 0, NULL},
    {"check-only", 0, offsetof(gdr_options, tune.check_only), 0, NULL},
    {"csv", 0, offsetof(gdr_options, report.csv), 0, NULL},
    {"dry-run", 0, offsetof(gdr_options, tune.dry_run), 0, NULL},
    {"compile-only", 0, offsetof(gdr_options, compile_only), 0, NULL},
    {"arch", 1, 0, offsetof(gdr_options, arch), NULL},
    {"templates", 1, 0, offsetof(gdr_options, tune.templates), NULL},
    {"json", 0, offsetof(gdr_options, report.json), 0, NULL},
    {"quiet", 0, offsetof(gdr_options, report.quiet), 0, NULL},
    {"verbose", 0, offsetof(gdr_options, report.verbose), 0, NULL},
    {"help", 0, offsetof(gdr_options, help), 0, NULL},
    {"version", 0, offsetof(gdr_options, version), 0, NULL},
    {"share", 1, 0, 0, take_share}, /* of several cards: not in the help */
    {"clock", 1, 0, offsetof(gdr_options, tune.clock),
     NULL}, /* for tests: not in the help */
};

enum { RULES = sizeof rules / sizeof *rules, FIRST_RULE = 256 };

static gdr_status apply(reader *r, const rule *one, const char *arg)
{
    if (one->take)
        return one->take(r, arg);
    if (one->flag)
        *(int *)((char *)r->o + one->flag) = 1;
    else
        *(const char **)((char *)r->o + one->text) = arg;
    return GDR_OK;
}

static void record_command(gdr_options *o, int argc, char **argv)
{
    size_t at = 0;

    for (int i = 0; i < argc && at < sizeof o->text; i++)
        at += (size_t)snprintf(o->text + at, sizeof o->text - at, "%s%s",
                               i ? " " : "", argv[i]);
    o->tune.command = o->text;
}

static gdr_status read_all(reader *r, int argc, char **argv)
{
    struct option names[RULES + 1] = {{0}};
    gdr_status st = GDR_OK;
    int found;

    for (int i = 0; i < RULES; i++)
        names[i] = (struct option){rules[i].name, rules[i].has_arg, NULL,
                                   FIRST_RULE + i};
    opterr = 0;
    optind = 0; /* from the start, also the second time */
    while (st == GDR_OK &&
           (found = getopt_long(argc, argv, ":", names, NULL)) != -1) {
        if (found >= FIRST_RULE)
            st = apply(r, &rules[found - FIRST_RULE], optarg);
        else
            st = refuse(r,
                        found == ':' ? "%s: an argument is missing"
                                     : "%s: no such option, or it takes no "
                                       "argument; see --help",
                        argv[optind - 1]);
    }
    return st;
}

gdr_status gdr_options_read(int argc, char **argv, gdr_options *out, char *msg,
                            size_t n)
{
    reader r = {out, msg, n};
    gdr_status st;

    msg[0] = 0;
    memset(out, 0, sizeof *out);
    out->tune = (gdr_tune_options){.device = "auto",
                                   .effort = "measure",
                                   .shapes = out->shapes,
                                   .only = out->only,
                                   .seed = 1};
    out->report = (gdr_report_options){.out = stdout, .err = stderr};
    record_command(out, argc, argv);
    st = read_all(&r, argc, argv);
    if (st == GDR_OK && out->arch && !out->compile_only)
        st = refuse(&r, "--arch says what --compile-only is for");
    if (st != GDR_OK)
        return st;
    out->tune.loud_workers = out->report.verbose;
    if (optind < argc)
        out->command = argv[optind++];
    out->args = argv + optind;
    out->n_args = argc - optind;
    return GDR_OK;
}
