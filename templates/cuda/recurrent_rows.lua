local function slice(s, lanes)
  local vector = 16 // bytes(s.state)
  return ceil_div(s.K // vector, lanes) * vector
end

-- As few lanes as hold a row in 16 registers each; half of them.
local function few(s)
  local lanes = 4
  while lanes < 32 and slice(s, lanes) > 16 do lanes = lanes * 2 end
  return lanes
end
local function half(s) return math.max(few(s) // 2, 4) end
local function many(s) return math.min(4 * few(s), 32) end

local function rows(c) return c.tile_v * c.lanes // (32 * c.warps) end

-- Numbers of S that a thread holds.
local function held(c, s) return rows(c) * slice(s, c.lanes) end

-- Rows of a tile in which a thread holds up to n numbers, 4 rows at most.
local function tall(s, lanes, n)
  local one = 128 // lanes
  for rows = 4, 2, -2 do
    if rows * slice(s, lanes) <= n and rows * one < 2 * s.V then
      return rows * one
    end
  end
  return one
end

local function rank(s) return s.round_between_tokens and 0 or 1 end

local function large(c, s)
  return (c.lanes == few(s) or c.lanes == half(s)) and
         c.tile_v == tall(s, c.lanes, 64)
end
local function medium(c, s)
  return c.lanes == few(s) and c.tile_v == tall(s, c.lanes, 32)
end
local function small(c, s)
  return c.lanes == many(s) and c.tile_v == 128 // c.lanes
end

return {
  op = "recurrent",
  doc = "S in registers, a row by a group of lanes; all loads before any math",
  steps = {
    { entry = "gdr_kernel", grid = { "b*hv*ceil(v/@(tile_v))" },
      block = "@(32 * warps)", pdl = "@(pdl)",
      in_flight = "@(math.min(tile_v, V) * K * bytes(state))" },
  },
  tune = {
    tile_v = { values = { 4, 8, 16, 32, 64, 128 },
      doc = "rows of a block: few fill the card at small batches" },
    lanes = { values = { 4, 8, 16, 32 },
      doc = "lanes of a row: few need fewer shuffles, many fewer registers" },
    warps = { values = { 4 }, doc = "warps of a block" },
    rank = { values = { 0, 1 },
      doc = "1: tokens in packets, as a matrix of rank T; 0: one by one" },
    pdl = { values = { 0, 1 },
      doc = "1: starts while the kernel ahead of it ends" },
  },
  where = {
    { "a group of lanes has whole rows",
      function(c, s) return c.tile_v * c.lanes >= 32 * c.warps end },
    { "64 numbers of S in a thread keep memory busy, 32 or one row fill a card",
      function(c, s) return large(c, s) or medium(c, s) or small(c, s) end },
    { "rank T knows no rounding between tokens",
      function(c, s) return c.rank == 0 or not s.round_between_tokens end },
    { "dependent launches begin with sm_90",
      function(c, s, d) return c.pdl == 0 or sm(d.arch) >= 90 end },
    { "a small tile is for small batches, which a dependent launch serves",
      function(c, s, d)
        return c.pdl == 1 or sm(d.arch) < 90 or large(c, s)
      end },
    { "of the large tiles one starts early, to see what it is worth",
      function(c, s)
        return c.pdl == 0 or not large(c, s) or c.lanes == few(s) or
               medium(c, s) or small(c, s)
      end },
  },
  applies = {
    { "only vk: there a row is in one piece",
      function(s) return s.layout == "vk" end },
  },
  -- The results of two configs differ only where a sum has another tree.
  reduction = { "lanes", "rank" },
  -- Several tokens row by row are slow where S is wider than its dtype, so rank
  -- T serves calls of any length.
  defaults = {
    { max_work = 64, warps = 4, rank = rank, pdl = 1, lanes = many,
      tile_v = function(s) return 128 // many(s) end },
    { max_work = 512, warps = 4, rank = rank, pdl = 1, lanes = few,
      tile_v = function(s) return tall(s, few(s), 32) end },
    { max_work = math.huge, warps = 4, rank = rank, pdl = 0, lanes = half,
      tile_v = function(s) return tall(s, half(s), 64) end },
  },
}
