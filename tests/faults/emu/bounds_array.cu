/* out of bounds: into the neighbour */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(float, s, 128);
    SHARED(float, r, 128);
    r[t] = 0;
    block_sync();
#ifdef FAULT
    s[t + 1] = q[t]; /* HERE */
#else
    s[t] = q[t];
#endif
    block_sync();
    o[t] = s[t] + r[t];
}
