/*
 * main.c - gdr-tune: options to calls, statuses to exit codes. The only file
 * that reads the command line, prints messages of its own and exits.
 */
#include "agenda.h"
#include "race.h"
#include "session.h"
#include "tune.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_TEXTS = 256 };

enum { EXIT_MISSING = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

typedef struct command_line {
    gdr_tune_options tune;
    gdr_report_options report;
    const char *shapes[MOST_TEXTS], *only[MOST_TEXTS];
    const char *command; /* NULL: tune */
    char **args;         /* after the command */
    int n_args;
    int help, version;
    char text[4096]; /* the command line, for the record */
} command_line;

/* Set by the first signal; a second one ends the program at once. */
static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGHUP, &a, NULL);
}

static void print_help(FILE *f)
{
    fputs(
        "usage: gdr-tune [options]                  tune this machine\n"
        "       gdr-tune show                       the winners\n"
        "       gdr-tune explain PROBLEM            which plan a call gets\n"
        "       gdr-tune expand PROBLEM [CONFIG]    the generated source\n"
        "       gdr-tune shapes                     lists and their problems\n"
        "\n"
        "  --device auto|cpu|N   what to tune for (auto)\n"
        "  --shapes NAME|FILE    list of problems, repeatable (qwen3.5)\n"
        "  --only PROBLEM        only this one; a static text filters the "
        "list\n"
        "  --db FILE             database ($GDR_DB, else "
        "~/.local/share/gdr/gdr.db)\n"
        "  --budget SECONDS      time for all of it, shared out evenly\n"
        "  --effort LEVEL        quick, measure or exhaustive (measure)\n"
        "  --jobs N              compilers and checks at once (all threads)\n"
        "  --seed N              of data and order (1)\n"
        "  --fresh               ignore what earlier runs found\n"
        "  --dry-run             say what would be done\n"
        "  --templates DIR       files here replace the ones in the program\n"
        "  --json                results as JSON lines on stdout\n"
        "  --quiet, --verbose    less, more\n"
        "  --help, --version\n"
        "\n"
        "A problem reads: recurrent:final:vk:bf16/f32:k128v128:l2norm:g / "
        "b1t1hk16hv32\n"
        "Exit code: 0 every problem has a winner, 1 some have none, 2 usage "
        "or\n"
        "environment, 130 interrupted (what was finished is kept).\n",
        f);
}

__attribute__((format(printf, 1, 2))) static int usage(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("gdr-tune: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    return EXIT_USAGE;
}

/* ---- options ---- */

enum {
    OPT_DEVICE = 256,
    OPT_SHAPES,
    OPT_ONLY,
    OPT_DB,
    OPT_BUDGET,
    OPT_EFFORT,
    OPT_JOBS,
    OPT_SEED,
    OPT_FRESH,
    OPT_DRY_RUN,
    OPT_TEMPLATES,
    OPT_JSON,
    OPT_QUIET,
    OPT_VERBOSE,
    OPT_HELP,
    OPT_VERSION,
    OPT_CLOCK
};

static const struct option options[] = {
    {"device", required_argument, NULL, OPT_DEVICE},
    {"shapes", required_argument, NULL, OPT_SHAPES},
    {"only", required_argument, NULL, OPT_ONLY},
    {"db", required_argument, NULL, OPT_DB},
    {"budget", required_argument, NULL, OPT_BUDGET},
    {"effort", required_argument, NULL, OPT_EFFORT},
    {"jobs", required_argument, NULL, OPT_JOBS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"fresh", no_argument, NULL, OPT_FRESH},
    {"dry-run", no_argument, NULL, OPT_DRY_RUN},
    {"templates", required_argument, NULL, OPT_TEMPLATES},
    {"json", no_argument, NULL, OPT_JSON},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"verbose", no_argument, NULL, OPT_VERBOSE},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {"clock", required_argument, NULL, OPT_CLOCK}, /* for tests: not in help */
    {NULL, 0, NULL, 0}};

/* A whole number of [least, most]; 0 when text is anything else. */
static int read_number(const char *text, double least, double most, double *x)
{
    char *end;

    errno = 0;
    *x = strtod(text, &end);
    return end != text && !*end && !errno && *x >= least && *x <= most;
}

static int bad_number(const char *name, const char *text, const char *what)
{
    return usage("--%s '%s': %s", name, text, what);
}

static int take_text(const char **list, int *n, const char *text)
{
    if (*n == MOST_TEXTS)
        return usage("more than %d of one option", MOST_TEXTS);
    list[(*n)++] = text;
    return 0;
}

static int take_numbers(command_line *c, int option, const char *arg)
{
    double x = 0;

    if (option == OPT_BUDGET) {
        if (!read_number(arg, 1e-3, 1e9, &x))
            return bad_number("budget", arg, "a number of seconds is needed");
        c->tune.budget_s = x;
    } else if (option == OPT_JOBS) {
        if (!read_number(arg, 1, 1024, &x) || x != (int)x)
            return bad_number("jobs", arg, "1 to 1024 is needed");
        c->tune.jobs = (int)x;
    } else {
        if (!read_number(arg, 0, 9e15, &x) || x != (double)(int64_t)x)
            return bad_number("seed", arg, "a whole number is needed");
        c->tune.seed = (int64_t)x;
    }
    return 0;
}

static int take_option(command_line *c, int option, const char *arg)
{
    gdr_race_options known;
    gdr_tune_options *t = &c->tune;

    switch (option) {
    case OPT_DEVICE:
        t->device = arg;
        return 0;
    case OPT_SHAPES:
        return take_text(c->shapes, &t->n_shapes, arg);
    case OPT_ONLY:
        return take_text(c->only, &t->n_only, arg);
    case OPT_DB:
        t->db = arg;
        return 0;
    case OPT_EFFORT:
        t->effort = arg;
        if (gdr_race_effort(arg, &known))
            return 0;
        return usage("--effort '%s': quick, measure or exhaustive", arg);
    case OPT_FRESH:
        t->fresh = 1;
        return 0;
    case OPT_DRY_RUN:
        t->dry_run = 1;
        return 0;
    case OPT_TEMPLATES:
        t->templates = arg;
        return 0;
    case OPT_JSON:
        c->report.json = 1;
        return 0;
    case OPT_QUIET:
        c->report.quiet = 1;
        return 0;
    case OPT_VERBOSE:
        c->report.verbose = t->loud_workers = 1;
        return 0;
    case OPT_HELP:
        c->help = 1;
        return 0;
    case OPT_VERSION:
        c->version = 1;
        return 0;
    case OPT_CLOCK:
        t->clock = arg;
        return 0;
    case OPT_BUDGET:
    case OPT_JOBS:
    case OPT_SEED:
        return take_numbers(c, option, arg);
    default: /* getopt has said what is wrong */
        fputs("Try 'gdr-tune --help'.\n", stderr);
        return EXIT_USAGE;
    }
}

static void record_command(command_line *c, int argc, char **argv)
{
    size_t at = 0;

    for (int i = 0; i < argc && at < sizeof c->text; i++)
        at += (size_t)snprintf(c->text + at, sizeof c->text - at, "%s%s",
                               i ? " " : "", argv[i]);
    c->tune.command = c->text;
}

/* 0, or the exit code. */
static int read_command_line(command_line *c, int argc, char **argv)
{
    int option, bad;

    memset(c, 0, sizeof *c);
    c->tune = (gdr_tune_options){.device = "auto",
                                 .effort = "measure",
                                 .shapes = c->shapes,
                                 .only = c->only,
                                 .seed = 1,
                                 .stop = &stop};
    c->report = (gdr_report_options){.out = stdout, .err = stderr};
    record_command(c, argc, argv);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if ((bad = take_option(c, option, optarg)))
            return bad;
    if (optind < argc)
        c->command = argv[optind++];
    c->args = argv + optind;
    c->n_args = argc - optind;
    return 0;
}

/* ---- commands ---- */

typedef struct program {
    command_line *c;
    gdr_report *report;
    char msg[8192];
} program;

static int failed(const program *p)
{
    return usage("%s", p->msg);
}

static int run_tune(program *p)
{
    gdr_tune_result r;

    catch_signals();
    if (gdr_tune(&p->c->tune, &r, p->msg, sizeof p->msg) != GDR_OK)
        return failed(p);
    if (r.interrupted) {
        gdr_report_say(p->report, 0,
                       "interrupted; what was finished is kept, "
                       "the same command goes on");
        return EXIT_INTERRUPTED;
    }
    if (r.missing)
        gdr_report_say(p->report, 0, "%lld of %lld problems have no winner",
                       (long long)r.missing, (long long)r.problems);
    return r.missing ? EXIT_MISSING : 0;
}

/* Opens the database for reading; path gets where it is. */
static gdr_status open_store(program *p, gdr_store **st, char *path, size_t n)
{
    gdr_status status =
        gdr_store_path(p->c->tune.db, 0, path, n, p->msg, sizeof p->msg);

    *st = NULL;
    if (status != GDR_OK)
        return status;
    status = gdr_store_open(path, GDR_STORE_READ, st);
    if (status != GDR_OK)
        snprintf(p->msg, sizeof p->msg, "%s",
                 *st ? gdr_store_errmsg(*st) : gdr_strerror(status));
    return status;
}

static int run_show(program *p)
{
    char path[4096];
    gdr_store *st;
    gdr_status status = open_store(p, &st, path, sizeof path);
    int64_t n;

    if (status == GDR_OK) {
        status = gdr_report_show(p->report, st, NULL, &n);
        snprintf(p->msg, sizeof p->msg, "%s: %s", path, gdr_store_errmsg(st));
    }
    gdr_store_close(st);
    return status == GDR_OK ? 0 : failed(p);
}

/* The problem that the first argument names. 0, or the exit code. */
static int read_problem(program *p, const char *what, gdr_problem *out)
{
    char why[256] = "";

    if (p->c->n_args < 1)
        return usage("%s: a problem is needed, for example "
                     "'recurrent:final:vk:bf16/f32:k128v128:l2norm:g / "
                     "b1t1hk16hv32'",
                     what);
    if (gdr_problem_parse(p->c->args[0], out, why, sizeof why) == GDR_OK)
        return 0;
    return usage("%s '%s': %s", what, p->c->args[0], why);
}

static int run_explain(program *p)
{
    char path[4096];
    gdr_store *st = NULL;
    gdr_problem problem;
    gdr_status status;
    int bad = read_problem(p, "explain", &problem);

    if (bad)
        return bad;
    status = open_store(p, &st, path, sizeof path);
    if (status != GDR_OK)
        bad = failed(p);
    else
        status = gdr_report_explain(p->report, st, path, &problem);
    gdr_store_close(st);
    return bad                         ? bad
           : status == GDR_OK          ? 0
           : status == GDR_ERR_NO_PLAN ? EXIT_MISSING
                                       : EXIT_USAGE;
}

/* Candidate of this config; NULL config: the default for the problem's work. */
static const gdr_candidate *
find_candidate(const gdr_space *space, const gdr_problem *p, const char *config)
{
    const int64_t usual_work = 256; /* B = 8 of 32 heads */
    int64_t work = p->x.B > 0 ? p->x.B * p->x.T * p->x.Hv : usual_work;
    int64_t i = gdr_space_default(space, work);

    if (!config)
        return i < 0 ? NULL : &space->candidate[i];
    for (i = 0; i < space->n_candidates; i++)
        if (!strcmp(space->candidate[i].config, config))
            return &space->candidate[i];
    return NULL;
}

static int list_configs(const gdr_space *space, const char *config)
{
    usage("expand: no variant '%s'; there are:", config ? config : "default");
    for (int64_t i = 0; space->candidate && i < space->n_candidates; i++)
        fprintf(stderr, "    %s\n", space->candidate[i].config);
    return EXIT_USAGE;
}

static gdr_status print_source(program *p, gdr_session *s,
                               const gdr_static *statics,
                               const gdr_candidate *c)
{
    for (int i = 0; i < c->n_steps; i++) {
        char *source = NULL;
        size_t bytes = 0;
        gdr_status st = gdr_generator_expand(s->generator, statics, c->kernel,
                                             c->config, i, &source, &bytes);
        if (st != GDR_OK)
            return st;
        if (*gdr_generator_errmsg(s->generator))
            gdr_report_say(p->report, 0, "%s",
                           gdr_generator_errmsg(s->generator));
        fwrite(source, 1, bytes, stdout);
        free(source);
    }
    return GDR_OK;
}

static int expand(program *p, gdr_session *s, const gdr_problem *problem)
{
    const char *config = p->c->n_args > 1 ? p->c->args[1] : NULL;
    const gdr_candidate *c;
    gdr_space *space = NULL;
    int code = 0;
    gdr_status st =
        gdr_generator_space(s->generator, &problem->s, &s->traits, &space);

    if (st == GDR_OK && space) {
        c = find_candidate(space, problem, config);
        if (!c)
            code = list_configs(space, config);
        else
            st = print_source(p, s, &problem->s, c);
    }
    if (st != GDR_OK)
        code = usage("%s", gdr_generator_errmsg(s->generator));
    gdr_space_close(space);
    return code;
}

static int run_expand(program *p)
{
    gdr_session s;
    gdr_problem problem;
    int code = read_problem(p, "expand", &problem);

    if (code)
        return code;
    if (gdr_session_open_source(&s, &p->c->tune, p->msg, sizeof p->msg) !=
        GDR_OK)
        code = failed(p);
    else
        code = expand(p, &s, &problem);
    gdr_session_close(&s);
    return code;
}

static int print_shape(void *ctx, const char *problem)
{
    (void)ctx;
    printf("    %s\n", problem);
    return 0;
}

static int print_list(void *ctx, const char *name, const char *doc)
{
    gdr_generator *g = ctx;

    printf("%s: %s\n", name, doc);
    gdr_generator_each_shape(g, name, print_shape, NULL);
    return 0;
}

static int run_shapes(program *p)
{
    gdr_generator *g = NULL;
    gdr_status st = gdr_generator_open(p->c->tune.templates, &g);

    if (st == GDR_OK)
        st = gdr_generator_each_list(g, print_list, g);
    if (st != GDR_OK)
        usage("%s", g ? gdr_generator_errmsg(g) : gdr_strerror(st));
    gdr_generator_close(g);
    return st == GDR_OK ? 0 : EXIT_USAGE;
}

static int run(program *p)
{
    static const struct {
        const char *name;
        int most_args;
        int (*run)(program *p);
    } commands[] = {{"show", 0, run_show},
                    {"explain", 1, run_explain},
                    {"expand", 2, run_expand},
                    {"shapes", 0, run_shapes}};

    if (!p->c->command)
        return run_tune(p);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, p->c->command) != 0)
            continue;
        if (p->c->n_args > commands[i].most_args)
            return usage("%s: '%s' is one too many (a problem or config with "
                         "blanks needs quotes)",
                         p->c->command, p->c->args[commands[i].most_args]);
        return commands[i].run(p);
    }
    return usage("unknown command '%s': show, explain, expand, shapes, or none "
                 "to tune",
                 p->c->command);
}

int main(int argc, char **argv)
{
    command_line c;
    program p = {.c = &c};
    int code;

    if (gdr_worker_asked(argc, argv))
        return gdr_worker_main(argc, argv);
    code = read_command_line(&c, argc, argv);
    if (code)
        return code;
    if (c.help) {
        print_help(stdout);
        return 0;
    }
    if (c.version) {
        puts("gdr-tune " GDR_VERSION);
        return 0;
    }
    if (gdr_report_open(&c.report, &p.report) != GDR_OK)
        return usage("out of memory");
    c.tune.report = p.report;
    code = run(&p);
    gdr_report_close(p.report);
    if (fflush(stdout))
        return usage("standard output: %s", strerror(errno));
    return code;
}
