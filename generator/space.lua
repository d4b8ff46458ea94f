-- space.lua: specs x statics x device -> the variants worth building, in a
-- fixed order, and for every config left out the first reason against it.

local host = require "host"
local sandbox = require "sandbox"
local spec_of = require "spec"
local M = {}

-- Calls fn(config) for every combination, config being one reused table.
local function each_config(spec, fn)
  local config, names = {}, spec.names
  local function walk(i)
    local name = names[i]
    if not name then return fn(config) end
    for _, value in ipairs(spec.domain[name]) do
      config[name] = value
      walk(i + 1)
    end
  end
  walk(1)
end

local function first_failing(spec, c, s, d)
  for i = 1, #spec.where do
    if not spec_of.holds(spec, "where", i, c, s, d) then return i end
  end
end

local function candidate(spec, config, raw)
  local copy = {}
  for _, name in ipairs(spec.names) do copy[name] = config[name] end
  local lookup = spec_of.lookup(spec, copy, raw)
  local class = spec_of.config_text(spec.reduction, copy)
  if class ~= "" then class = " " .. class end
  local out = { kernel = spec.kernel, values = copy, max_work = 0, step = {},
                config = spec_of.config_text(spec.names, copy),
                reduction = spec.kernel .. class }
  for i, step in ipairs(spec.steps) do
    out.step[i] = spec_of.geometry(step, lookup)
  end
  return out
end

-- How many steps of its domain a value is away from the wanted one.
local function distance(domain, value, wanted)
  local n = 0
  for _, other in ipairs(domain) do
    if (other > value) ~= (other > wanted) then n = n + 1 end
  end
  return n
end

-- A default is repaired where the constraints refuse it: the candidate that is
-- the fewest domain steps away, the first of those in order.
local function nearest(spec, list, wanted)
  local best, least
  for _, one in ipairs(list) do
    local sum = 0
    for name, value in next, wanted do
      sum = sum + distance(spec.domain[name], one.values[name], value)
    end
    if not best or sum < least then best, least = one, sum end
  end
  return best
end

local function snap(domain, value)
  local best = domain[1]
  for _, legal in ipairs(domain) do
    if math.abs(legal - value) < math.abs(best - value) then best = legal end
  end
  return best
end

-- The values of one default; what a function gives goes to the nearest value
-- of the domain, so that a device nobody thought of has a default too.
local function default_values(spec, i, s, d)
  local out = {}
  for _, name in ipairs(spec.names) do
    local value = spec.defaults[i][name]
    if type(value) == "function" then
      local path = string.format("defaults[%d].%s", i, name)
      value = snap(spec.domain[name], spec.check:integer(path, value(s, d)))
    end
    out[name] = value
  end
  return out
end

local function mark_defaults(spec, list, s, d)
  for i, entry in ipairs(spec.defaults) do
    local one = nearest(spec, list, default_values(spec, i, s, d))
    local work = entry.max_work
    one.max_work = work == math.huge and math.maxinteger or work
  end
end

-- Candidates and pruned counts of one spec. raw: the statics as names for the
-- geometry; s: the view of them that constraints get.
local function enumerate(spec, raw, s, d)
  local list, count, backing = {}, {}, {}
  local c = sandbox.view(backing, "the config")
  host.limit(20 + spec.total // 100, spec.display)
  each_config(spec, function(config)
    for name, value in next, config do backing[name] = value end
    local i = first_failing(spec, c, s, d)
    if i then count[i] = (count[i] or 0) + 1
    else list[#list + 1] = candidate(spec, config, raw) end
  end)
  table.sort(list, function(a, b) return host.before(a.config, b.config) end)
  return list, count
end

-- nil, or why the kernel does not serve this problem.
local function refusal(spec, s, d)
  if spec.op ~= s.op then return "its op is " .. spec.op end
  for i, entry in ipairs(spec.applies) do
    if not spec_of.holds(spec, "applies", i, s, d) then return entry[1] end
  end
end

local function pack_candidate(one)
  local out = { string.pack("=zzzj", one.kernel, one.config, one.reduction,
                            one.max_work), string.pack("=j", #one.step) }
  for _, step in ipairs(one.step) do
    out[#out + 1] = string.pack("=zzzzzzzzz", table.unpack(step))
  end
  return table.concat(out)
end

-- The result as bytes, which the C side can take in without allocating.
local function pack(total, candidates, pruned)
  local out = { string.pack("=jjj", #candidates, #pruned, total) }
  for _, one in ipairs(candidates) do out[#out + 1] = pack_candidate(one) end
  for _, one in ipairs(pruned) do
    out[#out + 1] = string.pack("=zzj", one.kernel, one.reason, one.count)
  end
  return table.concat(out)
end

-- Adds one spec's variants to the result.
local function add(result, spec, raw, s, d)
  local list, count = enumerate(spec, raw, s, d)
  if #list > 0 and #spec.defaults > 0 and not result.have_defaults then
    mark_defaults(spec, list, s, d)
    result.have_defaults = true
  end
  table.move(list, 1, #list, #result.candidates + 1, result.candidates)
  for i, entry in ipairs(spec.where) do
    if count[i] then
      result.pruned[#result.pruned + 1] = { kernel = spec.kernel,
        reason = entry[1], count = count[i] }
    end
  end
  result.total = result.total + spec.total
end

-- statics: canonical text; device: a table of its fields. Of several kernels
-- that serve a problem the first by name that has defaults gives them.
function M.space(statics, device)
  local raw = spec_of.statics(statics)
  local s = sandbox.view(raw, "the static problem")
  local d = sandbox.view(spec_of.device(device), "the device")
  local common, refused = spec_of.common(), ""
  local result = { candidates = {}, pruned = {}, total = 0 }
  for _, stem in ipairs(sandbox.sorted_keys(host.list(device.kind))) do
    if not string.find(stem, "^[%w_-]+$") then
      error("templates/" .. device.kind .. "/" .. stem ..
            ".lua: a kernel's name is letters, digits, _ and -", 0)
    end
    local spec = spec_of.load(device.kind .. "/" .. stem, common)
    local why = refusal(spec, s, d)
    if why then
      refused = refused .. "; " .. spec.kernel .. ": " .. why
    else
      add(result, spec, raw, s, d)
    end
  end
  if result.total == 0 then
    host.fail("not_found", "no kernel in templates/" .. device.kind ..
              " serves " .. statics .. refused)
  end
  return pack(result.total, result.candidates, result.pruned)
end

return M
