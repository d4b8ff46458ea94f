/* deadlock */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
#ifdef FAULT
    if (t >= 64)
        return;
#endif
    block_sync(); /* HERE */
    o[t] = q[t];
}
