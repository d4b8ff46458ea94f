/* S stored [K][V]: a block of N is N vectors of adjacent value columns, whose
 * sums stay in registers while the block's K rows go by. No sum crosses lanes.
 * Names and meanings as in rows_vk.h. The tile has the block's columns only:
 * N vectors to a row.
 *
 * Several partial sums per column, `unroll` of them and added at the end, break
 * the chain of dependent additions and keep the rounding of long sums small. */
//@ local W = width
//@ local parts = math.min(unroll, 4)
//@ local bytes_of = { f32 = 4, bf16 = 2, f16 = 2 }
//@ local dtype_of = { mem = state, tile = "f32", f32 = "f32" }
//@ local function row_of(place, n)
//@     return place == "tile" and n * W or V
//@ end

//@ local function sums(n, from)
//@     local T, row = dtype_of[from], row_of(from, n)
INLINE void sums_@(n)_@(from)(const @(T) *s, const struct token *t, float *sum)
{
//@     for u = 0, parts - 1 do
//@         for r = 0, n - 1 do
    vf k@(u)_@(r) = {0}, q@(u)_@(r) = {0};
//@         end
//@     end
    for (int i = 0; i < @(K); i += @(parts)) {
//@     for u = 0, parts - 1 do
//@         if from == "mem" and prefetch > 0 then
//@             for byte = 0, n * W * bytes_of[state] - 1, 64 do
        __builtin_prefetch((const char *)(s + (i + @(u + prefetch)) * @(row))
                           + @(byte), 1);
//@             end
//@         end
//@         for r = 0, n - 1 do
        {
            vf x = load_@(T)(s + (i + @(u)) * @(row) + @(r * W));
            k@(u)_@(r) += x * t->k[i + @(u)];
            q@(u)_@(r) += x * t->q[i + @(u)];
        }
//@         end
//@     end
    }
//@     for r = 0, n - 1 do
//@         local k, q = {}, {}
//@         for u = 0, parts - 1 do
//@             k[u + 1], q[u + 1] = ("k%d_%d"):format(u, r), ("q%d_%d"):format(u, r)
//@         end
    store_f32(sum + @(r * W), @(table.concat(k, " + ")));
    store_f32(sum + @((n + r) * W), @(table.concat(q, " + ")));
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
    vf d@(r) = load_f32(d + @(r * W));
//@     end
    (void)tile;
    for (int i = 0; i < @(K); i++) {
//@     for r = 0, n - 1 do
        {
            vf x = load_@(dtype_of[from])(s + i * @(row_of(from, n)) + @(r * W));
            x = x * decay + d@(r) * t->k[i];
//@         if round_between_tokens then
            x = round_@(state)(x);
//@         end
            store_@(dtype_of[to])(to + i * @(row_of(to, n)) + @(r * W), x);
//@         if keep then
            store_f32(tile + i * @(n * W) + @(r * W), x);
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
    for (int i = 0; i < @(K); i++)
        for (int j = 0; j < @(n * W); j += @(W))
            store_@(state)(to + (long long)i * @(V) + j,
                           load_f32(tile + i * @(n * W) + j));
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
//@ if V % W ~= 0 then
//@     if contract == "ring" or contract == "snapshots" then
//@         update(1, "tile", "tile", false)
//@     end

/* The last V % @(W) columns live in the tile, padded with zeros, and are
 * copied in and out one by one. */
enum { TAIL = @(V % W) };

INLINE void read_tail(const @(state) *from, float *tile)
{
    for (int i = 0; i < @(K); i++)
        for (int j = 0; j < @(W); j++)
            tile[i * @(W) + j] =
                j < TAIL ? get_@(state)(from + (long long)i * @(V) + j) : 0;
}

//@     for _, to in ipairs(state == "f32" and { "f32" } or { state, "f32" }) do
INLINE void write_tail_@(to)(const float *tile, @(to) *to)
{
    for (int i = 0; i < @(K); i++)
        for (int j = 0; j < TAIL; j++)
            put_@(to)(to + (long long)i * @(V) + j, tile[i * @(W) + j]);
}
//@     end
//@ end
