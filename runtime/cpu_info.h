/*
 * cpu_info.h - what determines the speed of a kernel on this cpu: instruction
 * sets, the cores we may use, caches, memory, and the model.
 */
#ifndef GDR_CPU_INFO_H
#define GDR_CPU_INFO_H

#include "gdr.h"

typedef struct gdr_cpu_info {
    char isa[256];
    char name[128]; /* for people: "AMD EPYC 9654" */
    char model[64]; /* vendor, family and model numbers: "AuthenticAMD-25-17" */
    int32_t cores;  /* that affinity and cgroups allow, at least 1 */
    int64_t l1_bytes, l2_bytes;
    int64_t llc_bytes;       /* one last-level cache */
    int64_t llc_total_bytes; /* all of them that our cores can fill */
    int64_t memory_bytes;    /* that cgroups allow */
} gdr_cpu_info;

/* root is put before /proc and /sys: "" outside of tests. Never fails: what
 * cannot be read gets a common value. */
void gdr_cpu_info_read(const char *root, gdr_cpu_info *info);

#endif
