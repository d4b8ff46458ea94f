/* race */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(float, s, 128);
    float sum = 0;
    for (int i = 0; i < 3; i++) {
        s[t] = q[t] + i; /* HERE */
        block_sync();
        sum += s[127 - t];
#ifndef FAULT
        block_sync();
#endif
    }
    o[t] = sum;
}
