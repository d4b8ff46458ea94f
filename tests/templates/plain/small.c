//@ for i = 1, n do
int small_@(i);
//@ end
