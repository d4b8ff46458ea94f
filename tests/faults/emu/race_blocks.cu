/* race; grid 3 */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
#ifdef FAULT
    o[t] = q[t]; /* HERE */
#else
    o[block_index() * 128 + t] = q[t];
#endif
}
