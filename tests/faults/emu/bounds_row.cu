/* out of bounds */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
#ifdef FAULT
    int row = 32;
#else
    int row = 31;
#endif
    o[row * 128 + t] = q[t]; /* HERE */
}
