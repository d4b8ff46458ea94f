/* A tile: @(tile_v) rows of a head's S at most, adjacent, worked on by @(warps) warps.
 * @(lanes) lanes hold a row between them, each every @(lanes)th of its 16-byte
 * vectors, and a thread has its part of a few rows in registers through all
 * tokens. Both dots of a token come from one pass, o = decay q'S + d q'k. What
 * is computed depends neither on the block nor on what it did before. */
//@ local N = 16 // bytes(state)
//@ local rows = vk_rows(lanes, tile_v, warps)
//@ local slice = vk_slice(K, state, lanes)
//@ local ragged_k = K // N % lanes ~= 0

enum {
    LANES = @(lanes),
    WORKERS = @(32 * warps), /* threads 0 .. WORKERS - 1 of the block */
    ROWS = @(rows),          /* of a thread */
    VECTORS = @(slice // N), /* of a row, per lane */
    SLICE = @(slice),        /* elements of a row in a lane */
    TILES = @(ceil_div(V, tile_v)),
    TILE = @(tile_v * K) /* elements */
};

/* Rows [row, row + rows) of a head of a sequence. */
struct tile {
    u32 b, hv;
    int row, rows;
};

DEVICE u32 count_tiles(const gdr_recurrent_params &p)
{
    return (u32)p.B * (u32)p.Hv * TILES;
}

DEVICE tile find_tile(const gdr_recurrent_params &p, u32 n)
{
    u32 head = n / TILES;
    tile w;
    w.b = head / (u32)p.Hv;
    w.hv = head % (u32)p.Hv;
    w.row = (int)(n % TILES) * @(tile_v);
    w.rows = @(V) - w.row < @(tile_v) ? @(V) - w.row : @(tile_v);
    return w;
}

/* What a thread has of each tile. */
struct seat {
    int lane;  /* in its group */
    int group; /* the group's first lane in the warp */
    int row;   /* its first row */
    int own;   /* the row whose sums it gets */
    int at;    /* its first element */
};

DEVICE seat find_seat(void)
{
    seat w;
    w.lane = thread_index() % LANES;
    w.group = thread_index() % 32 - w.lane;
    w.row = thread_index() / LANES * ROWS;
    w.own = w.row + first_value<ROWS, LANES>(w.lane);
    w.at = w.row * @(K) + w.lane * VECTOR;
    return w;
}

/* Is there a vector j of row i for this thread? */
DEVICE bool has_vector(const tile &of, const seat &me, int i, int j)
{
//@ if ragged_k then
    if (j + 1 == VECTORS && me.lane + j * LANES >= @(K // N))
        return false;
//@ end
    return me.row + i < of.rows;
}
DEVICE int vector_at(const seat &me, int i, int j)
{
    return me.at + i * @(K) + j * (LANES * VECTOR);
}

typedef float part[ROWS][SLICE]; /* of S; rows that are not there are zeros */

DEVICE void load_near(const @(state) *near, const tile &of, const seat &me,
                      part &s)
{
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        UNROLL
        for (int j = 0; j < VECTORS; j++) {
            v4 x = {0, 0, 0, 0};
            if (has_vector(of, me, i, j))
                x = load_v4(near + vector_at(me, i, j));
            unpack_state(x, s[i] + j * VECTOR);
        }
    }
}

DEVICE void store_near(@(state) *near, const tile &of, const seat &me,
                       const part &s)
{
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        UNROLL
        for (int j = 0; j < VECTORS; j++)
            if (has_vector(of, me, i, j))
                store_v4(near + vector_at(me, i, j),
                         pack_state(s[i] + j * VECTOR));
    }
}

/* To a head's state in global memory. */
DEVICE void store_far(const place &to, const tile &of, const seat &me,
                      const part &s)
{
    i64 first = (i64)of.row * @(K);
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        UNROLL
        for (int j = 0; j < VECTORS; j++)
            if (has_vector(of, me, i, j))
                store_vector(to, first + vector_at(me, i, j),
                             s[i] + j * VECTOR);
    }
}

/* One token for a lane. */
struct token {
    float q[SLICE], k[SLICE];
    float qk, decay, beta;
};

DEVICE float dot_slices(const float *a, const float (&b)[SLICE])
{
    float sum[2] = {0, 0};
    UNROLL
    for (int e = 0; e < SLICE; e++)
        sum[e % 2] = fused(a[e], b[e], sum[e % 2]);
    return plus(sum[0], sum[1]);
}

/* S = decay S + k d; gives o of the thread's own row, whose v it is given. */
DEVICE float advance(const token &t, float v, const seat &me, part &s)
{
    float k[ROWS], q[ROWS];
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        k[i] = dot_slices(s[i], t.k);
        q[i] = dot_slices(s[i], t.q);
    }
    share_sums<ROWS, LANES>(k, me.lane);
    share_sums<ROWS, LANES>(q, me.lane);
    float d = times(t.beta, fused(-t.decay, k[0], v));
    float o = fused(t.decay, q[0], times(d, t.qk));
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        int from = me.group + lane_of_value<ROWS, LANES>(i);
        float di = shuffle_from(d, from);
        UNROLL
        for (int e = 0; e < SLICE; e++) {
            s[i][e] = fused(s[i][e], t.decay, times(t.k[e], di));
//@ if round_between_tokens then
            s[i][e] = round_@(state)(s[i][e]);
//@ end
        }
    }
    return o;
}
