/*
 * warp.c - what the 32 lanes of a warp do together. All come to the same line,
 * or it is reported; the last lane does it for all. A shuffle moves registers
 * and orders nothing; warp_sync orders memory (CUDA C++ Programming Guide,
 * "Warp Shuffle Functions").
 */
#include "machine.h"

#include <stddef.h>

static const uint32_t whole = 0xffffffff;

static gdr_emu_thread *lanes_of(gdr_emu *e)
{
    return e->current - e->current->index % GDR_EMU_WARP;
}

/* The compiler may have doubled the call: lines count, not addresses. */
static int together(gdr_emu *e, const gdr_emu_warp *w, int shuffle,
                    const void *pc)
{
    if (!w->arrived)
        return 1;
    return w->shuffle == shuffle &&
           (w->pc == pc || gdr_emu_same_line(e, w->pc, pc));
}

/* 1: this lane is the last, and has to do it for all. */
static int gather(gdr_emu *e, int shuffle, const void *pc)
{
    gdr_emu_thread *t = e->current;
    gdr_emu_warp *w = &e->warp[t->index / GDR_EMU_WARP];

    gdr_emu_pause(e);
    if (!together(e, w, shuffle, pc)) {
        gdr_emu_found(e, "divergent", pc, w->pc, "where other lanes wait",
                      "lane %d of warp %d calls %s", t->index % GDR_EMU_WARP,
                      t->index / GDR_EMU_WARP,
                      shuffle ? "shuffle" : "warp_sync");
        gdr_emu_stop(e);
    }
    w->shuffle = shuffle;
    w->pc = pc;
    w->arrived |= 1u << t->index % GDR_EMU_WARP;
    gdr_emu_met(e);
    if (w->arrived == whole)
        return 1;
    gdr_emu_sleep(e, GDR_WAIT_WARP, w->arrived, 0, pc);
    return 0;
}

static void scatter(gdr_emu *e)
{
    gdr_emu_thread *lane = lanes_of(e);

    e->warp[lane->index / GDR_EMU_WARP].arrived = 0;
    for (int i = 0; i < GDR_EMU_WARP; i++)
        if (&lane[i] != e->current)
            gdr_emu_wake(e, &lane[i]);
}

static void warp_sync(gdr_emu *e, const void *pc)
{
    int16_t all[GDR_EMU_WARP];

    if (!gather(e, 0, pc))
        return;
    for (int i = 0; i < GDR_EMU_WARP; i++)
        all[i] = (int16_t)(lanes_of(e)->index + i);
    gdr_emu_meet(e, all, GDR_EMU_WARP, all, GDR_EMU_WARP);
    scatter(e);
}

static unsigned shuffle(gdr_emu *e, unsigned x, int flip, int lane,
                        const void *pc)
{
    gdr_emu_thread *t = e->current, *all = lanes_of(e);
    unsigned value[GDR_EMU_WARP];

    t->lent = x;
    t->flip = flip;
    t->lane = lane;
    if (gather(e, 1, pc)) {
        for (int i = 0; i < GDR_EMU_WARP; i++) {
            int from = all[i].flip ? i ^ all[i].lane : all[i].lane;
            value[i] = all[from & (GDR_EMU_WARP - 1)].lent;
        }
        for (int i = 0; i < GDR_EMU_WARP; i++)
            all[i].lent = value[i];
        scatter(e);
    }
    return t->lent;
}

void gdr_emu_calls_warp(gdr_emu_calls *c)
{
    c->warp_sync = warp_sync;
    c->shuffle = shuffle;
}
