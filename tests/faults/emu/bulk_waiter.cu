/* race: only one thread waits */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(float, s, 128);
    SHARED(u64, bar, 1);
    if (t == 0) {
        mbarrier_init(bar, 1);
        mbarrier_init_fence();
    }
    block_sync();
    if (t == 0) {
        mbarrier_arrive_expect(bar, 512);
        bulk_load(s, q, 512, bar);
    }
#ifdef FAULT
    if (t == 5)
#endif
        mbarrier_wait(bar, 0);
    if (t == 9 || t == 5)
        o[t] = s[t]; /* HERE */
    block_sync();
    mbarrier_wait(bar, 0);
}
