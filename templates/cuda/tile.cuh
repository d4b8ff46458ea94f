/* A tile of @(tile_v) rows of S near, worked on by whole warps: a row is spread
 * over @(lanes) lanes, 16 bytes of each in turn, and a lane has the same part of
 * @(tile_v * lanes // (warps * 32)) adjacent rows. All of a thread's part is in registers while it goes
 * through the tokens. A warp needs no other: it prepares its tokens itself, and
 * what it computes depends neither on the block nor on the order of tiles.
 *
 * Both sums of a row come from one pass over S before the token:
 * o = decay q'S + d q'k. Sums go over the lanes in a butterfly that hands each
 * lane fewer rows at each step, so that the owner of a row has both. */
//@ local W = 16 // bytes(state) -- elements in 16 bytes
//@ local pieces = ceil_div(K // W, lanes) -- of a row, in a lane
//@ local whole = K // W % lanes == 0 -- all lanes have all pieces
//@ local E = pieces * W
//@ local R = tile_v * lanes // (warps * 32)
//@ local tiles = ceil_div(V, tile_v)
//@ local both = contract == "snapshots" and state ~= "f32"

/* Which tile: rows [column, column + rows) of a head of a sequence. */
struct item {
    i64 b, hv;
    int column, rows;
};

DEVICE i64 count_items(const gdr_recurrent_params &p)
{
    return p.B * p.Hv * @(tiles);
}

DEVICE item find_item(const gdr_recurrent_params &p, i64 n)
{
    i64 head = n / @(tiles);
    item at = {head / p.Hv, head % p.Hv, (int)(n % @(tiles)) * @(tile_v), 0};
    at.rows = @(V) - at.column;
    if (at.rows > @(tile_v))
        at.rows = @(tile_v);
    return at;
}

/* A thread's part of the tile: rows [row, row + @(R)), of each the pieces
 * lane, lane + @(lanes), ...; the sums and o of row `owned` come to it. */
struct seat {
    int lane, row, owned;
};

DEVICE seat find_seat(void)
{
    int lane = thread_index() % @(lanes);
    int row = thread_index() / @(lanes) * @(R);
    seat at = {lane, row, row + lane / @(lanes // R)};
    return at;
}

/* Is there a piece i in this lane? */
DEVICE bool has_piece(const seat &at, int i)
{
//@ if whole then
    return true;
//@ else
    return i * @(lanes) + at.lane < @(K // W);
//@ end
}

/* Where piece i of a row begins. */
DEVICE int piece_of(const seat &at, int i)
{
    return (i * @(lanes) + at.lane) * @(W);
}

/* One token: this lane's parts of q and k, what all rows share, and v of the
 * row owned. */
struct token {
    float q[@(E)], k[@(E)];
    float qk, decay, beta, v;
};

DEVICE void read_pieces(const @(io) *row, const seat &at, float x[@(E)])
{
    bool aligned = row_aligned(row);
    for (int i = 0; i < @(pieces); i++)
        for (int j = 0; j < @(W); j += 4)
            if (has_piece(at, i))
                read_four(row + piece_of(at, i) + j, aligned, x + i * @(W) + j);
            else
                x[i * @(W) + j] = x[i * @(W) + j + 1] = x[i * @(W) + j + 2] =
                    x[i * @(W) + j + 3] = 0;
}

/* The sum over the lanes of a row, the same bits in all of them. */
DEVICE float sum_lanes(float x)
{
    for (int mask = @(lanes // 2); mask > 0; mask /= 2)
        x = plus(x, shuffle_xor(x, mask));
    return x;
}

DEVICE float dot(const float a[@(E)], const float b[@(E)])
{
    float sum = 0;
    for (int i = 0; i < @(E); i++)
        sum = fused(a[i], b[i], sum);
    return sum_lanes(sum);
}

DEVICE token read_token(const gdr_recurrent_params &p, const item &is,
                        const seat &at, i64 t)
{
    token w;
    i64 h = key_head(p, is.hv);
    read_pieces(q_row(p, is.b, t, h), at, w.q);
    read_pieces(k_row(p, is.b, t, h), at, w.k);
    w.v = 0;
    if (at.owned < is.rows)
        w.v = get_@(io)(v_row(p, is.b, t, is.hv) + is.column + at.owned);
    gates g = read_gates(p, is.b, t, is.hv);
    w.decay = g.decay, w.beta = g.beta;
//@ if l2norm then
    float by_q = q_factor(p, dot(w.q, w.q)), by_k = k_factor(dot(w.k, w.k));
//@ else
    float by_q = p.scale;
//@ end
    for (int i = 0; i < @(E); i++) {
        w.q[i] = times(w.q[i], by_q);
//@ if l2norm then
        w.k[i] = times(w.k[i], by_k);
//@ end
    }
    w.qk = dot(w.q, w.k);
    return w;
}

DEVICE void write_output(const gdr_recurrent_params &p, const item &is,
                         const seat &at, i64 t, float o)
{
    if (at.owned < is.rows && at.lane % @(lanes // R) == 0)
        put_@(io)(o_row(p, is.b, t, is.hv) + is.column + at.owned, o);
}

DEVICE void write_zeros(const gdr_recurrent_params &p, const item &is,
                        const seat &at)
{
    for (i64 t = 0; t < p.T; t++)
        write_output(p, is, at, t, 0);
}

/* Rows of S in registers: this lane's part of each. */
struct part {
    float s[@(R)][@(E)];
};

//@ for _, name in ipairs { "f32", "bf16", "f16" } do
//@     if name == "f32" then
DEVICE void unpack_f32(v4 w, float x[4])
{
    x[0] = float_of(w.x), x[1] = float_of(w.y);
    x[2] = float_of(w.z), x[3] = float_of(w.w);
}
DEVICE v4 pack_f32(const float x[4])
{
    v4 w = {bits_of(x[0]), bits_of(x[1]), bits_of(x[2]), bits_of(x[3])};
    return w;
}
//@     elseif name == state then
DEVICE void unpack_@(name)(v4 w, float x[8])
{
    x[0] = low_@(name)(w.x), x[1] = high_@(name)(w.x);
    x[2] = low_@(name)(w.y), x[3] = high_@(name)(w.y);
    x[4] = low_@(name)(w.z), x[5] = high_@(name)(w.z);
    x[6] = low_@(name)(w.w), x[7] = high_@(name)(w.w);
}
DEVICE v4 pack_@(name)(const float x[8])
{
    v4 w = {pair_@(name)(x[0], x[1]), pair_@(name)(x[2], x[3]),
            pair_@(name)(x[4], x[5]), pair_@(name)(x[6], x[7])};
    return w;
}
//@     end
//@ end

/* From a tile in shared memory; rows that are not there are zeros. */
DEVICE void load_part(const @(state) *tile, const item &is, const seat &at,
                      part &w)
{
    for (int r = 0; r < @(R); r++) {
        const @(state) *row = tile + (at.row + r) * @(K);
        for (int i = 0; i < @(pieces); i++) {
            v4 x = {0, 0, 0, 0};
            if (at.row + r < is.rows && has_piece(at, i))
                x = load_v4(row + piece_of(at, i));
            unpack_@(state)(x, w.s[r] + i * @(W));
        }
    }
}

//@ local function save(name, kind, store)
DEVICE void @(name)(@(kind) *tile, const item &is, const seat &at,
                    const part &w)
{
    for (int r = 0; r < @(R); r++) {
        @(kind) *row = tile + (at.row + r) * @(K);
        for (int i = 0; i < @(pieces); i++)
            if (at.row + r < is.rows && has_piece(at, i))
//@     if kind == state then
                @(store)(row + piece_of(at, i),
                         pack_@(kind)(w.s[r] + i * @(W)));
//@     else
                for (int j = 0; j < @(W); j += 4)
                    @(store)(row + piece_of(at, i) + j,
                             pack_@(kind)(w.s[r] + i * @(W) + j));
//@     end
    }
}
//@ end
/* To shared memory; to a state in global memory, in its dtype or in float32. */
//@ save("save_near", state, "store_v4")
//@ save("save_far", state, "store_state")
//@ if both then
//@     save("save_f32", "f32", "store_state")
//@ end

/* Sums over the lanes of a row: the owner of row r gets that of x[r]. */
DEVICE float sum_rows(const seat &at, float x[@(R)])
{
    int n = @(R);
    for (int mask = @(lanes // 2); mask > 0; mask /= 2) {
        if (n == 1) {
            x[0] = plus(x[0], shuffle_xor(x[0], mask));
            continue;
        }
        n /= 2;
        for (int r = 0; r < n; r++) {
            bool upper = (at.lane & mask) != 0;
            float mine = upper ? x[r + n] : x[r];
            float other = upper ? x[r] : x[r + n];
            x[r] = plus(mine, shuffle_xor(other, mask));
        }
    }
    return x[0];
}

/* One token: S = decay S + k d; gives o of the row owned. */
DEVICE float step_part(const token &t, const seat &at, part &w)
{
    float ks[@(R)], qs[@(R)];
    for (int r = 0; r < @(R); r++) {
        ks[r] = qs[r] = 0;
        for (int i = 0; i < @(E); i++) {
            ks[r] = fused(w.s[r][i], t.k[i], ks[r]);
            qs[r] = fused(w.s[r][i], t.q[i], qs[r]);
        }
    }
    float kS = sum_rows(at, ks), qS = sum_rows(at, qs);
    float d = times(fused(-t.decay, kS, t.v), t.beta);
    float o = fused(t.decay, qS, times(d, t.qk));
    int first = thread_index() % 32 - at.lane;
    for (int r = 0; r < @(R); r++) {
        float dr = shuffle_from(d, first + r * @(lanes // R));
        for (int i = 0; i < @(E); i++) {
            float x = fused(w.s[r][i], t.decay, times(t.k[i], dr));
//@ if round_between_tokens then
            x = round_@(state)(x);
//@ end
            w.s[r][i] = x;
        }
    }
    return o;
}

/* All tokens of a tile whose state is in w; states that are wanted after one
 * of them, other than final's, are written. */
DEVICE void run_part(const gdr_recurrent_params &p, const slots &s,
                     const item &is, const seat &at, token &now, part &w)
{
    for (i64 t = 0; t < p.T; t++) {
        if (t > 0)
            now = read_token(p, is, at, t);
        write_output(p, is, at, t, step_part(now, at, w));
//@ if contract ~= "final" then
        place to = state_after(p, s, is.b, is.hv, t);
//@     if both then
        if (to.f32)
            save_f32((f32 *)to.at + is.column * @(K), is, at, w);
        else
//@     end
        if (to.at)
            save_far((@(state) *)to.at + is.column * @(K), is, at, w);
//@ end
    }
//@ if contract == "snapshots" then
    if (updates_slot(p))
        save_far((@(state) *)p.state + s.read + is.column * @(K), is, at, w);
//@ end
}
