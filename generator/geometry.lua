-- geometry.lua: the grammar of launch terms, as libgdr evaluates them without
-- Lua (runtime/geometry.h): a product of integers, names and
-- ceil(name/integer), or min(product, product).

local M = {}

local names = { b = true, t = true, hk = true, hv = true, k = true, v = true,
                sms = true }
local max_factors = 8
local max_int = 0x7fffffff

local function integer(text)
  if not string.find(text, "^%d+$") then return nil end
  if #text > 10 or math.tointeger(tonumber(text)) > max_int then
    return nil, text .. " is larger than 2147483647"
  end
  return math.tointeger(tonumber(text))
end

-- Canonical text of a factor, or nil and why not.
local function factor(text)
  if names[text] then return text end
  local n, why = integer(text)
  if n then return string.format("%d", n) end
  if why then return nil, why end
  local name, by = string.match(text, "^ceil%((%w+)/(%d+)%)$")
  if not name then
    return nil, "'" .. text .. "' is no integer, no extent (b t hk hv k v " ..
                "sms) and no ceil(extent/integer)"
  end
  if not names[name] then return nil, "'" .. name .. "' is no extent" end
  n, why = integer(by)
  if not n then return nil, why end
  if n == 0 then return nil, "division by 0" end
  return string.format("ceil(%s/%d)", name, n)
end

local function product(text)
  local out = {}
  for piece in string.gmatch(text .. "*", "([^*]*)%*") do
    local canonical, why = factor(piece)
    if not canonical then return nil, why end
    out[#out + 1] = canonical
  end
  if #out > max_factors then
    return nil, "more than " .. max_factors .. " factors"
  end
  return table.concat(out, "*")
end

-- Canonical text of a term, or nil and why it is none.
function M.term(text)
  text = string.gsub(text, "[ \t]", "")
  local left, right = string.match(text, "^min%((.-),(.*)%)$")
  if not left then return product(text) end
  local a, why = product(left)
  if not a then return nil, why end
  local b
  b, why = product(right)
  if not b then return nil, why end
  return "min(" .. a .. "," .. b .. ")"
end

return M
