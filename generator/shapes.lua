-- shapes.lua: shape lists, tuner/shapes/NAME.lua or a user's file:
--
--   return { doc = "one line", problems = { "recurrent:... / b1t1...", ... } }

local host = require "host"
local sandbox = require "sandbox"
local spec_of = require "spec"
local M = {}

local max_problems = 100000
local max_depth = 4

local function packed_name(name)
  return "tuner/shapes/" .. name .. ".lua"
end

local load_list

-- What a list may take over from a packed one: problems("qwen3.5").
local function problems_for(depth)
  return function(name)
    local text, display = host.read(packed_name(tostring(name)))
    if not text or depth == max_depth then
      host.blame("problems: no packed list '" .. tostring(name) .. "'" ..
                 (text and ", or they take one another" or ""))
    end
    return load_list(text, display, depth + 1).problems
  end
end

function load_list(text, display, depth)
  local names = { common = spec_of.common(), problems = problems_for(depth) }
  local list = sandbox.run(text, display, names)
  for _, key in ipairs(sandbox.sorted_keys(list) or { "?" }) do
    if key ~= "doc" and key ~= "problems" then
      error(display .. ": " .. sandbox.text(key) ..
            ": unknown; known here: doc problems", 0)
    end
  end
  if type(list.doc) ~= "string" or string.find(list.doc, "%c") then
    error(display .. ": doc: must be one line of text", 0)
  end
  if type(list.problems) ~= "table" or #list.problems == 0 then
    error(display .. ": problems: must be a list of problems", 0)
  end
  return list
end

-- Canonical problems, each once.
local function problems_of(list, display)
  local out, seen = {}, {}
  if #list.problems > max_problems then
    error(display .. ": problems: more than " .. max_problems, 0)
  end
  for i, text in ipairs(list.problems) do
    local at = display .. ": problems[" .. i .. "]: "
    if type(text) ~= "string" then error(at .. "must be a string", 0) end
    local canonical, why = host.problem(text)
    if not canonical then error(at .. "'" .. text .. "': " .. why, 0) end
    if not seen[canonical] then
      seen[canonical], out[#out + 1] = true, canonical
    end
  end
  return out
end

local function list_names()
  return sandbox.sorted_keys(host.lists())
end

local function source_of(name)
  local text, display = host.read(packed_name(name))
  if text then return text, display end
  if string.find(name, "/", 1, true) or string.find(name, "%.lua$") then
    return host.file(name), name
  end
  host.fail("not_found", "no shape list '" .. name .. "': use " ..
            table.concat(list_names(), ", ") .. ", or the path of a .lua file")
end

-- All or nothing: a list with one bad entry gives no problem at all.
function M.problems(name)
  local text, display = source_of(name)
  return problems_of(load_list(text, display, 1), display)
end

-- name, doc, name, doc, ...
function M.lists()
  local out = {}
  for _, name in ipairs(list_names()) do
    local text, display = host.read(packed_name(name))
    out[#out + 1] = name
    out[#out + 1] = load_list(text, display, 1).doc
  end
  return out
end

return M
