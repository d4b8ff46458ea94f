/* planted.cu - see planted.lua; the fake driver reads the words. */
//@ include "cuda/prim.cuh"
//@ abi()
//@ local marks = { "none", "fake-crash", "fake-wrong", "fake-refuse", "fake-slow" }
extern "C" __device__ const char planted[] = "@(marks[mark + 1]) @(twin)";

KERNEL gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
}
