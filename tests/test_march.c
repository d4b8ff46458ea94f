/*
 * test_march.c - one source for every instruction set: the templates of the
 * cpu, as each level's default expands them, compile without a word by each
 * compiler, and what this cpu can run passes the gate. GDR_THOROUGH=1: each
 * compiler gets all problems; else two compilers share those of a level.
 */
#include "../generator/generator.h"
#include "../runtime/isa.h"
#include "../tuner/verify.h"
#include "generator_fixture.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static const char *const statics[] = {
    "recurrent:ring:vk:bf16/bf16:k32v16:l2norm:g:round",
    "recurrent:indexed:kv:f16/f32:k32v32:fused",
    "recurrent:snapshots:vk:f32/f32:k24v17:g", /* no width of 16 */
};

/* Runs the first argument with those of compile_cc.c but for its choice of the
 * processor: all other flags are as they are in use, and warnings are errors,
 * except clang's about flags that mean nothing without linking. */
static const char wrapper[] =
    "compiler=$1\n"
    "shift\n"
    "for word; do\n"
    "    shift\n"
    "    case $word in\n"
    "    -march=native | -mcpu=native) ;;\n"
    "    *) set -- \"$@\" \"$word\" ;;\n"
    "    esac\n"
    "done\n"
    "exec \"$compiler\" \"$@\" -Wall -Wextra -Werror \\\n"
    "    -Wno-unused-command-line-argument\n";

typedef struct level {
    const char *cc;
    const char *isa;    /* what the compiler must use */
    const char *beyond; /* and must not, though this cpu may have it */
    int vector_bytes;
    const char *foreign; /* another arch: compile only */
} level;

static const level levels[] = {
#if defined(__aarch64__)
    {"gcc -march=armv8-a", "asimd", "dotprod", 16, NULL},
    {"clang -march=armv8-a", "asimd", "dotprod", 16, NULL},
#else
    {"gcc -march=x86-64-v2", "popcnt+sse4.2", "avx", 16, NULL},
    {"clang -march=x86-64-v2", "popcnt+sse4.2", "avx", 16, NULL},
    {"gcc -march=x86-64-v3", "avx2+f16c+fma", "avx512f", 32, NULL},
    {"clang -march=x86-64-v3", "avx2+f16c+fma", "avx512f", 32, NULL},
    {"gcc -march=x86-64-v4", "avx512f+avx512vl", "avx512bf16", 64, NULL},
    {"clang -march=x86-64-v4", "avx512f+avx512vl", "avx512bf16", 64, NULL},
    /* -c: there need be nothing to link with */
    {"aarch64-linux-gnu-gcc -march=armv8-a -c", "asimd", "", 16, "aarch64"},
    {"clang --target=aarch64-linux-gnu -march=armv8-a -c", "asimd", "", 16,
     "aarch64"},
#endif
};

enum {
    LEVELS = sizeof levels / sizeof *levels,
    STATICS = sizeof statics / sizeof *statics
};

typedef struct bench {
    const level *level;
    const gdr_target *target;
    void *dev;
    gdr_generator *generator;
    gdr_generator_device device;
    struct folder folder;
    char *own_cc; /* the environment to restore */
    int all;
} bench;

/* A device with the level's registers and this machine's caches. */
static gdr_generator_device device_like(const gdr_device_info *i,
                                        const level *l)
{
    return (gdr_generator_device){.kind = i->kind,
                                  .arch = l->foreign ? l->foreign : i->arch,
                                  .isa = l->isa,
                                  .vector_bytes = l->vector_bytes,
                                  .l1_bytes = i->l1_bytes,
                                  .l2_bytes = i->l2_bytes,
                                  .sms = i->sms};
}

static int open_bench(void **state)
{
    bench *b = calloc(1, sizeof *b);
    gdr_device_options options = {.size = sizeof options};
    const char *all = getenv("GDR_THOROUGH");
    char msg[512], cc[300];
    if (!b)
        return 1;
    b->level = *state;
    b->all = all && strcmp(all, "0") != 0;
    b->target = gdr_target_find("cpu");
    if (b->target->backend->open("", &options, &b->dev, msg, sizeof msg) !=
            GDR_OK ||
        gdr_generator_open(NULL, &b->generator) != GDR_OK)
        return 1;
    b->device = device_like(b->target->backend->info(b->dev), b->level);
    folder_open(&b->folder);
    folder_write(&b->folder, "cc", wrapper);
    b->own_cc = getenv("CC") ? strdup(getenv("CC")) : NULL;
    snprintf(cc, sizeof cc, "sh %s/cc %s", b->folder.path, b->level->cc);
    setenv("CC", cc, 1);
    *state = b;
    return 0;
}

static int close_bench(void **state)
{
    bench *b = *state;
    if (b->own_cc)
        setenv("CC", b->own_cc, 1);
    else
        unsetenv("CC");
    free(b->own_cc);
    folder_close(&b->folder);
    gdr_generator_close(b->generator);
    b->target->backend->close(b->dev);
    free(b);
    return 0;
}

/* Is the compiler there, with headers, and does it know the level? */
static int compiles(const level *l)
{
    char command[300];
    snprintf(command, sizeof command,
             "echo '#include <math.h>' | %s -E -x c - >/dev/null 2>&1", l->cc);
    return system(command) == 0;
}

static void compile(bench *b, const char *text, const char *config,
                    const char *source, size_t bytes, gdr_image *image)
{
    char log[2000] = "";
    if (b->target->compile(source, bytes, "", 120, image, log, sizeof log) !=
            GDR_OK ||
        log[0])
        fail_msg("%s: %s, %s: %s", b->level->cc, text, config, log);
}

/* Else the other levels' code would be judged here, or this cpu's own. */
static int keeps_to_level(const bench *b, const gdr_image *image)
{
    const level *l = b->level;
    return gdr_isa_subset(l->isa, image->isa) &&
           !gdr_isa_subset(l->beyond, image->isa) &&
           gdr_isa_vector_bytes(image->isa) == l->vector_bytes;
}

static void verify(bench *b, const gdr_static *s, const gdr_candidate *c,
                   const char *text, const gdr_image *image)
{
    char msg[512] = "";
    gdr_verdict v;
    gdr_verify_options o = {.seed = 1};
    gdr_step_text step = {c->step[0].entry,     c->step[0].grid_x,
                          c->step[0].grid_y,    c->step[0].grid_z,
                          c->step[0].block,     c->step[0].smem,
                          c->step[0].workspace, c->step[0].pdl};
    gdr_recipe r = {.s = *s,
                    .backend = b->target->backend,
                    .dev = b->dev,
                    .sms = (int32_t)b->device.sms,
                    .kernel = c->kernel,
                    .config = c->config};
    if (gdr_recipe_add_step(&r, &step, image->code, image->bytes, msg,
                            sizeof msg) != GDR_OK)
        fail_msg("%s: %s, %s: %s", b->level->cc, text, c->config, msg);
    assert_int_equal(gdr_verify(b->target, &r, &o, &v), GDR_OK);
    gdr_recipe_unload(&r);
    if (strcmp(v.outcome, "ok") != 0)
        fail_msg("%s: %s, %s: %s: %s", b->level->cc, text, c->config, v.outcome,
                 v.note);
}

static int width_of(const char *config)
{
    const char *at = strstr(config, "width=");
    assert_non_null(at);
    return atoi(at + strlen("width="));
}

/* No variant is wider than the level's registers; the default fills them, or
 * else the widest that divides K is all there is. */
static void check_widths(const bench *b, const gdr_space *space,
                         const gdr_candidate *chosen, const char *text)
{
    int widest = 0;
    for (int64_t i = 0; i < space->n_candidates; i++) {
        int width = width_of(space->candidate[i].config);
        if (4 * width > b->level->vector_bytes)
            fail_msg("%s: %s: too wide: %s", b->level->cc, text,
                     space->candidate[i].config);
        widest = width > widest ? width : widest;
    }
    if (width_of(chosen->config) != widest)
        fail_msg("%s: %s: default %s", b->level->cc, text, chosen->config);
}

/* 1 if this cpu could run it, too. */
static int judge(bench *b, const char *text)
{
    gdr_static s = static_of(text);
    gdr_space *space;
    gdr_image image;
    char *source;
    size_t bytes;
    assert_int_equal(gdr_generator_space(b->generator, &s, &b->device, &space),
                     GDR_OK);
    const gdr_candidate *c = &space->candidate[gdr_space_default(space, 8)];
    check_widths(b, space, c, text);
    assert_int_equal(c->n_steps, 1);
    assert_int_equal(gdr_generator_expand(b->generator, &s, c->kernel,
                                          c->config, 0, &source, &bytes),
                     GDR_OK);
    compile(b, text, c->config, source, bytes, &image);
    free(source);
    if (!b->level->foreign && !keeps_to_level(b, &image))
        fail_msg("%s: uses %s", b->level->cc, image.isa);
    int runs =
        !b->level->foreign && b->target->backend->loadable(b->dev, image.isa);
    if (runs)
        verify(b, &s, c, text, &image);
    free(image.code);
    gdr_space_close(space);
    return runs;
}

static void level_is_served(void **state)
{
    bench *b = *state;
    int ran = 0;
    if (!compiles(b->level)) {
        print_message("%s: not here, or does not know it\n", b->level->cc);
        skip();
    }
    for (int i = 0; i < STATICS; i++)
        if (b->all || (b->level - levels) % STATICS != i)
            ran += judge(b, statics[i]);
    if (!ran && !b->level->foreign) {
        print_message("%s: compiles; this cpu cannot run it\n", b->level->cc);
        skip();
    }
}

int main(void)
{
    struct CMUnitTest tests[LEVELS];
    for (int i = 0; i < LEVELS; i++)
        tests[i] =
            (struct CMUnitTest){levels[i].cc, level_is_served, open_bench,
                                close_bench, (void *)&levels[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
