/* mbarrier: two phases while one thread looks away */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(u64, bar, 1);
    if (t == 0)
        mbarrier_init(bar, 96);
    block_sync();
#ifdef FAULT
    if (t < 96) {
        mbarrier_arrive(bar);
        mbarrier_wait(bar, 0);
        mbarrier_arrive(bar);
        mbarrier_wait(bar, 1);
    } else {
        mbarrier_wait(bar, 0); /* HERE */
    }
#else
    if (t < 96)
        mbarrier_arrive(bar);
    mbarrier_wait(bar, 0);
#endif
    o[t] = q[t];
}
