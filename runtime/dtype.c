/*
 * dtype.c - exact conversions between float64 and the dtypes of tensors, always
 * rounding once, to nearest even. What must stay true: no conversion goes
 * through a third type that could round twice.
 */
#include "reference.h"

#include <math.h>
#include <string.h>

/* precision in bits, exponent of the smallest normal, largest finite value */
static const struct {
    int bits, emin;
    double max;
} dtypes[] = {
    [GDR_F32] = {24, -126, 3.4028234663852886e38},
    [GDR_BF16] = {8, -126, 3.3895313892515355e38},
    [GDR_F16] = {11, -14, 65504.0},
};

static uint64_t bits_of(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static double double_of(uint64_t u)
{
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static double power_of_two(int e)
{
    return double_of((uint64_t)(e + 1023) << 52);
}

double gdr_ulp(gdr_dtype d, double x)
{
    int e = (int)(bits_of(x) >> 52 & 0x7ff) - 1023;
    if (e < dtypes[d].emin || e > 1023)
        e = dtypes[d].emin;
    return power_of_two(e - dtypes[d].bits + 1);
}

/* Below the normals of d the spacing is constant: adding 1.5 * 2^52 spacings
 * leaves no bit for less, and the hardware rounds to nearest even. Above, the
 * same rounding on the bits of the double; a carry into the exponent is right.
 */
double gdr_round(gdr_dtype d, double x)
{
    if (!(fabs(x) <= dtypes[d].max * 2))
        return isnan(x) ? x : copysign(INFINITY, x);
    double r;
    if (fabs(x) < power_of_two(dtypes[d].emin)) {
        double shift = gdr_ulp(d, 0) * 0x1.8p52;
        r = copysign(x + shift - shift, x);
    } else {
        int drop = 53 - dtypes[d].bits;
        uint64_t u = bits_of(x);
        u += ((uint64_t)1 << (drop - 1)) - 1 + (u >> drop & 1);
        r = double_of(u >> drop << drop);
    }
    return fabs(r) > dtypes[d].max ? copysign(INFINITY, x) : r;
}

/* x is a value of f16 already */
static uint16_t half_bits(double x)
{
    uint16_t sign = signbit(x) ? 0x8000 : 0;
    double a = fabs(x);
    if (isnan(x))
        return sign | 0x7e00;
    if (isinf(x))
        return sign | 0x7c00;
    if (a < 0x1p-14)
        return (uint16_t)(sign | (uint16_t)(a * 0x1p24));
    uint64_t u = bits_of(a);
    int e = (int)(u >> 52) - 1023 + 15;
    return (uint16_t)(sign | e << 10 | (int)(u >> 42 & 0x3ff));
}

static double half_value(uint16_t h)
{
    int e = h >> 10 & 31, m = h & 0x3ff;
    double a = e == 0    ? m * 0x1p-24
               : e == 31 ? (m ? NAN : INFINITY)
                         : (1024 + m) * power_of_two(e - 25);
    return h & 0x8000 ? -a : a;
}

double gdr_load(gdr_dtype d, const void *base, int64_t index)
{
    const char *p = (const char *)base + index * (int64_t)gdr_dtype_bytes(d);
    float f;
    uint16_t h;
    if (d == GDR_F32) {
        memcpy(&f, p, sizeof f);
        return f;
    }
    memcpy(&h, p, sizeof h);
    if (d == GDR_F16)
        return half_value(h);
    uint32_t u = (uint32_t)h << 16;
    memcpy(&f, &u, sizeof f);
    return f;
}

void gdr_store_rounded(gdr_dtype d, void *base, int64_t index, double x)
{
    char *p = (char *)base + index * (int64_t)gdr_dtype_bytes(d);
    float f = (float)gdr_round(d == GDR_F16 ? GDR_F32 : d, x);
    if (d == GDR_F32) {
        memcpy(p, &f, sizeof f);
        return;
    }
    uint16_t h;
    if (d == GDR_F16) {
        h = half_bits(gdr_round(d, x));
    } else {
        uint32_t u;
        memcpy(&u, &f, sizeof u);
        h = (uint16_t)(u >> 16 | (isnan(f) ? 0x40 : 0));
    }
    memcpy(p, &h, sizeof h);
}
