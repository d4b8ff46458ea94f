/* uninitialised */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
#ifndef FAULT
    o[t] = 0;
#endif
    o[t] += q[t]; /* HERE */
}
