-- recurrent_rows.lua: the op `recurrent` for S as [V][K], in registers alone.

local function slice(s, lanes)
  local vector = 16 // bytes(s.state)
  return ceil_div(s.K // vector, lanes) * vector
end

-- As few lanes as hold a row in 16 registers each.
local function few(s)
  local lanes = 4
  while lanes < 32 and slice(s, lanes) > 16 do lanes = lanes * 2 end
  return lanes
end
local function many(s) return math.min(4 * few(s), 32) end

local function rows(c) return c.tile_v * c.lanes // (32 * c.warps) end

-- Rows for a group of lanes that keep most bytes on their way.
local function tall(s) return slice(s, few(s)) > 16 and 1 or 2 end

-- The form that a large batch is expected to want.
local function main(c, s)
  return c.lanes == few(s) and c.warps == 4 and rows(c) == tall(s)
end

local function is_small(c, s)
  return c.lanes == many(s) and c.warps == 4 and rows(c) == 1
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
    warps = { values = { 1, 2, 4, 8 }, doc = "warps of a block" },
    rank = { values = { 0, 1 },
      doc = "1: several tokens from one read of S, as a matrix of rank T" },
    pdl = { values = { 0, 1 },
      doc = "1: starts while the kernel ahead of it ends" },
  },
  where = {
    { "a lane holds 16 numbers of a row, or half or a quarter of that",
      function(c, s) return c.lanes >= few(s) and c.lanes <= many(s) end },
    { "a group of lanes has whole rows",
      function(c, s) return c.tile_v * c.lanes >= 32 * c.warps end },
    { "4 warps; 2 or 8 of groups with two rows",
      function(c, s)
        return c.warps == 4 or
               c.warps ~= 1 and c.lanes == few(s) and rows(c) == 2
      end },
    { "1 row or 2 for a group; 4 of short slices; 1 of the shortest",
      function(c, s)
        if rows(c) == 1 then return true end
        local part = slice(s, few(s)) // slice(s, c.lanes)
        return rows(c) == 2 and part == 1 or rows(c) == 4 and part == 2
      end },
    { "a thread holds at most 32 numbers of S",
      function(c, s) return rows(c) * slice(s, c.lanes) <= 32 end },
    { "a tile is less than twice as tall as V",
      function(c, s) return c.tile_v < 2 * s.V or is_small(c, s) end },
    { "rank T knows no rounding between tokens",
      function(c, s) return c.rank == 0 or not s.round_between_tokens end },
    { "token by token without rounding: once, to see what rank T is worth",
      function(c, s)
        return c.rank == 1 or s.round_between_tokens or main(c, s)
      end },
    { "dependent launches begin with sm_90",
      function(c, s, d) return c.pdl == 0 or sm(d.arch) >= 90 end },
    { "without dependent launch: once, to see what it is worth",
      function(c, s, d)
        return c.pdl == 1 or sm(d.arch) < 90 or
               main(c, s) and (c.rank == 1 or s.round_between_tokens)
      end },
  },
  applies = {
    { "only vk: there a row is in one piece",
      function(s) return s.layout == "vk" end },
  },
  -- The results of two configs differ only where a sum has another tree.
  reduction = { "lanes", "rank" },
  defaults = {
    { max_work = 16, lanes = many, warps = 4, rank = 1, pdl = 1,
      tile_v = function(s) return 128 // many(s) end },
    { max_work = 64, lanes = function(s) return math.min(2 * few(s), 32) end,
      warps = 4, rank = 1, pdl = 1,
      tile_v = function(s) return 128 // math.min(2 * few(s), 32) end },
    { max_work = 512, lanes = few, warps = 4, rank = 1, pdl = 1,
      tile_v = function(s) return 128 // few(s) end },
    { max_work = math.huge, lanes = few, warps = 4, rank = 1, pdl = 1,
      tile_v = function(s) return 128 * tall(s) // few(s) end },
  },
}
