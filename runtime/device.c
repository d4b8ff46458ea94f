/*
 * device.c - what device names mean. A name is "auto", a number, or a kind with
 * what its backend wants to know behind ':'.
 */
#include "backend.h"
#include "status.h"

#include <string.h>

static int is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == 0;
}

static gdr_status unknown(const char *name, char *msg, size_t n)
{
    return gdr_fail(GDR_ERR_NO_DEVICE, msg, n,
                    "no device \"%.64s\"; use cpu, cuda:N, N or auto", name);
}

static gdr_status open_first(const gdr_device_options *options,
                             const gdr_backend **backend, void **dev, char *msg,
                             size_t n)
{
    gdr_status status = GDR_ERR_NO_DEVICE;

    for (int i = 0; status && gdr_backends[i]; i++) {
        *backend = gdr_backends[i];
        status = gdr_backends[i]->open("", options, dev, msg, n);
    }
    return status;
}

gdr_status gdr_backend_open(const char *name, const gdr_device_options *options,
                            const gdr_backend **backend, void **dev, char *msg,
                            size_t n)
{
    const char *kind = name, *rest;
    size_t length;

    if (!name)
        return gdr_fail(
            GDR_ERR_ARG, msg, n,
            "the device's name is NULL; use cpu, cuda:N, N or auto");
    if (options && options->size != sizeof *options)
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "options: size is not sizeof(gdr_device_options)");
    if (!strcmp(name, "auto"))
        return open_first(options, backend, dev, msg, n);
    length = strcspn(name, ":");
    rest = name[length] ? name + length + 1 : "";
    if (is_number(name)) {
        kind = "cuda";
        length = strlen(kind);
        rest = name;
    }
    /* cards are numbered; "cuda" alone is the first */
    if (!strncmp(name, "cuda:", 5) && !is_number(rest))
        return unknown(name, msg, n);
    *backend = gdr_backend_find(kind, length);
    return *backend ? (*backend)->open(rest, options, dev, msg, n)
                    : unknown(name, msg, n);
}
