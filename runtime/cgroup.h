/*
 * cgroup.h - how much of the machine this process's control groups allow, v1
 * and v2 alike. The least of a group and all its parents counts; what is
 * missing or makes no sense sets no limit.
 */
#ifndef GDR_CGROUP_H
#define GDR_CGROUP_H

#include "gdr.h"

/* root is put before /proc and /sys: "" outside of tests. */

/* Cores by cpu quota, rounded up; 0: no limit. */
int32_t gdr_cgroup_cores(const char *root);

/* Bytes; 0: no limit. */
int64_t gdr_cgroup_memory(const char *root);

/* Reads a small file as text, cut at n - 1 bytes. Its length, or -1. */
int gdr_read_text(const char *path, char *text, size_t n);

#endif
