/* Blocks that stay: each takes tiles grid_blocks() apart and goes through their
 * tokens, a packet at a time. The kernel that includes this says where tiles
 * come from and go to:
 *
 *     struct source
 *     void take_tile(p, source &, n, of, me, slots &, part &)   the next, tile n
 *     void give_tile(p, source &, of, me, slots, part)          `final` alone
 *                                                               has it stored */

/* Tokens from t on of tile n. */
struct spot {
    u32 n;
    i64 t;
};

DEVICE spot spot_after(const gdr_recurrent_params &p, spot now)
{
    spot next = {now.n, now.t + PACKET};
    if (next.t >= p.T) {
        next.n += (u32)grid_blocks();
        next.t = 0;
    }
    return next;
}

/* v of the thread's own row. */
DEVICE float read_v(const gdr_recurrent_params &p, const tile &of,
                    const seat &me, i64 t)
{
    if (me.own >= of.rows || t >= p.T)
        return 0;
    return get_@(io)(v_row(p, of.b, t, of.hv) + of.row + me.own);
}

DEVICE void write_o(const gdr_recurrent_params &p, const tile &of,
                    const seat &me, i64 t, float o)
{
    if (me.own < of.rows && me.lane % (LANES / ROWS) == 0)
        put_@(io)(o_row(p, of.b, t, of.hv) + of.row + me.own, o);
}

//@ if contract ~= "final" then
/* The state after token t, to where it is wanted. */
DEVICE void keep_state(const gdr_recurrent_params &p, const slots &at,
                       const tile &of, const seat &me, i64 t, const part &s)
{
    place to = state_after(p, at, of.b, of.hv, t);
    if (to.at)
        store_far(to, of, me, s);
    if (t + 1 < p.T || !updates_slot(p))
        return;
    place back = {(@(state) *)p.state + at.read};
    store_far(back, of, me, s);
}

//@ end
/* What a worker is at. */
struct work {
    spot now;
    tile of;
    slots at;
    float v; /* of the token to come */
    part s;
};

/* The tokens of a packet; v of the next is asked for before each. */
DEVICE void run_packet(const gdr_recurrent_params &p, const float *tokens,
                       const seat &me, const tile &then, i64 then_t, work &w)
{
    for (int i = 0; i < PACKET && w.now.t + i < p.T; i++) {
        i64 t = w.now.t + i;
        bool last = i + 1 == PACKET || t + 1 == p.T;
        float next = last ? read_v(p, then, me, then_t)
                          : read_v(p, w.of, me, t + 1);
        float o = 0;
        if (w.at.valid) {
            token x;
            take_token(tokens + i * TOKEN, me, x);
            o = advance(x, w.v, me, w.s);
//@ if contract ~= "final" then
            keep_state(p, w.at, w.of, me, t, w.s);
//@ end
        }
        write_o(p, w.of, me, t, o);
        w.v = next;
    }
}

/* All workers. tokens: two packets. */
DEVICE void run_stream(const gdr_recurrent_params &p, source &from,
                       float *tokens)
{
    seat me = find_seat();
    work w;
    w.now.n = (u32)block_index(), w.now.t = 0;
    w.of = find_tile(p, w.now.n);
    w.v = read_v(p, w.of, me, 0);
    prepare_packet(p, w.of, 0, tokens);
    barrier_sync(1, WORKERS);
    for (int turn = 0; w.now.n < count_tiles(p); turn ^= 1) {
        spot next = spot_after(p, w.now);
        tile then = w.of;
        if (next.n != w.now.n && next.n < count_tiles(p))
            then = find_tile(p, next.n);
        if (next.n < count_tiles(p))
            prepare_packet(p, then, next.t,
                           tokens + (1 - turn) * PACKET * TOKEN);
        if (w.now.t == 0)
            take_tile(p, from, w.now.n, w.of, me, w.at, w.s);
        run_packet(p, tokens + turn * PACKET * TOKEN, me, then, next.t, w);
        if (next.n != w.now.n && w.at.valid)
            give_tile(p, from, w.of, me, w.at, w.s);
        barrier_sync(1, WORKERS);
        w.now = next;
        w.of = then;
    }
}
