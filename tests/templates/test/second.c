void second(void)
{
//@ if l2norm then
    int x = @(chunk);
//@ end
}