/* test_cpu_info.c - instruction sets, control groups and caches, read from
 * made-up roots and from this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../runtime/cgroup.h"
#include "../runtime/cpu_info.h"
#include "../runtime/isa.h"

#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- made-up roots ------------------------------------------------------- */

static int make_root(void **state)
{
    char *root = strdup("/tmp/gdr-test-XXXXXX");
    *state = root;
    return root && mkdtemp(root) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *st, int flag,
                        struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int remove_root(void **state)
{
    int failed = nftw(*state, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return failed;
}

static void put(const char *root, const char *path, const char *text)
{
    char full[PATH_MAX];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(full, 0777);
        *p = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* ---- control groups ------------------------------------------------------ */

static void no_groups_set_no_limit(void **state)
{
    assert_int_equal(gdr_cgroup_cores(*state), 0);
    assert_int_equal(gdr_cgroup_memory(*state), 0);
}

static void v2_takes_the_least_up_to_the_mount(void **state)
{
    const char *root = *state;
    put(root, "/proc/self/cgroup", "0::/user/job/step\n");
    put(root, "/sys/fs/cgroup/user/job/step/cpu.max", "max 100000\n");
    assert_int_equal(gdr_cgroup_cores(root), 0);
    put(root, "/sys/fs/cgroup/cpu.max", "800000 100000\n");
    assert_int_equal(gdr_cgroup_cores(root), 8);
    put(root, "/sys/fs/cgroup/user/cpu.max", "250000 100000\n");
    assert_int_equal(gdr_cgroup_cores(root), 3); /* rounded up */
    put(root, "/sys/fs/cgroup/user/job/step/cpu.max", "400000 100000\n");
    assert_int_equal(gdr_cgroup_cores(root), 3);
    put(root, "/sys/fs/cgroup/user/job/step/cpu.max", "1000 100000\n");
    assert_int_equal(gdr_cgroup_cores(root), 1);

    put(root, "/sys/fs/cgroup/user/job/step/memory.max", "max\n");
    assert_int_equal(gdr_cgroup_memory(root), 0);
    put(root, "/sys/fs/cgroup/user/memory.max", "1073741824\n");
    assert_int_equal(gdr_cgroup_memory(root), 1 << 30);
}

static void a_hybrid_mount_is_found(void **state)
{
    put(*state, "/proc/self/cgroup", "3:cpuset:/x\n0::/job\n");
    put(*state, "/sys/fs/cgroup/unified/job/cpu.max", "150000 100000\n");
    assert_int_equal(gdr_cgroup_cores(*state), 2);
}

static void v1_quota_and_memory(void **state)
{
    const char *root = *state, *dir = "/sys/fs/cgroup/cpu,cpuacct/docker/1a";
    char path[200];
    put(root, "/proc/self/cgroup",
        "9:cpuset:/docker/1a\n4:cpu,cpuacct:/docker/1a\n3:memory:/docker/1a\n");
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir);
    put(root, path, "-1\n");
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
    put(root, path, "100000\n");
    assert_int_equal(gdr_cgroup_cores(root), 0);
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir);
    put(root, path, "350000\n");
    assert_int_equal(gdr_cgroup_cores(root), 4);
    /* inside a container the mount shows its own group as the root */
    put(root, "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    put(root, "/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(gdr_cgroup_cores(root), 2);

    put(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "9223372036854771712\n");
    assert_int_equal(gdr_cgroup_memory(root), 0);
    put(root, "/sys/fs/cgroup/memory/docker/1a/memory.limit_in_bytes",
        "4096\n");
    assert_int_equal(gdr_cgroup_memory(root), 4096);
}

static void rubbish_sets_no_limit(void **state)
{
    static const char *const rubbish[] = {
        "",     "\n",       "max",           "100000",
        "0 0",  "-5 100",   "100 -5",        "99999999999999999999 1",
        "x y",  "100 zero", "1e5 100000000", "\xff\xfe\xfd",
        "5 0\n"};
    const char *root = *state;
    put(root, "/proc/self/cgroup", "0::/a\n");
    for (size_t i = 0; i < sizeof rubbish / sizeof *rubbish; i++) {
        put(root, "/sys/fs/cgroup/a/cpu.max", rubbish[i]);
        int32_t cores = gdr_cgroup_cores(root);
        if (cores != 0)
            fail_msg("cpu.max \"%s\" gives %d cores", rubbish[i], (int)cores);
        put(root, "/sys/fs/cgroup/a/memory.max", rubbish[i]);
        gdr_cgroup_memory(root);
    }
    static const char *const lines[] = {"",        "0",     "0:",
                                        "0::",     ":::",   "::::\n",
                                        "x:cpu\n", "4:cpu", "0::../../..\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        put(root, "/proc/self/cgroup", lines[i]);
        assert_int_equal(gdr_cgroup_cores(root), 0);
    }
    char *big = malloc(100000);
    assert_non_null(big);
    memset(big, 'x', 99999);
    memcpy(big, "0::/", 4);
    big[99999] = 0;
    put(root, "/proc/self/cgroup", big);
    assert_int_equal(gdr_cgroup_cores(root), 0);
    free(big);
}

static void affinity_and_quota_bound_the_cores(void **state)
{
    gdr_cpu_info info;
    cpu_set_t all, one;
    int cpu = 0;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    gdr_cpu_info_read(*state, &info);
    assert_int_equal(info.cores, CPU_COUNT(&all));
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    gdr_cpu_info_read(*state, &info);
    sched_setaffinity(0, sizeof all, &all);
    assert_int_equal(info.cores, 1);
    put(*state, "/proc/self/cgroup", "0::/\n");
    put(*state, "/sys/fs/cgroup/cpu.max", "100000 100000\n");
    gdr_cpu_info_read(*state, &info);
    assert_int_equal(info.cores, 1);
}

/* ---- caches -------------------------------------------------------------- */

static void put_cache(const char *root, int cpu, int index, const char *level,
                      const char *type, const char *size, const char *shared)
{
    const char *const files[][2] = {{"level", level},
                                    {"type", type},
                                    {"size", size},
                                    {"shared_cpu_list", shared}};
    for (int i = 0; i < 4; i++) {
        char path[200];
        snprintf(path, sizeof path,
                 "/sys/devices/system/cpu/cpu%d/cache/index%d/%s", cpu, index,
                 files[i][0]);
        put(root, path, files[i][1]);
    }
}

static void caches_come_from_sysfs(void **state)
{
    gdr_cpu_info info;
    cpu_set_t all;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        char self[16];
        snprintf(self, sizeof self, "%d\n", cpu);
        if (!CPU_ISSET(cpu, &all))
            continue;
        put_cache(*state, cpu, 0, "1\n", "Data\n", "48K\n", self);
        put_cache(*state, cpu, 1, "1\n", "Instruction\n", "99K\n", self);
        put_cache(*state, cpu, 2, "2\n", "Unified\n", "2048K\n", self);
        put_cache(*state, cpu, 3, "3\n", "Unified\n", "30M\n", self);
    }
    gdr_cpu_info_read(*state, &info);
    assert_int_equal(info.l1_bytes, 48 << 10);
    assert_int_equal(info.l2_bytes, 2 << 20);
    assert_int_equal(info.llc_bytes, 30 << 20);
    assert_int_equal(info.llc_total_bytes,
                     (int64_t)CPU_COUNT(&all) * (30 << 20));
}

static void broken_caches_get_common_values(void **state)
{
    gdr_cpu_info info;
    for (int cpu = 0; cpu < 8; cpu++) {
        put_cache(*state, cpu, 0, "x", "Data", "-4K", "");
        put_cache(*state, cpu, 1, "99", "Data", "4K", "z");
        put_cache(*state, cpu, 2, "2", "Unified", "99999999999999999999K", "");
    }
    gdr_cpu_info_read(*state, &info);
    assert_true(info.l1_bytes > 0 && info.l2_bytes > 0 && info.llc_bytes > 0);
}

/* ---- instruction sets ---------------------------------------------------- */

static void this_machine_makes_sense(void **state)
{
    gdr_cpu_info a, b;
    (void)state;
    gdr_cpu_info_read("", &a);
    gdr_cpu_info_read("", &b);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(a.cores >= 1 && a.memory_bytes > 0 && a.model[0]);
    assert_null(strchr(a.model, ':'));
    assert_true(gdr_isa_subset(a.isa, a.isa));
#if defined(__x86_64__)
    assert_int_equal(gdr_isa_subset("avx2", a.isa),
                     !!__builtin_cpu_supports("avx2"));
    assert_int_equal(gdr_isa_subset("fma", a.isa),
                     !!__builtin_cpu_supports("fma"));
    assert_int_equal(gdr_isa_subset("avx512f", a.isa),
                     !!__builtin_cpu_supports("avx512f"));
    assert_int_equal(gdr_isa_subset("avx512bf16", a.isa),
                     !!__builtin_cpu_supports("avx512bf16"));
    assert_int_equal(gdr_isa_subset("popcnt", a.isa),
                     !!__builtin_cpu_supports("popcnt"));
#endif
    assert_int_equal(gdr_isa_vector_bytes("") % 16, 0);
}

/* A compiler told to use this machine names nothing that it has not. */
static void the_native_compiler_agrees(void **state)
{
    static char macros[1 << 20];
    char used[256], have[256];
    (void)state;
    FILE *f = popen("cc -march=native -dM -E -x c /dev/null 2>/dev/null", "r");
    size_t n = f ? fread(macros, 1, sizeof macros - 1, f) : 0;
    if (!f || pclose(f) != 0 || n == 0) {
        print_message("skipped: no cc that knows -march=native\n");
        skip();
    }
    assert_int_equal(gdr_isa_from_macros(macros, used, sizeof used), GDR_OK);
    assert_int_equal(gdr_isa_detect(have, sizeof have), GDR_OK);
    if (!gdr_isa_subset(used, have))
        fail_msg("cc uses %s; detected %s", used, have);
}

static void macros_give_sorted_names(void **state)
{
    char out[256];
    (void)state;
#if defined(__x86_64__)
    assert_int_equal(
        gdr_isa_from_macros("#define __FMA__ 1\n#define __AVX2__ 1\n"
                            "#define __AVX512F__0 1\n#define __SSE2__ 1\n"
                            "#define __AVX__ 1\n#define __BMI__ 0\n"
                            "#define X __F16C__\n",
                            out, sizeof out),
        GDR_OK);
    assert_string_equal(out, "avx+avx2+fma");
    assert_int_equal(
        gdr_isa_from_macros("#define __AVX2__ 1\n#define __FMA__ 1\n", out, 7),
        GDR_ERR_INTERNAL);
#endif
    assert_int_equal(gdr_isa_from_macros("", out, sizeof out), GDR_OK);
    assert_string_equal(out, "");
}

static void a_subset_is_by_whole_names(void **state)
{
    (void)state;
    assert_true(gdr_isa_subset("", ""));
    assert_true(gdr_isa_subset("", "avx"));
    assert_true(gdr_isa_subset("avx2", "avx+avx2+fma"));
    assert_true(gdr_isa_subset("avx+fma", "avx+avx2+fma"));
    assert_false(gdr_isa_subset("avx", "avx2"));
    assert_false(gdr_isa_subset("avx2", "avx"));
    assert_false(gdr_isa_subset("avx+avx512f", "avx+avx2"));
    assert_false(gdr_isa_subset("unheard-of", "avx+avx2"));
    assert_int_equal(gdr_isa_vector_bytes("avx+avx2"), 32);
    assert_int_equal(gdr_isa_vector_bytes("avx+avx512f"), 64);
}

#define WITH_ROOT(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(no_groups_set_no_limit),
        WITH_ROOT(v2_takes_the_least_up_to_the_mount),
        WITH_ROOT(a_hybrid_mount_is_found),
        WITH_ROOT(v1_quota_and_memory),
        WITH_ROOT(rubbish_sets_no_limit),
        WITH_ROOT(affinity_and_quota_bound_the_cores),
        WITH_ROOT(caches_come_from_sysfs),
        WITH_ROOT(broken_caches_get_common_values),
        cmocka_unit_test(this_machine_makes_sense),
        cmocka_unit_test(the_native_compiler_agrees),
        cmocka_unit_test(macros_give_sorted_names),
        cmocka_unit_test(a_subset_is_by_whole_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
