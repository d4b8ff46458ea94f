-- recurrent.lua: takes the real kernel out of the race; fault.c includes it.
return {
  op = "recurrent",
  doc = "applies to nothing",
  steps = {
    { entry = "gdr_kernel", grid = { "b", "1", "1" }, block = "1", smem = "0",
      workspace = "0" },
  },
  tune = {},
  applies = { { "the tests' faults are in its place", function() return false end } },
  defaults = {},
}
