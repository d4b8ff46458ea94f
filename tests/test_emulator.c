/*
 * test_emulator.c - kernels with one planted fault each (tests/faults/emu): the
 * emulator names the fault and its line, by either compiler, and says nothing
 * of the same kernel without it. A file says in its first comment what shall be
 * found, and in its line marked HERE where.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../generator/files.h"
#include "../runtime/recurrent_abi.h"
#include "../tuner/emulator/emulator.h"
#include "../tuner/target.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FLOATS = 4096, LAUNCHES = 9 };

typedef struct fault {
    char path[128], kind[32];
    char line[160]; /* "tests/faults/emu/x.cu:12" */
    char *text;
    gdr_launch_dims dims;
} fault;

typedef struct bench {
    const gdr_target *target;
    void *dev;
    void *q, *o, *state, *workspace;
    gdr_recurrent_params p;
} bench;

/* ---- kernels ---- */

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 1 << 16);

    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
    fclose(f);
    return text;
}

/* "grid 3" of the first comment. */
static int64_t number(const char *text, const char *name, int64_t otherwise)
{
    size_t length = strcspn(text, "\n");
    const char *at = strstr(text, name);

    return at && at < text + length ? atoll(at + strlen(name)) : otherwise;
}

static void read_fault(const char *path, fault *f)
{
    const char *here, *text;
    int line = 1;

    memset(f, 0, sizeof *f);
    snprintf(f->path, sizeof f->path, "%s", path);
    text = f->text = read_file(path);
    snprintf(f->kind, sizeof f->kind, "%.*s:",
             (int)strcspn(text + 3, ":;*") -
                 (text[3 + strcspn(text + 3, ":;*")] == '*'),
             text + 3);
    here = strstr(text, "/* HERE */");
    assert_non_null(here);
    for (const char *c = text; c < here; c++)
        line += *c == '\n';
    snprintf(f->line, sizeof f->line, "%s:%d", path, line);
    f->dims = (gdr_launch_dims){.grid = {number(text, "grid ", 1), 1, 1},
                                .block = 128,
                                .smem = number(text, "smem ", 0),
                                .pdl = number(text, "pdl ", 0)};
}

static gdr_status compile(const char *text, const char *path, int planted,
                          const char *arch, gdr_image *image, char *log,
                          size_t n)
{
    const char *abi = gdr_packed_find("runtime/recurrent_abi.h")->text;
    size_t room = strlen(abi) + strlen(text) + 256;
    char *source = malloc(room);
    gdr_status st;

    snprintf(source, room, "%s\n%s#line 1 \"%s\"\n%s", abi,
             planted ? "#define FAULT\n" : "", path, text);
    st = gdr_target_find("emu")->compile(source, strlen(source), arch, 60,
                                         image, log, n);
    free(source);
    return st;
}

/* ---- a device with a call's memory ---- */

static void open_bench(bench *b)
{
    float *x = calloc(FLOATS, sizeof *x);
    char msg[512];
    size_t bytes = FLOATS * sizeof *x;

    assert_int_equal(gdr_target_open("emu:sm_90a", NULL, &b->target, &b->dev,
                                     msg, sizeof msg),
                     GDR_OK);
    for (int i = 0; i < FLOATS; i++)
        x[i] = (float)(i % 31);
    b->target->alloc(b->dev, bytes, &b->q);
    b->target->alloc(b->dev, bytes, &b->state);
    b->target->alloc(b->dev, 256, &b->workspace);
    b->target->write(b->dev, b->q, x, bytes);
    b->target->write(b->dev, b->state, x, bytes);
    free(x);
}

static void close_bench(bench *b)
{
    b->target->backend->close(b->dev);
}

/* One launch with an output that nobody has written. note: what was found. */
static gdr_status launch(bench *b, void *kernel, const gdr_launch_dims *dims,
                         const char **outcome, char *note, size_t n)
{
    const char zeros[256] = {0};
    gdr_status st;

    b->target->alloc(b->dev, FLOATS * sizeof(float), &b->o);
    b->target->write(b->dev, b->workspace, zeros, sizeof zeros);
    b->p = (gdr_recurrent_params){
        .q = b->q, .o = b->o, .state = b->state, .workspace = b->workspace};
    st = b->target->backend->launch(b->dev, kernel, dims, &b->p, sizeof b->p,
                                    NULL);
    b->target->explain(b->dev, outcome, note, n);
    b->target->free(b->dev, b->o);
    return st;
}

/* Launches that found the kind at the line; other: one that found nothing of
 * the sort, or its words. */
static int count_found(const fault *f, int planted, int *reports, char *note,
                       size_t n)
{
    bench b;
    gdr_image image = {0};
    char log[4096] = "", text[2048];
    const char *outcome;
    void *kernel = NULL;
    int found = 0;

    note[0] = 0;
    *reports = 0;
    if (compile(f->text, f->path, planted, "sm_90a", &image, log, sizeof log))
        fail_msg("%s: %s", f->path, log);
    open_bench(&b);
    assert_int_equal(b.target->backend->load(b.dev, image.code, image.bytes,
                                             "gdr_kernel", &kernel, log,
                                             sizeof log),
                     GDR_OK);
    for (int i = 0; i < LAUNCHES; i++) {
        int hit;
        gdr_status st =
            launch(&b, kernel, &f->dims, &outcome, text, sizeof text);
        *reports += st != GDR_OK;
        hit = strstr(text, f->kind) && strstr(text, f->line);
        found += hit;
        if (text[0] && (!note[0] || (hit && found == 1)))
            snprintf(note, n, "%s: %.1900s", outcome, text);
    }
    b.target->backend->unload(b.dev, kernel);
    close_bench(&b);
    free(image.code);
    return found;
}

static int try_fault(const char *compiler, const fault *f)
{
    char note[2048], clean[2048];
    int reports, wrong, found = count_found(f, 1, &reports, note, sizeof note);

    count_found(f, 0, &wrong, clean, sizeof clean);
    if (getenv("GDR_SHOW") || !found || wrong)
        print_message("%s %s: %d of %d launches (%d failed): %s\n", compiler,
                      f->path, found, LAUNCHES, reports, note);
    if (wrong)
        print_message("%s %s: without the fault: %s\n", compiler, f->path,
                      clean);
    return found && !wrong;
}

/* ---- tests ---- */

static int has(const char *compiler)
{
    char command[64];

    snprintf(command, sizeof command, "%s --version >/dev/null 2>&1", compiler);
    return system(command) == 0;
}

static void check_all(const char *compiler)
{
    char *own = getenv("CXX") ? strdup(getenv("CXX")) : NULL;
    const char *only = getenv("GDR_ONLY");
    int bad = 0;
    glob_t g;
    fault f;

    if (!has(compiler)) {
        print_message("no %s\n", compiler);
        skip();
    }
    assert_int_equal(glob("tests/faults/emu/*.cu", 0, NULL, &g), 0);
    assert_true(g.gl_pathc >= 30);
    setenv("CXX", compiler, 1);
    for (size_t i = 0; i < g.gl_pathc; i++) {
        if (only && !strstr(g.gl_pathv[i], only))
            continue;
        read_fault(g.gl_pathv[i], &f);
        bad += !try_fault(compiler, &f);
        free(f.text);
    }
    globfree(&g);
    if (own)
        setenv("CXX", own, 1);
    else
        unsetenv("CXX");
    free(own);
    assert_int_equal(bad, 0);
}

static void test_gcc(void **state)
{
    (void)state;
    check_all("g++");
}

static void test_clang(void **state)
{
    (void)state;
    check_all("clang++");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gcc),
        cmocka_unit_test(test_clang),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
