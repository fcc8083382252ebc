--- What a file's failure means for the files after it, and how it is said.
local errors = require "ligase.base.errors"
local output = require "ligase.cli.output"
local text = require "ligase.base.text"

local M = {}

local LOST = "^08" -- the class of lost connections

--- Adds which file it was. The words the lab's runbooks look for stand before what
--- Postgres said.
---@param failure ligase.Error
---@param file string|nil
---@return ligase.Error failure the same
function M.as_required(failure, file)
  if errors.is(failure, "database") then
    failure.message = "Postgres creation failed (required): " .. failure.message
    failure.file = failure.file or file
    if file and failure.code:find(LOST) and not failure.unknown_outcome then
      failure.hint = "Nothing of the file was stored: run the same command again"
    end
  elseif failure.kind == "interrupted" then
    failure.file = failure.file or file
    failure.hint = "A file is stored whole or not at all: run the same command again"
  end
  return failure
end

--- The connection that an ingest needs.
---@param context ligase.context
---@param options table|nil as for context:open
---@return table conn
function M.open(context, options)
  local opened, result = xpcall(context.open, errors.explained, context, options)
  return opened and result or error(M.as_required(result), 0)
end

--- Whether the connection is gone, so that a new one may help.
---@param failure any
---@return boolean
function M.is_lost(failure)
  return errors.is(failure, "database") and (failure.code:find(LOST) or failure.code:find("^57P")) ~= nil
end

--- Failures of the server and not of one file: the next file would fail alike.
---@param failure ligase.Error
---@return boolean
function M.is_final(failure)
  if failure.kind == "database" then
    local class = failure.code:sub(1, 2)
    return class == "08" or class == "53" or class == "58" or class == "42" or failure.code:find("^57P") ~= nil
      or failure.code == "25006"
  end
  return failure.kind == "interrupted" or failure.kind == "internal"
end

local TRY_AGAIN = "It met another transaction: run the same command again"

--- What to do about failures of the server that nobody else had a word for, by SQLSTATE.
local REMEDIES = {
  ["25006"] = "The server, or the role, only reads: use one that may write",
  ["40001"] = TRY_AGAIN,
  ["40P01"] = TRY_AGAIN,
  ["42501"] = "The role lacks a right: ligase doctor says which ones, and how they are granted",
  ["53100"] = "Make room on the server's disk, then run the same command again",
  ["53300"] = "As many are connected as the server allows: use fewer --jobs, or raise max_connections",
  ["57P03"] = "The server is starting or stopping: try again in a moment",
}

--- A failure for a person: one line whatever names are in it, and the traceback of a slip
--- in somebody's Lua below it.
---@param failure any
---@return string
function M.shown(failure)
  failure = errors.wrap(failure)
  if failure.kind == "database" then
    failure.hint = failure.hint or REMEDIES[failure.code]
  end
  local line = text.printable(tostring(failure))
  return failure.traceback and line .. "\n" .. failure.traceback or line
end

--- Says it on standard error, and the next file goes on.
---@param failure any
function M.report(failure)
  output.push()
  io.stderr:write("ligase: ", M.shown(failure), "\n")
end

return M
