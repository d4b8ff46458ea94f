/* race: a shuffle orders no memory */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(float, s, 128);
    s[t] = q[t];
    float x = shuffle_xor(q[t], 1);
#ifndef FAULT
    warp_sync();
#endif
    o[t] = x + s[t ^ 1]; /* HERE */
}
