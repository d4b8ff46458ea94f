-- small.lua: the least that is a kernel; allocation failure is stepped through it.
return {
  op = "recurrent",
  doc = "small",
  steps = { { entry = "small", grid = { "b*hv*ceil(v/@(n))" } } },
  tune = { n = { values = { 1, 2 }, doc = "lanes" } },
  where = { { "n is 1", function(c) return c.n == 1 end } },
  defaults = { { max_work = math.huge, n = 2 } },
}
