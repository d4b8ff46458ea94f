-- recurrent.lua: the real kernel with few variants, so that a run is short.
return {
  op = "recurrent",
  doc = "four variants of the real kernel",
  steps = {
    { entry = "gdr_kernel", grid = { "b*hv*ceil(v/@(tile_v))", "1", "1" },
      block = "1", smem = "0", workspace = "0" },
  },
  tune = {
    tile_v = { values = { 32 }, doc = "as in the real spec" },
    rows = { values = { 2, 4 }, doc = "as in the real spec" },
    width = { values = { 4 }, doc = "as in the real spec" },
    unroll = { values = { 8 }, doc = "as in the real spec" },
    prefetch = { values = { 0, 8 }, doc = "as in the real spec" },
  },
  reduction = { "width" },
  defaults = {
    { max_work = math.huge, tile_v = 32, rows = 4, width = 4, unroll = 8,
      prefetch = 0 },
  },
}
