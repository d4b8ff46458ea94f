/* The op `recurrent` with S in registers, [V][K]. A block takes @(tile_v) rows of
 * one head; @(lanes) lanes hold a row between them, each lane every @(lanes)th of
 * its 16-byte vectors. All loads of S are on their way before any of it is
 * used, and S is read once: both dots of a token come from one pass,
 * o = decay q'S + d q'k. One token at a time threads of a block share nothing;
 * with rank T they share the packet of tokens. */
//@ abi()
//@ include "cuda/prim.cuh"
//@ include "cuda/token.cuh"
//@ include "cuda/slots.cuh"
//@ include "cuda/vector.cuh"
//@ local L, N = lanes, 16 // bytes(state)
//@ local rows = tile_v * L // (32 * warps) -- of a thread
//@ local vectors = ceil_div(K // N, L)     -- of a row, per lane
//@ local ragged_k, ragged_v = K // N % L ~= 0, V % tile_v ~= 0
//@ local own = math.max(1, rows // L)      -- rows whose sums a lane gets
//@ local chains = vectors * N > 16 and 4 or 2
//@ -- Blocks for which a thread's registers suffice without spilling, where more
//@ -- than the compiler would allow by itself were measured to be faster (H100).
//@ local resident = 1
//@ if rows * vectors * N == 64 then
//@     local lean = state ~= "f32" and rank == 0 and L == 8
//@     resident = K == 128 and V == 128 and (lean and 4 or 3) or 1
//@ end
//@ -- Between tokens S is more than the state's dtype holds.
//@ local wider = state ~= "f32" and not round_between_tokens

enum {
    LANES = @(L),
    ROWS = @(rows),
    OWN = @(own),
    VECTORS = @(vectors),
    SLICE = VECTORS * VECTOR /* elements of a row in a lane */
};

/* What this thread works at. */
struct work {
    int b, hv, h;
    i64 at;    /* its first element in a head's state */
    int row;   /* its first row */
    int lane;  /* in its group */
    int group; /* the group's first lane in the warp */
};

DEVICE work find_work(const gdr_recurrent_params &p)
{
    u32 block = (u32)block_index(), head = block / @(ceil_div(V, tile_v));
    int thread = thread_index();
    work w;
    w.b = (int)(head / (u32)p.Hv);
    w.hv = (int)(head % (u32)p.Hv);
    w.h = (int)key_head(p, w.hv);
    w.lane = thread % LANES;
    w.group = thread % 32 - w.lane;
    w.row = (int)(block % @(ceil_div(V, tile_v))) * @(tile_v) +
            thread / LANES * ROWS;
    w.at = (i64)w.row * @(K) + w.lane * VECTOR;
    return w;
}

DEVICE bool has_row(const work &w, int i)
{
//@ if ragged_v then
    return w.row + i < @(V);
//@ else
    return true;
//@ end
}
/* Is vector j of this lane within the row? */
DEVICE bool has_vector(const work &w, int j)
{
//@ if ragged_k then
    return j + 1 < VECTORS || w.lane + j * LANES < @(K // N);
//@ else
    return true;
//@ end
}
DEVICE int vector_at(int i, int j) { return i * @(K) + j * (LANES * VECTOR); }

typedef v4 loaded[ROWS][VECTORS];

DEVICE void load_rows(const @(state) *from, const work &w, loaded &s)
{
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        UNROLL
        for (int j = 0; j < VECTORS; j++) {
            v4 zeros = {0, 0, 0, 0};
            s[i][j] = zeros;
            if (has_row(w, i) && has_vector(w, j))
                s[i][j] = load_state(from + w.at + vector_at(i, j));
        }
    }
}

DEVICE void write_zeros(const gdr_recurrent_params &p, const work &w)
{
    for (i64 t = 0; t < p.T; t++)
        for (int i = w.lane; i < ROWS; i += LANES)
            if (has_row(w, i))
                put_@(io)(o_row(p, w.b, t, w.hv) + w.row + i, 0);
}

//@ if rank == 0 then
/* ---- token by token ---- */

/* This lane's part of a token; q and k as they were given. */
struct token {
    float q[SLICE], k[SLICE];
    float v[OWN];
    gates g;
};
/* The same on its way; q and k where their rows are aligned. */
struct fetched {
    four q[SLICE / 4], k[SLICE / 4];
    @(io) v[OWN];
    raw_gates g;
};

/* Element 4 i of this lane's slice in the row. */
DEVICE int four_at(const work &w, int i)
{
    return (w.lane + i / (VECTOR / 4) * LANES) * VECTOR + i % (VECTOR / 4) * 4;
}
DEVICE bool has_four(const work &w, int i)
{
    return has_vector(w, i / (VECTOR / 4));
}

/* Of the rows of this thread, those whose sums this lane gets. */
DEVICE int own_row(const work &w, int n)
{
    return first_value<ROWS, LANES>(w.lane) + n;
}

DEVICE void fetch_token(const gdr_recurrent_params &p, const work &w, i64 t,
                        bool aligned, fetched &x)
{
    const @(io) *k = k_row(p, w.b, t, w.h), *q = q_row(p, w.b, t, w.h);
    const @(io) *v = v_row(p, w.b, t, w.hv) + w.row;
    UNROLL
    for (int i = 0; i < SLICE / 4; i++) {
        four zeros = {};
        x.k[i] = x.q[i] = zeros;
        if (aligned && has_four(w, i)) {
            x.k[i] = load_four(k + four_at(w, i));
            x.q[i] = load_four(q + four_at(w, i));
        }
    }
    UNROLL
    for (int n = 0; n < OWN; n++)
        x.v[n] = has_row(w, own_row(w, n)) ? v[own_row(w, n)] : 0;
    x.g = fetch_gates(p, w.b, t, w.hv);
}

/* The slice of a row that begins anywhere. */
DEVICE void read_slice(const @(io) *row, const work &w, float (&x)[SLICE])
{
    UNROLL
    for (int i = 0; i < SLICE / 4; i++) {
        x[4 * i] = x[4 * i + 1] = x[4 * i + 2] = x[4 * i + 3] = 0;
        if (has_four(w, i))
            read_four(row + four_at(w, i), false, x + 4 * i);
    }
}

template <bool aligned>
DEVICE void take_token(const gdr_recurrent_params &p, const work &w, i64 t,
                       const fetched &from, token &x)
{
    if (aligned) {
        UNROLL
        for (int i = 0; i < SLICE / 4; i++) {
            unpack_four(from.k[i], x.k + 4 * i);
            unpack_four(from.q[i], x.q + 4 * i);
        }
    } else {
        read_slice(k_row(p, w.b, t, w.h), w, x.k);
        read_slice(q_row(p, w.b, t, w.h), w, x.q);
    }
    UNROLL
    for (int n = 0; n < OWN; n++)
        x.v[n] = get_@(io)(&from.v[n]);
    x.g = resolve_gates(p, from.g);
}

/* Sums of SLICE products in a fixed tree. */
DEVICE float dot_slices(const float (&a)[SLICE], const float (&b)[SLICE])
{
    float sum[@(chains)] = {};
    UNROLL
    for (int e = 0; e < SLICE; e++)
        sum[e % @(chains)] = fused(a[e], b[e], sum[e % @(chains)]);
//@ if chains == 4 then
    return plus(plus(sum[0], sum[1]), plus(sum[2], sum[3]));
//@ else
    return plus(sum[0], sum[1]);
//@ end
}

DEVICE void look(const v4 (&s)[VECTORS], const token &x, float &k, float &q)
{
    float row[SLICE];
    UNROLL
    for (int j = 0; j < VECTORS; j++)
        unpack_state(s[j], row + j * VECTOR);
    k = dot_slices(row, x.k);
    q = dot_slices(row, x.q);
}

/* S after token t: d[n] belongs to row own_row(n). */
DEVICE void advance(const gdr_recurrent_params &p, const work &w,
                    const place &to, const token &x, const float (&d)[OWN],
                    loaded &s)
{
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        int from = w.group + lane_of_value<ROWS, LANES>(i);
        float di = shuffle_from(d[i % OWN], from);
        UNROLL
        for (int j = 0; j < VECTORS; j++) {
            float row[VECTOR];
            unpack_state(s[i][j], row);
            UNROLL
            for (int e = 0; e < VECTOR; e++) {
                float kd = times(x.k[j * VECTOR + e], di);
                row[e] = fused(row[e], x.g.decay, kd);
//@ if round_between_tokens then
                row[e] = round_@(state)(row[e]);
//@ end
            }
            s[i][j] = pack_state(row);
            if (to.at && has_row(w, i) && has_vector(w, j))
                store_vector(to, w.at + vector_at(i, j), row);
        }
    }
}

template <bool aligned>
DEVICE void run_token(const gdr_recurrent_params &p, const work &w,
                      const slots &at, i64 t, const fetched &from, loaded &s)
{
    token x;
    float k[ROWS], q[ROWS], d[OWN];
    take_token<aligned>(p, w, t, from, x);
    UNROLL
    for (int i = 0; i < ROWS; i++)
        look(s[i], x, k[i], q[i]);
    share_sums<ROWS, LANES>(k, w.lane);
    share_sums<ROWS, LANES>(q, w.lane);
    float qk = sum_lanes<LANES>(dot_slices(x.q, x.k));
//@ if l2norm then
    float by_q = q_factor(p, sum_lanes<LANES>(dot_slices(x.q, x.q)));
    float by_k = k_factor(sum_lanes<LANES>(dot_slices(x.k, x.k)));
//@ else
    float by_q = q_factor(p, 0), by_k = k_factor(0);
//@ end
    qk = times(times(by_q, by_k), qk);
    UNROLL
    for (int n = 0; n < OWN; n++) {
        int i = own_row(w, n);
        float kS = times(by_k, k[n]), qS = times(by_q, q[n]);
        float dn = times(x.g.beta, fused(-x.g.decay, kS, x.v[n]));
        float o = fused(x.g.decay, qS, times(dn, qk));
//@ if rows < L then
        if (w.lane % @(L // rows) == 0 && has_row(w, i))
//@ else
        if (has_row(w, i))
//@ end
            put_@(io)(o_row(p, w.b, t, w.hv) + w.row + i, o);
        d[n] = times(dn, by_k);
    }
    advance(p, w, state_after(p, at, w.b, w.hv, t), x, d, s);
}

template <bool aligned>
DEVICE void run_tokens(const gdr_recurrent_params &p, const work &w,
                       const slots &at, fetched &from, loaded &s)
{
//@ if wider then
    run_token<aligned>(p, w, at, 0, from, s);
//@ else
    for (i64 t = 0;;) {
        run_token<aligned>(p, w, at, t, from, s);
        if (++t >= p.T)
            break;
        fetch_token(p, w, t, aligned, from);
    }
//@ end
    if (!updates_slot(p))
        return;
    place to = {(@(state) *)p.state + at.read};
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        UNROLL
        for (int j = 0; j < VECTORS; j++) {
            float x[VECTOR];
            unpack_state(s[i][j], x);
            if (has_row(w, i) && has_vector(w, j))
                store_vector(to, w.at + vector_at(i, j), x);
        }
    }
}
//@ if wider then

/* Several tokens of a row in float32, row by row and slowly: all rows at once
 * would take the registers that let one token keep the memory busy. */
DEVICE void run_row(const gdr_recurrent_params &p, const work &w,
                    const slots &at, int i)
{
    @(state) *from = (@(state) *)p.state + at.read;
    bool here = has_row(w, i);
    float s[SLICE], q[SLICE], k[SLICE];
    UNROLL
    for (int j = 0; j < VECTORS; j++) {
        v4 zeros = {0, 0, 0, 0};
        bool some = here && has_vector(w, j);
        unpack_state(some ? load_state(from + w.at + vector_at(i, j)) : zeros,
                     s + j * VECTOR);
    }
    for (i64 t = 0; t < p.T; t++) {
        gates g = resolve_gates(p, fetch_gates(p, w.b, t, w.hv));
        place to = state_after(p, at, w.b, w.hv, t);
        read_slice(k_row(p, w.b, t, w.h), w, k);
        read_slice(q_row(p, w.b, t, w.h), w, q);
        float by_q = q_factor(p, sum_lanes<LANES>(dot_slices(q, q)));
        float by_k = k_factor(sum_lanes<LANES>(dot_slices(k, k)));
        float qk = times(times(by_q, by_k), sum_lanes<LANES>(dot_slices(q, k)));
        float kS = times(by_k, sum_lanes<LANES>(dot_slices(s, k)));
        float qS = times(by_q, sum_lanes<LANES>(dot_slices(s, q)));
        int row = w.row + i;
        float v = here ? get_@(io)(v_row(p, w.b, t, w.hv) + row) : 0;
        float d = times(g.beta, fused(-g.decay, kS, v));
        if (here && w.lane == 0)
            put_@(io)(o_row(p, w.b, t, w.hv) + row,
                      fused(g.decay, qS, times(d, qk)));
        UNROLL
        for (int e = 0; e < SLICE; e++)
            s[e] = fused(s[e], g.decay, times(k[e], times(d, by_k)));
        UNROLL
        for (int j = 0; j < VECTORS; j++)
            if (to.at && here && has_vector(w, j))
                store_vector(to, w.at + vector_at(i, j), s + j * VECTOR);
    }
    UNROLL
    for (int j = 0; j < VECTORS; j++) {
        place back = {from};
        if (updates_slot(p) && here && has_vector(w, j))
            store_vector(back, w.at + vector_at(i, j), s + j * VECTOR);
    }
}
//@ end
//@ else

//@ include "cuda/rows_packet.cuh"
//@ end

KERNEL LAUNCH_BOUNDS(@(32 * warps), @(resident))
gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
//@ if pdl == 1 then
    grid_wait();
//@ end
    work w = find_work(p);
    fetched first; /* of what does not wait for the slot */
    loaded s;
//@ if rank == 1 then
    fetch(p, w, 0, 0, true, first);
//@ else
    bool aligned = rows_aligned(p);
    fetch_token(p, w, 0, aligned, first);
//@ end
    slots at = find_slots(p, w.b, w.hv);
    if (!at.valid) {
        write_zeros(p, w);
        return;
    }
//@ if rank == 0 and wider then
    if (p.T > 1) {
#pragma unroll 1
        for (int i = 0; i < ROWS; i++)
            run_row(p, w, at, i);
        return;
    }
//@ end
    load_rows((const @(state) *)p.state + at.read, w, s);
//@ if pdl == 1 then
    grid_release();
//@ end
//@ if rank == 1 then
    run_packets(p, w, at, s, first);
//@ else
    if (aligned)
        run_tokens<true>(p, w, at, first, s);
    else
        run_tokens<false>(p, w, at, first, s);
//@ end
}
