/*
 * nvml.c - libnvidia-ml.so.1 for tests. $FAKE_NVML is "reasons:processes:calm":
 * bits in decimal that say why clocks are low, how many processes compute on
 * the card, and after how many questions it has cooled down (0: never).
 */
#include <stdio.h>
#include <stdlib.h>

#define NVML __attribute__((visibility("default"))) int

NVML nvmlInit_v2(void);
NVML nvmlShutdown(void);
NVML nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **card);
NVML nvmlDeviceGetClockInfo(void *card, int which, unsigned *mhz);
NVML nvmlDeviceGetMaxClockInfo(void *card, int which, unsigned *mhz);
NVML nvmlDeviceGetPowerUsage(void *card, unsigned *mw);
NVML nvmlDeviceGetTemperature(void *card, int sensor, unsigned *celsius);
NVML nvmlDeviceGetCurrentClocksThrottleReasons(void *card,
                                               unsigned long long *bits);
NVML nvmlDeviceGetComputeRunningProcesses_v3(void *card, unsigned *n,
                                             void *list);

static unsigned long long number(int which)
{
    const char *text = getenv("FAKE_NVML");
    unsigned long long x[3] = {0, 0, 0};

    if (text)
        sscanf(text, "%llu:%llu:%llu", &x[0], &x[1], &x[2]);
    return x[which];
}

int nvmlInit_v2(void)
{
    return getenv("FAKE_NVML") ? 0 : 9; /* NVML_ERROR_DRIVER_NOT_LOADED */
}

int nvmlShutdown(void)
{
    return 0;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **card)
{
    static int it;

    *card = &it;
    return *bus ? 0 : 6;
}

int nvmlDeviceGetClockInfo(void *card, int which, unsigned *mhz)
{
    (void)card;
    *mhz = which == 1 ? 1755 : 2619;
    return 0;
}

int nvmlDeviceGetMaxClockInfo(void *card, int which, unsigned *mhz)
{
    (void)card;
    *mhz = which == 1 ? 1980 : 2619;
    return 0;
}

int nvmlDeviceGetPowerUsage(void *card, unsigned *mw)
{
    (void)card;
    *mw = 310500;
    return 0;
}

int nvmlDeviceGetTemperature(void *card, int sensor, unsigned *celsius)
{
    (void)card;
    (void)sensor;
    *celsius = 45;
    return 0;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *card,
                                              unsigned long long *bits)
{
    static unsigned long long asked;

    (void)card;
    *bits = number(2) && ++asked > number(2) ? 0 : number(0);
    return 0;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *card, unsigned *n, void *list)
{
    (void)card;
    (void)list;
    *n = (unsigned)number(1);
    return *n ? 7 : 0; /* NVML_ERROR_INSUFFICIENT_SIZE */
}
