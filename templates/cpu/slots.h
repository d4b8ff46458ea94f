/* Where a sequence's states are: the one that a call reads, and where the state
 * after each token goes. Offsets are in elements and 64 bits wide. */

struct slots {
    int valid;           /* 0: o is zeros and no state is touched */
    long long slot;      /* the slot read; not for indexed */
    long long read;      /* offset of this head's state */
};

INLINE long long read_index(const gdr_recurrent_params *p, long long at)
{
    return p->flags & INDEX64 ? ((const long long *)p->state_indices)[at]
                              : ((const int *)p->state_indices)[at];
}

INLINE int slot_valid(const gdr_recurrent_params *p, long long slot)
{
    return slot >= p->index_min && slot < p->n_slots;
}

//@ if contract == "indexed" then
/* Row b of state_indices; without any, the slot is b for every token. */
INLINE long long token_slot(const gdr_recurrent_params *p, long long b,
                            long long t)
{
    return p->state_indices ? read_index(p, b * p->idx_b + t) : b;
}
//@ end

//@ if contract == "ring" then
/* Ring position n of a sequence whose slot is known. */
INLINE long long ring_offset(const gdr_recurrent_params *p, long long b,
                             long long slot, long long n)
{
    long long at = (p->cache_seqlens[b] + n) % p->ring;
    return slot * p->s_slot + (at < 0 ? at + p->ring : at) * p->s_ring;
}
//@ end

static struct slots find_slots(const gdr_recurrent_params *p, long long b,
                               long long hv)
{
    struct slots s = {0, b, 0};
//@ if contract == "indexed" then
    int accepted = p->accepted ? p->accepted[b] : 1;
    if (accepted < 1 || accepted > p->T)
        return s;
    s.slot = token_slot(p, b, accepted - 1);
//@ else
    if (p->state_indices)
        s.slot = read_index(p, b);
//@ end
    s.valid = slot_valid(p, s.slot);
//@ if contract == "ring" then
    s.read = s.valid ? ring_offset(p, b, s.slot, 0) : 0;
//@ else
    s.read = s.slot * p->s_slot;
//@ end
    s.read += hv * p->s_head;
    return s;
}

/* The state after token t; NULL: nowhere. */
static void *state_after(const gdr_recurrent_params *p, const struct slots *s,
                         long long b, long long hv, long long t)
{
    @(state) *state = p->state;
//@ if contract == "final" then
    (void)b, (void)hv;
    return t + 1 == p->T ? state + s->read : NULL;
//@ elseif contract == "ring" then
    return state + ring_offset(p, b, s->slot, t + 1) + hv * p->s_head;
//@ elseif contract == "indexed" then
    long long slot = token_slot(p, b, t);
    (void)s;
    return slot_valid(p, slot) ? state + slot * p->s_slot + hv * p->s_head
                               : NULL;
//@ else
    long long n = p->flags & SNAPSHOT_BY_SLOT ? s->slot : b;
    long long at = n * p->snap_n + t * p->snap_t + hv * p->snap_head;
    (void)state;
    if (p->flags & SNAPSHOT_F32)
        return (float *)p->snapshots + at;
    return (@(state) *)p->snapshots + at;
//@ end
}
