/* race */
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
#ifdef FAULT
        bulk_wait_read<0>();
#else
        bulk_wait<0>();
#endif
        o[128] = o[1]; /* HERE */
    }
}
