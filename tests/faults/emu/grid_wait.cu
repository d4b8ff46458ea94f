/* before grid_wait; pdl 1 */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
#ifdef FAULT
    float x = q[t]; /* HERE */
    grid_wait();
#else
    grid_wait();
    float x = q[t];
#endif
    grid_release();
    o[t] = x;
}
