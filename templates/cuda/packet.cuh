/* Up to PACKET tokens of one head in shared memory, ready for the rank-T form,
 * which takes all of them from one read of S:
 *
 *     d_t = beta_t (v_t - since_t S'k_t - sum_{s<t} kk_ts d_s)
 *     o_t = since_t S'q_t + sum_{s<=t} qk_ts d_s
 *     S   = since S + sum_s until_s k_s d_s'
 *
 * The kernel that includes this says before, with the threads that prepare
 * being PACKET_THREADS of the block, a multiple of 32:
 *
 *     enum { PACKET, PACKET_ROW, PACKET_THREADS };
 *     int packet_place(int quad)   where elements 4 quad .. 4 quad + 3 of a row
 *                                  stand among PACKET_ROW floats
 *     int packet_thread(void)      0 .. PACKET_THREADS - 1
 *     void packet_sync(void)       a barrier of these threads
 *
 * PACKET is a power of two up to 32; elements from K on are zeros. */
struct packet {
    float *q, *k;          /* [PACKET][PACKET_ROW], scaled */
    float *qk, *kk;        /* [PACKET][PACKET], with the decay from s to t */
    float *decay, *beta;   /* [PACKET] */
    float *since, *until;  /* decay from before the packet; to its end */
    int count;
};

/* Once in a kernel. */
DEVICE packet packet_shared(void)
{
    SHARED(float, rows, 2 * PACKET * PACKET_ROW);
    SHARED(float, products, 2 * PACKET * PACKET);
    SHARED(float, factors, 4 * PACKET);
    packet w = {rows, rows + PACKET * PACKET_ROW,
                products, products + PACKET * PACKET,
                factors, factors + PACKET,
                factors + 2 * PACKET, factors + 3 * PACKET, 0};
    return w;
}

//@ include "cuda/fetch.cuh"

DEVICE void write_share(float *row, int lane, const float (&x)[QUADS][4],
                        float by)
{
    UNROLL
    for (int i = 0; i < QUADS; i++) {
        int quad = lane + 32 * i;
        v4 w = {bits_of(times(x[i][0], by)), bits_of(times(x[i][1], by)),
                bits_of(times(x[i][2], by)), bits_of(times(x[i][3], by))};
        if (quad < PACKET_ROW / 4)
            store_v4(row + packet_place(quad), w);
    }
}

DEVICE float dot_four(v4 a, v4 b, float sum)
{
    sum = fused(float_of(a.x), float_of(b.x), sum);
    sum = fused(float_of(a.y), float_of(b.y), sum);
    sum = fused(float_of(a.z), float_of(b.z), sum);
    return fused(float_of(a.w), float_of(b.w), sum);
}

/* The products of token t with the tokens up to it, by one warp. */
DEVICE void multiply_token(const packet &w, int t, int lane)
{
    float qk[PACKET], kk[PACKET];
    UNROLL
    for (int s = 0; s < PACKET; s++) {
        qk[s] = kk[s] = 0;
        if (s > t || t >= w.count)
            continue;
        UNROLL
        for (int i = 0; i < QUADS; i++) {
            int quad = lane + 32 * i, at = packet_place(quad);
            if (quad < PACKET_ROW / 4) {
                v4 k = load_v4(w.k + s * PACKET_ROW + at);
                qk[s] = dot_four(load_v4(w.q + t * PACKET_ROW + at), k, qk[s]);
                kk[s] = dot_four(load_v4(w.k + t * PACKET_ROW + at), k, kk[s]);
            }
        }
    }
    share_sums<PACKET, 32>(qk, lane);
    share_sums<PACKET, 32>(kk, lane);
    int s = first_value<PACKET, 32>(lane);
    if (lane % (32 / PACKET))
        return;
    float decay = 1;
    for (int r = s + 1; r <= t && t < w.count; r++)
        decay = times(decay, w.decay[r]);
    w.qk[t * PACKET + s] = s <= t ? times(decay, qk[0]) : 0;
    w.kk[t * PACKET + s] = s < t ? times(decay, kk[0]) : 0;
    if (s == 0 && t < w.count) {
        w.since[t] = times(decay, w.decay[0]);
        decay = 1;
        for (int r = t + 1; r < w.count; r++)
            decay = times(decay, w.decay[r]);
        w.until[t] = decay;
    }
}

/* Tokens [begin, begin + count), fetched, of key head h; again: there is a
 * packet before, which all threads must have read first. */
DEVICE void prepare_packet(const gdr_recurrent_params &p, packet &w, i64 b,
                           i64 h, i64 begin, const shares &from, bool again)
{
    int warp = packet_thread() / 32, lane = packet_thread() % 32;
    bool aligned = rows_aligned(p);
    w.count = p.T - begin < PACKET ? (int)(p.T - begin) : PACKET;
    if (again)
        packet_sync();
    UNROLL
    for (int n = 0; n < SHARES; n++) {
        int t = warp + n * PACKET_WARPS;
        if (t >= w.count)
            break;
        const share &x = from[n];
        float q[QUADS][4], k[QUADS][4];
        float qq = read_share(q_row(p, b, begin + t, h), aligned, x.q, lane, q);
        float kk = read_share(k_row(p, b, begin + t, h), aligned, x.k, lane, k);
//@ if l2norm then
        qq = sum_lanes<32>(qq);
        kk = sum_lanes<32>(kk);
//@ end
        write_share(w.q + t * PACKET_ROW, lane, q, q_factor(p, qq));
        write_share(w.k + t * PACKET_ROW, lane, k, k_factor(kk));
        gates g = resolve_gates(p, x.g);
        if (lane == 0) {
            w.decay[t] = g.decay;
            w.beta[t] = g.beta;
        }
    }
    packet_sync();
    for (int t = warp; t < PACKET; t += PACKET_WARPS)
        multiply_token(w, t, lane);
    packet_sync();
}
