--- Names that the Tab key offers for what a command or a call takes: files, recipes, columns
--- of what is at hand.
local series = require "ligase.words.series"
local sys = require "sys"
local workspace = require "ligase.base.workspace"

local M = {}

--- Those names that begin so.
---@param names string[]
---@param start string
---@return string[]
function M.among(names, start)
  local found = {}
  for _, name in ipairs(names) do
    found[#found + 1] = name:sub(1, #start) == start and name or nil
  end
  return found
end

--- Recipes of the workspace and of ligase.
---@param start string
---@return string[]
function M.recipes(start)
  local names = {}
  for i, recipe in ipairs(workspace.recipes()) do
    names[i] = recipe.name
  end
  return M.among(names, start)
end

--- Files and folders; a folder ends in a slash. Hidden ones are offered when a dot was typed.
---@param start string
---@return string[]
function M.files(start)
  local folder = start:match("^.*/") or ""
  local listed, entries = pcall(sys.list, folder == "" and "." or folder)
  local names = {}
  for _, entry in ipairs(listed and entries or {}) do
    local path = folder .. entry
    if path:sub(1, #start) == start and (entry:sub(1, 1) ~= "." or start:find("/?%.[^/]*$")) then
      local found, stat = pcall(sys.stat, path)
      names[#names + 1] = found and stat and stat.type == "directory" and path .. "/" or path
    end
  end
  return names
end

--- Columns that a value holds: of a frame, of rows.
---@param value any
---@param start string
---@return string[]
function M.columns(value, start)
  if series.is_frame(value) then
    return M.among(value:names(), start)
  elseif type(value) == "table" and type(rawget(value, "columns")) == "table" then
    return M.among(series.column_names(value), start)
  end
  return {}
end

local TAKES_COLUMN = { plot = true, hist = true, column = true, text = true, number = true }

--- The chain of names of which a call takes a column: hits of hits:plot("x", " and of
--- plot(hits, ".
---@param before string the code up to the string
---@return string|nil
function M.column_owner(before)
  before = before:gsub('"[^"]*"', '""'):gsub("'[^']*'", "''")
  local owner, method = before:match "([%a_][%w_.]*)%s*:%s*([%a_][%w_]*)%s*%(?[%s%w_,\"'%.]*$"
  if owner and TAKES_COLUMN[method] then
    return owner
  end
  local word
  word, owner = before:match "([%a_][%w_]*)%s*%(%s*([%a_][%w_.]*)%s*,[%s%w_,\"'%.]*$"
  return word and TAKES_COLUMN[word] and owner or nil
end

return M
