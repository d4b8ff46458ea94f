/* deadlock */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    float x = q[t];
#ifdef FAULT
    if (t % 32 < 16)
#endif
        x += shuffle_xor(x, 1); /* HERE */
    o[t] = x;
}
