//@ abi()
//@ include "cuda/prim.cuh"
/* @(smem) KiB are asked for at the launch. */
KERNEL LAUNCH_BOUNDS(@(threads), 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    float *o = (float *)p.o;
//@ if fault == 1 then -- spills: a thousand values live at once
    volatile float *in = (volatile float *)p.q;
    float x[1000];
#pragma unroll
    for (int i = 0; i < 1000; i++)
        x[i] = in[i];
#pragma unroll
    for (int i = 0; i < 1000; i++)
        o[thread_index() * 1000 + i] = x[999 - i];
//@ elseif fault == 2 then -- does not compile
    this is not CUDA;
//@ elseif fault == 3 then -- asks for a feature that sm_75 has not
    asm volatile("griddepcontrol.wait;" ::: "memory");
//@ end
    o[thread_index()] = exponential(o[block_index()]);
}
