/* options.c - the table of gdr-tune. */
#include "options.h"
#include "agenda.h"
#include "option_table.h"
#include "race.h"

#include <errno.h>
#include <getopt.h>
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

static gdr_options *options_of(const gdr_option_reader *r)
{
    return r->to;
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

static gdr_status take_text(const gdr_option_reader *r, const char **list,
                            int *n, const char *text)
{
    if (*n == GDR_OPTIONS_TEXTS)
        return gdr_option_refuse(r, "more than %d of one option",
                                 GDR_OPTIONS_TEXTS);
    list[(*n)++] = text;
    return GDR_OK;
}

/* ---- one function per option that can go wrong ---- */

static gdr_status take_shapes(const gdr_option_reader *r, const char *arg)
{
    return take_text(r, options_of(r)->shapes, &options_of(r)->tune.n_shapes,
                     arg);
}

static gdr_status take_only(const gdr_option_reader *r, const char *arg)
{
    return take_text(r, options_of(r)->only, &options_of(r)->tune.n_only, arg);
}

static gdr_status take_budget(const gdr_option_reader *r, const char *arg)
{
    if (read_number(arg, 1e-3, 1e9, &options_of(r)->tune.budget_s))
        return GDR_OK;
    return gdr_option_refuse(r, "--budget '%s': a number of seconds is needed",
                             arg);
}

static gdr_status take_jobs(const gdr_option_reader *r, const char *arg)
{
    int64_t jobs;

    if (!read_whole(arg, 1, 1024, &jobs))
        return gdr_option_refuse(r, "--jobs '%s': 1 to 1024 is needed", arg);
    options_of(r)->tune.jobs = (int)jobs;
    return GDR_OK;
}

static gdr_status take_share(const gdr_option_reader *r, const char *arg)
{
    gdr_tune_options *o = &options_of(r)->tune;
    int end = 0;

    if (sscanf(arg, "%d/%d%n", &o->share, &o->shares, &end) == 2 && !arg[end] &&
        o->share >= 0 && o->share < o->shares && o->shares <= GDR_AGENDA_SHARES)
        return GDR_OK;
    return gdr_option_refuse(r, "--share '%s': I/N is needed, I less than N",
                             arg);
}

static gdr_status take_seed(const gdr_option_reader *r, const char *arg)
{
    if (read_whole(arg, 0, 9e15, &options_of(r)->tune.seed))
        return GDR_OK;
    return gdr_option_refuse(r, "--seed '%s': a whole number is needed", arg);
}

static gdr_status take_effort(const gdr_option_reader *r, const char *arg)
{
    gdr_race_options known;

    options_of(r)->tune.effort = arg;
    if (gdr_race_effort(arg, &known))
        return GDR_OK;
    return gdr_option_refuse(r, "--effort '%s': quick, measure or exhaustive",
                             arg);
}

/* ---- the table ---- */

#define AT(member) offsetof(gdr_options, member)

static const gdr_option table[] = {
    {"device", .text = AT(tune.device)},
    {"shapes", .take = take_shapes},
    {"only", .take = take_only},
    {"from-misses", .text = AT(tune.misses)},
    {"db", .text = AT(tune.db)},
    {"budget", .take = take_budget},
    {"effort", .take = take_effort},
    {"jobs", .take = take_jobs},
    {"seed", .take = take_seed},
    {"fresh", .flag = AT(tune.fresh)},
    {"check-only", .flag = AT(tune.check_only)},
    {"csv", .flag = AT(report.csv)},
    {"dry-run", .flag = AT(tune.dry_run)},
    {"compile-only", .flag = AT(compile_only)},
    {"arch", .text = AT(arch)},
    {"templates", .text = AT(tune.templates)},
    {"json", .flag = AT(report.json)},
    {"quiet", .flag = AT(report.quiet)},
    {"verbose", .flag = AT(report.verbose)},
    {"help", .flag = AT(help)},
    {"version", .flag = AT(version)},
    /* of several cards, and for tests: not in the help */
    {"share", .take = take_share},
    {"clock", .text = AT(tune.clock)},
};

static void record_command(gdr_options *o, int argc, char **argv)
{
    size_t at = 0;

    for (int i = 0; i < argc && at < sizeof o->text; i++)
        at += (size_t)snprintf(o->text + at, sizeof o->text - at, "%s%s",
                               i ? " " : "", argv[i]);
    o->tune.command = o->text;
}

gdr_status gdr_options_read(int argc, char **argv, gdr_options *out, char *msg,
                            size_t n)
{
    const gdr_option_reader r = {out, msg, n};
    uint32_t given;
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
    st = gdr_option_table_read(argc, argv, table, sizeof table / sizeof *table,
                               &r, &given);
    if (st == GDR_OK && out->arch && !out->compile_only)
        st = gdr_option_refuse(&r, "--arch says what --compile-only is for");
    if (st != GDR_OK)
        return st;
    out->tune.loud_workers = out->report.verbose;
    if (optind < argc)
        out->command = argv[optind++];
    out->args = argv + optind;
    out->n_args = argc - optind;
    return GDR_OK;
}
