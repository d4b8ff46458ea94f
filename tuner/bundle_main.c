/*
 * bundle_main.c - gdr-bundle: the command line of bundle.c.
 */
#include "../generator/generator.h"
#include "bundle_print.h"
#include "report.h"
#include "worker.h"

#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DAMAGED = 1, EXIT_USAGE = 2, MOST = 64 };

static const char usage_text[] =
    "usage: gdr-bundle build [options] -o FILE     winners and defaults alone\n"
    "       gdr-bundle merge [options] A B... -o FILE  those of several files\n"
    "       gdr-bundle verify [options] FILE      is it whole? executes "
    "nothing\n"
    "       gdr-bundle show FILE                  the winners\n"
    "       gdr-bundle diff A B                   what B would change\n"
    "       gdr-bundle keygen NAME                NAME.key signs, NAME.pub "
    "verifies\n"
    "\n"
    "  --db FILE         what to take them from ($GDR_DB, else the user's)\n"
    "  --arch A,B,...    devices of these alone: sm_90a, x86-64\n"
    "  --shapes LIST     problems of this list alone: a name or a file\n"
    "  --only STATICS    this problem alone; both are repeatable\n"
    "  -o, --output FILE the bundle\n"
    "  --max-regret R    fewer codes: each at most R slower than the fastest, "
    "as 5%\n"
    "  --max-kernels N   of a static problem, whatever that costs\n"
    "  --format db|c     a file for gdr_open, or C source to link (db)\n"
    "  --sign KEY        build: signed with the key of this file\n"
    "  --run             verify: and right, where there is a device for it\n"
    "  --device cpu|N    verify: on this one alone\n"
    "  --verify-key PUB  verify: signed by this one ($GDR_VERIFY_KEY)\n"
    "  --force           in place of a file that is there\n"
    "  --json            JSON instead of words\n"
    "  --help, --version\n"
    "\n"
    "A bundle is a database: GDR_DB=FILE serves it. Exit code: 0, 1 damaged,\n"
    "different or nothing to put in, 2 usage or environment.\n";

typedef struct request {
    const char *db, *output;
    const char *arch[MOST];
    char **statics; /* each malloc'd */
    gdr_bundle_options build;
    const char *device; /* to run on; NULL: those that are here */
    int run, json;
    char *archs; /* the list, cut up */
} request;

__attribute__((format(printf, 1, 2))) static int fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("gdr-bundle: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    return EXIT_USAGE;
}

/* 0: fine. */
static int take_archs(request *r, const char *list)
{
    char *save = NULL;

    free(r->archs);
    r->archs = strdup(list);
    if (!r->archs)
        return fail("out of memory");
    r->build.filter.n_arch = 0;
    for (char *one = strtok_r(r->archs, ",", &save); one;
         one = strtok_r(NULL, ",", &save)) {
        if (r->build.filter.n_arch == MOST)
            return fail("--arch: more than %d", MOST);
        r->arch[r->build.filter.n_arch++] = one;
    }
    return r->build.filter.n_arch ? 0 : fail("--arch: an empty list");
}

/* Each once. */
static int add_statics(request *r, gdr_problem *p)
{
    char text[GDR_PROBLEM_TEXT];
    int n = r->build.filter.n_statics;
    char **more;

    memset(&p->x, 0, sizeof p->x);
    gdr_problem_format(p, text, sizeof text);
    for (int i = 0; i < n; i++)
        if (!strcmp(r->statics[i], text))
            return 0;
    more = realloc(r->statics, (size_t)(n + 1) * sizeof *more);
    if (!more)
        return fail("out of memory");
    r->statics = more;
    r->statics[n] = strdup(text);
    if (!r->statics[n])
        return fail("out of memory");
    r->build.filter.n_statics++;
    return 0;
}

static int take_statics(request *r, const char *text)
{
    char why[256];
    gdr_problem p;

    if (gdr_problem_parse(text, &p, why, sizeof why) != GDR_OK)
        return fail("--only '%s': %s", text, why);
    if (p.x.B > 0)
        return fail("--only '%s': without extents, a bundle has all of a "
                    "static problem or nothing",
                    text);
    return add_statics(r, &p);
}

typedef struct shape_reader {
    request *r;
    int bad;
} shape_reader;

static int take_problem(void *ctx, const char *text)
{
    shape_reader *s = ctx;
    gdr_problem p;

    if (gdr_problem_parse(text, &p, NULL, 0) == GDR_OK)
        s->bad = add_statics(s->r, &p);
    return s->bad;
}

/* The static problems of a list that gdr-tune takes, too. */
static int take_shapes(request *r, const char *name)
{
    shape_reader s = {r, 0};
    gdr_generator *g = NULL;
    gdr_status status = gdr_generator_open(NULL, &g);

    if (status == GDR_OK)
        status = gdr_generator_each_shape(g, name, take_problem, &s);
    if (status != GDR_OK)
        s.bad = fail("--shapes %s: %s", name,
                     g ? gdr_generator_errmsg(g) : gdr_strerror(status));
    gdr_generator_close(g);
    return s.bad;
}

/* "5%" and "0.05" are the same. */
static int take_regret(request *r, const char *text)
{
    char *end;
    double x = strtod(text, &end);
    int percent = !strcmp(end, "%");

    if (end == text || (*end && !percent) || !(x >= 0 && x <= 1000))
        return fail("--max-regret %s: a share such as 5%% is needed", text);
    r->build.filter.max_regret = percent ? x / 100 : x;
    return 0;
}

static int take_kernels(request *r, const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (end == text || *end || n < 1 || n > 1000)
        return fail("--max-kernels %s: a number of 1 or more is needed", text);
    r->build.filter.max_kernels = (int)n;
    return 0;
}

static int take_format(request *r, const char *text)
{
    r->build.as_c = !strcmp(text, "c");
    return r->build.as_c || !strcmp(text, "db")
               ? 0
               : fail("--format %s: db or c is needed", text);
}

static int read_options(request *r, int argc, char **argv)
{
    static const struct option names[] = {
        {"db", 1, NULL, 'd'},
        {"arch", 1, NULL, 'a'},
        {"only", 1, NULL, 's'},
        {"shapes", 1, NULL, 'l'},
        {"output", 1, NULL, 'o'},
        {"max-regret", 1, NULL, 'r'},
        {"max-kernels", 1, NULL, 'n'},
        {"sign", 1, NULL, 'k'},
        {"verify-key", 1, NULL, 'p'},
        {"format", 1, NULL, 'c'},
        {"force", 0, NULL, 'f'},
        {"run", 0, NULL, 'x'},
        {"device", 1, NULL, 'g'},
        {"json", 0, NULL, 'j'},
        {"help", 0, NULL, 'h'},
        {"version", 0, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    int bad = 0, found;

    opterr = 0;
    while (!bad && (found = getopt_long(argc, argv, ":o:", names, NULL)) != -1)
        switch (found) {
        case 'd':
            r->db = optarg;
            break;
        case 'a':
            bad = take_archs(r, optarg);
            break;
        case 's':
            bad = take_statics(r, optarg);
            break;
        case 'l':
            bad = take_shapes(r, optarg);
            break;
        case 'o':
            r->output = optarg;
            break;
        case 'r':
            bad = take_regret(r, optarg);
            break;
        case 'n':
            bad = take_kernels(r, optarg);
            break;
        case 'c':
            bad = take_format(r, optarg);
            break;
        case 'g':
            r->device = optarg;
            /* fallthrough */
        case 'x':
            r->run = 1;
            break;
        case 'k':
            r->build.secret = optarg;
            break;
        case 'p':
            setenv("GDR_VERIFY_KEY", optarg, 1); /* libgdr asks for it */
            break;
        case 'f':
            r->build.filter.force = 1;
            break;
        case 'j':
            r->json = 1;
            break;
        case 'h':
            fputs(usage_text, stdout);
            exit(0);
        case 'v':
            puts("gdr-bundle " GDR_VERSION);
            exit(0);
        case ':':
            bad = fail("%s: an argument is missing", argv[optind - 1]);
            break;
        default:
            bad = fail("%s: no such option; see --help", argv[optind - 1]);
        }
    r->build.filter.arch = r->arch;
    r->build.filter.statics = (const char *const *)r->statics;
    if (!bad && r->build.as_c && r->build.secret)
        bad = fail("--sign: C source is not signed; it is as safe as the "
                   "program that it is compiled into");
    return bad;
}

/* ---- interruptions ---- */

enum { DOOMED = 8 };

/* What is beside the bundle while it grows. */
static char doomed[DOOMED][PATH_MAX + 96];

static void give_up(int number)
{
    for (int i = 0; i < DOOMED; i++)
        unlink(doomed[i]);
    signal(number, SIG_DFL);
    raise(number);
}

/* ^C leaves nothing behind; kill -9 leaves files of these names. */
static void clean_up_when_interrupted(const char *output)
{
    const struct sigaction action = {.sa_handler = give_up};
    long me = (long)getpid();
    static const char *const journal[] = {"", "-journal"};

    for (int i = 0; i < 2; i++) {
        size_t n = sizeof doomed[0];

        snprintf(doomed[4 * i], n, "%s.new-%ld%s", output, me, journal[i]);
        snprintf(doomed[4 * i + 1], n, "%s.copy-%ld%s", output, me, journal[i]);
        snprintf(doomed[4 * i + 2], n, "%s.merge-%ld%s", output, me,
                 journal[i]);
        snprintf(doomed[4 * i + 3], n, "%s.merge-%ld.other-%ld%s", output, me,
                 me, journal[i]);
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

/* ---- commands ---- */

/* A file that is not there is the caller's mistake, not damage. */
static int exit_code(gdr_status status, const char *file)
{
    if (status == GDR_ERR_NOT_FOUND && access(file, F_OK) != 0)
        return EXIT_USAGE;
    return status == GDR_OK ? 0
           : status == GDR_ERR_FORMAT || status == GDR_ERR_NOT_FOUND ||
                   status == GDR_ERR_NEWER || status == GDR_ERR_UNSAFE
               ? EXIT_DAMAGED
               : EXIT_USAGE;
}

/* A line for each code, as it comes. */
static int run_codes(request *r, const char *path)
{
    gdr_bundle_trials sum;
    char msg[2048] = "";
    gdr_status status = gdr_bundle_run(path, r->device, gdr_bundle_print_trial,
                                       &r->json, &sum, msg, sizeof msg);

    if (status != GDR_OK)
        return fail("%s", msg);
    if (!r->json)
        printf("%d codes: %d checks, %d failed; %d codes that no device here "
               "can run\n",
               sum.codes, sum.ran, sum.failed, sum.idle);
    if (sum.failed == 0 && sum.ran == 0)
        return fail("%s: nothing in it can run on a device that is here", path);
    return sum.failed ? EXIT_DAMAGED : 0;
}

static int verify(request *r, const char *path)
{
    gdr_bundle_sum sum;
    char msg[2048] = "";
    gdr_status status = gdr_bundle_verify(path, &sum, msg, sizeof msg);

    if (status != GDR_OK) {
        fail("%s", msg);
        return exit_code(status, path);
    }
    gdr_bundle_print_sum(path, &sum, r->json);
    return r->run ? run_codes(r, path) : 0;
}

static int build(const request *r)
{
    char path[PATH_MAX], msg[2048] = "";
    gdr_bundle_sum sum;
    gdr_status status;

    if (!r->output || !*r->output)
        return fail("build: -o FILE is missing");
    clean_up_when_interrupted(r->output);
    status = gdr_store_path(r->db, 0, path, sizeof path, msg, sizeof msg);
    if (status == GDR_OK)
        status =
            gdr_bundle_build(path, &r->build, r->output, &sum, msg, sizeof msg);
    if (status != GDR_OK) {
        fail("%s", msg);
        return exit_code(status, path);
    }
    gdr_bundle_print_sum(r->output, &sum, r->json);
    return 0;
}

static int merge(const request *r, char **from, int n_from)
{
    char msg[2048] = "";
    gdr_bundle_sum sum;
    gdr_status status;

    if (!r->output || !*r->output)
        return fail("merge: -o FILE is missing");
    if (r->build.filter.max_regret > 0 || r->build.filter.max_kernels > 0)
        return fail("merge: %s needs trials, which a bundle has not: give it "
                    "to build, for each file",
                    r->build.filter.max_regret > 0 ? "--max-regret"
                                                   : "--max-kernels");
    clean_up_when_interrupted(r->output);
    status = gdr_bundle_merge((const char *const *)from, n_from, &r->build,
                              r->output, &sum, msg, sizeof msg);
    if (status != GDR_OK) {
        fail("%s", msg);
        for (int i = 1; i < n_from && access(from[0], F_OK) == 0; i++)
            from[0] = from[i];
        return exit_code(status, from[0]);
    }
    gdr_bundle_print_sum(r->output, &sum, r->json);
    return 0;
}

static int show(const request *r, const char *path)
{
    const gdr_report_options o = {
        .out = stdout, .err = stderr, .json = r->json};
    gdr_report *report = NULL;
    gdr_store *st = NULL;
    int64_t n;
    gdr_status status = gdr_store_open(path, GDR_STORE_READ, &st);

    if (status == GDR_OK)
        status = gdr_report_open(&o, &report);
    if (status == GDR_OK) {
        gdr_report_attach(report, st);
        status = gdr_report_show(report, st, NULL, &n);
    }
    if (status != GDR_OK)
        fail("%s", st && *gdr_store_errmsg(st) ? gdr_store_errmsg(st)
                                               : gdr_strerror(status));
    gdr_report_close(report);
    gdr_store_close(st);
    return exit_code(status, path);
}

static int diff(request *r, const char *a, const char *b)
{
    char msg[2048] = "";
    int64_t n;
    gdr_status status = gdr_bundle_diff(a, b, gdr_bundle_print_change, &r->json,
                                        &n, msg, sizeof msg);

    if (status != GDR_OK) {
        fail("%s", msg);
        return EXIT_USAGE;
    }
    if (!r->json)
        printf("%" PRId64 " plans differ\n", n);
    return n ? EXIT_DAMAGED : 0;
}

static int keygen(const char *name)
{
    char msg[1024] = "";

    if (gdr_bundle_keygen(name, msg, sizeof msg) != GDR_OK)
        return fail("%s", msg);
    printf("%s.key signs, keep it; %s.pub is what GDR_VERIFY_KEY names\n", name,
           name);
    return 0;
}

int main(int argc, char **argv)
{
    request r = {0};
    int code, words;

    if (gdr_worker_asked(argc, argv))
        return gdr_worker_main(argc, argv);
    code = read_options(&r, argc, argv);
    words = argc - optind;
    if (!code && words == 1 && !strcmp(argv[optind], "build"))
        code = build(&r);
    else if (!code && words == 2 && !strcmp(argv[optind], "verify"))
        code = verify(&r, argv[optind + 1]);
    else if (!code && words == 2 && !strcmp(argv[optind], "show"))
        code = show(&r, argv[optind + 1]);
    else if (!code && words == 3 && !strcmp(argv[optind], "diff"))
        code = diff(&r, argv[optind + 1], argv[optind + 2]);
    else if (!code && words >= 3 && !strcmp(argv[optind], "merge"))
        code = merge(&r, argv + optind + 1, words - 1);
    else if (!code && words == 2 && !strcmp(argv[optind], "keygen"))
        code = keygen(argv[optind + 1]);
    else if (!code) {
        fputs(usage_text, stderr);
        code = EXIT_USAGE;
    }
    for (int i = 0; i < r.build.filter.n_statics; i++)
        free(r.statics[i]);
    free(r.statics);
    free(r.archs);
    return code;
}
