--- Holds a database's schema against what the steps that were applied to it make: they are
--- run on a scratch database of the same server, and both are read from the catalogues.
--- Owners, rights, comments, storage parameters and the order of columns may differ.
local errors = require "ligase.base.errors"
local files_of = require "ligase.store.migration_files"
local migrate = require "ligase.store.migrate"
local pg = require "pg"
local record = require "ligase.store.migration_record"
local schema_repair = require "ligase.store.schema_repair"
local schema_shape = require "ligase.store.schema_shape"
local scratch = require "ligase.store.scratch"
local text = require "ligase.base.text"

local M = {}

---@class ligase.SchemaFinding
---@field message string what is missing or different
---@field repair string

---@class ligase.SchemaComparison
---@field findings ligase.SchemaFinding[] in the order in which the repairs run one after the other
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

--- The tables and views of the one list that the other has not.
local function lost_owners(things, others)
  local lost = {}
  for _, thing in ipairs(things) do
    if (thing.kind == "table" or schema_shape.is_view(thing)) and not others[thing.kind .. " " .. thing.name] then
      lost[thing.name] = true
    end
  end
  return lost
end

--- A function that says of a thing whether another one tells it already: the columns of views,
--- what numbers a column, an index that a constraint of the first list makes, and what belongs
--- to a table or view that is lost. What refers to it is told with a table that should be there.
local function told_elsewhere(things, others, with_references)
  local owners, lost = {}, lost_owners(things, others)
  local of_constraint = {}
  for _, thing in ipairs(things) do
    owners[thing.name] = owners[thing.name] or schema_shape.is_view(thing)
    of_constraint[thing.parts.index or ""] = true
  end
  return function(thing)
    local is_part = thing.owner ~= thing.name
    return is_part and lost[thing.owner]
      or with_references and thing.parts.references and lost[thing.parts.references]
      or thing.kind == "column" and owners[thing.owner]
      or thing.kind == "sequence" and thing.parts.identity
      or thing.kind == "index" and of_constraint[thing.name]
  end
end

local function compare(actual, expected, files)
  local is, should_be, findings, additional = schema_shape.by_id(actual), schema_shape.by_id(expected), {}, {}
  local repairs = schema_repair.new(actual, expected, files)
  local is_told = told_elsewhere(expected, is, true)
  for _, thing in ipairs(expected) do
    local other = is[thing.kind .. " " .. thing.name]
    local is_same = other and (other.definition == thing.definition
      or thing.kind == "sequence" and thing.owner ~= thing.name)
    if not is_same and not is_told(thing) then
      findings[#findings + 1] = repairs:finding(thing, other)
    end
  end
  table.sort(findings, function(a, b)
    return a.rank < b.rank or a.rank == b.rank and a.message < b.message
  end)
  for i, finding in ipairs(findings) do
    findings[i] = { message = finding.message, repair = finding.repair }
  end
  is_told = told_elsewhere(actual, should_be, false)
  for _, thing in ipairs(actual) do
    if not should_be[thing.kind .. " " .. thing.name] and not is_told(thing) then
      additional[#additional + 1] = ("%s %s"):format(thing.kind, thing.name)
    end
  end
  return { findings = findings, additional = additional }
end

-- ---- all of it -------------------------------------------------------------

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
