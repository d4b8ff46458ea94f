/* The op `recurrent` for states [V][K], fed by bulk copies. A block stays and
 * takes tiles of @(tile_v) rows of one head, grid_blocks() apart. One thread, the
 * feeder, keeps @(stages) tiles on their way to shared memory; @(warps) warps work
 * on them as they come. For `final` a tile is changed in place and goes back as
 * it came; other contracts write each state from registers.
 *
 * Of a stage, `full` completes when its tile is there, `done` when all warps
 * have left it. The feeder alone reads and writes slots; it hands them on in
 * `found`, ordered by `full`. */
//@ abi()

//@ include "cuda/prim.cuh"
//@ include "cuda/token.cuh"
//@ include "cuda/slots.cuh"
//@ include "cuda/tile.cuh"
//@ local final = contract == "final"
//@ local tile = tile_v * K -- elements

/* What the feeder and the workers share. */
struct ring {
    @(state) *tiles;
    slots *found;
    u64 *full, *done;
};

/* A stage after another, and the parity of its phase. */
struct turn {
    int stage;
    u32 parity;
};

DEVICE void next_turn(turn &at)
{
    if (++at.stage == @(stages)) {
        at.stage = 0;
        at.parity ^= 1;
    }
}

DEVICE @(state) *global_tile(const gdr_recurrent_params &p, const slots &s,
                             const item &is)
{
    return (@(state) *)p.state + s.read + (i64)is.column * @(K);
}

DEVICE u32 tile_bytes(const item &is)
{
    return (u32)is.rows * @(K * bytes(state));
}

/* Sends for a tile; without a valid slot its stage is full at once. */
DEVICE void send_for(const gdr_recurrent_params &p, const ring &r, int stage,
                     const item &is, const slots &s)
{
    r.found[stage] = s;
    if (!s.valid) {
        mbarrier_arrive(r.full + stage);
        return;
    }
    mbarrier_arrive_expect(r.full + stage, tile_bytes(is));
    bulk_load(r.tiles + stage * @(tile), global_tile(p, s, is), tile_bytes(is),
              r.full + stage);
}

/* Slots of the tile after are looked up while the one before is waited for. */
DEVICE void feed(const gdr_recurrent_params &p, const ring &r)
{
    i64 items = count_items(p), ahead = block_index();
    for (int i = 0; i < @(stages) && ahead < items; i++) {
        item is = find_item(p, ahead);
        send_for(p, r, i, is, find_slots(p, is.b, is.hv));
        ahead += grid_blocks();
    }
    turn at = {0, 0};
    for (i64 n = block_index(); n < items; n += grid_blocks()) {
        item next = {0, 0, 0, 0};
        slots s = {false, 0, 0};
        if (ahead < items) {
            next = find_item(p, ahead);
            s = find_slots(p, next.b, next.hv);
        }
        mbarrier_wait(r.done + at.stage, at.parity);
//@ if final then
        if (r.found[at.stage].valid) {
            item is = find_item(p, n);
            bulk_store(global_tile(p, r.found[at.stage], is),
                       r.tiles + at.stage * @(tile), tile_bytes(is));
            bulk_commit();
            bulk_wait_read<0>();
        }
//@ end
        if (ahead < items)
            send_for(p, r, at.stage, next, s);
        ahead += grid_blocks();
        next_turn(at);
    }
}

/* This warp has left the stage. */
DEVICE void leave(u64 *done)
{
    warp_sync();
    if (thread_index() % 32 == 0)
        mbarrier_arrive(done);
}

DEVICE void work_on(const gdr_recurrent_params &p, const ring &r, int stage,
                    u32 parity, const item &is, const seat &at)
{
    @(state) *tile = r.tiles + stage * @(tile);
    token first = read_token(p, is, at, 0);
    part w;
    mbarrier_wait(r.full + stage, parity);
    slots s = r.found[stage];
    if (!s.valid) {
        leave(r.done + stage);
        write_zeros(p, is, at);
        return;
    }
    load_part(tile, is, at, w);
//@ if not final then
    leave(r.done + stage);
//@ end
    run_part(p, s, is, at, first, w);
//@ if final then
    save_near(tile, is, at, w);
    fence_async();
    leave(r.done + stage);
//@ end
}

KERNEL LAUNCH_BOUNDS(@(warps * 32 + 32), @(blocks))
    gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    DYNAMIC_SHARED(dynamic);
    DYNAMIC_PART(@(state), tiles, dynamic, 0, @(stages * tile));
    SHARED(u64, full, @(stages));
    SHARED(u64, done, @(stages));
    SHARED(slots, found, @(stages));
    ring r = {tiles, found, full, done};

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
    if (thread_index() >= @(warps * 32)) {
        if (thread_index() == @(warps * 32))
            feed(p, r);
        return;
    }
    seat at = find_seat();
    turn turn = {0, 0};
    for (i64 n = block_index(); n < count_items(p); n += grid_blocks()) {
        work_on(p, r, turn.stage, turn.parity, find_item(p, n), at);
        next_turn(turn);
    }
}
