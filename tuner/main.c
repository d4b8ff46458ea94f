/*
 * main.c - gdr-tune: options to calls, statuses to exit codes. The only file
 * that reads the command line, prints messages of its own and exits.
 */
#include "../runtime/cpu_info.h"
#include "cards.h"
#include "compile_only.h"
#include "options.h"
#include "session.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_MISSING = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

/* Set by the first signal; a second one ends the program at once. */
static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

/* What is ignored stays so: nohup, and jobs in the background of a script. */
static void catch_signals(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
    struct sigaction old;

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (!sigaction(ends[i], NULL, &old) && old.sa_handler != SIG_IGN)
            sigaction(ends[i], &a, NULL);
}

/* No file of ours may become number 0, 1 or 2 where those are closed. What
 * takes their place fails as they would. */
static void fill_standard_files(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", fd ? O_RDONLY : O_WRONLY);
}

__attribute__((format(printf, 1, 2))) static int usage(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    gdr_text_line(stderr, "gdr-tune: ", format, args);
    va_end(args);
    return EXIT_USAGE;
}

/* ---- commands ---- */

typedef struct program {
    gdr_options *c;
    int argc;
    char **argv;
    gdr_report *report;
    char msg[8192];
} program;

static int failed(const program *p)
{
    return usage("%s", p->msg);
}

/* Code that no choice names: the processes of the cards leave it, since each
 * might take what another is about to name. */
static void sweep(const program *p)
{
    char path[4096], msg[1024];
    gdr_store *st = NULL;

    if (p->c->tune.dry_run ||
        gdr_store_path(p->c->tune.db, 1, path, sizeof path, msg, sizeof msg))
        return;
    if (gdr_store_open(path, GDR_STORE_WRITE, &st) == GDR_OK)
        gdr_store_sweep(st);
    gdr_store_close(st);
}

static int run_cards(program *p)
{
    gdr_cards_options o = {.argc = p->argc,
                           .argv = p->argv,
                           .out = stdout,
                           .err = stderr,
                           .json = p->c->report.json,
                           .stop = &stop};
    gdr_cpu_info cpu;
    gdr_cards cards;
    int code;

    if (gdr_cards_find(p->c->tune.device, &cards, p->msg, sizeof p->msg) !=
        GDR_OK)
        return failed(p);
    gdr_cpu_info_read("", &cpu);
    if (!p->c->tune.jobs)
        o.jobs = cpu.cores > cards.n ? cpu.cores / cards.n : 1;
    if (gdr_cards_run(&cards, &o, &code, p->msg, sizeof p->msg) != GDR_OK)
        return failed(p);
    sweep(p);
    return code;
}

static int run_tune(program *p)
{
    gdr_tune_result r;

    catch_signals();
    if (gdr_cards_several(p->c->tune.device))
        return run_cards(p);
    if (p->c->tune.shares)
        gdr_cards_follow();
    if (gdr_tune(&p->c->tune, &r, p->msg, sizeof p->msg) != GDR_OK)
        return failed(p);
    if (r.interrupted) {
        gdr_report_say(p->report, 0,
                       "interrupted; what was finished is kept, "
                       "the same command goes on");
        return EXIT_INTERRUPTED;
    }
    if (r.missing)
        gdr_report_say(p->report, 0, "%lld of %lld problems have %s",
                       (long long)r.missing, (long long)r.problems,
                       r.checked ? "variants that failed" : "no winner");
    return r.missing ? EXIT_MISSING : 0;
}

static void say_compiled(const program *p, const gdr_compile_only_result *r)
{
    gdr_report_say(p->report, 1,
                   "%lld variants from %lld sources: %lld good, %lld refused, "
                   "%lld errors; at most %lld of a problem",
                   (long long)r->variants, (long long)r->compiled,
                   (long long)r->good, (long long)r->refused,
                   (long long)r->errors, (long long)r->most);
    if (r->most > GDR_COMPILE_ONLY_CONFIGS)
        gdr_report_say(p->report, 0,
                       "more than %d variants of a problem: constraints are "
                       "missing",
                       GDR_COMPILE_ONLY_CONFIGS);
    if (r->ptx_missing)
        gdr_report_say(p->report, 0, "%lld problems have no default as PTX",
                       (long long)r->ptx_missing);
}

static int run_compile_only(program *p)
{
    gdr_compile_only_result r;

    catch_signals();
    if (gdr_compile_only(&p->c->tune, p->c->arch, &p->c->report, &r, p->msg,
                         sizeof p->msg) != GDR_OK)
        return failed(p);
    if (r.interrupted) {
        gdr_report_say(p->report, 0, "interrupted");
        return EXIT_INTERRUPTED;
    }
    say_compiled(p, &r);
    return r.refused || r.errors || r.missing || r.ptx_missing ? EXIT_MISSING
                                                               : 0;
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
        snprintf(p->msg, sizeof p->msg, "%s", gdr_store_errmsg(st));
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
        status = gdr_report_explain(p->report, st, path, p->c->tune.device,
                                    &problem);
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
        return p->c->compile_only ? run_compile_only(p) : run_tune(p);
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

static int run_with_report(program *p)
{
    int code;

    if (gdr_report_open(&p->c->report, &p->report) != GDR_OK)
        return usage("out of memory");
    p->c->tune.report = p->report;
    p->c->tune.stop = &stop;
    code = run(p);
    gdr_report_close(p->report);
    return code;
}

/* A full disk is an error whoever flushed first. */
static int end_output(int code)
{
    if (fflush(stdout))
        return usage("standard output: %s", strerror(errno));
    return ferror(stdout) ? usage("standard output: a write failed") : code;
}

int main(int argc, char **argv)
{
    gdr_options c;
    program p = {.c = &c, .argc = argc, .argv = argv};

    fill_standard_files();
    signal(SIGXFSZ, SIG_IGN); /* ulimit -f: an error like a full disk */
    if (gdr_worker_asked(argc, argv))
        return gdr_worker_main(argc, argv);
    if (gdr_cards_probe_asked(argc, argv))
        return gdr_cards_probe_main(argv);
    if (gdr_options_read(argc, argv, &c, p.msg, sizeof p.msg) != GDR_OK)
        return failed(&p);
    if (c.help) {
        fputs(gdr_options_help, stdout);
        return end_output(0);
    }
    if (c.version) {
        puts("gdr-tune " GDR_VERSION);
        return end_output(0);
    }
    return end_output(run_with_report(&p));
}
