/* libgdr as an engine uses it: a database on disk, the cpu, plans, launches. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../runtime/gdr_internal.h"
#include "../tuner/hash.h"
#include "store_kit.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATICS "recurrent:final:vk:f32/f32:k8v4:g"

/* ---- code ---- */

/* Puts MARK into each element of o; units are elements. */
static const char source[] =
    "void kern(void *const *p, long long begin, long long end)\n"
    "{ float *o = p[3]; for (; begin < end; begin++) o[begin] = MARK; }\n";

typedef struct image {
    char *data; /* malloc'd; NULL where there is no compiler */
    size_t bytes;
} image;

static image compile(int mark)
{
    char dir[] = "/tmp/gdr-test-XXXXXX", path[64], command[192];
    image made = {NULL, 0};
    FILE *cc;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/kern.so", dir);
    snprintf(command, sizeof command,
             "cc -shared -fPIC -O1 -DMARK=%d -x c -o %s - 2>/dev/null", mark,
             path);
    cc = popen(command, "w");
    assert_non_null(cc);
    fputs(source, cc);
    pclose(cc);
    if (access(path, R_OK) == 0)
        made.data = (char *)kit_load(path, &made.bytes);
    unlink(path);
    rmdir(dir);
    return made;
}

/* ---- rows ---- */

/* What a test puts into its database. */
typedef struct rows {
    gdr_store *st;
    int64_t device, run;
} rows;

static rows open_rows(const kit_place *place, const char *fingerprint,
                      const char *arch)
{
    rows r = {.st = kit_open(place->db, GDR_STORE_WRITE)};
    const gdr_device_row device = {fingerprint, "cpu", arch, "", "test"};
    gdr_run_row run = {.version = "0",
                       .compiler = "cc",
                       .protocol = "test/1",
                       .command = "test",
                       .host = "test",
                       .effort = "quick"};

    assert_ok(r.st, gdr_store_put_device(r.st, &device, &r.device));
    run.device = r.device;
    assert_ok(r.st, gdr_store_begin_run(r.st, &run, &r.run));
    return r;
}

/* A variant of one step; name is hashed into hash. */
static void put_variant(const rows *r, const char *name, const void *code,
                        size_t bytes, char hash[GDR_HASH_TEXT])
{
    char code_hash[GDR_HASH_TEXT];
    gdr_step_row step = {.entry = "kern",
                         .grid_x = "b*t*hv*v",
                         .grid_y = "1",
                         .grid_z = "1",
                         .block = "1",
                         .smem = "0",
                         .workspace = "b*256",
                         .isa = "",
                         .code = code,
                         .bytes = (int64_t)bytes,
                         .stamp = "stamp"};
    gdr_variant_row variant = {.statics = STATICS,
                               .kernel = "cpu/test",
                               .config = name,
                               .reduction = "test",
                               .abi = 1};

    gdr_hash_bytes(name, strlen(name), hash);
    gdr_hash_bytes(code, bytes, code_hash);
    variant.hash = step.variant = hash;
    step.hash = code_hash;
    assert_ok(r->st, gdr_store_put_variant(r->st, &variant));
    assert_ok(r->st, gdr_store_put_step(r->st, &step));
}

static void put_choice(const rows *r, const char *extents, const char *hash)
{
    char problem[GDR_PROBLEM_TEXT];
    const gdr_choice_row choice = {.run = r->run,
                                   .device = r->device,
                                   .problem = problem,
                                   .stamp = "space",
                                   .variant = hash,
                                   .variant_stamp = "stamp",
                                   .fallback = hash,
                                   .fallback_stamp = "stamp",
                                   .time_ns = 1234.5,
                                   .gain = 1,
                                   .gain_lo = 1,
                                   .gain_hi = 1};

    snprintf(problem, sizeof problem, STATICS " / %s", extents);
    assert_ok(r->st, gdr_store_put_choice(r->st, &choice));
}

static void close_rows(const rows *r)
{
    assert_ok(r->st, gdr_store_end_run(r->st, r->run, "done"));
    gdr_store_close(r->st);
}

static void here(char *fingerprint, size_t n, char *arch, size_t arch_n)
{
    const gdr_backend *backend;
    char msg[256] = "";
    void *dev;

    if (gdr_backend_open("cpu", NULL, &backend, &dev, msg, sizeof msg))
        fail_msg("%s", msg);
    snprintf(fingerprint, n, "%s", backend->info(dev)->fingerprint);
    snprintf(arch, arch_n, "%s", backend->info(dev)->arch);
    backend->close(dev);
}

/* ---- calls ---- */

/* A problem with everything that a call of it needs. */
typedef struct call {
    gdr_problem p;
    gdr_args args;
    float *memory, *o;
    char workspace[1 << 16] __attribute__((aligned(256)));
} call;

static call *new_call(const char *extents)
{
    call *c = aligned_alloc(256, (sizeof *c + 255) / 256 * 256);
    char text[GDR_PROBLEM_TEXT];
    size_t q, v, s;
    gdr_args *a;
    float *at;

    assert_non_null(c);
    memset(c, 0, sizeof *c);
    snprintf(text, sizeof text, STATICS " / %s", extents);
    assert_int_equal(gdr_problem_parse(text, &c->p, NULL, 0), GDR_OK);
    q = (size_t)(c->p.x.B * c->p.x.T * c->p.x.Hk * c->p.s.K);
    v = (size_t)(c->p.x.B * c->p.x.T * c->p.x.Hv * c->p.s.V);
    s = (size_t)(c->p.x.B * c->p.x.Hv * c->p.s.K * c->p.s.V);
    at = c->memory = malloc((2 * q + 2 * v + s) * sizeof *at);
    for (size_t i = 0; i < 2 * q + 2 * v + s; i++)
        at[i] = (float)(i % 7) / 7;
    a = &c->args;
    gdr_args_init(a, &c->p);
    a->q.data = at;
    a->k.data = at + q;
    a->v.data = at + 2 * q;
    a->o.data = c->o = at + 2 * q + v;
    a->state = at + 2 * q + 2 * v;
    a->workspace = c->workspace;
    a->workspace_bytes = sizeof c->workspace;
    return c;
}

static void free_call(call *c)
{
    free(c->memory);
    free(c);
}

/* Options that accept matches down to this one. */
#define WORST(m)                                                               \
    (&(const gdr_select_options){.size = sizeof(gdr_select_options),           \
                                 .worst = (m)})

/* Everything from a database to plans. */
typedef struct engine {
    gdr *g;
    gdr_device *dev;
    gdr_set *set;
} engine;

static engine start(const char *db, gdr_match worst)
{
    const gdr_device_options options = {.size = sizeof options, .threads = 2};
    gdr_problem p;
    engine e;

    assert_int_equal(gdr_problem_parse(STATICS, &p, NULL, 0), GDR_OK);
    if (gdr_open(db, &e.g) || gdr_device_open(e.g, "cpu", &options, &e.dev) ||
        gdr_select(e.dev, &p.s, WORST(worst), &e.set))
        fail_msg("%s", gdr_errmsg(e.g));
    return e;
}

static void stop(engine *e)
{
    gdr_set_close(e->set);
    gdr_device_close(e->dev);
    gdr_close(e->g);
}

static gdr_plan plan_for(const engine *e, const call *c, gdr_match match)
{
    gdr_plan plan;

    assert_int_equal(gdr_set_find(e->set, &c->p.x, &plan), GDR_OK);
    assert_string_equal(gdr_match_name(plan.match), gdr_match_name(match));
    return plan;
}

static void launch(const gdr_plan *plan, const call *c)
{
    char msg[256] = "";

    if (gdr_launch(plan, &c->args, NULL, msg, sizeof msg))
        fail_msg("%s", msg);
}

static void expect_mark(const engine *e, const char *extents, gdr_match match,
                        float mark)
{
    call *c = new_call(extents);
    gdr_plan plan = plan_for(e, c, match);
    int64_t n = c->p.x.B * c->p.x.T * c->p.x.Hv * c->p.s.V;

    launch(&plan, c);
    for (int64_t i = 0; i < n; i++)
        assert_float_equal(c->o[i], mark, 0);
    free_call(c);
}

/* ---- opening ---- */

static void test_open_fails_with_a_message(void **state)
{
    const kit_place *place = *state;
    gdr *g;

    assert_int_equal(gdr_open(place->db, &g), GDR_ERR_NOT_FOUND);
    assert_non_null(g);
    assert_non_null(strstr(gdr_errmsg(g), place->db));
    gdr_close(g);
    kit_save(place->db, "not a database, but long enough to be read as one",
             49);
    assert_int_equal(gdr_open(place->db, &g), GDR_ERR_FORMAT);
    assert_non_null(strstr(gdr_errmsg(g), place->db));
    gdr_close(g);
    assert_int_equal(gdr_open(place->db, NULL), GDR_ERR_ARG);
}

static void test_null_is_harmless(void **state)
{
    gdr_plan_info info = {.size = sizeof info};
    gdr_plan plan = {.match = GDR_MATCH_EXACT};
    gdr_extents x = {1, 1, 1, 1};
    gdr_device *dev;
    gdr_args args;
    char msg[256];

    (void)state;
    gdr_close(NULL);
    gdr_device_close(NULL);
    gdr_set_close(NULL);
    assert_string_equal(gdr_errmsg(NULL), "");
    assert_int_equal(gdr_device_open(NULL, "cpu", NULL, &dev), GDR_ERR_ARG);
    assert_int_equal(gdr_select(NULL, NULL, NULL, NULL), GDR_ERR_ARG);
    assert_int_equal(gdr_plan_describe(&plan, &x, &info), GDR_ERR_ARG);
    assert_int_equal(gdr_plan_describe(NULL, &x, &info), GDR_ERR_ARG);
    assert_int_equal(gdr_launch(NULL, &args, NULL, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_int_equal(gdr_launch(&plan, &args, NULL, NULL, 0), GDR_ERR_ARG);
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(gdr_version(), GDR_VERSION);
    assert_string_equal(gdr_match_name(GDR_MATCH_NEAR), "near");
    assert_string_equal(gdr_match_name((gdr_match)99), "unknown");
    assert_string_equal(gdr_strerror((gdr_status)-1), "unknown");
    for (int i = 0; i <= GDR_ERR_INTERNAL; i++)
        assert_string_not_equal(gdr_strerror((gdr_status)i), "unknown");
    for (int i = 0; i <= GDR_MATCH_GENERIC; i++)
        assert_string_not_equal(gdr_match_name((gdr_match)i), "unknown");
}

/* ---- devices ---- */

static void test_device_names(void **state)
{
    static const char *const wrong[] = {"",   "tpu", "CPU",  "cuda:",  "cuda:x",
                                        "-1", "0x0", "cpu0", "auto:0", "emu"};
    const kit_place *place = *state;
    const gdr_device_options bad = {.size = 1};
    gdr_device *dev;
    gdr *g;

    kit_database(place->db, 1);
    assert_int_equal(gdr_open(place->db, &g), GDR_OK);
    assert_int_equal(gdr_device_open(g, "cpu", NULL, &dev), GDR_OK);
    assert_non_null(strstr(gdr_device_fingerprint(dev), "cpu:"));
    gdr_device_close(dev);
    assert_int_equal(gdr_device_open(g, "auto", NULL, &dev), GDR_OK);
    gdr_device_close(dev);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (gdr_device_open(g, wrong[i], NULL, &dev) != GDR_ERR_NO_DEVICE)
            fail_msg("device \"%s\" is accepted", wrong[i]);
        assert_null(dev);
        if (!strstr(gdr_errmsg(g), "use cpu, cuda:N, N or auto"))
            fail_msg("device \"%s\": %s", wrong[i], gdr_errmsg(g));
    }
    assert_int_equal(gdr_device_open(g, NULL, NULL, &dev), GDR_ERR_ARG);
    assert_int_equal(gdr_device_open(g, "cpu", &bad, &dev), GDR_ERR_ARG);
    gdr_close(g);
}

static void test_no_driver(void **state)
{
    static const char *const cards[] = {"0", "7", "cuda:0", "cuda"};
    const gdr_backend *backend;
    char msg[256] = "";
    void *dev, *driver = dlopen("libcuda.so.1", RTLD_LAZY);

    (void)state;
    if (driver) {
        dlclose(driver);
        skip();
    }
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
        assert_int_equal(
            gdr_backend_open(cards[i], NULL, &backend, &dev, msg, sizeof msg),
            GDR_ERR_NO_DEVICE);
        if (strstr(msg, "built without cuda.h"))
            skip();
        assert_string_equal(msg,
                            "no NVIDIA driver: libcuda.so.1 not found; use "
                            "--device cpu, or install the driver");
    }
}

/* ---- plans ---- */

/* From rows to results; the file is gone before the first plan. */
static void test_tuned(void **state)
{
    const kit_place *place = *state;
    char fingerprint[512], arch[32], one[GDR_HASH_TEXT], two[GDR_HASH_TEXT];
    image a = compile(11), b = compile(22);
    gdr_plan_info info = {.size = sizeof info};
    gdr_plan plan;
    rows r;
    engine e;
    call *c;

    if (!a.data || !b.data) {
        free(a.data);
        skip();
    }
    here(fingerprint, sizeof fingerprint, arch, sizeof arch);
    r = open_rows(place, fingerprint, arch);
    put_variant(&r, "one", a.data, a.bytes, one);
    put_variant(&r, "two", b.data, b.bytes, two);
    put_choice(&r, "b1t1hk2hv4", one);
    put_choice(&r, "b16t1hk2hv4", two);
    close_rows(&r);
    e = start(place->db, GDR_MATCH_EDGE);
    unlink(place->db);
    expect_mark(&e, "b1t1hk2hv4", GDR_MATCH_EXACT, 11);
    expect_mark(&e, "b16t1hk2hv4", GDR_MATCH_EXACT, 22);
    expect_mark(&e, "b3t1hk2hv4", GDR_MATCH_NEAR, 11);
    expect_mark(&e, "b32t3hk2hv4", GDR_MATCH_EDGE, 22);
    c = new_call("b12t1hk2hv4");
    plan = plan_for(&e, c, GDR_MATCH_NEAR);
    assert_int_equal(gdr_plan_describe(&plan, &c->p.x, &info), GDR_OK);
    assert_int_equal(info.match, GDR_MATCH_NEAR);
    assert_string_equal(info.kernel, "cpu/test");
    assert_string_equal(info.config, "two");
    assert_string_equal(info.problem, STATICS " / b16t1hk2hv4");
    assert_string_equal(info.reduction, "test");
    assert_float_equal(info.time_ns, 1234.5, 0);
    assert_true(info.regret < 0); /* nobody measured b12 */
    assert_memory_equal(info.run, "gdr-tune 0, ", 12);
    assert_non_null(strstr(info.run, ", test, cc"));
    assert_int_equal(info.workspace_bytes, 12 * 256);
    assert_int_equal(gdr_preload(e.set, NULL, 0), GDR_OK);
    assert_int_equal(gdr_set_misses(e.set), 3); /* near, edge, near */
    info.size = 8;
    assert_int_equal(gdr_plan_describe(&plan, &c->p.x, &info), GDR_ERR_ARG);
    free_call(c);
    stop(&e);
    free(a.data);
    free(b.data);
}

/* A launch that cannot be is refused, and o is as it was. */
static void test_launch_arguments(void **state)
{
    const kit_place *place = *state;
    char msg[256] = "";
    gdr_plan plan;
    engine e;
    call *c;

    kit_database(place->db, 1);
    e = start(place->db, GDR_MATCH_GENERIC);
    c = new_call("b1t1hk1hv1");
    plan = plan_for(&e, c, GDR_MATCH_GENERIC);
    c->o[0] = 77;
    c->args.size = 0;
    assert_int_equal(gdr_launch(&plan, &c->args, NULL, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_non_null(strstr(msg, "gdr_args_init"));
    c->args.size = sizeof c->args;
    c->args.q.data = NULL;
    assert_int_equal(gdr_launch(&plan, &c->args, NULL, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_non_null(strstr(msg, "q"));
    assert_int_equal(gdr_launch(&plan, NULL, NULL, msg, sizeof msg),
                     GDR_ERR_ARG);
    assert_float_equal(c->o[0], 77, 0);
    free_call(c);
    stop(&e);
}

/* ---- without a plan of its own ---- */

static void test_no_plan_names_the_command(void **state)
{
    const kit_place *place = *state;
    gdr_problem p;
    gdr_device *dev;
    gdr_set *set;
    gdr *g;

    kit_database(place->db, 1);
    assert_int_equal(gdr_problem_parse(STATICS, &p, NULL, 0), GDR_OK);
    assert_int_equal(gdr_open(place->db, &g), GDR_OK);
    assert_int_equal(gdr_device_open(g, "cpu", NULL, &dev), GDR_OK);
    assert_int_equal(gdr_select(dev, &p.s, WORST(GDR_MATCH_DEFAULT), &set),
                     GDR_ERR_NO_PLAN);
    assert_null(set);
    /* a command that works for every static problem, in a list or not */
    assert_non_null(strstr(gdr_errmsg(g),
                           "gdr-tune --device cpu --only '" STATICS
                           " / b8t1hk16hv32'"));
    assert_non_null(strstr(gdr_errmsg(g), place->db)); /* what was searched */
    gdr_device_close(dev);
    gdr_close(g);
}

/* The generic kernel's results are those of the reference. */
static void expect_reference(const engine *e)
{
    call *c = new_call("b2t3hk2hv4"), *want = new_call("b2t3hk2hv4");
    gdr_plan plan = plan_for(e, c, GDR_MATCH_GENERIC);
    gdr_plan_info info = {.size = sizeof info};

    assert_int_equal(gdr_plan_describe(&plan, &c->p.x, &info), GDR_OK);
    assert_int_equal(info.workspace_bytes, 0);
    launch(&plan, c);
    assert_int_equal(gdr_reference(&want->p.s, &want->args, NULL, 0), GDR_OK);
    for (int i = 0; i < 2 * 3 * 4 * 4; i++)
        assert_float_equal(c->o[i], want->o[i], 1e-5);
    free_call(c);
    free_call(want);
}

static void test_broken_code_falls_back(void **state)
{
    const kit_place *place = *state;
    char fingerprint[512], arch[32], hash[GDR_HASH_TEXT];
    rows r;
    engine e;

    here(fingerprint, sizeof fingerprint, arch, sizeof arch);
    r = open_rows(place, fingerprint, arch);
    put_variant(&r, "broken", "this is no shared object", 24, hash);
    put_choice(&r, "b2t3hk2hv4", hash);
    close_rows(&r);
    e = start(place->db, GDR_MATCH_GENERIC);
    expect_reference(&e);
    stop(&e);
}

/* A database that is not there does not keep the generic kernel from serving.
 */
static void test_no_database(void **state)
{
    const kit_place *place = *state;
    gdr_problem p;
    engine e;

    assert_int_equal(gdr_problem_parse(STATICS, &p, NULL, 0), GDR_OK);
    assert_int_equal(gdr_open(place->db, &e.g), GDR_ERR_NOT_FOUND);
    assert_int_equal(gdr_device_open(e.g, "cpu", NULL, &e.dev), GDR_OK);
    assert_int_equal(gdr_select(e.dev, &p.s, WORST(GDR_MATCH_GENERIC), &e.set),
                     GDR_OK);
    expect_reference(&e);
    stop(&e);
}

static void test_sibling_and_default(void **state)
{
    const kit_place *place = *state;
    char fingerprint[512], arch[32], one[GDR_HASH_TEXT], two[GDR_HASH_TEXT];
    image a = compile(11), b = compile(22);
    gdr_default_row small = {0, STATICS, 4, one, "stamp"};
    gdr_default_row large = {0, STATICS, INT64_MAX, two, "stamp"};
    rows r;
    engine e;

    if (!a.data || !b.data) {
        free(a.data);
        skip();
    }
    here(fingerprint, sizeof fingerprint, arch, sizeof arch);
    r = open_rows(place, "cpu:elsewhere", arch);
    put_variant(&r, "one", a.data, a.bytes, one);
    put_variant(&r, "two", b.data, b.bytes, two);
    small.device = large.device = r.device;
    assert_ok(r.st, gdr_store_put_default(r.st, &small));
    assert_ok(r.st, gdr_store_put_default(r.st, &large));
    close_rows(&r);
    e = start(place->db, GDR_MATCH_GENERIC);
    expect_mark(&e, "b1t1hk2hv4", GDR_MATCH_DEFAULT, 11);
    expect_mark(&e, "b2t1hk2hv4", GDR_MATCH_DEFAULT, 22);
    stop(&e);
    r = open_rows(place, "cpu:elsewhere", arch);
    put_choice(&r, "b1t1hk2hv4", one);
    close_rows(&r);
    e = start(place->db, GDR_MATCH_GENERIC);
    expect_mark(&e, "b64t1hk2hv4", GDR_MATCH_SIBLING, 11);
    stop(&e);
    free(a.data);
    free(b.data);
}

/* ---- rubbish ---- */

/* A row that is not what it should be is left out; the others serve. */
static void test_rubbish(void **state)
{
    static const char *const sql[] = {
        "UPDATE choice SET problem = 'x / y'",
        "UPDATE step SET grid_x = 'b**hv'",
        "UPDATE step SET workspace = 'ceil(b/0)'",
        "UPDATE step SET n = 3",
        "UPDATE variant SET abi = 99",
        "DELETE FROM step",
        "UPDATE image SET code = x'00'",
    };
    const kit_place *place = *state;
    char fingerprint[512], arch[32], hash[GDR_HASH_TEXT];

    here(fingerprint, sizeof fingerprint, arch, sizeof arch);
    for (size_t i = 0; i < sizeof sql / sizeof *sql; i++) {
        rows r = open_rows(place, fingerprint, arch);
        gdr *g = NULL;
        engine e;

        put_variant(&r, "one", "code", 4, hash);
        put_choice(&r, "b1t1hk2hv4", hash);
        close_rows(&r);
        kit_vandalise(place->db, sql[i]);
        assert_int_equal(gdr_open(place->db, &g), GDR_OK);
        /* 5: nothing to skip; 6: code is looked at when it is wanted */
        if (i < 5 && gdr_rows_of(g)->n_skipped != 1)
            fail_msg("%s: %u rows skipped", sql[i],
                     (unsigned)gdr_rows_of(g)->n_skipped);
        gdr_close(g);
        e = start(place->db, GDR_MATCH_GENERIC);
        expect_reference(&e);
        stop(&e);
        unlink(place->db);
    }
}

/* ---- threads ---- */

typedef struct worker {
    pthread_t thread;
    const engine *e;
    gdr_match match;
    int failures;
} worker;

static void *serve(void *arg)
{
    worker *w = arg;

    for (int i = 0; i < 50; i++) {
        call *c = new_call(i % 2 ? "b2t3hk2hv4" : "b5t1hk2hv4");
        gdr_plan plan;

        w->failures += gdr_set_find(w->e->set, &c->p.x, &plan) != GDR_OK;
        w->failures += plan.match != w->match;
        w->failures += gdr_launch(&plan, &c->args, NULL, NULL, 0) != GDR_OK;
        free_call(c);
    }
    return NULL;
}

static void test_threads(void **state)
{
    const kit_place *place = *state;
    worker w[4];
    engine e;

    kit_database(place->db, 1);
    e = start(place->db, GDR_MATCH_GENERIC);
    for (int i = 0; i < 4; i++) {
        w[i] = (worker){.e = &e, .match = GDR_MATCH_GENERIC};
        assert_int_equal(pthread_create(&w[i].thread, NULL, serve, &w[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(w[i].thread, NULL);
        assert_int_equal(w[i].failures, 0);
    }
    stop(&e);
}

#define placed(test)                                                           \
    cmocka_unit_test_setup_teardown(test, kit_place_make_fast, kit_place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        placed(test_open_fails_with_a_message),
        cmocka_unit_test(test_null_is_harmless),
        cmocka_unit_test(test_words),
        placed(test_device_names),
        cmocka_unit_test(test_no_driver),
        placed(test_tuned),
        placed(test_launch_arguments),
        placed(test_no_plan_names_the_command),
        placed(test_broken_code_falls_back),
        placed(test_no_database),
        placed(test_sibling_and_default),
        placed(test_rubbish),
        placed(test_threads),
    };

    return cmocka_run_group_tests_name("gdr", tests, NULL, NULL);
}
