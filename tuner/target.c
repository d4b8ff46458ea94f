/* target.c - the list of devices that can be tuned for. */
#include "target.h"
#include "../runtime/status.h"

#include <string.h>

extern const gdr_target gdr_target_cuda, gdr_target_cpu, gdr_target_emu;

const gdr_target *const gdr_targets[] = {&gdr_target_cuda, &gdr_target_cpu,
                                         &gdr_target_emu, NULL};

const gdr_target *gdr_target_find(const char *kind)
{
    for (const gdr_target *const *t = gdr_targets; *t; t++)
        if (!strcmp((*t)->kind, kind))
            return *t;
    return NULL;
}

gdr_status gdr_target_open(const char *name, const gdr_device_options *options,
                           const gdr_target **target, void **dev, char *msg,
                           size_t n)
{
    const gdr_backend *backend = gdr_target_emu.backend;
    gdr_status st;

    if (name && (!strcmp(name, "emu") || !strncmp(name, "emu:", 4)))
        st = backend->open(name + 3 + (name[3] == ':'), options, dev, msg, n);
    else
        st = gdr_backend_open(name, options, &backend, dev, msg, n);
    if (st != GDR_OK)
        return st;
    *target = gdr_target_find(backend->kind);
    if (*target)
        return GDR_OK;
    backend->close(*dev);
    *dev = NULL;
    return gdr_fail(GDR_ERR_NO_DEVICE, msg, n,
                    "%s: libgdr serves it, gdr-tune does not", backend->kind);
}
