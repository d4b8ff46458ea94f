/*
 * machine.h - the state of an emulated card. Only for the files of
 * tuner/emulator. What must stay true: exactly one fiber runs at a time, and
 * e->current is whose it is, NULL outside a launch.
 */
#ifndef GDR_EMU_MACHINE_H
#define GDR_EMU_MACHINE_H

#include "calls.h"
#include "emulator.h"
#include "fiber.h"

#include <stdint.h>

enum {
    GDR_EMU_WARP = 32,
    GDR_EMU_BARRIERS = 16,
    GDR_EMU_MBARRIERS = 64,
    GDR_EMU_AGENTS = 64,    /* copies that have a clock of their own at once */
    GDR_EMU_MEMORIES = 64,  /* allocations */
    GDR_EMU_ARRAYS = 128,   /* in the shared memory of a block */
    GDR_EMU_REPORTS = 8,    /* kept of one launch */
    GDR_EMU_PENDING = 1024, /* bulk copies under way in a block */
    GDR_EMU_GROUPS = 64,    /* of one thread under way */
    GDR_EMU_FENCES = 256    /* of one thread that are remembered */
};

/* ---- memory ---- */

/* What is known of two bytes: who wrote and who read them last, and when by the
 * clock of that thread. Cleared for a block by its number. */
typedef struct gdr_emu_cell {
    uint32_t write_clock, write_block, write_pc;
    uint16_t writer;
    uint8_t flags;   /* GDR_CELL_... */
    uint8_t reading; /* bulk stores that still read it */
    uint32_t read_clock, read_block, read_pc;
    uint16_t reader; /* GDR_EMU_MANY: read_clock numbers a list */
    uint16_t unused;
} gdr_emu_cell;

enum {
    GDR_CELL_KNOWN = 1,   /* initialised */
    GDR_CELL_FLYING = 2,  /* a copy that runs by itself will write it */
    GDR_CELL_ATOMIC = 4,  /* last written by an atomic */
    GDR_CELL_GENERIC = 8, /* last written by a thread, not by a bulk copy */
    GDR_CELL_MARK = 16    /* an mbarrier */
};
enum { GDR_EMU_MANY = 0xffff };

typedef struct gdr_emu_memory {
    char *begin;
    size_t bytes;
    gdr_emu_cell *cell; /* [bytes / 2], lazily backed */
    int known;          /* all of it was written by the host */
    int shared;
    int id;        /* of a static array; -1: part of the dynamic memory */
    size_t offset; /* of a part */
    char name[40];
    void *map;
    size_t map_bytes;
} gdr_emu_memory;

/* ---- threads ---- */

typedef enum gdr_emu_wait {
    GDR_WAIT_NOTHING,
    GDR_WAIT_BARRIER,
    GDR_WAIT_WARP,
    GDR_WAIT_MBARRIER,
    GDR_WAIT_DONE
} gdr_emu_wait;

/* A copy_async: in order, of one thread. */
typedef struct gdr_emu_copy {
    char *to;
    const char *from;
    int done;
    const void *pc;
} gdr_emu_copy;

typedef struct gdr_emu_thread {
    gdr_fiber fiber;
    gdr_emu *emu;
    int index;
    gdr_emu_wait wait;
    const void *pc;    /* where it waits, or last did something */
    int64_t object;    /* barrier, mbarrier */
    unsigned argument; /* parity; threads of a barrier */
    unsigned lent;     /* value given to a shuffle, and got */
    int lane, flip;
    int64_t steps; /* since it last met others */
    /* copy_async */
    gdr_emu_copy *copy;
    int n_copies, room;
    int group_end[GDR_EMU_GROUPS]; /* of committed groups, in copy[] */
    int n_groups;
    /* bulk_store: groups are numbered; the open one is `bulk_group` */
    unsigned bulk_group;
    /* clock times of its fence_async, ascending */
    uint32_t fence[GDR_EMU_FENCES];
    int n_fences;
    /* fence_device and atomics, beyond the block */
    uint32_t *fenced; /* clocks at its last fence_device, or NULL */
    uint64_t *seen, *pending, *fenced_seen; /* sets of releases */
} gdr_emu_thread;

typedef struct gdr_emu_barrier {
    int needed, count;
    int n_waiting, n_arrived;
    int16_t waiting[1024], arrived[1024];
    const void *pc;
} gdr_emu_barrier;

typedef struct gdr_emu_warp {
    uint32_t arrived;
    int shuffle; /* or warp_sync */
    const void *pc;
} gdr_emu_warp;

typedef struct gdr_emu_mbarrier {
    char *at;
    uint32_t needed, pending, phase;
    int64_t bytes;
    int fenced;            /* visible to bulk copies */
    int by;                /* who initialised it */
    uint32_t *open, *done; /* clocks */
} gdr_emu_mbarrier;

/* A bulk copy under way. */
typedef struct gdr_emu_bulk {
    int store; /* to global memory */
    char *to;
    const char *from;
    unsigned bytes;
    char *bar; /* load */
    int agent, owner;
    int writer;     /* store: the agent of its second half */
    unsigned group; /* store: of its owner */
    int read, written;
    int released; /* its owner has waited for the reading */
    int known;    /* ... for the writing */
    char *staged;
    const void *pc;
} gdr_emu_bulk;

/* ---- the rest ---- */

typedef enum gdr_emu_order {
    GDR_ORDER_FORWARD,
    GDR_ORDER_REVERSE,
    GDR_ORDER_RANDOM
} gdr_emu_order;

typedef enum gdr_emu_pace {
    GDR_PACE_LATE,
    GDR_PACE_EARLY,
    GDR_PACE_RANDOM
} gdr_emu_pace;

/* Texts of a report are made while the launch runs, places when it is told. */
typedef struct gdr_emu_report {
    const char *kind;
    int number;
    const void *pc, *other; /* other may be NULL */
    char text[192], tail[96];
} gdr_emu_report;

/* A thread's clocks at a fence_device, made public by an atomic. */
typedef struct gdr_emu_release {
    uint32_t block;
    uint32_t *clock;
} gdr_emu_release;

typedef struct gdr_emu_atomic {
    const void *at;
    uint64_t *releases; /* set */
} gdr_emu_atomic;

/* Two addresses that were compared: looking a line up takes a process. */
typedef struct gdr_emu_pair {
    const void *a, *b;
    int same;
} gdr_emu_pair;

enum { GDR_EMU_PAIRS = 64 };

struct gdr_emu_image {
    void *handle;
    void *code; /* to look lines up in */
    size_t bytes;
    gdr_emu_pair pair[GDR_EMU_PAIRS];
    int n_pairs;
    void (*entry)(void);
    const char *begin, *end; /* where it is mapped */
    char name[64];
};

struct gdr_emu {
    const gdr_emu_chip *chip;
    gdr_emu_calls calls;
    /* memory */
    gdr_emu_memory memory[GDR_EMU_MEMORIES];
    int n_memories, last_memory, n_arrays;
    uint32_t block; /* number ever, from 1 */
    char *pool;     /* the shared memory of the block that runs */
    gdr_emu_cell *pool_cell;
    uint8_t *owner; /* [pool / 16] array there + 1; 0: nobody's */
    gdr_emu_memory array[GDR_EMU_ARRAYS];
    size_t pool_used;
    int64_t static_bytes;
    char *dynamic;
    /* launch */
    gdr_emu_image *image;
    const gdr_launch_dims *dims;
    const void *params;
    unsigned launch; /* how many so far */
    gdr_emu_order order;
    gdr_emu_pace pace;
    uint32_t first_block; /* of this launch */
    uint64_t random;
    int64_t block_index;
    /* block */
    gdr_fiber home;
    gdr_emu_thread *thread; /* [room] */
    int n_threads, room, live;
    int stopped; /* what was found cannot be survived */
    char *stacks;
    size_t stack_bytes;
    gdr_emu_thread *current;
    int64_t steps; /* of all threads since one met others */
    int *ready;    /* ring of thread numbers */
    int ready_first, n_ready;
    gdr_emu_barrier barrier[GDR_EMU_BARRIERS];
    gdr_emu_warp warp[1024 / GDR_EMU_WARP];
    gdr_emu_mbarrier mbarrier[GDR_EMU_MBARRIERS];
    gdr_emu_bulk bulk[GDR_EMU_PENDING];
    int n_mbarriers, n_bulks;
    /* clocks: [n_clocks] of each thread and agent */
    uint32_t *clock;
    int n_clocks;
    int next_agent;
    uint32_t **readers; /* [n_readers][n_clocks] of cells read by many */
    int n_readers, reader_room;
    /* beyond the block */
    gdr_emu_release *release;
    gdr_emu_atomic *atomic;
    int n_releases, n_atomics;
    /* what was found */
    gdr_emu_report report[GDR_EMU_REPORTS];
    int n_reports, n_found;
    const char *outcome;
    char waiting[1024]; /* who waits where, of a deadlock */
};

/* ---- schedule.c ---- */

void gdr_emu_close_schedule(gdr_emu *e);

uint32_t gdr_emu_random(gdr_emu *e);
/* Stands in the queue of those who can run. */
void gdr_emu_wake(gdr_emu *e, gdr_emu_thread *t);
/* The current thread waits until woken. */
void gdr_emu_sleep(gdr_emu *e, gdr_emu_wait wait, int64_t object,
                   unsigned argument, const void *pc);
/* Lets others run; random schedules only. */
void gdr_emu_pause(gdr_emu *e);
/* Ends the launch; does not return inside a fiber. */
void gdr_emu_stop(gdr_emu *e);
/* A step of the current thread: counted, so that none goes on for ever. */
void gdr_emu_step(gdr_emu *e, const void *pc);
/* It has met others: counting begins again. */
void gdr_emu_met(gdr_emu *e);

/* ---- report.c ---- */

/* kind: "race", "out of bounds", ...; other: a second place, told behind tail.
 * At most one of a kind at a place is kept. */
__attribute__((format(printf, 6, 7))) void
gdr_emu_found(gdr_emu *e, const char *kind, const void *pc, const void *other,
              const char *tail, const char *format, ...);
/* Who of the block waits where; appended to the note. */
void gdr_emu_found_stuck(gdr_emu *e, const char *kind);
void gdr_emu_forget(gdr_emu *e);
/* Do both places stand in the same line of the source? */
int gdr_emu_same_line(gdr_emu *e, const void *a, const void *b);
/* Name of memory for a person: "state+128". */
void gdr_emu_name(gdr_emu *e, const gdr_emu_memory *m, const void *p,
                  char *text, size_t n);

/* ---- memory.c ---- */

gdr_emu_memory *gdr_emu_find(gdr_emu *e, const void *p);
int gdr_emu_is_private(const gdr_emu *e, const void *p);

/* ---- shared.c ---- */

gdr_status gdr_emu_open_shared(gdr_emu *e);
void gdr_emu_close_shared(gdr_emu *e);
/* Empty again, for the next block. */
void gdr_emu_clear_shared(gdr_emu *e);
int gdr_emu_in_shared(const gdr_emu *e, const void *p);
gdr_emu_memory *gdr_emu_find_shared(gdr_emu *e, const void *p);

/* ---- clocks.c: happens-before ---- */

gdr_status gdr_emu_start_clocks(gdr_emu *e);
void gdr_emu_end_clocks(gdr_emu *e);   /* of the block */
void gdr_emu_end_releases(gdr_emu *e); /* of the launch */
void gdr_emu_close_clocks(gdr_emu *e);
static inline uint32_t *gdr_emu_clock(gdr_emu *e, int who)
{
    return e->clock + (size_t)who * (size_t)e->n_clocks;
}
void gdr_emu_join(gdr_emu *e, uint32_t *into, const uint32_t *from);
/* What it did so far goes before what others do after they join `into`. */
void gdr_emu_give(gdr_emu *e, int who, uint32_t *into);
/* All of these have met: each knows what every one did. */
void gdr_emu_meet(gdr_emu *e, const int16_t *arrived, int n_arrived,
                  const int16_t *waiting, int n_waiting);
/* A clock for a copy begun by the current thread. */
int gdr_emu_agent(gdr_emu *e);
/* The same beyond what clocks say: by an atomic between fences. */
int gdr_emu_released(gdr_emu *e, int who, uint32_t block, int thread,
                     uint32_t clock);
/* Did the event of that thread and block go before what `who` does now? */
static inline int gdr_emu_ordered(gdr_emu *e, int who, uint32_t block,
                                  int thread, uint32_t clock)
{
    return block < e->first_block ||
           (block == e->block && clock <= gdr_emu_clock(e, who)[thread]) ||
           gdr_emu_released(e, who, block, thread, clock);
}
/* Has the async proxy been told of what `writer` did at that time, by what
 * `who` knows? */
int gdr_emu_fenced(gdr_emu *e, int who, int writer, uint32_t clock);
int gdr_emu_grid_waited(gdr_emu *e, int who);

/* ---- shadow.c ---- */

/* One access by a thread or agent. 0: it must not be done. */
int gdr_emu_check(gdr_emu *e, const void *p, size_t bytes, size_t align,
                  int kind, int who, const void *pc);
/* Marks bytes as a copy's target (on) or as arrived. */
void gdr_emu_fly(gdr_emu *e, const void *p, size_t bytes, int on,
                 const void *pc);
/* by +1, -1: bulk stores that read these bytes. */
void gdr_emu_lend(gdr_emu *e, const void *p, size_t bytes, int by,
                  const void *pc);

/* ---- mbarrier.c ---- */

gdr_emu_mbarrier *gdr_emu_mbarrier_find(gdr_emu *e, const void *bar);

/* ---- bulk.c ---- */

/* Completes one copy that is under way; 0: there is none. */
int gdr_emu_advance(gdr_emu *e);
/* At the end of a thread, of a block. */
void gdr_emu_check_copies(gdr_emu *e, gdr_emu_thread *t);
void gdr_emu_end_copies(gdr_emu *e);
void gdr_emu_arrived(gdr_emu *e, gdr_emu_mbarrier *b);

/* ---- the calls, by file ---- */

void gdr_emu_calls_schedule(gdr_emu_calls *c);
void gdr_emu_calls_shared(gdr_emu_calls *c);
void gdr_emu_calls_access(gdr_emu_calls *c);
void gdr_emu_calls_barrier(gdr_emu_calls *c);
void gdr_emu_calls_warp(gdr_emu_calls *c);
void gdr_emu_calls_copy(gdr_emu_calls *c);
void gdr_emu_calls_mbarrier(gdr_emu_calls *c);
void gdr_emu_calls_bulk(gdr_emu_calls *c);
void gdr_emu_calls_clocks(gdr_emu_calls *c);
void gdr_emu_calls_numbers(gdr_emu_calls *c);

#endif
