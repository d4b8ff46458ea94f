/* numbers.c - the arithmetic that kernels get from the host's library. */
#include "machine.h"
#include "../../runtime/half.h"

#include <math.h>

static float from_f16(unsigned x)
{
    return half_from_f16((uint16_t)x);
}

static unsigned to_f16(float x)
{
    return half_to_f16(x);
}

void gdr_emu_calls_numbers(gdr_emu_calls *c)
{
    c->exponential = expf;
    c->log_1p = log1pf;
    c->root = sqrtf;
    c->fused = fmaf;
    c->from_f16 = from_f16;
    c->to_f16 = to_f16;
}
