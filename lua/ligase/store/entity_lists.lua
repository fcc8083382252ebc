--- Entities as people look at them: lists with counts, and one with all that is known of it.
local deleting = require "ligase.store.entity_deleting"
local kinds = require "ligase.store.entity_kinds"
local links_of = require "ligase.store.entity_links"
local pg = require "pg"

local M = {}

--- How many datasets, ... belong to each, the further links counted too.
local function linked(tbl, column, link_table, own)
  return ([[(SELECT count(*) FROM (SELECT id FROM %s WHERE %s = t.id UNION SELECT %s FROM %s WHERE %s = t.id) AS l)]])
    :format(tbl, column, own, link_table, column)
end

local PROGRAMS = [[
(SELECT string_agg(p.name, ', ' ORDER BY l.place, p.name) FROM (%s) AS l (id, place)
  JOIN programs AS p ON p.id = l.id)]]

local function programs_of(kind)
  local link, parts = kind.links.programs, {}
  if link.column then
    parts[1] = ("SELECT t.%s, 0"):format(link.column)
  end
  if link.table then
    parts[#parts + 1] = ("SELECT %s, 1 FROM %s WHERE %s = t.id"):format(link.other, link.table, link.own)
  end
  return PROGRAMS:format(table.concat(parts, " UNION ALL "))
end

local function terms(column)
  return ("array_to_string(t.%s, '; ')"):format(column)
end

local ID = "left(t.id::text, 13)"

--- What a list shows of each kind: name and SQL over t.
local COLUMNS = {
  program = { { "name", "t.name" }, { "disease", terms "disease" },
    { "experiments", linked("experiments", "program_id", "program_experiments", "experiment_id") },
    { "datasets", linked("datasets", "program_id", "program_datasets", "dataset_id") }, { "id", ID } },
  experiment = { { "name", "t.name" }, { "programs", programs_of(kinds.get "experiment") },
    { "type", "t.experiment_type" }, { "disease", terms "disease" }, { "matrix", terms "matrix" },
    { "stage", "t.stage" },
    { "datasets", linked("datasets", "experiment_id", "experiment_datasets", "dataset_id") }, { "id", ID } },
  dataset = { { "name", "t.name" }, { "omics", "t.omics_type" }, { "programs", programs_of(kinds.get "dataset") },
    { "organism", terms "organism" }, { "disease", terms "disease" }, { "matrix", terms "matrix" },
    { "revision", "t.current_revision" }, { "id", ID } },
  compound = { { "code", "t.code" }, { "name", "t.name" }, { "programs", programs_of(kinds.get "compound") },
    { "inchi_key", "t.inchi_key" }, { "cas", "t.cas_number" }, { "chembl", "t.chembl_id" },
    { "pubchem", "t.pubchem_cid" }, { "id", ID } },
  signature = { { "name", "t.name" }, { "version", "t.version" }, { "programs", programs_of(kinds.get "signature") },
    { "type", "t.signature_type" }, { "disease", terms "disease" }, { "components", "t.component_count" },
    { "id", ID } },
  campaign = { { "name", "t.name" }, { "programs", programs_of(kinds.get "campaign") }, { "assay", "t.assay_type" },
    { "target", "t.target" }, { "direction", "t.direction" }, { "revision", "t.current_revision" }, { "id", ID } },
}

--- The condition that an entity is linked to $1.
local function linked_to(link, place)
  local parts = {}
  if link.column then
    parts[1] = ("t.%s = $%d::uuid"):format(link.column, place)
  end
  if link.table then
    parts[#parts + 1] = ("t.id IN (SELECT %s FROM %s WHERE %s = $%d::uuid)"):format(link.own, link.table, link.other,
      place)
  end
  return "(" .. table.concat(parts, " OR ") .. ")"
end

--- The SELECT for entities of one kind, by name, and its parameters.
local function select_of(kind, shown, only)
  local conditions, values = {}, {}
  for _, name in ipairs(kind.link_order) do
    if only and only[name] then
      values[#values + 1] = only[name]
      conditions[#conditions + 1] = linked_to(kind.links[name], #values)
    end
  end
  local order = kind.fields.code and "t.code, t.name" or kind.name == "signature" and "t.name, t.version"
    or kind.name == "dataset" and "t.name, t.omics_type" or "t.name"
  return ("SELECT %s FROM %s AS t%s ORDER BY %s"):format(shown, kind.table,
    #conditions > 0 and " WHERE " .. table.concat(conditions, " AND ") or "", order), table.unpack(values)
end

--- Entities of one kind as people look at them, by name.
---@param conn table
---@param kind_name string
---@param only table<string, string>|nil by name of a link: the id that they must be linked to
---@return table result as conn:table gives it
function M.list(conn, kind_name, only)
  local kind, shown = kinds.get(kind_name), {}
  for i, column in ipairs(COLUMNS[kind_name]) do
    shown[i] = ("%s AS %s"):format(column[2], column[1])
  end
  return conn:table(select_of(kind, table.concat(shown, ", "), only))
end

--- Entities of one kind with all their columns, by name.
---@param conn table
---@param kind_name string
---@param only table<string, string>|nil by name of a link: the id that they must be linked to
---@return table[] rows columns by name, NULL as json.null
function M.rows(conn, kind_name, only)
  local rows = {}
  for i, found in ipairs(conn:query(select_of(kinds.get(kind_name), "to_jsonb(t) AS row", only))) do
    rows[i] = found.row
  end
  return rows
end

--- All that is known of one entity.
---@param conn table
---@param kind_name string
---@param row table the entity's
---@return {row: table, links: table<string, {id: string, name: string}[]>, referrers: table[], shares: table[]}
---shares: others that have in common what should be its own
function M.show(conn, kind_name, row)
  local kind = kinds.get(kind_name)
  local own, shares = kind.own and row[kind.own], {}
  if own and own ~= pg.null then
    local found = conn:query(("SELECT %s AS name, t.id FROM %s AS t WHERE t.%s = $1 AND t.id <> $2 ORDER BY 1"):format(
      kind.shown, kind.table, kind.own), own, row.id)
    shares = table.move(found, 1, #found, 1, {})
  end
  return { row = row, links = links_of.read(conn, kind, row), referrers = deleting.referrers(conn, kind, row.id),
    shares = shares }
end

return M
