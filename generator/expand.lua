-- expand.lua: one template and one environment -> source text.
--
--   //@ stmt           a Lua statement; the line itself is not emitted
--   @(expr)            replaced by the value of expr; @@( is a plain @(
--   //@ abi()          the text of the op's parameter struct
--   //@ include "x"    another template, expanded here
--
-- Each template line becomes one Lua line of the same number, so that a Lua
-- error carries the template's own line; where the lines of the output and the
-- template part, a #line joins them again, so that a compiler's does too.

local host = require "host"
local sandbox = require "sandbox"
local M = {}

local max_depth = 16

local function fail(display, line, message)
  error(string.format("%s:%d: %s", display, line, message), 0)
end

-- Position of the last character of the Lua string that starts at pos.
local function string_end(line, pos)
  local quote = string.sub(line, pos, pos)
  local level = string.match(line, "^%[(=*)%[", pos)
  if level then
    local _, last = string.find(line, "]" .. level .. "]", pos, true)
    return last
  elseif quote == "[" then
    return pos
  end
  repeat
    pos = pos + 1
    local c = string.sub(line, pos, pos)
    if c == "\\" then pos = pos + 1 end
  until c == quote or c == ""
  return pos <= #line and pos or nil
end

-- Position of the parenthesis that closes the one before pos, or nil.
local function closing(line, pos)
  local depth = 1
  while true do
    pos = string.find(line, "[][()\"']", pos)
    if not pos then return nil end
    local c = string.sub(line, pos, pos)
    if c == "(" then
      depth = depth + 1
    elseif c == ")" then
      depth = depth - 1
      if depth == 0 then return pos end
    elseif c ~= "]" then
      pos = string_end(line, pos)
      if not pos then return nil end
    end
    pos = pos + 1
  end
end

local function check_expression(expr, display, n)
  local chunk, why = load("return (" .. expr .. ")", "=x", "t")
  if not chunk then
    why = string.gsub(why, "^x:1: ", "")
    fail(display, n, "@(" .. expr .. "): " .. why)
  end
end

-- The Lua text that emits one line (or one geometry term) with its @(expr).
local function line_code(line, display, n)
  local code, pos, plain = {}, 1, ""
  while true do
    local at, open, twice = string.find(line, "(@?)@%(", pos)
    if not at then break end
    plain = plain .. string.sub(line, pos, at - 1)
    if twice == "@" then
      plain, pos = plain .. "@(", open + 1
    else
      local close = closing(line, open + 1)
      if not close then fail(display, n, "@( is not closed on its line") end
      local expr = string.sub(line, open + 1, close - 1)
      check_expression(expr, display, n)
      if plain ~= "" then
        code[#code + 1] = string.format("__t(%q)", plain)
      end
      code[#code + 1] = "__v((" .. expr .. "))"
      plain, pos = "", close + 1
    end
  end
  plain = plain .. string.sub(line, pos)
  if plain ~= "" then code[#code + 1] = string.format("__t(%q)", plain) end
  return table.concat(code, " ")
end

local function template_line(line, display, n)
  local stmt = string.match(line, "^%s*//@(.*)$")
  if stmt then
    local first = string.sub(stmt, 1, 1)
    if first ~= "" and first ~= " " and first ~= "\t" then
      fail(display, n, "write a blank after //@")
    end
    return stmt
  end
  if string.find(line, "//@", 1, true) then
    fail(display, n, "//@ must stand first on its line")
  end
  local continued = string.sub(line, -1) == "\\" and "true" or "false"
  return string.format(";__l(%d) %s __n(%s)", n, line_code(line, display, n),
                       continued)
end

-- Template text -> Lua text, line by line. The names are an argument, so that
-- one chunk serves every variant.
local function translate(text, display)
  local out, n = {}, 0
  if string.find(text, "\0", 1, true) then
    error(display .. ": is not a text file", 0)
  end
  text = string.gsub(text, "^\xEF\xBB\xBF", "")
  if string.sub(text, -1) ~= "\n" then text = text .. "\n" end
  for line in string.gmatch(text, "(.-)\r?\n") do
    n = n + 1
    out[n] = template_line(line, display, n)
  end
  return "local _ENV = ...; " .. table.concat(out, "\n")
end

-- Chunks by file: a space has dozens of variants of one template, and to
-- translate it costs ten times what running it does.
local chunks = {}

local function compile(text, display)
  local known = chunks[display]
  if known and known.text == text then return known.chunk end
  local chunk, why = load(translate(text, display), "@" .. display, "t", {})
  if not chunk then error(why, 0) end
  chunks[display] = { text = text, chunk = chunk }
  return chunk
end

-- Text of the value of an @(expr); its error is at the expression's line.
local function value_text(value)
  local text = sandbox.text(value)
  if not text then
    host.blame("@(...) is " .. (value == nil and "nil" or
               type(value) == "number" and "not finite" or
               "a " .. type(value)))
  end
  return text
end

-- What is being written: pieces, and the place in a template that the next line
-- of the output would be taken for.
local Writer = {}
Writer.__index = Writer

function Writer:sync(file, n)
  if (self.file ~= file or self.line ~= n) and not self.continued then
    self[#self + 1] = string.format('#line %d "%s"\n', n, file)
    self.file, self.line = file, n
  end
end

-- A #line may not stand inside a macro, so a line that is continued leaves
-- the mismatch to be mended after it.
function Writer:newline(continued)
  self[#self + 1] = "\n"
  self.continued = continued
  if self.line then self.line = self.line + 1 end
end

function Writer:verbatim(text, file)
  self:sync(file, 1)
  self[#self + 1] = text
  self.file, self.line = nil, nil
end

-- Names that only the generated Lua uses.
local function writer_names(writer, file)
  return {
    __l = function(n) writer:sync(file, n) end,
    __t = function(text) writer[#writer + 1] = text end,
    __v = function(value) writer[#writer + 1] = value_text(value) end,
    __n = function(continued) writer:newline(continued) end,
  }
end

local function run(job, name, depth)
  local text, display = job.read(name)
  local file = "templates/" .. name
  local own = writer_names(job.writer, file)
  own.include = function(other)
    if type(other) ~= "string" then host.blame('write include "name"') end
    if depth == max_depth then
      host.blame('include "' .. other .. '": nested too deeply')
    end
    if not job.read(other) then
      host.blame('include "' .. other .. '": no such file in templates/')
    end
    run(job, other, depth + 1)
  end
  own.abi = function()
    job.writer:verbatim(job.abi_text, job.abi_name)
  end
  compile(text, display)(sandbox.strict(job.lookup, own))
end

-- job.name     the template, relative to templates/
-- job.read     name -> text, name for people; nil when there is none
-- job.lookup   name -> value or nil
-- job.abi_text, job.abi_name
function M.expand(job)
  job.writer = setmetatable({}, Writer)
  run(job, job.name, 1)
  return table.concat(job.writer)
end

-- A one-line text with @(expr) -> a function(lookup) that gives its value.
-- display: for messages; they have no line.
function M.inline(text, display)
  local lookup
  local pieces
  local env = setmetatable({
    __t = function(piece) pieces[#pieces + 1] = piece end,
    __v = function(value) pieces[#pieces + 1] = value_text(value) end,
  }, {
    __index = function(_, name)
      local value = lookup(name)
      if value == nil then
        error(display .. ": undeclared name '" .. tostring(name) .. "'", 0)
      end
      return value
    end,
  })
  local chunk = load(line_code(text, display, 1), "=" .. display, "t", env)
  return function(names)
    lookup, pieces = names, {}
    chunk()
    return table.concat(pieces)
  end
end

return M
