-- planted.lua: variants that differ in what the fake driver does with them.
return {
  op = "recurrent",
  doc = "for the fake driver, which computes it and fails where it is told to",
  steps = { { entry = "gdr_kernel", grid = { "b*hv" }, block = "32" } },
  tune = {
    mark = { values = { 0, 1, 2, 3, 4 }, doc = "0: none" },
    twin = { values = { 1, 2 }, doc = "another image that does the same" },
  },
  where = {
    { "one of each failure",
      function(c) return c.mark == 0 or c.twin == 1 end },
  },
  applies = { { "only kv", function(s) return s.layout == "kv" end } },
}
