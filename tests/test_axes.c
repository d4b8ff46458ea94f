/*
 * test_axes.c - the templates of the cpu device against the oracle: all pairs
 * of statics, and for each all pairs of the axes of a call. GDR_THOROUGH=1:
 * triples of both, and more variants of each.
 */
#include "../generator/generator.h"
#include "../tuner/cover.h"
#include "../tuner/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static const char *const contracts[] = {"final", "ring", "indexed",
                                        "snapshots"};
static const char *const layouts[] = {"vk", "kv"};
static const char *const dtypes[] = {"f32/f32", "bf16/f32", "bf16/bf16",
                                     "f16/f32", "f16/f16"};
static const char *const dims[] = {"k128v128", "k64v64",   "k96v37",
                                   "k8v17",    "k256v192", "k40v1"};
static const int levels[] = {4, 2, 5, 6, 2, 2, 2};

enum { STATICS = sizeof levels / sizeof *levels };

/* The sanitizers see the judge, not the kernels: a part of the rows will do. */
#ifdef __SANITIZE_ADDRESS__
enum { EVERY = 5, THOROUGH = 0 };
#else
enum { EVERY = 1, THOROUGH = 1 };
#endif

typedef struct bench {
    const gdr_target *target;
    void *dev;
    gdr_generator *generator;
    gdr_generator_device device;
    int all;
} bench;

static int open_bench(void **state)
{
    static bench b;
    static char msg[512];
    const char *all = getenv("GDR_THOROUGH");
    b.target = gdr_target_find("cpu");
    b.all = all && strcmp(all, "0") != 0;
    gdr_device_options options = {.size = sizeof options};
    if (b.target->backend->open("", &options, &b.dev, msg, sizeof msg) !=
            GDR_OK ||
        gdr_generator_open(NULL, &b.generator) != GDR_OK)
        return 1;
    const gdr_device_info *i = b.target->backend->info(b.dev);
    b.device = (gdr_generator_device){.kind = i->kind,
                                      .arch = i->arch,
                                      .isa = i->isa,
                                      .vector_bytes = i->vector_bytes,
                                      .l1_bytes = i->l1_bytes,
                                      .l2_bytes = i->l2_bytes,
                                      .sms = i->sms};
    *state = &b;
    return 0;
}

static int close_bench(void **state)
{
    bench *b = *state;
    gdr_generator_close(b->generator);
    b->target->backend->close(b->dev);
    return 0;
}

static void compile(bench *b, const gdr_problem *p, const gdr_candidate *c,
                    const char *text, gdr_image *image)
{
    char *source, log[2000] = "";
    size_t bytes;
    if (gdr_generator_expand(b->generator, &p->s, c->kernel, c->config, 0,
                             &source, &bytes) != GDR_OK)
        fail_msg("gdr-tune expand '%s' '%s': %s", text, c->config,
                 gdr_generator_errmsg(b->generator));
    if (b->target->compile(source, bytes, "", 120, image, log, sizeof log) !=
        GDR_OK)
        fail_msg("gdr-tune expand '%s' '%s' does not compile: %s", text,
                 c->config, log);
    free(source);
}

static void verify(bench *b, const gdr_problem *p, const gdr_candidate *c,
                   const char *text, uint64_t seed)
{
    char msg[512] = "";
    gdr_image image;
    gdr_verdict v;
    gdr_verify_options o = {.seed = seed, .thorough = b->all ? 2 : THOROUGH};
    gdr_step_text step = {c->step[0].entry,     c->step[0].grid_x,
                          c->step[0].grid_y,    c->step[0].grid_z,
                          c->step[0].block,     c->step[0].smem,
                          c->step[0].workspace, c->step[0].pdl};
    gdr_recipe r = {.s = p->s,
                    .backend = b->target->backend,
                    .dev = b->dev,
                    .sms = (int32_t)b->device.sms,
                    .kernel = c->kernel,
                    .config = c->config};
    assert_int_equal(c->n_steps, 1);
    compile(b, p, c, text, &image);
    if (gdr_recipe_add_step(&r, &step, image.code, image.bytes, msg,
                            sizeof msg) != GDR_OK)
        fail_msg("%s, %s: %s", text, c->config, msg);
    assert_int_equal(gdr_verify(b->target, &r, &o, &v), GDR_OK);
    gdr_recipe_unload(&r);
    free(image.code);
    if (strcmp(v.outcome, "ok") != 0)
        fail_msg("%s, %s: %s: %s", text, c->config, v.outcome, v.note);
}

static void verify_row(bench *b, const uint8_t *l, int64_t row)
{
    char text[GDR_PROBLEM_TEXT], msg[200] = "";
    gdr_problem p;
    gdr_space *space;
    snprintf(text, sizeof text, "recurrent:%s:%s:%s:%s%s:%s%s", contracts[l[0]],
             layouts[l[1]], dtypes[l[2]], dims[l[3]], l[4] ? ":l2norm" : "",
             l[5] ? "fused" : "g", l[6] ? ":round" : "");
    if (gdr_problem_parse(text, &p, msg, sizeof msg) != GDR_OK)
        fail_msg("%s: %s", text, msg);
    if (gdr_generator_space(b->generator, &p.s, &b->device, &space) != GDR_OK)
        fail_msg("%s: %s", text, gdr_generator_errmsg(b->generator));
    /* one of all variants for each row; the default too when there is time */
    int64_t pick = row * 7919 % space->n_candidates;
    verify(b, &p, &space->candidate[pick], text, (uint64_t)row);
    if (b->all)
        verify(b, &p, &space->candidate[gdr_space_default(space, 8)], text,
               (uint64_t)row);
    gdr_space_close(space);
}

static void templates_are_right(void **state)
{
    bench *b = *state;
    uint8_t *rows;
    int64_t n;
    assert_int_equal(gdr_cover(levels, STATICS, b->all ? 3 : 2, &rows, &n),
                     GDR_OK);
    for (int64_t i = 0; i < n; i += EVERY)
        verify_row(b, rows + i * STATICS, i);
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_are_right),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
