/* race: phases go on without who is waited for */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(u64, bar, 1);
    if (t == 0)
        mbarrier_init(bar, 128);
    block_sync();
    SHARED(float, s, 128);
    s[t] = q[t];
    mbarrier_arrive(bar);
    mbarrier_wait(bar, 0);
    float x = s[127 - t];
#ifdef FAULT
    if (t < 64) {
        mbarrier_arrive(bar);
        mbarrier_arrive(bar);
        mbarrier_wait(bar, 1);
    }
#else
    mbarrier_arrive(bar);
    mbarrier_wait(bar, 1);
#endif
    s[t] = x; /* HERE */
    o[t] = x;
}
