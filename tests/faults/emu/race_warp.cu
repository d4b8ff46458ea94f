/* race */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(float, s, 128);
    s[t] = q[t];
#ifndef FAULT
    warp_sync();
#endif
    o[t] = s[t ^ 1]; /* HERE */
}
