-- recurrent_mma.lua: the op `recurrent` for S as [V][K] in bf16, where tensor
-- cores multiply what is stored as it is stored.

return {
  op = "recurrent",
  doc = "S in registers as fragments of the tensor cores, 4 tokens at a time",
  steps = {
    { entry = "gdr_kernel", grid = { "b*hv*ceil(v/@(16 * warps))" },
      block = "@(32 * warps)", pdl = "@(pdl)",
      in_flight = "@(math.min(16 * warps, V) * K * bytes(state))" },
  },
  tune = {
    warps = { values = { 2, 4, 8 }, doc = "warps of a block, 16 rows each" },
    pdl = { values = { 0, 1 },
      doc = "1: starts while the kernel ahead of it ends" },
  },
  where = {
    { "a block is no taller than V needs",
      function(c, s) return c.warps == 2 or 16 * c.warps < 2 * s.V end },
    { "S as a sum fits in static shared memory, 40 KiB at most",
      function(c, s) return c.warps * s.K <= 640 end },
    { "dependent launches begin with sm_90",
      function(c, s, d) return c.pdl == 0 or sm(d.arch) >= 90 end },
    { "pdl hides a launch, which matters where blocks are small",
      function(c) return c.pdl == 0 or c.warps == 2 end },
  },
  applies = {
    { "tensor cores know bf16 since sm_80",
      function(s, d) return sm(d.arch) >= 80 end },
    { "q, k and S are multiplied as they are stored: bf16",
      function(s) return s.io == "bf16" and s.state == "bf16" end },
    { "only [V][K]: there the dim that is summed over is in one piece",
      function(s) return s.layout == "vk" end },
    { "states between tokens are not made",
      function(s)
        return s.contract == "final" and not s.round_between_tokens
      end },
    { "4 lanes hold a row in vectors of 8, all of it in registers",
      function(s) return s.K % 32 == 0 and s.K <= 256 end },
  },
}
