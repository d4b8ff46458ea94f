/* The op `recurrent` on tensor cores, S and q, k, v in bf16, [V][K]. A warp holds
 * 16 rows of S as the fragments A of mma.m16n8k16; since a dot does not care for
 * the order of K, a lane's 16-byte vectors of a row are such fragments as they
 * are loaded. The columns of B are k and q of up to 4 tokens, raw: one pass gives
 * S'k and S'q of all of them, to the lane that works at the token.
 *
 * With d of all tokens by forward substitution (packet.cuh has the formulas),
 * S moves on by mma.m16n8k8: d as the sum of two bf16 numbers, k twice. So 2^-17
 * of d is what S does not see, far below what bf16 holds of S. Between packets S
 * is the sum of two bf16 numbers as well, in shared memory: its registers would
 * be in the way of calls of one packet. Everything else is float32. */
//@ abi()
//@ include "cuda/prim.cuh"
//@ include "cuda/token.cuh"
//@ include "cuda/slots.cuh"
//@ include "cuda/vector.cuh"
//@ local tall = 16 * warps
//@ local vectors = K // 32 -- of a row, per lane
//@ -- Bytes of a row in shared memory, 16 or 80 more than a multiple of 128:
//@ -- then no two lanes that read at once meet in a bank.
//@ local stride = K + 8
//@ -- Warps of a multiprocessor for which registers suffice without spilling.
//@ local resident = K > 128 and 12 or 16

enum { PACKET = 4, PACKET_ROW = @(K), PACKET_THREADS = @(32 * warps) };
DEVICE int packet_thread(void) { return thread_index(); }

//@ include "cuda/fetch.cuh"

enum { VECTORS = @(vectors), STRIDE = @(stride) };

/* What this thread works at: rows `row` and row + 8, and a token of a packet. */
struct work {
    int b, hv, h;
    int row;
    int lane;   /* of the 4 that share a row; its token */
    int group;  /* which 4 of the warp's lanes; its column of B */
    i64 at;     /* first element of its row in a head's state */
};

DEVICE work find_work(const gdr_recurrent_params &p)
{
    u32 block = (u32)block_index(), head = block / @(ceil_div(V, tall));
    work w;
    w.b = (int)(head / (u32)p.Hv);
    w.hv = (int)(head % (u32)p.Hv);
    w.h = (int)key_head(p, w.hv);
    w.lane = thread_index() % 4;
    w.group = thread_index() % 32 / 4;
    w.row = (int)(block % @(ceil_div(V, tall))) * @(tall) +
            thread_index() / 32 * 16 + w.group;
    w.at = (i64)w.row * @(K) + w.lane * VECTOR;
    return w;
}

DEVICE bool has_row(const work &w, int r) { return w.row + 8 * r < @(V); }

/* A vector of both rows: words of two bf16 numbers, the first in the low half. */
typedef u32 piece[2][4];
typedef piece fragment[VECTORS];

DEVICE void unpack_words(v4 x, u32 *w)
{
    w[0] = x.x, w[1] = x.y, w[2] = x.z, w[3] = x.w;
}
DEVICE v4 pack_words(const u32 *w)
{
    v4 x = {w[0], w[1], w[2], w[3]};
    return x;
}

DEVICE void load_rows(const bf16 *from, const work &w, fragment &s)
{
    UNROLL
    for (int r = 0; r < 2; r++) {
        UNROLL
        for (int j = 0; j < VECTORS; j++) {
            v4 x = {0, 0, 0, 0};
            if (has_row(w, r))
                x = load_state(from + w.at + r * @(8 * K) + j * 32);
            unpack_words(x, s[j][r]);
        }
    }
}

DEVICE void write_zeros(const gdr_recurrent_params &p, const work &w)
{
    for (i64 t = w.lane; t < p.T; t += 4)
        for (int r = 0; r < 2; r++)
            if (has_row(w, r))
                put_bf16(o_row(p, w.b, t, w.hv) + w.row + 8 * r, 0);
}

/* ---- a packet ---- */

struct fetched {
    shares tokens;
    bf16 v[2]; /* of this lane's token */
};

DEVICE void fetch(const gdr_recurrent_params &p, const work &w, i64 begin,
                  fetched &x)
{
    i64 t = begin + w.lane;
    fetch_packet(p, w.b, w.hv, w.h, begin, x.tokens);
    UNROLL
    for (int r = 0; r < 2; r++) {
        x.v[r] = 0;
        if (t < p.T && has_row(w, r))
            x.v[r] = v_row(p, w.b, t, w.hv)[w.row + 8 * r];
    }
}

/* In shared memory. */
struct packet {
    bf16 *k, *q;  /* [PACKET][STRIDE], raw */
    v4 *factors;  /* [PACKET]: decay, beta, what q and k are multiplied with */
    v4 *parts;    /* [2][VECTORS][2][@(32 * warps)]: S as a sum, both rows */
};

DEVICE void load_piece(const packet &x, int part, int j, piece &s)
{
    const v4 *from = x.parts + (part * VECTORS + j) * @(64 * warps);
    unpack_words(load_v4(from + thread_index()), s[0]);
    unpack_words(load_v4(from + @(32 * warps) + thread_index()), s[1]);
}
DEVICE void store_piece(const packet &x, int part, int j, const piece &s)
{
    v4 *to = x.parts + (part * VECTORS + j) * @(64 * warps);
    store_v4(to + thread_index(), pack_words(s[0]));
    store_v4(to + @(32 * warps) + thread_index(), pack_words(s[1]));
}

DEVICE packet packet_shared(void)
{
    SHARED(bf16, rows, 2 * PACKET * STRIDE);
    SHARED(v4, factors, PACKET);
    SHARED(v4, parts, 4 * VECTORS * @(32 * warps));
    packet x = {rows, rows + PACKET * STRIDE, factors, parts};
    return x;
}

/* A lane's part of a row to shared memory; the sum of its squares. */
DEVICE float copy_share(const bf16 *row, bool aligned, const four (&from)[QUADS],
                        int lane, bf16 *to)
{
    float x[QUADS][4];
    float squares = read_share(row, aligned, from, lane, x);
    UNROLL
    for (int i = 0; i < QUADS; i++) {
        v2 w = {pair_bf16(x[i][0], x[i][1]), pair_bf16(x[i][2], x[i][3])};
        if (has_quad(lane, i))
            store_v2(to + 4 * (lane + 32 * i), w);
    }
//@ if l2norm then
    squares = sum_lanes<32>(squares);
//@ end
    return squares;
}

/* Tokens that are not there are zeros. */
DEVICE void prepare(const gdr_recurrent_params &p, const work &w, i64 begin,
                    const shares &from, const packet &x)
{
    int warp = thread_index() / 32, lane = thread_index() % 32;
    bool aligned = rows_aligned(p);
    UNROLL
    for (int n = 0; n < SHARES; n++) {
        int at = warp + n * PACKET_WARPS;
        i64 t = begin + at;
        if (at >= PACKET)
            break;
        v4 factors = {bits_of(1), 0, 0, 0}, zeros = {0, 0, 0, 0};
        bf16 *k = x.k + at * STRIDE, *q = x.q + at * STRIDE;
        if (t < p.T) {
            float kk = copy_share(k_row(p, w.b, t, w.h), aligned, from[n].k,
                                  lane, k);
            float qq = copy_share(q_row(p, w.b, t, w.h), aligned, from[n].q,
                                  lane, q);
            gates g = resolve_gates(p, from[n].g);
            factors.x = bits_of(g.decay), factors.y = bits_of(g.beta);
            factors.z = bits_of(q_factor(p, qq));
            factors.w = bits_of(k_factor(kk));
        } else {
            for (int i = lane; i < @(K // 8); i += 32) {
                store_v4(k + 8 * i, zeros);
                store_v4(q + 8 * i, zeros);
            }
        }
        if (lane == 0)
            store_v4(x.factors + at, factors);
    }
}

/* Vector j of this lane's column of B. */
DEVICE void load_column(const packet &x, const work &w, int j, u32 (&b)[4])
{
    const bf16 *column = (w.group % 2 ? x.q : x.k) + w.group / 2 * STRIDE;
    unpack_words(load_v4(column + (w.lane + 4 * j) * VECTOR), b);
}

/* c += S B of one vector. */
DEVICE void look(const piece &s, const u32 (&b)[4], float (&c)[4])
{
    UNROLL
    for (int h = 0; h < 4; h += 2) {
        u32 a[4] = {s[0][h], s[1][h], s[0][h + 1], s[1][h + 1]};
        u32 part[2] = {b[h], b[h + 1]};
        mma_16x8x16(c, a, part);
    }
}
/* c += B'B: of its rows the first 8 are the columns of B. */
DEVICE void multiply(const u32 (&b)[4], float (&c)[4])
{
    piece rows = {{b[0], b[1], b[2], b[3]}, {0, 0, 0, 0}};
    look(rows, b, c);
}

/* What the decays of a packet amount to for this lane's token. */
struct decays {
    float since; /* from before the packet */
    float until; /* to its end */
    float all;
    float from[PACKET]; /* from token s on, s <= this one */
};

DEVICE decays find_decays(const float (&decay)[PACKET], int t)
{
    decays w = {1, 1, 1, {}};
    float from = 1;
    UNROLL
    for (int s = PACKET - 1; s >= 0; s--) {
        w.from[s] = from;
        from = s <= t ? times(from, decay[s]) : from;
        w.until = s > t ? times(w.until, decay[s]) : w.until;
    }
    w.since = from;
    UNROLL
    for (int s = 0; s < PACKET; s++)
        w.all = times(w.all, decay[s]);
    return w;
}

/* From S'k and S'q of this lane's token (c: of both rows) to d and o. */
DEVICE void substitute(const packet &x, const work &w, const float (&v)[2],
                       const float (&c)[4], float product, float (&d)[2],
                       float (&o)[2], decays &w_decay, float &by_k)
{
    float decay[PACKET], k_by[PACKET];
    v4 own = load_v4(x.factors + w.lane);
    float beta = float_of(own.y), by_q = float_of(own.z);
    by_k = float_of(own.w);
    UNROLL
    for (int s = 0; s < PACKET; s++) {
        v4 f = load_v4(x.factors + s);
        decay[s] = float_of(f.x), k_by[s] = float_of(f.w);
    }
    w_decay = find_decays(decay, w.lane);
    UNROLL
    for (int r = 0; r < 2; r++) {
        d[r] = fused(-w_decay.since, times(by_k, c[2 * r]), v[r]);
        o[r] = times(w_decay.since, times(by_q, c[2 * r + 1]));
    }
    UNROLL
    for (int s = 0; s < PACKET; s++) {
        float kk = shuffle_from(product, 8 * w.lane + s);
        float qk = shuffle_from(product, 8 * w.lane + 4 + s);
        float from = times(w_decay.from[s], k_by[s]);
        kk = s < w.lane ? times(times(from, by_k), kk) : 0;
        qk = s <= w.lane ? times(times(from, by_q), qk) : 0;
        UNROLL
        for (int r = 0; r < 2; r++) {
            float ds = shuffle_from(times(beta, d[r]), 4 * w.group + s);
            d[r] = fused(-kk, ds, d[r]);
            o[r] = fused(qk, ds, o[r]);
        }
    }
    d[0] = times(beta, d[0]), d[1] = times(beta, d[1]);
}

/* x as the sum of two bf16 numbers, the larger in the low half. */
DEVICE u32 split(float x)
{
    float high = round_bf16(x);
    return pair_bf16(high, plus(x, -high));
}

/* S = decay S + d k' of the packet, for vector j. */
template <bool many>
DEVICE void advance(const packet &x, const work &w, int j, float decay,
                    const u32 (&d)[2], piece &s, piece &rest)
{
    u32 k[4];
    unpack_words(load_v4(x.k + w.lane * STRIDE +
                         (w.group / 2 + 4 * j) * VECTOR), k);
    UNROLL
    for (int e = 0; e < 4; e++) {
        u32 one = w.group % 2 ? k[e] >> 16 : k[e] & 0xffff;
        u32 twice[1] = {one | one << 16};
        float c[4];
        UNROLL
        for (int r = 0; r < 2; r++) {
            float low = low_bf16(s[r][e]), high = high_bf16(s[r][e]);
            if (many) {
                low = plus(low, low_bf16(rest[r][e]));
                high = plus(high, high_bf16(rest[r][e]));
            }
            c[2 * r] = times(decay, low), c[2 * r + 1] = times(decay, high);
        }
        mma_16x8x8(c, d, twice);
        UNROLL
        for (int r = 0; r < 2; r++) {
            s[r][e] = pair_bf16(c[2 * r], c[2 * r + 1]);
            if (many)
                rest[r][e] = pair_bf16(plus(c[2 * r], -low_bf16(s[r][e])),
                                       plus(c[2 * r + 1], -high_bf16(s[r][e])));
        }
    }
}

DEVICE void store_rows(const place &to, const work &w, const fragment &s)
{
    UNROLL
    for (int r = 0; r < 2; r++) {
        UNROLL
        for (int j = 0; j < VECTORS; j++) {
            if (has_row(w, r))
                store_state((bf16 *)to.at + w.at + r * @(8 * K) + j * 32,
                            pack_words(s[j][r]));
        }
    }
}

/* What an update takes: from the looks at S and v of this lane's token. Writes
 * o of it. */
struct update {
    float decay;
    u32 d[2]; /* of both rows, each the sum of two bf16 numbers */
};

DEVICE update find_update(const gdr_recurrent_params &p, const work &w,
                          i64 begin, const fetched &from, const packet &x,
                          const float (&c)[4], float product)
{
    float v[2] = {from_bf16(from.v[0]), from_bf16(from.v[1])};
    float d[2], o[2], by_k;
    decays decay;
    substitute(x, w, v, c, product, d, o, decay, by_k);
    UNROLL
    for (int r = 0; r < 2; r++)
        if (begin + w.lane < p.T && has_row(w, r))
            put_bf16(o_row(p, w.b, begin + w.lane, w.hv) + w.row + 8 * r, o[r]);
    float by = times(decay.until, by_k);
    update u = {decay.all, {split(times(by, d[0])), split(times(by, d[1]))}};
    return u;
}

/* All tokens, of which the first are fetched, in one packet. */
DEVICE void run_packet(const gdr_recurrent_params &p, const work &w,
                       const fetched &from, const packet &x, fragment &s)
{
    float c[4] = {}, products[4] = {};
    prepare(p, w, 0, from.tokens, x);
    block_sync();
    UNROLL
    for (int j = 0; j < VECTORS; j++) {
        u32 b[4];
        load_column(x, w, j, b);
        look(s[j], b, c);
        multiply(b, products);
    }
    update u = find_update(p, w, 0, from, x, c, products[0]);
    UNROLL
    for (int j = 0; j < VECTORS; j++)
        advance<false>(x, w, j, u.decay, u.d, s[j], s[j]);
}

/* Tokens from `begin` on, S in shared memory. */
DEVICE void run_part(const gdr_recurrent_params &p, const work &w, i64 begin,
                     const fetched &from, const packet &x)
{
    float c[4] = {}, products[4] = {};
    piece s, rest;
    prepare(p, w, begin, from.tokens, x);
    block_sync();
#pragma unroll 1
    for (int j = 0; j < VECTORS; j++) {
        u32 b[4];
        load_column(x, w, j, b);
        load_piece(x, 0, j, s);
        load_piece(x, 1, j, rest);
        look(s, b, c);
        look(rest, b, c);
        multiply(b, products);
    }
    update u = find_update(p, w, begin, from, x, c, products[0]);
#pragma unroll 1
    for (int j = 0; j < VECTORS; j++) {
        load_piece(x, 0, j, s);
        load_piece(x, 1, j, rest);
        advance<true>(x, w, j, u.decay, u.d, s, rest);
        store_piece(x, 0, j, s);
        store_piece(x, 1, j, rest);
    }
}

DEVICE void run_parts(const gdr_recurrent_params &p, const work &w,
                      fetched &from, const packet &x, fragment &s)
{
    piece zeros = {};
    UNROLL
    for (int j = 0; j < VECTORS; j++) {
        store_piece(x, 0, j, s[j]);
        store_piece(x, 1, j, zeros);
    }
    for (i64 begin = 0;;) {
        work here = w;
        here.b = opaque(w.b), here.hv = opaque(w.hv), here.h = opaque(w.h);
        run_part(p, here, begin, from, x);
        begin += PACKET;
        if (begin >= p.T)
            break;
        fetch(p, here, begin, from);
        block_sync();
    }
    UNROLL
    for (int j = 0; j < VECTORS; j++)
        load_piece(x, 0, j, s[j]);
}

KERNEL LAUNCH_BOUNDS(@(32 * warps), @(resident // warps))
gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
//@ if pdl == 1 then
    grid_wait();
//@ end
    packet x = packet_shared();
    work w = find_work(p);
    fetched ahead; /* of what does not wait for the slot */
    fetch(p, w, 0, ahead);
    slots at = find_slots(p, w.b, w.hv);
    if (!at.valid) {
        write_zeros(p, w);
        return;
    }
    fragment s;
    load_rows((const bf16 *)p.state + at.read, w, s);
//@ if pdl == 1 then
    grid_release();
//@ end
    if (p.T > PACKET)
        run_parts(p, w, ahead, x, s);
    else
        run_packet(p, w, ahead, x, s);
    store_rows(state_after(p, at, w.b, w.hv, p.T - 1), w, s);
}
