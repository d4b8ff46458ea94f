-- common.lua: what every spec, template and shape list sees beside the
-- statics of its problem. One entry adds a dtype, a head dim or a model's
-- heads.

-- Storage of the dtypes. ctype is an unsigned integer where C11 has no such
-- float: the template converts.
local dtypes = {
  f32  = { bytes = 4, ctype = "float" },
  bf16 = { bytes = 2, ctype = "unsigned short" },
  f16  = { bytes = 2, ctype = "unsigned short" },
}

local function dtype(name)
  local d = dtypes[name]
  if not d then error("'" .. tostring(name) .. "' is no dtype", 3) end
  return d
end

local common = {}

common.dtypes = dtypes

-- bytes(state), ctype(io): size and C type of one stored element.
function common.bytes(name) return dtype(name).bytes end
function common.ctype(name) return dtype(name).ctype end

function common.ceil_div(a, b) return (a + b - 1) // b end
function common.is_pow2(x) return x > 0 and x & (x - 1) == 0 end

-- "sm_90a" -> 90; 0 for what is no card.
function common.sm(arch)
  if string.sub(arch, 1, 3) ~= "sm_" then return 0 end
  local digits = string.sub(arch, 4)
  return tonumber(digits) or tonumber(string.sub(digits, 1, -2)) or 0
end

-- Strides of one head's state, in elements: vk is [V][K], kv is [K][V].
function common.stride_k(layout, K, V) return layout == "vk" and 1 or V end
function common.stride_v(layout, K, V) return layout == "vk" and K or 1 end

-- How cuda/recurrent_columns shares one head's [K][V] among the threads of a
-- block: vec columns of a lane (16 bytes, or one column where rows are not
-- aligned), lanes side by side along V, groups that split K, and the rows that
-- are left for each thread.
function common.columns(s, c)
  local vec = 16 // common.bytes(s.state)
  if s.V % vec ~= 0 then vec = 1 end
  local lanes, threads = c.tile_v // vec, 32 * c.warps
  local groups = threads // lanes
  local rows = common.ceil_div(s.K, math.max(groups, 1))
  return { vec = vec, lanes = lanes, threads = threads, groups = groups,
           rows = rows, floats = rows * vec }
end

-- Rows of S spread over lanes of a card, 16 bytes of each in turn (vk).
-- As few lanes as hold a row in 16 registers each.
function common.vk_lanes(K) return K <= 128 and 8 or K <= 256 and 16 or 32 end

-- The most rows that are 16 KiB or less, and not twice as many as V.
function common.vk_tile(K, V, state)
  local rows = 64
  while rows > 8 and
        (rows // 2 >= V or rows * K * common.bytes(state) > 16384) do
    rows = rows // 2
  end
  return rows
end

-- Rows of a tile that a thread of so many warps has a part of; elements of a
-- row in a lane.
function common.vk_rows(lanes, tile_v, warps)
  return tile_v * lanes // (32 * warps)
end
function common.vk_slice(K, state, lanes)
  local vector = 16 // common.bytes(state)
  return common.ceil_div(K // vector, lanes) * vector
end

-- Numbers of S that a thread holds where a block has so many warps.
function common.vk_held(s, c, warps)
  return common.vk_rows(c.lanes, c.tile_v, warps) *
         common.vk_slice(s.K, s.state, c.lanes)
end

-- Tokens prepared at once; bytes of two such packets in shared memory.
function common.vk_packet(K) return K <= 128 and 4 or K <= 256 and 2 or 1 end
function common.vk_packets(K, state, lanes)
  local row = common.vk_slice(K, state, lanes) * lanes
  return 2 * common.vk_packet(K) * (2 * row + 4) * 4
end

-- The pairs io/state that exist.
common.dtype_pairs = { "f32/f32", "bf16/f32", "bf16/bf16", "f16/f32",
                       "f16/f16" }

-- Head dims {K, V} that models serve, commonest first.
common.head_dims = { { 128, 128 }, { 64, 64 }, { 96, 192 }, { 256, 512 } }

-- Heads {Hk, Hv} of the Qwen3.5 family, each from TP1 to TP8.
common.qwen_heads = {
  { { 16, 16 }, { 8, 8 }, { 4, 4 }, { 2, 2 } },   -- 0.8B, 2B
  { { 16, 32 }, { 8, 16 }, { 4, 8 }, { 2, 4 } },  -- 4B 9B 35B-A3B, Qwen3-Next
  { { 16, 48 }, { 8, 24 }, { 4, 12 }, { 2, 6 } }, -- 27B
  { { 16, 64 }, { 8, 32 }, { 4, 16 }, { 2, 8 } }, -- 122B, 397B
}

return common
