/*
 * rows_fixture.h - rows and a device made up for tests of dispatch: no file, no
 * code. The device pretends: an image whose bytes start with "broken" does not
 * load, an ISA name that it does not list is not loadable, a launch counts.
 */
#ifndef ROWS_FIXTURE_H
#define ROWS_FIXTURE_H

#include "../runtime/rows.h"

#include <stdatomic.h>

#define FIXTURE_STATICS "recurrent:final:vk:f32/f32:k8v8:g"
#define FIXTURE_HASH "0123456789abcdef"

typedef struct fixture_device {
    gdr_device_info info;
    int loaded;          /* kernels not unloaded */
    int loads;           /* ever */
    atomic_int launches; /* from any thread */
} fixture_device;

extern const gdr_backend fixture_backend;

void fixture_device_init(fixture_device *d, const char *fingerprint,
                         const char *isa);

gdr_static fixture_static(void);

/* A good row: statics of FIXTURE_STATICS, on device fingerprint "here", arch
 * "toy", isa "a+b". Extents B = 0: a default. Texts are the caller's. */
gdr_row fixture_row(const char *problem, int64_t max_work, const char *variant);

/* One step for each code that has none; image "code". */
void fixture_put_steps(gdr_rows *rows);

#endif
