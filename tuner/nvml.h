/*
 * nvml.h - how a card fares while it is timed: clocks, power, heat, who else
 * uses it. From libnvidia-ml.so.1, opened at run time; where there is none
 * nothing is known, and nothing fails. Makes no context: the tuner's own
 * process may ask.
 *
 * Life cycle: open, read, close (NULL is harmless everywhere). One thread.
 */
#ifndef GDR_NVML_H
#define GDR_NVML_H

#include <stddef.h>

typedef struct gdr_nvml gdr_nvml;

typedef struct gdr_card_state {
    int known;
    unsigned sm_mhz, sm_most_mhz, memory_mhz;
    unsigned power_w, celsius;
    unsigned long long reasons; /* why clocks are lower: NVML's bits */
    unsigned processes;         /* that compute on it, ours included */
} gdr_card_state;

/* The card at a PCI address; NULL: no NVML, or no such card. */
gdr_nvml *gdr_nvml_open(const char *bus);
void gdr_nvml_close(gdr_nvml *v);

void gdr_nvml_read(const gdr_nvml *v, gdr_card_state *out);

/* Is it slowed by heat or by a power brake now? The cap on power, under which
 * a loaded card always runs, does not count. */
int gdr_nvml_throttled(const gdr_nvml *v);

/* "sm=1980/1980 MHz, memory=2619 MHz, 310 W, 45 C, clocks held by 0x4, ..." */
void gdr_card_describe(const gdr_card_state *s, char *text, size_t n);

#endif
