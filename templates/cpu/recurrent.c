/* The op `recurrent`. A unit is a tile of @(tile_v) value columns of one head of
 * one sequence. A block of a few columns goes through all tokens of a packet
 * while it is near, so S is read from memory once; o and both sums come from one
 * pass: o = decay q'S + d q'k. Units share nothing: any split of them over
 * threads gives the same bytes. */
#include <math.h>
#include <stddef.h>
//@ abi()

//@ include "cpu/prim.h"
//@ include "cpu/token.h"
//@ include "cpu/slots.h"
//@ local W = width
//@ local lanes = layout == "vk" and 1 or W
//@ local column_stride = layout == "vk" and K or 1
//@ local tile = math.min(tile_v, (V + lanes - 1) // lanes * lanes)
//@ local packet = 8
//@ local padded = (tile + W - 1) // W * W
//@ local snapshots_f32 = contract == "snapshots" and state ~= "f32"

/* What a tile needs for the tokens [begin, begin + count). */
struct packet {
    struct token token[@(packet)];
    float v[@(packet)][@(padded)], o[@(packet)][@(padded)];
    void *to[@(packet)];    /* the tile's states after each token, or NULL */
    @(state) *from;         /* the tile's state before the first token */
    float *tile;            /* float32 states, block after block */
    long long begin;
    int count, columns;
    int whole;     /* the tile has room for all blocks, not for one */
    int update;    /* snapshots: the state read is replaced at the end */
    int to_f32;    /* to: float32, not the state's dtype */
    long long tokens;
};

/* `to` some columns further on, in the dtype that it has. */
INLINE void *column_of(const struct packet *w, void *to, long long columns)
{
//@ if snapshots_f32 then
    if (w->to_f32)
        return (float *)to + columns * @(column_stride);
//@ end
    (void)w;
    return (@(state) *)to + columns * @(column_stride);
}

//@ if layout == "vk" then
//@ include "cpu/rows_vk.h"
//@ else
//@ include "cpu/columns_kv.h"
//@ end

/* What token i adds to each column, d = beta (v - k'S), and its o. */
INLINE void new_values(struct packet *w, int i, int c, const float *sum,
                       float *d, int columns)
{
    const struct token *t = &w->token[i];
    for (int j = 0; j < columns; j++) {
        d[j] = (w->v[i][c + j] - t->decay * sum[j]) * t->beta;
        w->o[i][c + j] = t->decay * sum[columns + j] + d[j] * t->qk;
    }
}

//@ local function advance(n, from)
/* S after a token, from s to where it is wanted. */
INLINE void advance_@(n)_@(from)(const struct packet *w, int keep,
                                 const @(from == "mem" and state or "f32") *s,
                                 void *to, float *tile, const struct token *t,
                                 const float *d)
{
    (void)w;
//@     if contract == "final" then
    if (keep)
        update_@(n)_@(from)_tile(s, tile, tile, t, d);
    else
        update_@(n)_@(from)_mem(s, to, tile, t, d);
//@     else
//@         if contract == "indexed" then
    if (!to)
        update_@(n)_@(from)_tile(s, tile, tile, t, d);
    else
//@         elseif snapshots_f32 then
    if (w->to_f32 && keep)
        update_@(n)_@(from)_f32_kept(s, to, tile, t, d);
    else if (w->to_f32)
        update_@(n)_@(from)_f32(s, to, tile, t, d);
    else
//@         end
    if (keep)
        update_@(n)_@(from)_mem_kept(s, to, tile, t, d);
    else
        update_@(n)_@(from)_mem(s, to, tile, t, d);
//@     end
}
//@ end

//@ local function step(n)
//@     local columns = n * lanes
//@     local sums = (2 * columns + W - 1) // W * W
//@     advance(n, "mem")
//@     advance(n, "tile")
/* Token i of the packet for the block of @(columns) columns that starts at c. */
static void step_@(n)(struct packet *w, int i, int c)
{
    const struct token *t = &w->token[i];
    const @(state) *from = w->from + (long long)c * @(column_stride);
    float *tile = w->tile + (w->whole ? c * @(K) : 0);
    float sum[@(sums)] __attribute__((aligned(64)));
    float d[@(columns)] __attribute__((aligned(64)));
    int first = w->begin + i == 0;
    int keep = w->update || w->begin + i + 1 < w->tokens;
    void *to = w->to[i] ? column_of(w, w->to[i], c) : NULL;

    if (first)
        sums_@(n)_mem(from, t, sum);
    else
        sums_@(n)_tile(tile, t, sum);
    new_values(w, i, c, sum, d, @(columns));
    if (first)
        advance_@(n)_mem(w, keep, from, to, tile, t, d);
    else
        advance_@(n)_tile(w, keep, tile, to, tile, t, d);
}

static int block_@(n)(struct packet *w, int c)
{
    for (int i = 0; i < w->count; i++)
        step_@(n)(w, i, c);
//@     if contract == "snapshots" then
    if (w->update && w->begin + w->count == w->tokens)
        save_@(n)(w->tile + (w->whole ? c * @(K) : 0),
                  w->from + c * @(column_stride));
//@     end
    return c + @(columns);
}
//@ end

//@ if rows > 1 then step(rows) end
//@ step(1)

//@ if layout == "kv" and V % W ~= 0 then
static void write_tail(const struct packet *w, const float *tile, void *to)
{
//@     if snapshots_f32 then
    if (w->to_f32)
        write_tail_f32(tile, to);
    else
//@     end
    write_tail_@(state)(tile, to);
    (void)w;
}

static void tail_step(struct packet *w, int i, int c, float *tile)
{
    const struct token *t = &w->token[i];
    float sum[@(2 * W)] __attribute__((aligned(64)));
    float d[@(W)] __attribute__((aligned(64)));
    sums_1_tile(tile, t, sum);
    new_values(w, i, c, sum, d, @(W));
    update_1_tile_tile(tile, tile, tile, t, d);
    if (w->to[i])
        write_tail(w, tile, column_of(w, w->to[i], c));
}

static void block_tail(struct packet *w, int c)
{
    float *tile = w->tile + (w->whole ? c * @(K) : 0);
    if (w->begin == 0)
        read_tail(w->from + c, tile);
    for (int i = 0; i < w->count; i++)
        tail_step(w, i, c, tile);
//@     if contract == "snapshots" then
    if (w->update && w->begin + w->count == w->tokens)
        write_tail_@(state)(tile, w->from + c);
//@     end
}
//@ end

/* As float32; the rest of the last vector is zeros. */
static void read_values(const @(io) *from, float *to, int count)
{
    int i = 0;
    for (; i + @(W) <= count; i += @(W))
        store_f32(to + i, load_@(io)(from + i));
    for (; i < count; i++)
        to[i] = get_@(io)(from + i);
    for (; i % @(W); i++)
        to[i] = 0;
}

static void write_values(const float *from, @(io) *to, int count)
{
    int i = 0;
    for (; i + @(W) <= count; i += @(W))
        store_@(io)(to + i, load_f32(from + i));
    for (; i < count; i++)
        put_@(io)(to + i, from[i]);
}

static @(io) *output(const gdr_recurrent_params *p, long long b, long long t,
                     long long hv)
{
    return (@(io) *)p->o + b * p->o_b + t * p->o_t + hv * p->o_h;
}

static void write_zeros(const gdr_recurrent_params *p, long long b,
                        long long hv, long long column, int columns)
{
    for (long long t = 0; t < p->T; t++)
        for (int i = 0; i < columns; i++)
            output(p, b, t, hv)[column + i] = 0;
}

static void read_packet(struct packet *w, const gdr_recurrent_params *p,
                        const struct slots *slots, long long b, long long hv,
                        long long column)
{
    long long left = w->tokens - w->begin;
    w->count = left < @(packet) ? (int)left : @(packet);
    for (int i = 0; i < w->count; i++) {
        long long t = w->begin + i;
        const @(io) *v = p->v;
        read_token(p, b, t, hv, &w->token[i]);
        v += b * p->v_b + t * p->v_t + hv * p->v_h;
        read_values(v + column, w->v[i], w->columns);
        w->to[i] = state_after(p, slots, b, hv, t);
        if (w->to[i])
            w->to[i] = column_of(w, w->to[i], column);
    }
}

static void run_blocks(struct packet *w)
{
    int c = 0;
//@ if rows > 1 then
    while (c + @(rows * lanes) <= w->columns)
        c = block_@(rows)(w, c);
//@ end
    while (c + @(lanes) <= w->columns)
        c = block_1(w, c);
//@ if layout == "kv" and V % W ~= 0 then
    if (c < w->columns)
        block_tail(w, c);
//@ end
}

static void run_tile(const gdr_recurrent_params *p, long long b, long long hv,
                     long long column, int columns)
{
    struct slots slots = find_slots(p, b, hv);
    struct packet w;
    float tile[@(padded * K)] __attribute__((aligned(64)));

    if (!slots.valid) {
        write_zeros(p, b, hv, column, columns);
        return;
    }
    w.columns = columns;
    w.tokens = p->T;
    w.tile = tile;
    w.whole = p->T > @(packet);
    w.to_f32 = (p->flags & SNAPSHOT_F32) != 0;
    w.update = @(contract == "snapshots" and "(p->flags & UPDATE_STATE) != 0" or "0");
    w.from = (@(state) *)p->state + slots.read + column * @(column_stride);
    for (w.begin = 0; w.begin < w.tokens; w.begin += @(packet)) {
        read_packet(&w, p, &slots, b, hv, column);
        run_blocks(&w);
        for (int i = 0; i < w.count; i++)
            write_values(w.o[i], output(p, b, w.begin + i, hv) + column,
                         columns);
    }
}

void gdr_kernel(const gdr_recurrent_params *p, long long begin, long long end)
{
    long long tiles = @((V + tile_v - 1) // tile_v);
    for (long long unit = begin; unit < end && p->T > 0; unit++) {
        long long column = unit % tiles * @(tile_v), head = unit / tiles;
        long long left = @(V) - column;
        run_tile(p, head / p->Hv, head % p->Hv, column,
                 left < @(tile_v) ? (int)left : @(tile_v));
    }
}
