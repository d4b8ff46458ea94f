-- recurrent_bulk.lua: the whole op `recurrent` for states [V][K] in one kernel
-- that stays on the card and is fed by bulk copies, sm_90 and later.

local function tile_bytes(c, s) return c.tile_v * s.K * bytes(s.state) end

-- As few lanes as hold a row in 16 registers each.
local function lanes_of(s)
  return s.K <= 128 and 8 or s.K <= 256 and 16 or 32
end

-- The most rows that are 16 KiB or less, and no more than twice as many as V.
local function tall(s)
  local n = 64
  while n > 8 and (n // 2 >= s.V or n * s.K * bytes(s.state) > 16384) do
    n = n // 2
  end
  return n
end

-- Numbers of S that a thread holds.
local function held(c, s, warps)
  local vector = 16 // bytes(s.state)
  local rows = c.tile_v * c.lanes // (warps * 32)
  return rows * ceil_div(s.K // vector, c.lanes) * vector
end

-- Stages by blocks of a multiprocessor: 96 to 144 KiB of 16 KiB tiles.
local function deep(c, s)
  if c.tile_v ~= tall(s) then return c.blocks == 3 and c.stages == 4 end
  if c.blocks == 1 then return c.stages == 6 end
  if c.blocks == 2 then return c.stages == 3 or c.stages == 4 end
  return c.stages == 3
end

return {
  op = "recurrent",
  doc = "blocks that stay, fed by bulk copies of tiles, changed in place",
  steps = {
    { entry = "gdr_kernel",
      grid = { "min(b*hv*ceil(v/@(tile_v)),sms*@(blocks))" },
      block = "@(warps * 32 + 32)",
      smem = "@(stages * tile_v * K * bytes(state))",
      pdl = "@(pdl)",
      in_flight = "@(stages * tile_v * K * bytes(state))" },
  },
  tune = {
    tile_v = { values = { 8, 16, 32, 64 }, doc = "rows of S in a tile" },
    stages = { values = { 2, 3, 4, 5, 6 }, doc = "tiles on their way in a block" },
    warps = { values = { 4, 8 }, doc = "warps that compute; one more feeds them" },
    lanes = { values = { 8, 16, 32 }, doc = "lanes that share a row" },
    blocks = { values = { 1, 2, 3 }, doc = "blocks that stay on a multiprocessor" },
    pdl = { values = { 0, 1 }, doc = "starts while the kernel ahead ends" },
  },
  where = {
    { "a row takes 16 registers of a lane, or 32 lanes",
      function(c, s) return c.lanes == lanes_of(s) end },
    { "a tile is 16 KiB, half of that, or as tall as V",
      function(c, s) return c.tile_v == tall(s) or c.tile_v * 2 == tall(s) end },
    { "a warp has whole rows",
      function(c, s) return c.warps * 32 <= c.tile_v * c.lanes end },
    { "one block alone has 8 warps; else a thread holds 32 numbers if 8 warps do",
      function(c, s)
        if c.tile_v * c.lanes < 256 then return c.warps == 4 end
        local many = c.blocks == 1 or held(c, s, 4) > 32
        return c.warps == (many and 8 or 4)
      end },
    { "a thread holds at most 64 numbers of S",
      function(c, s) return held(c, s, c.warps) <= 64 end },
    { "fewer stages give a multiprocessor too little to wait for, more no gain",
      deep },
    { "a multiprocessor has room for the blocks",
      function(c, s, d)
        return c.blocks * (c.stages * tile_bytes(c, s) + 2048) <= d.smem_bytes
      end },
    { "without pdl: once, to see what it is worth",
      function(c, s) return c.pdl == 1 or c.blocks == 2 and c.stages == 4 end },
  },
  applies = {
    { "bulk copies need sm_90", function(s, d) return sm(d.arch) >= 90 end },
    { "only vk: there a tile is one run of bytes",
      function(s) return s.layout == "vk" end },
  },
  -- The results of two configs differ only where a sum has another tree.
  reduction = { "lanes" },
}
