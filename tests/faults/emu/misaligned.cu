/* misaligned */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
#ifdef FAULT
    v4 x = load_v4(q + 4 * (t & 7) + 1); /* HERE */
#else
    v4 x = load_v4(q + 4 * (t & 7));
#endif
    store_v4(o + 4 * t, x);
}
