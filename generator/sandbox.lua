-- sandbox.lua: the names that specs, templates and shape lists may use.
--
-- They are written by others, so they get no I/O, no load and no metatables;
-- nothing that depends on addresses, hash order or locale, so that the same
-- input gives the same bytes; and no pattern matching, since one C call could
-- run for ever where the instruction limit does not count.

local host = require "host"
local M = {}

-- A finite number as C and Lua both read it, whatever the locale.
local function number_text(x)
  if math.type(x) == "integer" then return string.format("%d", x) end
  if x ~= x or x == math.huge or x == -math.huge then return nil end
  for digits = 15, 17 do
    local text = string.format("%." .. digits .. "g", x)
    if digits == 17 or tonumber(text) == x then
      text = string.gsub(text, "[^%deE+-]+", ".")
      return string.find(text, "[.e]") and text or text .. ".0"
    end
  end
end

-- The text of a value, or nil for what has none that is stable.
function M.text(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return number_text(value) end
  if kind == "boolean" then return tostring(value) end
end

local rank = { number = 1, string = 2, boolean = 3 }

local function key_before(a, b)
  local kind, other = type(a), type(b)
  if kind ~= other then return rank[kind] < rank[other] end
  if kind == "string" then return host.before(a, b) end
  if kind == "number" then return a < b end
  return a and not b
end

-- The keys of t in a fixed order; nil when some have none.
function M.sorted_keys(t)
  local keys = {}
  for key in next, t do
    if not rank[type(key)] then return nil end
    keys[#keys + 1] = key
  end
  table.sort(keys, key_before)
  return keys
end

local function sorted_pairs(t)
  if type(t) ~= "table" then
    host.blame("pairs: a table is needed, not a " .. type(t))
  end
  local keys = M.sorted_keys(t)
  if not keys then
    host.blame("pairs: only numbers, strings and booleans have an order")
  end
  local i = 0
  return function()
    i = i + 1
    if keys[i] ~= nil then return keys[i], t[keys[i]] end
  end
end

local function stable_tostring(value)
  local text = value == nil and "nil" or M.text(value)
  if not text then host.blame("a " .. type(value) .. " has no stable text") end
  return text
end

local function plain_find(text, needle, from)
  return string.find(text, needle, from, true)
end

-- No %p (an address), no %g (a locale).
local function plain_format(form, ...)
  local args = table.pack(...)
  local rest = string.gsub(string.gsub(form, "%%%%", ""),
                           "%%[-+ #0]*%d*%.?%d*[dixXocs]", "")
  if string.find(rest, "%", 1, true) then
    host.blame("format: only %d %i %x %X %o %c %s and %% are allowed")
  end
  for i = 1, args.n do
    local text = M.text(args[i])
    if not text then
      host.blame("format: argument " .. i .. " is a " .. type(args[i]))
    end
    if type(args[i]) == "boolean" then args[i] = text end
  end
  return string.format(form, table.unpack(args, 1, args.n))
end

local strings = { byte = string.byte, char = string.char, len = string.len,
                  lower = string.lower, rep = string.rep,
                  reverse = string.reverse, sub = string.sub,
                  upper = string.upper, find = plain_find,
                  format = plain_format }

-- Method calls on any string end here; our own code calls string.x(...).
getmetatable("").__index = strings

local function copy(t, without)
  local out = {}
  for key, value in next, t do
    if not (without and without[key]) then out[key] = value end
  end
  return out
end

local function plain_error(message, level)
  if type(message) ~= "string" then message = "error: a string is needed" end
  host.blame(message, math.tointeger(level))
end

local function plain_assert(value, message)
  if not value then plain_error(message or "assertion failed") end
  return value
end

-- Fresh tables each time: no script can change what the next one sees.
function M.builtins()
  return {
    assert = plain_assert, error = plain_error, ipairs = ipairs,
    pairs = sorted_pairs, select = select, tonumber = tonumber,
    tostring = stable_tostring, type = type,
    math = copy(math, { random = true, randomseed = true }),
    string = copy(strings), table = copy(table),
  }
end

-- An environment in which a name that nobody declared is an error at its own
-- line. lookup(name) gives the value or nil; own: names that are not looked up.
function M.strict(lookup, own)
  return setmetatable(own or {}, {
    __index = function(_, name)
      local value = lookup(name)
      if value == nil then
        host.blame("undeclared name '" .. tostring(name) .. "'")
      end
      return value
    end,
    __newindex = function(_, name)
      host.blame("'" .. tostring(name) .. "' is not a local: write local " ..
            tostring(name))
    end,
  })
end

-- A read-only view of a table whose fields are known; what: for the message.
function M.view(fields, what)
  return setmetatable({}, {
    __index = function(_, name)
      local value = fields[name]
      if value == nil then
        host.blame(what .. " has no field '" .. tostring(name) .. "'")
      end
      return value
    end,
    __newindex = function() host.blame(what .. " cannot be changed") end,
    __metatable = false,
  })
end

-- Runs a script file and returns the table it gives. names: what it sees
-- beside the builtins.
function M.run(text, display, names)
  local builtins = M.builtins()
  local env = M.strict(function(name)
    local value = names and names[name]
    if value == nil then value = builtins[name] end
    return value
  end)
  host.limit(20, display)
  local chunk, why = load(text, "@" .. display, "t", env)
  if not chunk then -- of a binary chunk Lua does not say whose it is
    error(why:find(display, 1, true) and why or display .. ": " .. why, 0)
  end
  local value = chunk()
  if type(value) ~= "table" then
    error(display .. ": must return a table, not " ..
          (value == nil and "nothing" or "a " .. type(value)), 0)
  end
  return value
end

return M
