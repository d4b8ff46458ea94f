/* proxy: a fence of another thread is not enough */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(float, s, 128);
    s[t] = q[t];
#ifndef FAULT
    fence_async();
#endif
    block_sync();
    if (t == 0) {
        fence_async();
        bulk_store(o, s, 512); /* HERE */
        bulk_commit();
        bulk_wait_read<0>();
    }
}
