/* @(n) lanes at a time: this snippet sees what its template sees. */
static void add_@(n)(float *x, const float *y)
{
//@ for i = 0, n - 1 do
    x[@(i)] += y[@(i)];
//@ end
}
