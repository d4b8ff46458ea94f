/*
 * test_generator.c - the generator's calls: spaces, sources, overlays, and what
 * happens when memory runs out. Golden expansions: tests/golden/, written anew
 * by `GDR_UPDATE_GOLDEN=1 build/tests/test_generator`.
 */
#include "../runtime/geometry.h"
#include "../tuner/chip.h"
#include "generator_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* needs some of the above */
#include <cmocka.h>

static const char overlay[] = "tests/templates";

static gdr_generator *open_generator(const char *folder)
{
    gdr_generator *g;
    gdr_status st = gdr_generator_open(folder, &g);
    if (st)
        print_error("%s\n", gdr_generator_errmsg(g));
    assert_int_equal(st, GDR_OK);
    return g;
}

static gdr_space *space_on(gdr_generator *g, const char *statics,
                           const gdr_generator_device *d)
{
    gdr_static s = static_of(statics);
    gdr_space *space;
    gdr_status st = gdr_generator_space(g, &s, d, &space);
    if (st)
        print_error("%s: %s\n", statics, gdr_generator_errmsg(g));
    assert_int_equal(st, GDR_OK);
    return space;
}

static gdr_space *space_of(gdr_generator *g, const char *kind)
{
    gdr_generator_device d = device_of(kind);
    return space_on(g, plain_statics, &d);
}

static char *expand(gdr_generator *g, const char *statics, const char *kernel,
                    const char *config, int n)
{
    gdr_static s = static_of(statics);
    char *source;
    size_t bytes;
    gdr_status st =
        gdr_generator_expand(g, &s, kernel, config, n, &source, &bytes);
    if (st)
        print_error("%s %s: %s\n", kernel, config, gdr_generator_errmsg(g));
    assert_int_equal(st, GDR_OK);
    return source;
}

static const gdr_candidate *find(const gdr_space *space, const char *config)
{
    for (int64_t i = 0; i < space->n_candidates; i++)
        if (strcmp(space->candidate[i].config, config) == 0)
            return &space->candidate[i];
    return NULL;
}

/* ---- golden ---- */

static char *read_text(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    size_t size = 1 << 20;
    char *text = malloc(size);
    assert_non_null(text);
    text[fread(text, 1, size - 1, f)] = 0;
    fclose(f);
    return text;
}

static int first_difference(const char *a, const char *b)
{
    int line = 1;
    for (; *a && *a == *b; a++, b++)
        line += *a == '\n';
    return line;
}

/* Compares with tests/golden/NAME, or writes it. */
static int differs(const char *name, const char *source)
{
    char path[256];
    int wrong;
    snprintf(path, sizeof(path), "tests/golden/%s", name);
    if (getenv("GDR_UPDATE_GOLDEN")) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_true(fputs(source, f) >= 0);
        assert_int_equal(fclose(f), 0);
        return 0;
    }
    char *golden = read_text(path);
    wrong = !golden || strcmp(golden, source) != 0;
    if (wrong)
        print_error("%s:%d differs. If that is meant: "
                    "GDR_UPDATE_GOLDEN=1 build/tests/test_generator\n",
                    path, golden ? first_difference(golden, source) : 0);
    free(golden);
    return wrong;
}

static void steps_expand_as_ever(void **state)
{
    gdr_generator *g = open_generator(overlay);
    int wrong = 0;
    (void)state;
    for (int n = 0; n < 2; n++) {
        char name[32];
        char *source =
            expand(g, plain_statics, "test/pair", "n=4 spare=0 chunk=16", n);
        snprintf(name, sizeof(name), "pair.%d.c", n);
        wrong += differs(name, source);
        free(source);
        assert_string_equal(gdr_generator_errmsg(g),
                            "tests/templates/test/pair.lua: warning: never "
                            "read by the template: spare (in chunk=16 n=4 "
                            "spare=0)");
    }
    gdr_generator_close(g);
    assert_int_equal(wrong, 0);
}

/* Each step of the first config of each kernel, or of one, on one pinned
 * device. */
static int kernels_differ(gdr_generator *g, const gdr_generator_device *d,
                          const char *statics, const char *shape,
                          const char *only)
{
    gdr_space *space = space_on(g, statics, d);
    const char *last = "";
    int wrong = 0;
    for (int64_t j = 0; j < space->n_candidates; j++) {
        const gdr_candidate *c = &space->candidate[j];
        if (!strcmp(c->kernel, last) || (only && strcmp(c->kernel, only) != 0))
            continue;
        last = c->kernel;
        for (int n = 0; n < c->n_steps; n++) {
            char name[96];
            char *source = expand(g, statics, c->kernel, c->config, n);
            snprintf(name, sizeof(name), "%s.%s.%d.%s", c->kernel, shape, n,
                     strcmp(d->kind, "cuda") == 0 ? "cu" : "c");
            *strchr(name, '/') = '.';
            wrong += differs(name, source);
            free(source);
        }
    }
    gdr_space_close(space);
    return wrong;
}

static void kernels_expand_as_ever(void **state)
{
    static const struct {
        const char *name, *statics, *only;
    } rows[] = {
        {"final.vk", "recurrent:final:vk:bf16/f32:k128v128:l2norm:g", NULL},
        {"ring.kv", "recurrent:ring:kv:bf16/bf16:k128v128:l2norm:g:round",
         NULL},
        {"final.bf16", "recurrent:final:vk:bf16/bf16:k128v128:l2norm:g",
         "cuda/recurrent_mma"},
    };
    static const char *const archs[] = {"sm_80", "sm_90a"};
    gdr_generator *g = open_generator(NULL);
    gdr_generator_device d = device_of("cpu");
    int wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        wrong +=
            kernels_differ(g, &d, rows[i].statics, rows[i].name, rows[i].only);
    for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++) {
        char msg[512], shape[64];
        const gdr_chip *chip;
        assert_int_equal(gdr_chip_find(archs[i], &chip, msg, sizeof(msg)),
                         GDR_OK);
        d = gdr_chip_traits(chip);
        for (size_t j = 0; j < sizeof(rows) / sizeof(rows[0]); j++) {
            snprintf(shape, sizeof(shape), "%s.%s", archs[i], rows[j].name);
            wrong +=
                kernels_differ(g, &d, rows[j].statics, shape, rows[j].only);
        }
    }
    gdr_generator_close(g);
    assert_int_equal(wrong, 0);
}

/* ---- spaces ---- */

static void candidates_are_sorted_and_their_terms_parse(void **state)
{
    static const char *const kinds[] = {"cpu", "test", "plain"};
    gdr_generator *g = open_generator(overlay);
    (void)state;
    for (int k = 0; k < 3; k++) {
        gdr_space *space = space_of(g, kinds[k]);
        assert_true(space->n_candidates > 0);
        for (int64_t i = 0; i < space->n_candidates; i++) {
            const gdr_candidate *c = &space->candidate[i];
            if (i > 0 && !strcmp(c[-1].kernel, c->kernel))
                assert_true(strcmp(c[-1].config, c->config) < 0);
            for (int n = 0; n < c->n_steps; n++) {
                const char *texts[] = {c->step[n].grid_x, c->step[n].grid_y,
                                       c->step[n].grid_z, c->step[n].block,
                                       c->step[n].smem,   c->step[n].workspace};
                for (int t = 0; t < 6; t++) {
                    gdr_term term;
                    char msg[256] = "";
                    if (gdr_term_parse(texts[t], &term, msg, sizeof(msg)))
                        fail_msg("%s: \"%s\": %s", c->kernel, texts[t], msg);
                }
            }
        }
        gdr_space_close(space);
    }
    gdr_generator_close(g);
}

static void a_candidate_is_complete(void **state)
{
    gdr_generator *g = open_generator(overlay);
    gdr_space *space = space_of(g, "test");
    const gdr_candidate *c = find(space, "chunk=16 n=4 spare=1");
    (void)state;
    assert_non_null(c);
    assert_string_equal(c->kernel, "test/pair");
    assert_string_equal(c->reduction, "test/pair n=4");
    assert_int_equal(c->n_steps, 2);
    assert_string_equal(c->step[0].entry, "first_vk");
    assert_string_equal(c->step[0].grid_x, "b*ceil(t/16)");
    assert_string_equal(c->step[0].grid_y, "min(hv*4,sms*2)");
    assert_string_equal(c->step[0].grid_z, "1");
    assert_string_equal(c->step[0].block, "128");
    assert_string_equal(c->step[0].smem, "16*k");
    assert_string_equal(c->step[0].workspace, "b*hv*65536");
    assert_string_equal(c->step[1].entry, "second");
    assert_string_equal(c->step[1].grid_x, "b*hv");
    assert_string_equal(c->step[1].smem, "0");
    gdr_space_close(space);
    gdr_generator_close(g);
}

/* 3 chunks x 4 n x 2 spare; what two constraints refuse counts for the first.
 */
static void pruned_configs_have_a_count_and_a_reason(void **state)
{
    gdr_generator *g = open_generator(overlay);
    gdr_generator_device d = device_of("test");
    (void)state;
    d.vector_bytes = 16;
    d.isa = "sse2+avx2x";
    gdr_space *space = space_on(g, plain_statics, &d);
    assert_int_equal(space->total, 24);
    assert_int_equal(space->n_candidates, 9);
    assert_int_equal(space->n_pruned, 2);
    assert_string_equal(space->pruned[0].kernel, "test/pair");
    assert_string_equal(space->pruned[0].reason, "lanes fit a register");
    assert_int_equal(space->pruned[0].count, 6);
    assert_string_equal(space->pruned[1].reason, "spare needs avx2");
    assert_int_equal(space->pruned[1].count, 9);
    gdr_space_close(space);
    gdr_generator_close(g);
}

static void all_pruned_is_an_empty_space(void **state)
{
    gdr_generator *g = open_generator(overlay);
    gdr_generator_device d = device_of("test");
    (void)state;
    d.vector_bytes = 0;
    gdr_space *space = space_on(g, plain_statics, &d);
    assert_int_equal(space->n_candidates, 0);
    assert_int_equal(space->pruned[0].count, 24);
    assert_int_equal(gdr_space_default(space, 1), -1);
    gdr_space_close(space);
    gdr_generator_close(g);
}

static const char *default_config(const gdr_space *space, int64_t work)
{
    int64_t i = gdr_space_default(space, work);
    assert_true(i >= 0);
    return space->candidate[i].config;
}

static void defaults_follow_work_and_are_repaired(void **state)
{
    gdr_generator *g = open_generator(overlay);
    gdr_generator_device d = device_of("test");
    gdr_space *space = space_on(g, plain_statics, &d);
    (void)state;
    assert_string_equal(default_config(space, 0), "chunk=16 n=8 spare=0");
    assert_string_equal(default_config(space, 64), "chunk=16 n=8 spare=0");
    assert_string_equal(default_config(space, 65), "chunk=64 n=8 spare=0");
    assert_string_equal(default_config(space, INT64_MAX),
                        "chunk=64 n=8 spare=0");
    gdr_space_close(space);
    /* n = 8 does not fit: the nearest that does */
    d.vector_bytes = 16;
    space = space_on(g, plain_statics, &d);
    assert_string_equal(default_config(space, 1), "chunk=16 n=4 spare=0");
    gdr_space_close(space);
    /* the function gives 64, which is in no domain: the nearest value */
    d.vector_bytes = 256;
    space = space_on(g, plain_statics, &d);
    assert_string_equal(default_config(space, 65), "chunk=64 n=8 spare=0");
    gdr_space_close(space);
    gdr_generator_close(g);
}

static void no_kernel_is_not_found(void **state)
{
    gdr_generator *g = open_generator(overlay);
    gdr_generator_device d = device_of("test");
    gdr_static s = static_of("recurrent:final:kv:f32/f32:k8v1:g");
    gdr_space *space = (gdr_space *)g;
    (void)state;
    assert_int_equal(gdr_generator_space(g, &s, &d, &space), GDR_ERR_NOT_FOUND);
    assert_null(space);
    assert_string_equal(gdr_generator_errmsg(g),
                        "no kernel in templates/test serves recurrent:final:kv:"
                        "f32/f32:k8v1:g; test/pair: only for vk");
    d.kind = "nothing";
    assert_int_equal(gdr_generator_space(g, &s, &d, &space), GDR_ERR_NOT_FOUND);
    s.K = 7;
    assert_int_equal(gdr_generator_space(g, &s, &d, &space), GDR_ERR_ARG);
    gdr_space_close(NULL);
    gdr_generator_close(g);
    gdr_generator_close(NULL);
}

/* ---- same input, same bytes ---- */

static void dump(gdr_generator *g, FILE *out)
{
    gdr_space *space = space_of(g, "test");
    for (int64_t i = 0; i < space->n_candidates; i++) {
        const gdr_candidate *c = &space->candidate[i];
        fprintf(out, "%s %s %s %lld %s\n", c->kernel, c->config, c->reduction,
                (long long)c->default_max_work, c->step[0].grid_x);
        char *source = expand(g, plain_statics, c->kernel, c->config, 0);
        fputs(source, out);
        free(source);
    }
    for (int64_t i = 0; i < space->n_pruned; i++)
        fprintf(out, "%s %lld\n", space->pruned[i].reason,
                (long long)space->pruned[i].count);
    gdr_space_close(space);
}

/* Lua seeds its hashes with the address of its state: states that live at the
 * same time have different seeds. */
static void same_input_same_bytes(void **state)
{
    enum { N = 6 };
    gdr_generator *g[N];
    char *first = NULL;
    (void)state;
    for (int i = 0; i < N; i++) {
        char *text;
        size_t bytes;
        FILE *out = open_memstream(&text, &bytes);
        assert_non_null(out);
        g[i] = open_generator(overlay);
        dump(g[i], out);
        if (i % 2)
            dump(g[i], out);
        else
            dump(g[0], out);
        fclose(out);
        if (first) {
            assert_string_equal(text, first);
            free(text);
        } else {
            first = text;
        }
    }
    free(first);
    for (int i = 0; i < N; i++)
        gdr_generator_close(g[i]);
}

/* ---- arguments ---- */

static void wrong_configs_are_named(void **state)
{
    static const struct {
        const char *kernel, *config;
        int n;
        gdr_status st;
        const char *message;
    } rows[] = {
        {"test/none", "", 0, GDR_ERR_NOT_FOUND, "no kernel 'test/none'"},
        {"../x", "", 0, GDR_ERR_NOT_FOUND, "no kernel '../x' in templates/"},
        {"", "", 0, GDR_ERR_NOT_FOUND, "no kernel ''"},
        {"plain/small", "", 0, GDR_ERR_PARSE, "config: n must be one of 1 2"},
        {"plain/small", "n=3", 0, GDR_ERR_PARSE, "n must be one of 1 2"},
        {"plain/small", "n=99999999999999999999", 0, GDR_ERR_PARSE, "one of"},
        {"plain/small", "n=1 n=1", 0, GDR_ERR_PARSE, "'n' stands twice"},
        {"plain/small", "n=1 m=1", 0, GDR_ERR_PARSE, "'m' is no tunable of"},
        {"plain/small", "n:1", 0, GDR_ERR_PARSE, "'n:1' is not name=int"},
        {"plain/small", "n=1", 1, GDR_ERR_ARG, "plain/small has 1 steps"},
        {"plain/small", "n=1", -1, GDR_ERR_ARG, "plain/small has 1 steps"},
        {"plain/small", " n=1 ", 0, GDR_OK, ""},
    };
    gdr_generator *g = open_generator(overlay);
    gdr_static s = static_of(plain_statics);
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *source;
        size_t bytes;
        gdr_status st = gdr_generator_expand(
            g, &s, rows[i].kernel, rows[i].config, rows[i].n, &source, &bytes);
        assert_int_equal(st, rows[i].st);
        assert_true((source != NULL) == (st == GDR_OK));
        if (!strstr(gdr_generator_errmsg(g), rows[i].message))
            fail_msg("%s %s: %s", rows[i].kernel, rows[i].config,
                     gdr_generator_errmsg(g));
        free(source);
    }
    gdr_generator_close(g);
}

static void a_missing_folder_is_an_error(void **state)
{
    gdr_generator *g;
    gdr_generator_device d = device_of("cpu");
    gdr_static s = static_of(plain_statics);
    gdr_space *space;
    (void)state;
    assert_int_equal(gdr_generator_open("/no/such", &g), GDR_ERR_NOT_FOUND);
    assert_string_equal(gdr_generator_errmsg(g),
                        "templates: '/no/such' is not a folder");
    assert_int_equal(gdr_generator_space(g, &s, &d, &space), GDR_ERR_ARG);
    gdr_generator_close(g);
    assert_int_equal(gdr_generator_open("/dev/null", &g), GDR_ERR_NOT_FOUND);
    gdr_generator_close(g);
}

/* ---- overlay ---- */

static void a_folder_overrides_file_by_file(void **state)
{
    struct folder f;
    (void)state;
    folder_open(&f);
    folder_write(&f, "cpu/mine.lua",
                 "return { op = 'recurrent', doc = 'x', steps = { { entry = "
                 "'mine', grid = 'b' } }, tune = { z = { values = { 5 }, doc = "
                 "'x' } }, defaults = { { max_work = math.huge, z = 5 } } }");
    folder_write(&f, "cpu/mine.c", "//@ include 'cpu/prim.h'\nmine @(z)\n");
    folder_write(&f, "cpu/prim.h", "my prim @(z)\n");
    folder_write(&f, "cpu/.hidden.lua", "error 'read'");
    folder_write(&f, "cpu/notes.txt", "not a spec");
    gdr_generator *g = open_generator(f.path);
    gdr_space *space = space_of(g, "cpu");
    const gdr_candidate *c = find(space, "z=5");
    assert_non_null(c);
    assert_string_equal(c->kernel, "cpu/mine");
    /* sorted by kernel: before the packed cpu/recurrent, which is there too */
    assert_ptr_equal(c, &space->candidate[0]);
    assert_true(space->n_candidates > 1);
    assert_string_equal(space->candidate[1].kernel, "cpu/recurrent");
    char *source = expand(g, plain_statics, "cpu/mine", "z=5", 0);
    assert_non_null(strstr(source, "#line 1 \"templates/cpu/prim.h\"\n"
                                   "my prim 5\n"
                                   "#line 2 \"templates/cpu/mine.c\"\n"
                                   "mine 5\n"));
    free(source);
    /* exactly one kernel gives the defaults */
    int defaults = 0;
    for (int64_t i = 0; i < space->n_candidates; i++)
        defaults += space->candidate[i].default_max_work > 0 &&
                    &space->candidate[i] != c;
    assert_int_equal(defaults, 0);
    gdr_space_close(space);
    gdr_generator_close(g);
    folder_close(&f);
}

static void a_kernel_has_a_plain_name(void **state)
{
    struct folder f;
    gdr_generator_device d = device_of("k");
    gdr_static s = static_of(plain_statics);
    gdr_space *space;
    (void)state;
    folder_open(&f);
    folder_write(&f, "k/x.old.lua", "return {}");
    gdr_generator *g = open_generator(f.path);
    assert_int_equal(gdr_generator_space(g, &s, &d, &space), GDR_ERR_TEMPLATE);
    assert_string_equal(gdr_generator_errmsg(g),
                        "templates/k/x.old.lua: a kernel's name is letters, "
                        "digits, _ and -");
    gdr_generator_close(g);
    folder_close(&f);
}

static void what_a_script_changes_is_gone_at_the_next_call(void **state)
{
    struct folder f;
    (void)state;
    folder_open(&f);
    folder_write(&f, "k/x.lua",
                 "dtypes.f32.bytes = dtypes.f32.bytes + 1\n"
                 "math.huge = math.huge\n"
                 "string.format, table.concat = nil, nil\n"
                 "return { op = 'recurrent', doc = 'x', steps = { { entry = "
                 "'x', grid = '@(bytes(\"f32\"))' } } }");
    folder_write(&f, "k/x.c", "");
    gdr_generator *g = open_generator(f.path);
    for (int i = 0; i < 3; i++) {
        gdr_space *space = space_of(g, "k");
        assert_string_equal(space->candidate[0].step[0].grid_x, "5");
        assert_string_equal(space->candidate[0].config, "");
        gdr_space_close(space);
    }
    gdr_generator_close(g);
    folder_close(&f);
}

/* ---- memory runs out ---- */

static gdr_status walk(struct memory *m)
{
    gdr_generator *g = NULL;
    gdr_generator_device d = device_of("plain");
    gdr_static s = static_of(plain_statics);
    gdr_space *space = NULL;
    char *source = NULL;
    size_t bytes;
    gdr_status st = gdr_generator_open_with(overlay, memory_alloc, m, &g);
    if (!st)
        st = gdr_generator_space(g, &s, &d, &space);
    if (!st)
        st = gdr_generator_expand(g, &s, "plain/small", "n=1", 0, &source,
                                  &bytes);
    assert_non_null(gdr_generator_errmsg(g));
    gdr_space_close(space);
    gdr_generator_close(g);
    m->live -= source != NULL;
    free(source);
    return st;
}

/* The lowest free descriptor: it grows when one is not closed. */
static int free_descriptor(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

/* With a sanitizer every step costs ten times as much: it takes a stride. */
static long stride(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return getenv("GDR_THOROUGH") ? 1 : 41;
#else
    return 1;
#endif
}

static void memory_that_runs_out_is_a_status(void **state)
{
    struct memory m = {0};
    (void)state;
    assert_int_equal(walk(&m), GDR_OK);
    assert_int_equal(m.live, 0);
    long total = m.count;
    int fd = free_descriptor();
    assert_true(total > 1000);
    for (long n = 1; n <= total; n += stride()) {
        m = (struct memory){.fail_at = n, .sticky = 1};
        gdr_status st = walk(&m);
        if (st == GDR_OK && m.count < n)
            break; /* Lua seeds its hashes anew: a walk may need fewer */
        if (st != GDR_ERR_NO_MEMORY || m.live != 0)
            fail_msg("allocation %ld of %ld: %s, %ld blocks left", n, total,
                     gdr_strerror(st), m.live);
    }
    assert_int_equal(free_descriptor(), fd);
}

/* One failure may be mended by a collection, but never by a wrong status. */
static void one_failed_allocation_is_harmless(void **state)
{
    struct memory m = {0};
    (void)state;
    assert_int_equal(walk(&m), GDR_OK);
    long total = m.count;
    for (long n = 1; n <= total; n += 11 * stride()) {
        m = (struct memory){.fail_at = n};
        gdr_status st = walk(&m);
        if ((st != GDR_ERR_NO_MEMORY && st != GDR_OK) || m.live != 0)
            fail_msg("allocation %ld of %ld: %s, %ld blocks left", n, total,
                     gdr_strerror(st), m.live);
    }
}

/* A generator that ran out of memory works again when there is some. */
static void a_generator_survives_a_failed_call(void **state)
{
    struct memory m = {0};
    gdr_generator *g;
    gdr_generator_device d = device_of("plain");
    gdr_static s = static_of(plain_statics);
    gdr_space *space;
    (void)state;
    assert_int_equal(gdr_generator_open_with(overlay, memory_alloc, &m, &g),
                     GDR_OK);
    for (long n = 1; n < 4000; n += 97) {
        m.fail_at = m.count + n;
        m.sticky = 1;
        gdr_status st = gdr_generator_space(g, &s, &d, &space);
        assert_true(st == GDR_OK || st == GDR_ERR_NO_MEMORY);
        gdr_space_close(space);
        m.fail_at = 0;
        assert_int_equal(gdr_generator_space(g, &s, &d, &space), GDR_OK);
        assert_int_equal(space->n_candidates, 1);
        gdr_space_close(space);
    }
    gdr_generator_close(g);
    assert_int_equal(m.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_expand_as_ever),
        cmocka_unit_test(kernels_expand_as_ever),
        cmocka_unit_test(candidates_are_sorted_and_their_terms_parse),
        cmocka_unit_test(a_candidate_is_complete),
        cmocka_unit_test(pruned_configs_have_a_count_and_a_reason),
        cmocka_unit_test(all_pruned_is_an_empty_space),
        cmocka_unit_test(defaults_follow_work_and_are_repaired),
        cmocka_unit_test(no_kernel_is_not_found),
        cmocka_unit_test(same_input_same_bytes),
        cmocka_unit_test(wrong_configs_are_named),
        cmocka_unit_test(a_missing_folder_is_an_error),
        cmocka_unit_test(a_folder_overrides_file_by_file),
        cmocka_unit_test(a_kernel_has_a_plain_name),
        cmocka_unit_test(what_a_script_changes_is_gone_at_the_next_call),
        cmocka_unit_test(memory_that_runs_out_is_a_status),
        cmocka_unit_test(one_failed_allocation_is_harmless),
        cmocka_unit_test(a_generator_survives_a_failed_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
