/* S stored [V][K]: a block of N is N rows of S, one per value column. Their sums
 * are folded across lanes together, each in the same tree whatever N is.
 *
 *     sums_N_FROM             sum = k'S of the block's columns, then q'S
 *     update_N_FROM_TO[_kept] S = decay S + k d, written to TO [and the tile]
 *
 * FROM and TO: mem (the state's dtype), tile (float32, near), f32 (snapshots). */
//@ local W = width
//@ local unit = math.min(unroll, K // W)
//@ while K // W % unit ~= 0 do unit = unit - 1 end
//@ local bytes_of = { f32 = 4, bf16 = 2, f16 = 2 }
//@ local dtype_of = { mem = state, tile = "f32", f32 = "f32" }

//@ local function fold_sums(names)
//@     local list, size = names, W
//@     while size > 1 do
//@         local folded = {}
//@         for i = 1, #list, 2 do
//@             folded[#folded + 1] = ("fold%d(%s, %s)"):format(
//@                 size, list[i], list[i + 1] or list[i])
//@         end
//@         list, size = folded, size // 2
//@     end
//@     return list
//@ end

//@ local function sums(n, from)
//@     local names = {}
INLINE void sums_@(n)_@(from)(const @(dtype_of[from]) *s,
                              const struct token *t, float *sum)
{
//@     for r = 0, n - 1 do
//@         names[r + 1], names[n + r + 1] = "k" .. r, "q" .. r
    vf k@(r) = {0}, q@(r) = {0};
//@     end
    for (int i = 0; i < @(K); i += @(unit * W)) {
//@     if from == "mem" and prefetch > 0 then
//@         for r = 0, n - 1 do
//@             for byte = 0, unit * W * bytes_of[state] - 1, 64 do
        __builtin_prefetch((const char *)(s + i + @((prefetch + r) * K))
                           + @(byte), 1);
//@             end
//@         end
//@     end
//@     for u = 0, unit - 1 do
        {
            vf k = load_f32(t->k + i + @(u * W));
            vf q = load_f32(t->q + i + @(u * W));
//@         for r = 0, n - 1 do
            vf s@(r) = load_@(dtype_of[from])(s + i + @(r * K + u * W));
            k@(r) += s@(r) * k;
            q@(r) += s@(r) * q;
//@         end
        }
//@     end
    }
//@     for i, vector in ipairs(fold_sums(names)) do
    store_f32(sum + @((i - 1) * W), @(vector));
//@     end
}
//@ end

//@ local function update(n, from, to, keep)
INLINE void update_@(n)_@(from)_@(to)@(keep and "_kept" or "")(
    const @(dtype_of[from]) *s, @(dtype_of[to]) *to, float *tile,
    const struct token *t, const float *d)
{
    float decay = t->decay;
//@     for r = 0, n - 1 do
    float d@(r) = d[@(r)];
//@     end
    (void)tile;
    for (int i = 0; i < @(K); i += @(unit * W)) {
//@     for u = 0, unit - 1 do
        {
            vf k = load_f32(t->k + i + @(u * W));
//@         for r = 0, n - 1 do
//@             local at = r * K + u * W
            vf s@(r) = load_@(dtype_of[from])(s + i + @(at)) * decay;
            s@(r) += k * d@(r);
//@             if round_between_tokens then
            s@(r) = round_@(state)(s@(r));
//@             end
            store_@(dtype_of[to])(to + i + @(at), s@(r));
//@             if keep then
            store_f32(tile + i + @(at), s@(r));
//@             end
//@         end
        }
//@     end
    }
}
//@ end

//@ local function save(n)
/* The tile's block back to memory. */
INLINE void save_@(n)(const float *tile, @(state) *to)
{
    for (int i = 0; i < @(n * K); i += @(W))
        store_@(state)(to + i, load_f32(tile + i));
}
//@ end

//@ local blocks = rows > 1 and { rows, 1 } or { 1 }
//@ for _, n in ipairs(blocks) do
//@     if contract == "snapshots" then save(n) end
//@     for _, from in ipairs { "mem", "tile" } do
//@         sums(n, from)
//@         update(n, from, "mem", false)
//@         if contract == "final" or contract == "indexed" then
//@             update(n, from, "tile", false)
//@         end
//@         if contract ~= "final" then
//@             update(n, from, "mem", true)
//@             if contract == "snapshots" and state ~= "f32" then
//@                 update(n, from, "f32", false)
//@                 update(n, from, "f32", true)
//@             end
//@         end
//@     end
//@ end
