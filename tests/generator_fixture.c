/* generator_fixture.c - see generator_fixture.h. */
#include "generator_fixture.h"

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const plain_statics =
    "recurrent:final:vk:bf16/f32:k128v128:l2norm:g";

void folder_open(struct folder *f)
{
    snprintf(f->path, sizeof(f->path), "/tmp/gdr-test-XXXXXX");
    if (!mkdtemp(f->path))
        abort();
}

void folder_write(const struct folder *f, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->path, name);
    for (char *p = path + strlen(f->path) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(path, 0755);
        *p = '/';
    }
    FILE *out = fopen(path, "wb");
    if (!out || fputs(text, out) < 0 || fclose(out) != 0)
        abort();
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void folder_close(struct folder *f)
{
    nftw(f->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

gdr_generator_device device_of(const char *kind)
{
    return (gdr_generator_device){.kind = kind,
                                  .arch = "x86-64",
                                  .isa = "avx+avx2+f16c+fma",
                                  .vector_bytes = 32,
                                  .l1_bytes = 32 << 10,
                                  .l2_bytes = 1 << 20,
                                  .sms = 2};
}

gdr_static static_of(const char *text)
{
    gdr_problem p;
    char msg[256];
    if (gdr_problem_parse(text, &p, msg, sizeof(msg))) {
        fprintf(stderr, "%s: %s\n", text, msg);
        abort();
    }
    return p.s;
}

void *memory_alloc(void *ctx, void *p, size_t old_bytes, size_t bytes)
{
    struct memory *m = ctx;
    void *block;
    if (!bytes) {
        m->live -= p != NULL;
        free(p);
        return NULL;
    }
    if (!p || bytes > old_bytes) {
        m->count++;
        if (m->fail_at &&
            (m->sticky ? m->count >= m->fail_at : m->count == m->fail_at))
            return NULL;
    }
    block = realloc(p, bytes);
    if (!block)
        abort();
    m->live += p == NULL;
    return block;
}
