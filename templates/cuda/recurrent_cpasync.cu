/* The op `recurrent` for states [V][K], fed by cp.async. A block stays; every
 * thread copies just what it works on later, so that nobody waits for another
 * thread's copies. It has @(stages) tiles on their way, and sends for the next as
 * soon as one is in its registers, from where states go back. */
//@ abi()

//@ include "cuda/prim.cuh"
//@ include "cuda/token.cuh"
//@ include "cuda/slots.cuh"
//@ include "cuda/vector.cuh"
//@ include "cuda/tile.cuh"
//@ include "cuda/tokens.cuh"

struct source {
    @(state) *tiles;
    int stage;
};

/* Sends for this thread's part of tile n: a group of copies, maybe empty. */
DEVICE void send_for(const gdr_recurrent_params &p, u32 n, const seat &me,
                     @(state) *near)
{
    if (n < count_tiles(p)) {
        tile of = find_tile(p, n);
        slots at = find_slots(p, of.b, of.hv);
        const @(state) *far = (@(state) *)p.state + at.read;
        far += (i64)of.row * @(K);
        UNROLL
        for (int i = 0; i < ROWS; i++) {
            UNROLL
            for (int j = 0; j < VECTORS; j++) {
                int x = vector_at(me, i, j);
                if (at.valid && has_vector(of, me, i, j))
                    copy_async(near + x, far + x);
            }
        }
    }
    copy_commit();
}

DEVICE void take_tile(const gdr_recurrent_params &p, source &r, u32 n,
                      const tile &of, const seat &me, slots &at, part &s)
{
    @(state) *near = r.tiles + r.stage * TILE;
    at = find_slots(p, of.b, of.hv);
    copy_wait<@(stages - 1)>();
    if (at.valid)
        load_near(near, of, me, s);
    send_for(p, n + @(stages) * (u32)grid_blocks(), me, near);
    r.stage = r.stage + 1 < @(stages) ? r.stage + 1 : 0;
}

DEVICE void give_tile(const gdr_recurrent_params &p, source &r, const tile &of,
                      const seat &me, const slots &at, const part &s)
{
    (void)r;
//@ if contract == "final" then
    place to = {(@(state) *)p.state + at.read};
    store_far(to, of, me, s);
//@ else
    (void)p, (void)of, (void)me, (void)at, (void)s;
//@ end
}

//@ include "cuda/stream.cuh"

KERNEL LAUNCH_BOUNDS(WORKERS, @(blocks))
gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    DYNAMIC_SHARED(dynamic);
    DYNAMIC_PART(@(state), tiles, dynamic, 0, @(stages) * TILE);
    DYNAMIC_PART(float, tokens, dynamic, @(stages * bytes(state)) * TILE,
                 2 * PACKET * TOKEN);
    seat me = find_seat();
    source r = {tiles, 0};
    for (u32 i = 0; i < @(stages); i++)
        send_for(p, (u32)block_index() + i * (u32)grid_blocks(), me,
                 tiles + i * TILE);
    run_stream(p, r, tokens);
}
