-- spec.lua: loads a kernel's spec, templates/<kind>/<stem>.lua, and checks all
-- of it, so that nothing after this file meets a malformed one. Every message
-- begins with the file and the path of the entry in it.

local Check = require "check"
local host = require "host"
local sandbox = require "sandbox"
local M = {}

local terms = { "grid_x", "grid_y", "grid_z", "block", "smem", "workspace",
                "pdl", "in_flight" }

local statics = { op = true, contract = true, layout = true, io = true,
                  state = true, K = true, V = true, gate = true, l2norm = true,
                  round_between_tokens = true }

-- "recurrent:final:vk:bf16/f32:k128v128:l2norm:g:round" -> the names that
-- templates and constraints see.
function M.statics(text)
  local s = { l2norm = false, round_between_tokens = false }
  local op, contract, layout, io, state, k, v, rest = string.match(text,
    "^(%w+):(%w+):(%w+):(%w+)/(%w+):k(%d+)v(%d+)(.*)$")
  s.op, s.contract, s.layout, s.io, s.state = op, contract, layout, io, state
  s.K, s.V = math.tointeger(tonumber(k)), math.tointeger(tonumber(v))
  for word in string.gmatch(rest, "[^:]+") do
    if word == "l2norm" then s.l2norm = true
    elseif word == "round" then s.round_between_tokens = true
    else s.gate = word end
  end
  return s
end

-- Device fields for constraints; has("avx2") asks for one ISA name.
function M.device(d)
  local set = {}
  for word in string.gmatch(d.isa, "[^+]+") do set[word] = true end
  d.has = function(word) return set[word] == true end
  return d
end

-- The helpers that templates and specs share.
function M.common()
  local text, display = host.read "templates/common.lua"
  if not text then error("templates/common.lua: not found", 0) end
  local common = sandbox.run(text, display)
  for name in next, common do
    if type(name) ~= "string" or statics[name] then
      error(display .. ": entry '" .. tostring(name) ..
            "' has the name of a static, or none", 0)
    end
  end
  return common
end

-- ---- loading --------------------------------------------------------------

-- The spec of "cpu/recurrent"; nil when there is none.
function M.load(kernel, common)
  local text, display = host.read("templates/" .. kernel .. ".lua")
  if not text then return nil end
  local check = Check.new(display)
  local raw = sandbox.run(text, display, common)
  check:keys("", raw, { "applies", "defaults", "doc", "op", "reduction",
                        "steps", "tune", "where" })
  local spec = { kernel = kernel, display = display, check = check,
                 common = common, builtins = sandbox.builtins() }
  local function taken(name)
    return statics[name] or common[name] ~= nil or spec.builtins[name] ~= nil
  end
  spec.op = check:text("op", raw.op)
  spec.doc = check:text("doc", raw.doc)
  spec.names, spec.domain, spec.total = check:tune(raw.tune or {}, taken)
  spec.where = check:reasons("where", raw.where or {})
  spec.applies = check:reasons("applies", raw.applies or {})
  spec.defaults = check:defaults(raw.defaults or {}, spec)
  spec.reduction = check:reduction(raw.reduction or {}, spec)
  spec.steps = check:steps(raw.steps, kernel)
  return spec
end

-- What a template of this spec sees: name -> value.
function M.lookup(spec, config, s)
  local common, builtins = spec.common, spec.builtins
  return function(name)
    local value = config[name]
    if value == nil then value = s[name] end
    if value == nil then value = common[name] end
    if value == nil then value = builtins[name] end
    return value
  end
end

-- The launch terms of step i for one config, in the order of M.terms.
function M.geometry(step, lookup)
  local out = { step.entry(lookup) }
  for i, name in ipairs(terms) do out[i + 1] = step[name](lookup) end
  return out
end

-- "name=int name=int", sorted by name.
function M.config_text(names, config)
  local out = {}
  for i, name in ipairs(names) do
    out[i] = name .. "=" .. string.format("%d", config[name])
  end
  return table.concat(out, " ")
end

-- Calls a reason's function and wants a plain yes or no.
function M.holds(spec, path, i, ...)
  local yes = spec[path][i][2](...)
  if type(yes) ~= "boolean" then
    spec.check:fail(Check.join(path, i), "must return true or false, not %s",
                    yes == nil and "nil" or "a " .. type(yes))
  end
  return yes
end

return M
