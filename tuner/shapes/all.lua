-- all.lua: the qwen3.5 list, and what other models and engines call.

local list = problems "qwen3.5"

local function add(statics, extents)
  table.insert(list, "recurrent:" .. statics .. " / " .. extents)
end

-- Every dtype pair in both layouts; vk with bf16 is in the list above.
for _, pair in ipairs(common.dtype_pairs) do
  for _, extents in ipairs { "b1t1hk16hv32", "b32t1hk16hv32" } do
    add("final:kv:" .. pair .. ":k128v128:l2norm:g", extents)
    if pair:sub(1, 2) ~= "bf" then
      add("final:vk:" .. pair .. ":k128v128:l2norm:g", extents)
    end
  end
end

-- Drafted tokens with kv states.
add("ring:kv:bf16/bf16:k128v128:l2norm:g:round", "b8t4hk16hv32")
add("indexed:kv:bf16/f32:k128v128:l2norm:g", "b8t4hk16hv32")

-- Snapshots: SGLang keeps them in the state's dtype, FlashInfer rounds.
for _, layout in ipairs { "vk", "kv" } do
  add("snapshots:" .. layout .. ":bf16/f32:k128v128:l2norm:g", "b8t4hk16hv32")
  add("snapshots:" .. layout .. ":bf16/bf16:k128v128:l2norm:g:round",
      "b8t4hk16hv32")
end

-- The gate computed inside (Qwen3-Next), and q, k normalised outside.
for _, layout in ipairs { "vk", "kv" } do
  add("final:" .. layout .. ":bf16/f32:k128v128:l2norm:fused", "b8t1hk16hv32")
  add("final:" .. layout .. ":bf16/f32:k128v128:g", "b8t1hk16hv32")
end

-- Other head dims: the heads are those of Olmo-Hybrid, FLA's layer, and plain.
local heads = { k96v192 = "hk30hv30", k256v512 = "hk6hv6" }
for _, dims in ipairs(common.head_dims) do
  local text = "k" .. dims[1] .. "v" .. dims[2]
  if text ~= "k128v128" then
    for _, layout in ipairs { "vk", "kv" } do
      add("final:" .. layout .. ":bf16/f32:" .. text .. ":l2norm:g",
          "b8t1" .. (heads[text] or "hk16hv16"))
    end
  end
end

-- Odd dims: K that no wide vector divides, V that is a multiple of nothing.
for _, layout in ipairs { "vk", "kv" } do
  add("final:" .. layout .. ":f32/f32:k40v37:g", "b4t1hk4hv8")
  add("final:" .. layout .. ":bf16/f32:k136v17:l2norm:g", "b4t1hk4hv8")
  add("indexed:" .. layout .. ":f16/f16:k24v37:g", "b4t3hk3hv9")
end

return {
  doc = "qwen3.5, and kv, f16, f32, odd dims, snapshots, fused gates",
  problems = list,
}
