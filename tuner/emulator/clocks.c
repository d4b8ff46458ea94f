/*
 * clocks.c - what goes before what: a vector clock for each thread of the block
 * and for each copy that runs by itself. Between blocks only atomics behind a
 * fence_device order anything: what a thread had done at its fence (a release)
 * is known to whoever finds its atomic and then fences, too.
 */
#include "machine.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_RELEASES = 4096, SET_WORDS = MOST_RELEASES / 64 };

/* ---- of a block ---- */

/* The last clock of all says whether grid_wait is behind. */
gdr_status gdr_emu_start_clocks(gdr_emu *e)
{
    int n = e->n_threads + GDR_EMU_AGENTS + 1;
    size_t bytes = (size_t)n * (size_t)n * sizeof *e->clock;

    if (n != e->n_clocks) {
        gdr_emu_close_clocks(e);
        e->clock = malloc(bytes);
    }
    if (!e->clock)
        return GDR_ERR_NO_MEMORY;
    e->n_clocks = n;
    memset(e->clock, 0, bytes);
    for (int i = 0; i < n; i++)
        gdr_emu_clock(e, i)[i] = 1;
    return GDR_OK;
}

void gdr_emu_end_clocks(gdr_emu *e)
{
    e->n_readers = 0;
}

void gdr_emu_close_clocks(gdr_emu *e)
{
    free(e->clock);
    e->clock = NULL;
    e->n_clocks = 0;
    for (int i = 0; i < e->reader_room; i++)
        free(e->readers[i]);
    free(e->readers);
    e->readers = NULL;
    e->n_readers = e->reader_room = 0;
    for (int i = 0; i < GDR_EMU_MBARRIERS; i++) {
        free(e->mbarrier[i].open);
        free(e->mbarrier[i].done);
        e->mbarrier[i].open = e->mbarrier[i].done = NULL;
    }
}

void gdr_emu_join(gdr_emu *e, uint32_t *into, const uint32_t *from)
{
    for (int i = 0; i < e->n_clocks; i++)
        into[i] = into[i] > from[i] ? into[i] : from[i];
}

void gdr_emu_give(gdr_emu *e, int who, uint32_t *into)
{
    uint32_t *own = gdr_emu_clock(e, who);

    gdr_emu_join(e, into, own);
    own[who]++;
}

static void join_sets(uint64_t *into, const uint64_t *from)
{
    for (int i = 0; i < SET_WORDS; i++)
        into[i] |= from[i];
}

static uint64_t *set_of(uint64_t **set)
{
    if (!*set)
        *set = calloc(3, SET_WORDS * sizeof **set);
    return *set;
}

/* Sets of releases travel with clocks, where there are any. */
static void meet_sets(gdr_emu *e, const int16_t *from, int n_from,
                      const int16_t *to, int n_to)
{
    uint64_t all[SET_WORDS] = {0};

    for (int i = 0; i < n_from; i++)
        if (e->thread[from[i]].seen)
            join_sets(all, e->thread[from[i]].seen);
    for (int i = 0; i < n_to; i++)
        if (set_of(&e->thread[to[i]].seen))
            join_sets(e->thread[to[i]].seen, all);
}

void gdr_emu_meet(gdr_emu *e, const int16_t *arrived, int n_arrived,
                  const int16_t *waiting, int n_waiting)
{
    uint32_t all[1024 + GDR_EMU_AGENTS + 1];

    memset(all, 0, (size_t)e->n_clocks * sizeof *all);
    for (int i = 0; i < n_arrived; i++)
        gdr_emu_give(e, arrived[i], all);
    for (int i = 0; i < n_waiting; i++) {
        uint32_t *own = gdr_emu_clock(e, waiting[i]), mine = own[waiting[i]];
        memcpy(own, all, (size_t)e->n_clocks * sizeof *all);
        own[waiting[i]] = mine;
    }
    if (e->n_releases)
        meet_sets(e, arrived, n_arrived, waiting, n_waiting);
}

int gdr_emu_agent(gdr_emu *e)
{
    int who = e->n_threads + e->next_agent;
    uint32_t *own = gdr_emu_clock(e, who), mine = own[who];

    e->next_agent = (e->next_agent + 1) % GDR_EMU_AGENTS;
    memset(own, 0, (size_t)e->n_clocks * sizeof *own);
    gdr_emu_give(e, e->current->index, own);
    own[who] = mine + 1;
    return who;
}

int gdr_emu_grid_waited(gdr_emu *e, int who)
{
    return gdr_emu_clock(e, who)[e->n_clocks - 1] > 1;
}

/* ---- fences ---- */

/* After a fence the clock goes on: a fence at time c covers what was done at c
 * and before, and is known to all who know c. */
static void fence_async(gdr_emu *e)
{
    gdr_emu_thread *t = e->current;

    if (t->n_fences == GDR_EMU_FENCES) /* the oldest cover least */
        memmove(t->fence, t->fence + 1, --t->n_fences * sizeof *t->fence);
    t->fence[t->n_fences++] = gdr_emu_clock(e, t->index)[t->index]++;
    for (int i = 0; i < e->n_mbarriers; i++)
        if (e->mbarrier[i].by == t->index)
            e->mbarrier[i].fenced = 1;
}

int gdr_emu_fenced(gdr_emu *e, int who, int writer, uint32_t clock)
{
    const gdr_emu_thread *t = &e->thread[writer];
    uint32_t known = gdr_emu_clock(e, who)[writer];

    if (writer >= e->n_threads)
        return 1;
    for (int i = t->n_fences - 1; i >= 0; i--)
        if (t->fence[i] >= clock && t->fence[i] <= known)
            return 1;
    return 0;
}

static void grid_wait(gdr_emu *e)
{
    gdr_emu_clock(e, e->current->index)[e->n_clocks - 1] = 2;
}

static void grid_release(gdr_emu *e)
{
    (void)e;
}

/* ---- beyond the block ---- */

static int has(const uint64_t *set, int i)
{
    return set && set[i / 64] >> (i % 64) & 1;
}

int gdr_emu_released(gdr_emu *e, int who, uint32_t block, int thread,
                     uint32_t clock)
{
    if (who >= e->n_threads)
        return 0;
    for (int i = 0; i < e->n_releases; i++)
        if (e->release[i].block == block &&
            e->release[i].clock[thread] >= clock && has(e->thread[who].seen, i))
            return 1;
    return 0;
}

/* seen, pending and fenced_seen are one piece of memory. */
static int open_sets(gdr_emu_thread *t)
{
    if (!set_of(&t->seen))
        return 0;
    t->pending = t->seen + SET_WORDS;
    t->fenced_seen = t->pending + SET_WORDS;
    return 1;
}

static void fence_device(gdr_emu *e)
{
    gdr_emu_thread *t = e->current;
    size_t bytes = (size_t)e->n_clocks * sizeof *t->fenced;

    if (!t->fenced)
        t->fenced = malloc(bytes);
    if (!t->fenced || !open_sets(t))
        return;
    join_sets(t->seen, t->pending);
    memcpy(t->fenced_seen, t->seen, SET_WORDS * sizeof *t->seen);
    memcpy(t->fenced, gdr_emu_clock(e, t->index), bytes);
    gdr_emu_clock(e, t->index)[t->index]++;
}

static gdr_emu_atomic *find_atomic(gdr_emu *e, const void *p)
{
    gdr_emu_atomic *grown;
    uint64_t *set;

    for (int i = 0; i < e->n_atomics; i++)
        if (e->atomic[i].at == p)
            return &e->atomic[i];
    grown = realloc(e->atomic, (size_t)(e->n_atomics + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    e->atomic = grown;
    set = calloc(SET_WORDS, sizeof *set);
    if (!set)
        return NULL;
    e->atomic[e->n_atomics] = (gdr_emu_atomic){p, set};
    return &e->atomic[e->n_atomics++];
}

static void publish(gdr_emu *e, const gdr_emu_thread *t, gdr_emu_atomic *a)
{
    size_t bytes = (size_t)e->n_clocks * sizeof *t->fenced;
    gdr_emu_release *grown;

    if (!t->fenced || e->n_releases == MOST_RELEASES)
        return;
    grown = realloc(e->release, (size_t)(e->n_releases + 1) * sizeof *grown);
    if (!grown)
        return;
    e->release = grown;
    grown[e->n_releases].block = e->block;
    grown[e->n_releases].clock = malloc(bytes);
    if (!grown[e->n_releases].clock)
        return;
    memcpy(grown[e->n_releases].clock, t->fenced, bytes);
    a->releases[e->n_releases / 64] |= (uint64_t)1 << (e->n_releases % 64);
    join_sets(a->releases, t->fenced_seen);
    e->n_releases++;
}

static unsigned atomic_add(gdr_emu *e, unsigned *p, unsigned x, const void *pc)
{
    gdr_emu_thread *t = e->current;
    gdr_emu_atomic *a;
    unsigned old;

    gdr_emu_step(e, pc);
    gdr_emu_pause(e);
    if (!gdr_emu_check(e, p, 4, 4,
                       GDR_EMU_READ | GDR_EMU_WRITE | GDR_EMU_ATOMIC, t->index,
                       pc)) {
        gdr_emu_stop(e);
        return 0;
    }
    old = *p;
    *p = old + x;
    a = find_atomic(e, p);
    if (!a || !open_sets(t))
        return old;
    publish(e, t, a);
    join_sets(t->pending, a->releases);
    return old;
}

void gdr_emu_end_releases(gdr_emu *e)
{
    for (int i = 0; i < e->n_releases; i++)
        free(e->release[i].clock);
    for (int i = 0; i < e->n_atomics; i++)
        free(e->atomic[i].releases);
    free(e->release);
    free(e->atomic);
    e->release = NULL;
    e->atomic = NULL;
    e->n_releases = e->n_atomics = 0;
}

void gdr_emu_calls_clocks(gdr_emu_calls *c)
{
    c->fence_async = fence_async;
    c->fence_device = fence_device;
    c->atomic_add = atomic_add;
    c->grid_wait = grid_wait;
    c->grid_release = grid_release;
}
