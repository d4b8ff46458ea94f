/* The op `recurrent` with S in registers, [V][K]. A block takes @(tile_v) rows of
 * one head; @(lanes) lanes hold a row between them, each lane every @(lanes)th of
 * its 16-byte vectors. All loads of S are on their way before any of it is
 * used, and S is read once: both dots of a token come from one pass,
 * o = decay q'S + d q'k. Threads of a block share nothing with one token. */
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
//@ local floats = state ~= "f32" and not round_between_tokens and rank == 0

enum {
    LANES = @(L),
    ROWS = @(rows),
    OWN = @(own),
    VECTORS = @(vectors),
    SLICE = VECTORS * VECTOR /* elements of a row in a lane */
};

/* What this thread works at. */
struct work {
    i64 b, hv, h;
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
    w.b = head / (u32)p.Hv;
    w.hv = head % (u32)p.Hv;
    w.h = key_head(p, w.hv);
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

/* A vector of S between tokens. */
struct kept {
//@ if floats then
    float x[VECTOR];
//@ else
    v4 x;
//@ end
};

DEVICE void get_kept(const kept &s, float *x)
{
//@ if floats then
    UNROLL
    for (int e = 0; e < VECTOR; e++)
        x[e] = s.x[e];
//@ else
    unpack_state(s.x, x);
//@ end
}
DEVICE void put_kept(kept &s, const float *x)
{
//@ if floats then
    UNROLL
    for (int e = 0; e < VECTOR; e++)
        s.x[e] = x[e];
//@ else
    s.x = pack_state(x);
//@ end
}

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

/* ---- token by token ---- */

/* This lane's part of a token; q and k as they were given. */
struct token {
    float q[SLICE], k[SLICE];
    float v[OWN];
    gates g;
};

DEVICE void read_slice(const @(io) *row, const work &w, float (&x)[SLICE])
{
    bool aligned = row_aligned(row);
    UNROLL
    for (int j = 0; j < VECTORS; j++) {
        UNROLL
        for (int e = 0; e < VECTOR; e += 4) {
            float *to = x + j * VECTOR + e;
            to[0] = to[1] = to[2] = to[3] = 0;
            if (has_vector(w, j))
                read_four(row + (w.lane + j * LANES) * VECTOR + e, aligned, to);
        }
    }
}

/* Of the rows of this thread, those whose sums this lane gets. */
DEVICE int own_row(const work &w, int n)
{
    return first_value<ROWS, LANES>(w.lane) + n;
}

DEVICE void read_token(const gdr_recurrent_params &p, const work &w, i64 t,
                       token &x)
{
    const @(io) *v = v_row(p, w.b, t, w.hv) + w.row;
    read_slice(k_row(p, w.b, t, w.h), w, x.k);
    read_slice(q_row(p, w.b, t, w.h), w, x.q);
    UNROLL
    for (int n = 0; n < OWN; n++) {
        int i = own_row(w, n);
        x.v[n] = has_row(w, i) ? get_@(io)(v + i) : 0;
    }
    x.g = read_gates(p, w.b, t, w.hv);
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

DEVICE void look(const kept (&s)[VECTORS], const token &x, float &k, float &q)
{
    float row[SLICE];
    UNROLL
    for (int j = 0; j < VECTORS; j++)
        get_kept(s[j], row + j * VECTOR);
    k = dot_slices(row, x.k);
    q = dot_slices(row, x.q);
}

/* S after token t: d[n] belongs to row own_row(n). */
DEVICE void advance(const gdr_recurrent_params &p, const work &w,
                    const place &to, const token &x, const float (&d)[OWN],
                    kept (&s)[ROWS][VECTORS])
{
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        int from = w.group + lane_of_value<ROWS, LANES>(i);
        float di = shuffle_from(d[i % OWN], from);
        UNROLL
        for (int j = 0; j < VECTORS; j++) {
            float row[VECTOR];
            get_kept(s[i][j], row);
            UNROLL
            for (int e = 0; e < VECTOR; e++) {
                float kd = times(x.k[j * VECTOR + e], di);
                row[e] = fused(row[e], x.g.decay, kd);
//@ if round_between_tokens then
                row[e] = round_@(state)(row[e]);
//@ end
            }
            put_kept(s[i][j], row);
            if (to.at && has_row(w, i) && has_vector(w, j))
                store_vector(to, w.at + vector_at(i, j), row);
        }
    }
}

DEVICE void run_token(const gdr_recurrent_params &p, const work &w,
                      const slots &at, i64 t, kept (&s)[ROWS][VECTORS])
{
    token x;
    float k[ROWS], q[ROWS], d[OWN];
    read_token(p, w, t, x);
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

DEVICE void run_tokens(const gdr_recurrent_params &p, const work &w,
                       const slots &at, const loaded &from)
{
    kept s[ROWS][VECTORS];
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        UNROLL
        for (int j = 0; j < VECTORS; j++) {
//@ if floats then
            unpack_state(from[i][j], s[i][j].x);
//@ else
            s[i][j].x = from[i][j];
//@ end
        }
    }
//@ if rank == 1 then
    run_token(p, w, at, 0, s);
//@ else
    for (i64 t = 0; t < p.T; t++)
        run_token(p, w, at, t, s);
//@ end
    if (!updates_slot(p))
        return;
    place to = {(@(state) *)p.state + at.read};
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        UNROLL
        for (int j = 0; j < VECTORS; j++) {
            float x[VECTOR];
            get_kept(s[i][j], x);
            if (has_row(w, i) && has_vector(w, j))
                store_vector(to, w.at + vector_at(i, j), x);
        }
    }
}
//@ if rank == 1 then

//@ include "cuda/rows_packet.cuh"
//@ end

KERNEL LAUNCH_BOUNDS(@(32 * warps), 1)
gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
//@ if pdl == 1 then
    grid_wait();
//@ end
    work w = find_work(p);
    slots at = find_slots(p, w.b, w.hv);
    loaded s;
    if (!at.valid) {
        write_zeros(p, w);
        return;
    }
    load_rows((const @(state) *)p.state + at.read, w, s);
//@ if pdl == 1 then
    grid_release();
//@ end
//@ if rank == 1 then
    if (p.T > 1) {
        run_packets(p, w, at, s);
        return;
    }
//@ end
    run_tokens(p, w, at, s);
}
