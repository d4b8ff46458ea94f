/*
 * space.c - a space in one block of memory: this struct, the two arrays, the
 * bytes that all texts point into.
 */
#include "space.h"

#include <string.h>

struct space_block {
    gdr_space space;
    gdr_alloc_fn alloc;
    void *ctx;
    size_t bytes;
};

static int64_t take_integer(const char **at)
{
    int64_t value;
    memcpy(&value, *at, sizeof(value));
    *at += sizeof(value);
    return value;
}

static const char *take_text(const char **at)
{
    const char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

static void take_candidate(const char **at, gdr_candidate *c)
{
    c->kernel = take_text(at);
    c->config = take_text(at);
    c->reduction = take_text(at);
    c->default_max_work = take_integer(at);
    c->n_steps = (int)take_integer(at);
    for (int i = 0; i < c->n_steps; i++) {
        c->step[i].entry = take_text(at);
        c->step[i].grid_x = take_text(at);
        c->step[i].grid_y = take_text(at);
        c->step[i].grid_z = take_text(at);
        c->step[i].block = take_text(at);
        c->step[i].smem = take_text(at);
        c->step[i].workspace = take_text(at);
        c->step[i].pdl = take_text(at);
        c->step[i].in_flight = take_text(at);
    }
}

gdr_status gdr_space_unpack(const char *data, size_t n, gdr_alloc_fn alloc,
                            void *ctx, gdr_space **out)
{
    const char *at = data;
    int64_t n_candidates = take_integer(&at), n_pruned = take_integer(&at);
    size_t candidates = (size_t)n_candidates * sizeof(gdr_candidate);
    size_t pruned = (size_t)n_pruned * sizeof(gdr_pruned);
    size_t bytes = sizeof(struct space_block) + candidates + pruned + n;
    struct space_block *block = alloc(ctx, NULL, 0, bytes);
    if (!block)
        return GDR_ERR_NO_MEMORY;
    *block = (struct space_block){.alloc = alloc, .ctx = ctx, .bytes = bytes};
    gdr_candidate *c = (gdr_candidate *)(block + 1);
    gdr_pruned *p = (gdr_pruned *)(c + n_candidates);
    char *text = (char *)(p + n_pruned);
    memcpy(text, data, n);
    at = text + 2 * sizeof(int64_t);
    block->space = (gdr_space){n_candidates, n_pruned, c, p, take_integer(&at)};
    for (int64_t i = 0; i < n_candidates; i++)
        take_candidate(&at, &c[i]);
    for (int64_t i = 0; i < n_pruned; i++) {
        p[i].kernel = take_text(&at);
        p[i].reason = take_text(&at);
        p[i].count = take_integer(&at);
    }
    *out = &block->space;
    return GDR_OK;
}

void gdr_space_close(gdr_space *space)
{
    struct space_block *block = (struct space_block *)space;
    if (block)
        block->alloc(block->ctx, block, block->bytes, 0);
}

int64_t gdr_space_default(const gdr_space *space, int64_t work)
{
    int64_t best = -1, largest = -1;
    for (int64_t i = 0; i < space->n_candidates; i++) {
        int64_t max = space->candidate[i].default_max_work;
        if (max >= work && max > 0 &&
            (best < 0 || max < space->candidate[best].default_max_work))
            best = i;
        if (largest < 0 || max > space->candidate[largest].default_max_work)
            largest = i;
    }
    return best >= 0 ? best : largest;
}
