/*
 * schedule.c - a launch: its blocks one after another, the threads of a block
 * as fibers, in the orders that the launch's number says. What must stay true:
 * the same launch of the same device takes the same turns.
 */
#include "machine.h"
#include "../../runtime/recurrent_abi.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Kernels keep a tile of state in arrays: 4 KiB at most, as registers allow. */
static const size_t stack_bytes = 128 << 10;

/* Steps of a thread between two meetings with others, and of all threads while
 * none meets: 10 times what a block takes that goes through eleven tokens of a
 * 128 x 128 state without a meeting. */
static const int64_t most_steps = 1 << 20, most_of_all = 1 << 23;

uint32_t gdr_emu_random(gdr_emu *e)
{
    e->random ^= e->random << 13;
    e->random ^= e->random >> 7;
    e->random ^= e->random << 17;
    return (uint32_t)(e->random >> 16);
}

/* ---- who runs ---- */

void gdr_emu_wake(gdr_emu *e, gdr_emu_thread *t)
{
    t->wait = GDR_WAIT_NOTHING;
    e->ready[(e->ready_first + e->n_ready++) % e->room] = t->index;
}

static gdr_emu_thread *next_thread(gdr_emu *e)
{
    int *first, *other, number;

    if (!e->n_ready)
        return NULL;
    first = &e->ready[e->ready_first];
    if (e->order == GDR_ORDER_RANDOM) {
        int any = (int)(gdr_emu_random(e) % (unsigned)e->n_ready);
        other = &e->ready[(e->ready_first + any) % e->room];
        number = *other;
        *other = *first;
        *first = number;
    }
    number = *first;
    e->ready_first = (e->ready_first + 1) % e->room;
    e->n_ready--;
    return &e->thread[number];
}

static void leave(gdr_emu *e)
{
    gdr_fiber_switch(&e->current->fiber, &e->home);
}

void gdr_emu_sleep(gdr_emu *e, gdr_emu_wait wait, int64_t object,
                   unsigned argument, const void *pc)
{
    gdr_emu_thread *t = e->current;

    t->wait = wait;
    t->object = object;
    t->argument = argument;
    t->pc = pc;
    leave(e);
}

static void give_way(gdr_emu *e)
{
    gdr_emu_wake(e, e->current);
    leave(e);
}

void gdr_emu_pause(gdr_emu *e)
{
    if (e->pace == GDR_PACE_RANDOM && gdr_emu_random(e) % 8 == 0)
        gdr_emu_advance(e);
    if (e->order == GDR_ORDER_RANDOM && gdr_emu_random(e) % 4 == 0)
        give_way(e);
}

void gdr_emu_stop(gdr_emu *e)
{
    e->stopped = 1;
    if (e->current)
        leave(e); /* for good */
}

void gdr_emu_met(gdr_emu *e)
{
    e->current->steps = 0;
    e->steps = 0;
}

void gdr_emu_step(gdr_emu *e, const void *pc)
{
    gdr_emu_thread *t = e->current;

    t->pc = pc;
    if (++t->steps > most_steps || ++e->steps > most_of_all) {
        gdr_emu_found_stuck(e, "spin");
        gdr_emu_stop(e);
    }
    /* others must get on while one waits in a loop */
    if (t->steps % 1024 == 0 ||
        (e->order == GDR_ORDER_RANDOM && gdr_emu_random(e) % 64 == 0))
        give_way(e);
}

/* ---- a block ---- */

static void run_thread(void *arg)
{
    gdr_emu_thread *t = arg;
    gdr_emu *e = t->emu;
    const gdr_recurrent_params *p = e->params;
    void (*entry)(gdr_recurrent_params);

    memcpy(&entry, &e->image->entry, sizeof entry);
    entry(*p);
    gdr_emu_check_copies(e, t);
    t->wait = GDR_WAIT_DONE;
    e->live--;
    gdr_fiber_leave(&t->fiber, &e->home);
}

static void prepare_thread(gdr_emu *e, int i)
{
    gdr_emu_thread *t = &e->thread[i];
    char *stack = e->stacks + (size_t)i * e->stack_bytes;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    t->emu = e;
    t->index = i;
    t->wait = GDR_WAIT_NOTHING;
    t->pc = NULL;
    t->steps = 0;
    t->n_copies = t->n_groups = t->n_fences = 0;
    t->bulk_group = 0;
    free(t->fenced);
    free(t->seen);
    t->fenced = NULL;
    t->seen = t->pending = t->fenced_seen = NULL;
    gdr_fiber_prepare(&t->fiber, stack + page, e->stack_bytes - page,
                      (size_t)(i * 5 % 29) * 64, run_thread, t);
}

static void run_ready(gdr_emu *e)
{
    while (e->live && !e->stopped) {
        gdr_emu_thread *t = next_thread(e);
        if (!t && gdr_emu_advance(e))
            continue;
        if (!t) {
            gdr_emu_found_stuck(e, "deadlock");
            e->stopped = 1;
            return;
        }
        e->current = t;
        gdr_fiber_switch(&e->home, &t->fiber);
        e->current = NULL;
    }
}

static gdr_status run_block(gdr_emu *e, int64_t index)
{
    gdr_status st;

    e->block++;
    e->block_index = index;
    e->live = e->n_threads;
    e->steps = 0;
    e->ready_first = e->n_ready = 0;
    e->n_mbarriers = e->n_bulks = e->next_agent = 0;
    memset(e->warp, 0, sizeof e->warp);
    for (int i = 0; i < GDR_EMU_BARRIERS; i++)
        e->barrier[i].count = e->barrier[i].n_waiting =
            e->barrier[i].n_arrived = 0;
    gdr_emu_clear_shared(e);
    st = gdr_emu_start_clocks(e);
    for (int i = 0; i < e->n_threads; i++)
        prepare_thread(e, i);
    for (int i = 0; i < e->n_threads && st == GDR_OK; i++)
        gdr_emu_wake(
            e, &e->thread[e->order == GDR_ORDER_REVERSE ? e->n_threads - 1 - i
                                                        : i]);
    if (st == GDR_OK)
        run_ready(e);
    e->current = NULL;
    gdr_emu_end_copies(e);
    gdr_emu_end_clocks(e);
    return st;
}

/* ---- a grid ---- */

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Block i of the order: i, from the end, or scattered by a stride that has no
 * divisor in common with the number of blocks. */
static int64_t place(const gdr_emu *e, int64_t i, int64_t n, int64_t stride)
{
    if (e->order == GDR_ORDER_FORWARD)
        return i;
    if (e->order == GDR_ORDER_REVERSE)
        return n - 1 - i;
    return (int64_t)(((__int128)i * stride + n / 2) % n);
}

static gdr_status run_grid(gdr_emu *e)
{
    int64_t n = e->dims->grid[0];
    int64_t stride = n > 1 ? gdr_emu_random(e) % n : 1;
    gdr_status st = GDR_OK;

    while (common_divisor(stride, n) != 1)
        stride++;
    e->first_block = e->block + 1;
    for (int64_t i = 0; i < n && st == GDR_OK && !e->stopped; i++)
        st = run_block(e, place(e, i, n, stride));
    return st;
}

static void close_threads(gdr_emu *e)
{
    for (int i = 0; i < e->room; i++) {
        free(e->thread[i].copy);
        free(e->thread[i].fenced);
        free(e->thread[i].seen);
    }
    if (e->stacks) {
        gdr_fiber_wipe(e->stacks, (size_t)e->room * e->stack_bytes);
        munmap(e->stacks, (size_t)e->room * e->stack_bytes);
    }
    free(e->thread);
    free(e->ready);
    e->thread = NULL;
    e->ready = NULL;
    e->stacks = NULL;
    e->room = 0;
}

/* Stacks for n threads, each above a page that must not be touched. */
static gdr_status open_threads(gdr_emu *e, int n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (n <= e->room)
        return GDR_OK;
    close_threads(e);
    e->stack_bytes = stack_bytes + page;
    e->thread = calloc((size_t)n, sizeof *e->thread);
    e->ready = calloc((size_t)n, sizeof *e->ready);
    if (!e->thread || !e->ready)
        return GDR_ERR_NO_MEMORY;
    e->stacks = mmap(NULL, (size_t)n * e->stack_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (e->stacks == MAP_FAILED) {
        e->stacks = NULL;
        return GDR_ERR_NO_MEMORY;
    }
    e->room = n;
    for (int i = 0; i < n; i++)
        mprotect(e->stacks + (size_t)i * e->stack_bytes, page, PROT_NONE);
    return GDR_OK;
}

/* ---- a launch ---- */

/* What the driver refuses, and what the emulator does not have. */
static int launchable(gdr_emu *e, const gdr_launch_dims *d, size_t params_bytes)
{
    const char *why = NULL;

    if (params_bytes != sizeof(gdr_recurrent_params))
        why = "the parameters are not those of this version";
    else if (d->grid[1] != 1 || d->grid[2] != 1)
        why = "a grid has one dimension here: block_index is one number";
    else if (d->grid[0] < 1 || d->grid[0] > INT32_MAX)
        why = "a grid has 1 to 2^31 - 1 blocks";
    else if (d->block < 1 || d->block > 1024 || d->block % GDR_EMU_WARP)
        why = "a block has 32 to 1024 threads, a multiple of 32";
    else if (d->smem < 0 || d->smem > e->chip->smem_bytes)
        why = "more dynamic shared memory than a block can have";
    if (why)
        gdr_emu_found(e, "launch", NULL, NULL, NULL,
                      "%s: grid %lld x %lld x %lld, block %lld, smem %lld", why,
                      (long long)d->grid[0], (long long)d->grid[1],
                      (long long)d->grid[2], (long long)d->block,
                      (long long)d->smem);
    return !why;
}

/* All nine pairs of order and pace in nine launches, all of each in three. */
static void choose_schedule(gdr_emu *e)
{
    unsigned n = e->launch++;

    e->order = (gdr_emu_order)(n % 3);
    e->pace = (gdr_emu_pace)((n + n / 3) % 3);
    e->random = 0x9e3779b97f4a7c15u * (n + 1);
}

void gdr_emu_seek(gdr_emu *e, unsigned n)
{
    e->launch = n;
}

gdr_status gdr_emu_launch(gdr_emu *e, gdr_emu_image *image,
                          const gdr_launch_dims *dims, const void *params,
                          size_t params_bytes)
{
    gdr_status st;

    gdr_emu_forget(e);
    choose_schedule(e);
    if (!launchable(e, dims, params_bytes))
        return GDR_ERR_LAUNCH;
    st = open_threads(e, (int)dims->block);
    if (st != GDR_OK)
        return st;
    e->image = image;
    e->dims = dims;
    e->params = params;
    e->n_threads = (int)dims->block;
    e->stopped = 0;
    st = run_grid(e);
    gdr_emu_end_releases(e);
    if (st == GDR_OK && e->n_found)
        st = GDR_ERR_LAUNCH;
    return st;
}

void gdr_emu_close_schedule(gdr_emu *e)
{
    close_threads(e);
}

static long long read_index(gdr_emu *e, int what)
{
    switch (what) {
    case GDR_EMU_THREAD:
        return e->current->index;
    case GDR_EMU_THREADS:
        return e->n_threads;
    case GDR_EMU_BLOCK:
        return e->block_index;
    default:
        return e->dims->grid[0];
    }
}

void gdr_emu_calls_schedule(gdr_emu_calls *c)
{
    c->index = read_index;
}
