/* out of bounds; smem 2048 */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    DYNAMIC_SHARED(all);
    DYNAMIC_PART(float, s, all, 0, 256);
    DYNAMIC_PART(float, r, all, 1024, 256);
    r[t] = 0;
    block_sync();
#ifdef FAULT
    s[128 + 2 * t] = q[t]; /* HERE */
#else
    s[128 + t] = q[t];
#endif
    block_sync();
    o[t] = s[128 + (t & 3)] + r[t];
}
