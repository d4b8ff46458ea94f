/* Where a sequence's states are: the one that a call reads, and where the state
 * after each token goes. Offsets are in elements and 64 bits wide. On a card a
 * state begins at a multiple of 16 bytes (gdr.h), so vectors may be used. */

struct slots {
    bool valid; /* false: o is zeros and no state is touched */
    i64 slot;   /* the slot read; not for indexed */
    i64 read;   /* offset of this head's state */
//@ if contract == "ring" then
    i64 position; /* in the ring, of the state read */
//@ end
};

DEVICE i64 read_index(const gdr_recurrent_params &p, i64 at)
{
    return p.flags & INDEX64 ? ((const i64 *)p.state_indices)[at]
                             : ((const int *)p.state_indices)[at];
}

DEVICE bool slot_valid(const gdr_recurrent_params &p, i64 slot)
{
    return slot >= p.index_min && slot < p.n_slots;
}

//@ if contract == "indexed" then
/* Row b of state_indices; without any, the slot is b for every token. */
DEVICE i64 token_slot(const gdr_recurrent_params &p, i64 b, i64 t)
{
    return p.state_indices ? read_index(p, b * p.idx_b + t) : b;
}
//@ end

//@ if contract == "ring" then
/* Where the state n places behind the one read is, n <= ring. */
DEVICE i64 ring_offset(const gdr_recurrent_params &p, const slots &s, i64 n)
{
    i64 at = s.position + n;
    return s.slot * p.s_slot + (at < p.ring ? at : at - p.ring) * p.s_ring;
}
//@ end

DEVICE slots find_slots(const gdr_recurrent_params &p, i64 b, i64 hv)
{
    slots s = {};
    s.slot = b;
//@ if contract == "indexed" then
    int accepted = p.accepted ? p.accepted[b] : 1;
    if (accepted < 1 || accepted > p.T)
        return s;
    s.slot = token_slot(p, b, accepted - 1);
//@ else
    if (p.state_indices)
        s.slot = read_index(p, b);
//@ end
    s.valid = slot_valid(p, s.slot);
    if (!s.valid)
        return s;
//@ if contract == "ring" then
    s.position = p.cache_seqlens[b] % p.ring;
    if (s.position < 0)
        s.position += p.ring;
    s.read = ring_offset(p, s, 0);
//@ else
    s.read = s.slot * p.s_slot;
//@ end
    s.read += hv * p.s_head;
    return s;
}

//@ -- Snapshots may be float32 where states are not.
//@ local both = contract == "snapshots" and state ~= "f32"
/* Where the state after token t begins; NULL: nowhere. */
struct place {
    void *at;
//@ if both then
    bool f32; /* float32, not the state's dtype */
//@ end
};

DEVICE place state_after(const gdr_recurrent_params &p, const slots &s, i64 b,
                         i64 hv, i64 t)
{
//@ if contract ~= "snapshots" then
    @(state) *state = (@(state) *)p.state;
//@ end
//@ if contract == "final" then
    place to = {t + 1 == p.T ? state + s.read : 0};
//@ elseif contract == "ring" then
    place to = {state + ring_offset(p, s, t + 1) + hv * p.s_head};
//@ elseif contract == "indexed" then
    i64 slot = token_slot(p, b, t);
    bool valid = slot_valid(p, slot);
    place to = {valid ? state + slot * p.s_slot + hv * p.s_head : 0};
//@ else
    i64 n = p.flags & SNAPSHOT_BY_SLOT ? s.slot : b;
    i64 at = n * p.snap_n + t * p.snap_t + hv * p.snap_head;
    place to = {(@(state) *)p.snapshots + at};
//@     if both then
    to.f32 = (p.flags & SNAPSHOT_F32) != 0;
    if (to.f32)
        to.at = (float *)p.snapshots + at;
//@     end
//@ end
    return to;
}

/* Snapshots alone: is the slot that was read replaced at the end, too? */
DEVICE bool updates_slot(const gdr_recurrent_params &p)
{
//@ if contract == "snapshots" then
    return (p.flags & UPDATE_STATE) != 0;
//@ else
    return false;
//@ end
}
