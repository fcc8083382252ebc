--- Tables of a SQLite file as rows: which there are, which columns they have, and their
--- rows in the order of their rowids.
local errors = require "ligase.base.errors"
local sqlite = require "sqlite"
local text = require "ligase.base.text"

local M = {}

local TABLES = [[
SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY name]]

---@class ligase.sqlite_file
---@field path string
---@field tables table<string, {name: string, type: string, columns: string[]}> by name in lower case
local File = {}
File.__index = File

--- Opens a file. All of it is seen as it was at that moment; whoever writes to it meanwhile
--- waits. Close it.
---@param path string
---@param options {busy_timeout_s: number|nil}|nil
---@return ligase.sqlite_file
function M.open(path, options)
  local db = sqlite.open(path, options)
  local file = setmetatable({ path = path, db = db, tables = {}, names = {} }, File)
  db:query "BEGIN"
  for i, found in ipairs(db:query(TABLES)) do
    file.names[i], file.tables[found.name:lower()] = found.name, found
  end
  return file
end

--- Closes the file. Safe to call again.
function File:close()
  self.db:close()
end

File.__close = File.close

local function refuse(file, message, near, all)
  errors.raise { kind = "input", code = "table", file = file.path, message = message,
    hint = (near and ("Did you mean '%s'? "):format(near) or "") .. "There are: " .. (#all > 0
      and table.concat(all, ", ") or "none") .. ". Mend the map" }
end

--- The columns of a table, nil when there is no such table.
---@param name string
---@return string[]|nil
function File:columns(name)
  local found = self.tables[name:lower()]
  if not found then
    return nil
  elseif not found.columns then
    found.columns = {}
    local statement <close> = self.db:prepare(("SELECT * FROM %s LIMIT 0"):format(
      self.db:quote_identifier(found.name)))
    for i, column in ipairs(statement:columns()) do
      found.columns[i] = column.name
    end
  end
  return found.columns
end

--- Raises "input" for a table that is not there, naming the nearest.
---@param name string
---@return string[] columns
function File:need_table(name)
  local columns = self:columns(name)
  if not columns then
    refuse(self, ("there is no table '%s'"):format(text.printable(name)), text.nearest(name, self.names), self.names)
  end
  return columns
end

--- The column of a table by its name in any case; nil when it is not there, which raises
--- "input" unless it may be.
---@param name string of the table
---@param wanted string
---@param optional boolean
---@return string|nil
function File:column(name, wanted, optional)
  local columns = self:need_table(name)
  for _, column in ipairs(columns) do
    if column:lower() == wanted:lower() then
      return column
    end
  end
  if not optional then
    refuse(self, ("table '%s' has no column '%s'"):format(name, text.printable(wanted)),
      text.nearest(wanted, columns), columns)
  end
end

--- A view, or a table WITHOUT ROWID, has none: its rows are counted.
local function rows_of(db, name)
  local quoted = db:quote_identifier(name)
  local done, statement = pcall(db.prepare, db, ("SELECT * FROM %s ORDER BY rowid"):format(quoted))
  if not done then
    return nil, db:rows(("SELECT * FROM %s"):format(quoted))
  end
  statement:close()
  local ids = db:rows(("SELECT rowid AS id FROM %s ORDER BY rowid"):format(quoted))
  return ids, db:rows(("SELECT * FROM %s ORDER BY rowid"):format(quoted))
end

--- The rows of a table with their rowids.
---@param name string
---@return fun(): table|nil, integer|nil iterator over row and rowid
function File:rows(name)
  local ids, rows = rows_of(self.db, self.tables[name:lower()].name)
  local count = 0
  return function()
    local row = rows()
    if not row then
      return nil
    end
    count = count + 1
    local id = ids and ids().id
    return row, math.type(id) == "integer" and id or count
  end
end

return M
