/* race: a wait is for the thread itself */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(float, s, 512);
    copy_async(s + 4 * t, q + 4 * t);
    copy_commit();
    copy_wait<0>();
#ifndef FAULT
    block_sync();
#endif
    o[t] = s[(4 * t + 4) % 512]; /* HERE */
}
