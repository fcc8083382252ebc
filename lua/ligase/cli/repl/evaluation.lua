--- Code as it is typed: whether it is complete, running it, and what went wrong.
local errors = require "ligase.base.errors"
local host = require "host"
local text = require "ligase.base.text"

local M = {}

--- Frames of a traceback that are shown.
local FRAMES = 6

--- Gives the values of an expression. They are arguments, for a call behind `return` would
--- leave no trace of the line that was typed. A comment at the end needs a line end.
local function load_values(code, name, env)
  local values = "return (function(...) return ... end)(" .. code
  return load(values .. ")", name, "t", env) or load(values .. "\n)", name, "t", env)
end

--- What was typed as an expression: without `=` or `return` before it and a semicolon behind.
---@param typed string
---@return string|nil code nil for what is none
function M.expression(typed)
  local code = typed:gsub("^%s*=%s*", "", 1):gsub("^%s*return%f[^%w_]%s*", "", 1)
  for _, each in ipairs { code, (code:gsub("%s*;%s*$", "")), (code:gsub("%s*;%s*%-%-[^\n]*$", "")) } do
    if load("local _ = " .. each) and load_values(each, "=") then -- not a comment alone, nor several statements
      return each
    end
  end
  return nil
end

local function load_expression(typed, name, env)
  local code = M.expression(typed)
  return code and load_values(code, "=" .. name, env)
end

--- Makes a function of what was typed. An expression gives its values, also without
--- `return` or with `=` before it.
---@param typed string
---@param name string what it is called in messages
---@param env table
---@return function|nil chunk
---@return string|nil problem nil when the code is not complete yet
---@return boolean is_expression
function M.compile(typed, name, env)
  local expression = load_expression(typed, name, env)
  if expression then
    return expression, nil, true
  end
  local chunk, problem = load(typed, "=" .. name, "t", env)
  if chunk then
    return chunk, nil, false
  end
  local _, why_not = load("return " .. typed:gsub("^%s*=%s*", "", 1), "=" .. name, "t", env)
  why_not = why_not or problem
  if problem:find("<eof>'?$") or why_not:find("<eof>'?$") and typed:find("%S") then
    return nil, nil, false
  end
  -- What cannot be a statement from its first word on was meant as an expression.
  return nil, problem:find(": unexpected symbol near", 1, true) and why_not or problem, false
end

-- ---- failures --------------------------------------------------------------

local function place_of(info)
  local source = info.source
  if source:sub(1, 1) == "@" and source:find(host.home .. "/lua/", 2, true) then
    return "ligase/" .. info.short_src:match("[^/]*/?[^/]*$")
  end
  return info.short_src
end

--- Where the failure came from: the lines of code that were on their way, the innermost
--- first, down to what was typed. Of ligase's own, those are left out that say nothing to
--- somebody who did not write them.
local function trace(level, is_ours_wanted)
  local lines = {}
  for at = level, level + 200 do
    local info = debug.getinfo(at, "Slnf")
    if not info or info.func == M.run then
      break
    end
    local is_ours = info.source:find(host.home .. "/lua/", 1, true) ~= nil
    if info.currentline > 0 and (is_ours_wanted or not is_ours) then
      lines[#lines + 1] = ("  at %s:%d%s"):format(place_of(info), info.currentline,
        info.name and info.what ~= "main" and (" in %s"):format(info.name) or "")
    end
  end
  if #lines > FRAMES then
    local left_out = #lines - FRAMES
    table.move(lines, #lines, #lines, FRAMES + 1)
    lines[FRAMES] = ("  ... %s"):format(text.count(left_out, "more line"))
    lines = table.move(lines, 1, FRAMES + 1, 1, {})
  end
  return lines
end

--- Whether the failure itself is at fault in ligase's library and not in what was typed.
local function is_inside(failure)
  return type(failure) == "string" and failure:find(host.home .. "/lua/", 1, true) == 1
end

--- The line of a person's code that was on its way, the innermost one.
local function person_s_place(level)
  for at = level, level + 200 do
    local info = debug.getinfo(at, "Slf")
    if not info or info.func == M.run then
      return nil
    elseif info.currentline > 0 and not info.source:find(host.home .. "/lua/", 1, true) then
      return ("%s:%d"):format(info.short_src, info.currentline)
    end
  end
end

local function explain(failure)
  if errors.is(failure, "interrupted") then
    return { failure = failure, lines = {} }
  end
  local done, lines = pcall(trace, 3, is_inside(failure))
  local found, place = pcall(person_s_place, 3)
  return { failure = failure, lines = done and lines or {}, place = found and place or nil }
end

--- Calls a function and says what went wrong.
---@param fn function
---@param ... any
---@return boolean done
---@return table result its values, packed; or {failure, lines}
function M.run(fn, ...)
  local result = table.pack(xpcall(fn, explain, ...))
  if result[1] then
    return true, table.pack(table.unpack(result, 2, result.n))
  end
  return false, type(result[2]) == "table" and result[2].lines and result[2]
    or { failure = result[2], lines = {} } -- an error in the handler, as for want of memory
end

--- Lua lists every place where it looked for a module; it says enough that there is none.
local function without_places(line)
  local what = line:match "^(.-module '[^\n]*' not found):\n"
  return what and what .. ". Modules are looked for in the workspace's lua/, in ligase's and in the installed ones"
    or line
end

--- An error of ligase's for who typed, or wrote a script: the line at fault is theirs.
local function at_place(failure, place)
  local where = rawget(failure, "where")
  if not place or where and not where:find("lua/ligase/", 1, true) then
    return tostring(failure)
  end
  local copy = errors.new(failure)
  copy.where = nil
  return ("%s: %s"):format(place, copy)
end

--- The failure as text: what, where, and the way there when that says more.
---@param problem {failure: any, lines: string[], place: string|nil}
---@return string
function M.describe(problem)
  local failure = problem.failure
  local line
  if errors.is(failure) then
    line = at_place(failure, problem.place)
  elseif type(failure) == "string" then
    line = without_places(failure:match("^(.-)\nstack traceback:") or failure)
  else
    line = tostring(errors.wrap(failure))
  end
  local lines = { text.printable(line) }
  if #problem.lines > 1 then
    table.move(problem.lines, 1, #problem.lines, 2, lines)
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
