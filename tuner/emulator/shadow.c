/*
 * shadow.c - every access to memory that threads share: is it inside, aligned,
 * of something written, after all that it must come after? What is known of
 * memory stands in cells of two bytes, the smallest that neighbours own apart.
 */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One access while it is looked at. */
typedef struct look {
    gdr_emu *e;
    const gdr_emu_memory *m;
    int kind, who;
    const void *pc;
    const char *at; /* of the cell */
} look;

static const void *place(const gdr_emu *e, uint32_t pc)
{
    return e->image->begin + pc;
}

static const char *verb(const look *l)
{
    int copy = l->kind & GDR_EMU_ASYNC;

    if (l->kind & GDR_EMU_ATOMIC)
        return "atomic";
    if (l->kind & GDR_EMU_WRITE)
        return copy ? "write by a bulk copy" : "write";
    return copy ? "read by a bulk copy" : "read";
}

static void found(const look *l, const char *kind, const void *other,
                  const char *tail)
{
    char name[64];

    gdr_emu_name(l->e, l->m, l->at, name, sizeof name);
    gdr_emu_found(l->e, kind, l->pc, other, tail, "%s of %s", verb(l), name);
}

static void found_race(const look *l, const char *what, uint32_t block,
                       int thread, uint32_t pc)
{
    char tail[96];
    const char *of = block == l->e->block ? "" : " of another block";

    if (thread >= l->e->n_threads)
        snprintf(tail, sizeof tail, "conflicts with %s by a bulk copy%s begun",
                 what, of);
    else
        snprintf(tail, sizeof tail, "conflicts with %s by thread %d%s", what,
                 thread, of);
    found(l, "race", place(l->e, pc), tail);
}

/* ---- against the last write ---- */

static void check_copies(const look *l, const gdr_emu_cell *c)
{
    if (c->flags & GDR_CELL_FLYING)
        found(l, "copy under way", place(l->e, c->write_pc),
              "while a copy that will write it is under way, begun");
    if (c->reading && l->kind & GDR_EMU_WRITE)
        found(l, "copy under way", place(l->e, c->read_pc),
              "while a bulk_store still reads it, begun");
}

static void check_write(const look *l, const gdr_emu_cell *c)
{
    int atomic = l->kind & GDR_EMU_ATOMIC && c->flags & GDR_CELL_ATOMIC;

    if (c->write_block < l->e->first_block)
        return;
    if (!atomic && !gdr_emu_ordered(l->e, l->who, c->write_block, c->writer,
                                    c->write_clock))
        found_race(l, "write", c->write_block, c->writer, c->write_pc);
    if (l->kind & GDR_EMU_PROXY && c->flags & GDR_CELL_GENERIC &&
        c->write_block == l->e->block &&
        !gdr_emu_fenced(l->e, l->who, c->writer, c->write_clock))
        found(l, "proxy", place(l->e, c->write_pc),
              "without fence_async after the plain write");
}

/* ---- against the last reads ---- */

static void check_readers(const look *l, const gdr_emu_cell *c)
{
    gdr_emu *e = l->e;
    const uint32_t *list;

    if (c->read_block < e->first_block)
        return;
    if (c->reader != GDR_EMU_MANY) {
        if (!gdr_emu_ordered(e, l->who, c->read_block, c->reader,
                             c->read_clock))
            found_race(l, "read", c->read_block, c->reader, c->read_pc);
        return;
    }
    if (c->read_block != e->block) { /* the list is gone: any release counts */
        if (!gdr_emu_ordered(e, l->who, c->read_block, 0, 0))
            found_race(l, "read", c->read_block, 0, c->read_pc);
        return;
    }
    list = e->readers[c->read_clock];
    for (int i = 0; i < e->n_clocks; i++)
        if (list[i] && !gdr_emu_ordered(e, l->who, e->block, i, list[i])) {
            found_race(l, "read", e->block, i, c->read_pc);
            return;
        }
}

/* A list of readers; -1: no memory. */
static int open_list(gdr_emu *e)
{
    size_t bytes = (size_t)e->n_clocks * sizeof **e->readers;

    if (e->n_readers == e->reader_room) {
        int room = e->reader_room ? 2 * e->reader_room : 256;
        uint32_t **grown =
            realloc(e->readers, (size_t)room * sizeof *e->readers);
        if (!grown)
            return -1;
        memset(grown + e->reader_room, 0,
               (size_t)(room - e->reader_room) * sizeof *grown);
        e->readers = grown;
        e->reader_room = room;
    }
    if (!e->readers[e->n_readers])
        e->readers[e->n_readers] = malloc(bytes);
    if (!e->readers[e->n_readers])
        return -1;
    memset(e->readers[e->n_readers], 0, bytes);
    return e->n_readers++;
}

static void note_read(const look *l, gdr_emu_cell *c)
{
    gdr_emu *e = l->e;
    const uint32_t *own = gdr_emu_clock(e, l->who);
    uint32_t clock = own[l->who];
    int list;

    if (c->read_block == e->block && c->reader == GDR_EMU_MANY) {
        e->readers[c->read_clock][l->who] = clock;
        return;
    }
    if (c->read_block == e->block && c->reader != l->who &&
        c->read_clock > own[c->reader] && (list = open_list(e)) >= 0) {
        e->readers[list][c->reader] = c->read_clock;
        e->readers[list][l->who] = clock;
        c->reader = GDR_EMU_MANY;
        c->read_clock = (uint32_t)list;
        return;
    }
    c->read_block = e->block;
    c->reader = (uint16_t)l->who;
    c->read_clock = clock;
    if (!c->reading)
        c->read_pc = (uint32_t)((const char *)l->pc - e->image->begin);
}

static void note_write(const look *l, gdr_emu_cell *c)
{
    gdr_emu *e = l->e;

    c->read_block = 0;
    c->write_block = e->block;
    c->writer = (uint16_t)l->who;
    c->write_clock = gdr_emu_clock(e, l->who)[l->who];
    c->write_pc = (uint32_t)((const char *)l->pc - e->image->begin);
    c->flags = (uint8_t)(GDR_CELL_KNOWN | (c->flags & GDR_CELL_FLYING) |
                         (l->kind & GDR_EMU_ATOMIC ? GDR_CELL_ATOMIC : 0) |
                         (l->kind & GDR_EMU_MARK ? GDR_CELL_MARK : 0) |
                         (l->kind & GDR_EMU_ASYNC ? 0 : GDR_CELL_GENERIC));
}

static void look_at(const look *l, gdr_emu_cell *c)
{
    check_copies(l, c);
    if (c->flags & GDR_CELL_MARK && !(l->kind & GDR_EMU_MARK))
        found(l, "mbarrier", place(l->e, c->write_pc),
              "where an mbarrier was initialised");
    check_write(l, c);
    if (l->kind & GDR_EMU_READ && !(c->flags & GDR_CELL_KNOWN) &&
        !l->m->known) {
        found(l, "uninitialised", NULL, NULL);
        c->flags |= GDR_CELL_KNOWN;
    }
    if (l->kind & GDR_EMU_WRITE) {
        check_readers(l, c);
        note_write(l, c);
    } else if (!(l->kind & GDR_EMU_MARK)) {
        note_read(l, c);
    }
}

/* ---- the access as a whole ---- */

static gdr_emu_memory *find(gdr_emu *e, const void *p)
{
    return gdr_emu_in_shared(e, p) ? gdr_emu_find_shared(e, p)
                                   : gdr_emu_find(e, p);
}

/* The array or allocation that ends or begins nearest, for the words. */
static const gdr_emu_memory *nearest(const gdr_emu *e, const char *p,
                                     int64_t *off)
{
    int shared = gdr_emu_in_shared(e, p);
    const gdr_emu_memory *all = shared ? e->array : e->memory, *best = NULL;
    int n = shared ? e->n_arrays : e->n_memories;

    *off = INT64_MAX;
    for (int i = 0; i < n; i++) {
        const gdr_emu_memory *m = &all[i];
        int64_t past = p - (m->begin + m->bytes), before = m->begin - p;
        int64_t away = past >= 0 ? past : before;
        if (away < *off) {
            *off = away;
            best = m;
        }
    }
    return best;
}

static int outside(look *l, const void *p, size_t bytes)
{
    char name[64];
    int64_t off = 0;

    if (!l->m)
        l->m = nearest(l->e, p, &off);
    if (!l->m || off > 1 << 20) {
        gdr_emu_found(l->e, "out of bounds", l->pc, NULL, NULL,
                      "%s of %zu bytes far from all memory", verb(l), bytes);
        return 0;
    }
    gdr_emu_name(l->e, l->m, p, name, sizeof name);
    gdr_emu_found(l->e, "out of bounds", l->pc, NULL, NULL,
                  "%s of %zu bytes at %s, of %zu,", verb(l), bytes, name,
                  l->m->bytes);
    return 0;
}

static int within(const gdr_emu_memory *m, const void *p, size_t bytes)
{
    return m && bytes <= m->bytes - (size_t)((const char *)p - m->begin);
}

int gdr_emu_check(gdr_emu *e, const void *p, size_t bytes, size_t align,
                  int kind, int who, const void *pc)
{
    look l = {e, find(e, p), kind, who, pc, p};
    size_t at;

    if (!bytes)
        return 1;
    if (!within(l.m, p, bytes))
        return outside(&l, p, bytes);
    if ((uintptr_t)p % align) {
        found(&l, "misaligned", NULL, NULL);
        return 0;
    }
    if (!l.m->shared && e->dims->pdl && !gdr_emu_grid_waited(e, who))
        found(&l, "before grid_wait", NULL, NULL);
    at = (size_t)((const char *)p - l.m->begin);
    for (size_t i = at / 2; i <= (at + bytes - 1) / 2; i++) {
        l.at = l.m->begin + 2 * i;
        look_at(&l, &l.m->cell[i]);
    }
    return 1;
}

void gdr_emu_fly(gdr_emu *e, const void *p, size_t bytes, int on,
                 const void *pc)
{
    gdr_emu_memory *m = find(e, p);
    size_t at = m ? (size_t)((const char *)p - m->begin) : 0;

    for (size_t i = at / 2; m && i <= (at + bytes - 1) / 2; i++) {
        gdr_emu_cell *c = &m->cell[i];
        if (on) {
            c->flags |= GDR_CELL_FLYING;
            c->write_pc = (uint32_t)((const char *)pc - e->image->begin);
        } else {
            c->flags &= (uint8_t)~GDR_CELL_FLYING;
        }
    }
}

void gdr_emu_lend(gdr_emu *e, const void *p, size_t bytes, int by,
                  const void *pc)
{
    gdr_emu_memory *m = find(e, p);
    size_t at = m ? (size_t)((const char *)p - m->begin) : 0;

    for (size_t i = at / 2; m && i <= (at + bytes - 1) / 2; i++) {
        m->cell[i].reading = (uint8_t)(m->cell[i].reading + by);
        m->cell[i].read_pc = (uint32_t)((const char *)pc - e->image->begin);
    }
}

/* ---- what the kernel itself does ---- */

static void see(gdr_emu *e, const void *p, unsigned long bytes,
                unsigned long align, int kind, const void *pc)
{
    if (!e->current || gdr_emu_is_private(e, p))
        return;
    gdr_emu_step(e, pc);
    if (!gdr_emu_check(e, p, bytes, align, kind, e->current->index, pc))
        gdr_emu_stop(e);
}

static void copy(gdr_emu *e, void *to, const void *from, unsigned long bytes,
                 const void *pc)
{
    see(e, from, bytes, 1, GDR_EMU_READ, pc);
    see(e, to, bytes, 1, GDR_EMU_WRITE, pc);
    memmove(to, from, bytes);
}

static void fill(gdr_emu *e, void *to, int byte, unsigned long bytes,
                 const void *pc)
{
    see(e, to, bytes, 1, GDR_EMU_WRITE, pc);
    memset(to, byte, bytes);
}

void gdr_emu_calls_access(gdr_emu_calls *c)
{
    c->access = see;
    c->copy = copy;
    c->fill = fill;
}
