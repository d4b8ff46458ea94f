/* race: used before others know of it */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(u64, bar, 1);
    if (t == 0)
        mbarrier_init(bar, 128);
#ifdef FAULT
    barrier_sync(1 + t / 32, 32);
#else
    block_sync();
#endif
    mbarrier_arrive(bar); /* HERE */
    mbarrier_wait(bar, 0);
    o[t] = q[t];
}
