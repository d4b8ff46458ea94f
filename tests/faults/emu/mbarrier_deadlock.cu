/* deadlock */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(u64, bar, 1);
    if (t == 0)
        mbarrier_init(bar, 128);
    block_sync();
#ifdef FAULT
    if (t)
#endif
        mbarrier_arrive(bar);
    mbarrier_wait(bar, 0); /* HERE */
    o[t] = q[t];
}
