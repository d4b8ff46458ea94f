/*
 * mbarrier.c - barriers in shared memory that count arrivals and bytes (PTX
 * ISA, "mbarrier"). A phase is over when no arrival and no byte is missing;
 * whoever waits for a phase learns what its arrivals and copies did.
 */
#include "machine.h"

#include <stdlib.h>
#include <string.h>

/* PTX ISA: range of the tx-count. */
static const int64_t most_bytes = (1 << 20) - 1;

gdr_emu_mbarrier *gdr_emu_mbarrier_find(gdr_emu *e, const void *bar)
{
    for (int i = 0; i < e->n_mbarriers; i++)
        if (e->mbarrier[i].at == bar)
            return &e->mbarrier[i];
    return NULL;
}

/* The mbarrier at an address that a thread names; ends the launch where there
 * is none. */
static gdr_emu_mbarrier *named(gdr_emu *e, const void *bar, const void *pc)
{
    gdr_emu_mbarrier *b = gdr_emu_mbarrier_find(e, bar);

    gdr_emu_step(e, pc);
    if (!b) {
        gdr_emu_found(e, "mbarrier", pc, NULL, NULL,
                      "of an mbarrier that nobody has initialised");
        gdr_emu_stop(e);
        return NULL;
    }
    /* not ordered behind the initialisation: a race with it */
    gdr_emu_check(e, bar, 8, 8, GDR_EMU_READ | GDR_EMU_MARK, e->current->index,
                  pc);
    return b;
}

static void init(gdr_emu *e, void *bar, unsigned count, const void *pc)
{
    gdr_emu_mbarrier *b = gdr_emu_mbarrier_find(e, bar);
    size_t bytes = (size_t)e->n_clocks * sizeof *b->open;

    gdr_emu_step(e, pc);
    if (!gdr_emu_check(e, bar, 8, 8, GDR_EMU_WRITE | GDR_EMU_MARK,
                       e->current->index, pc)) {
        gdr_emu_stop(e);
        return;
    }
    if (!b && e->n_mbarriers < GDR_EMU_MBARRIERS)
        b = &e->mbarrier[e->n_mbarriers++];
    if (b && !b->open)
        b->open = malloc(bytes);
    if (b && !b->done)
        b->done = malloc(bytes);
    if (!b || !b->open || !b->done || !count || count > most_bytes) {
        gdr_emu_found(e, "mbarrier", pc, NULL, NULL,
                      "mbarrier_init with count %u, of %d", count,
                      e->n_mbarriers);
        gdr_emu_stop(e);
        return;
    }
    b->at = bar;
    b->needed = b->pending = count;
    b->phase = 0;
    b->bytes = 0;
    b->fenced = 0;
    b->by = e->current->index;
    memset(b->open, 0, bytes);
    memset(b->done, 0, bytes);
}

static void fence(gdr_emu *e)
{
    for (int i = 0; i < e->n_mbarriers; i++)
        if (e->mbarrier[i].by == e->current->index)
            e->mbarrier[i].fenced = 1;
}

void gdr_emu_arrived(gdr_emu *e, gdr_emu_mbarrier *b)
{
    if (b->pending || b->bytes)
        return;
    memcpy(b->done, b->open, (size_t)e->n_clocks * sizeof *b->done);
    b->phase++;
    b->pending = b->needed;
    for (int i = 0; i < e->n_threads; i++) {
        gdr_emu_thread *t = &e->thread[i];
        if (t->wait == GDR_WAIT_MBARRIER && t->object == b->at - e->pool)
            gdr_emu_wake(e, t);
    }
}

static void arrive(gdr_emu *e, void *bar, unsigned bytes, const void *pc)
{
    gdr_emu_mbarrier *b = named(e, bar, pc);

    if (!b)
        return;
    gdr_emu_pause(e);
    b->bytes += bytes;
    if (!b->pending || b->bytes > most_bytes) {
        gdr_emu_found(e, "mbarrier", pc, NULL, NULL,
                      "%s in one phase than the %u it was initialised with",
                      b->pending ? "more bytes (2^20 - 1)" : "more arrivals",
                      b->needed);
        gdr_emu_stop(e);
        return;
    }
    gdr_emu_give(e, e->current->index, b->open);
    b->pending--;
    gdr_emu_arrived(e, b);
}

static void wait_for(gdr_emu *e, void *bar, unsigned parity, const void *pc)
{
    gdr_emu_mbarrier *b = named(e, bar, pc);
    uint32_t phase;

    if (!b)
        return;
    gdr_emu_pause(e);
    phase = b->phase;
    if ((phase & 1) == (parity & 1)) {
        gdr_emu_sleep(e, GDR_WAIT_MBARRIER, b->at - e->pool, parity, pc);
        /* a card's thread that looks in this moment would go on waiting */
        if (b->phase != phase + 1) {
            gdr_emu_found(e, "mbarrier", pc, NULL, NULL,
                          "a second phase ended before this wait saw the "
                          "first: it would wait on");
            gdr_emu_stop(e);
        }
    }
    gdr_emu_met(e);
    gdr_emu_join(e, gdr_emu_clock(e, e->current->index), b->done);
}

void gdr_emu_calls_mbarrier(gdr_emu_calls *c)
{
    c->mbarrier_init = init;
    c->mbarrier_fence = fence;
    c->mbarrier_arrive = arrive;
    c->mbarrier_wait = wait_for;
}
