/* bundle_options.c - the tables of gdr-bundle: commands and options. */
#include "bundle_options.h"
#include "../generator/generator.h"
#include "option_table.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char gdr_bundle_help[] =
    "usage: gdr-bundle build [options] -o FILE     winners and defaults alone\n"
    "       gdr-bundle merge [options] A B... -o FILE  those of several files\n"
    "       gdr-bundle verify [options] FILE      is it whole? executes "
    "nothing\n"
    "       gdr-bundle show [options] FILE        the winners\n"
    "       gdr-bundle diff [options] A B         what B would change\n"
    "       gdr-bundle keygen NAME                NAME.key signs, NAME.pub "
    "verifies\n"
    "\n"
    "build:\n"
    "  --db FILE         what to take them from ($GDR_DB, else the user's)\n"
    "  --max-regret R    fewer codes: each at most R slower than the fastest, "
    "as 5%\n"
    "  --max-kernels N   of a static problem, whatever that costs\n"
    "build, merge:\n"
    "  -o, --output FILE the bundle\n"
    "  --arch A,B,...    devices of these alone: sm_90a, x86-64\n"
    "  --shapes LIST     problems of this list alone: a name, or a .lua file\n"
    "  --only STATICS    this problem alone; both are repeatable\n"
    "  --format db|c     a file for gdr_open, or C source to link (db)\n"
    "  --sign KEY        signed with the key of this file\n"
    "  --force           in place of a file that is there\n"
    "verify:\n"
    "  --run             and right, where there is a device for it\n"
    "  --device cpu|N    run on this one alone\n"
    "merge, verify, show, diff:\n"
    "  --verify-key PUB  each FILE must be signed by this one "
    "($GDR_VERIFY_KEY)\n"
    "all but keygen:\n"
    "  --json            JSON instead of words\n"
    "\n"
    "A bundle is a database: GDR_DB=FILE serves it. Exit code: 0, 1 damaged,\n"
    "different or nothing to put in, 2 usage or environment.\n";

static gdr_bundle_request *request_of(const gdr_option_reader *r)
{
    return r->to;
}

static gdr_status no_memory(const gdr_option_reader *r)
{
    gdr_option_refuse(r, "out of memory");
    return GDR_ERR_NO_MEMORY;
}

/* ---- one function per option that can go wrong ---- */

static gdr_status take_archs(const gdr_option_reader *r, const char *list)
{
    gdr_bundle_request *q = request_of(r);
    gdr_bundle_filter *f = &q->build.filter;
    char *save = NULL;

    free(q->archs);
    q->archs = strdup(list);
    if (!q->archs)
        return no_memory(r);
    f->n_arch = 0;
    for (char *one = strtok_r(q->archs, ",", &save); one;
         one = strtok_r(NULL, ",", &save)) {
        if (f->n_arch == GDR_BUNDLE_ARCHS)
            return gdr_option_refuse(r, "--arch: more than %d",
                                     GDR_BUNDLE_ARCHS);
        q->arch[f->n_arch++] = one;
    }
    return f->n_arch ? GDR_OK : gdr_option_refuse(r, "--arch: an empty list");
}

/* Each once. */
static gdr_status add_statics(const gdr_option_reader *r, gdr_problem *p)
{
    gdr_bundle_request *q = request_of(r);
    char text[GDR_PROBLEM_TEXT];
    int n = q->build.filter.n_statics;
    char **more;

    memset(&p->x, 0, sizeof p->x);
    gdr_problem_format(p, text, sizeof text);
    for (int i = 0; i < n; i++)
        if (!strcmp(q->statics[i], text))
            return GDR_OK;
    more = realloc(q->statics, (size_t)(n + 1) * sizeof *more);
    if (!more)
        return no_memory(r);
    q->statics = more;
    q->statics[n] = strdup(text);
    if (!q->statics[n])
        return no_memory(r);
    q->build.filter.n_statics++;
    return GDR_OK;
}

static gdr_status take_only(const gdr_option_reader *r, const char *text)
{
    char why[256];
    gdr_problem p;

    if (gdr_problem_parse(text, &p, why, sizeof why) != GDR_OK)
        return gdr_option_refuse(r, "--only '%s': %s", text, why);
    if (p.x.B > 0)
        return gdr_option_refuse(
            r,
            "--only '%s': without extents, a bundle has all of a "
            "static problem or nothing",
            text);
    return add_statics(r, &p);
}

typedef struct shape_reader {
    const gdr_option_reader *r;
    gdr_status status;
} shape_reader;

static int take_problem(void *ctx, const char *text)
{
    shape_reader *s = ctx;
    gdr_problem p;

    if (gdr_problem_parse(text, &p, NULL, 0) == GDR_OK)
        s->status = add_statics(s->r, &p);
    return s->status != GDR_OK;
}

/* The static problems of a list that gdr-tune takes, too. */
static gdr_status take_shapes(const gdr_option_reader *r, const char *name)
{
    shape_reader s = {r, GDR_OK};
    gdr_generator *g = NULL;
    gdr_status status = gdr_generator_open(NULL, &g);

    if (status == GDR_OK)
        status = gdr_generator_each_shape(g, name, take_problem, &s);
    if (status != GDR_OK)
        s.status = gdr_option_refuse(r, "--shapes %s: %s", name,
                                     g ? gdr_generator_errmsg(g)
                                       : gdr_strerror(status));
    gdr_generator_close(g);
    return s.status;
}

/* "5%" and "0.05" are the same; a 5 may be meant as either. */
static gdr_status take_regret(const gdr_option_reader *r, const char *text)
{
    char *end;
    double x = strtod(text, &end);
    int percent = !strcmp(end, "%");

    if (end == text || (*end && !percent) || !(x >= 0) ||
        !(x <= (percent ? 1000 : 1)))
        return gdr_option_refuse(
            r,
            "--max-regret '%s': 0%% to 1000%% is needed, or a share "
            "of 0 to 1",
            text);
    request_of(r)->build.filter.max_regret = percent ? x / 100 : x;
    return GDR_OK;
}

static gdr_status take_kernels(const gdr_option_reader *r, const char *text)
{
    enum { MOST = 1000 };
    char *end;
    long n = strtol(text, &end, 10);

    if (end == text || *end || n < 1 || n > MOST)
        return gdr_option_refuse(r, "--max-kernels '%s': 1 to %d is needed",
                                 text, MOST);
    request_of(r)->build.filter.max_kernels = (int)n;
    return GDR_OK;
}

static gdr_status take_format(const gdr_option_reader *r, const char *text)
{
    request_of(r)->build.as_c = !strcmp(text, "c");
    if (request_of(r)->build.as_c || !strcmp(text, "db"))
        return GDR_OK;
    return gdr_option_refuse(r, "--format '%s': db or c is needed", text);
}

static gdr_status take_device(const gdr_option_reader *r, const char *name)
{
    request_of(r)->device = name;
    request_of(r)->run = 1;
    return GDR_OK;
}

/* ---- the tables ---- */

enum {
    BUILD = 1 << GDR_BUNDLE_BUILD,
    MERGE = 1 << GDR_BUNDLE_MERGE,
    VERIFY = 1 << GDR_BUNDLE_VERIFY,
    SHOW = 1 << GDR_BUNDLE_SHOW,
    DIFF = 1 << GDR_BUNDLE_DIFF,
    KEYGEN = 1 << GDR_BUNDLE_KEYGEN,
    READERS = MERGE | VERIFY | SHOW | DIFF,
    ALL = BUILD | READERS | KEYGEN
};

static const struct {
    const char *name;
    int least, most; /* words behind it */
    const char *words;
} commands[GDR_BUNDLE_COMMANDS] = {
    [GDR_BUNDLE_BUILD] = {"build", 0, 0, "no file but --db and -o"},
    [GDR_BUNDLE_MERGE] = {"merge", 2, INT32_MAX, "two files or more"},
    [GDR_BUNDLE_VERIFY] = {"verify", 1, 1, "one file"},
    [GDR_BUNDLE_SHOW] = {"show", 1, 1, "one file"},
    [GDR_BUNDLE_DIFF] = {"diff", 2, 2, "two files"},
    [GDR_BUNDLE_KEYGEN] = {"keygen", 1, 1, "one name"},
};

#define AT(member) offsetof(gdr_bundle_request, member)

static const gdr_option table[] = {
    {"db", .text = AT(db), .commands = BUILD},
    {"arch", .take = take_archs, .commands = BUILD | MERGE},
    {"only", .take = take_only, .commands = BUILD | MERGE},
    {"shapes", .take = take_shapes, .commands = BUILD | MERGE},
    {"output", .letter = 'o', .text = AT(output), .commands = BUILD | MERGE},
    {"max-regret", .take = take_regret, .commands = BUILD},
    {"max-kernels", .take = take_kernels, .commands = BUILD},
    {"sign", .text = AT(build.secret), .commands = BUILD | MERGE},
    {"format", .take = take_format, .commands = BUILD | MERGE},
    {"force", .flag = AT(build.filter.force), .commands = BUILD | MERGE},
    {"run", .flag = AT(run), .commands = VERIFY},
    {"device", .take = take_device, .commands = VERIFY},
    {"verify-key", .text = AT(verify_key), .commands = READERS},
    {"json", .flag = AT(json), .commands = BUILD | READERS},
    {"help", .flag = AT(help), .commands = ALL},
    {"version", .flag = AT(version), .commands = ALL},
};

enum { OPTIONS = sizeof table / sizeof *table };

/* ---- the command ---- */

static gdr_status read_command(const gdr_option_reader *r, char **word, int n)
{
    gdr_bundle_request *q = request_of(r);
    int c = 0;

    if (n == 0)
        return gdr_option_refuse(
            r, "a command is missing: build, merge, verify, show, "
               "diff or keygen; see --help");
    while (c < GDR_BUNDLE_COMMANDS && strcmp(word[0], commands[c].name) != 0)
        c++;
    if (c == GDR_BUNDLE_COMMANDS)
        return gdr_option_refuse(
            r,
            "%s: no such command: build, merge, verify, show, diff "
            "or keygen",
            word[0]);
    q->command = (gdr_bundle_command)c;
    q->word = word + 1;
    q->n_words = n - 1;
    if (q->n_words < commands[c].least || q->n_words > commands[c].most)
        return gdr_option_refuse(r, "%s takes %s, not %d; see --help",
                                 commands[c].name, commands[c].words,
                                 q->n_words);
    return GDR_OK;
}

static gdr_status check_given(const gdr_option_reader *r, uint32_t given)
{
    const gdr_bundle_request *q = request_of(r);
    const char *name = commands[q->command].name;

    for (int i = 0; i < OPTIONS; i++)
        if (given >> i & 1 && !(table[i].commands >> q->command & 1))
            return gdr_option_refuse(
                r, "--%s: %s does not take it%s; see --help", table[i].name,
                name,
                q->command == GDR_BUNDLE_MERGE &&
                        !strncmp(table[i].name, "max", 3)
                    ? ", since a bundle has no trials: give it to "
                      "build, for each file"
                    : "");
    if ((BUILD | MERGE) >> q->command & 1 && (!q->output || !*q->output))
        return gdr_option_refuse(r, "%s: -o FILE is missing", name);
    if (q->build.as_c && q->build.secret)
        return gdr_option_refuse(
            r, "--sign: C source is not signed; it is as safe as the "
               "program that it is compiled into");
    return GDR_OK;
}

gdr_status gdr_bundle_options_read(int argc, char **argv,
                                   gdr_bundle_request *out, char *msg, size_t n)
{
    const gdr_option_reader r = {out, msg, n};
    uint32_t given;
    gdr_status status;

    msg[0] = 0;
    memset(out, 0, sizeof *out);
    status = gdr_option_table_read(argc, argv, table, OPTIONS, &r, &given);
    out->build.filter.arch = out->arch;
    out->build.filter.statics = (const char *const *)out->statics;
    if (status != GDR_OK || out->help || out->version)
        return status;
    status = read_command(&r, argv + optind, argc - optind);
    return status == GDR_OK ? check_given(&r, given) : status;
}

void gdr_bundle_options_close(gdr_bundle_request *r)
{
    for (int i = 0; i < r->build.filter.n_statics; i++)
        free(r->statics[i]);
    free(r->statics);
    free(r->archs);
}
