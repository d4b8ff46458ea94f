/* out of bounds */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
#ifdef FAULT
    const float *from = q - 128;
#else
    const float *from = q;
#endif
    o[t] = from[t]; /* HERE */
}
