/*
 * cgroup.c - limits of control groups, read from where every distribution and
 * container runtime mounts them. A container without a cgroup namespace names a
 * path that its mount does not show; climbing to the mount finds the
 * container's own limits there.
 */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int gdr_read_text(const char *path, char *text, size_t n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t got = -1;
    if (fd < 0)
        return -1;
    while (used < n - 1 && (got = read(fd, text + used, n - 1 - used)) > 0)
        used += (size_t)got;
    close(fd);
    text[used] = 0;
    return got < 0 ? -1 : (int)used;
}

/* One kind of limit: its files, and how to read it in a folder. */
typedef struct limit {
    const char *controller;                   /* of v1 */
    int64_t (*read)(const char *dir, int v1); /* 0: none */
} limit;

static int64_t read_number(const char *dir, const char *file)
{
    char path[PATH_MAX], text[64], *end;
    if (snprintf(path, sizeof path, "%s/%s", dir, file) >= (int)sizeof path ||
        gdr_read_text(path, text, sizeof text) <= 0)
        return 0;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    return errno || end == text || (*end && *end != '\n') ? 0 : number;
}

static int64_t quota_cores(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return 0;
    return quota / period + (quota % period != 0);
}

static int64_t read_cores(const char *dir, int v1)
{
    char path[PATH_MAX], text[64];
    long long quota, period;
    if (v1)
        return quota_cores(read_number(dir, "cpu.cfs_quota_us"),
                           read_number(dir, "cpu.cfs_period_us"));
    if (snprintf(path, sizeof path, "%s/cpu.max", dir) >= (int)sizeof path ||
        gdr_read_text(path, text, sizeof text) <= 0 ||
        sscanf(text, "%18lld %18lld", &quota, &period) != 2)
        return 0;
    return quota_cores(quota, period);
}

static int64_t read_memory(const char *dir, int v1)
{
    int64_t bytes =
        read_number(dir, v1 ? "memory.limit_in_bytes" : "memory.max");
    return bytes < 0 || bytes >= INT64_C(1) << 60 ? 0 : bytes;
}

static int64_t least(int64_t a, int64_t b)
{
    return !a || (b && b < a) ? b : a;
}

/* The least limit from mount + path up to the mount itself. */
static int64_t climb(const limit *l, const char *root, const char *mount,
                     int v1, const char *path)
{
    char dir[PATH_MAX];
    int64_t found = 0;
    size_t top = strlen(root) + strlen(mount);
    if (snprintf(dir, sizeof dir, "%s%s%s", root, mount, path) >=
        (int)sizeof dir)
        return 0;
    for (;;) {
        found = least(found, l->read(dir, v1));
        char *slash = strrchr(dir, '/');
        if (!slash || (size_t)(slash - dir) < top)
            return found;
        *slash = 0;
    }
}

/* Is the controller one of the comma-separated names? */
static int names(const char *list, const char *controller)
{
    size_t n = strlen(controller);
    while (*list) {
        size_t length = strcspn(list, ",");
        if (length == n && !memcmp(list, controller, n))
            return 1;
        list += length + (list[length] == ',');
    }
    return 0;
}

/* line: "hierarchy:controllers:path"; no controllers means v2 */
static int64_t read_line(const limit *l, const char *root, char *line)
{
    char mount[PATH_MAX];
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path)
        return 0;
    *controllers++ = 0;
    *path++ = 0;
    if (!*controllers)
        return least(climb(l, root, "/sys/fs/cgroup", 0, path),
                     climb(l, root, "/sys/fs/cgroup/unified", 0, path));
    if (!names(controllers, l->controller))
        return 0;
    int64_t found = 0;
    const char *const folders[] = {controllers, l->controller};
    for (int i = 0; i < 2; i++) {
        snprintf(mount, sizeof mount, "/sys/fs/cgroup/%s", folders[i]);
        found = least(found, climb(l, root, mount, 1, path));
    }
    return found;
}

static int64_t find(const limit *l, const char *root)
{
    char path[PATH_MAX], text[16384], *save = NULL;
    int64_t found = 0;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (gdr_read_text(path, text, sizeof text) <= 0)
        return 0;
    for (char *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        found = least(found, read_line(l, root, line));
    return found;
}

int32_t gdr_cgroup_cores(const char *root)
{
    const limit cores = {"cpu", read_cores};
    int64_t n = find(&cores, root);
    return n > INT32_MAX ? 0 : (int32_t)n;
}

int64_t gdr_cgroup_memory(const char *root)
{
    const limit memory = {"memory", read_memory};
    return find(&memory, root);
}
