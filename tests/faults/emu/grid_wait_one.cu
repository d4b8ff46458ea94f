/* before grid_wait; pdl 1 */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    if (t == 0)
        grid_wait();
#ifndef FAULT
    block_sync();
#endif
    float x = q[t]; /* HERE */
    o[t] = x;
}
