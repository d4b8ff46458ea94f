/* spin: nobody ever comes */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    u32 *flag = (u32 *)p.workspace;
#ifdef FAULT
    while (atomic_add(flag + 1, 0) == 0) /* HERE */
        ;
#else
    if (t == 5)
        atomic_add(flag + 1, 1);
    while (atomic_add(flag + 1, 0) == 0)
        ;
#endif
    o[t] = q[t];
}
