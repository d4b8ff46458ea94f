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

//@ -- Registers of a thread, and so blocks of a multiprocessor.
//@ local registers = shape.floats <= 16 and 64 or shape.floats <= 32 and 80 or 128
//@ local blocks = math.max(math.min(65536 // registers, 1024) // threads, 1)

//@ -- Tokens of a packet: as many as shared memory has room for, in all blocks.
//@ local token_floats = 2 * K + 2 * tile_v * (warps + 1)
//@ local room = math.min(40, 96 // blocks) * 1024 // 4
//@ local packet = 8
//@ while packet > 1 and packet * token_floats > room do packet = packet // 2 end

/* A packet's tokens in shared memory. */
struct packet {
    float *q, *k;           /* [packet][K], as the recurrence uses them */
    float *v, *d;           /* [packet][tile_v] */
    float *sums;            /* [packet][warps][2][tile_v]: k'S, q'S */
    float *decay, *beta;    /* [packet] */
    float *kk, *qk;         /* [packet][packet]: k_t'k_s and q_t'k_s, decayed
                               from after s to t */
    void **to;              /* [packet]: the state after a token, or NULL */
};

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

//@ if vector then
typedef v4 piece; /* the thread's columns of one row, as stored */
DEVICE piece load_piece(const @(state) *p) { return load_state(p); }
DEVICE void store_piece(@(state) *p, piece x) { store_state(p, x); }
//@ else
typedef @(state) piece;
DEVICE piece load_piece(const @(state) *p) { return *p; }
DEVICE void store_piece(@(state) *p, piece x) { *p = x; }
//@ end

DEVICE void unpack(piece x, float *s)
{
//@ if not vector then
    s[0] = get_@(state)(&x);
//@ elseif state == "f32" then
    s[0] = float_of(x.x), s[1] = float_of(x.y);
    s[2] = float_of(x.z), s[3] = float_of(x.w);
//@ else
//@     for i, word in ipairs { "x", "y", "z", "w" } do
    s[@(2 * i - 2)] = low_@(state)(x.@(word));
    s[@(2 * i - 1)] = high_@(state)(x.@(word));
//@     end
//@ end
}

DEVICE piece pack(const float *s)
{
    piece x;
//@ if not vector then
    put_@(state)(&x, s[0]);
//@ elseif state == "f32" then
    x.x = bits_of(s[0]), x.y = bits_of(s[1]);
    x.z = bits_of(s[2]), x.w = bits_of(s[3]);
//@ else
//@     for i, word in ipairs { "x", "y", "z", "w" } do
    x.@(word) = pair_@(state)(s[@(2 * i - 2)], s[@(2 * i - 1)]);
//@     end
//@ end
    return x;
}

DEVICE void load_rows(const part &w, const @(state) *from, piece *x)
{
    if (!w.active)
        return;
#pragma unroll
    for (int i = 0; i < @(rows); i++) {
        int row = row_of(w, i);
        @(guard)x[i] = load_piece(from + row * @(V));
    }
}

/* Rows and columns that are not there are zeros. */
DEVICE void unpack_rows(const part &w, const piece *x, float s[][@(vec)])
{
#pragma unroll
    for (int i = 0; i < @(rows); i++) {
        int row = row_of(w, i);
#pragma unroll
        for (int j = 0; j < @(vec); j++)
            s[i][j] = 0;
        if (w.active && row < @(K))
            unpack(x[i], s[i]);
    }
}

DEVICE void store_rows(const part &w, @(state) *to, const float s[][@(vec)])
{
#pragma unroll
    for (int i = 0; i < @(rows); i++) {
        int row = row_of(w, i);
        @(guard)store_piece(to + row * @(V), pack(s[i]));
    }
}

//@ if both then
DEVICE void store_rows_f32(const part &w, float *to, const float s[][@(vec)])
{
#pragma unroll
    for (int i = 0; i < @(rows); i++) {
        int row = row_of(w, i);
        float *at = to + row * @(V);
//@     if not vector then
        @(guard)*at = s[i][0];
//@     else
#pragma unroll
        for (int j = 0; j < @(vec); j += 4) {
            v4 x = {bits_of(s[i][j]), bits_of(s[i][j + 1]),
                    bits_of(s[i][j + 2]), bits_of(s[i][j + 3])};
            @(guard)store_state(at + j, x);
        }
//@     end
    }
}
//@ end

/* ---- the tokens of a packet ---- */

//@ -- A warp reads some rows of q and k, then sums their squares.
//@ local chunks = ceil_div(K, 128)
//@ local batch = math.max(math.min(4 // chunks, ceil_div(2 * packet, warps)), 1)
/* q and k of `count` tokens from t on. Row n is q or k of token n / 2. */
DEVICE void read_keys(const gdr_recurrent_params &p, const part &w, i64 t,
                      int count, const packet &to)
{
    int warp = thread_index() / 32, lane = thread_index() % 32;
    i64 h = key_head(p, w.hv);

    for (int first = warp; first < 2 * count; first += @(batch * warps)) {
        float x[@(batch)][@(4 * chunks)];
#pragma unroll
        for (int i = 0; i < @(batch); i++) {
            int n = first + i * @(warps);
            if (n >= 2 * count)
                break;
            const @(io) *row = n % 2 ? k_row(p, w.b, t + n / 2, h)
                                     : q_row(p, w.b, t + n / 2, h);
            bool aligned = row_aligned(row);
#pragma unroll
            for (int c = 0; c < @(chunks); c++) {
                int at = c * 128 + lane * 4;
                if (at < @(K))
                    read_four(row + at, aligned, x[i] + c * 4);
            }
        }
#pragma unroll
        for (int i = 0; i < @(batch); i++) {
            int n = first + i * @(warps);
            if (n >= 2 * count)
                break;
            float squares = 0;
//@ if l2norm then
#pragma unroll
            for (int c = 0; c < @(4 * chunks); c++)
                if (c / 4 * 128 + lane * 4 < @(K))
                    squares = fused(x[i][c], x[i][c], squares);
#pragma unroll
            for (int mask = 16; mask; mask /= 2)
                squares = plus(squares, shuffle_xor(squares, mask));
//@ end
            float by = n % 2 ? k_factor(squares) : q_factor(p, squares);
            float *out = (n % 2 ? to.k : to.q) + n / 2 * @(K);
#pragma unroll
            for (int c = 0; c < @(4 * chunks); c++) {
                int at = c / 4 * 128 + lane * 4 + c % 4;
                if (at < @(K))
                    out[at] = times(x[i][c], by);
            }
        }
    }
}

DEVICE void read_values(const gdr_recurrent_params &p, const part &w, i64 t,
                        int count, const packet &to)
{
    for (int i = thread_index(); i < count * @(tile_v); i += @(threads)) {
        int column = i % @(tile_v);
        if (column < w.columns)
            to.v[i] = get_@(io)(v_row(p, w.b, t + i / @(tile_v), w.hv) +
                                w.column + column);
    }
}

/* Gates, and where states go: a thread per token, of the last warp. */
DEVICE void read_scalars(const gdr_recurrent_params &p, const part &w,
                         const slots &from, i64 t, int count, const packet &to)
{
    int n = thread_index() - @(threads - 32);
    if (n < 0 || n >= count)
        return;
    gates x = read_gates(p, w.b, t + n, w.hv);
    to.decay[n] = x.decay;
    to.beta[n] = x.beta;
//@ if contract ~= "final" then
    to.to[n] = state_after(p, from, w.b, w.hv, t + n).at;
//@ else
    (void)from;
//@ end
}

/* q_t'k_s for s <= t and k_t'k_s for s < t, where tokens meet; a pair per warp.
 * As gates decay what s left behind: products, since a difference of summed
 * logarithms is neither exact nor always finite. */
DEVICE void multiply_keys(int count, const packet &w)
{
    int warp = thread_index() / 32, lane = thread_index() % 32;
//@ if ranked then
    for (int pair = warp; pair < count * count; pair += @(warps)) {
        int row = pair / count, column = pair % count;
        bool upper = column > row;
        int t = upper ? column : row, s = upper ? row : column;
        const float *a = (upper ? w.k : w.q) + t * @(K);
        float *to = (upper ? w.kk : w.qk) + t * @(packet) + s;
//@ else
    for (int t = warp; t < count; t += @(warps)) {
        int s = t;
        const float *a = w.q + t * @(K);
        float *to = w.qk + t * @(packet) + s;
//@ end
        float sum = 0;
#pragma unroll
        for (int i = 0; i < @(K); i += 32)
            if (i + lane < @(K))
                sum = fused(a[i + lane], w.k[s * @(K) + i + lane], sum);
#pragma unroll
        for (int mask = 16; mask; mask /= 2)
            sum = plus(sum, shuffle_xor(sum, mask));
//@ if ranked then
        for (int r = s + 1; r <= t; r++)
            sum = times(sum, w.decay[r]);
//@ end
        if (lane == 0)
            *to = sum;
    }
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
DEVICE void add_rows(const part &w, const float s[][@(vec)], const float *q,
                     const float *k, float *to)
{
    float sum[@(2 * vec)] = {0};
    int first = 0;
#pragma unroll
    for (int i = 0; i < @(rows); i += @(run)) {
        float kk[@(run)], qq[@(run)];
        int row = row_of(w, i);
        read_run(k, row, kk);
        read_run(q, row, qq);
#pragma unroll
        for (int r = 0; r < @(run); r++)
#pragma unroll
            for (int j = 0; j < @(vec); j++) {
                sum[j] = fused(s[i + r][j], kk[r], sum[j]);
                sum[@(vec) + j] = fused(s[i + r][j], qq[r], sum[@(vec) + j]);
            }
    }
//@ for _, fold in ipairs(folds) do
    {
        bool upper = thread_index() & @(fold.mask);
#pragma unroll
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
#pragma unroll
    for (int i = 0; i < @(n); i += 4) {
        v4 x = {bits_of(sum[i]), bits_of(sum[i + 1]), bits_of(sum[i + 2]),
                bits_of(sum[i + 3])};
        store_v4(to + i / @(vec) * @(tile_v) + i % @(vec), x);
    }
//@ else
#pragma unroll
    for (int i = 0; i < @(n); i++)
        to[i / @(vec) * @(tile_v) + i % @(vec)] = sum[i];
//@ end
}

/* What the warps left of one sum. */
DEVICE float add_warps(const float *sums)
{
    float sum = sums[0];
#pragma unroll
    for (int i = 1; i < @(warps); i++)
        sum = plus(sum, sums[i * @(2 * tile_v)]);
    return sum;
}

//@ if ranked then
//@     -- one pass over S for all tokens, and for `final` one update, too
//@     local at_once = contract == "final"
/* d and o of all tokens from one S, by forward substitution: each d_t lacks
 * what the d_s before it put into S. */
DEVICE void solve(const gdr_recurrent_params &p, const part &w, i64 t,
                  int count, const packet &x)
{
    for (int c = thread_index(); c < w.columns; c += @(threads)) {
        float d[@(packet)], since = 1;
#pragma unroll
        for (int i = 0; i < @(packet); i++) {
            if (i >= count)
                break;
            const float *sums = x.sums + i * @(2 * tile_v * warps) + c;
            since = times(since, x.decay[i]);
            float y = fused(-since, add_warps(sums), x.v[i * @(tile_v) + c]);
            float o = times(since, add_warps(sums + @(tile_v)));
#pragma unroll
            for (int s = 0; s < i; s++)
                y = fused(-x.kk[i * @(packet) + s], d[s], y);
            d[i] = times(y, x.beta[i]);
#pragma unroll
            for (int s = 0; s <= i; s++)
                o = fused(x.qk[i * @(packet) + s], d[s], o);
            put_@(io)(o_row(p, w.b, t + i, w.hv) + w.column + c, o);
        }
//@     if at_once then
        since = 1;
#pragma unroll
        for (int i = @(packet - 1); i >= 0; i--) {
            if (i >= count)
                continue;
            x.d[i * @(tile_v) + c] = times(d[i], since);
            since = times(since, x.decay[i]);
        }
//@     else
#pragma unroll
        for (int i = 0; i < @(packet); i++)
            if (i < count)
                x.d[i * @(tile_v) + c] = d[i];
//@     end
    }
}
//@ else
/* d and o of token i of the packet. */
DEVICE void solve(const gdr_recurrent_params &p, const part &w, i64 t, int i,
                  const packet &x)
{
    for (int c = thread_index(); c < w.columns; c += @(threads)) {
        const float *sums = x.sums + c;
        float decay = x.decay[i];
        float y = fused(-decay, add_warps(sums), x.v[i * @(tile_v) + c]);
        float d = times(y, x.beta[i]);
        float o = times(decay, add_warps(sums + @(tile_v)));
        o = fused(x.qk[i * @(packet + 1)], d, o);
        x.d[c] = d;
        put_@(io)(o_row(p, w.b, t + i, w.hv) + w.column + c, o);
    }
}
//@ end

/* S = decay S + k d'. */
DEVICE void advance(const part &w, float s[][@(vec)], float decay,
                    const float *k, const float *d)
{
    float dd[@(vec)];
#pragma unroll
    for (int j = 0; j < @(vec); j++)
        dd[j] = d[w.own + j];
#pragma unroll
    for (int i = 0; i < @(rows); i += @(run)) {
        float kk[@(run)];
        read_run(k, row_of(w, i), kk);
#pragma unroll
        for (int r = 0; r < @(run); r++)
#pragma unroll
            for (int j = 0; j < @(vec); j++) {
                float x = fused(kk[r], dd[j], times(decay, s[i + r][j]));
                s[i + r][j] = @(round_between_tokens and "round_" .. state or "")(x);
            }
    }
}

//@ if contract ~= "final" then
/* S to where token t's state goes. */
DEVICE void store_after(const gdr_recurrent_params &p, const part &w, void *to,
                        const float s[][@(vec)])
{
    i64 first = w.column + w.own;
//@     if both then
    if (p.flags & SNAPSHOT_F32)
        store_rows_f32(w, (float *)to + first, s);
    else
//@     end
    if (to)
        store_rows(w, (@(state) *)to + first, s);
    (void)p;
}
//@ end

DEVICE void write_zeros(const gdr_recurrent_params &p, const part &w)
{
    for (i64 t = 0; t < p.T; t++)
        for (int c = thread_index(); c < w.columns; c += @(threads))
            put_@(io)(o_row(p, w.b, t, w.hv) + w.column + c, 0);
}

/* `count` tokens from t on. */
DEVICE void run_packet(const gdr_recurrent_params &p, const part &w, i64 t,
                       int count, const packet &x, float s[][@(vec)])
{
    multiply_keys(count, x);
//@ if ranked then
    for (int i = 0; i < count; i++)
        add_rows(w, s, x.q + i * @(K), x.k + i * @(K),
                 x.sums + i * @(2 * tile_v * warps));
    block_sync();
    solve(p, w, t, count, x);
    block_sync();
    if (!w.active)
        return;
//@     if contract == "final" then
    float decay = x.decay[0];
    for (int i = 1; i < count; i++)
        decay = times(decay, x.decay[i]);
    for (int i = 0; i < count; i++)
        advance(w, s, i == 0 ? decay : 1, x.k + i * @(K),
                x.d + i * @(tile_v));
//@     else
    for (int i = 0; i < count; i++) {
        advance(w, s, x.decay[i], x.k + i * @(K), x.d + i * @(tile_v));
        store_after(p, w, x.to[i], s);
    }
//@     end
//@ else
    for (int i = 0; i < count; i++) {
        add_rows(w, s, x.q + i * @(K), x.k + i * @(K), x.sums);
        block_sync();
        solve(p, w, t, i, x);
        block_sync();
        if (!w.active)
            continue;
        advance(w, s, x.decay[i], x.k + i * @(K), x.d);
//@     if contract ~= "final" then
        store_after(p, w, x.to[i], s);
//@     end
    }
//@ end
}

KERNEL LAUNCH_BOUNDS(@(threads), @(blocks))
    gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    SHARED(float, q, @(packet * K));
    SHARED(float, k, @(packet * K));
    SHARED(float, v, @(packet * tile_v));
//@ local spans = ranked and packet or 1
    SHARED(float, d, @(spans * tile_v));
    SHARED(float, sums, @(spans * warps * 2 * tile_v));
    SHARED(float, decay, @(packet));
    SHARED(float, beta, @(packet));
    SHARED(float, kk, @(ranked and packet * packet or 1));
    SHARED(float, qk, @(packet * packet));
    SHARED(void *, to, @(contract == "final" and 1 or packet));
    packet x = {q, k, v, d, sums, decay, beta, kk, qk, to};
//@ if pdl == 1 then
    grid_wait();
    grid_release();
//@ end

    part w = find_part(p);
    slots from = find_slots(p, w.b, w.hv);
    if (!from.valid) {
        write_zeros(p, w);
        return;
    }
    @(state) *at = (@(state) *)p.state + from.read + w.column + w.own;
    piece stored[@(rows)];
    float s[@(rows)][@(vec)];
    load_rows(w, at, stored);
    for (i64 t = 0; t < p.T; t += @(packet)) {
        int count = p.T - t < @(packet) ? (int)(p.T - t) : @(packet);
        if (t > 0)
            block_sync();
        read_keys(p, w, t, count, x);
        read_values(p, w, t, count, x);
        read_scalars(p, w, from, t, count, x);
        block_sync();
        if (t == 0)
            unpack_rows(w, stored, s);
        run_packet(p, w, t, count, x, s);
    }
    if (@(contract == "final" and "true" or "updates_slot(p)") && w.active)
        store_rows(w, at, s);
}
