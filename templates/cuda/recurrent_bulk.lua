-- recurrent_bulk.lua: the op `recurrent` for S as [V][K] in blocks that stay on
-- the card and are fed by bulk copies, sm_90 and later.

local function full(c, s) return c.tile_v == vk_tile(s.K, s.V, s.state) end
local function small(d) return d.smem_bytes < 131072 end

-- 96 to 144 KiB of 16 KiB tiles on a multiprocessor, 64 to 80 on a small one.
local function deep(c, s, d)
  if not full(c, s) then
    return c.stages == 4 and c.blocks == (small(d) and 2 or 3)
  end
  if c.blocks == 1 then return c.stages == (small(d) and 5 or 6) end
  if small(d) then return c.blocks == 2 and c.stages == 2 end
  return c.stages == 3 or c.blocks == 2 and c.stages == 4
end

return {
  op = "recurrent",
  doc = "blocks that stay, fed by bulk copies of tiles, changed in place",
  steps = {
    { entry = "gdr_kernel",
      grid = { "min(b*hv*ceil(v/@(tile_v)),sms*@(blocks))" },
      block = "@(32 * warps + 32)",
      smem = "@(stages * tile_v * K * bytes(state) + vk_packets(K, state, lanes))",
      pdl = "@(pdl)", in_flight = "@(stages * tile_v * K * bytes(state))" },
  },
  tune = {
    tile_v = { values = { 8, 16, 32, 64 }, doc = "rows of S in a tile" },
    stages = { values = { 2, 3, 4, 5, 6 },
      doc = "tiles of a block on their way" },
    warps = { values = { 4, 8 }, doc = "warps that work; one more feeds them" },
    lanes = { values = { 8, 16, 32 },
      doc = "lanes of a row: few need fewer shuffles, many fewer registers" },
    blocks = { values = { 1, 2, 3 }, doc = "blocks of a multiprocessor" },
    pdl = { values = { 0, 1 },
      doc = "1: starts while the kernel ahead of it ends" },
  },
  where = {
    { "a row takes 16 registers of a lane, or 32 lanes",
      function(c, s) return c.lanes == vk_lanes(s.K) end },
    { "a tile is 16 KiB or half of that, or has all rows",
      function(c, s)
        return full(c, s) or 2 * c.tile_v == vk_tile(s.K, s.V, s.state)
      end },
    { "a thread holds a part of some row",
      function(c) return 32 * c.warps <= c.tile_v * c.lanes end },
    { "8 warps where a block is alone, or where 4 held more than 32 numbers each",
      function(c, s)
        local many = c.blocks == 1 or vk_held(s, c, 4) > 32
        return c.warps == (many and c.tile_v * c.lanes >= 256 and 8 or 4)
      end },
    { "a thread holds at most 64 numbers of S",
      function(c, s) return vk_held(s, c, c.warps) <= 64 end },
    { "3 blocks of 8 warps, or 2 that write two dtypes, have too few registers",
      function(c, s)
        local both = s.contract == "snapshots" and s.state ~= "f32"
        return c.warps < 8 or c.blocks < (both and 2 or 3)
      end },
    { "enough on its way to hide latency, and no more", deep },
    { "a multiprocessor has room for its blocks",
      function(c, s, d)
        local most = c.stages * c.tile_v * s.K * bytes(s.state) + 2048 +
                     vk_packets(s.K, s.state, c.lanes)
        return c.blocks * most <= d.smem_bytes
      end },
    { "pdl costs nothing: without it once, to see that",
      function(c, s)
        return c.pdl == 1 or full(c, s) and c.blocks == 2 and c.stages ~= 3
      end },
  },
  applies = {
    { "bulk copies need sm_90", function(s, d) return sm(d.arch) >= 90 end },
    { "only [V][K]: there a tile is one run of bytes",
      function(s) return s.layout == "vk" end },
  },
  -- The results of two configs differ only where a sum has another tree.
  reduction = { "lanes" },
}
