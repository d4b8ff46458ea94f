/*
 * generator_fixture.h - what the tests of the generator share: a folder of
 * templates made on the spot, a device, an allocator that fails on demand.
 */
#ifndef GDR_GENERATOR_FIXTURE_H
#define GDR_GENERATOR_FIXTURE_H

#include "../generator/generator.h"

/* A folder that mirrors templates/, removed at close. */
struct folder {
    char path[64];
};
void folder_open(struct folder *f);
void folder_write(const struct folder *f, const char *name, const char *text);
void folder_close(struct folder *f);

/* A cpu of 2024 but with the templates of `kind`. */
gdr_generator_device device_of(const char *kind);

gdr_static static_of(const char *text);

/* "recurrent:final:vk:bf16/f32:k128v128:l2norm:g" */
extern const char *const plain_statics;

/* Counts what is live; fails allocation number fail_at (1, 2, ...), and all
 * after it if sticky. */
struct memory {
    long count, fail_at, live;
    int sticky;
};
void *memory_alloc(void *ctx, void *p, size_t old_bytes, size_t bytes);

#endif
