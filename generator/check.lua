-- check.lua: the checks of a spec, part by part. Each takes the path of what it
-- looks at ("tune.width.values"), so that a message names file and entry.

local expand = require "expand"
local geometry = require "geometry"
local host = require "host"
local sandbox = require "sandbox"

local max_steps = 8
local max_configs = 1000000

local Check = {}
Check.__index = Check

function Check:fail(path, form, ...)
  error(self.display .. ": " .. path .. ": " .. string.format(form, ...), 0)
end

function Check:type(path, value, wanted)
  if type(value) ~= wanted then
    self:fail(path, value == nil and "is missing; must be a %s" or
              "must be a %s, not a " .. type(value), wanted)
  end
  return value
end

local function join(path, key)
  if type(key) == "number" then
    return string.format("%s[%s]", path, sandbox.text(key))
  end
  return path == "" and tostring(key) or path .. "." .. tostring(key)
end

function Check:keys(path, t, known)
  for _, key in ipairs(sandbox.sorted_keys(t) or { "?" }) do
    local listed = false
    for _, name in ipairs(known) do listed = listed or key == name end
    if not listed then
      self:fail(join(path, key), "unknown; known here: %s",
                table.concat(known, " "))
    end
  end
end

-- A table that is only a list, without holes.
function Check:list(path, t, what)
  local count = 0
  self:type(path, t, "table")
  for _ in next, t do count = count + 1 end
  for i = 1, count do
    if t[i] == nil then self:fail(path, "must be a list of %s", what) end
  end
  return t
end

function Check:text(path, value)
  self:type(path, value, "string")
  if value == "" or string.find(value, "[%c]") then
    self:fail(path, "must be one line of text")
  end
  return value
end

function Check:integer(path, value)
  if math.type(value) ~= "integer" then
    self:fail(path, "must be an integer, not %s",
              type(value) == "number" and sandbox.text(value) or
              "a " .. type(value))
  end
  return value
end

function Check:domain(path, values)
  local seen, sorted = {}, {}
  self:list(path, values, "integers")
  for i, value in ipairs(values) do
    self:integer(join(path, i), value)
    if seen[value] then self:fail(join(path, i), "%d stands twice", value) end
    seen[value], sorted[i] = true, value
  end
  if #sorted == 0 then self:fail(path, "is empty: a tunable has a domain") end
  table.sort(sorted)
  return sorted
end

function Check:tunable_name(path, name, taken)
  if type(name) ~= "string" or not string.find(name, "^%l[%l%d_]*$") or
     not load("local " .. name, "=x", "t") then
    self:fail(path, "a tunable's name is lower-case letters, digits and _, " ..
                    "and no Lua keyword")
  end
  if taken(name) then
    self:fail(path, "this name is taken by a static or a helper")
  end
end

-- tune -> sorted names, and name -> sorted domain.
function Check:tune(tune, taken)
  local names = sandbox.sorted_keys(self:type("tune", tune, "table"))
  local domain, total = {}, 1
  if not names then self:fail("tune", "the names must be strings") end
  for _, name in ipairs(names) do
    local path = join("tune", name)
    self:tunable_name(path, name, taken)
    local t = self:type(path, tune[name], "table")
    self:keys(path, t, { "doc", "values" })
    self:text(join(path, "doc"), t.doc)
    domain[name] = self:domain(join(path, "values"), t.values)
    total = total * #domain[name]
    if total > max_configs then
      self:fail("tune", "more than %d configs", max_configs)
    end
  end
  return names, domain, total
end

-- { {"reason", function}, ... }
function Check:reasons(path, list)
  for i, entry in ipairs(self:list(path, list, "{reason, function}")) do
    local at = join(path, i)
    self:list(at, entry, "a reason and a function")
    self:text(join(at, 1), entry[1])
    self:type(join(at, 2), entry[2], "function")
    if #entry ~= 2 then self:fail(at, "must be {reason, function}") end
  end
  return list
end

function Check:default(path, entry, spec)
  self:type(path, entry, "table")
  local known = { "max_work", table.unpack(spec.names) }
  self:keys(path, entry, known)
  for _, name in ipairs(spec.names) do
    local at, value = join(path, name), entry[name]
    if value == nil then self:fail(at, "is missing") end
    if type(value) ~= "function" then self:in_domain(at, value, spec, name) end
  end
end

function Check:in_domain(path, value, spec, name)
  self:integer(path, value)
  for _, legal in ipairs(spec.domain[name]) do
    if value == legal then return value end
  end
  self:fail(path, "%d is not in the domain %s", value,
            table.concat(spec.domain[name], " "))
end

function Check:defaults(list, spec)
  local last = 0
  for i, entry in ipairs(self:list("defaults", list, "configs")) do
    local path = join("defaults", i)
    self:default(path, entry, spec)
    local work, at = entry.max_work, join(path, "max_work")
    if work ~= math.huge then self:integer(at, work) end
    if work <= last then self:fail(at, "must grow from entry to entry") end
    last = work
  end
  if #list > 0 and last ~= math.huge then
    self:fail("defaults", "the last entry needs max_work=math.huge")
  end
  return list
end

function Check:reduction(list, spec)
  for i, name in ipairs(self:list("reduction", list, "tunables")) do
    if not spec.domain[name] then
      self:fail(join("reduction", i), "is no tunable")
    end
  end
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted, host.before)
  return sorted
end

-- A launch term: text, perhaps with @(expr); its value is checked per config.
function Check:term(path, text)
  if type(text) == "function" then
    self:fail(path, "a function is refused: launch geometry is data, since " ..
                    "libgdr evaluates it without Lua; write a term such as " ..
                    "\"b*hv*ceil(v/@(tile_v))\"")
  end
  self:text(path, text)
  local value = expand.inline(text, self.display .. ": " .. path)
  return function(lookup)
    local term = value(lookup)
    local canonical, why = geometry.term(term)
    if not canonical then self:fail(path, "\"%s\": %s", term, why) end
    return canonical
  end
end

function Check:entry(path, text)
  self:text(path, text)
  local value = expand.inline(text, self.display .. ": " .. path)
  return function(lookup)
    local name = value(lookup)
    if not string.find(name, "^[%a_][%w_]*$") then
      self:fail(path, "\"%s\" is no C identifier", name)
    end
    return name
  end
end

function Check:template(path, name, kernel)
  local kind, stem = string.match(kernel, "^(.*)/(.*)$")
  local names = { stem .. ".c", stem .. ".cu" }
  if name ~= nil then
    if not string.find(self:text(path, name), "^%w[%w_.-]*$") then
      self:fail(path, "must be a file beside the spec")
    end
    names = { name }
  end
  for _, file in ipairs(names) do
    file = kind .. "/" .. file
    if host.read("templates/" .. file) then return file end
  end
  self:fail(path, "no template %s beside the spec",
            table.concat(names, " or "))
end

local function grid_of(self, path, grid)
  local out = {}
  if type(grid) ~= "table" then grid = { grid } end
  if next(grid) == nil then self:fail(path, "is missing; write {\"b*hv\"}") end
  self:list(path, grid, "one to three terms")
  if #grid < 1 or #grid > 3 then
    self:fail(path, "must be one to three terms")
  end
  for i = 1, 3 do out[i] = self:term(join(path, i), grid[i] or "1") end
  return out
end

function Check:step(path, step, kernel)
  self:type(path, step, "table")
  self:keys(path, step, { "block", "entry", "grid", "in_flight", "pdl",
                          "smem", "template", "workspace" })
  local grid = grid_of(self, join(path, "grid"), step.grid)
  local function term(name, default)
    return self:term(join(path, name), step[name] or default)
  end
  return {
    template = self:template(join(path, "template"), step.template, kernel),
    entry = self:entry(join(path, "entry"), step.entry),
    grid_x = grid[1], grid_y = grid[2], grid_z = grid[3],
    block = term("block", "1"), smem = term("smem", "0"),
    workspace = term("workspace", "0"),
    pdl = term("pdl", "0"), in_flight = term("in_flight", "0"),
  }
end

function Check:steps(list, kernel)
  local out = {}
  self:list("steps", list, "steps")
  if #list < 1 or #list > max_steps then
    self:fail("steps", "must have 1 to %d entries", max_steps)
  end
  for i, step in ipairs(list) do
    out[i] = self:step(join("steps", i), step, kernel)
  end
  return out
end

Check.join = join

-- A checker whose messages begin with `display`.
function Check.new(display)
  return setmetatable({ display = display }, Check)
end

return Check
