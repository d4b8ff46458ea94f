/*
 * backend.c - the list of devices. Adding one is a file and a line here; a card
 * goes before the cpu, since "auto" takes the first that opens.
 */
#include "backend.h"

#include <string.h>

const gdr_backend *const gdr_backends[] = {
    &gdr_backend_cuda,
    &gdr_backend_cpu,
    NULL,
};

const gdr_backend *gdr_backend_find(const char *kind, size_t length)
{
    for (int i = 0; gdr_backends[i]; i++)
        if (strlen(gdr_backends[i]->kind) == length &&
            !memcmp(gdr_backends[i]->kind, kind, length))
            return gdr_backends[i];
    return NULL;
}
