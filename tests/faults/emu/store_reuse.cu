/* copy under way */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(float, s, 128);
    s[t] = q[t];
    fence_async();
    block_sync();
    if (t == 0) {
        bulk_store(o, s, 512);
        bulk_commit();
#ifndef FAULT
        bulk_wait_read<0>();
#endif
    }
    block_sync();
    s[t] = 0; /* HERE */
    if (t == 0)
        bulk_wait_read<0>();
}
