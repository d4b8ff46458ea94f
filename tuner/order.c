/* order.c - shuffles and balanced squares. */
#include "order.h"
#include <assert.h>

uint64_t gdr_order_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void gdr_order_shuffle(uint64_t *state, int *items, int n)
{
    for (int i = n - 1; i > 0; i--) {
        int j = (int)(gdr_order_random(state) % (uint64_t)(i + 1));
        int t = items[i];
        items[i] = items[j];
        items[j] = t;
    }
}

/* An odd square is balanced for carry-over only with its mirror image. */
int gdr_order_rows(int n)
{
    return n % 2 ? 2 * n : n;
}

/* The first row goes 0, n-1, 1, n-2, ...: all its steps differ mod n. */
void gdr_order_balanced(int n, int64_t row, int *out)
{
    assert(n > 0 && row >= 0);
    int shift = (int)(row % n);
    int mirrored = n % 2 && row % (2 * n) >= n;
    for (int i = 0; i < n; i++) {
        int first = i % 2 ? n - (i + 1) / 2 : i / 2;
        out[mirrored ? n - 1 - i : i] = (first + shift) % n;
    }
}
