/* Vectors of @(width) floats and the conversions between them and memory, in
 * vector extensions that gcc 11 and clang 14 both know. Memory is aligned to its
 * elements only. Narrowing rounds to nearest even, keeps NaN and overflows to
 * infinity. A vector wider than the machine's is split by the compiler. */
//@ local W = width
//@ local function splat(x)
//@     return "{" .. string.rep(x, W, ", ") .. "}"
//@ end
#pragma GCC diagnostic ignored "-Wpsabi" /* every function here is inlined */
#define INLINE static inline __attribute__((always_inline, unused))

typedef float vf __attribute__((vector_size(@(4 * W))));
typedef unsigned vu __attribute__((vector_size(@(4 * W))));
typedef unsigned short vh __attribute__((vector_size(@(2 * W))));
typedef float vf_mem
    __attribute__((vector_size(@(4 * W)), aligned(4), may_alias));
typedef unsigned short vh_mem
    __attribute__((vector_size(@(2 * W)), aligned(2), may_alias));

typedef float f32;
typedef unsigned short bf16, f16; /* bits */

INLINE unsigned bits_of(float x)
{
    union {
        float f;
        unsigned u;
    } c = {x};
    return c.u;
}

INLINE float float_of(unsigned u)
{
    union {
        unsigned u;
        float f;
    } c = {u};
    return c.f;
}

INLINE vf splat(float x)
{
    return @("(vf)" .. splat("x"));
}

INLINE vu choose(vu mask, vu yes, vu no)
{
    return (mask & yes) | (~mask & no);
}

//@ if prefetch > 0 then
/* Asks for what lies @(prefetch) KiB further on, for the second-level cache. It
 * belongs where states are written, as the first touch has prefetchers of its
 * own: there it lifts the memory's share from 92 to 100 % of a plain
 * read-modify-write on Zen 4, beside the first touch it halves it. An address
 * that does not exist is harmless. */
#define FETCH_AHEAD(p) \
    __builtin_prefetch((const char *)(p) + @(1024 * prefetch), 0, 1)
//@ end

/* ---- f32 ---- */

INLINE float get_f32(const f32 *p)
{
    return *p;
}

INLINE void put_f32(f32 *p, float x)
{
    *p = x;
}

INLINE vf load_f32(const f32 *p)
{
    return *(const vf_mem *)p;
}

INLINE void store_f32(f32 *p, vf x)
{
    *(vf_mem *)p = x;
}

INLINE vf round_f32(vf x)
{
    return x;
}

/* ---- sums of products ---- */

/* a * b + c, rounded once where the machine can. It is spelled out, for which of
 * the products of a sum a compiler fuses, and whether, varies from place to
 * place: a packet would differ from single tokens by a bit, and a config from
 * its neighbour. There is no other product in a sum in these files. */
INLINE float mul_add1(float a, float b, float c)
{
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

INLINE vf mul_add(vf a, vf b, vf c)
{
#if defined(__aarch64__) && @(W) == 4
    __asm__("fmla %0.4s, %1.4s, %2.4s" : "+w"(c) : "w"(a), "w"(b));
    return c;
#elif defined(__FMA__) && (@(W) <= 8 || defined(__AVX512F__))
    __asm__("vfmadd231ps %2, %1, %0" : "+v"(c) : "v"(a), "v"(b));
    return c;
#else
    return a * b + c;
#endif
}
//@ local function used(dtype)
//@     return io == dtype or state == dtype
//@ end

//@ if used("bf16") or used("f16") then
/* ---- 16 bits to 32 and back; gcc 12 makes five instructions of either ---- */

INLINE vu widen(const unsigned short *p)
{
//@ if W >= 8 then
#if defined(@(W == 16 and "__AVX512F__" or "__AVX2__"))
    vu u;
    __asm__("vpmovzxwd %1, %0" : "=v"(u) : "m"(*(const vh_mem *)p));
    return u;
#endif
//@ end
    return __builtin_convertvector(*(const vh_mem *)p, vu);
}

/* The upper halves are lost. */
INLINE vh narrow(vu u)
{
//@ if W >= 8 then
#if defined(@(W == 16 and "__AVX512F__" or "__AVX512VL__"))
    vh h;
    __asm__("vpmovdw %1, %0" : "=v"(h) : "v"(u));
    return h;
#endif
//@ end
    return __builtin_convertvector(u, vh);
}
//@ end

//@ if used("bf16") then
/* ---- bf16: the upper half of a float ---- */

INLINE float get_bf16(const bf16 *p)
{
    return float_of((unsigned)*p << 16);
}

INLINE void put_bf16(bf16 *p, float x)
{
    unsigned u = bits_of(x);
    unsigned up = u + 0x7fff + (u >> 16 & 1);
    *p = (unsigned short)((x == x ? up : u) >> 16);
}

INLINE vf load_bf16(const bf16 *p)
{
    return (vf)(widen(p) << 16);
}

/* Arithmetic gives quiet NaNs only, which cutting off keeps. */
INLINE vu nearest_bf16(vf x)
{
    vu u = (vu)x;
    vu up = u + (0x7fff + (u >> 16 & 1));
    return choose((vu)(x == x), up, u);
}

//@ if W >= 8 then
#if defined(__AVX512BF16__) && defined(__AVX512VL__)
#define BF16_BY_MACHINE 1
/* The machine rounds as nearest_bf16 does, but takes a subnormal for 0. */
INLINE vh shrink_bf16(vf x)
{
    vh h;
    vu exponent = (vu)splat(float_of(0x7f800000));
    unsigned tiny;
    __asm__("vptestnmd %2, %1, %%k1\n\tkmovw %%k1, %0"
            : "=r"(tiny)
            : "v"(x), "v"(exponent)
            : "k1");
    if (__builtin_expect(tiny != 0, 0))
        return narrow(nearest_bf16(x) >> 16);
    __asm__("vcvtneps2bf16 %1, %0" : "=v"(h) : "v"(x));
    return h;
}
#endif
//@ end
#if !defined(BF16_BY_MACHINE)
INLINE vh shrink_bf16(vf x)
{
    return narrow(nearest_bf16(x) >> 16);
}
#endif

INLINE void store_bf16(bf16 *p, vf x)
{
    *(vh_mem *)p = shrink_bf16(x);
}

INLINE vf round_bf16(vf x)
{
    return (vf)(nearest_bf16(x) & 0xffff0000u);
}
//@ end

//@ if used("f16") then
/* ---- f16: by the machine where a builtin is known, else by exact integers ----
 *
 * Widening multiplies by 2^112, which turns a half's subnormals into normal
 * floats. Narrowing lets a float addition of 0.5 round what becomes subnormal:
 * the ulp of 0.5 is the smallest half. */

INLINE float get_f16(const f16 *p)
{
    unsigned h = *p, em = (h & 0x7fff) << 13;
    float x = float_of(em) * 0x1p112f;
    unsigned u = em >= 0x7c00u << 13 ? em | 0x7f800000 : bits_of(x);
    return float_of(u | (h & 0x8000) << 16);
}

INLINE void put_f16(f16 *p, float x)
{
    unsigned u = bits_of(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffff, h;
    if (a > 0x7f800000)
        h = 0x7e00 | (a >> 13 & 0x3ff);
    else if (a >= 0x47800000) /* 65536 */
        h = 0x7c00;
    else if (a < 0x38800000) /* 2^-14 */
        h = bits_of(float_of(a) + 0.5f) - 0x3f000000;
    else
        h = (a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13;
    *p = (unsigned short)(h | sign);
}

//@ if W == 16 then
#if defined(__AVX512F__)
#define F16_BY_MACHINE 1
typedef short f16_bits __attribute__((vector_size(32)));
INLINE vf widen_f16(vh h)
{
    return __builtin_ia32_vcvtph2ps512_mask((f16_bits)h, (vf){0},
                                            (short)0xffff, 4);
}
INLINE vh shrink_f16(vf x)
{
    return (vh)__builtin_ia32_vcvtps2ph512_mask(x, 0, (f16_bits){0},
                                                (short)0xffff);
}
#endif
//@ elseif W == 8 then
#if defined(__F16C__)
#define F16_BY_MACHINE 1
typedef short f16_bits __attribute__((vector_size(16)));
INLINE vf widen_f16(vh h)
{
    return __builtin_ia32_vcvtph2ps256((f16_bits)h);
}
INLINE vh shrink_f16(vf x)
{
    return (vh)__builtin_ia32_vcvtps2ph256(x, 0);
}
#endif
//@ end
//@ if W == 4 then
#if defined(__aarch64__)
#define F16_BY_MACHINE 1
INLINE vf widen_f16(vh h)
{
    vf x;
    __asm__("fcvtl %0.4s, %1.4h" : "=w"(x) : "w"(h));
    return x;
}
INLINE vh shrink_f16(vf x)
{
    vh h;
    __asm__("fcvtn %0.4h, %1.4s" : "=w"(h) : "w"(x));
    return h;
}
#endif
//@ end
#if !defined(F16_BY_MACHINE)
INLINE vf widen_f16(vh half)
{
    vu h = __builtin_convertvector(half, vu), em = (h & 0x7fff) << 13;
    vu x = (vu)((vf)em * 0x1p112f);
    vu u = choose((vu)(em >= 0x7c00u << 13), em | 0x7f800000, x);
    return (vf)(u | (h & 0x8000) << 16);
}
INLINE vh shrink_f16(vf x)
{
    vu u = (vu)x, sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    vu h = (a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13;
    vu small = (vu)((vf)a + 0.5f) - 0x3f000000;
    vu nan = (a >> 13 & 0x3ff) | 0x7e00;
    vu inf = @("(vu)" .. splat("0x7c00"));
    h = choose((vu)(a < 0x38800000), small, h);
    h = choose((vu)(a >= 0x47800000), inf, h);
    h = choose((vu)(a > 0x7f800000), nan, h);
    return narrow(h | sign);
}
#endif

INLINE vf load_f16(const f16 *p)
{
    return widen_f16(*(const vh_mem *)p);
}

INLINE void store_f16(f16 *p, vf x)
{
    *(vh_mem *)p = shrink_f16(x);
}

INLINE vf round_f16(vf x)
{
    return widen_f16(shrink_f16(x));
}
//@ end

/* One permutation of two vectors of four floats. clang has only the one
 * spelling, gcc 11 only the other. */
#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int shuffle_index __attribute__((vector_size(16)));
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (shuffle_index){__VA_ARGS__})
#endif

/* ---- sums across lanes ---- */

//@ -- Halves are added until four lanes are left, so that the wide units are
//@ -- free again early; the tree of a sum is the same in every place.
//@ local size = W
//@ while size >= 4 do
typedef float vf@(size) __attribute__((vector_size(@(4 * size))));
//@     size = size // 2
//@ end
//@ size = W
//@ while size > 4 do
//@     local half = size // 2

INLINE vf@(half) halve@(size)(vf@(size) x)
{
    union {
        vf@(size) whole;
        vf@(half) half[2];
    } u = {x};
    return u.half[0] + u.half[1];
}
//@     size = half
//@ end

//@ local function narrowed(x)
//@     local size, text = W, x
//@     while size > 4 do
//@         text, size = ("halve%d(%s)"):format(size, text), size // 2
//@     end
//@     return text
//@ end
/* The sum of a's lanes in lane 0, of b's in lane 1. */
INLINE vf4 sum_lanes(vf a, vf b)
{
    vf4 x = @(narrowed("a")), y = @(narrowed("b"));
    vf4 pairs = SHUFFLE(x, y, 0, 1, 4, 5) + SHUFFLE(x, y, 2, 3, 6, 7);
    return SHUFFLE(pairs, pairs, 0, 2, 0, 2) + SHUFFLE(pairs, pairs, 1, 3, 1, 3);
}
