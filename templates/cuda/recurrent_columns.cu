/* The op `recurrent`, S stored [K][V]. A block owns @(tile_v) value columns of
 * one head of one sequence. A lane has one vector of adjacent columns; lanes
 * side by side cover the tile, the other lanes and the warps split K in groups.
 * So a thread holds some rows of its columns, in registers, from the first token
 * to the last: S is read once, in full before any of it is used.
 *
 * Tokens go by in packets. Their sums k'S and q'S meet in shared memory, where
 * one thread per column finds d and o; then S moves on. All sums have a fixed
 * order, which depends on no extent: a sequence has the same bytes alone and in
 * a batch. */
//@ abi()
//@ include "cuda/prim.cuh"
//@ include "cuda/token.cuh"
//@ include "cuda/slots.cuh"
//@ include "cuda/vector.cuh"
//@ local shape = columns({ K = K, V = V, state = state },
//@                       { tile_v = tile_v, warps = warps })
//@ local vec, lanes, groups = shape.vec, shape.lanes, shape.groups
//@ local rows, threads = shape.rows, shape.threads
//@ local vector = vec > 1
//@ local both = contract == "snapshots" and state ~= "f32"
//@ local ranked = rank == 1 and not round_between_tokens

//@ -- A thread's rows come in runs of 4 where K allows: then k and q are read as
//@ -- vectors. guard: some groups have a row less.
//@ local run = K % (4 * groups) == 0 and 4 or 1
//@ local guard = K % groups == 0 and "" or "if (row < " .. K .. ") "

//@ -- Warps of a multiprocessor, which has 512 registers for a lane in each
//@ -- quarter: so many that nothing is spilled, measured with ptxas 13.0.
//@ local resident = 12
//@ if shape.floats <= 16 then resident = 28
//@ elseif shape.floats <= 32 then resident = (both or warps == 2) and 16 or 20
//@ elseif contract == "final" and (state ~= "f32" or warps == 8) then
//@     resident = 16
//@ end
//@ local blocks = math.max(resident // warps, 1)

//@ -- Tokens of a packet: as many as shared memory has room for, in all blocks.
//@ local token_floats = 2 * K + 2 * tile_v * (warps + 1)
//@ local room = math.min(40, 96 // blocks) * 1024 // 4
//@ local packet = 4
//@ while packet > 1 and packet * token_floats > room do packet = packet // 2 end

enum { PACKET = @(packet), PACKET_ROW = @(K), PACKET_THREADS = @(threads) };
DEVICE int packet_place(int quad) { return 4 * quad; }
DEVICE int packet_thread(void) { return thread_index(); }
DEVICE void packet_sync(void) { block_sync(); }

//@ include "cuda/packet.cuh"
/* What else threads tell each other. */
struct common {
    float *v, *d; /* [PACKET][@(tile_v)] */
    float *sums;  /* [PACKET][@(warps)][2][@(tile_v)]: k'S, q'S */
    place *to;    /* [PACKET]: where the state after a token goes */
    /* b, hv. Addresses that follow from what a barrier may change are made
     * where they are used; others the compiler would make ahead of the loop
     * and keep in about 50 registers. */
    i64 *head;
};

DEVICE common common_shared(void)
{
//@ local spans = ranked and packet or 1
    SHARED(float, v, @(packet * tile_v));
    SHARED(float, d, @(spans * tile_v));
    SHARED(float, sums, @(spans * warps * 2 * tile_v));
    SHARED(place, to, @(packet));
    SHARED(i64, head, 2);
    common x = {v, d, sums, to, head};
    return x;
}

/* What a thread is for. */
struct part {
    i64 b, hv;
    int column;  /* first one of the tile */
    int columns; /* the tile's */
    int group;   /* which rows */
    int own;     /* first one of the thread's columns, from the tile's */
    bool active; /* own < columns */
};

DEVICE part find_part(const gdr_recurrent_params &p)
{
    part w;
    u32 block = (u32)block_index();
    u32 head = block / @(ceil_div(V, tile_v)), heads = (u32)p.Hv;
    w.column = (int)(block % @(ceil_div(V, tile_v))) * @(tile_v);
    w.columns = @(V) - w.column;
    if (w.columns > @(tile_v))
        w.columns = @(tile_v);
    w.b = head / heads;
    w.hv = head % heads;
    w.group = thread_index() / @(lanes);
    w.own = thread_index() % @(lanes) * @(vec);
    w.active = w.own < w.columns;
    return w;
}

/* Row of K of the thread's row i. */
DEVICE int row_of(const part &w, int i)
{
    return i / @(run) * @(run * groups) + w.group * @(run) + i % @(run);
}

/* ---- S ---- */

//@ local piece = vector and "v4" or state -- a row's columns, as stored
DEVICE @(piece) load_piece(const @(state) *from)
{
    return @(vector and "load_state(from)" or "*from");
}

DEVICE void unpack(@(piece) x, float *s)
{
//@ if vector then
    unpack_state(x, s);
//@ else
    s[0] = get_@(state)(&x);
//@ end
}

/* Element `at` of the state at `to` on. */
DEVICE void store_piece(const place &to, i64 at, const float *s)
{
//@ if vector then
    store_vector(to, at, s);
//@ else
//@     if both then
    if (to.f32)
        ((float *)to.at)[at] = s[0];
    else
//@     end
    put_@(state)((@(state) *)to.at + at, s[0]);
//@ end
}

DEVICE void load_rows(const part &w, const @(state) *from,
                      @(piece) (&x)[@(rows)])
{
    if (!w.active)
        return;
    UNROLL
    for (int i = 0; i < @(rows); i++) {
        int row = row_of(w, i);
        @(guard)x[i] = load_piece(from + row * @(V));
    }
}

/* Rows and columns that are not there are zeros. */
DEVICE void unpack_rows(const part &w, const @(piece) (&x)[@(rows)],
                        float (&s)[@(rows)][@(vec)])
{
    UNROLL
    for (int i = 0; i < @(rows); i++) {
        int row = row_of(w, i);
    UNROLL
        for (int j = 0; j < @(vec); j++)
            s[i][j] = 0;
        if (w.active && row < @(K))
            unpack(x[i], s[i]);
    }
}

DEVICE void store_rows(const part &w, const place &to,
                       const float (&s)[@(rows)][@(vec)])
{
    i64 at = w.column + w.own;
    UNROLL
    for (int i = 0; i < @(rows); i++) {
        int row = row_of(w, i);
        @(guard)store_piece(to, at + row * @(V), s[i]);
    }
}

/* What a packet is made of, on its way. */
struct fetched {
    shares tokens;
    @(io) v[@(ceil_div(packet * tile_v, threads))];
};

DEVICE void fetch(const gdr_recurrent_params &p, const part &w, i64 t,
                  fetched &x)
{
    fetch_packet(p, w.b, w.hv, key_head(p, w.hv), t, x.tokens);
    UNROLL
    for (int n = 0; n < @(ceil_div(packet * tile_v, threads)); n++) {
        int i = thread_index() + n * @(threads);
        int column = i % @(tile_v);
        i64 at = t + i / @(tile_v);
        x.v[n] = 0;
        if (i < @(packet * tile_v) && column < w.columns && at < p.T)
            x.v[n] = v_row(p, w.b, at, w.hv)[w.column + column];
    }
}

/* All that a packet of tokens from t on needs beside S. */
DEVICE void prepare(const gdr_recurrent_params &p, const part &w,
                    const slots &from, i64 t, const fetched &ahead, packet &a,
                    const common &x)
{
    UNROLL
    for (int n = 0; n < @(ceil_div(packet * tile_v, threads)); n++) {
        int i = thread_index() + n * @(threads);
        if (i < @(packet * tile_v))
            x.v[i] = get_@(io)(&ahead.v[n]);
    }
    int i = @(threads - 1) - thread_index();
    if (i < PACKET && t + i < p.T)
        x.to[i] = state_after(p, from, w.b, w.hv, t + i);
    prepare_packet(p, a, w.b, key_head(p, w.hv), t, ahead.tokens, t > 0);
}

/* ---- the recurrence ---- */

/* A run of the thread's rows of x. */
DEVICE void read_run(const float *x, int row, float *out)
{
//@ if run == 4 then
    v4 four = load_v4(x + row);
    out[0] = float_of(four.x), out[1] = float_of(four.y);
    out[2] = float_of(four.z), out[3] = float_of(four.w);
//@ else
    out[0] = 0;
    @(guard)out[0] = x[row];
//@ end
}

//@ -- Lanes of one warp add up their sums: in each round a lane gives half of
//@ -- them away, as long as there is more than one.
//@ local n, folds = 2 * vec, {}
//@ local mask = lanes
//@ while mask < 32 do
//@     n = n // 2
//@     folds[#folds + 1], mask = { n = n, mask = mask }, mask * 2
//@ end
//@ assert(n >= 1)
/* k'S and q'S of the thread's rows, added to those of the warp's other groups
 * and left for the other warps. */
DEVICE void add_rows(const part &w, const float (&s)[@(rows)][@(vec)], const float *q,
                     const float *k, float *to)
{
    float sum[@(2 * vec)] = {0};
    int first = 0;
    UNROLL
    for (int i = 0; i < @(rows); i += @(run)) {
        float kk[@(run)], qq[@(run)];
        int row = row_of(w, i);
        read_run(k, row, kk);
        read_run(q, row, qq);
    UNROLL
        for (int r = 0; r < @(run); r++)
    UNROLL
            for (int j = 0; j < @(vec); j++) {
                sum[j] = fused(s[i + r][j], kk[r], sum[j]);
                sum[@(vec) + j] = fused(s[i + r][j], qq[r], sum[@(vec) + j]);
            }
    }
//@ for _, fold in ipairs(folds) do
    {
        bool upper = thread_index() & @(fold.mask);
    UNROLL
        for (int i = 0; i < @(fold.n); i++) {
            float give = upper ? sum[i] : sum[i + @(fold.n)];
            float keep = upper ? sum[i + @(fold.n)] : sum[i];
            sum[i] = plus(keep, shuffle_xor(give, @(fold.mask)));
        }
        first += upper ? @(fold.n) : 0;
    }
//@ end
    to += thread_index() / 32 * @(2 * tile_v) + w.own;
    to += first / @(vec) * @(tile_v) + first % @(vec);
//@ if n >= 4 then
    UNROLL
    for (int i = 0; i < @(n); i += 4) {
        v4 x = {bits_of(sum[i]), bits_of(sum[i + 1]), bits_of(sum[i + 2]),
                bits_of(sum[i + 3])};
        store_v4(to + i / @(vec) * @(tile_v) + i % @(vec), x);
    }
//@ else
    UNROLL
    for (int i = 0; i < @(n); i++)
        to[i / @(vec) * @(tile_v) + i % @(vec)] = sum[i];
//@ end
}

/* What the warps left of one sum. */
DEVICE float add_warps(const float *sums)
{
    float sum = sums[0];
    UNROLL
    for (int i = 1; i < @(warps); i++)
        sum = plus(sum, sums[i * @(2 * tile_v)]);
    return sum;
}

//@ if ranked then
/* d and o of all tokens from one S, by forward substitution: each d_t lacks
 * what the d_s before it put into S. */
DEVICE void solve(const gdr_recurrent_params &p, const part &w, i64 t,
                  const packet &a, const common &x)
{
    i64 b = x.head[0], hv = x.head[1];
    for (int c = thread_index(); c < w.columns; c += @(threads)) {
        float d[PACKET];
    UNROLL
        for (int i = 0; i < PACKET; i++) {
            if (i >= a.count)
                break;
            const float *sums = x.sums + i * @(2 * tile_v * warps) + c;
            float since = a.since[i];
            float y = fused(-since, add_warps(sums), x.v[i * @(tile_v) + c]);
            float o = times(since, add_warps(sums + @(tile_v)));
    UNROLL
            for (int s = 0; s < i; s++)
                y = fused(-a.kk[i * PACKET + s], d[s], y);
            d[i] = times(y, a.beta[i]);
    UNROLL
            for (int s = 0; s <= i; s++)
                o = fused(a.qk[i * PACKET + s], d[s], o);
            put_@(io)(o_row(p, b, t + i, hv) + w.column + c, o);
        }
        UNROLL
        for (int i = 0; i < PACKET; i++)
            if (i < a.count)
                x.d[i * @(tile_v) + c] =
                    @(contract == "final" and "times(d[i], a.until[i])" or "d[i]");
    }
}
//@ else
/* d and o of token i of the packet. */
DEVICE void solve(const gdr_recurrent_params &p, const part &w, i64 t, int i,
                  const packet &a, const common &x)
{
    i64 b = x.head[0], hv = x.head[1];
    for (int c = thread_index(); c < w.columns; c += @(threads)) {
        const float *sums = x.sums + c;
        float decay = a.decay[i];
        float y = fused(-decay, add_warps(sums), x.v[i * @(tile_v) + c]);
        float d = times(y, a.beta[i]);
        float o = times(decay, add_warps(sums + @(tile_v)));
        o = fused(a.qk[i * (PACKET + 1)], d, o);
        x.d[c] = d;
        put_@(io)(o_row(p, b, t + i, hv) + w.column + c, o);
    }
}
//@ end

/* S = decay S + k d'. */
DEVICE void advance(const part &w, float (&s)[@(rows)][@(vec)], float decay,
                    const float *k, const float *d)
{
    float dd[@(vec)];
    UNROLL
    for (int j = 0; j < @(vec); j++)
        dd[j] = d[w.own + j];
    UNROLL
    for (int i = 0; i < @(rows); i += @(run)) {
        float kk[@(run)];
        read_run(k, row_of(w, i), kk);
    UNROLL
        for (int r = 0; r < @(run); r++)
    UNROLL
            for (int j = 0; j < @(vec); j++) {
                float x = fused(kk[r], dd[j], times(decay, s[i + r][j]));
                s[i + r][j] = @(round_between_tokens and "round_" .. state or "")(x);
            }
    }
}

DEVICE void write_zeros(const gdr_recurrent_params &p, const part &w)
{
    for (i64 t = 0; t < p.T; t++)
        for (int c = thread_index(); c < w.columns; c += @(threads))
            put_@(io)(o_row(p, w.b, t, w.hv) + w.column + c, 0);
}

/* The tokens of a packet, from t on. */
DEVICE void run_packet(const gdr_recurrent_params &p, const part &w, i64 t,
                       const packet &a, const common &x,
                       float (&s)[@(rows)][@(vec)])
{
//@ if ranked then
    for (int i = 0; i < a.count; i++)
        add_rows(w, s, a.q + i * @(K), a.k + i * @(K),
                 x.sums + i * @(2 * tile_v * warps));
    block_sync();
    solve(p, w, t, a, x);
    block_sync();
    if (!w.active)
        return;
    for (int i = 0; i < a.count; i++) {
//@     if contract == "final" then
        float decay = i == 0 ? a.since[a.count - 1] : 1;
//@     else
        float decay = a.decay[i];
//@     end
        advance(w, s, decay, a.k + i * @(K), x.d + i * @(tile_v));
//@     if contract ~= "final" then
        if (x.to[i].at)
            store_rows(w, x.to[i], s);
//@     end
    }
//@ else
    for (int i = 0; i < a.count; i++) {
        add_rows(w, s, a.q + i * @(K), a.k + i * @(K), x.sums);
        block_sync();
        solve(p, w, t, i, a, x);
        block_sync();
        if (!w.active)
            continue;
        advance(w, s, a.decay[i], a.k + i * @(K), x.d);
//@     if contract ~= "final" then
        if (x.to[i].at)
            store_rows(w, x.to[i], s);
//@     end
    }
//@ end
//@ if contract == "final" then
    if (t + a.count == p.T && w.active)
        store_rows(w, x.to[a.count - 1], s);
//@ end
}

KERNEL LAUNCH_BOUNDS(@(threads), @(blocks))
gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
//@ if pdl == 1 then
    grid_wait();
//@ end
    packet a = packet_shared();
    common x = common_shared();
    part w = find_part(p);
    fetched ahead; /* of what does not wait for the slot */
    fetch(p, w, 0, ahead);
    slots from = find_slots(p, w.b, w.hv);
    if (!from.valid) {
        write_zeros(p, w);
        return;
    }
    place home = {(@(state) *)p.state + from.read};
    @(piece) stored[@(rows)];
    float s[@(rows)][@(vec)];
    load_rows(w, (@(state) *)home.at + w.column + w.own, stored);
//@ if pdl == 1 then
    grid_release();
//@ end
    if (thread_index() == 0)
        x.head[0] = w.b, x.head[1] = w.hv;
    prepare(p, w, from, 0, ahead, a, x);
    unpack_rows(w, stored, s);
    for (i64 t = 0;;) {
        run_packet(p, w, t, a, x, s);
        t += PACKET;
        if (t >= p.T)
            break;
        block_sync();
        w.b = x.head[0], w.hv = x.head[1];
        w.column = opaque(w.column), w.columns = opaque(w.columns);
        fetch(p, w, t, ahead);
        prepare(p, w, from, t, ahead, a, x);
    }
    if (updates_slot(p) && w.active)
        store_rows(w, home, s);
}
