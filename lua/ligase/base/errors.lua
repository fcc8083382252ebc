--- Errors as Lua sees them: the same tables that the host raises from C, with the
--- same metatable, so that nobody has to ask where a failure comes from.
---
--- `kind` and `code` are for programs; `message`, `detail` and `hint` are for
--- people; `file`, `line`, `column` and `byte` say where. How the line that a person
--- sees is put together is decided in one place, the metatable's __tostring.
local host = require "host"

local M = {}

---@class ligase.Error
---@field kind string "usage", "input", "database", "system", "network", "notion", "interrupted" or "internal"
---@field code string a stable word: errno name, SQLSTATE, or the module's own
---@field message string what failed
---@field detail? string more of it
---@field hint? string what to do next; a sentence that begins with a capital
---@field file? string
---@field line? integer counted from 1
---@field column? integer counted from 1
---@field byte? integer counted from 1
---@field sqlstate? string
---@field where? string "script.lua:12: ", the caller at fault
---@field traceback? string of an internal error

local EXIT_STATUS = {
  usage = 2, input = 1, database = 1, system = 1, network = 1, notion = 1, interrupted = 130, internal = 1,
}

--- Makes an error without raising it. The table given is copied.
---@param fields table at least `kind` and `message`; `code` defaults to the kind
---@return ligase.Error
function M.new(fields)
  local made = {}
  for name, value in pairs(fields) do
    made[name] = value
  end
  if not EXIT_STATUS[made.kind] then
    error(("'%s' is not a kind of error"):format(tostring(made.kind)), 2)
  end
  if type(made.message) ~= "string" then
    error("an error needs a message", 2)
  end
  made.code = made.code or made.kind
  return setmetatable(made, host.error_metatable)
end

--- The place in Lua that is `level` calls up, as "file:line: ", or nil in C. Whoever made a tail
--- call is not there any more, and the one above knows nothing of it.
local function position(level)
  local called, info = debug.getinfo(level, "t"), debug.getinfo(level + 1, "Sl")
  if info and info.currentline > 0 and not called.istailcall then
    return ("%s:%d: "):format(info.short_src, info.currentline)
  end
end

--- Raises an error. With a level, the line of Lua at fault is put before the
--- message: 1 is the caller of raise, 2 the caller of that, and so on.
---@param fields table as for errors.new
---@param level? integer
function M.raise(fields, level)
  local made = M.new(fields)
  if level and not made.where then
    made.where = position(level + 1)
  end
  error(made, 0)
end

--- Whether a value is one of our errors, and of that kind if one is named.
---@param value any
---@param kind? string
---@return boolean
function M.is(value, kind)
  return type(value) == "table" and getmetatable(value) == host.error_metatable
    and (kind == nil or rawget(value, "kind") == kind)
end

--- Makes any value that was raised into an error of ours; what is none yet was not
--- meant for people and becomes "internal". A traceback in its text is kept apart.
---@param value any
---@return ligase.Error
function M.wrap(value)
  if M.is(value) then
    return value
  end
  local text = type(value) == "string" and value
  if not text then
    local meta = getmetatable(value)
    local speaks = type(meta) == "table" and meta.__tostring ~= nil
    text = speaks and tostring(value)
      or ("a %s was raised as an error: %s"):format(type(value), tostring(value))
  end
  local message, traceback = text:match("^(.-)\n(stack traceback:\n.*)$")
  return M.new { kind = "internal", message = message or text, traceback = traceback }
end

--- The text for a person: what failed, where, and what to do next, in one line. An
--- internal error adds the traceback that a report of it needs.
---@param value any an error of ours, or anything else that was raised
---@return string
function M.describe(value)
  local failure = M.wrap(value)
  local line = tostring(failure)
  return failure.traceback and line .. "\n" .. failure.traceback or line
end

--- The status a process ends with: misuse 2, interrupted 130, all others 1.
---@param value any
---@return integer
function M.exit_status(value)
  return M.is(value) and EXIT_STATUS[rawget(value, "kind")] or 1
end

--- The message handler for xpcall where anything may be raised: an error that speaks for
--- itself goes on, anything else is a slip and becomes "internal" with its traceback.
---@param failure any
---@return table error
function M.explained(failure)
  return M.is(failure) and failure or M.wrap(debug.traceback(tostring(failure), 2))
end

--- Calls fn and forgets its failure, but never an interruption: who pressed Ctrl-C in
--- the middle of something that may fail still wants to stop.
---@param fn function
---@param ... any its arguments
---@return boolean done
---@return any result the function's first result, or the failure
function M.try(fn, ...)
  local done, result = pcall(fn, ...)
  if not done and M.is(result, "interrupted") then
    error(result, 0)
  end
  return done, result
end

return M
