-- qwen3.5.lua: decode and drafted tokens of the Qwen3.5 family.
--
-- Seven sizes of B*Hv by factors of 4, five ways to call, two state dtypes:
-- 70 problems. The head pairs of the four model families take turns, each with
-- the batch that comes nearest to the size from above (from below for the
-- last). Largest state: 32768 heads x 64 KiB x 4 tokens = 8 GiB.

local sizes = { 8, 32, 128, 512, 2048, 8192, 32768 } -- B*Hv
local calls = { -- contract, T, rounding between tokens
  { "final", 1, "" }, { "ring", 2, ":round" }, { "ring", 4, ":round" },
  { "indexed", 2, "" }, { "indexed", 4, "" },
}
local states = { "f32", "bf16" }

local max_batch = 1024

-- B for about `size` value heads; nil where no such batch is served.
local function batch(size, hv)
  local b = size == sizes[#sizes] and size // hv or common.ceil_div(size, hv)
  if hv <= size and b <= max_batch then return b end
end

-- The heads of a family: the first of TP1 2 4 8, from the turn-th on, that fit.
local function heads_for(size, family, turn)
  for i = 0, 3 do
    local heads = common.qwen_heads[family][(turn + i) % 4 + 1]
    if batch(size, heads[2]) then return heads end
  end
end

local function problem(call, state, size, heads)
  return string.format("recurrent:%s:vk:bf16/%s:k128v128:l2norm:g%s / " ..
                       "b%dt%dhk%dhv%d", call[1], state, call[3],
                       batch(size, heads[2]), call[2], heads[1], heads[2])
end

local problems = {}
for i, size in ipairs(sizes) do
  for j, call in ipairs(calls) do
    for k, state in ipairs(states) do
      local family = (i + j + 2 * k) % 4 + 1
      local heads = heads_for(size, family, j + k) or
                    heads_for(size, family + 1, j + k)
      table.insert(problems, problem(call, state, size, heads))
    end
  end
end

return {
  doc = "Qwen3.5 decode and drafted tokens: 8 to 32768 heads at once, vk",
  problems = problems,
}
