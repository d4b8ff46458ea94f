/* overlap; smem 2048 */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    DYNAMIC_SHARED(all);
    DYNAMIC_PART(float, s, all, 0, 256);
#ifdef FAULT
    DYNAMIC_PART(float, r, all, 512, 256); /* HERE */
#else
    DYNAMIC_PART(float, r, all, 1024, 256);
#endif
    r[t] = s[t] = q[t];
    o[t] = s[t] + r[t];
}
