/* A few tokens of one head in shared memory, normalised and scaled, each made
 * by one warp while the workers are at the tokens before: there are two
 * packets, used in turn. */
//@ local N = 16 // bytes(state)
//@ local parts = N // 4 -- quads, four elements each, of a vector
//@ local row = vk_slice(K, state, lanes) * lanes

enum {
    PACKET = @(vk_packet(K)),        /* tokens */
    TOKEN = @(2 * row + 4),          /* floats: q, k, what rows share */
    QUADS = @(ceil_div(row, 4 * 32)) /* of q or k, per lane of a warp */
};

/* A lane of a group reads its vectors in quads side by side with the others. */
DEVICE int quad_place(int quad)
{
    int vector = quad / @(parts), part = quad % @(parts);
    int lane = vector % LANES, j = vector / LANES;
    return 4 * ((j * @(parts) + part) * LANES + lane);
}

typedef float share[QUADS][4]; /* of q or k in a lane */

/* Elements from K on are zeros. */
DEVICE void read_share(const @(io) *from, int lane, share &x)
{
    bool aligned = row_aligned(from);
    UNROLL
    for (int i = 0; i < QUADS; i++) {
        int quad = lane + 32 * i;
        x[i][0] = x[i][1] = x[i][2] = x[i][3] = 0;
        if (quad < @(K // 4))
            read_four(from + 4 * quad, aligned, x[i]);
    }
}

DEVICE float dot_shares(const share &a, const share &b)
{
    float sum = 0;
    UNROLL
    for (int i = 0; i < QUADS; i++) {
        UNROLL
        for (int e = 0; e < 4; e++)
            sum = fused(a[i][e], b[i][e], sum);
    }
    return sum_lanes<32>(sum);
}

DEVICE void write_share(float *to, int lane, const share &x)
{
    UNROLL
    for (int i = 0; i < QUADS; i++) {
        int quad = lane + 32 * i;
        v4 w = {bits_of(x[i][0]), bits_of(x[i][1]), bits_of(x[i][2]),
                bits_of(x[i][3])};
        if (quad < @(row // 4))
            store_v4(to + quad_place(quad), w);
    }
}

DEVICE void scale_share(share &x, float by)
{
    UNROLL
    for (int i = 0; i < QUADS; i++) {
        UNROLL
        for (int e = 0; e < 4; e++)
            x[i][e] = times(x[i][e], by);
    }
}

/* By one warp. */
DEVICE void prepare_token(const gdr_recurrent_params &p, const tile &of, i64 t,
                          int lane, float *to)
{
    i64 h = key_head(p, of.hv);
    share q, k;
    raw_gates raw = fetch_gates(p, of.b, t, of.hv);
    read_share(q_row(p, of.b, t, h), lane, q);
    read_share(k_row(p, of.b, t, h), lane, k);
    gates g = resolve_gates(p, raw);
//@ if l2norm then
    scale_share(q, q_factor(p, dot_shares(q, q)));
    scale_share(k, k_factor(dot_shares(k, k)));
//@ else
    scale_share(q, q_factor(p, 0));
//@ end
    float qk = dot_shares(q, k);
    write_share(to, lane, q);
    write_share(to + @(row), lane, k);
    v4 rest = {bits_of(qk), bits_of(g.decay), bits_of(g.beta), 0};
    if (lane == 0)
        store_v4(to + @(2 * row), rest);
}

/* Tokens from `begin` on, as many as there are; before a barrier of the
 * workers, which are past the packet that was here. */
DEVICE void prepare_packet(const gdr_recurrent_params &p, const tile &of,
                           i64 begin, float *to)
{
    for (int i = thread_index() / 32; i < PACKET; i += WORKERS / 32)
        if (begin + i < p.T)
            prepare_token(p, of, begin + i, thread_index() % 32,
                          to + i * TOKEN);
}

DEVICE void read_quads(const float *from, const seat &me, float (&x)[SLICE])
{
    UNROLL
    for (int c = 0; c < SLICE / 4; c++) {
        v4 w = load_v4(from + 4 * (c * LANES + me.lane));
        x[4 * c] = float_of(w.x), x[4 * c + 1] = float_of(w.y);
        x[4 * c + 2] = float_of(w.z), x[4 * c + 3] = float_of(w.w);
    }
}

DEVICE void take_token(const float *from, const seat &me, token &x)
{
    read_quads(from, me, x.q);
    read_quads(from + @(row), me, x.k);
    v4 rest = load_v4(from + @(2 * row));
    x.qk = float_of(rest.x), x.decay = float_of(rest.y);
    x.beta = float_of(rest.z);
}
