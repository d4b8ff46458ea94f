-- recurrent_columns.lua: [K][V] states. A lane owns a vector of columns, lanes
-- and warps split K; S stays in registers through all tokens of a call.

-- The block for a small batch: little work, and few registers if that is enough.
local function small(c, s)
  return c.tile_v == 16 and (columns(s, c).floats <= 32 or c.warps == 8)
end

local function narrow(s, d) return d.sms > 16 and 16 or 32 end

return {
  op = "recurrent",
  doc = "[K][V]: a column per lane, K split over lanes and warps, S in registers",
  steps = {
    { entry = "gdr_kernel", grid = { "b*hv*ceil(v/@(tile_v))" },
      block = "@(32 * warps)", pdl = "@(pdl)",
      in_flight = "@(math.min(tile_v, V) * K * bytes(state))" },
  },
  tune = {
    tile_v = { values = { 16, 32, 64, 128 },
      doc = "value columns of a block: few make blocks for a small batch" },
    warps = { values = { 2, 4, 8 },
      doc = "warps of a block: many hold few rows of S each" },
    rank = { values = { 0, 1 },
      doc = "1: the tokens of a packet in one update of their rank" },
    pdl = { values = { 0, 1 },
      doc = "1: starts while the kernel ahead in the stream ends" },
  },
  applies = {
    { "only [K][V]", function(s) return s.layout == "kv" end },
  },
  where = {
    { "a row of a tile is read by one warp",
      function(c, s) return columns(s, c).lanes <= 32 end },
    { "a thread's part of S stays in registers: 64 floats",
      function(c, s) return columns(s, c).floats <= 64 end },
    { "a thread has loads enough in flight: 32 floats, where a block can",
      function(c, s)
        return columns(s, c).floats >= 32 or c.warps == 2 or
          columns(s, { tile_v = c.tile_v, warps = c.warps // 2 }).floats > 64
      end },
    { "a tile is no wider than V needs",
      function(c, s) return c.tile_v == 16 or c.tile_v < 2 * s.V end },
    { "rank: S is rounded after each token",
      function(c, s) return c.rank == 0 or not s.round_between_tokens end },
    { "rank: the plain loop is tried with the smallest block",
      function(c, s)
        return c.rank == 1 or s.round_between_tokens or
          small(c, s) and c.pdl == 0
      end },
    { "pdl: cards since sm_90 have it",
      function(c, s, d) return c.pdl == 0 or sm(d.arch) >= 90 end },
    { "pdl: it hides a launch, which matters where blocks are small",
      function(c, s) return c.pdl == 0 or small(c, s) end },
  },
  -- Each has another order of the sums over K, or another form of them.
  reduction = { "rank", "tile_v", "warps" },
  defaults = {
    { max_work = 64, tile_v = narrow, warps = 4, rank = 1, pdl = 0 },
    { max_work = math.huge, tile_v = 64, warps = 4, rank = 1, pdl = 0 },
  },
}
