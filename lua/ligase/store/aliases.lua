--- Alias tables in Postgres.
---
--- A table is loaded or replaced as a whole, in one transaction with its journal entry, so
--- readers see the old one or the new one. Looking up takes one query for many names; what
--- the answers mean is decided by the reader of names, not here.
local changes_of = require "ligase.store.changes"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local pg = require "pg"
local runs = require "ligase.store.runs"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local COLUMNS = { { "key", "int8" }, { "source", "text" }, { "kind", "text" }, { "folded", "text" },
  { "alias", "text" }, { "name", "text" } }

local BATCH_ROWS = 8192

--- Names asked for by one query; more are asked for in turns, which bounds the memory.
local LOOKUP_MOST = 20000

--- The key of a folded name.
local function key_of(feature_type, folded)
  return sys.hash64(feature_type .. "\0" .. folded)
end

-- ---- loading ---------------------------------------------------------------

---@class ligase.alias_table
---@field source string what it is called
---@field feature_type string
---@field format string
---@field version string|nil made from day and SHA-256 without it
---@field files {path: string, sha256: string, bytes: integer}[]
---@field arguments table what else decided how it is read

local KNOWN = [[
SELECT source, run_id, loaded_at, name_count, alias_count, feature_type, format, version, files, arguments,
  to_jsonb(s)::text AS raw
FROM alias_sources AS s WHERE source = $1]]

local UPSERT = [[
INSERT INTO alias_sources (source, run_id, loaded_at, name_count, alias_count, feature_type, format, version, files,
  arguments)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (source) DO UPDATE SET run_id = excluded.run_id, loaded_at = excluded.loaded_at,
  name_count = excluded.name_count, alias_count = excluded.alias_count, feature_type = excluded.feature_type,
  format = excluded.format, version = excluded.version, files = excluded.files, arguments = excluded.arguments]]

--- Loads of one source wait for one another.
local function lock(conn, source)
  conn:query("SELECT pg_advisory_xact_lock($1::int8)", sys.hash64("alias_sources\0" .. source))
end

local function digests(files)
  local list = {}
  for i, file in ipairs(files) do
    list[i] = file.sha256
  end
  return table.concat(list, " ")
end

local function is_same(known, tbl)
  return known and known.format == tbl.format and known.feature_type == tbl.feature_type
    and digests(known.files) == digests(tbl.files) and json.encode(known.arguments) == json.encode(tbl.arguments)
    and (tbl.version == nil or tbl.version == known.version)
end

--- Rows on their way to COPY, by columns.
local function copy_rows(conn, tbl, read)
  local counts = { names = 0, aliases = 0 }
  local copy <close> = conn:copy_in("name_aliases", COLUMNS)
  local rows, n = { source = tbl.source, key = {}, kind = {}, folded = {}, alias = {}, name = {} }, 0
  local function send()
    if n > 0 then
      copy:write(n, rows)
      counts.aliases = counts.aliases + n
      rows, n = { source = tbl.source, key = {}, kind = {}, folded = {}, alias = {}, name = {} }, 0
    end
  end
  read(function(name, alias, folded, kind)
    n = n + 1
    rows.key[n], rows.kind[n], rows.folded[n] = key_of(tbl.feature_type, folded), kind, folded
    rows.alias[n], rows.name[n] = alias, name
    counts.names = counts.names + (kind == "name" and 1 or 0)
    if n == BATCH_ROWS then
      send()
    end
  end)
  send()
  copy:finish()
  return counts
end

local SET_ASIDE = [[
INSERT INTO aliases_set_aside (run_id, key, source, kind, folded, alias, name)
SELECT $2, key, source, kind, folded, alias, name FROM name_aliases WHERE source = $1]]

--- Takes a table's rows out of use. They are kept under the run, which may be rolled back.
---@return integer count
local function set_aside(conn, source, run_id)
  conn:query(SET_ASIDE, source, run_id)
  return conn:query("DELETE FROM name_aliases WHERE source = $1", source).affected
end

--- What the journal keeps of a table that was put in the place of another one, or of none.
local function changes_to(source, before)
  return changes_of.encode { { table = "alias_sources", id = source, set_aside = true,
    before = before and changes_of.raw(before.raw) or json.null } }
end

local function replace(conn, run, tbl, read)
  lock(conn, tbl.source)
  local known = conn:query(KNOWN, tbl.source)[1]
  if is_same(known, tbl) then
    conn:query(runs.INSERT, runs.parameters(run, "unchanged", {}))
    return { outcome = "unchanged", version = known.version, names = known.name_count, aliases = known.alias_count }
  end
  set_aside(conn, tbl.source, run.id)
  local counts = copy_rows(conn, tbl, read)
  if counts.aliases == 0 then
    errors.raise { kind = "input", code = "no_rows", file = tbl.files[1].path, message = "the table holds no names",
      hint = "Check that the download finished, and the format" }
  end
  local version = tbl.version or ("%s sha256:%s"):format(sys.timestamp():sub(1, 10), digests(tbl.files):sub(1, 12))
  conn:query(UPSERT, tbl.source, run.id, sys.timestamp(), counts.names, counts.aliases, tbl.feature_type, tbl.format,
    version, json.encode(json.array(tbl.files)), json.encode(tbl.arguments))
  conn:query(runs.INSERT, runs.parameters(run, "done", { counts = { names = counts.names, rows = counts.aliases },
    changes = changes_to(tbl.source, known) }))
  conn:script("ANALYZE name_aliases") -- or the first look-ups read the whole table
  return { outcome = known and "replaced" or "loaded", version = version, names = counts.names,
    aliases = counts.aliases, before = known }
end

--- Loads a table, or replaces the one of the same source. A failed load is journalled and
--- leaves everything as it was.
---@param conn table
---@param tbl ligase.alias_table
---@param read fun(emit: fun(name: string, alias: string, folded: string, kind: string)) gives all rows
---@return {outcome: "loaded"|"replaced"|"unchanged", version: string, names: integer, aliases: integer,
---  before: table|nil}
function M.load(conn, tbl, read)
  local run = runs.new("aliases load", nil, { source = tbl.source, format = tbl.format, version = tbl.version,
    files = json.array(tbl.files), arguments = tbl.arguments })
  local done, result = xpcall(conn.transaction, errors.explained, conn, replace, conn, run, tbl, read)
  if not done then
    runs.journal_failure(conn, run, result)
    error(result, 0)
  end
  return result
end

local function source_names(conn, feature_type)
  local names = {}
  for i, row in ipairs(conn:query("SELECT source FROM alias_sources WHERE $1::text IS NULL OR feature_type = $1 "
    .. "ORDER BY source", feature_type)) do
    names[i] = row.source
  end
  return names
end

local function refuse_source(source, known)
  local near = text.nearest(source, known)
  errors.raise { kind = "usage", code = "alias_source",
    message = ("there is no alias table '%s'"):format(text.printable(source)),
    hint = near and ("Did you mean '%s'?"):format(near) or #known > 0 and "There are: " .. table.concat(known, ", ")
      or "None is loaded yet. See: ligase aliases load --help" }
end

--- Drops a table. Names that were read by it stay as they were read.
---@param conn table
---@param source string
---@return integer aliases how many rows there were
function M.drop(conn, source)
  local run = runs.new("aliases drop", nil, { source = source })
  return conn:transaction(function()
    lock(conn, source)
    local known = conn:query(KNOWN, source)[1]
    if not known then
      refuse_source(source, source_names(conn))
    end
    local dropped = set_aside(conn, source, run.id)
    conn:query("DELETE FROM alias_sources WHERE source = $1", source)
    conn:query(runs.INSERT, runs.parameters(run, "done", { counts = { rows = dropped },
      changes = changes_to(source, known) }))
    return dropped
  end)
end

-- ---- looking up ------------------------------------------------------------

local LOOKUP = [[
SELECT n.place::int8 AS place, a.source, a.kind, a.alias, a.name
FROM unnest($1::int8[], $2::text[]) WITH ORDINALITY AS n (key, folded, place)
JOIN name_aliases AS a ON a.key = n.key AND a.folded = n.folded
WHERE $3::text[] IS NULL OR a.source = ANY ($3::text[])]]

local function lookup_some(conn, feature_type, names, sources, found)
  local keys = {}
  for i, name in ipairs(names) do
    keys[i] = key_of(feature_type, name)
  end
  local rows = conn:query(LOOKUP, pg.array(keys, "int8"), pg.array(names, "text"),
    sources and pg.array(sources, "text") or pg.null)
  for _, row in ipairs(rows) do
    local name = names[row.place]
    local entries = found[name]
    if not entries then
      entries = {}
      found[name] = entries
    end
    entries[#entries + 1] = { source = row.source, kind = row.kind, alias = row.alias, name = row.name }
  end
end

--- What names mean by the tables: one query for all of them.
---@param conn table
---@param feature_type string
---@param names string[] folded (ligase.omics.names.aliases.fold), each once
---@param sources string[]|nil only these tables; all without it
---@return table<string, ligase.alias[]> found by folded name; nil for a name that no table knows
function M.lookup(conn, feature_type, names, sources)
  local found = {}
  for first = 1, #names, LOOKUP_MOST do
    local some = first == 1 and #names <= LOOKUP_MOST and names
      or table.move(names, first, math.min(first + LOOKUP_MOST - 1, #names), 1, {})
    lookup_some(conn, feature_type, some, sources, found)
  end
  return found
end

--- The tables for names of a type, and a text that changes whenever one of them does. Raises
--- "usage" when there is none, or when one that is asked for is not there.
---@param conn table
---@param feature_type string
---@param wanted string[]|nil all without it
---@return string[] sources
---@return string state
function M.sources(conn, feature_type, wanted)
  local known = source_names(conn, feature_type)
  local sources = wanted or known
  local is_known = {}
  for _, source in ipairs(known) do
    is_known[source] = true
  end
  for _, source in ipairs(sources) do
    if not is_known[source] then
      refuse_source(source, known)
    end
  end
  if #sources == 0 then
    errors.raise { kind = "usage", code = "alias_source",
      message = ("no alias table for the names of %ss is loaded"):format(feature_type),
      hint = "Load one: ligase aliases load FORMAT FILE" }
  end
  local states = {}
  for i, row in ipairs(conn:query("SELECT source, run_id FROM alias_sources WHERE source = ANY ($1::text[]) "
    .. "ORDER BY source", pg.array(sources, "text"))) do
    states[i] = row.source .. " " .. row.run_id
  end
  return sources, table.concat(states, "; ")
end

--- The feature types that have a table.
---@param conn table
---@return table<string, true>
function M.types(conn)
  local types = {}
  for _, row in ipairs(conn:query "SELECT DISTINCT feature_type FROM alias_sources") do
    types[row.feature_type] = true
  end
  return types
end

--- The tables that are loaded.
---@param conn table
---@return table result as conn:table gives it
function M.list(conn)
  return conn:table([[
SELECT source, feature_type AS type, format, version, name_count AS names, alias_count AS aliases,
  to_char(loaded_at, 'YYYY-MM-DD HH24:MI') AS loaded, files -> 0 ->> 'path' AS file
FROM alias_sources ORDER BY feature_type, source]])
end

--- What the tables say of a name: what it means, and what else means the same.
---@param conn table
---@param folded table<string, string> the name's folded form by feature type
---@return table result as conn:table gives it
function M.show(conn, folded)
  local keys, names = {}, {}
  for feature_type, name in pairs(folded) do
    keys[#keys + 1], names[#names + 1] = key_of(feature_type, name), name
  end
  return conn:table([[
WITH meant AS MATERIALIZED (
  SELECT DISTINCT a.source, a.name
  FROM unnest($1::int8[], $2::text[]) AS n (key, folded)
  JOIN name_aliases AS a ON a.key = n.key AND a.folded = n.folded)
SELECT DISTINCT s.feature_type AS type, a.source, a.name, a.kind, a.alias
FROM meant JOIN name_aliases AS a ON a.source = meant.source AND a.name = meant.name
JOIN alias_sources AS s ON s.source = a.source
ORDER BY s.feature_type, a.source, a.name, a.kind, a.alias]], pg.array(keys, "int8"), pg.array(names, "text"))
end

return M
