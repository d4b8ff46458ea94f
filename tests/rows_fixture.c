/* Rows and a device made up for tests of dispatch. */
#include "rows_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const gdr_device_info *info(const void *dev)
{
    return &((const fixture_device *)dev)->info;
}

/* Every name of the '+' list is in the device's list. */
static int loadable(const void *dev, const char *isa)
{
    const char *have = info(dev)->isa;

    while (*isa) {
        size_t n = strcspn(isa, "+");
        const char *at = have;
        int found = 0;

        for (; *at && !found; at += at[strcspn(at, "+")] ? strcspn(at, "+") + 1
                                                         : strcspn(at, "+"))
            found = strcspn(at, "+") == n && !memcmp(at, isa, n);
        if (!found)
            return 0;
        isa += n + (isa[n] == '+');
    }
    return 1;
}

static gdr_status load(void *dev, const void *code, size_t bytes,
                       const char *entry, void **kernel, char *msg, size_t n)
{
    fixture_device *d = dev;

    (void)entry;
    if (bytes >= 6 && !memcmp(code, "broken", 6)) {
        if (msg)
            snprintf(msg, n, "this system forbids it");
        return GDR_ERR_LOAD;
    }
    d->loaded++;
    d->loads++;
    *kernel = dev;
    return GDR_OK;
}

static void unload(void *dev, void *kernel)
{
    (void)kernel;
    ((fixture_device *)dev)->loaded--;
}

static gdr_status launch(void *dev, void *kernel, const gdr_launch_dims *dims,
                         const void *params, size_t params_bytes, void *stream)
{
    (void)kernel;
    (void)dims;
    (void)params;
    (void)params_bytes;
    (void)stream;
    ((fixture_device *)dev)->launches++;
    return GDR_OK;
}

const gdr_backend fixture_backend = {
    .kind = "toy",
    .info = info,
    .loadable = loadable,
    .load = load,
    .unload = unload,
    .launch = launch,
};

void fixture_device_init(fixture_device *d, const char *fingerprint,
                         const char *isa)
{
    memset(d, 0, sizeof *d);
    snprintf(d->info.kind, sizeof d->info.kind, "toy");
    snprintf(d->info.arch, sizeof d->info.arch, "toy");
    snprintf(d->info.isa, sizeof d->info.isa, "%s", isa);
    snprintf(d->info.fingerprint, sizeof d->info.fingerprint, "%s",
             fingerprint);
    d->info.sms = 2;
}

gdr_static fixture_static(void)
{
    gdr_problem p;

    if (gdr_problem_parse(FIXTURE_STATICS, &p, NULL, 0))
        abort();
    return p.s;
}

gdr_row fixture_row(const char *problem, int64_t max_work, const char *variant)
{
    return (gdr_row){.origin = {"here", "toy", "toy", "a+b"},
                     .problem = problem,
                     .max_work = max_work,
                     .variant = variant,
                     .stamp = "stamp",
                     .kernel = "toy/recurrent",
                     .config = "rows=4",
                     .reduction = "toy",
                     .abi = 1,
                     .time_ns = max_work ? 0 : 1000};
}

void fixture_put_steps(gdr_rows *rows)
{
    const gdr_step_text text = {"kern", "b*hv", "1",    "1",
                                "1",    "0",    "b*16", NULL};

    for (uint32_t i = 0; i < rows->n_codes; i++)
        if (rows->code[i]->n_steps == 0 &&
            gdr_rows_put_step(rows, i, 0, &text, "a", "code", 4))
            abort();
}
