/* The real kernel under another name, and what goes wrong around it. */
#define gdr_kernel real_kernel
//@ include "cpu/recurrent.c"
#undef gdr_kernel
#include <stdlib.h>
#include <unistd.h>

void gdr_kernel(const gdr_recurrent_params *p, long long begin, long long end)
{
//@ if fault == 1 then -- crashes
    *(volatile int *)8 = 1;
//@ elseif fault == 2 then -- hangs
    for (;;)
        sleep(1);
//@ elseif fault == 3 then -- spins
    for (volatile int x = 0;; x++)
        ;
//@ elseif fault == 10 then -- dies as if the kernel had no memory left
    extern int getpid(void), kill(int, int);
    kill(getpid(), 9);
//@ elseif fault == 7 then -- does not compile
    this is not C;
//@ elseif fault == 8 then -- crashes, but only in the long run of the timing
    static const void *_Atomic last;
    static _Atomic int calls;
    if (p->q != last)
        calls = 0;
    last = p->q;
    if (calls++ > 400)
        abort();
//@ end
    real_kernel(p, begin, end);
//@ if fault >= 4 and fault <= 6 then
    if (begin < end && p->T > 0 && p->B > 0) {
//@ local row = K
//@ if fault == 4 then -- one wrong row of one head's state
        @(state) *S = (@(state) *)p->state;
        if (begin == 0 && !p->state_indices)
            for (int i = 0; i < @(row); i++)
                S[i] = 0;
//@ elseif fault == 5 then -- NaN
        *(@(io) *)p->o = (@(io))(0.0f / 0.0f);
//@ elseif fault == 6 then -- writes past its tile
        if (end >= p->B * p->Hv * ((@(V) + 31) / 32))
            ((@(state) *)p->state)[p->n_slots * p->s_slot + 3] = 1;
//@ end
    }
//@ end
}
