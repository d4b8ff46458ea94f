/*
 * misses.c - a small open hash table that only grows. A slot is claimed once,
 * by whoever sets its state first; its key never changes after that. Counts are
 * loads and stores, not increments: one may be lost where threads race, and a
 * find stays as fast as it was.
 */
#include "misses.h"
#include "hot.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 64, PROBES = 4, LINE = GDR_PROBLEM_TEXT + 24 };
enum { FREE, CLAIMED, READY };

/* Each in one cache line: most calls that count touch the same few. */
typedef struct slot {
    _Alignas(GDR_LINE) atomic_int state;
    gdr_extents x;
    _Atomic uint64_t count;
} slot;

struct gdr_misses {
    slot slot[SLOTS];
    _Atomic uint64_t others; /* that found no slot */
};

gdr_misses *gdr_misses_open(void)
{
    return gdr_line_alloc(1, sizeof(gdr_misses));
}

void gdr_misses_close(gdr_misses *m)
{
    free(m);
}

static void add_one(_Atomic uint64_t *count)
{
    uint64_t now = atomic_load_explicit(count, memory_order_relaxed);

    atomic_store_explicit(count, now + 1, memory_order_relaxed);
}

static uint64_t hash_of(const gdr_extents *x)
{
    /* Odd constants from splitmix64 (Steele, Lea, Flood 2014). */
    uint64_t h = (uint64_t)x->B * UINT64_C(0xbf58476d1ce4e5b9);

    h = (h ^ h >> 29 ^ (uint64_t)x->T) * UINT64_C(0x94d049bb133111eb);
    return (h ^ h >> 32 ^ (uint64_t)x->Hv) * UINT64_C(0x94d049bb133111eb) >> 32;
}

static int same(const gdr_extents *a, const gdr_extents *b)
{
    return a->B == b->B && a->T == b->T && a->Hk == b->Hk && a->Hv == b->Hv;
}

/* 1: the slot is x's, perhaps since now. */
static int take(slot *s, const gdr_extents *x)
{
    int state = atomic_load_explicit(&s->state, memory_order_acquire);

    if (state == FREE &&
        atomic_compare_exchange_strong(&s->state, &state, CLAIMED)) {
        s->x = *x;
        atomic_store_explicit(&s->state, READY, memory_order_release);
        return 1;
    }
    return state == READY && same(&s->x, x);
}

void gdr_misses_count(gdr_misses *m, const gdr_extents *x)
{
    uint64_t at = hash_of(x);

    if (x->B < 1 || x->T < 1)
        return;
    for (int i = 0; i < PROBES; i++)
        if (take(&m->slot[(at + (uint64_t)i) % SLOTS], x)) {
            add_one(&m->slot[(at + (uint64_t)i) % SLOTS].count);
            return;
        }
    add_one(&m->others);
}

uint64_t gdr_misses_total(const gdr_misses *m)
{
    uint64_t sum = atomic_load_explicit(&m->others, memory_order_relaxed);

    for (int i = 0; i < SLOTS; i++)
        sum += atomic_load_explicit(&m->slot[i].count, memory_order_relaxed);
    return sum;
}

/* ---- to a file ---- */

/* Lines of all slots that counted, and what they counted. */
static size_t make_text(const gdr_misses *m, const gdr_static *s, char *text,
                        size_t n, uint64_t count[SLOTS])
{
    size_t at = 0;

    for (int i = 0; i < SLOTS; i++) {
        const slot *from = &m->slot[i];
        gdr_problem p = {.s = *s};
        char words[GDR_PROBLEM_TEXT];

        count[i] = 0;
        if (atomic_load_explicit(&from->state, memory_order_acquire) != READY)
            continue;
        p.x = from->x;
        count[i] = atomic_load_explicit(&from->count, memory_order_relaxed);
        if (!count[i] || gdr_problem_check(&p, NULL, 0))
            continue;
        gdr_problem_format(&p, words, sizeof words);
        at += (size_t)snprintf(text + at, n - at, "%" PRIu64 " %s\n", count[i],
                               words);
    }
    return at;
}

static gdr_status append(const char *path, const char *text, size_t bytes,
                         char *msg, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    ssize_t done = fd < 0 ? -1 : write(fd, text, bytes);
    int error = errno;

    if (fd >= 0 && close(fd) && done == (ssize_t)bytes) {
        error = errno;
        done = -1;
    }
    if (done == (ssize_t)bytes)
        return GDR_OK;
    return gdr_fail(done < 0 && error != ENOSPC ? GDR_ERR_IO : GDR_ERR_FULL,
                    msg, n, "%s: %s", path,
                    done < 0 ? strerror(error) : "the disk is full");
}

gdr_status gdr_misses_write(gdr_misses *m, const gdr_static *s,
                            const char *path, char *msg, size_t n)
{
    size_t room = (size_t)SLOTS * LINE;
    char *text = malloc(room);
    uint64_t count[SLOTS];
    gdr_status status = GDR_OK;
    size_t bytes;

    if (!text)
        return gdr_fail(GDR_ERR_NO_MEMORY, msg, n, "out of memory");
    bytes = make_text(m, s, text, room, count);
    if (bytes > 0)
        status = append(path, text, bytes, msg, n);
    free(text);
    for (int i = 0; i < SLOTS && status == GDR_OK; i++)
        atomic_fetch_sub_explicit(&m->slot[i].count, count[i],
                                  memory_order_relaxed);
    if (status == GDR_OK)
        atomic_store_explicit(&m->others, 0, memory_order_relaxed);
    return status;
}
