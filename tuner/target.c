/* target.c - the list of devices that can be tuned for. */
#include "target.h"

#include <string.h>

extern const gdr_target gdr_target_cuda, gdr_target_cpu;

const gdr_target *const gdr_targets[] = {&gdr_target_cuda, &gdr_target_cpu,
                                         NULL};

const gdr_target *gdr_target_find(const char *kind)
{
    for (const gdr_target *const *t = gdr_targets; *t; t++)
        if (!strcmp((*t)->kind, kind))
            return *t;
    return NULL;
}
