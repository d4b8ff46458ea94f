/* The 16-byte vectors that states consist of, as float32 and back; and sums over
 * the lanes of a group. */
//@ local n = 16 // bytes(state)

enum { VECTOR = @(n) }; /* elements of a vector */

DEVICE void unpack_state(v4 w, float *x)
{
//@ for i, part in ipairs { "x", "y", "z", "w" } do
//@     if state == "f32" then
    x[@(i - 1)] = float_of(w.@(part));
//@     else
    x[@(2 * i - 2)] = low_@(state)(w.@(part));
    x[@(2 * i - 1)] = high_@(state)(w.@(part));
//@     end
//@ end
}

DEVICE v4 pack_state(const float *x)
{
//@ if state == "f32" then
    v4 w = {bits_of(x[0]), bits_of(x[1]), bits_of(x[2]), bits_of(x[3])};
//@ else
    v4 w = {pair_@(state)(x[0], x[1]), pair_@(state)(x[2], x[3]),
            pair_@(state)(x[4], x[5]), pair_@(state)(x[6], x[7])};
//@ end
    return w;
}

/* `at`: element of a tensor of states where this vector begins. */
DEVICE void store_vector(const place &to, i64 at, const float *x)
{
//@ if contract == "snapshots" and state ~= "f32" then
    if (to.f32) {
        for (int i = 0; i < VECTOR; i += 4) {
            v4 w = {bits_of(x[i]), bits_of(x[i + 1]), bits_of(x[i + 2]),
                    bits_of(x[i + 3])};
            store_state((float *)to.at + at + i, w);
        }
        return;
    }
//@ end
    store_state((@(state) *)to.at + at, pack_state(x));
}

/* Sums over groups of `lanes` lanes, which hold one partial sum of each of n
 * values, both powers of two. Lanes give away half of what they hold in each
 * round, so n values cost about n shuffles instead of n log2(lanes). At the end
 * a lane holds shared_values<n, lanes> sums, those from first_value on.
 * The tree of a sum depends on `lanes` alone. */
template <int n, int lanes> DEVICE void share_sums(float (&x)[n], int lane)
{
    int held = n;
    UNROLL
    for (int mask = lanes / 2; mask > 0; mask >>= 1) {
        bool upper = (lane & mask) != 0;
        if (held == 1) {
            x[0] = plus(x[0], shuffle_xor(x[0], mask));
            continue;
        }
        held /= 2;
        UNROLL
        for (int i = 0; i < held; i++) {
            float give = upper ? x[i] : x[i + held];
            float keep = upper ? x[i + held] : x[i];
            x[i] = plus(keep, shuffle_xor(give, mask));
        }
    }
}
template <int n, int lanes> DEVICE int first_value(int lane)
{
    return n >= lanes ? lane * (n / lanes) : lane / (lanes / n);
}
/* The lane of a group that holds value i, and where it holds it. */
template <int n, int lanes> DEVICE int lane_of_value(int i)
{
    return n >= lanes ? i / (n / lanes) : i * (lanes / n);
}

/* The same for one value that all lanes need. */
template <int lanes> DEVICE float sum_lanes(float x)
{
    UNROLL
    for (int mask = lanes / 2; mask > 0; mask >>= 1)
        x = plus(x, shuffle_xor(x, mask));
    return x;
}
