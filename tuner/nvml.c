/* nvml.c - see nvml.h. The declarations are NVML's own, which has kept them
 * since 11.0; its header is not needed. */
#include "nvml.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLOCK_SM = 1, CLOCK_MEMORY = 2, SENSOR_GPU = 0, NO_ERROR = 0 };

/* HW slowdown, SW thermal, HW thermal, HW power brake. */
static const unsigned long long throttling = 0x8 | 0x20 | 0x40 | 0x80;

struct gdr_nvml {
    void *library, *card;
    int (*init)(void);
    int (*shutdown)(void);
    int (*find)(const char *bus, void **card);
    int (*clock)(void *card, int which, unsigned *mhz);
    int (*most_clock)(void *card, int which, unsigned *mhz);
    int (*power)(void *card, unsigned *mw);
    int (*heat)(void *card, int sensor, unsigned *celsius);
    int (*reasons)(void *card, unsigned long long *bits);
    int (*processes)(void *card, unsigned *n, void *list);
};

static int find_functions(gdr_nvml *v)
{
    const struct {
        const char *name;
        void *at;
    } list[] = {
        {"nvmlInit_v2", &v->init},
        {"nvmlShutdown", &v->shutdown},
        {"nvmlDeviceGetHandleByPciBusId_v2", &v->find},
        {"nvmlDeviceGetClockInfo", &v->clock},
        {"nvmlDeviceGetMaxClockInfo", &v->most_clock},
        {"nvmlDeviceGetPowerUsage", &v->power},
        {"nvmlDeviceGetTemperature", &v->heat},
        {"nvmlDeviceGetCurrentClocksThrottleReasons", &v->reasons},
        {"nvmlDeviceGetComputeRunningProcesses_v3", &v->processes},
    };

    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        void *symbol = dlsym(v->library, list[i].name);
        if (!symbol)
            return 0;
        memcpy(list[i].at, &symbol, sizeof symbol);
    }
    return 1;
}

gdr_nvml *gdr_nvml_open(const char *bus)
{
    gdr_nvml *v = calloc(1, sizeof *v);

    if (!v)
        return NULL;
    v->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (v->library && find_functions(v) && v->init() == NO_ERROR) {
        if (v->find(bus, &v->card) == NO_ERROR)
            return v;
        v->shutdown();
    }
    if (v->library)
        dlclose(v->library);
    free(v);
    return NULL;
}

void gdr_nvml_close(gdr_nvml *v)
{
    if (!v)
        return;
    v->shutdown();
    dlclose(v->library);
    free(v);
}

/* What a card does not tell stays 0. */
void gdr_nvml_read(const gdr_nvml *v, gdr_card_state *out)
{
    unsigned mw = 0;

    memset(out, 0, sizeof *out);
    if (!v)
        return;
    out->known = 1;
    v->clock(v->card, CLOCK_SM, &out->sm_mhz);
    v->most_clock(v->card, CLOCK_SM, &out->sm_most_mhz);
    v->clock(v->card, CLOCK_MEMORY, &out->memory_mhz);
    v->heat(v->card, SENSOR_GPU, &out->celsius);
    v->reasons(v->card, &out->reasons);
    v->power(v->card, &mw);
    out->power_w = mw / 1000;
    /* too short a list: only the number is told */
    v->processes(v->card, &out->processes, NULL);
}

int gdr_nvml_throttled(const gdr_nvml *v)
{
    unsigned long long bits = 0;

    return v && v->reasons(v->card, &bits) == NO_ERROR && bits & throttling;
}

void gdr_card_describe(const gdr_card_state *s, char *text, size_t n)
{
    if (!s->known)
        snprintf(text, n, "no NVML");
    else
        snprintf(text, n,
                 "sm=%u/%u MHz, memory=%u MHz, %u W, %u C, clocks held by "
                 "0x%llx, %u processes",
                 s->sm_mhz, s->sm_most_mhz, s->memory_mhz, s->power_w,
                 s->celsius, s->reasons, s->processes);
}
