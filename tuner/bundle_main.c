/*
 * bundle_main.c - gdr-bundle: each command of bundle_options.h done, and told
 * of.
 */
#include "bundle_internal.h"
#include "bundle_options.h"
#include "bundle_print.h"
#include "report.h"
#include "worker.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DAMAGED = 1, EXIT_USAGE = 2 };

static int fail(const char *why)
{
    gdr_bundle_print_error("%s", why);
    return EXIT_USAGE;
}

/* ---- interruptions ---- */

/* What is beside the bundle while it grows. */
static const char *const grown[] = {"new", "copy", "merge", "other"};
enum { WORDS = sizeof grown / sizeof *grown };
static char doomed[2 * WORDS][PATH_MAX + 64];

static void give_up(int number)
{
    for (int i = 0; i < 2 * WORDS; i++)
        unlink(doomed[i]);
    signal(number, SIG_DFL);
    raise(number);
}

/* ^C leaves nothing behind; kill -9 leaves files of these names. */
static void clean_up_when_interrupted(const char *output)
{
    const struct sigaction action = {.sa_handler = give_up};

    for (int i = 0; i < WORDS; i++) {
        char name[PATH_MAX];

        if (!gdr_store_beside(output, grown[i], name, sizeof name))
            continue; /* nothing is made */
        snprintf(doomed[2 * i], sizeof doomed[0], "%s", name);
        snprintf(doomed[2 * i + 1], sizeof doomed[0], "%s-journal", name);
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

/* The first of the files that is not there, or the first. */
static const char *missing(const gdr_bundle_request *r)
{
    for (int i = 0; i < r->n_words; i++)
        if (access(r->word[i], F_OK) != 0)
            return r->word[i];
    return r->word[0];
}

/* A line for each code, as it comes. */
static int run_codes(gdr_bundle_request *r, const char *path)
{
    gdr_bundle_trials sum;
    char msg[2048] = "";
    gdr_status status = gdr_bundle_run(path, r->device, gdr_bundle_print_trial,
                                       &r->json, &sum, msg, sizeof msg);

    if (status != GDR_OK)
        return fail(msg);
    gdr_bundle_print_trials(&sum, r->json);
    if (sum.ran > 0)
        return sum.failed ? EXIT_DAMAGED : 0;
    gdr_bundle_print_error("%s: nothing in it can run on a device that is here",
                           path);
    return EXIT_USAGE;
}

static int verify(gdr_bundle_request *r, const char *path)
{
    gdr_bundle_sum sum;
    char msg[2048] = "";
    gdr_status status = gdr_bundle_verify(path, &sum, msg, sizeof msg);

    if (status != GDR_OK) {
        fail(msg);
        return exit_code(status, path);
    }
    gdr_bundle_print_sum(path, &sum, r->json);
    return r->run ? run_codes(r, path) : 0;
}

static int build(const gdr_bundle_request *r)
{
    char path[PATH_MAX], msg[2048] = "";
    gdr_bundle_sum sum;
    gdr_status status;

    clean_up_when_interrupted(r->output);
    status = gdr_store_path(r->db, 0, path, sizeof path, msg, sizeof msg);
    if (status == GDR_OK)
        status =
            gdr_bundle_build(path, &r->build, r->output, &sum, msg, sizeof msg);
    if (status != GDR_OK) {
        fail(msg);
        return exit_code(status, path);
    }
    gdr_bundle_print_sum(r->output, &sum, r->json);
    return 0;
}

static int merge(const gdr_bundle_request *r)
{
    char msg[2048] = "";
    gdr_bundle_sum sum;
    gdr_status status;

    clean_up_when_interrupted(r->output);
    status = gdr_bundle_merge((const char *const *)r->word, r->n_words,
                              &r->build, r->output, &sum, msg, sizeof msg);
    if (status != GDR_OK) {
        fail(msg);
        return exit_code(status, missing(r));
    }
    gdr_bundle_print_sum(r->output, &sum, r->json);
    return 0;
}

static int show(const gdr_bundle_request *r, const char *path)
{
    const gdr_report_options o = {
        .out = stdout, .err = stderr, .json = r->json};
    gdr_report *report = NULL;
    char msg[2048] = "";
    gdr_store *st = NULL;
    int64_t n;
    gdr_status status = gdr_bundle_open_signed(path, &st, msg, sizeof msg);

    if (status == GDR_OK)
        status = gdr_report_open(&o, &report);
    if (status == GDR_OK) {
        gdr_report_attach(report, st);
        status = gdr_report_show(report, st, NULL, &n);
    }
    if (status != GDR_OK)
        fail(*msg                          ? msg
             : st && *gdr_store_errmsg(st) ? gdr_store_errmsg(st)
                                           : gdr_strerror(status));
    gdr_report_close(report);
    gdr_store_close(st);
    return exit_code(status, path);
}

static int diff(gdr_bundle_request *r, const char *a, const char *b)
{
    char msg[2048] = "";
    int64_t n;
    gdr_status status = gdr_bundle_diff(a, b, gdr_bundle_print_change, &r->json,
                                        &n, msg, sizeof msg);

    if (status != GDR_OK) {
        fail(msg);
        return exit_code(status, missing(r));
    }
    if (!r->json)
        printf("%" PRId64 " plans differ\n", n);
    return n ? EXIT_DAMAGED : 0;
}

static int keygen(const char *name)
{
    char msg[1024] = "";

    if (gdr_bundle_keygen(name, msg, sizeof msg) != GDR_OK)
        return fail(msg);
    printf("%s.key signs, keep it; %s.pub is what GDR_VERIFY_KEY names\n", name,
           name);
    return 0;
}

static int act(gdr_bundle_request *r)
{
    switch (r->command) {
    case GDR_BUNDLE_BUILD:
        return build(r);
    case GDR_BUNDLE_MERGE:
        return merge(r);
    case GDR_BUNDLE_VERIFY:
        return verify(r, r->word[0]);
    case GDR_BUNDLE_SHOW:
        return show(r, r->word[0]);
    case GDR_BUNDLE_DIFF:
        return diff(r, r->word[0], r->word[1]);
    default:
        return keygen(r->word[0]);
    }
}

int main(int argc, char **argv)
{
    gdr_bundle_request r;
    char msg[2048];
    int code = 0;

    if (gdr_worker_asked(argc, argv))
        return gdr_worker_main(argc, argv);
    if (gdr_bundle_options_read(argc, argv, &r, msg, sizeof msg) != GDR_OK)
        code = fail(msg);
    else if (r.help)
        fputs(gdr_bundle_help, stdout);
    else if (r.version)
        puts("gdr-bundle " GDR_VERSION);
    else {
        if (r.verify_key) /* libgdr asks for it */
            setenv("GDR_VERIFY_KEY", r.verify_key, 1);
        code = act(&r);
    }
    gdr_bundle_options_close(&r);
    return code;
}
