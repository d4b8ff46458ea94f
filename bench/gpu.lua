-- gpu.lua: what bench/README.md says of cards is read off these.
local vk = "recurrent:final:vk:bf16/"
local problems = {}

local function add(text, extents)
  table.insert(problems, text .. " / " .. extents)
end

-- Decode from one sequence to more than fill any card: 32 to 16384 heads.
for _, state in ipairs { "f32", "bf16" } do
  for _, b in ipairs { 1, 2, 8, 32, 128, 512 } do
    add(vk .. state .. ":k128v128:l2norm:g", "b" .. b .. "t1hk16hv32")
  end
end

-- One pass over S for drafted tokens: T=4 beside the T=1 above.
for _, b in ipairs { 32, 128 } do
  add(vk .. "f32:k128v128:l2norm:g", "b" .. b .. "t4hk16hv32")
end
add(vk .. "bf16:k128v128:l2norm:g", "b128t4hk16hv32")

-- The other contracts and the other layout.
add("recurrent:ring:vk:bf16/bf16:k128v128:l2norm:g:round", "b128t4hk16hv32")
add("recurrent:indexed:vk:bf16/f32:k128v128:l2norm:g", "b128t4hk16hv32")
add("recurrent:final:kv:bf16/f32:k128v128:l2norm:g", "b128t1hk16hv32")
add("recurrent:final:kv:bf16/bf16:k128v128:l2norm:g", "b128t1hk16hv32")

return { doc = "the figures of bench/README.md for cards", problems = problems }
