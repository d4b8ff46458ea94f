/* test_compile_nvrtc.c - NVRTC where there is one: what it gives, what it
 * refuses; and where it is looked for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/compile_nvrtc.h"
#include "../tuner/find_nvrtc.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char good[] =
    "extern \"C\" __global__ void __launch_bounds__(128) k(float *p)\n"
    "{\n"
    "    __shared__ float s[100];\n"
    "    s[threadIdx.x % 100] = p[threadIdx.x] * p[1] + p[2];\n"
    "    __syncthreads();\n"
    "    p[threadIdx.x] = s[threadIdx.x * 7 % 100];\n"
    "}\n";

static const char spilling[] =
    "extern \"C\" __global__ void __launch_bounds__(256) k(volatile float *p)\n"
    "{\n"
    "    float x[500];\n"
    "    #pragma unroll\n"
    "    for (int i = 0; i < 500; i++) x[i] = p[i];\n"
    "    #pragma unroll\n"
    "    for (int i = 0; i < 500; i++) p[i] = x[499 - i];\n"
    "}\n";

/* 64 numbers do not fit in the 32 registers that 8 blocks of 256 leave. */
static const char crowded[] =
    "#ifdef GDR_ONE_BLOCK\n"
    "#define BOUNDS __launch_bounds__(256, 1)\n"
    "#else\n"
    "#define BOUNDS __launch_bounds__(256, 8)\n"
    "#endif\n"
    "extern \"C\" __global__ void BOUNDS k(volatile float *p)\n"
    "{\n"
    "    float x[64];\n"
    "    #pragma unroll\n"
    "    for (int i = 0; i < 64; i++) x[i] = p[i];\n"
    "    #pragma unroll\n"
    "    for (int i = 0; i < 64; i++) p[i] = x[63 - i];\n"
    "}\n";

/* Skips, and says why, where nothing can be compiled. */
static void need_nvrtc(void)
{
    char text[512], msg[8192];

    if (gdr_nvrtc_identity(text, sizeof text, msg, sizeof msg) == GDR_OK)
        return;
    print_message("%s\n", msg);
    skip();
}

static gdr_status compile(const char *source, const char *arch, gdr_image *out,
                          char *log, size_t n)
{
    return gdr_nvrtc_compile(source, strlen(source), arch, 60, out, log, n);
}

static void names_itself(void **state)
{
    char text[512] = "", msg[8192] = "";

    (void)state;
    need_nvrtc();
    assert_int_equal(gdr_nvrtc_identity(text, sizeof text, msg, sizeof msg),
                     GDR_OK);
    assert_memory_equal(text, "NVRTC 1", 7);
    assert_non_null(strstr(text, "--fmad=false"));
}

static void gives_cubins_with_figures(void **state)
{
    static const char *const archs[] = {"sm_75", "sm_80", "sm_86", "sm_89",
                                        "sm_90a"};
    char log[2048];
    gdr_image image;

    (void)state;
    need_nvrtc();
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
        assert_int_equal(compile(good, archs[i], &image, log, sizeof log),
                         GDR_OK);
        assert_string_equal(image.isa, archs[i]);
        assert_memory_equal(image.code, "\177ELF", 4);
        assert_true(image.figures.known);
        assert_in_range(image.figures.registers, 4, 40);
        assert_int_equal(image.figures.smem_bytes, 400);
        assert_int_equal(image.figures.barriers, 1);
        assert_int_equal(image.figures.spill_bytes, 0);
        assert_int_equal(image.figures.min_driver % 1000, 0);
        assert_true(image.figures.min_driver >= 12000);
        assert_null(strstr(log, "Compile time"));
        free(image.code);
    }
}

static void gives_ptx_without_contraction(void **state)
{
    char log[2048];
    gdr_image image;

    (void)state;
    need_nvrtc();
    assert_int_equal(compile(good, "compute_75", &image, log, sizeof log),
                     GDR_OK);
    assert_string_equal(image.isa, "compute_75");
    assert_false(image.figures.known);
    assert_true(image.figures.min_driver >= 12000);
    assert_int_equal(((char *)image.code)[image.bytes - 1], 0);
    assert_non_null(strstr(image.code, ".target sm_75"));
    assert_null(strstr(image.code, "fma.rn"));
    assert_non_null(strstr(image.code, "mul.rn.f32"));
    free(image.code);
}

typedef struct worker {
    pthread_t id;
    gdr_status status;
    gdr_image image;
    char log[2048];
} worker;

static void *compile_beside(void *arg)
{
    worker *w = arg;

    w->status = compile(good, "sm_80", &w->image, w->log, sizeof w->log);
    return NULL;
}

static void repeats_itself_in_threads(void **state)
{
    enum { N = 4 };
    worker w[N] = {0};

    (void)state;
    need_nvrtc();
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&w[i].id, NULL, compile_beside, &w[i]),
                         0);
    for (int i = 0; i < N; i++)
        pthread_join(w[i].id, NULL);
    for (int i = 0; i < N; i++) {
        assert_int_equal(w[i].status, GDR_OK);
        assert_int_equal(w[i].image.bytes, w[0].image.bytes);
        assert_memory_equal(w[i].image.code, w[0].image.code, w[0].image.bytes);
        assert_string_equal(w[i].log, w[0].log);
    }
    for (int i = 0; i < N; i++)
        free(w[i].image.code);
}

static void names_the_line_of_an_error(void **state)
{
    char log[2048];
    gdr_image image;

    (void)state;
    need_nvrtc();
    assert_int_equal(compile("#line 7 \"templates/cuda/x.cu\"\nnot CUDA;\n",
                             "sm_80", &image, log, sizeof log),
                     GDR_ERR_COMPILE);
    assert_null(image.code);
    assert_false(image.figures.known);
    assert_memory_equal(log, "templates/cuda/x.cu(7): error", 29);
}

static void refuses_spills_and_says_how_many(void **state)
{
    char log[2048];
    gdr_image image;

    (void)state;
    need_nvrtc();
    assert_int_equal(compile(spilling, "sm_80", &image, log, sizeof log),
                     GDR_ERR_COMPILE);
    assert_null(image.code);
    assert_true(image.figures.known && image.figures.spill_bytes > 0);
    assert_memory_equal(log, "spills ", 7);
    assert_non_null(strstr(log, "bytes spill stores"));
}

static void drops_launch_bounds_that_spill(void **state)
{
    char log[2048];
    gdr_image image;

    (void)state;
    need_nvrtc();
    assert_int_equal(compile(crowded, "sm_80", &image, log, sizeof log),
                     GDR_OK);
    assert_true(image.figures.registers > 64);
    assert_int_equal(image.figures.spill_bytes, 0);
    assert_non_null(strstr(log, "bounds for one block, since for more "));
    free(image.code);
}

static void knows_which_cards_it_knows(void **state)
{
    static const char *const unknown[] = {"sm_10",      "sm_999a", "sm_90z",
                                          "sm_",        "",        "x86-64",
                                          "compute_10", "sm_75 ",  "sm_-75"};
    char msg[1024], log[1024];
    gdr_image image;

    (void)state;
    need_nvrtc();
    assert_int_equal(gdr_nvrtc_knows("sm_90a", msg, sizeof msg), GDR_OK);
    assert_int_equal(gdr_nvrtc_knows("compute_80", msg, sizeof msg), GDR_OK);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        assert_int_equal(gdr_nvrtc_knows(unknown[i], msg, sizeof msg),
                         GDR_ERR_NOT_FOUND);
        assert_non_null(strstr(msg, "it knows sm_"));
        assert_int_equal(compile(good, unknown[i], &image, log, sizeof log),
                         GDR_ERR_COMPILE);
        assert_string_equal(log, msg);
        assert_null(image.code);
    }
}

static void ends_what_takes_too_long(void **state)
{
    char log[2048];
    gdr_image image;

    (void)state;
    need_nvrtc();
    assert_int_equal(gdr_nvrtc_compile(spilling, strlen(spilling), "sm_80",
                                       1e-6, &image, log, sizeof log),
                     GDR_ERR_COMPILE);
    assert_memory_equal(log, "took longer than", 16);
    assert_null(image.code);
}

static void survives_odd_sources(void **state)
{
    static const char cut[] = {'i', 'n', 't', ' ', 'x', ';', '\0', '@'};
    char log[64];
    gdr_image image;

    (void)state;
    need_nvrtc();
    /* No kernel: nothing could be launched. */
    assert_int_equal(compile("", "sm_80", &image, log, sizeof log),
                     GDR_ERR_COMPILE);
    assert_null(image.code);
    assert_int_equal(gdr_nvrtc_compile(cut, sizeof cut, "sm_80", 60, &image,
                                       log, sizeof log),
                     GDR_ERR_COMPILE);
    assert_null(image.code);
}

/* ---- where it is looked for ---- */

static int stop_at_first(void *ctx, const char *path)
{
    snprintf(ctx, 256, "%s", path);
    return 1;
}

static int count_places(void *ctx, const char *path)
{
    (void)path;
    ++*(int *)ctx;
    return 0;
}

static void touch(const char *path)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    fclose(f);
}

static void looks_where_it_is_told_first(void **state)
{
    char folder[] = "/tmp/gdr-test-nvrtc-XXXXXX", path[128], first[256] = "";
    char tried[4096];
    char *home = getenv("CUDA_HOME"), *own = getenv("GDR_NVRTC");

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/lib64", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/lib64/libnvrtc.so.12", folder);
    touch(path);
    home = home ? strdup(home) : NULL;
    own = own ? strdup(own) : NULL;
    unsetenv("GDR_NVRTC");
    setenv("CUDA_HOME", folder, 1);
    assert_int_equal(
        gdr_nvrtc_each_place(stop_at_first, first, tried, sizeof tried), 1);
    assert_string_equal(first, path);
    setenv("GDR_NVRTC", "/some/libnvrtc.so", 1);
    assert_int_equal(
        gdr_nvrtc_each_place(stop_at_first, first, tried, sizeof tried), 1);
    assert_string_equal(first, "/some/libnvrtc.so");
    unlink(path);
    snprintf(path, sizeof path, "%s/lib64", folder);
    rmdir(path);
    rmdir(folder);
    home ? setenv("CUDA_HOME", home, 1) : unsetenv("CUDA_HOME");
    own ? setenv("GDR_NVRTC", own, 1) : unsetenv("GDR_NVRTC");
    free(home);
    free(own);
}

static void finds_pip_in_a_pattern(void **state)
{
    char folder[] = "/tmp/gdr-test-nvrtc-XXXXXX", path[128], tried[4096];
    const char *folders[] = {"$GDR_TEST_UNSET/x", "$GDR_TEST_ROOT/*/lib"};
    int n = 0;

    (void)state;
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/cu1%d", folder, i + 2);
        assert_int_equal(mkdir(path, 0700), 0);
        snprintf(path, sizeof path, "%s/cu1%d/lib", folder, i + 2);
        assert_int_equal(mkdir(path, 0700), 0);
        snprintf(path, sizeof path, "%s/cu1%d/lib/libnvrtc.so.1%d", folder,
                 i + 2, i + 2);
        touch(path);
    }
    unsetenv("GDR_TEST_UNSET");
    setenv("GDR_TEST_ROOT", folder, 1);
    assert_int_equal(
        gdr_nvrtc_each_in(folders, 2, count_places, &n, tried, sizeof tried),
        0);
    assert_int_equal(n, 2);
    assert_non_null(strstr(tried, folder));
    assert_null(strstr(tried, "UNSET"));
    snprintf(path, sizeof path, "rm -r '%s'", folder);
    assert_int_equal(system(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_itself),
        cmocka_unit_test(gives_cubins_with_figures),
        cmocka_unit_test(gives_ptx_without_contraction),
        cmocka_unit_test(repeats_itself_in_threads),
        cmocka_unit_test(names_the_line_of_an_error),
        cmocka_unit_test(refuses_spills_and_says_how_many),
        cmocka_unit_test(drops_launch_bounds_that_spill),
        cmocka_unit_test(knows_which_cards_it_knows),
        cmocka_unit_test(ends_what_takes_too_long),
        cmocka_unit_test(survives_odd_sources),
        cmocka_unit_test(looks_where_it_is_told_first),
        cmocka_unit_test(finds_pip_in_a_pattern),
    };
    return cmocka_run_group_tests_name("compile_nvrtc", tests, NULL, NULL);
}
