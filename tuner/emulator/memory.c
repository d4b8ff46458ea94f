/*
 * memory.c - the device: its memory, its images, its calls. Allocations end at
 * a page that must not be touched, for accesses that nothing announces.
 */
#include "machine.h"
#include "../../runtime/cpu_image.h"
#include "../../runtime/status.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- chips ---- */

/* Shared memory of a block with opt-in: CUDA C++ Programming Guide, table
 * "Technical Specifications per Compute Capability". */
static const gdr_emu_chip chips[] = {
    {"sm_70", 700, 96 << 10, 6 << 20},
    {"sm_75", 750, 64 << 10, 4 << 20},
    {"sm_80", 800, 163 << 10, 40 << 20},
    {"sm_86", 860, 99 << 10, 6 << 20},
    {"sm_87", 870, 163 << 10, 4 << 20},
    {"sm_89", 890, 99 << 10, 72 << 20},
    {"sm_90", 900, 227 << 10, 50 << 20},
    {"sm_90a", 900, 227 << 10, 50 << 20},
    {"sm_100", 1000, 227 << 10, 126 << 20},
    {"sm_100a", 1000, 227 << 10, 126 << 20},
    {"sm_103", 1030, 227 << 10, 126 << 20},
    {"sm_103a", 1030, 227 << 10, 126 << 20},
    {"sm_120", 1200, 99 << 10, 96 << 20},
    {"sm_120a", 1200, 99 << 10, 96 << 20},
};

const gdr_emu_chip *gdr_emu_chip_find(const char *arch)
{
    for (size_t i = 0; i < sizeof chips / sizeof *chips; i++)
        if (!strcmp(chips[i].arch, arch))
            return &chips[i];
    return NULL;
}

void gdr_emu_chip_names(char *text, size_t n)
{
    size_t at = 0;

    text[0] = 0;
    for (size_t i = 0; i < sizeof chips / sizeof *chips && at < n; i++)
        at += (size_t)snprintf(text + at, n - at, "%s%s", i ? " " : "",
                               chips[i].arch);
}

/* ---- the device ---- */

gdr_status gdr_emu_open(const gdr_emu_chip *chip, gdr_emu **out)
{
    gdr_emu *e = calloc(1, sizeof *e);
    gdr_status st;

    *out = NULL;
    if (!e)
        return GDR_ERR_NO_MEMORY;
    e->chip = chip;
    e->calls.emu = e;
    gdr_emu_calls_schedule(&e->calls);
    gdr_emu_calls_shared(&e->calls);
    gdr_emu_calls_access(&e->calls);
    gdr_emu_calls_barrier(&e->calls);
    gdr_emu_calls_warp(&e->calls);
    gdr_emu_calls_copy(&e->calls);
    gdr_emu_calls_mbarrier(&e->calls);
    gdr_emu_calls_bulk(&e->calls);
    gdr_emu_calls_clocks(&e->calls);
    gdr_emu_calls_numbers(&e->calls);
    st = gdr_emu_open_shared(e);
    if (st == GDR_OK)
        *out = e;
    else
        gdr_emu_close(e);
    return st;
}

static void release(gdr_emu_memory *m)
{
    munmap(m->map, m->map_bytes);
    munmap(m->cell, (m->bytes + 2) / 2 * sizeof *m->cell);
    memset(m, 0, sizeof *m);
}

void gdr_emu_close(gdr_emu *e)
{
    if (!e)
        return;
    for (int i = 0; i < e->n_memories; i++)
        release(&e->memory[i]);
    gdr_emu_close_schedule(e);
    gdr_emu_close_shared(e);
    gdr_emu_close_clocks(e);
    free(e);
}

/* ---- memory ---- */

static void *map_lazily(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

gdr_status gdr_emu_alloc(gdr_emu *e, size_t bytes, void **p)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t used = (bytes + 255) / 256 * 256, data = (used + page - 1) / page;
    gdr_emu_memory m = {.bytes = bytes, .id = -1};

    *p = NULL;
    if (bytes > SIZE_MAX / 64 || e->n_memories == GDR_EMU_MEMORIES)
        return GDR_ERR_NO_MEMORY;
    data = data * page;
    m.map_bytes = data + 2 * page;
    m.map = map_lazily(m.map_bytes);
    m.cell = map_lazily((bytes + 2) / 2 * sizeof *m.cell);
    if (!m.map || !m.cell) {
        if (m.map)
            munmap(m.map, m.map_bytes);
        return GDR_ERR_NO_MEMORY;
    }
    mprotect(m.map, page, PROT_NONE);
    mprotect((char *)m.map + page + data, page, PROT_NONE);
    m.begin = (char *)m.map + page + (data - used);
    snprintf(m.name, sizeof m.name, "memory of %zu bytes", bytes);
    e->memory[e->n_memories++] = m;
    *p = m.begin;
    return GDR_OK;
}

void gdr_emu_free(gdr_emu *e, void *p)
{
    for (int i = 0; i < e->n_memories; i++) {
        if (e->memory[i].begin != p)
            continue;
        release(&e->memory[i]);
        e->memory[i] = e->memory[--e->n_memories];
        e->last_memory = 0;
        return;
    }
}

static int holds(const gdr_emu_memory *m, const void *p)
{
    return (const char *)p >= m->begin && (const char *)p < m->begin + m->bytes;
}

gdr_emu_memory *gdr_emu_find(gdr_emu *e, const void *p)
{
    if (e->last_memory < e->n_memories && holds(&e->memory[e->last_memory], p))
        return &e->memory[e->last_memory];
    for (int i = 0; i < e->n_memories; i++)
        if (holds(&e->memory[i], p))
            return &e->memory[e->last_memory = i];
    return NULL;
}

static int within(const gdr_emu_memory *m, const void *p, size_t bytes)
{
    return m && bytes <= m->bytes - (size_t)((const char *)p - m->begin);
}

gdr_status gdr_emu_write(gdr_emu *e, void *to, const void *from, size_t bytes)
{
    gdr_emu_memory *m = gdr_emu_find(e, to);
    size_t at;

    if (!bytes)
        return GDR_OK;
    if (!within(m, to, bytes))
        return GDR_ERR_ARG;
    memcpy(to, from, bytes);
    if (to == m->begin && bytes == m->bytes)
        m->known = 1;
    at = (size_t)((char *)to - m->begin);
    for (size_t i = at / 2; !m->known && i <= (at + bytes - 1) / 2; i++)
        m->cell[i].flags |= GDR_CELL_KNOWN;
    return GDR_OK;
}

gdr_status gdr_emu_read(gdr_emu *e, void *to, const void *from, size_t bytes)
{
    if (!bytes)
        return GDR_OK;
    if (!within(gdr_emu_find(e, from), from, bytes))
        return GDR_ERR_ARG;
    memcpy(to, from, bytes);
    return GDR_OK;
}

int gdr_emu_is_private(const gdr_emu *e, const void *p)
{
    const char *at = p;
    const gdr_emu_image *i = e->image;

    if (at >= e->stacks && at < e->stacks + (size_t)e->room * e->stack_bytes)
        return 1;
    return at >= i->begin && at < i->end;
}

/* ---- images ---- */

static int find_extent(struct dl_phdr_info *info, size_t size, void *ctx)
{
    gdr_emu_image *image = ctx;
    void *at;
    int mine = 0;

    (void)size;
    memcpy(&at, &image->entry, sizeof at);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < info->dlpi_phnum; i++) {
            const ElfW(Phdr) *p = &info->dlpi_phdr[i];
            const char *begin = (const char *)info->dlpi_addr + p->p_vaddr;
            if (p->p_type != PT_LOAD)
                continue;
            mine |= (char *)at >= begin && (char *)at < begin + p->p_memsz;
            if (k && mine && begin + p->p_memsz > image->end)
                image->end = begin + p->p_memsz;
        }
    if (mine)
        image->begin = (const char *)info->dlpi_addr;
    return mine;
}

static gdr_status bind(gdr_emu *e, gdr_emu_image *image, char *msg, size_t n)
{
    void *entry = dlsym(image->handle, image->name);
    void *hook = dlsym(image->handle, "gdr_emu_bind");
    void (*set)(const gdr_emu_calls *);

    if (!entry || !hook)
        return gdr_fail(GDR_ERR_LOAD, msg, n,
                        "the image has no %s: was it compiled for emu?",
                        entry ? "gdr_emu_bind" : image->name);
    memcpy(&image->entry, &entry, sizeof entry);
    memcpy(&set, &hook, sizeof hook);
    set(&e->calls);
    dl_iterate_phdr(find_extent, image);
    return GDR_OK;
}

gdr_status gdr_emu_load(gdr_emu *e, const void *code, size_t bytes,
                        const char *entry, gdr_emu_image **out, char *msg,
                        size_t n)
{
    gdr_emu_image *image = calloc(1, sizeof *image);
    gdr_status st = GDR_ERR_NO_MEMORY;

    *out = NULL;
    if (!image)
        return st;
    image->code = malloc(bytes);
    image->bytes = bytes;
    snprintf(image->name, sizeof image->name, "%s", entry);
    if (image->code) {
        memcpy(image->code, code, bytes);
        st = gdr_cpu_image_open(code, bytes, &image->handle, msg, n);
    }
    if (st == GDR_OK)
        st = bind(e, image, msg, n);
    if (st == GDR_OK)
        *out = image;
    else
        gdr_emu_unload(e, image);
    return st;
}

void gdr_emu_unload(gdr_emu *e, gdr_emu_image *image)
{
    if (!image)
        return;
    if (e->image == image) /* its lines are told from the image */
        gdr_emu_forget(e);
    gdr_cpu_image_close(image->handle);
    free(image->code);
    free(image);
}
