--- The tables whose rows a run's journal names one by one: their keys, in which order their
--- rows go and come back, and what refers to them.
local row_images = require "ligase.store.row_images"

local M = {}

---@class ligase.journal_table
---@field name string
---@field what string for people: "dataset"
---@field first string the key's first column, a uuid
---@field second string|nil the key's second column
---@field second_type string|nil
---@field shown string SQL over an image that names the row for people
---@field told boolean|nil other systems hear of it
---@field owner string|nil of a link: the entity that is told of when the link changes
---@field owner_column string|nil
---@field references string[]|nil columns that refer to other entities
---@field unique string|nil the column that no two rows may share

local NAME = "image ->> 'name'"
local REFERENCES = { "program_id", "experiment_id" }

local function entity(name, what, shown)
  return { name = name, what = what, first = "id", shown = shown or NAME, told = true }
end

local function link(name, first, second, owner)
  return { name = name, what = "link", first = first, second = second, second_type = "uuid", shown = "''",
    owner = owner, owner_column = owner:gsub("s$", "") .. "_id" }
end

--- Rows are deleted in this order and inserted in the opposite one.
---@type ligase.journal_table[]
M.LIST = {
  link("program_experiments", "program_id", "experiment_id", "experiments"),
  link("program_datasets", "program_id", "dataset_id", "datasets"),
  link("experiment_datasets", "experiment_id", "dataset_id", "datasets"),
  link("program_signatures", "program_id", "signature_id", "signatures"),
  link("program_compounds", "program_id", "compound_id", "compounds"),
  { name = "signature_components", what = "component", first = "id", shown = "image ->> 'raw_name'" },
  { name = "revisions", what = "revision", first = "dataset_id", second = "revision", second_type = "integer",
    shown = "image ->> 'revision'" },
  { name = "screening_revisions", what = "campaign revision", first = "campaign_id", second = "revision",
    second_type = "integer", shown = "image ->> 'revision'" },
  { name = "narratives", what = "text of a page", first = "entity_id", second = "entity_type", second_type = "text",
    shown = "image ->> 'entity_type'" },
  entity("signatures", "signature", "(image ->> 'name') || '@' || (image ->> 'version')"),
  entity("screening_campaigns", "campaign"),
  entity("datasets", "dataset", "(image ->> 'omics_type') || '/' || (image ->> 'name')"),
  entity("compounds", "compound", "coalesce((image ->> 'code') || ' ', '') || (image ->> 'name')"),
  entity("experiments", "experiment"),
  entity("programs", "program"),
  entity("features", "feature"),
}

local by_name = {}
for _, tbl in ipairs(M.LIST) do
  by_name[tbl.name] = tbl
end

for name, columns in pairs { experiments = { "program_id" }, datasets = REFERENCES, screening_campaigns = REFERENCES,
  programs = {}, compounds = {}, signatures = {} } do
  by_name[name].references = columns
  by_name[name].unique = name == "compounds" and "code" or "name"
end

--- One of them by its name.
---@param name string
---@return ligase.journal_table
function M.get(name)
  return by_name[name]
end

--- SQL for the image of a row.
---@param tbl ligase.journal_table
---@param alias string
---@return string
function M.image(tbl, alias)
  return row_images.of(tbl.name, alias)
end

--- SQL that is true where a table's row has the key that an entry names.
---@param tbl ligase.journal_table
---@param row string the row's alias
---@param entry string the alias of a row with the texts `id` and `other`
---@return string
function M.same_key(tbl, row, entry)
  local sql = ("%s.%s = %s.id::uuid"):format(row, tbl.first, entry)
  return tbl.second and ("%s AND %s.%s = %s.other::%s"):format(sql, row, tbl.second, entry, tbl.second_type) or sql
end

--- What may refer to an entity by its id: the tables and their columns.
M.REFERRERS = {
  programs = { { "experiments", "program_id" }, { "datasets", "program_id" }, { "screening_campaigns", "program_id" },
    { "program_experiments", "program_id" }, { "program_datasets", "program_id" },
    { "program_signatures", "program_id" }, { "program_compounds", "program_id" } },
  experiments = { { "datasets", "experiment_id" }, { "screening_campaigns", "experiment_id" },
    { "experiment_datasets", "experiment_id" }, { "program_experiments", "experiment_id" } },
  datasets = { { "program_datasets", "dataset_id" }, { "experiment_datasets", "dataset_id" } },
  signatures = { { "program_signatures", "signature_id" } },
  compounds = { { "program_compounds", "compound_id" } },
}

--- What rows that come back refer to: the table, its column, and what that leads to.
M.REFERENCES = { { "revisions", "dataset_id", "datasets" }, { "signature_components", "signature_id", "signatures" },
  { "screening_revisions", "campaign_id", "screening_campaigns" } }

for entity_table, referrers in pairs(M.REFERRERS) do
  for _, referrer in ipairs(referrers) do
    table.insert(M.REFERENCES, { referrer[1], referrer[2], entity_table })
  end
end

--- What no two entities of a kind may share.
M.UNIQUE = { programs = { "name" }, experiments = { "name" }, datasets = { "name", "omics_type" },
  compounds = { "code" }, signatures = { "name", "version" }, screening_campaigns = { "name" } }

--- SQL for the key of a change, over a relation c (change): id (uuid, NULL when it is none) and
--- other (text, '' for keys of one column).
M.KEY = (function()
  local firsts, seconds = {}, {}
  for _, tbl in ipairs(M.LIST) do
    if tbl.second then
      firsts[#firsts + 1] = ("WHEN '%s' THEN coalesce(c.change -> 'key' ->> '%s', c.change ->> 'id')"):format(tbl.name,
        tbl.first)
      seconds[#seconds + 1] = ("WHEN '%s' THEN coalesce(c.change -> 'key' ->> '%s', c.change ->> '%s', '')"):format(
        tbl.name, tbl.second, tbl.second)
    end
  end
  return {
    -- Receipts are changed by one kind of run, one after the other, and many at a time: as one thing.
    id = ([[CASE c.change ->> 'table' %s
  WHEN 'feature_names' THEN CASE WHEN c.change -> 'before' ? 'receipts' THEN 'receipts' END
  ELSE c.change ->> 'id' END]]):format(table.concat(firsts, "\n  ")),
    other = ("CASE c.change ->> 'table' %s WHEN 'measurements' THEN coalesce(c.change ->> 'revision', '') ELSE '' END")
      :format(table.concat(seconds, "\n  ")),
  }
end)()

return M
