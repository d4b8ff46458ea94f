/*
 * target_cpu.c - the machine's own processor: compiles with the system's cc,
 * keeps data between inaccessible pages, times by the monotonic clock.
 */
#include "compile_cc.h"
#include "target.h"

#include "../runtime/isa.h"
#include "../runtime/pool.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

extern const gdr_target gdr_target_cpu;

/* Kernels may use the widest vectors on what they are given. */
enum { ALIGN = 64 };

/* From here on two 2 MiB pages fit: below it huge pages cannot help. */
static const size_t huge_from = 4u << 20;

/* ---- compiling ---- */

static gdr_status compiler(char *text, size_t text_n, char *msg, size_t n)
{
    return gdr_cc_identity(text, text_n, msg, n);
}

static gdr_status compile(const char *source, size_t bytes, const char *arch,
                          double limit_s, gdr_image *out, char *log, size_t n)
{
    char *macros = NULL;
    gdr_status st;

    (void)arch;
    memset(out, 0, sizeof *out);
    st = gdr_cc_compile(source, bytes, limit_s, &out->code, &out->bytes,
                        &macros, log, n);
    if (st == GDR_OK)
        st = gdr_isa_from_macros(macros, out->isa, sizeof out->isa);
    free(macros);
    return st;
}

/* ---- memory: [note][guard][data ... ][guard], data ends at the guard ---- */

typedef struct memory_note {
    size_t mapped; /* whole length, with note and guards */
} memory_note;

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t round_up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

static gdr_status mem_alloc(void *dev, size_t bytes, void **p)
{
    size_t page = page_bytes();
    size_t used = round_up(bytes ? bytes : 1, ALIGN);
    size_t data = round_up(used, page), whole = data + 3 * page;
    char *base;

    (void)dev;
    *p = NULL;
    if (bytes > SIZE_MAX / 2)
        return GDR_ERR_NO_MEMORY;
    base = mmap(NULL, whole, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return GDR_ERR_NO_MEMORY;
    if (mprotect(base, page, PROT_READ | PROT_WRITE) ||
        mprotect(base + 2 * page, data, PROT_READ | PROT_WRITE)) {
        munmap(base, whole);
        return GDR_ERR_NO_MEMORY;
    }
    if (data >= huge_from)
        madvise(base + 2 * page, data, MADV_HUGEPAGE);
    ((memory_note *)base)->mapped = whole;
    mprotect(base, page, PROT_READ);
    *p = base + 2 * page + (data - used);
    return GDR_OK;
}

static void mem_free(void *dev, void *p)
{
    size_t page = page_bytes();
    char *base;

    (void)dev;
    if (!p)
        return;
    base = (char *)p - (uintptr_t)p % page - 2 * page;
    munmap(base, ((memory_note *)base)->mapped);
}

static gdr_status mem_write(void *dev, void *dst, const void *host,
                            size_t bytes)
{
    (void)dev;
    memcpy(dst, host, bytes);
    return GDR_OK;
}

static gdr_status mem_read(void *dev, void *host, const void *src, size_t bytes)
{
    (void)dev;
    memcpy(host, src, bytes);
    return GDR_OK;
}

/* ---- time ---- */

/* Raw: not slewed by NTP. */
static double clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static gdr_status time_launches(const gdr_recipe *r, const gdr_args *ring,
                                int n_ring, int *at, int64_t launches,
                                double *ns)
{
    int i = *at % n_ring;
    double begin_ns = clock_ns();

    for (int64_t n = 0; n < launches; n++) {
        gdr_status st = gdr_recipe_launch(r, &ring[i], NULL, NULL, 0);
        if (st != GDR_OK)
            return st;
        i = i + 1 < n_ring ? i + 1 : 0;
    }
    *ns = (clock_ns() - begin_ns) / (double)launches;
    *at = i;
    return GDR_OK;
}

/* ---- roofline ---- */

typedef uint64_t lanes __attribute__((vector_size(64), aligned(8)));

/* Integer lanes: any bit pattern is as fast as any other, and none changes. */
static inline __attribute__((always_inline)) void rewrite(char *p, int64_t n,
                                                          uint64_t zero)
{
    for (int64_t i = 0; i + 4 <= n; i += 4) {
        lanes *at = (lanes *)(p + 64 * i);
        at[0] += zero;
        at[1] += zero;
        at[2] += zero;
        at[3] += zero;
    }
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void rewrite_512(char *p, int64_t n,
                                                           uint64_t zero)
{
    rewrite(p, n, zero);
}

__attribute__((target("avx2"))) static void rewrite_256(char *p, int64_t n,
                                                        uint64_t zero)
{
    rewrite(p, n, zero);
}
#endif

static void rewrite_part(void *p, int64_t begin, int64_t end)
{
    volatile uint64_t hidden = 0; /* else the compiler sees x + 0 */
    char *at = (char *)p + 64 * begin;

#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        rewrite_512(at, end - begin, hidden);
        return;
    }
    if (__builtin_cpu_supports("avx2")) {
        rewrite_256(at, end - begin, hidden);
        return;
    }
#endif
    rewrite(at, end - begin, hidden);
}

static void touch_nothing(void *ctx, int64_t begin, int64_t end)
{
    (void)ctx;
    (void)begin;
    (void)end;
}

/* On threads of its own, as many as the device has; the device's are asleep by
 * the time these have started. */
static gdr_status time_rewrite(void *dev, void *p, size_t bytes, double *ns)
{
    int threads = gdr_backend_cpu.info(dev)->sms;
    gdr_pool *pool = NULL;
    double begin_ns;
    gdr_status st = gdr_pool_open(threads, &pool);

    if (st != GDR_OK)
        return st;
    for (int i = 0; i < 4; i++)
        gdr_pool_run(pool, threads, touch_nothing, NULL);
    begin_ns = clock_ns();
    gdr_pool_run(pool, (int64_t)(bytes / 64), rewrite_part, p);
    *ns = clock_ns() - begin_ns;
    gdr_pool_close(pool);
    return GDR_OK;
}

/* The next piece of the memory each time; scaled to what was asked. */
static gdr_status roofline(void *dev, void *p, size_t all, size_t bytes,
                           int64_t *at, double *ns)
{
    const size_t least = 8 << 20; /* some 100 us: longer than the clock errs */
    size_t piece = bytes > least ? bytes : least;
    gdr_status st;

    piece = (piece < all ? piece : all) / 256 * 256;
    if (!piece)
        return GDR_ERR_ARG;
    if ((size_t)*at + piece > all)
        *at = 0;
    st = time_rewrite(dev, (char *)p + *at, piece, ns);
    *at += (int64_t)piece;
    *ns *= (double)bytes / (double)piece;
    return st;
}

const gdr_target gdr_target_cpu = {
    .kind = "cpu",
    .templates = "cpu",
    .backend = &gdr_backend_cpu,
    .compiler = compiler,
    .compile = compile,
    .alloc = mem_alloc,
    .free = mem_free,
    .write = mem_write,
    .read = mem_read,
    .time = time_launches,
    .roofline = roofline,
};
