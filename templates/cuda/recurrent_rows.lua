-- recurrent_rows.lua: the op `recurrent` for S as [V][K], in registers alone.

return {
  op = "recurrent",
  doc = "S in registers, a row by a group of lanes; all loads before any math",
  steps = {
    { entry = "gdr_kernel", grid = { "b*hv*ceil(v/@(tile_v))" },
      block = "@(32 * warps)", pdl = "@(pdl)",
      in_flight = "@(tile_v * K * bytes(state))" },
  },
  tune = {
    tile_v = { values = { 4, 8, 16, 32, 64, 128 },
      doc = "rows of a block: few fill the card at small batches" },
    lanes = { values = { 4, 8, 16, 32 },
      doc = "lanes of a row: few need fewer shuffles, many fewer registers" },
    warps = { values = { 1, 2, 4, 8 }, doc = "warps of a block" },
    rank = { values = { 0, 1 },
      doc = "1: several tokens from one read of S, as a matrix of rank T" },
    pdl = { values = { 0, 1 },
      doc = "1: starts while the kernel ahead of it ends" },
  },
  applies = {
    { "only [V][K]", function(s) return s.layout == "vk" end },
  },
  defaults = {
    { max_work = math.huge, tile_v = 32, lanes = 8, warps = 2, rank = 1, pdl = 0 },
  },
  reduction = { "lanes", "rank" },
}
