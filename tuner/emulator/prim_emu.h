/*
 * prim_emu.h - the emulator's side of templates/cuda/prim.cuh: the same names
 * with the same meaning, for the host's C++ compiler. Each primitive is a call
 * of its own, never inlined, so that its return address is the kernel's line.
 * -fsanitize=thread makes the compiler announce every other access to memory;
 * no sanitizer's library is linked: what it would call is defined here, hidden,
 * so that a sanitized gdr-tune keeps its own.
 */
#define GDR_EMU

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define GDR_EMU_PLAIN __attribute__((no_sanitize("thread"), noinline, unused))
#define GDR_EMU_FIXED GDR_EMU_PLAIN __attribute__((const))
#define GDR_EMU_PC __builtin_return_address(0)

static const gdr_emu_calls *gdr_emu_table;
#define GDR_EMU_ASK(call, ...) \
    gdr_emu_table->call(gdr_emu_table->emu, ##__VA_ARGS__)

extern "C" __attribute__((visibility("default"))) GDR_EMU_PLAIN void
gdr_emu_bind(const gdr_emu_calls *table)
{
    gdr_emu_table = table;
}

/* ---- what the compiler calls ---- */

#define GDR_EMU_HIDDEN \
    extern "C" __attribute__((visibility("hidden"))) GDR_EMU_PLAIN
#define GDR_EMU_HOOK(name, bytes, align, kind) \
    GDR_EMU_HIDDEN void __tsan_##name(void *p) \
    { \
        GDR_EMU_ASK(access, p, bytes, align, kind, GDR_EMU_PC); \
    }
#define GDR_EMU_HOOKS(n) \
    GDR_EMU_HOOK(read##n, n, n, GDR_EMU_READ) \
    GDR_EMU_HOOK(write##n, n, n, GDR_EMU_WRITE) \
    GDR_EMU_HOOK(read_write##n, n, n, GDR_EMU_READ | GDR_EMU_WRITE) \
    GDR_EMU_HOOK(unaligned_read##n, n, 1, GDR_EMU_READ) \
    GDR_EMU_HOOK(unaligned_write##n, n, 1, GDR_EMU_WRITE) \
    GDR_EMU_HOOK(unaligned_read_write##n, n, 1, GDR_EMU_READ | GDR_EMU_WRITE) \
    GDR_EMU_HOOK(volatile_read##n, n, n, GDR_EMU_READ) \
    GDR_EMU_HOOK(volatile_write##n, n, n, GDR_EMU_WRITE)
GDR_EMU_HOOKS(1)
GDR_EMU_HOOKS(2)
GDR_EMU_HOOKS(4)
GDR_EMU_HOOKS(8)
GDR_EMU_HOOKS(16)
GDR_EMU_HIDDEN void __tsan_read_range(void *p, unsigned long n)
{
    GDR_EMU_ASK(access, p, n, 1, GDR_EMU_READ, GDR_EMU_PC);
}
GDR_EMU_HIDDEN void __tsan_write_range(void *p, unsigned long n)
{
    GDR_EMU_ASK(access, p, n, 1, GDR_EMU_WRITE, GDR_EMU_PC);
}
GDR_EMU_HIDDEN void __tsan_init(void) {}
GDR_EMU_HIDDEN void __tsan_func_entry(void *) {}
GDR_EMU_HIDDEN void __tsan_func_exit(void *) {}
GDR_EMU_HIDDEN void __tsan_vptr_update(void **, void *) {}
GDR_EMU_HIDDEN void __tsan_vptr_read(void **) {}
#define GDR_EMU_COPY(name) \
    GDR_EMU_HIDDEN void *name(void *to, const void *from, unsigned long n) \
    { \
        GDR_EMU_ASK(copy, to, from, n, GDR_EMU_PC); \
        return to; \
    }
#define GDR_EMU_FILL(name) \
    GDR_EMU_HIDDEN void *name(void *to, int byte, unsigned long n) \
    { \
        GDR_EMU_ASK(fill, to, byte, n, GDR_EMU_PC); \
        return to; \
    }
GDR_EMU_COPY(memcpy)
GDR_EMU_COPY(memmove)
GDR_EMU_COPY(__tsan_memcpy)
GDR_EMU_COPY(__tsan_memmove)
GDR_EMU_FILL(memset)
GDR_EMU_FILL(__tsan_memset)

/* ---- from here on the names of prim.cuh ---- */

/* Two calls must not become one: lanes at different lines do not meet. */
#ifdef __clang__
#define PRIMITIVE static GDR_EMU_PLAIN __attribute__((nomerge))
#else
#define PRIMITIVE static GDR_EMU_PLAIN
#endif
#define DEVICE static inline __attribute__((always_inline))
#define KERNEL extern "C" __attribute__((visibility("default"), noinline)) void
#define LAUNCH_BOUNDS(threads, blocks)
#define GRID_CONSTANT const
#define SHARED(type, name, n) \
    type(&name)[n] = *(type(*)[n])gdr_emu_shared(__COUNTER__, \
                                                 sizeof(type) * (n), #name)
#define DYNAMIC_SHARED(name) unsigned char *const name = gdr_emu_dynamic()
#define DYNAMIC_PART(type, name, dynamic, offset, n) \
    type *const name = \
        (type *)gdr_emu_part(dynamic, offset, sizeof(type) * (n), #name)

struct alignas(16) v4 {
    u32 x, y, z, w;
};
struct alignas(8) v2 {
    u32 x, y;
};

/* The name is text of the image; the emulator knows that it may be read. */
static GDR_EMU_FIXED void *gdr_emu_shared(int id, unsigned long bytes,
                                          const char *name)
{
    return GDR_EMU_ASK(shared, id, bytes, name, GDR_EMU_PC);
}
static GDR_EMU_FIXED unsigned char *gdr_emu_dynamic(void)
{
    return (unsigned char *)GDR_EMU_ASK(dynamic);
}
static GDR_EMU_FIXED void *gdr_emu_part(const void *dynamic,
                                        unsigned long offset,
                                        unsigned long bytes, const char *name)
{
    return GDR_EMU_ASK(part, dynamic, offset, bytes, name, GDR_EMU_PC);
}

static GDR_EMU_FIXED int thread_index(void)
{
    return (int)GDR_EMU_ASK(index, GDR_EMU_THREAD);
}
static GDR_EMU_FIXED int block_threads(void)
{
    return (int)GDR_EMU_ASK(index, GDR_EMU_THREADS);
}
static GDR_EMU_FIXED i64 block_index(void)
{
    return GDR_EMU_ASK(index, GDR_EMU_BLOCK);
}
static GDR_EMU_FIXED i64 grid_blocks(void)
{
    return GDR_EMU_ASK(index, GDR_EMU_BLOCKS);
}

/* ---- numbers ---- */

DEVICE u32 bits_of(float x)
{
    union {
        float x;
        u32 u;
    } bits = {x};
    return bits.u;
}
DEVICE float float_of(u32 u)
{
    union {
        u32 u;
        float x;
    } bits = {u};
    return bits.x;
}
static GDR_EMU_FIXED float fused(float a, float b, float c)
{
    return gdr_emu_table->fused(a, b, c);
}
DEVICE float times(float a, float b) { return a * b; }
DEVICE float plus(float a, float b) { return a + b; }
static GDR_EMU_FIXED float inverse_root(float x)
{
    return 1.0f / gdr_emu_table->root(x);
}
DEVICE float inverse(float x) { return 1.0f / x; }
static GDR_EMU_FIXED float exponential(float x)
{
    return gdr_emu_table->exponential(x);
}
static GDR_EMU_FIXED float log_1p(float x) { return gdr_emu_table->log_1p(x); }
static GDR_EMU_FIXED float from_f16(u32 x)
{
    return gdr_emu_table->from_f16(x);
}
static GDR_EMU_FIXED u32 to_f16(float x) { return gdr_emu_table->to_f16(x); }
DEVICE float from_bf16(u32 x) { return float_of(x << 16); }
DEVICE u32 to_bf16(float x)
{
    u32 u = bits_of(x);
    if ((u & 0x7fffffff) > 0x7f800000)
        return 0x7fff;
    return (u + 0x7fff + (u >> 16 & 1)) >> 16;
}

/* ---- memory ---- */

PRIMITIVE v4 load_v4(const void *p)
{
    GDR_EMU_ASK(access, p, 16, 16, GDR_EMU_READ, GDR_EMU_PC);
    return *(const v4 *)p;
}
PRIMITIVE v2 load_v2(const void *p)
{
    GDR_EMU_ASK(access, p, 8, 8, GDR_EMU_READ, GDR_EMU_PC);
    return *(const v2 *)p;
}
PRIMITIVE void store_v4(void *p, v4 x)
{
    GDR_EMU_ASK(access, p, 16, 16, GDR_EMU_WRITE, GDR_EMU_PC);
    *(v4 *)p = x;
}
PRIMITIVE void store_v2(void *p, v2 x)
{
    GDR_EMU_ASK(access, p, 8, 8, GDR_EMU_WRITE, GDR_EMU_PC);
    *(v2 *)p = x;
}
PRIMITIVE v4 load_state(const void *p)
{
    GDR_EMU_ASK(access, p, 16, 16, GDR_EMU_READ, GDR_EMU_PC);
    return *(const v4 *)p;
}
PRIMITIVE void store_state(void *p, v4 x)
{
    GDR_EMU_ASK(access, p, 16, 16, GDR_EMU_WRITE, GDR_EMU_PC);
    *(v4 *)p = x;
}
PRIMITIVE u32 atomic_add(u32 *p, u32 x)
{
    return GDR_EMU_ASK(atomic_add, p, x, GDR_EMU_PC);
}
PRIMITIVE void fence_device(void) { GDR_EMU_ASK(fence_device); }

/* ---- threads together ---- */

PRIMITIVE void block_sync(void) { GDR_EMU_ASK(barrier, 0, -1, 0, GDR_EMU_PC); }
PRIMITIVE void warp_sync(void) { GDR_EMU_ASK(warp_sync, GDR_EMU_PC); }
PRIMITIVE void barrier_sync(int name, int threads)
{
    GDR_EMU_ASK(barrier, name, threads, 0, GDR_EMU_PC);
}
PRIMITIVE void barrier_arrive(int name, int threads)
{
    GDR_EMU_ASK(barrier, name, threads, 1, GDR_EMU_PC);
}
PRIMITIVE int opaque(int x) { return x; }
PRIMITIVE float shuffle_xor(float x, int mask)
{
    return float_of(GDR_EMU_ASK(shuffle, bits_of(x), 1, mask, GDR_EMU_PC));
}
PRIMITIVE float shuffle_from(float x, int lane)
{
    return float_of(GDR_EMU_ASK(shuffle, bits_of(x), 0, lane, GDR_EMU_PC));
}

/* Row `row` of a (its words every second one, from `first` on) times column
 * `column` of b, added to sum in the order of k. n: words of b. */
template <int n>
DEVICE float gdr_emu_dot(const u32 *a, int first, const u32 *b, int row,
                         int column, float sum)
{
    for (int w = 0; w < n; w++)
        for (int j = 0; j < 4; j++) {
            u32 x = bits_of(shuffle_from(float_of(a[first + 2 * w]),
                                         4 * (row % 8) + j));
            u32 y = bits_of(shuffle_from(float_of(b[w]), 4 * column + j));
            sum = fused(from_bf16(x & 0xffff), from_bf16(y & 0xffff), sum);
            sum = fused(from_bf16(x >> 16), from_bf16(y >> 16), sum);
        }
    return sum;
}
template <int n>
DEVICE void gdr_emu_mma(float (&d)[4], const u32 *a, const u32 *b)
{
    int lane = thread_index() % 32;
    for (int i = 0; i < 4; i++)
        d[i] = gdr_emu_dot<n>(a, i / 2, b, lane / 4, 2 * (lane % 4) + i % 2,
                              d[i]);
}
DEVICE void mma_16x8x16(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2])
{
    gdr_emu_mma<2>(d, a, b);
}
DEVICE void mma_16x8x8(float (&d)[4], const u32 (&a)[2], const u32 (&b)[1])
{
    gdr_emu_mma<1>(d, a, b);
}

PRIMITIVE u32 shared_address(const void *p)
{
    return GDR_EMU_ASK(address, p, GDR_EMU_PC);
}

#if __CUDA_ARCH__ >= 800
PRIMITIVE void copy_async(void *shared, const void *global)
{
    GDR_EMU_ASK(copy_async, shared, global, GDR_EMU_PC);
}
PRIMITIVE void copy_commit(void) { GDR_EMU_ASK(copy_commit); }
template <int pending> PRIMITIVE void copy_wait(void)
{
    GDR_EMU_ASK(copy_wait, pending, GDR_EMU_PC);
}
#endif

#if __CUDA_ARCH__ >= 900
PRIMITIVE void mbarrier_init(u64 *bar, u32 count)
{
    GDR_EMU_ASK(mbarrier_init, bar, count, GDR_EMU_PC);
}
PRIMITIVE void mbarrier_init_fence(void) { GDR_EMU_ASK(mbarrier_fence); }
PRIMITIVE void mbarrier_arrive(u64 *bar)
{
    GDR_EMU_ASK(mbarrier_arrive, bar, 0, GDR_EMU_PC);
}
PRIMITIVE void mbarrier_arrive_expect(u64 *bar, u32 bytes)
{
    GDR_EMU_ASK(mbarrier_arrive, bar, bytes, GDR_EMU_PC);
}
PRIMITIVE void mbarrier_wait(u64 *bar, u32 parity)
{
    GDR_EMU_ASK(mbarrier_wait, bar, parity, GDR_EMU_PC);
}
PRIMITIVE void bulk_load(void *shared, const void *global, u32 bytes, u64 *bar)
{
    GDR_EMU_ASK(bulk_load, shared, global, bytes, bar, GDR_EMU_PC);
}
PRIMITIVE void bulk_store(void *global, const void *shared, u32 bytes)
{
    GDR_EMU_ASK(bulk_store, global, shared, bytes, GDR_EMU_PC);
}
PRIMITIVE void bulk_commit(void) { GDR_EMU_ASK(bulk_commit); }
template <int pending> PRIMITIVE void bulk_wait_read(void)
{
    GDR_EMU_ASK(bulk_wait, pending, 0, GDR_EMU_PC);
}
template <int pending> PRIMITIVE void bulk_wait(void)
{
    GDR_EMU_ASK(bulk_wait, pending, 1, GDR_EMU_PC);
}
PRIMITIVE void fence_async(void) { GDR_EMU_ASK(fence_async); }
#endif

/* Below sm_90 there is no dependent launch to wait for. */
PRIMITIVE void grid_wait(void) { GDR_EMU_ASK(grid_wait); }
PRIMITIVE void grid_release(void) { GDR_EMU_ASK(grid_release); }
