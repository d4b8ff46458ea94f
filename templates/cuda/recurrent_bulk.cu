/* The op `recurrent` for states [V][K], fed by bulk copies. A block stays; one
 * of its threads, the feeder, keeps @(stages) tiles on their way to shared memory,
 * and @(warps) warps work on them as they come. For `final` a tile is changed in
 * place and goes back as it came; other contracts write from registers.
 *
 * Of a stage, `full` completes when its tile is there, `done` when all warps
 * have left it. */
//@ abi()

//@ include "cuda/prim.cuh"
//@ include "cuda/token.cuh"
//@ include "cuda/slots.cuh"
//@ include "cuda/vector.cuh"
//@ include "cuda/tile.cuh"
//@ include "cuda/tokens.cuh"
//@ local final = contract == "final"

/* A stage after another, and the parity of its phase. */
struct source {
    @(state) *tiles;
    u64 *full, *done;
    int stage;
    u32 parity;
};

DEVICE void next_stage(source &r)
{
    if (++r.stage == @(stages)) {
        r.stage = 0;
        r.parity ^= 1;
    }
}

DEVICE @(state) *global_tile(const gdr_recurrent_params &p, const slots &at,
                             const tile &of)
{
    return (@(state) *)p.state + at.read + (i64)of.row * @(K);
}

DEVICE u32 tile_bytes(const tile &of)
{
    return (u32)of.rows * @(K * bytes(state));
}

/* ---- the feeder ---- */

/* Without a valid slot a stage is full at once. */
DEVICE void send_for(const gdr_recurrent_params &p, const source &r, int stage,
                     const tile &of, const slots &at)
{
    if (!at.valid) {
        mbarrier_arrive(r.full + stage);
        return;
    }
    mbarrier_arrive_expect(r.full + stage, tile_bytes(of));
    bulk_load(r.tiles + stage * TILE, global_tile(p, at, of), tile_bytes(of),
              r.full + stage);
}

//@ if final then
/* Sends a tile back; its stage is free after that. */
DEVICE void send_back(const gdr_recurrent_params &p, const source &r,
                      const tile &of, const slots &at)
{
    if (!at.valid)
        return;
    bulk_store(global_tile(p, at, of), r.tiles + r.stage * TILE,
               tile_bytes(of));
    bulk_commit();
    bulk_wait_read<0>();
}

//@ end
/* Slots are looked up while an earlier tile is waited for. */
DEVICE void feed(const gdr_recurrent_params &p, source &r)
{
    u32 tiles = count_tiles(p), step = (u32)grid_blocks();
    u32 n = (u32)block_index(), ahead = n;
    for (int i = 0; i < @(stages) && ahead < tiles; i++, ahead += step) {
        tile of = find_tile(p, ahead);
        send_for(p, r, i, of, find_slots(p, of.b, of.hv));
    }
    for (; n < tiles; n += step, ahead += step) {
        tile next = find_tile(p, ahead < tiles ? ahead : n);
        slots next_at = find_slots(p, next.b, next.hv);
//@ if final then
        tile of = find_tile(p, n);
        slots at = find_slots(p, of.b, of.hv);
//@ end
        mbarrier_wait(r.done + r.stage, r.parity);
//@ if final then
        send_back(p, r, of, at);
//@ end
        if (ahead < tiles)
            send_for(p, r, r.stage, next, next_at);
        next_stage(r);
    }
}

/* ---- the workers ---- */

DEVICE void leave_stage(source &r)
{
    warp_sync();
    if (thread_index() % 32 == 0)
        mbarrier_arrive(r.done + r.stage);
    next_stage(r);
}

DEVICE void take_tile(const gdr_recurrent_params &p, source &r, u32 n,
                      const tile &of, const seat &me, slots &at, part &s)
{
    (void)n;
    at = find_slots(p, of.b, of.hv);
    mbarrier_wait(r.full + r.stage, r.parity);
    if (at.valid)
        load_near(r.tiles + r.stage * TILE, of, me, s);
//@ if final then
    if (!at.valid)
//@ end
        leave_stage(r);
}

DEVICE void give_tile(const gdr_recurrent_params &p, source &r, const tile &of,
                      const seat &me, const slots &at, const part &s)
{
    (void)p, (void)at;
//@ if final then
    store_near(r.tiles + r.stage * TILE, of, me, s);
    fence_async();
    leave_stage(r);
//@ else
    (void)r, (void)of, (void)me, (void)s;
//@ end
}

//@ include "cuda/stream.cuh"

KERNEL LAUNCH_BOUNDS(WORKERS + 32, @(blocks))
gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    DYNAMIC_SHARED(dynamic);
    DYNAMIC_PART(@(state), tiles, dynamic, 0, @(stages) * TILE);
    DYNAMIC_PART(float, tokens, dynamic, @(stages * bytes(state)) * TILE,
                 2 * PACKET * TOKEN);
    SHARED(u64, full, @(stages));
    SHARED(u64, done, @(stages));
    source r = {tiles, full, done, 0, 0};

    if (thread_index() == 0) {
        for (int i = 0; i < @(stages); i++) {
            mbarrier_init(full + i, 1);
            mbarrier_init(done + i, @(warps));
        }
        mbarrier_init_fence();
    }
    block_sync();
//@ if pdl == 1 then
    grid_release();
    grid_wait();
//@ end
    if (thread_index() < WORKERS)
        run_stream(p, r, tokens);
    else if (thread_index() == WORKERS)
        feed(p, r);
}
