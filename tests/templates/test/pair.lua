-- pair.lua: what a spec can say, once each.
return {
  op = "recurrent",
  doc = "two steps that share a chunk",
  steps = {
    { template = "first.c", entry = "first_@(layout)",
      grid = { "b*ceil(t/@(chunk))", "min(hv*4, sms*2)" },
      block = "@(32 * n)", smem = "@(n * bytes(state))*k",
      workspace = "b*hv*@(K * V * 4)" },
    { template = "second.c", entry = "second", grid = "b*hv" },
  },
  tune = {
    chunk = { values = { 64, 16, 32 }, doc = "tokens of one step" },
    n = { values = { 1, 2, 4, 8 }, doc = "lanes" },
    spare = { values = { 0, 1 }, doc = "read by no template" },
  },
  where = {
    { "lanes fit a register",
      function(c, s, d) return c.n * 4 <= d.vector_bytes end },
    { "lanes divide K", function(c, s) return s.K % c.n == 0 end },
    { "spare needs avx2",
      function(c, s, d) return c.spare == 0 or d.has "avx2" end },
  },
  applies = {
    { "only for vk", function(s) return s.layout == "vk" end },
  },
  defaults = {
    { max_work = 64, chunk = 16, n = 8, spare = 0 },
    { max_work = math.huge, chunk = 64, spare = 0,
      n = function(s, d) return d.vector_bytes // 4 end },
  },
  reduction = { "n" },
}
