/* misaligned */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(float, s, 132);
    SHARED(u64, bar, 1);
    if (t == 0) {
        mbarrier_init(bar, 1);
        mbarrier_init_fence();
        mbarrier_arrive_expect(bar, 512);
#ifdef FAULT
        bulk_load(s + 1, q, 512, bar); /* HERE */
#else
        bulk_load(s + 4, q, 512, bar);
#endif
    }
    block_sync();
    mbarrier_wait(bar, 0);
    o[t] = s[4 + t];
}
