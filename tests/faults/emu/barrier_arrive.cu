/* race: who only arrives has seen nothing */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    SHARED(float, s, 128);
    s[t] = q[t];
#ifdef FAULT
    if (t < 64)
        barrier_arrive(2, 128);
    else
#endif
        barrier_sync(2, 128);
    o[t] = s[127 - t]; /* HERE */
}
