/* divergent */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    float x = q[t];
#ifdef FAULT
    if (t & 1)
        warp_sync();
    else
        x += shuffle_xor(x, 1); /* HERE */
#else
    warp_sync();
    x += shuffle_xor(x, 1);
#endif
    o[t] = x;
}
