/* race; grid 3: the last block sums what the others left */
KERNEL LAUNCH_BOUNDS(128, 1) gdr_kernel(GRID_CONSTANT gdr_recurrent_params p)
{
    const float *q = (const float *)p.q;
    float *o = (float *)p.o;
    int t = thread_index();
    u32 *done = (u32 *)p.workspace;
    SHARED(u32, turn, 1);
    o[block_index() * 128 + t] = q[t];
    block_sync();
    if (t == 0) {
#ifndef FAULT
        fence_device();
#endif
        turn[0] = atomic_add(done, 1);
        fence_device();
    }
    block_sync();
    if (turn[0] % 3 == 2) {
        float sum = 0;
        for (int i = 0; i < 3; i++)
            sum += o[i * 128 + t]; /* HERE */
        o[512 + t] = sum;
    }
}
