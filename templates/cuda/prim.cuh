/* What a kernel may ask of the machine. Under NVRTC each primitive is a CUDA
 * intrinsic or one PTX instruction; the emu device puts a twin of the same name
 * before this text (tuner/emulator/prim_emu.h) and leaves this one out. A kernel
 * uses these names and plain C++, and nothing else: no threadIdx, no asm. */
//@ local text = op .. ":" .. contract .. ":" .. layout .. ":" .. io .. "/" .. state
//@ text = text .. ":k" .. K .. "v" .. V .. (l2norm and ":l2norm" or "")
//@ text = text .. ":" .. gate .. (round_between_tokens and ":round" or "")
#ifndef GDR_EMU
/* An image says what it is for. */
extern "C" __device__ const char gdr_problem[] = "gdr-problem:@(text);";

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define DEVICE static __device__ __forceinline__
#define KERNEL extern "C" __global__ void
/* Threads of a block, and blocks that shall fit on a multiprocessor. */
#ifdef GDR_ONE_BLOCK /* ptxas would spill to have more resident */
#define LAUNCH_BOUNDS(threads, blocks) __launch_bounds__(threads, 1)
#else
#define LAUNCH_BOUNDS(threads, blocks) __launch_bounds__(threads, blocks)
#endif
#define GRID_CONSTANT const __grid_constant__
/* The loop behind it has constant bounds; what it indexes stays in registers. */
#define UNROLL _Pragma("unroll")
/* An array in shared memory, static; the dynamic one, 128-byte aligned. */
#define SHARED(type, name, n) __shared__ __align__(16) type name[n]
#define DYNAMIC_SHARED(name) \
    extern __shared__ __align__(128) unsigned char name[]
/* The dynamic array in parts: (type *) of n elements at a byte offset that is
 * a multiple of 16. The emulator puts red zones between parts. */
#define DYNAMIC_PART(type, name, dynamic, offset, n) \
    type *const name = (type *)((dynamic) + (offset))

/* 16 bytes, and half of it. */
struct __align__(16) v4 {
    u32 x, y, z, w;
};
struct __align__(8) v2 {
    u32 x, y;
};

DEVICE int thread_index(void) { return (int)threadIdx.x; }
DEVICE int block_threads(void) { return (int)blockDim.x; }
DEVICE i64 block_index(void) { return blockIdx.x; }
DEVICE i64 grid_blocks(void) { return gridDim.x; }

/* ---- numbers ---- */

DEVICE u32 bits_of(float x) { return __float_as_uint(x); }
DEVICE float float_of(u32 x) { return __uint_as_float(x); }
/* One rounding, everywhere the same bits. */
DEVICE float fused(float a, float b, float c) { return __fmaf_rn(a, b, c); }
DEVICE float times(float a, float b) { return __fmul_rn(a, b); }
DEVICE float plus(float a, float b) { return __fadd_rn(a, b); }
/* 1 / sqrt(x) of a normal number, 1 / x: 1 ulp. What rounds to the nearest is a
 * call, and a call makes what is in registers spill. */
DEVICE float inverse_root(float x)
{
    float y;
    asm("rsqrt.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    float rest = fused(times(-x, y), y, 1);
    return y > 0 ? fused(times(y, 0.5f), rest, y) : y;
}
DEVICE float inverse(float x)
{
    float y;
    asm("rcp.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
/* Full precision: 2 ulp. */
DEVICE float exponential(float x) { return expf(x); }
DEVICE float log_1p(float x) { return log1pf(x); }

DEVICE float from_f16(u32 x)
{
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"((u16)x));
    return y;
}
DEVICE u32 to_f16(float x)
{
    u16 y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x));
    return y;
}
DEVICE float from_bf16(u32 x) { return float_of(x << 16); }
DEVICE u32 to_bf16(float x)
{
#if __CUDA_ARCH__ >= 800
    u16 y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y) : "f"(x));
    return y;
#else
    u32 u = bits_of(x);
    if ((u & 0x7fffffff) > 0x7f800000)
        return 0x7fff;
    return (u + 0x7fff + (u >> 16 & 1)) >> 16;
#endif
}

/* ---- global memory ---- */

#if __CUDA_ARCH__ >= 800
/* Loads and stores of 16 bytes take the hint only as a policy. */
DEVICE u64 evict_first(void)
{
    u64 policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    return policy;
}
#endif
/* 16 bytes of a state: touched once, so kept out of L1 and first to leave L2. */
DEVICE v4 load_state(const void *p)
{
    v4 x;
#if __CUDA_ARCH__ >= 800
    asm volatile("ld.global.L1::no_allocate.L2::cache_hint.v4.u32 "
                 "{%0,%1,%2,%3}, [%4], %5;"
                 : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
                 : "l"(p), "l"(evict_first()));
#else
    asm volatile("ld.global.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
                 : "l"(p));
#endif
    return x;
}
DEVICE void store_state(void *p, v4 x)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("st.global.L1::no_allocate.L2::cache_hint.v4.u32 [%0], "
                 "{%1,%2,%3,%4}, %5;"
                 :: "l"(p), "r"(x.x), "r"(x.y), "r"(x.z), "r"(x.w),
                    "l"(evict_first())
                 : "memory");
#else
    asm volatile("st.global.v4.u32 [%0], {%1,%2,%3,%4};"
                 :: "l"(p), "r"(x.x), "r"(x.y), "r"(x.z), "r"(x.w)
                 : "memory");
#endif
}
/* Aligned 16, 8 bytes, global or shared. */
DEVICE v4 load_v4(const void *p) { return *(const v4 *)p; }
DEVICE v2 load_v2(const void *p) { return *(const v2 *)p; }
DEVICE void store_v4(void *p, v4 x) { *(v4 *)p = x; }
DEVICE void store_v2(void *p, v2 x) { *(v2 *)p = x; }
DEVICE u32 atomic_add(u32 *p, u32 x) { return atomicAdd(p, x); }
/* Orders this thread's global accesses for other blocks. */
DEVICE void fence_device(void) { __threadfence(); }

/* ---- tensor cores, sm_80 and later; all 32 lanes take part ---- */

//@ for _, shape in ipairs { { k = 16, a = 4, b = 2 }, { k = 8, a = 2, b = 1 } } do
/* d += a b, of 16 x @(shape.k) and @(shape.k) x 8 bf16 numbers, sums in float32; whose lane
 * has which says the PTX ISA, "Matrix Fragments for mma.m16n8k@(shape.k)". */
DEVICE void mma_16x8x@(shape.k)(float (&d)[4], const u32 (&a)[@(shape.a)], const u32 (&b)[@(shape.b)])
{
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k@(shape.k).row.col.f32.bf16.bf16.f32 "
//@ if shape.k == 16 then
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
//@ else
        "{%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(b[0]));
//@ end
#endif
}
//@ end

/* x, of which the compiler knows nothing: what follows from it is made where it
 * is used, not ahead of a loop, where it would take registers. */
DEVICE int opaque(int x)
{
    asm volatile("" : "+r"(x));
    return x;
}

/* ---- threads together ---- */

DEVICE void block_sync(void) { __syncthreads(); }
DEVICE void warp_sync(void) { __syncwarp(); }
/* Named barriers 1 .. 15 of `threads` threads, a multiple of 32. */
DEVICE void barrier_sync(int name, int threads)
{
    asm volatile("bar.sync %0, %1;" :: "r"(name), "r"(threads) : "memory");
}
DEVICE void barrier_arrive(int name, int threads)
{
    asm volatile("bar.arrive %0, %1;" :: "r"(name), "r"(threads) : "memory");
}
/* All 32 lanes take part. */
DEVICE float shuffle_xor(float x, int mask)
{
    return __shfl_xor_sync(0xffffffff, x, mask);
}
DEVICE float shuffle_from(float x, int lane)
{
    return __shfl_sync(0xffffffff, x, lane);
}

/* ---- copies to shared memory that run by themselves: sm_80 ---- */

DEVICE u32 shared_address(const void *p)
{
    return (u32)__cvta_generic_to_shared(p);
}
#if __CUDA_ARCH__ >= 800
DEVICE void copy_async(void *shared, const void *global)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
                 :: "r"(shared_address(shared)), "l"(global) : "memory");
}
DEVICE void copy_commit(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}
/* Until at most `pending` groups of this thread are under way. */
template <int pending> DEVICE void copy_wait(void)
{
    asm volatile("cp.async.wait_group %0;" :: "n"(pending) : "memory");
}
#endif

/* ---- mbarriers and bulk copies: sm_90 ---- */

#if __CUDA_ARCH__ >= 900
DEVICE void mbarrier_init(u64 *bar, u32 count)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;"
                 :: "r"(shared_address(bar)), "r"(count) : "memory");
}
/* After the inits, before a bulk copy or another thread uses them. */
DEVICE void mbarrier_init_fence(void)
{
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
DEVICE void mbarrier_arrive(u64 *bar)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];"
                 :: "r"(shared_address(bar)) : "memory");
}
/* Arrives, and has the phase wait for that many bytes, too. */
DEVICE void mbarrier_arrive_expect(u64 *bar, u32 bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
                 :: "r"(shared_address(bar)), "r"(bytes) : "memory");
}
/* Until the phase of this parity is complete. */
DEVICE void mbarrier_wait(u64 *bar, u32 parity)
{
    asm volatile("{\n"
                 ".reg .pred p;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
                 "@!p bra again;\n"
                 "}" :: "r"(shared_address(bar)), "r"(parity) : "memory");
}
/* bytes: a multiple of 16; both sides 16-byte aligned. */
DEVICE void bulk_load(void *shared, const void *global, u32 bytes, u64 *bar)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::"
                 "bytes [%0], [%1], %2, [%3];"
                 :: "r"(shared_address(shared)), "l"(global), "r"(bytes),
                    "r"(shared_address(bar)) : "memory");
}
DEVICE void bulk_store(void *global, const void *shared, u32 bytes)
{
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;"
                 :: "l"(global), "r"(shared_address(shared)), "r"(bytes)
                 : "memory");
}
DEVICE void bulk_commit(void)
{
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
/* Until at most `pending` groups of this thread have yet to read shared
 * memory; or to write global memory, too. */
template <int pending> DEVICE void bulk_wait_read(void)
{
    asm volatile("cp.async.bulk.wait_group.read %0;" :: "n"(pending)
                 : "memory");
}
template <int pending> DEVICE void bulk_wait(void)
{
    asm volatile("cp.async.bulk.wait_group %0;" :: "n"(pending) : "memory");
}
/* This thread's plain accesses to shared memory before bulk copies after. */
DEVICE void fence_async(void)
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
#endif

/* ---- programmatic dependent launch: sm_90; elsewhere nothing ---- */

/* Until the kernels ahead in the stream are done and their writes visible. */
DEVICE void grid_wait(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/* The kernel behind may start to fill free multiprocessors. */
DEVICE void grid_release(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
#endif
#ifndef UNROLL
#define UNROLL
#endif
