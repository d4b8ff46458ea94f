/* uninitialised */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(float, s, 128);
#ifdef FAULT
    if (t < 127)
#endif
        s[t] = q[t];
    block_sync();
    o[t] = s[t]; /* HERE */
}
