/* S stored [V][K]: a block is up to @(rows) rows of S, one per value column.
 *
 *     look_FROM             k'S and q'S, hence d and o of each column
 *     update_FROM_TO[_kept] S = decay S + k d, written to TO [and the tile]
 *     save                  the tile to memory
 *
 * FROM and TO: mem (the state's dtype), tile (float32, near), f32 (snapshots).
 *
 * Rows go by in order and in loops that are not unrolled: hardware prefetchers
 * follow that at the speed of a plain read-modify-write, and lose rows that are
 * interleaved or reached from many different instructions (down to a
 * third of the speed on Zen 4). `unroll` rows share their loads of k and q. */
//@ local W, vectors = width, K // width
//@ local strip = math.min(vectors, 8)
//@ while vectors % strip ~= 0 do strip = strip - 1 end
//@ local whole = strip == vectors -- k and q stay in registers
//@ local chains = math.min(unroll, strip)
//@ local dtype_of = { mem = state, tile = "f32", f32 = "f32" }

//@ -- Is something to be fetched ahead of element `at` of a row?
//@ local function new_line(place, at)
//@     return prefetch > 0 and place ~= "tile" and
//@         at * bytes(dtype_of[place]) % 64 == 0
//@ end

//@ local function hold(name)
//@     for u = 0, strip - 1 do
    vf @(name .. u) = load_f32(t->@(name) + i + @(u * W));
//@     end
//@ end

//@ local function look(from)
INLINE void look_@(from)(const @(dtype_of[from]) *s, const struct token *t,
                         int count, const float *v, float *d, float *o)
{
    float decay = t->decay, beta = t->beta, qk = t->qk;
//@     if whole then
    const int i = 0;
//@         hold("k")
//@         hold("q")
//@     end
    for (int r = 0; r < count; r++) {
        const @(dtype_of[from]) *row = s + (long long)r * @(K);
//@     for c = 0, chains - 1 do
        vf kS@(c) = {0}, qS@(c) = {0};
//@     end
//@     if not whole then
        for (int i = 0; i < @(K); i += @(strip * W)) {
//@         hold("k")
//@         hold("q")
//@     end
//@     for u = 0, strip - 1 do
            vf s@(u) = load_@(dtype_of[from])(row + i + @(u * W));
            kS@(u % chains) = mul_add(s@(u), k@(u), kS@(u % chains));
            qS@(u % chains) = mul_add(s@(u), q@(u), qS@(u % chains));
//@     end
//@     if not whole then
        }
//@     end
//@     for c = 1, chains - 1 do
        kS0 += kS@(c);
        qS0 += qS@(c);
//@     end
        vf4 sums = sum_lanes(kS0, qS0);
        float dr = mul_add1(-decay, sums[0], v[r]) * beta;
        d[r] = dr;
        o[r] = mul_add1(decay, sums[1], dr * qk);
    }
}
//@ end

//@ local function update(from, to, keep)
INLINE void update_@(from)_@(to)@(keep and "_kept" or "")(
    const @(dtype_of[from]) *s, @(dtype_of[to]) *to, float *tile,
    const struct token *t, int count, const float *d)
{
    vf decay = splat(t->decay);
    (void)tile;
//@     if whole then
    const int i = 0;
//@         hold("k")
//@     end
    for (int r = 0; r < count; r++) {
        long long row = (long long)r * @(K);
//@     if not whole then
        for (int i = 0; i < @(K); i += @(strip * W)) {
//@         hold("k")
//@     end
//@     for u = 0, strip - 1 do
//@         if new_line(from, u * W) then
            FETCH_AHEAD(s + row + i + @(u * W));
//@         end
//@         if contract ~= "final" and new_line(to, u * W) then
            FETCH_AHEAD(to + row + i + @(u * W));
//@         end
            vf s@(u) = load_@(dtype_of[from])(s + row + i + @(u * W));
            s@(u) = mul_add(s@(u), decay, k@(u) * d[r]);
//@         if round_between_tokens then
            s@(u) = round_@(state)(s@(u));
//@         end
            store_@(dtype_of[to])(to + row + i + @(u * W), s@(u));
//@         if keep then
            store_f32(tile + row + i + @(u * W), s@(u));
//@         end
//@     end
//@     if not whole then
        }
//@     end
    }
}
//@ end

//@ if contract == "snapshots" then
INLINE void save(const float *tile, @(state) *to, int count)
{
    for (int i = 0; i < count * @(K); i += @(W))
        store_@(state)(to + i, load_f32(tile + i));
}
//@ end

//@ for _, from in ipairs { "mem", "tile" } do
//@     look(from)
//@     update(from, "mem", false)
//@     if contract == "final" or contract == "indexed" then
//@         update(from, "tile", false)
//@     end
//@     if contract ~= "final" then update(from, "mem", true) end
//@     if contract == "snapshots" and state ~= "f32" then
//@         update(from, "f32", false)
//@         update(from, "f32", true)
//@     end
//@ end
