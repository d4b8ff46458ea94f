-- fault.lua: the real kernel with one planted fault; 0 is none. Each must
-- become a row with its outcome, and the run must go on.
return {
  op = "recurrent",
  doc = "the kernel with a planted fault",
  steps = {
    { entry = "gdr_kernel", grid = { "b*hv*ceil(v/@(tile_v))", "1", "1" },
      block = "1", smem = "0", workspace = "0" },
  },
  tune = {
    fault = { values = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, doc = "see fault.c" },
    tile_v = { values = { 32 }, doc = "as in recurrent.lua" },
    rows = { values = { 4 }, doc = "as in recurrent.lua" },
    width = { values = { 4 }, doc = "as in recurrent.lua" },
    unroll = { values = { 8 }, doc = "as in recurrent.lua" },
    prefetch = { values = { 0 }, doc = "as in recurrent.lua" },
  },
  where = { { "no variant with this fault", function(c) return c.fault ~= 9 end } },
  reduction = { "width" },
  defaults = {
    { max_work = math.huge, fault = 0, tile_v = 32, rows = 4, width = 4,
      unroll = 8, prefetch = 0 },
  },
}
