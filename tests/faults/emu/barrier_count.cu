/* barrier */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(float, s, 128);
    s[t] = q[t];
    if (t < 64)
        barrier_sync(1, 128);
    else
#ifdef FAULT
        barrier_sync(1, 64); /* HERE */
#else
        barrier_sync(1, 128);
#endif
    o[t] = s[127 - t];
}
