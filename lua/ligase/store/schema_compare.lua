--- Holds a database's schema against what the steps that were applied to it make: they are
--- run on a scratch database of the same server, and both are read from the catalogues.
--- Owners, rights, comments, storage parameters and the order of columns may differ.
local errors = require "ligase.base.errors"
local files_of = require "ligase.store.migration_files"
local migrate = require "ligase.store.migrate"
local pg = require "pg"
local record = require "ligase.store.migration_record"
local schema_shape = require "ligase.store.schema_shape"
local scratch = require "ligase.store.scratch"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

---@class ligase.SchemaFinding
---@field message string what is missing or different
---@field repair string

---@class ligase.SchemaComparison
---@field findings ligase.SchemaFinding[]
---@field additional string[] what is there beside what the steps make, such as "table plates"
---@field not_compared? string why nothing was compared

-- ---- what the steps make ---------------------------------------------------

local function expected_of(conn, place, folder, to)
  local schema = conn:query("SELECT current_schema() AS name")[1].name
  local there <close> = pg.connect(place.conninfo)
  there:script("SET synchronous_commit = off") -- nothing of it has to outlive a power cut
  if schema ~= "public" then
    local quoted = there:quote_identifier(schema)
    there:script(("CREATE SCHEMA %s; SET search_path = %s, public"):format(quoted, quoted))
  end
  migrate.up(there, { folder = folder, to = to })
  return schema_shape.things(there)
end

-- ---- comparing -------------------------------------------------------------

local function by_id(things)
  local found = {}
  for _, thing in ipairs(things) do
    found[thing.kind .. " " .. thing.name] = thing
  end
  return found
end

--- Which things of the one list the other has not. What belongs to a table or view that is
--- missing, and the columns of views, are not told; nor is a constraint's own index.
local function only_in(things, others)
  local hidden, missing, has = {}, {}, {}
  for _, thing in ipairs(things) do
    local is_view = thing.kind:find("view", 1, true) ~= nil
    local is_gone = thing.kind == "table" and not others["table " .. thing.name]
    hidden[thing.name] = hidden[thing.name] or is_view or is_gone
  end
  for _, thing in ipairs(things) do
    local id = thing.kind .. " " .. thing.name
    has[id] = not others[id]
    local is_part = thing.owner ~= thing.name and hidden[thing.owner]
    local is_own_index = thing.kind == "index" and has[("constraint %s.%s"):format(thing.owner, thing.name)]
    if has[id] and not is_part and not is_own_index then
      missing[#missing + 1] = thing
    end
  end
  return missing
end

-- ---- repairs ---------------------------------------------------------------

local function one_line(sql)
  return (sql:gsub("%s*\n%s*", " "):gsub("  ", " ", 1):gsub(";?%s*$", ""))
end

--- The file in which a step makes a table.
local function file_of(files, name)
  for _, step in ipairs(files) do
    if sys.read_file(step.up_path):find(("TABLE%%s+%s%%f[%%W]"):format((name:gsub("%p", "%%%0")))) then
      return step.up_path
    end
  end
end

local function table_repair(thing, files)
  local path = file_of(files, thing.name)
  return ("restore it from a backup: pg_restore --table=%s -d \"$(ligase db url)\" FILE; then ask again what belongs "
    .. "to it%s"):format(thing.name, path and ("; without a backup, empty as in " .. path) or "")
end

local function missing_repair(thing, files)
  local statement = type(thing.statement) == "string" and one_line(thing.statement)
  if thing.kind == "table" then
    return table_repair(thing, files)
  elseif thing.kind == "column" then
    return ("its values are gone: restore them from a backup%s"):format(statement
      and "; an empty one is made by: " .. statement or "")
  end
  return statement or "restore it from a backup"
end

local DROPS = { index = "DROP INDEX %s; %s", constraint = "ALTER TABLE %s DROP CONSTRAINT %s; %s",
  trigger = "DROP TRIGGER %s ON %s; %s" }

local function bare(thing)
  return thing.name:sub(#thing.owner + 2)
end

local function different_repair(is, thing, files)
  local statement = type(thing.statement) == "string" and one_line(thing.statement)
  if thing.kind == "table" and is.definition == "unlogged" then
    return ("ALTER TABLE %s SET LOGGED"):format(thing.name)
  elseif thing.kind == "table" then
    return "restore it from a backup, or alter it back; see " .. (file_of(files, thing.name) or "the steps")
  elseif thing.kind == "column" then
    return ("alter it back: ALTER TABLE %s ALTER COLUMN %s ..."):format(thing.owner, bare(thing))
  elseif thing.kind == "index" then
    return DROPS.index:format(thing.name, statement)
  elseif thing.kind == "constraint" then
    return DROPS.constraint:format(thing.owner, bare(thing), statement)
  elseif thing.kind == "trigger" then
    return DROPS.trigger:format(bare(thing), thing.owner, statement)
  end
  return statement or "alter it back, or restore it from a backup"
end

local MOST_SHOWN = 100

local function difference_of(is, should_be)
  local shown = { (is.definition:gsub("%s+", " ")), (should_be.definition:gsub("%s+", " ")) }
  if #shown[1] > MOST_SHOWN or #shown[2] > MOST_SHOWN then
    return "is another than the steps make"
  end
  return ("is '%s', and should be '%s'"):format(shown[1], shown[2])
end

-- ---- all of it -------------------------------------------------------------

local function compare(actual, expected, files)
  local is, should_be, findings, additional = by_id(actual), by_id(expected), {}, {}
  local function found(thing, what, repair)
    findings[#findings + 1] = { message = ("%s %s %s"):format(thing.kind, thing.name, what), repair = repair }
  end
  for _, thing in ipairs(only_in(expected, is)) do
    found(thing, "is missing", missing_repair(thing, files))
  end
  for _, thing in ipairs(expected) do
    local other = is[thing.kind .. " " .. thing.name]
    local is_of_other = thing.kind == "column" and not should_be["table " .. thing.owner] -- a view's
      or thing.kind == "sequence" and thing.owner ~= thing.name
    if other and other.definition ~= thing.definition and not is_of_other then
      found(thing, difference_of(other, thing), different_repair(other, thing, files))
    end
  end
  for i, thing in ipairs(only_in(actual, should_be)) do
    additional[i] = ("%s %s"):format(thing.kind, thing.name)
  end
  return { findings = findings, additional = additional }
end

local function not_compared(reason)
  return { findings = {}, additional = {}, not_compared = reason }
end

local function run(conn, server, folder, applied)
  local place <close> = scratch.open(server)
  local expected = expected_of(conn, place, folder, #applied)
  return compare(schema_shape.things(conn), expected, files_of.list(folder))
end

--- Compares the schema with what its steps make. Where no scratch database can be made, the
--- result says so.
---@param conn table outside a transaction
---@param server string|table the database, as pg.connect takes it
---@param folder? string ligase's own migrations without it
---@return ligase.SchemaComparison
function M.run(conn, server, folder)
  local files, applied = files_of.list(folder), record.applied(conn)
  if #applied == 0 then
    return not_compared "no step is applied"
  elseif record.contradiction(files, applied) then
    return not_compared "the files are not those of the steps that were applied"
  end
  local done, result = errors.try(run, conn, server, folder, applied)
  if done then
    return result
  elseif errors.is(result) and result.kind ~= "internal" then
    return not_compared("the steps could not be run on a scratch database: " .. tostring(result):match "^[^\n]*")
  end
  error(result, 0)
end

--- What is there beside what the steps make, in a sentence; nil for nothing.
---@param comparison ligase.SchemaComparison
---@return string?
function M.told_additional(comparison)
  local additional = comparison.additional
  if #additional == 0 then
    return nil
  end
  local most = 5
  local shown = table.move(additional, 1, math.min(#additional, most), 1, {})
  if #additional > most then
    shown[#shown + 1] = ("%d more"):format(#additional - most)
  end
  return "there is more than the steps make: " .. text.enumerate(shown, "and")
end

return M
