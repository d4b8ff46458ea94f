/*
 * half.h - float32 from and to the 16-bit dtypes, in integer arithmetic: exact,
 * rounded to nearest even, the same on every cpu and in every mode of it.
 */
#ifndef GDR_HALF_H
#define GDR_HALF_H

#include "gdr.h"

#include <string.h>

static inline float half_from_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline uint32_t half_to_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* Subnormals by conversion, not as float32 subnormals: the caller may have the
 * cpu flush those to zero. */
static inline float half_from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    if (rest >= 0x7c00) /* infinity and NaN */
        return half_from_bits(sign | 0x7f800000 | (rest & 0x3ff) << 13);
    if (rest >= 0x400)
        return half_from_bits(sign | (rest + (112 << 10)) << 13);
    float x = (float)rest * 0x1p-24f;
    return sign ? -x : x;
}

/* To nearest even. Below 2^-14 the spacing is 2^-24: adding 0.5, whose own
 * spacing that is, rounds to it. */
static inline uint16_t half_to_f16(float x)
{
    uint32_t u = half_to_bits(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (a >= 0x477ff000) /* 65520: half way to the next power of two */
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000)
        return (uint16_t)(sign | (half_to_bits(half_from_bits(a) + 0.5f) -
                                  0x3f000000));
    a += 0xfff + (a >> 13 & 1);
    return (uint16_t)(sign | ((a >> 13) - (112 << 10)));
}

static inline uint16_t half_to_bf16(float x)
{
    uint32_t u = half_to_bits(x);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float half_load(gdr_dtype d, const void *base, int64_t i)
{
    if (d == GDR_F32)
        return ((const float *)base)[i];
    uint16_t h = ((const uint16_t *)base)[i];
    return d == GDR_BF16 ? half_from_bits((uint32_t)h << 16) : half_from_f16(h);
}

static inline void half_store(gdr_dtype d, void *base, int64_t i, float x)
{
    if (d == GDR_F32)
        ((float *)base)[i] = x;
    else
        ((uint16_t *)base)[i] =
            d == GDR_BF16 ? half_to_bf16(x) : half_to_f16(x);
}

static inline float half_rounded(gdr_dtype d, float x)
{
    uint16_t h;
    if (d == GDR_F32)
        return x;
    half_store(d, &h, 0, x);
    return half_load(d, &h, 0);
}

#endif
