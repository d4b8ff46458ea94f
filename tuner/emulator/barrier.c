/*
 * barrier.c - the barriers of a block, 0 for all of it, 1 to 15 by name: PTX
 * ISA, "bar, barrier". The one that completes it goes on, the waiting are woken
 * in the order in which they came.
 */
#include "machine.h"

#include <stddef.h>

static int sane(int name, int threads)
{
    return name >= 0 && name < GDR_EMU_BARRIERS && threads > 0 &&
           threads % GDR_EMU_WARP == 0;
}

static void complete(gdr_emu *e, gdr_emu_barrier *b)
{
    int n = b->n_waiting;

    gdr_emu_meet(e, b->arrived, b->n_arrived, b->waiting, n);
    b->count = b->n_waiting = b->n_arrived = 0;
    for (int i = 0; i < n; i++)
        if (b->waiting[i] != e->current->index)
            gdr_emu_wake(e, &e->thread[b->waiting[i]]);
}

static void check_count(gdr_emu *e, const gdr_emu_barrier *b, int name,
                        int threads, const void *pc)
{
    if (!b->count || b->needed == threads)
        return;
    gdr_emu_found(e, "barrier", pc, b->pc, "where it is of another number",
                  "barrier %d of %d threads, while it fills up with %d", name,
                  threads, b->needed);
    gdr_emu_stop(e);
}

static void barrier(gdr_emu *e, int name, int threads, int arrive_only,
                    const void *pc)
{
    gdr_emu_barrier *b;
    int16_t self = (int16_t)e->current->index;

    threads = threads < 0 ? e->n_threads : threads;
    if (!sane(name, threads)) {
        gdr_emu_found(e, "barrier", pc, NULL, NULL,
                      "barrier %d of %d threads: names are 0 to 15, threads a "
                      "multiple of 32",
                      name, threads);
        gdr_emu_stop(e);
        return;
    }
    gdr_emu_pause(e);
    b = &e->barrier[name];
    check_count(e, b, name, threads, pc);
    b->needed = threads;
    b->pc = pc;
    b->count++;
    b->arrived[b->n_arrived++] = self;
    if (!arrive_only)
        b->waiting[b->n_waiting++] = self;
    gdr_emu_met(e);
    if (b->count == threads)
        complete(e, b);
    else if (!arrive_only)
        gdr_emu_sleep(e, GDR_WAIT_BARRIER, name, (unsigned)threads, pc);
}

void gdr_emu_calls_barrier(gdr_emu_calls *c)
{
    c->barrier = barrier;
}
