-- recurrent.lua: the whole op `recurrent` in one kernel without threads of its
-- own; a unit is one tile of value columns of one head.

-- Registers of the widest vectors: 32 with AVX-512 and on aarch64, else 16.
local function registers(d)
  return (d.vector_bytes >= 64 or d.arch == "aarch64") and 32 or 16
end

local function widest(s, d) return d.vector_bytes // 4 end

local function tall(s) return s.V <= 32 and 32 or s.V <= 64 and 64 or 128 end

-- A card-sized number of threads needs more units than a small batch has heads.
local function balanced(s, d) return d.sms > 16 and 32 or tall(s) end

-- kv: a block as wide as V is read in order, where prefetchers need no help.
local function block(s, d)
  if s.layout == "vk" then return 4 end
  local rows = registers(d) // 4
  while rows > 2 and rows * widest(s, d) > s.V do rows = rows // 2 end
  return rows
end

local function ahead(s, d) return s.layout == "vk" and 32 or 0 end

return {
  op = "recurrent",
  doc = "one pass over S for both dots; a block goes through all tokens while near",
  steps = {
    { entry = "gdr_kernel", grid = { "b*hv*ceil(v/@(tile_v))", "1", "1" },
      block = "1", smem = "0", workspace = "0" },
  },
  tune = {
    tile_v = { values = { 32, 64, 128 },
      doc = "value columns of a unit: few balance threads, many share q and k" },
    rows = { values = { 2, 4, 8 },
      doc = "block: rows of S (vk) or vectors of columns (kv) read, then written" },
    width = { values = { 4, 8, 16 }, doc = "floats in a vector" },
    unroll = { values = { 1, 2 },
      doc = "partial sums of each dot product: shorter chains, more registers" },
    prefetch = { values = { 0, 32 },
      doc = "KiB of state asked for ahead of its use; 0: hardware alone" },
  },
  where = {
    { "width divides K",
      function(c, s) return s.K % c.width == 0 end },
    { "a vector fits a register",
      function(c, s, d) return c.width * 4 <= d.vector_bytes end },
    { "a vector fills half a register",
      function(c, s, d) return c.width * 8 >= d.vector_bytes end },
    { "vk: 2 rows are too few to hide the latency of their sums",
      function(c, s) return s.layout == "kv" or c.rows >= 4 end },
    { "kv: all sums of a block stay in registers",
      function(c, s, d)
        return s.layout == "vk" or 2 * c.rows * c.unroll <= registers(d)
      end },
    { "kv: a block fits the tile",
      function(c, s) return s.layout == "vk" or c.rows * c.width <= c.tile_v end },
    { "kv: a block is no wider than V needs",
      function(c, s)
        return s.layout == "vk" or c.rows == 2 or c.rows * c.width < 2 * s.V
      end },
    { "a tile is 32 columns, or about as tall as V",
      function(c, s) return c.tile_v == 32 or c.tile_v == tall(s) end },
    { "a float32 tile takes at most 128 KiB of stack",
      function(c, s) return c.tile_v * s.K <= 32768 end },
  },
  -- The results of two configs differ only where a sum has another tree.
  reduction = { "unroll", "width" },
  defaults = {
    { max_work = 64, tile_v = balanced, rows = block, width = widest, unroll = 2,
      prefetch = ahead },
    { max_work = math.huge, tile_v = tall, rows = block, width = widest, unroll = 2,
      prefetch = ahead },
  },
}
