/*
 * shared.c - the shared memory of the block that runs. Every array and every
 * part of the dynamic memory lies alone between red zones, as wide as a long
 * row; fresh memory holds NaNs and counts as uninitialised.
 */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { POOL = 1 << 20, ZONE = 1 << 10, GRAIN = 16, ALIGN = 128 };

static void *map(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

gdr_status gdr_emu_open_shared(gdr_emu *e)
{
    e->pool = map(POOL);
    e->pool_cell = map(POOL / 2 * sizeof *e->pool_cell);
    e->owner = calloc(POOL / GRAIN, 1);
    return e->pool && e->pool_cell && e->owner ? GDR_OK : GDR_ERR_NO_MEMORY;
}

void gdr_emu_close_shared(gdr_emu *e)
{
    if (e->pool)
        munmap(e->pool, POOL);
    if (e->pool_cell)
        munmap(e->pool_cell, POOL / 2 * sizeof *e->pool_cell);
    free(e->owner);
}

void gdr_emu_clear_shared(gdr_emu *e)
{
    if (e->pool_used)
        memset(e->owner, 0, e->pool_used / GRAIN);
    e->n_arrays = 0;
    e->pool_used = 0;
    e->static_bytes = 0;
    e->dynamic = NULL;
}

int gdr_emu_in_shared(const gdr_emu *e, const void *p)
{
    return (const char *)p >= e->pool && (const char *)p < e->pool + POOL;
}

gdr_emu_memory *gdr_emu_find_shared(gdr_emu *e, const void *p)
{
    size_t at = (size_t)((const char *)p - e->pool);
    int owner = e->owner[at / GRAIN];
    gdr_emu_memory *m = owner ? &e->array[owner - 1] : NULL;

    return m && (const char *)p < m->begin + m->bytes ? m : NULL;
}

/* Empty memory at an address that is `skew` past a multiple of 128. */
static gdr_emu_memory *add(gdr_emu *e, size_t bytes, size_t skew,
                           const char *name, const void *pc)
{
    size_t at = (e->pool_used + ZONE + ALIGN - 1) / ALIGN * ALIGN + skew;
    size_t end = (at + bytes + GRAIN - 1) / GRAIN * GRAIN;
    gdr_emu_memory *m = &e->array[e->n_arrays];

    if (e->n_arrays == GDR_EMU_ARRAYS || end + ZONE > POOL) {
        gdr_emu_found(e, "launch", pc, NULL, NULL,
                      "more arrays in shared memory than are followed");
        gdr_emu_stop(e);
    }
    *m = (gdr_emu_memory){.begin = e->pool + at,
                          .bytes = bytes,
                          .cell = e->pool_cell + at / 2,
                          .shared = 1,
                          .id = -1};
    snprintf(m->name, sizeof m->name, "%s", name);
    memset(m->begin, 0xff, bytes);
    memset(m->cell, 0, (bytes + 1) / 2 * sizeof *m->cell);
    memset(e->owner + at / GRAIN, ++e->n_arrays, (end - at) / GRAIN);
    e->pool_used = end;
    return m;
}

static void check_size(gdr_emu *e, const void *pc)
{
    if (e->static_bytes + e->dims->smem <= e->chip->smem_bytes)
        return;
    gdr_emu_found(e, "launch", pc, NULL, NULL,
                  "%lld bytes of static and %lld of dynamic shared memory: a "
                  "block of %s has %lld",
                  (long long)e->static_bytes, (long long)e->dims->smem,
                  e->chip->arch, (long long)e->chip->smem_bytes);
    gdr_emu_stop(e);
}

static void *find_static(gdr_emu *e, int id, unsigned long bytes,
                         const char *name, const void *pc)
{
    gdr_emu_memory *m;

    for (int i = 0; i < e->n_arrays; i++)
        if (e->array[i].id == id && e->array[i].bytes == bytes)
            return e->array[i].begin;
    m = add(e, bytes, 0, name, pc);
    m->id = id;
    e->static_bytes += (int64_t)(bytes + 15) / 16 * 16;
    check_size(e, pc);
    return m->begin;
}

static void *find_dynamic(gdr_emu *e)
{
    if (!e->dynamic)
        e->dynamic = add(e, (size_t)e->dims->smem, 0, "dynamic", NULL)->begin;
    return e->dynamic;
}

/* A part that begins elsewhere may not lie over another one. */
static void check_overlap(gdr_emu *e, size_t offset, size_t bytes,
                          const char *name, const void *pc)
{
    for (int i = 0; i < e->n_arrays; i++) {
        const gdr_emu_memory *m = &e->array[i];
        if (m->id != -2 || offset >= m->offset + m->bytes ||
            m->offset >= offset + bytes)
            continue;
        gdr_emu_found(e, "overlap", pc, NULL, NULL,
                      "%s lies at %zu to %zu of the dynamic memory, %s at %zu "
                      "to %zu",
                      name, offset, offset + bytes, m->name, m->offset,
                      m->offset + m->bytes);
    }
}

static void *find_part(gdr_emu *e, const void *dynamic, unsigned long offset,
                       unsigned long bytes, const char *name, const void *pc)
{
    gdr_emu_memory *m;
    const char *base = find_dynamic(e);

    offset += (unsigned long)((const char *)dynamic - base);
    for (int i = 0; i < e->n_arrays; i++)
        if (e->array[i].id == -2 && e->array[i].offset == offset &&
            e->array[i].bytes == bytes)
            return e->array[i].begin;
    if (offset % GRAIN)
        gdr_emu_found(e, "misaligned", pc, NULL, NULL,
                      "%s lies at %lu of the dynamic memory: no multiple of 16",
                      name, offset);
    if (offset + bytes > (unsigned long)e->dims->smem) {
        gdr_emu_found(e, "out of bounds", pc, NULL, NULL,
                      "%s lies at %lu to %lu of the dynamic memory of %lld "
                      "bytes",
                      name, offset, offset + bytes, (long long)e->dims->smem);
        gdr_emu_stop(e);
    }
    check_overlap(e, offset, bytes, name, pc);
    m = add(e, bytes, offset % ALIGN / GRAIN * GRAIN, name, pc);
    m->id = -2;
    m->offset = offset;
    return m->begin;
}

static unsigned tell_address(gdr_emu *e, const void *p, const void *pc)
{
    if (gdr_emu_in_shared(e, p))
        return (unsigned)((const char *)p - e->pool);
    gdr_emu_found(e, "out of bounds", pc, NULL, NULL,
                  "shared_address of what is not in shared memory");
    gdr_emu_stop(e);
    return 0;
}

void gdr_emu_calls_shared(gdr_emu_calls *c)
{
    c->shared = find_static;
    c->dynamic = find_dynamic;
    c->part = find_part;
    c->address = tell_address;
}
