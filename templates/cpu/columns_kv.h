/* S stored [K][V]: a block is up to @(rows) vectors of adjacent value columns,
 * whose sums stay in registers while the K rows go by. No sum crosses lanes.
 * The functions are those of rows_vk.h. A block that is not full goes vector by
 * vector, its last one, if V is no multiple of @(width), element by element.
 * The tile is [K][@(rows * width)].
 *
 * `unroll` partial sums per column, added at the end, break the chain of
 * dependent additions and keep the rounding of long sums small. */
//@ local W, tail = width, V % width
//@ local dtype_of = { mem = state, tile = "f32", f32 = "f32" }
//@ local function stride_of(place)
//@     return place == "tile" and rows * W or V
//@ end

//@ -- Is something to be fetched ahead of element `at` of a row?
//@ local function new_line(place, at)
//@     return prefetch > 0 and place ~= "tile" and
//@         at * bytes(dtype_of[place]) % 64 == 0
//@ end

//@ if tail > 0 then
//@     for _, T in ipairs(state == "f32" and { "f32" } or { state, "f32" }) do
INLINE vf load_part_@(T)(const @(T) *p)
{
    @(T) whole[@(W)] = {0};
    for (int j = 0; j < @(tail); j++)
        whole[j] = p[j];
    return load_@(T)(whole);
}

INLINE void store_part_@(T)(@(T) *p, vf x)
{
    @(T) whole[@(W)];
    store_@(T)(whole, x);
    for (int j = 0; j < @(tail); j++)
        p[j] = whole[j];
}
//@     end
//@ end

//@ -- n: a number of vectors, or "part" for the last few columns
//@ local function access(verb, place, n)
//@     local part = n == "part" and place ~= "tile" and "part_" or ""
//@     return verb .. "_" .. part .. dtype_of[place]
//@ end

//@ local function look(n, from)
//@     local vectors, load = n == "part" and 1 or n, access("load", from, n)
INLINE void look_@(n)_@(from)(const @(dtype_of[from]) *s, const struct token *t,
                              const float *v, float *d, float *o)
{
//@     for u = 0, unroll - 1 do
//@         for j = 0, vectors - 1 do
    vf k@(u)_@(j) = {0}, q@(u)_@(j) = {0};
//@         end
//@     end
    for (int i = 0; i < @(K); i += @(unroll)) {
        const @(dtype_of[from]) *row = s + (long long)i * @(stride_of(from));
//@     for u = 0, unroll - 1 do
        vf tk@(u) = splat(t->k[i + @(u)]), tq@(u) = splat(t->q[i + @(u)]);
//@         for j = 0, vectors - 1 do
//@             local at = u * stride_of(from) + j * W
        vf s@(u)_@(j) = @(load)(row + @(at));
        k@(u)_@(j) = mul_add(s@(u)_@(j), tk@(u), k@(u)_@(j));
        q@(u)_@(j) = mul_add(s@(u)_@(j), tq@(u), q@(u)_@(j));
//@         end
//@     end
    }
    vf decay = splat(t->decay);
//@     for j = 0, vectors - 1 do
//@         for u = 1, unroll - 1 do
    k0_@(j) += k@(u)_@(j);
    q0_@(j) += q@(u)_@(j);
//@         end
    k0_@(j) = mul_add(-decay, k0_@(j), load_f32(v + @(j * W))) * t->beta;
    q0_@(j) = mul_add(decay, q0_@(j), k0_@(j) * t->qk);
    store_f32(d + @(j * W), k0_@(j));
    store_f32(o + @(j * W), q0_@(j));
//@     end
}
//@ end

//@ local function update(n, from, to, keep)
//@     local vectors, load = n == "part" and 1 or n, access("load", from, n)
INLINE void update_@(n)_@(from)_@(to)@(keep and "_kept" or "")(
    const @(dtype_of[from]) *s, @(dtype_of[to]) *to, float *tile,
    const struct token *t, const float *d)
{
    vf decay = splat(t->decay);
//@     for j = 0, vectors - 1 do
    vf d@(j) = load_f32(d + @(j * W));
//@     end
    (void)tile;
    for (int i = 0; i < @(K); i++) {
        long long from_row = (long long)i * @(stride_of(from));
        long long to_row = (long long)i * @(stride_of(to));
//@     for j = 0, vectors - 1 do
//@         if new_line(from, j * W) then
        FETCH_AHEAD(s + from_row + @(j * W));
//@         end
//@         if contract ~= "final" and new_line(to, j * W) then
        FETCH_AHEAD(to + to_row + @(j * W));
//@         end
        vf s@(j) = @(load)(s + from_row + @(j * W));
        s@(j) = mul_add(s@(j), decay, d@(j) * t->k[i]);
//@         if round_between_tokens then
        s@(j) = round_@(state)(s@(j));
//@         end
        @(access("store", to, n))(to + to_row + @(j * W), s@(j));
//@         if keep then
        store_f32(tile + i * @(rows * W) + @(j * W), s@(j));
//@         end
//@     end
    }
}
//@ end

//@ -- Calls form(n, offset) for a full block, or for each vector of another.
//@ local function dispatch(form)
    if (count == @(rows * W)) {
//@     form(rows, "0")
        return;
    }
    for (int j = 0; j < count; j += @(W)) {
//@     if tail > 0 then
        if (count - j < @(W)) {
//@         form("part", "j")
            return;
        }
//@     end
//@     form(1, "j")
    }
//@ end

//@ local function all_looks(from)
//@     local sizes = rows > 1 and { rows, 1 } or { 1 }
//@     for _, n in ipairs(sizes) do look(n, from) end
//@     if tail > 0 then look("part", from) end
INLINE void look_@(from)(const @(dtype_of[from]) *s, const struct token *t,
                         int count, const float *v, float *d, float *o)
{
//@     dispatch(function(n, j)
        look_@(n)_@(from)(s + @(j), t, v + @(j), d + @(j), o + @(j));
//@     end)
}
//@ end

//@ local function all_updates(from, to, keep)
//@     local sizes = rows > 1 and { rows, 1 } or { 1 }
//@     local name = from .. "_" .. to .. (keep and "_kept" or "")
//@     for _, n in ipairs(sizes) do update(n, from, to, keep) end
//@     if tail > 0 then update("part", from, to, keep) end
INLINE void update_@(name)(const @(dtype_of[from]) *s, @(dtype_of[to]) *to,
                           float *tile, const struct token *t, int count,
                           const float *d)
{
//@     dispatch(function(n, j)
        update_@(n)_@(name)(s + @(j), to + @(j), tile + @(j), t, d + @(j));
//@     end)
}
//@ end

//@ if contract == "snapshots" then
INLINE void save(const float *tile, @(state) *to, int count)
{
    for (int i = 0; i < @(K); i++)
        for (int j = 0; j < count; j++)
            put_@(state)(to + (long long)i * @(V) + j,
                         tile[i * @(rows * W) + j]);
}
//@ end

//@ for _, from in ipairs { "mem", "tile" } do
//@     all_looks(from)
//@     all_updates(from, "mem", false)
//@     if contract == "final" or contract == "indexed" then
//@         all_updates(from, "tile", false)
//@     end
//@     if contract ~= "final" then all_updates(from, "mem", true) end
//@     if contract == "snapshots" and state ~= "f32" then
//@         all_updates(from, "f32", false)
//@         all_updates(from, "f32", true)
//@     end
//@ end
