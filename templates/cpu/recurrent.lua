return {
  op = "recurrent",
  doc = "one pass over S for both dots; a few columns go through all tokens near",
  steps = {
    { entry = "gdr_kernel", grid = { "b*hv*ceil(v/@(tile_v))", "1", "1" },
      block = "1", smem = "0", workspace = "0" },
  },
  tune = {
    tile_v = { values = { 32, 64, 128 }, doc = "value columns of one unit" },
    rows = { values = { 2, 4, 8 }, doc = "rows (kv: vectors of columns) of one block" },
    width = { values = { 4, 8, 16 }, doc = "lanes of a vector" },
    unroll = { values = { 8 }, doc = "vectors along K per loop turn, at most" },
    prefetch = { values = { 0, 8 }, doc = "rows fetched ahead; 0: left to the machine" },
  },
  where = {
    { "width divides K", function(c, s) return s.K % c.width == 0 end },
    { "a vector is a register", function(c, s, d)
      return c.width * 4 <= d.vector_bytes end },
  },
  applies = {},
  reduction = { "width" },
  defaults = {
    { max_work = 64, tile_v = 32, rows = 4, width = 16, unroll = 8, prefetch = 0 },
    { max_work = math.huge, tile_v = 128, rows = 4, width = 16, unroll = 8, prefetch = 0 },
  },
}
