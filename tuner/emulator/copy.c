/*
 * copy.c - copy_async: 16 bytes each, in groups of the thread that asked (PTX
 * ISA, "cp.async"). The bytes are there for that thread after its wait, for
 * others after they have met it.
 */
#include "machine.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES = 16 };

static void arrive(gdr_emu_copy *c)
{
    if (!c->done)
        memcpy(c->to, c->from, BYTES);
    c->done = 1;
}

static int reserve(gdr_emu_thread *t)
{
    int room = t->room ? 2 * t->room : 64;
    gdr_emu_copy *grown;

    if (t->n_copies < t->room)
        return 1;
    grown = realloc(t->copy, (size_t)room * sizeof *grown);
    if (!grown)
        return 0;
    t->copy = grown;
    t->room = room;
    return 1;
}

static int at_once(gdr_emu *e)
{
    return e->pace == GDR_PACE_EARLY ||
           (e->pace == GDR_PACE_RANDOM && gdr_emu_random(e) % 2);
}

static void copy_async(gdr_emu *e, void *shared, const void *global,
                       const void *pc)
{
    gdr_emu_thread *t = e->current;

    gdr_emu_step(e, pc);
    if (!gdr_emu_check(e, global, BYTES, BYTES, GDR_EMU_READ, t->index, pc) ||
        !gdr_emu_check(e, shared, BYTES, BYTES, GDR_EMU_WRITE, t->index, pc) ||
        !reserve(t)) {
        gdr_emu_stop(e);
        return;
    }
    if (!gdr_emu_in_shared(e, shared) || gdr_emu_in_shared(e, global)) {
        gdr_emu_found(e, "out of bounds", pc, NULL, NULL,
                      "copy_async goes from global to shared memory");
        gdr_emu_stop(e);
    }
    gdr_emu_fly(e, shared, BYTES, 1, pc);
    t->copy[t->n_copies] = (gdr_emu_copy){shared, global, 0, pc};
    if (at_once(e))
        arrive(&t->copy[t->n_copies]);
    else
        memset(shared, 0xff, BYTES);
    t->n_copies++;
}

/* Copies up to end have arrived, and are forgotten. */
static void settle(gdr_emu *e, gdr_emu_thread *t, int end, const void *pc)
{
    for (int i = 0; i < end; i++) {
        arrive(&t->copy[i]);
        gdr_emu_fly(e, t->copy[i].to, BYTES, 0, pc);
        gdr_emu_check(e, t->copy[i].to, BYTES, BYTES, GDR_EMU_WRITE, t->index,
                      t->copy[i].pc);
    }
    memmove(t->copy, t->copy + end,
            (size_t)(t->n_copies - end) * sizeof *t->copy);
    t->n_copies -= end;
}

static void wait_for(gdr_emu *e, int pending, const void *pc)
{
    gdr_emu_thread *t = e->current;
    int groups = t->n_groups - pending, end;

    gdr_emu_pause(e);
    if (groups <= 0)
        return;
    end = t->group_end[groups - 1];
    if (end)
        settle(e, t, end, pc);
    t->n_groups -= groups;
    for (int i = 0; i < t->n_groups; i++)
        t->group_end[i] = t->group_end[i + groups] - end;
}

/* Of more groups than are counted, the two oldest become one. */
static void commit(gdr_emu *e)
{
    gdr_emu_thread *t = e->current;

    if (t->n_groups == GDR_EMU_GROUPS)
        memmove(t->group_end, t->group_end + 1,
                (size_t)--t->n_groups * sizeof *t->group_end);
    t->group_end[t->n_groups++] = t->n_copies;
}

void gdr_emu_calls_copy(gdr_emu_calls *c)
{
    c->copy_async = copy_async;
    c->copy_commit = commit;
    c->copy_wait = wait_for;
}
