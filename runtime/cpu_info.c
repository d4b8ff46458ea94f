/*
 * cpu_info.c - reads what determines speed on this cpu. The values go into the
 * fingerprint, so they must be the same after every boot: sizes and model
 * numbers, no clocks and no addresses.
 */
#include "cpu_info.h"
#include "cgroup.h"
#include "isa.h"

#include <ctype.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* ---- model -------------------------------------------------------------- */

#if defined(__x86_64__)

/* Family and model as Intel SDM vol. 2, CPUID leaf 1, says; AMD agrees. */
static void read_model(const char *root, gdr_cpu_info *info)
{
    uint32_t r[12] = {0}, a = 0, b = 0, c = 0, d = 0;
    char vendor[13] = "";
    (void)root;
    if (__get_cpuid(0, &a, &b, &c, &d)) {
        memcpy(vendor, &b, 4);
        memcpy(vendor + 4, &d, 4);
        memcpy(vendor + 8, &c, 4);
    }
    __get_cpuid(1, &a, &b, &c, &d);
    uint32_t family = a >> 8 & 15, model = a >> 4 & 15;
    if (family == 6 || family == 15)
        model |= (a >> 16 & 15) << 4;
    if (family == 15)
        family += a >> 20 & 255;
    snprintf(info->model, sizeof info->model, "%s-%u-%u", vendor, family,
             model);
    for (uint32_t i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, r + 4 * i, r + 4 * i + 1, r + 4 * i + 2,
                    r + 4 * i + 3);
    snprintf(info->name, sizeof info->name, "%.48s", (const char *)r);
}

#else

/* The number after "key : " in /proc/cpuinfo; -1 if there is none. */
static long cpuinfo_number(const char *text, const char *key)
{
    const char *line = strstr(text, key);
    const char *colon = line ? strchr(line, ':') : NULL;
    return colon ? strtol(colon + 1, NULL, 0) : -1;
}

static void read_model(const char *root, gdr_cpu_info *info)
{
    char path[PATH_MAX], text[4096] = "";
    snprintf(path, sizeof path, "%s/proc/cpuinfo", root);
    gdr_read_text(path, text, sizeof text);
    long implementer = cpuinfo_number(text, "CPU implementer");
    long part = cpuinfo_number(text, "CPU part");
    if (implementer < 0 || part < 0)
        snprintf(info->model, sizeof info->model, "unknown");
    else
        snprintf(info->model, sizeof info->model, "%#lx-%#lx", implementer,
                 part);
    snprintf(info->name, sizeof info->name, "%s %s", gdr_isa_arch(),
             info->model);
}

#endif

/* Colons part a fingerprint; firmware pads names with blanks. */
static void clean(char *text)
{
    char *out = text;
    for (const char *p = text; *p; p++) {
        int c = isprint((unsigned char)*p) && *p != ':' ? *p : ' ';
        if (c != ' ' || (out > text && out[-1] != ' '))
            *out++ = (char)c;
    }
    while (out > text && out[-1] == ' ')
        out--;
    *out = 0;
}

/* ---- caches ------------------------------------------------------------- */

static int read_cache_file(const char *root, int cpu, int index,
                           const char *file, char *text, size_t n)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path,
             "%s/sys/devices/system/cpu/cpu%d/cache/index%d/%s", root, cpu,
             index, file);
    return gdr_read_text(path, text, n) > 0;
}

/* "32K" or "1M" or bytes */
static int64_t parse_size(const char *text)
{
    char *end;
    long long n = strtoll(text, &end, 10);
    if (n <= 0 || n > INT64_C(1) << 40)
        return 0;
    return *end == 'K' ? n << 10 : *end == 'M' ? n << 20 : n;
}

enum { CACHE_LEVELS = 5, CACHE_INDICES = 10 };

typedef struct caches {
    int64_t bytes[CACHE_LEVELS]; /* by level, data or unified */
    int index[CACHE_LEVELS];
} caches;

static caches read_caches(const char *root, int cpu)
{
    caches found = {0};
    char level[16], type[32], size[32];
    for (int i = 0; i < CACHE_INDICES; i++) {
        if (!read_cache_file(root, cpu, i, "level", level, sizeof level) ||
            !read_cache_file(root, cpu, i, "type", type, sizeof type) ||
            !read_cache_file(root, cpu, i, "size", size, sizeof size))
            continue;
        int n = atoi(level);
        if (n < 1 || n >= CACHE_LEVELS || type[0] == 'I')
            continue;
        found.bytes[n] = parse_size(size);
        found.index[n] = i;
    }
    return found;
}

/* How many caches of that index our cpus have: each is known by the first cpu
 * that shares it. */
static int count_caches(const char *root, const cpu_set_t *cpus, int index)
{
    cpu_set_t firsts;
    char text[256];
    CPU_ZERO(&firsts);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, cpus) &&
            read_cache_file(root, cpu, index, "shared_cpu_list", text,
                            sizeof text)) {
            int first = atoi(text);
            if (first >= 0 && first < CPU_SETSIZE)
                CPU_SET(first, &firsts);
        }
    int n = CPU_COUNT(&firsts);
    return n > 0 ? n : 1;
}

static int64_t positive(int64_t a, int64_t b, int64_t c)
{
    return a > 0 ? a : b > 0 ? b : c;
}

/* sysfs first: sysconf on virtual machines adds up what the host has (320 MiB
 * seen where the guest has 32). Last come values common on servers. */
static void read_cache_sizes(const char *root, const cpu_set_t *cpus,
                             gdr_cpu_info *info)
{
    int cpu = 0, last = 2;
    while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, cpus))
        cpu++;
    caches c = read_caches(root, cpu);
    for (int level = 3; level < CACHE_LEVELS; level++)
        last = c.bytes[level] ? level : last;
    info->l1_bytes =
        positive(c.bytes[1], sysconf(_SC_LEVEL1_DCACHE_SIZE), 32 << 10);
    info->l2_bytes =
        positive(c.bytes[2], sysconf(_SC_LEVEL2_CACHE_SIZE), 1 << 20);
    info->llc_bytes =
        positive(c.bytes[last], sysconf(_SC_LEVEL3_CACHE_SIZE), 32 << 20);
    info->llc_total_bytes = info->llc_bytes;
    if (c.bytes[last])
        info->llc_total_bytes *= count_caches(root, cpus, c.index[last]);
}

/* ---- cores and memory --------------------------------------------------- */

/* A machine with more cpus than the set holds counts as its online cpus. */
static int32_t allowed_cpus(cpu_set_t *cpus)
{
    CPU_ZERO(cpus);
    if (sched_getaffinity(0, sizeof *cpus, cpus) == 0)
        return CPU_COUNT(cpus);
    CPU_SET(0, cpus);
    return (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
}

static int64_t least(int64_t a, int64_t b)
{
    return b > 0 && b < a ? b : a;
}

void gdr_cpu_info_read(const char *root, gdr_cpu_info *info)
{
    cpu_set_t cpus;
    int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    *info = (gdr_cpu_info){0};
    int32_t cores = allowed_cpus(&cpus);
    info->cores = (int32_t)least(cores > 0 ? cores : 1, gdr_cgroup_cores(root));
    info->memory_bytes = least(memory, gdr_cgroup_memory(root));
    read_cache_sizes(root, &cpus, info);
    read_model(root, info);
    clean(info->model);
    clean(info->name);
    if (gdr_isa_detect(info->isa, sizeof info->isa) != GDR_OK)
        info->isa[0] = 0;
}
