/* The tokens of a packet on their way from memory to registers: each is one
 * warp's. The kernel says before
 *
 *     enum { PACKET, PACKET_ROW, PACKET_THREADS };   tokens; floats of a row;
 *                                                    threads, a multiple of 32
 *     int packet_thread(void)                        0 .. PACKET_THREADS - 1
 */
enum {
    QUADS = (PACKET_ROW / 4 + 31) / 32, /* of a row, per lane of a warp */
    PACKET_WARPS = PACKET_THREADS / 32,
    SHARES = (PACKET + PACKET_WARPS - 1) / PACKET_WARPS /* tokens of a warp */
};

/* A lane's part of a token as it lies in memory. */
struct share {
    four q[QUADS], k[QUADS]; /* where rows are aligned */
    raw_gates g;
};
typedef share shares[SHARES];

/* This lane's quad of a row, of which it may have none. */
DEVICE bool has_quad(int lane, int i) { return lane + 32 * i < @(K // 4); }

/* Asks for the tokens of a packet, from `begin` on. */
DEVICE void fetch_packet(const gdr_recurrent_params &p, i64 b, i64 hv, i64 h,
                         i64 begin, shares &x)
{
    int warp = packet_thread() / 32, lane = packet_thread() % 32;
    bool aligned = rows_aligned(p);
    UNROLL
    for (int n = 0; n < SHARES; n++) {
        i64 t = warp + n * PACKET_WARPS;
        if (t >= PACKET || begin + t >= p.T)
            break;
        t += begin;
        x[n].g = fetch_gates(p, b, t, hv);
        if (!aligned)
            continue;
        UNROLL
        for (int i = 0; i < QUADS; i++) {
            if (!has_quad(lane, i))
                continue;
            x[n].q[i] = load_four(q_row(p, b, t, h) + 4 * (lane + 32 * i));
            x[n].k[i] = load_four(k_row(p, b, t, h) + 4 * (lane + 32 * i));
        }
    }
}

/* The quads of a row that this lane has, and the sum of their squares. */
DEVICE float read_share(const @(io) *row, bool aligned, const four (&from)[QUADS],
                        int lane, float (&x)[QUADS][4])
{
    float squares = 0;
    UNROLL
    for (int i = 0; i < QUADS; i++) {
        x[i][0] = x[i][1] = x[i][2] = x[i][3] = 0;
        if (has_quad(lane, i) && aligned)
            unpack_four(from[i], x[i]);
        else if (has_quad(lane, i))
            read_four(row + 4 * (lane + 32 * i), false, x[i]);
        UNROLL
        for (int e = 0; e < 4; e++)
            squares = fused(x[i][e], x[i][e], squares);
    }
    return squares;
}
