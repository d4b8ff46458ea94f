/* Rows of S in registers through all tokens by the rank-T form, PACKET tokens at
 * a time; more than these cost accumulators, while S stays where it is. SOME
 * rows of a thread go through all of it while the rest are on their way. */
//@ local N = 16 // bytes(state)
//@ local quads = N // 4

enum {
    PACKET = 4,
    PACKET_ROW = LANES * SLICE,
    PACKET_THREADS = @(32 * warps),
    SOME = ROWS < 4 ? ROWS : 4 /* rows that share reads of k and q */
};

/* The lanes of a group read adjacent quads. */
DEVICE int packet_place(int quad)
{
    int vector = quad / @(quads), part = quad % @(quads);
    int lane = vector % LANES, j = vector / LANES;
    return 4 * ((j * @(quads) + part) * LANES + lane);
}
DEVICE int packet_thread(void) { return thread_index(); }
DEVICE void packet_sync(void) { block_sync(); }

//@ include "cuda/packet.cuh"

/* Where this lane's quad c of a row begins: elements 4c of its slice. */
DEVICE int slice_place(const work &w, int c) { return 4 * (c * LANES + w.lane); }

DEVICE void add_dots(v4 a, const float *s, float &sum)
{
    sum = fused(float_of(a.x), s[0], sum);
    sum = fused(float_of(a.y), s[1], sum);
    sum = fused(float_of(a.z), s[2], sum);
    sum = fused(float_of(a.w), s[3], sum);
}

typedef float tall[SOME][SLICE];

/* S'k and S'q; a lane gets those of token first_value<PACKET, LANES>. */
DEVICE void look_packet(const packet &x, const work &w, const tall &s,
                        float (&k)[SOME], float (&q)[SOME])
{
    float ks[SOME][PACKET], qs[SOME][PACKET];
    UNROLL
    for (int t = 0; t < PACKET; t++) {
        UNROLL
        for (int i = 0; i < SOME; i++)
            ks[i][t] = qs[i][t] = 0;
        if (t < x.count) {
            UNROLL
            for (int c = 0; c < SLICE / 4; c++) {
                int at = t * PACKET_ROW + slice_place(w, c);
                v4 kc = load_v4(x.k + at), qc = load_v4(x.q + at);
                UNROLL
                for (int i = 0; i < SOME; i++) {
                    add_dots(kc, s[i] + 4 * c, ks[i][t]);
                    add_dots(qc, s[i] + 4 * c, qs[i][t]);
                }
            }
        }
    }
    UNROLL
    for (int i = 0; i < SOME; i++) {
        share_sums<PACKET, LANES>(ks[i], w.lane);
        share_sums<PACKET, LANES>(qs[i], w.lane);
        k[i] = ks[i][0];
        q[i] = qs[i][0];
    }
}

/* Forward substitution: from S'k, S'q and v of its token to d of all tokens,
 * and o of its own in q. */
DEVICE void substitute(const packet &x, const work &w, const float (&v)[SOME],
                       float (&k)[SOME], float (&q)[SOME],
                       float (&d)[SOME][PACKET])
{
    int t = first_value<PACKET, LANES>(w.lane);
    bool is_token = t < x.count;
    float since = is_token ? x.since[t] : 0, beta = is_token ? x.beta[t] : 0;
    UNROLL
    for (int i = 0; i < SOME; i++) {
        k[i] = fused(-since, k[i], v[i]);
        q[i] = times(since, q[i]);
    }
    UNROLL
    for (int s = 0; s < PACKET; s++) {
        float kk = x.kk[t * PACKET + s], qk = x.qk[t * PACKET + s];
        int from = w.group + lane_of_value<PACKET, LANES>(s);
        UNROLL
        for (int i = 0; i < SOME; i++) {
            d[i][s] = shuffle_from(times(beta, k[i]), from);
            k[i] = fused(-kk, d[i][s], k[i]);
            q[i] = s <= t ? fused(qk, d[i][s], q[i]) : q[i];
        }
    }
}

/* What a packet is made of, on its way. */
struct fetched {
    shares tokens;
    @(io) v[SOME]; /* of this lane's token */
};

DEVICE void fetch(const gdr_recurrent_params &p, const work &w, i64 begin,
                  int first, bool tokens, fetched &x)
{
    i64 t = begin + first_value<PACKET, LANES>(w.lane);
    if (tokens)
        fetch_packet(p, w.b, w.hv, w.h, begin, x.tokens);
    UNROLL
    for (int i = 0; i < SOME; i++) {
        x.v[i] = 0;
        if (t < p.T && has_row(w, first + i))
            x.v[i] = v_row(p, w.b, t, w.hv)[w.row + first + i];
    }
}
/* Numbers of o of this lane's token of the packet. */
DEVICE void write_o(const gdr_recurrent_params &p, const work &w, i64 begin,
                    int first, const float (&o)[SOME])
{
    i64 t = begin + first_value<PACKET, LANES>(w.lane);
    if (w.lane % (LANES / PACKET) || t >= p.T)
        return;
    UNROLL
    for (int i = 0; i < SOME; i++)
        if (has_row(w, first + i))
            put_@(io)(o_row(p, w.b, t, w.hv) + w.row + first + i, o[i]);
}

DEVICE void add_product(v4 k, float d, float *s)
{
    s[0] = fused(float_of(k.x), d, s[0]);
    s[1] = fused(float_of(k.y), d, s[1]);
    s[2] = fused(float_of(k.z), d, s[2]);
    s[3] = fused(float_of(k.w), d, s[3]);
}

DEVICE void store_rows(const work &w, const place &to, int first, const tall &s)
{
    UNROLL
    for (int i = 0; i < SOME; i++) {
        UNROLL
        for (int j = 0; j < VECTORS; j++)
            if (has_row(w, first + i) && has_vector(w, j))
                store_vector(to, w.at + vector_at(first + i, j),
                             s[i] + j * VECTOR);
    }
}

/* S times decay, and k of token t times d. */
DEVICE void advance_packet(const packet &x, const work &w, int t, float decay,
                           const float (&d)[SOME], tall &s)
{
    UNROLL
    for (int c = 0; c < SLICE / 4; c++) {
        v4 k = load_v4(x.k + t * PACKET_ROW + slice_place(w, c));
        UNROLL
        for (int i = 0; i < SOME; i++) {
            UNROLL
            for (int e = 4 * c; e < 4 * c + 4; e++)
                s[i][e] = times(s[i][e], decay);
            add_product(k, d[i], s[i] + 4 * c);
        }
    }
}

//@ if contract == "final" then
/* No state between the tokens is wanted: S decays once. */
DEVICE void finish_packet(const gdr_recurrent_params &p, const work &w,
                          const slots &at, const packet &x, i64 begin,
                          int first, float (&d)[SOME][PACKET], tall &s)
{
    float decay = x.since[x.count - 1];
    UNROLL
    for (int i = 0; i < SOME; i++) {
        UNROLL
        for (int t = 0; t < PACKET; t++)
            if (t < x.count)
                d[i][t] = times(d[i][t], x.until[t]);
        UNROLL
        for (int e = 0; e < SLICE; e++)
            s[i][e] = times(s[i][e], decay);
    }
    UNROLL
    for (int t = 0; t < PACKET; t++) {
        if (t < x.count) {
            UNROLL
            for (int c = 0; c < SLICE / 4; c++) {
                v4 k = load_v4(x.k + t * PACKET_ROW + slice_place(w, c));
                UNROLL
                for (int i = 0; i < SOME; i++)
                    add_product(k, d[i][t], s[i] + 4 * c);
            }
        }
    }
    if (begin + x.count == p.T)
        store_rows(w, state_after(p, at, w.b, w.hv, p.T - 1), first, s);
}
//@ else
DEVICE void finish_packet(const gdr_recurrent_params &p, const work &w,
                          const slots &at, const packet &x, i64 begin,
                          int first, float (&d)[SOME][PACKET], tall &s)
{
    UNROLL
    for (int t = 0; t < PACKET; t++) {
        if (t < x.count) {
            float dt[SOME];
            UNROLL
            for (int i = 0; i < SOME; i++)
                dt[i] = d[i][t];
            advance_packet(x, w, t, x.decay[t], dt, s);
            place to = state_after(p, at, w.b, w.hv, begin + t);
            if (to.at)
                store_rows(w, to, first, s);
        }
    }
}
//@ end

/* SOME rows through all tokens, the first packet of which is fetched. A packet
 * that holds them all is prepared once. */
DEVICE void run_rows(const gdr_recurrent_params &p, const work &w,
                     const slots &at, packet &x, int first, fetched &from,
                     tall &s)
{
    float v[SOME], k[SOME], q[SOME], d[SOME][PACKET];
    for (i64 begin = 0; begin < p.T; begin += PACKET) {
        work here = w;
        here.b = opaque(w.b), here.hv = opaque(w.hv);
        if (begin > 0)
            fetch(p, here, begin, first, true, from);
        if (first == 0 || p.T > PACKET)
            prepare_packet(p, x, here.b, w.h, begin, from.tokens,
                           first > 0 || begin > 0);
        UNROLL
        for (int i = 0; i < SOME; i++)
            v[i] = get_@(io)(&from.v[i]);
        look_packet(x, w, s, k, q);
        substitute(x, w, v, k, q, d);
        write_o(p, here, begin, first, q);
        finish_packet(p, here, at, x, begin, first, d, s);
    }
    if (updates_slot(p)) {
        place to = {(@(state) *)p.state + at.read};
        store_rows(w, to, first, s);
    }
}

/* from: the first packet, for the first SOME rows. */
DEVICE void run_packets(const gdr_recurrent_params &p, const work &w,
                        const slots &at, const loaded &rows, fetched &from)
{
    packet x = packet_shared();
    UNROLL
    for (int first = 0; first < ROWS; first += SOME) {
        tall s;
        if (first > 0)
            fetch(p, w, 0, first, p.T > PACKET, from);
        UNROLL
        for (int i = 0; i < SOME; i++) {
            UNROLL
            for (int j = 0; j < VECTORS; j++)
                unpack_state(rows[first + i][j], s[i] + j * VECTOR);
        }
        run_rows(p, w, at, x, first, from, s);
    }
}
