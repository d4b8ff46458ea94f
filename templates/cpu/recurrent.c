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
//@ local block = rows * lanes
//@ local packet = 8
//@ local padded = ceil_div(math.min(tile_v, V), block) * block
//@ if padded % W ~= 0 then padded = ceil_div(padded, W) * W end
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

/* The block at column c, near, in float32. */
INLINE float *tile_of(const struct packet *w, int c)
{
    return w->tile + (w->whole ? c * @(K) : 0);
}

//@ for _, from in ipairs { "mem", "tile" } do
/* S after a token, from s to where it is wanted. */
INLINE void advance_@(from)(const struct packet *w, int keep,
                            const @(from == "mem" and state or "f32") *s,
                            void *to, float *tile, const struct token *t,
                            int count, const float *d)
{
    (void)w;
//@     if contract == "final" then
    if (keep)
        update_@(from)_tile(s, tile, tile, t, count, d);
    else
        update_@(from)_mem(s, to, tile, t, count, d);
//@     else
//@         if contract == "indexed" then
    if (!to)
        update_@(from)_tile(s, tile, tile, t, count, d);
    else
//@         elseif snapshots_f32 then
    if (w->to_f32 && keep)
        update_@(from)_f32_kept(s, to, tile, t, count, d);
    else if (w->to_f32)
        update_@(from)_f32(s, to, tile, t, count, d);
    else
//@         end
    if (keep)
        update_@(from)_mem_kept(s, to, tile, t, count, d);
    else
        update_@(from)_mem(s, to, tile, t, count, d);
//@     end
}
//@ end

/* Token i of the packet for the block of `count` columns at column c. */
static void step(struct packet *w, int i, int c, int count)
{
    const struct token *t = &w->token[i];
    @(state) *from = w->from + (long long)c * @(column_stride);
    float *tile = tile_of(w, c);
    void *to = w->to[i] ? column_of(w, w->to[i], c) : NULL;
    int first = w->begin + i == 0;
    int keep = w->update || w->begin + i + 1 < w->tokens;
    float d[@(block)] __attribute__((aligned(64)));

    if (first)
        look_mem(from, t, count, &w->v[i][c], d, &w->o[i][c]);
    else
        look_tile(tile, t, count, &w->v[i][c], d, &w->o[i][c]);
    if (first)
        advance_mem(w, keep, from, to, tile, t, count, d);
    else
        advance_tile(w, keep, tile, to, tile, t, count, d);
}

static void run_blocks(struct packet *w)
{
    for (int c = 0; c < w->columns; c += @(block)) {
        int left = w->columns - c;
        int count = left < @(block) ? left : @(block);
        for (int i = 0; i < w->count; i++)
            step(w, i, c, count);
//@ if contract == "snapshots" then
        if (w->update && w->begin + w->count == w->tokens)
            save(tile_of(w, c), w->from + (long long)c * @(column_stride),
                 count);
//@ end
    }
}

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
    long long tiles = @(ceil_div(V, tile_v));
    for (long long unit = begin; unit < end && p->T > 0; unit++) {
        long long column = unit % tiles * @(tile_v), head = unit / tiles;
        long long left = @(V) - column;
        run_tile(p, head / p->Hv, head % p->Hv, column,
                 left < @(tile_v) ? (int)left : @(tile_v));
    }
}
