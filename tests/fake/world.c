/* world.c - what the fake driver is told by the environment, and what it
 * counts. */
#ifdef GDR_CUDA
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

fake_world fake = {.lock = PTHREAD_MUTEX_INITIALIZER};
_Thread_local CUstream fake_capturing;

/* ---- $FAKE_CUDA ---- */

static const char *find(const char *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *at = text; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (!strncmp(at, key, n) && at[n] == '=')
            return at + n + 1;
    }
    return NULL;
}

static double number(const char *text, const char *key, double fallback)
{
    const char *at = find(text, key);

    return at ? strtod(at, NULL) : fallback;
}

static long pair(const char *text, const char *key, int *second)
{
    const char *at = find(text, key);
    char *end = NULL;
    long first = at ? strtol(at, &end, 10) : 0;

    *second = end && *end == ':' ? (int)strtol(end + 1, NULL, 10) : 0;
    return first;
}

static void read_config(const char *t)
{
    fake_config *c = &fake.config;
    const char *clock = find(t, "clock"), *name = find(t, "name");

    *c = (fake_config){
        .devices = (int)number(t, "devices", 1),
        .cc = (int)number(t, "cc", 90),
        .sms = (int)number(t, "sms", 132),
        .l2_kib = (int)number(t, "l2_kib", 64),
        .memory_mib = (int)number(t, "memory_mib", 1024),
        .init = (int)number(t, "init", 0),
        .lazy = (int)number(t, "lazy", 0),
        .skip = (int)number(t, "skip", 0),
        .oom_after = (long)number(t, "oom_after", 0),
        .hang_at = (long)number(t, "hang", 0),
        .noisy = number(t, "noisy", 1),
        .slow = number(t, "slow", 1),
    };
    c->fail_at = pair(t, "launch", &c->fail_code);
    c->poison_at = pair(t, "poison", &c->poison_code);
    c->scripted = clock && !strncmp(clock, "script:", 7);
    c->seed = c->scripted ? strtoul(clock + 7, NULL, 10) : 0;
    snprintf(c->name, sizeof c->name, "%.*s",
             name ? (int)strcspn(name, ",") : 127,
             name ? name : "Fake H100 80GB");
}

static CUresult start(void)
{
    const char *text = getenv("FAKE_CUDA");

    if (fake.count.contexts == 0) {
        memset(&fake.count, 0, sizeof fake.count);
        memset(fake.context, 0, sizeof fake.context);
        fake.bytes = fake.tried_allocations = 0;
        read_config(text ? text : "");
    }
    if (!fake.config.init && fake.config.devices < 1)
        return CUDA_ERROR_NO_DEVICE;
    fake.started = !fake.config.init;
    return (CUresult)fake.config.init;
}

CUresult cuInit(unsigned flags)
{
    CUresult code;

    pthread_mutex_lock(&fake.lock);
    code = flags ? CUDA_ERROR_INVALID_VALUE : start();
    pthread_mutex_unlock(&fake.lock);
    return code;
}

/* ---- state ---- */

CUresult fake_check_in(CUcontext c)
{
    if (!fake.started)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!c || !c->users)
        return CUDA_ERROR_INVALID_CONTEXT;
    return c->poison;
}

CUresult fake_check(void)
{
    return fake_check_in(fake_current());
}

CUresult fake_check_outside_capture(void)
{
    CUresult code = fake_check();

    if (code == CUDA_SUCCESS && fake_capturing)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    return code;
}

void fake_wait(void)
{
    while (fake_current() && fake_current()->hung)
        pause();
}

long fake_cuda_count(const char *what)
{
    const struct {
        const char *name;
        long value;
    } counts[] = {
        {"contexts", fake.count.contexts},
        {"modules", fake.count.modules},
        {"allocations", fake.count.allocations},
        {"launches", fake.count.launches},
        {"early", fake.count.early},
        {"pushes", fake.count.pushes},
        {"graphs", fake.count.graphs},
        {"nodes", fake.count.nodes},
        {"replays", fake.count.replays},
        {"copies", fake.count.copies},
    };

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (!strcmp(counts[i].name, what))
            return counts[i].value;
    return -1;
}

/* ---- scripted clock ---- */

static unsigned long mix(unsigned long x)
{
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return x ^ x >> 32;
}

static double share(unsigned long x)
{
    return (double)(mix(x) >> 11) * 0x1p-53;
}

double fake_launch_ns(const struct CUmod_st *m, unsigned long sample)
{
    double ns = 3e3 * (1 + 0.6 * share(m->hash ^ mix(fake.config.seed)));

    ns *= 1 + fake.config.noisy / 100 * (share(m->hash + sample) - 0.5);
    ns *= m->marks & FAKE_SLOW ? 20 : 1;
    return ns * fake.config.slow;
}
#endif
