//@ local total = 0
//@ abi()
//@ include "test/add.h"

#define TWICE(x) \
//@ if io == "bf16" then
    ((x) * 2) + \
//@ end
    @(chunk)

//@ for i = 1, 3 do
//@     total = total + i
static const int part_@(i) = @(total); /* @@(total) */
//@ end
static const double scale = @(1 / 8), third = @(1 / 3), big = @(2.0 ^ 70);
static const char *text = "@("a (b" .. [[)]] .. ')')";

//@ local function kernel(name)
void @(name)(const gdr_recurrent_params *p)
{
    (void)p;
}
//@ end
//@ kernel("first_" .. layout)
