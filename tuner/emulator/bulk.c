/*
 * bulk.c - bulk copies, both ways, through the async proxy (PTX ISA,
 * "cp.async.bulk"). When they complete, the launch's schedule says: at once, at
 * random, or as late as may be. What must stay true: bytes that a copy has yet
 * to write or read are marked, until the wait that makes them the threads'.
 */
#include "machine.h"

#include <stdlib.h>
#include <string.h>

/* ---- completing ---- */

/* A store has read shared memory. */
static void take(gdr_emu_bulk *c)
{
    if (!c->read)
        memcpy(c->staged, c->from, c->bytes);
    c->read = 1;
}

static void finish_load(gdr_emu *e, gdr_emu_bulk *c)
{
    gdr_emu_mbarrier *b = gdr_emu_mbarrier_find(e, c->bar);

    memcpy(c->to, c->from, c->bytes);
    gdr_emu_fly(e, c->to, c->bytes, 0, c->pc);
    gdr_emu_check(e, c->to, c->bytes, 1, GDR_EMU_WRITE | GDR_EMU_ASYNC,
                  c->agent, c->pc);
    if (!b)
        return;
    gdr_emu_join(e, b->open, gdr_emu_clock(e, c->agent));
    b->bytes -= c->bytes;
    gdr_emu_arrived(e, b);
}

static void finish(gdr_emu *e, gdr_emu_bulk *c)
{
    if (c->written)
        return;
    c->written = 1;
    if (!c->store) {
        finish_load(e, c);
        return;
    }
    take(c);
    memcpy(c->to, c->staged, c->bytes);
    free(c->staged);
    c->staged = NULL;
}

/* Loads are over when they have arrived, stores when they were waited for. */
static void sweep(gdr_emu *e)
{
    int n = 0;

    for (int i = 0; i < e->n_bulks; i++)
        if (!e->bulk[i].written || (e->bulk[i].store && !e->bulk[i].known))
            e->bulk[n++] = e->bulk[i];
    e->n_bulks = n;
}

int gdr_emu_advance(gdr_emu *e)
{
    unsigned n = (unsigned)e->n_bulks;
    unsigned first =
        e->pace == GDR_PACE_RANDOM && n ? gdr_emu_random(e) % n : 0;

    for (unsigned i = 0; i < n; i++) {
        gdr_emu_bulk *c = &e->bulk[(first + i) % n];
        if (c->written)
            continue;
        if (c->store && !c->read)
            take(c);
        else
            finish(e, c);
        sweep(e);
        return 1;
    }
    return 0;
}

/* ---- beginning ---- */

static int fits(gdr_emu *e, const void *shared, const void *global,
                unsigned bytes, const void *pc)
{
    if (!gdr_emu_in_shared(e, shared) || gdr_emu_in_shared(e, global))
        gdr_emu_found(e, "out of bounds", pc, NULL, NULL,
                      "a bulk copy goes between shared and global memory");
    else if (!bytes || bytes % 16)
        gdr_emu_found(e, "misaligned", pc, NULL, NULL,
                      "bulk copy of %u bytes: no multiple of 16", bytes);
    else if ((uintptr_t)shared % 16 || (uintptr_t)global % 16)
        gdr_emu_found(e, "misaligned", pc, NULL, NULL,
                      "bulk copy with %s address that is no multiple of 16",
                      (uintptr_t)shared % 16 ? "a shared" : "a global");
    else
        return 1;
    gdr_emu_stop(e);
    return 0;
}

static void begin(gdr_emu *e, const gdr_emu_bulk *copy)
{
    gdr_emu_bulk *c = &e->bulk[e->n_bulks];

    if (e->n_bulks == GDR_EMU_PENDING) {
        gdr_emu_found(e, "launch", copy->pc, NULL, NULL,
                      "more bulk copies under way than are followed");
        gdr_emu_stop(e);
        return;
    }
    *c = *copy;
    c->staged = c->store ? malloc(c->bytes) : NULL;
    if (c->store && !c->staged) {
        gdr_emu_stop(e);
        return;
    }
    e->n_bulks++;
    if (e->pace == GDR_PACE_EARLY ||
        (e->pace == GDR_PACE_RANDOM && gdr_emu_random(e) % 3 == 0))
        finish(e, c);
    sweep(e);
}

static void bulk_load(gdr_emu *e, void *shared, const void *global,
                      unsigned bytes, void *bar, const void *pc)
{
    const gdr_emu_mbarrier *b = gdr_emu_mbarrier_find(e, bar);
    gdr_emu_bulk c = {.to = shared,
                      .from = global,
                      .bytes = bytes,
                      .bar = bar,
                      .owner = e->current->index,
                      .pc = pc};

    gdr_emu_step(e, pc);
    if (!fits(e, shared, global, bytes, pc))
        return;
    if (!b || !b->fenced) {
        gdr_emu_found(e, b ? "proxy" : "mbarrier", pc, NULL, NULL,
                      b ? "of an mbarrier without mbarrier_init_fence"
                        : "of an mbarrier that nobody has initialised");
        gdr_emu_stop(e);
    }
    c.agent = gdr_emu_agent(e);
    if (!gdr_emu_check(e, global, bytes, 16, GDR_EMU_READ | GDR_EMU_ASYNC,
                       c.agent, pc) ||
        !gdr_emu_check(e, shared, bytes, 16,
                       GDR_EMU_WRITE | GDR_EMU_ASYNC | GDR_EMU_PROXY, c.agent,
                       pc)) {
        gdr_emu_stop(e);
        return;
    }
    gdr_emu_fly(e, shared, bytes, 1, pc);
    memset(shared, 0xff, bytes);
    begin(e, &c);
}

static void bulk_store(gdr_emu *e, void *global, const void *shared,
                       unsigned bytes, const void *pc)
{
    gdr_emu_bulk c = {.store = 1,
                      .to = global,
                      .from = shared,
                      .bytes = bytes,
                      .owner = e->current->index,
                      .pc = pc,
                      .group = e->current->bulk_group};

    gdr_emu_step(e, pc);
    if (!fits(e, shared, global, bytes, pc))
        return;
    c.agent = gdr_emu_agent(e);
    c.writer = gdr_emu_agent(e);
    if (!gdr_emu_check(e, shared, bytes, 16,
                       GDR_EMU_READ | GDR_EMU_ASYNC | GDR_EMU_PROXY, c.agent,
                       pc) ||
        !gdr_emu_check(e, global, bytes, 16, GDR_EMU_WRITE | GDR_EMU_ASYNC,
                       c.writer, pc)) {
        gdr_emu_stop(e);
        return;
    }
    gdr_emu_lend(e, shared, bytes, 1, pc);
    begin(e, &c);
}

/* ---- groups ---- */

static void bulk_commit(gdr_emu *e)
{
    e->current->bulk_group++;
}

static void see_read(gdr_emu *e, gdr_emu_bulk *c)
{
    take(c);
    if (!c->released) {
        gdr_emu_lend(e, c->from, c->bytes, -1, c->pc);
        gdr_emu_join(e, gdr_emu_clock(e, c->owner), gdr_emu_clock(e, c->agent));
    }
    c->released = 1;
}

static void see_written(gdr_emu *e, gdr_emu_bulk *c)
{
    finish(e, c);
    gdr_emu_join(e, gdr_emu_clock(e, c->owner), gdr_emu_clock(e, c->writer));
    c->known = 1;
}

/* A list nearly full forgets that a write is not yet known to be over. */
static void bulk_wait(gdr_emu *e, int pending, int written, const void *pc)
{
    gdr_emu_thread *t = e->current;
    int crowded = e->n_bulks > GDR_EMU_PENDING / 2;

    gdr_emu_step(e, pc);
    gdr_emu_pause(e);
    for (int i = 0; i < e->n_bulks; i++) {
        gdr_emu_bulk *c = &e->bulk[i];
        if (!c->store || c->owner != t->index ||
            c->group + (unsigned)pending >= t->bulk_group)
            continue;
        see_read(e, c);
        if (written || crowded)
            see_written(e, c);
    }
    sweep(e);
}

/* ---- ends ---- */

void gdr_emu_check_copies(gdr_emu *e, gdr_emu_thread *t)
{
    if (t->n_copies)
        gdr_emu_found(e, "copy under way", t->copy[0].pc, NULL, NULL,
                      "copy_async that its thread never waits for");
    for (int i = 0; i < e->n_bulks; i++) {
        const gdr_emu_bulk *c = &e->bulk[i];
        if (c->store && c->owner == t->index && !c->released)
            gdr_emu_found(e, "copy under way", c->pc, NULL, NULL,
                          "bulk_store that may still read shared memory when "
                          "its thread ends: no bulk_wait_read");
    }
}

void gdr_emu_end_copies(gdr_emu *e)
{
    for (int i = 0; i < e->n_bulks; i++) {
        gdr_emu_bulk *c = &e->bulk[i];
        if (!e->stopped && !c->store && !c->written)
            gdr_emu_found(e, "copy under way", c->pc, NULL, NULL,
                          "bulk_load that no thread of the block waits for");
        if (!e->stopped && c->store)
            finish(e, c);
        free(c->staged);
    }
    e->n_bulks = 0;
}

void gdr_emu_calls_bulk(gdr_emu_calls *c)
{
    c->bulk_load = bulk_load;
    c->bulk_store = bulk_store;
    c->bulk_commit = bulk_commit;
    c->bulk_wait = bulk_wait;
}
