/* test_device_cuda.c - cards as devices, on the fake driver: what is missing is
 * said, contexts are made late, images are loaded once, launches are checked.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../runtime/cuda_image.h"
#include "../runtime/device_cuda.h"
#include "../runtime/recurrent_abi.h"
#include "fake_kit.h"

#include <elf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char statics[] = "recurrent:final:vk:f32/f32:k16v16:g";

static void need_fake(void)
{
    if (!fake_kit_usable())
        skip();
}

static void *open_card(const char *config)
{
    char msg[256] = "";
    void *dev = NULL;

    if (fake_kit_open(config, "", &dev, msg, sizeof msg) != GDR_OK)
        fail_msg("%s", msg);
    return dev;
}

/* ---- opening ---- */

static void what_is_missing_is_said(void **state)
{
    static const struct {
        const char *config, *name, *words;
    } cases[] = {
        {"init=34", "", "stub"},
        {"init=100", "", "finds no card"},
        {"devices=0", "", "finds no card"},
        {"init=803", "", "does not start"},
        {"devices=2", "2", "no card cuda:2: there are 2, cuda:0 to cuda:1"},
        {"devices=1", "7", "no card cuda:7: there is 1, cuda:0"},
        {"devices=1", "99999999999999999999999", "there is 1, cuda:0"},
    };

    (void)state;
    need_fake();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char msg[256] = "";
        void *dev = &msg;
        assert_int_equal(fake_kit_open(cases[i].config, cases[i].name, &dev,
                                       msg, sizeof msg),
                         GDR_ERR_NO_DEVICE);
        assert_null(dev);
        if (!strstr(msg, cases[i].words))
            fail_msg("%s: '%s' lacks '%s'", cases[i].config, msg,
                     cases[i].words);
    }
}

static void names_and_auto(void **state)
{
    static const char *const names[] = {"cuda", "cuda:1", "1", "auto"};
    const gdr_backend *backend;
    char msg[256];
    void *dev;

    (void)state;
    need_fake();
    setenv("FAKE_CUDA", "devices=2", 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(
            gdr_backend_open(names[i], NULL, &backend, &dev, msg, sizeof msg),
            GDR_OK);
        assert_string_equal(backend->kind, "cuda");
        backend->close(dev);
    }
    setenv("FAKE_CUDA", "init=100", 1);
    assert_int_equal(
        gdr_backend_open("auto", NULL, &backend, &dev, msg, sizeof msg),
        GDR_OK);
    assert_string_equal(backend->kind, "cpu");
    backend->close(dev);
}

static void info_needs_no_context(void **state)
{
    static const struct {
        const char *config, *arch;
    } cases[] = {{"cc=75", "sm_75"},    {"cc=86", "sm_86"},
                 {"cc=89", "sm_89"},    {"cc=90", "sm_90a"},
                 {"cc=100", "sm_100a"}, {"cc=103", "sm_103a"},
                 {"cc=120", "sm_120a"}, {"cc=121", "sm_121a"}};

    (void)state;
    need_fake();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *dev = open_card(cases[i].config);
        const gdr_device_info *info = gdr_backend_cuda.info(dev);
        assert_string_equal(info->arch, cases[i].arch);
        assert_string_equal(info->isa, cases[i].arch);
        assert_int_equal(info->sms, 132);
        assert_int_equal(info->l2_bytes, 65536);
        assert_int_equal(info->llc_bytes, 65536);
        assert_int_equal(info->smem_bytes, 232448);
        assert_int_equal(fake_kit_count("contexts"), 0);
        gdr_backend_cuda.close(dev);
    }
}

static void fingerprint_is_of_silicon(void **state)
{
    static const struct {
        const char *config;
        int same;
    } cases[] = {{"memory_mib=81000", 1},
                 {"memory_mib=81500,name=Another Name", 1},
                 {"memory_mib=40500", 0},
                 {"memory_mib=81000,sms=114", 0},
                 {"memory_mib=81000,cc=100", 0},
                 {"memory_mib=81000,name=NVIDIA H100 80GB MIG 1g.10gb", 0}};
    char first[512] = "";

    (void)state;
    need_fake();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *dev = open_card(cases[i].config);
        const gdr_device_info *info = gdr_backend_cuda.info(dev);
        if (!i)
            snprintf(first, sizeof first, "%s", info->fingerprint);
        if ((strcmp(first, info->fingerprint) == 0) != cases[i].same)
            fail_msg("%s: %s", cases[i].config, info->fingerprint);
        gdr_backend_cuda.close(dev);
    }
    assert_string_equal(first, "cuda:sm_90a:sms=132:l2=65536:smem=232448/233472"
                               ":bus=5120:mem_khz=2619000:memory=80G");
}

static void what_may_run_where(void **state)
{
    static const struct {
        const char *config, *isa;
        int yes;
    } cases[] = {
        {"cc=90", "sm_90a", 1},      {"cc=90", "sm_90", 1},
        {"cc=90", "sm_89", 0},       {"cc=90", "sm_100a", 0},
        {"cc=90", "compute_90", 1},  {"cc=90", "compute_90a", 1},
        {"cc=100", "compute_90", 1}, {"cc=100", "compute_90a", 0},
        {"cc=100", "sm_90a", 0},     {"cc=86", "sm_80", 1},
        {"cc=86", "sm_86", 1},       {"cc=80", "sm_86", 0},
        {"cc=89", "sm_86", 1},       {"cc=89", "compute_90", 0},
        {"cc=121", "sm_120", 1},     {"cc=121", "sm_120a", 0},
        {"cc=90", "avx2+fma", 0},    {"cc=90", "sm_", 0},
        {"cc=90", "sm_90b", 0},      {"cc=90", "", 0},
        {"cc=90", "sm_-90", 0},      {"cc=90", "sm", 0},
    };

    (void)state;
    need_fake();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *dev = open_card(cases[i].config);
        if (gdr_backend_cuda.loadable(dev, cases[i].isa) != cases[i].yes)
            fail_msg("%s runs %s: not %d", cases[i].config, cases[i].isa,
                     cases[i].yes);
        gdr_backend_cuda.close(dev);
    }
}

/* ---- images ---- */

static void equal_images_are_loaded_once(void **state)
{
    char one[256], two[256], msg[256];
    void *a, *b, *c, *d, *dev;
    size_t n_one, n_two;

    (void)state;
    need_fake();
    dev = open_card("");
    n_one = fake_kit_image(one, sizeof one, statics, "one");
    n_two = fake_kit_image(two, sizeof two, statics, "two");
    assert_int_equal(
        gdr_backend_cuda.load(dev, one, n_one, "k", &a, msg, sizeof msg), 0);
    assert_int_equal(
        gdr_backend_cuda.load(dev, one, n_one, "k", &b, msg, sizeof msg), 0);
    assert_int_equal(
        gdr_backend_cuda.load(dev, one, n_one, "l", &c, msg, sizeof msg), 0);
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_int_equal(fake_kit_count("modules"), 1);
    assert_int_equal(
        gdr_backend_cuda.load(dev, two, n_two, "k", &d, msg, sizeof msg), 0);
    assert_int_equal(fake_kit_count("modules"), 2);
    /* graphs may still hold them */
    gdr_backend_cuda.unload(dev, a);
    gdr_backend_cuda.unload(dev, b);
    assert_int_equal(fake_kit_count("modules"), 2);
    assert_int_equal(fake_kit_count("contexts"), 1);
    gdr_backend_cuda.close(dev);
    assert_int_equal(fake_kit_count("modules"), 0);
    assert_int_equal(fake_kit_count("contexts"), 0);
}

static void bad_images_are_refused(void **state)
{
    static const struct {
        const char *words, *entry, *message;
        gdr_status status;
    } cases[] = {
        {"fake-refuse", "k", "fake-refuse stands in it", GDR_ERR_LOAD},
        {"", "absent", "no kernel absent", GDR_ERR_LOAD},
        {"", "more", "other parameters", GDR_ERR_LOAD},
        {"\1", "k", "neither a cubin nor PTX", GDR_ERR_LOAD},
    };
    char image[256], msg[512];
    void *k, *dev;
    size_t n;

    (void)state;
    need_fake();
    dev = open_card("");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        n = fake_kit_image(image, sizeof image, statics, cases[i].words);
        k = &n;
        assert_int_equal(gdr_backend_cuda.load(dev, image, n, cases[i].entry,
                                               &k, msg, sizeof msg),
                         cases[i].status);
        assert_null(k);
        if (!strstr(msg, cases[i].message))
            fail_msg("'%s' lacks '%s'", msg, cases[i].message);
    }
    assert_null(gdr_backend_cuda.adopt);
    gdr_backend_cuda.close(dev);
}

/* A small cubin: every cut of it is found out before the driver reads on. */
static void cut_cubins_are_found(void **state)
{
    struct {
        Elf64_Ehdr e;
        Elf64_Shdr s[2];
        char text[16];
    } cubin = {0};

    (void)state;
    memcpy(cubin.e.e_ident, ELFMAG, SELFMAG);
    cubin.e.e_ident[EI_CLASS] = ELFCLASS64;
    cubin.e.e_ident[EI_DATA] = ELFDATA2LSB;
    cubin.e.e_machine = 190;
    cubin.e.e_shoff = sizeof cubin.e;
    cubin.e.e_shentsize = sizeof cubin.s[0];
    cubin.e.e_shnum = 2;
    cubin.s[1].sh_type = SHT_PROGBITS;
    cubin.s[1].sh_offset = offsetof(__typeof__(cubin), text);
    cubin.s[1].sh_size = sizeof cubin.text;
    assert_int_equal(gdr_cuda_image_check(&cubin, sizeof cubin, NULL, 0),
                     GDR_OK);
    for (size_t cut = 0; cut < sizeof cubin; cut++) {
        void *copy = malloc(cut + 1);
        memcpy(copy, &cubin, cut);
        assert_int_equal(gdr_cuda_image_check(copy, cut, NULL, 0),
                         GDR_ERR_LOAD);
        free(copy);
    }
    cubin.s[1].sh_offset = UINT64_MAX - 4;
    assert_int_equal(gdr_cuda_image_check(&cubin, sizeof cubin, NULL, 0),
                     GDR_ERR_LOAD);
    cubin.s[1].sh_offset = 0;
    cubin.e.e_machine = EM_X86_64;
    assert_int_equal(gdr_cuda_image_check(&cubin, sizeof cubin, NULL, 0),
                     GDR_ERR_LOAD);
}

/* ---- launches ---- */

static const gdr_launch_dims good = {.grid = {1, 1, 1}, .block = 32};

static void *load_plain(void *dev, const char *words)
{
    char image[256], msg[512];
    size_t n = fake_kit_image(image, sizeof image, "none", words);
    void *k;

    if (gdr_backend_cuda.load(dev, image, n, "k", &k, msg, sizeof msg))
        fail_msg("%s", msg);
    return k;
}

static gdr_status launch(void *dev, void *k, const gdr_launch_dims *dims)
{
    const gdr_recurrent_params p = {0};

    return gdr_backend_cuda.launch(dev, k, dims, &p, sizeof p, NULL);
}

static void dims_are_checked(void **state)
{
    static const struct {
        gdr_launch_dims dims;
        gdr_status status;
        int launches;
    } cases[] = {
        {{.grid = {1, 1, 1}, .block = 512}, GDR_OK, 1},
        {{.grid = {0, 1, 1}, .block = 32}, GDR_OK, 0},
        {{.grid = {INT32_MAX, 65535, 65535}, .block = 1}, GDR_OK, 1},
        {{.grid = {INT32_MAX + 1LL, 1, 1}, .block = 1}, GDR_ERR_LAUNCH, 0},
        {{.grid = {1, 65536, 1}, .block = 1}, GDR_ERR_LAUNCH, 0},
        {{.grid = {1, 1, 65536}, .block = 1}, GDR_ERR_LAUNCH, 0},
        {{.grid = {-1, 1, 1}, .block = 1}, GDR_ERR_LAUNCH, 0},
        {{.grid = {1LL << 32, 1, 1}, .block = 1}, GDR_ERR_LAUNCH, 0},
        {{.grid = {1, 1, 1}, .block = 0}, GDR_ERR_LAUNCH, 0},
        {{.grid = {1, 1, 1}, .block = 513}, GDR_ERR_LAUNCH, 0},
        {{.grid = {1, 1, 1}, .block = 1LL << 32}, GDR_ERR_LAUNCH, 0},
        {{.grid = {1, 1, 1}, .block = 1, .smem = 231424}, GDR_OK, 1},
        {{.grid = {1, 1, 1}, .block = 1, .smem = 231425}, GDR_ERR_LAUNCH, 0},
        {{.grid = {1, 1, 1}, .block = 1, .smem = -1}, GDR_ERR_LAUNCH, 0},
    };
    void *dev, *k;

    (void)state;
    need_fake();
    dev = open_card("");
    k = load_plain(dev, "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        long before = fake_kit_count("launches");
        gdr_status st = launch(dev, k, &cases[i].dims);
        if (st != cases[i].status ||
            fake_kit_count("launches") - before != cases[i].launches)
            fail_msg("case %zu: status %d", i, st);
    }
    gdr_backend_cuda.close(dev);
}

static void early_launches_where_there_are_any(void **state)
{
    static const struct {
        const char *config;
        int pdl, early;
    } cases[] = {{"cc=90", 0, 0}, {"cc=90", 1, 1}, {"cc=89", 1, 0}};

    (void)state;
    need_fake();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *dev = open_card(cases[i].config);
        void *k = load_plain(dev, "");
        gdr_launch_dims dims = good;
        dims.pdl = cases[i].pdl;
        assert_int_equal(launch(dev, k, &dims), GDR_OK);
        assert_int_equal(fake_kit_count("early"), cases[i].early);
        assert_int_equal(fake_kit_count("launches"), 1);
        gdr_backend_cuda.close(dev);
    }
}

#if GDR_CUDA
/* Launches with `now` current; the pushes that it took. What was current stays.
 */
static long pushes_of(gdr_cuda_device *d, void *k, CUcontext now,
                      CUstream stream)
{
    const gdr_recurrent_params p = {0};
    long before = fake_kit_count("pushes") + (now != NULL);
    long launches = fake_kit_count("launches");
    CUcontext after;

    if (now)
        d->driver.context_push(now);
    assert_int_equal(gdr_backend_cuda.launch(d, k, &good, &p, sizeof p, stream),
                     GDR_OK);
    assert_int_equal(fake_kit_count("launches"), launches + 1);
    assert_int_equal(d->driver.context_current(&after), 0);
    assert_ptr_equal(after, now);
    if (now)
        d->driver.context_pop(NULL);
    return fake_kit_count("pushes") - before;
}

/* The engine's own context stays where it was. The card's is pushed where the
 * driver would not take the launch without it, and nowhere else. */
static void context_is_left_alone(void **state)
{
    gdr_cuda_device *d;
    CUcontext other;
    CUstream stream;
    void *k;

    (void)state;
    need_fake();
    d = open_card("devices=2");
    k = load_plain(d, "");
    assert_int_equal(d->driver.primary_retain(&other, 1), 0);
    d->driver.context_push(d->context);
    d->driver.stream_create(&stream, 0);
    d->driver.context_pop(NULL);
    assert_int_equal(pushes_of(d, k, NULL, NULL), 1);
    assert_int_equal(pushes_of(d, k, other, NULL), 1);
    assert_int_equal(pushes_of(d, k, other, CU_STREAM_PER_THREAD), 1);
    assert_int_equal(pushes_of(d, k, d->context, NULL), 0);
    assert_int_equal(pushes_of(d, k, d->context, CU_STREAM_LEGACY), 0);
    assert_int_equal(pushes_of(d, k, NULL, stream), 0);
    assert_int_equal(pushes_of(d, k, other, stream), 0);
    assert_int_equal(pushes_of(d, k, d->context, stream), 0);
    d->driver.stream_destroy(stream);
    d->driver.primary_release(1);
    gdr_backend_cuda.close(d);
}

/* A stream of another card is the caller's mistake, and nothing runs. */
static void foreign_stream_is_refused(void **state)
{
    const gdr_recurrent_params p = {0};
    gdr_cuda_device *d;
    CUcontext other;
    CUstream stream;
    long launches;
    void *k;

    (void)state;
    need_fake();
    d = open_card("devices=2");
    k = load_plain(d, "");
    assert_int_equal(d->driver.primary_retain(&other, 1), 0);
    d->driver.context_push(other);
    d->driver.stream_create(&stream, 0);
    launches = fake_kit_count("launches");
    for (int own = 0; own < 2; own++) {
        if (own)
            d->driver.context_push(d->context);
        assert_int_equal(
            gdr_backend_cuda.launch(d, k, &good, &p, sizeof p, stream),
            GDR_ERR_LAUNCH);
        assert_int_equal(d->last_error, CUDA_ERROR_INVALID_HANDLE);
        if (own)
            d->driver.context_pop(NULL);
    }
    assert_int_equal(fake_kit_count("launches"), launches);
    d->driver.stream_destroy(stream);
    d->driver.context_pop(NULL);
    d->driver.primary_release(1);
    gdr_backend_cuda.close(d);
}

/* Captures a launch; the status is the launch's. */
static gdr_status captured(gdr_cuda_device *d, void *k)
{
    const gdr_recurrent_params p = {0};
    CUstream stream;
    CUgraph graph = NULL;
    gdr_status st;

    d->driver.context_push(d->context);
    d->driver.stream_create(&stream, 0);
    d->driver.stream_begin_capture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
    st = gdr_backend_cuda.launch(d, k, &good, &p, sizeof p, stream);
    assert_int_equal(d->driver.stream_end_capture(stream, &graph), 0);
    d->driver.graph_destroy(graph);
    d->driver.stream_destroy(stream);
    d->driver.context_pop(NULL);
    return st;
}

/* A driver that loads kernels late: a launch may load it, a capture may not. */
static void capture_loads_nothing(void **state)
{
    gdr_cuda_device *d;
    void *k;

    (void)state;
    need_fake();
    d = open_card("");
    k = load_plain(d, "");
    assert_int_equal(captured(d, k), GDR_OK);
    assert_int_equal(fake_kit_count("launches"), 0);
    gdr_backend_cuda.close(d);
    d = open_card("lazy=1");
    k = load_plain(d, "");
    assert_int_equal(captured(d, k), GDR_ERR_LAUNCH);
    assert_int_equal(launch(d, k, &good), GDR_OK);
    gdr_backend_cuda.close(d);
}

static void failures_are_remembered(void **state)
{
    gdr_cuda_device *d;
    void *k;

    (void)state;
    need_fake();
    d = open_card("launch=2:701");
    k = load_plain(d, "");
    assert_int_equal(launch(d, k, &good), GDR_OK);
    assert_int_equal(d->last_error, 0);
    assert_int_equal(launch(d, k, &good), GDR_ERR_LAUNCH);
    assert_int_equal(d->last_error, 701);
    assert_int_equal(launch(d, k, &good), GDR_OK);
    gdr_backend_cuda.close(d);
}

typedef struct thread_arg {
    void *dev, *kernel;
    int failures;
} thread_arg;

static void *launch_many(void *p)
{
    thread_arg *a = p;

    for (int i = 0; i < 200; i++)
        a->failures += launch(a->dev, a->kernel, &good) != GDR_OK;
    return NULL;
}

static void threads_may_launch(void **state)
{
    pthread_t thread[4];
    thread_arg arg[4];
    gdr_cuda_device *d;
    void *k;

    (void)state;
    need_fake();
    d = open_card("");
    k = load_plain(d, "");
    for (int i = 0; i < 4; i++) {
        arg[i] = (thread_arg){d, k, 0};
        assert_int_equal(pthread_create(&thread[i], NULL, launch_many, &arg[i]),
                         0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(arg[i].failures, 0);
    }
    assert_int_equal(fake_kit_count("launches"), 800);
    gdr_backend_cuda.close(d);
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(names_and_auto),
        cmocka_unit_test(info_needs_no_context),
        cmocka_unit_test(fingerprint_is_of_silicon),
        cmocka_unit_test(what_may_run_where),
        cmocka_unit_test(equal_images_are_loaded_once),
        cmocka_unit_test(bad_images_are_refused),
        cmocka_unit_test(cut_cubins_are_found),
        cmocka_unit_test(dims_are_checked),
        cmocka_unit_test(early_launches_where_there_are_any),
#if GDR_CUDA
        cmocka_unit_test(context_is_left_alone),
        cmocka_unit_test(foreign_stream_is_refused),
        cmocka_unit_test(capture_loads_nothing),
        cmocka_unit_test(failures_are_remembered),
        cmocka_unit_test(threads_may_launch),
#endif
    };

    (void)argc;
    fake_kit_restart(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
