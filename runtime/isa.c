/*
 * isa.c - one table of instruction set names per architecture, with the macro
 * by which gcc and clang say that they use it and the bit by which the cpu says
 * that it has it.
 *
 * The tables hold what compilers emit on their own for C with vector types,
 * above the architecture's baseline: x86-64-v2's SSE is taken for granted, and
 * what needs intrinsics (AES, AMX, ...) is left out. A name that is missing
 * here lets an image reach a cpu that cannot run it, where its first call
 * traps.
 */
#include "isa.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

typedef struct isa {
    const char *name, *macro;
    uint32_t leaf, subleaf; /* x86: cpuid; aarch64: AT_HWCAP or AT_HWCAP2 */
    int reg, bit;           /* x86: 0 .. 3 is eax .. edx */
    uint32_t xcr0;          /* x86: register files the system must save */
} isa;

#if defined(__x86_64__)

enum { EAX, EBX, ECX, EDX };
enum { YMM = 0x6, ZMM = 0xe6, APX = 1 << 19 };
#define EXT 0x80000001u

/* Sorted by name. Bits: Intel SDM vol. 2 CPUID, AMD APM vol. 3 appendix E. */
static const isa isas[] = {
    {"apxf", "__APX_F__", 7, 1, EDX, 21, APX},
    {"avx", "__AVX__", 1, 0, ECX, 28, YMM},
    {"avx2", "__AVX2__", 7, 0, EBX, 5, YMM},
    {"avx512bf16", "__AVX512BF16__", 7, 1, EAX, 5, ZMM},
    {"avx512bitalg", "__AVX512BITALG__", 7, 0, ECX, 12, ZMM},
    {"avx512bw", "__AVX512BW__", 7, 0, EBX, 30, ZMM},
    {"avx512cd", "__AVX512CD__", 7, 0, EBX, 28, ZMM},
    {"avx512dq", "__AVX512DQ__", 7, 0, EBX, 17, ZMM},
    {"avx512f", "__AVX512F__", 7, 0, EBX, 16, ZMM},
    {"avx512fp16", "__AVX512FP16__", 7, 0, EDX, 23, ZMM},
    {"avx512vbmi", "__AVX512VBMI__", 7, 0, ECX, 1, ZMM},
    {"avx512vbmi2", "__AVX512VBMI2__", 7, 0, ECX, 6, ZMM},
    {"avx512vl", "__AVX512VL__", 7, 0, EBX, 31, ZMM},
    {"avx512vnni", "__AVX512VNNI__", 7, 0, ECX, 11, ZMM},
    {"avx512vpopcntdq", "__AVX512VPOPCNTDQ__", 7, 0, ECX, 14, ZMM},
    {"avxneconvert", "__AVXNECONVERT__", 7, 1, EDX, 5, YMM},
    {"avxvnni", "__AVXVNNI__", 7, 1, EAX, 4, YMM},
    {"avxvnniint16", "__AVXVNNIINT16__", 7, 1, EDX, 10, YMM},
    {"avxvnniint8", "__AVXVNNIINT8__", 7, 1, EDX, 4, YMM},
    {"bmi", "__BMI__", 7, 0, EBX, 3, 0},
    {"bmi2", "__BMI2__", 7, 0, EBX, 8, 0},
    {"f16c", "__F16C__", 1, 0, ECX, 29, YMM},
    {"fma", "__FMA__", 1, 0, ECX, 12, YMM},
    {"fma4", "__FMA4__", EXT, 0, ECX, 16, YMM},
    {"lzcnt", "__LZCNT__", EXT, 0, ECX, 5, 0},
    {"movbe", "__MOVBE__", 1, 0, ECX, 22, 0},
    {"popcnt", "__POPCNT__", 1, 0, ECX, 23, 0},
    {"sse4.2", "__SSE4_2__", 1, 0, ECX, 20, 0},
    {"tbm", "__TBM__", EXT, 0, ECX, 21, 0},
    {"xop", "__XOP__", EXT, 0, ECX, 11, YMM},
};

const char *gdr_isa_arch(void)
{
    return "x86-64";
}

/* The register files that the system saves; 0 where it cannot say. */
static uint32_t saved_registers(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

static int has(const isa *i)
{
    uint32_t r[4];
    if (!__get_cpuid_count(i->leaf, i->subleaf, r, r + 1, r + 2, r + 3))
        return 0;
    return (r[i->reg] >> i->bit & 1) &&
           (saved_registers() & i->xcr0) == i->xcr0;
}

#elif defined(__aarch64__)

/* Sorted by name. Bits: the kernel's asm/hwcap.h, frozen as ABI. */
static const isa isas[] = {
    {"asimd", "__ARM_NEON", AT_HWCAP, 0, 0, 1, 0},
    {"bf16", "__ARM_FEATURE_BF16_VECTOR_ARITHMETIC", AT_HWCAP2, 0, 0, 14, 0},
    {"crc32", "__ARM_FEATURE_CRC32", AT_HWCAP, 0, 0, 7, 0},
    {"dotprod", "__ARM_FEATURE_DOTPROD", AT_HWCAP, 0, 0, 20, 0},
    {"fcma", "__ARM_FEATURE_COMPLEX", AT_HWCAP, 0, 0, 14, 0},
    {"fp16", "__ARM_FEATURE_FP16_VECTOR_ARITHMETIC", AT_HWCAP, 0, 0, 10, 0},
    {"fp16fml", "__ARM_FEATURE_FP16_FML", AT_HWCAP, 0, 0, 23, 0},
    {"frint", "__ARM_FEATURE_FRINT", AT_HWCAP2, 0, 0, 8, 0},
    {"i8mm", "__ARM_FEATURE_MATMUL_INT8", AT_HWCAP2, 0, 0, 13, 0},
    {"jscvt", "__ARM_FEATURE_JCVT", AT_HWCAP, 0, 0, 13, 0},
    {"lrcpc", "__ARM_FEATURE_RCPC", AT_HWCAP, 0, 0, 15, 0},
    {"lse", "__ARM_FEATURE_ATOMICS", AT_HWCAP, 0, 0, 8, 0},
    {"mops", "__ARM_FEATURE_MOPS", AT_HWCAP2, 0, 0, 43, 0},
    {"rdm", "__ARM_FEATURE_QRDMX", AT_HWCAP, 0, 0, 12, 0},
    {"sve", "__ARM_FEATURE_SVE", AT_HWCAP, 0, 0, 22, 0},
    {"sve2", "__ARM_FEATURE_SVE2", AT_HWCAP2, 0, 0, 1, 0},
    {"svebf16", "__ARM_FEATURE_SVE_BF16", AT_HWCAP2, 0, 0, 12, 0},
    {"svei8mm", "__ARM_FEATURE_SVE_MATMUL_INT8", AT_HWCAP2, 0, 0, 9, 0},
};

const char *gdr_isa_arch(void)
{
    return "aarch64";
}

static int has(const isa *i)
{
    return (int)(getauxval(i->leaf) >> i->bit & 1);
}

#else

static const isa isas[] = {{"none", "__gdr_no_such_macro__", 0, 0, 0, 0, 0}};

const char *gdr_isa_arch(void)
{
    return "unknown";
}

static int has(const isa *i)
{
    (void)i;
    return 0;
}

#endif

/* ---- texts -------------------------------------------------------------- */

static gdr_status append(const char *name, char *out, size_t n)
{
    size_t used = strlen(out);
    int more = snprintf(out + used, n - used, "%s%s", used ? "+" : "", name);
    return (size_t)more < n - used ? GDR_OK : GDR_ERR_INTERNAL;
}

gdr_status gdr_isa_detect(char *out, size_t n)
{
    gdr_status status = GDR_OK;
    *out = 0;
    for (size_t i = 0; i < sizeof isas / sizeof *isas && !status; i++)
        if (has(&isas[i]))
            status = append(isas[i].name, out, n);
    return status;
}

/* "#define NAME value": a macro that is defined as 0 is not in use. */
static int defines(const char *macros, const char *name)
{
    static const char define[] = "#define ";
    size_t length = strlen(name), skip = sizeof define - 1;
    for (const char *p = macros; p; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (!strncmp(p, define, skip) && !strncmp(p + skip, name, length) &&
            p[skip + length] == ' ')
            return strncmp(p + skip + length, " 0\n", 3) != 0;
    }
    return 0;
}

gdr_status gdr_isa_from_macros(const char *macros, char *out, size_t n)
{
    gdr_status status = GDR_OK;
    *out = 0;
    for (size_t i = 0; i < sizeof isas / sizeof *isas && !status; i++)
        if (defines(macros, isas[i].macro))
            status = append(isas[i].name, out, n);
    return status;
}

static int contains(const char *have, const char *name, size_t length)
{
    while (*have) {
        size_t n = strcspn(have, "+");
        if (n == length && !memcmp(have, name, n))
            return 1;
        have += n + (have[n] == '+');
    }
    return 0;
}

int gdr_isa_subset(const char *needed, const char *have)
{
    while (*needed) {
        size_t n = strcspn(needed, "+");
        if (n && !contains(have, needed, n))
            return 0;
        needed += n + (needed[n] == '+');
    }
    return 1;
}

int32_t gdr_isa_vector_bytes(const char *names)
{
    return gdr_isa_subset("avx512f", names) ? 64
           : gdr_isa_subset("avx", names)   ? 32
                                            : 16;
}
