--- What the kinds of entities are: their tables, fields, links, and what refers to them.
---
--- Everything that ligase.store.entities does is the same for all kinds; what differs
--- between them stands here and nowhere else.
local errors = require "ligase.base.errors"
local text = require "ligase.base.text"

local M = {}

---@class ligase.entity_field
---@field type "text"|"terms"|"object"|"groups"|"page"|"integer"|"number"|"hit_rule"|"controls"
---@field merge boolean|nil an object whose members are set one by one, and not as a whole
---@field check string|nil a check of ligase.store.entity_values, by name
---@field required boolean|nil a new one needs it; so do all names
---@field sticky boolean|nil is given when the entity is made and not changed afterwards

---@class ligase.entity_link
---@field kind string what it leads to
---@field column string|nil the column that holds the first one
---@field table string|nil the table that holds the further ones, or all without a column
---@field own string|nil this table's column for the entity
---@field other string|nil this table's column for what it leads to

---@class ligase.entity_referrer
---@field what string for people: "dataset"
---@field table string
---@field column string that holds the entity's id
---@field own string|nil a column whose values should be one entity's each; that several have one is reported
---@field fixed boolean|nil made and deleted elsewhere
---@field shown string SQL over the table's alias r that names the row for people

---@class ligase.entity_part
---@field what string for people
---@field table string
---@field column string
---@field data boolean|nil read from files, or computed from that: deleted only when that is asked for

---@class ligase.entity_kind
---@field name string "program"
---@field plural string "programs", also its name in the Lua API
---@field table string
---@field fields table<string, ligase.entity_field>
---@field order string[] the fields as they are shown
---@field identity string[] the columns by which a row of a file is known again, the surest first
---@field words string[] SQL over the table's alias t: further texts by which a person may mean it
---@field shown string SQL over t that names it for people
---@field links table<string, ligase.entity_link>
---@field link_order string[]
---@field referrers ligase.entity_referrer[]
---@field parts ligase.entity_part[]

local TEXT, TERMS, OBJECT = { type = "text" }, { type = "terms" }, { type = "object" }
local IDS = { type = "object", merge = true, check = "external_ids" }
local NAME = { type = "text", check = "name" }

local function dataset_names(column)
  return ("(SELECT omics_type || '/' || name FROM datasets WHERE id = r.%s)"):format(column)
end

local kinds = {
  program = {
    plural = "programs", table = "programs",
    fields = { name = NAME, description = TEXT, disease = TERMS },
    order = { "name", "description", "disease" },
    identity = { "name" }, words = {},
    links = {}, link_order = {}, parts = {},
    referrers = {
      { what = "experiment", table = "experiments", column = "program_id", shown = "r.name" },
      { what = "experiment", table = "program_experiments", column = "program_id",
        shown = "(SELECT name FROM experiments WHERE id = r.experiment_id)" },
      { what = "dataset", table = "datasets", column = "program_id", shown = "r.omics_type || '/' || r.name" },
      { what = "dataset", table = "program_datasets", column = "program_id", shown = dataset_names "dataset_id" },
      { what = "signature", table = "program_signatures", column = "program_id",
        shown = "(SELECT name FROM signatures WHERE id = r.signature_id)" },
      { what = "compound", table = "program_compounds", column = "program_id",
        shown = "(SELECT coalesce(code, name) FROM compounds WHERE id = r.compound_id)" },
      { what = "campaign", table = "screening_campaigns", column = "program_id", shown = "r.name" },
    },
  },
  experiment = {
    plural = "experiments", table = "experiments",
    fields = { name = NAME, description = TEXT, experiment_type = TEXT, disease = TERMS, matrix = TERMS,
      model_systems = TERMS, targets = TERMS, modality = TERMS, stage = TEXT, design = OBJECT,
      sample_groups = { type = "groups" } },
    order = { "name", "description", "experiment_type", "disease", "matrix", "model_systems", "targets", "modality",
      "stage", "design", "sample_groups" },
    identity = { "name" }, words = {},
    links = { programs = { kind = "program", column = "program_id", table = "program_experiments",
      own = "experiment_id", other = "program_id" } },
    link_order = { "programs" }, parts = {},
    referrers = {
      { what = "dataset", table = "datasets", column = "experiment_id", shown = "r.omics_type || '/' || r.name" },
      { what = "dataset", table = "experiment_datasets", column = "experiment_id",
        shown = dataset_names "dataset_id" },
      { what = "campaign", table = "screening_campaigns", column = "experiment_id", shown = "r.name" },
    },
  },
  dataset = {
    plural = "datasets", table = "datasets",
    fields = { omics_type = { type = "text", check = "name", sticky = true, required = true }, name = NAME,
      description = TEXT, organism = TERMS,
      disease = TERMS, sample_type = TERMS, matrix = TERMS, model_systems = TERMS },
    order = { "omics_type", "name", "description", "organism", "disease", "sample_type", "matrix", "model_systems" },
    identity = { "name", "omics_type" }, words = { "t.omics_type || '/' || t.name" },
    links = {
      programs = { kind = "program", column = "program_id", table = "program_datasets", own = "dataset_id",
        other = "program_id" },
      experiments = { kind = "experiment", column = "experiment_id", table = "experiment_datasets",
        own = "dataset_id", other = "experiment_id" },
    },
    link_order = { "programs", "experiments" }, referrers = {},
    -- Scores follow from the data: nobody can want them without it.
    parts = {
      { what = "row", table = "measurements", column = "dataset_id", data = true },
      { what = "revision", table = "revisions", column = "dataset_id", data = true },
      { what = "score", table = "dataset_signatures", column = "dataset_id", data = true },
    },
  },
  compound = {
    plural = "compounds", table = "compounds",
    fields = { code = { type = "text", check = "name" }, name = NAME,
      smiles = { type = "text", check = "smiles" }, inchi = { type = "text", check = "inchi" },
      inchi_key = { type = "text", check = "inchi_key" }, cas_number = { type = "text", check = "cas_number" },
      chembl_id = { type = "text", check = "chembl_id" }, pubchem_cid = { type = "integer", check = "positive" },
      formula = TEXT, molecular_weight = { type = "number", check = "positive" },
      exact_mass = { type = "number", check = "positive" }, attributes = { type = "object", merge = true },
      description = TEXT },
    order = { "code", "name", "smiles", "inchi", "inchi_key", "cas_number", "chembl_id", "pubchem_cid", "formula",
      "molecular_weight", "exact_mass", "description", "attributes" },
    identity = { "code" }, own = "inchi_key", words = { "t.inchi_key", "t.cas_number", "t.chembl_id" },
    links = { programs = { kind = "program", table = "program_compounds", own = "compound_id",
      other = "program_id" } },
    link_order = { "programs" }, parts = {},
    referrers = {
      { what = "screening result", table = "screening_results", column = "compound_id",
        shown = "(SELECT name FROM screening_campaigns WHERE id = r.campaign_id)" },
    },
  },
  signature = {
    plural = "signatures", table = "signatures",
    fields = { name = NAME, version = { type = "text", empty = "" }, signature_type = TEXT, source = TEXT,
      source_sha256 = TEXT, description = TEXT, organism = TERMS, disease = TERMS, matrix = TERMS,
      component_count = { type = "integer", empty = 0 } },
    order = { "name", "version", "signature_type", "source", "source_sha256", "description", "organism", "disease",
      "matrix", "component_count" },
    identity = { "name", "version" }, words = { "t.name || '/' || t.version" },
    links = { programs = { kind = "program", table = "program_signatures", own = "signature_id",
      other = "program_id" } },
    link_order = { "programs" },
    referrers = {
      { what = "score", table = "dataset_signatures", column = "signature_id", shown = dataset_names "dataset_id" },
    },
    parts = { { what = "component", table = "signature_components", column = "signature_id" } },
  },
  campaign = {
    plural = "campaigns", table = "screening_campaigns",
    fields = { name = NAME, assay_type = TEXT, target = TEXT, readout = TEXT, unit = TEXT,
      direction = { type = "text", values = { "inhibition", "activation" } }, hit_rule = { type = "hit_rule" },
      controls = { type = "controls" }, organism = TERMS, model_systems = TERMS, description = TEXT,
      current_revision = { type = "integer", check = "positive" } },
    order = { "name", "description", "assay_type", "target", "readout", "unit", "direction", "hit_rule", "controls",
      "organism", "model_systems", "current_revision" },
    identity = { "name" }, words = {},
    links = {
      programs = { kind = "program", column = "program_id" },
      experiments = { kind = "experiment", column = "experiment_id" },
    },
    link_order = { "programs", "experiments" },
    referrers = {},
    parts = {
      { what = "result", table = "screening_results", column = "campaign_id", data = true },
      { what = "plate", table = "screening_plates", column = "campaign_id", data = true },
      { what = "revision", table = "screening_revisions", column = "campaign_id", data = true },
    },
  },
  feature = {
    plural = "features", table = "features",
    fields = { feature_type = { type = "text", check = "name", sticky = true },
      name = { type = "text", check = "name", sticky = true }, attributes = { type = "object", merge = true } },
    order = { "feature_type", "name", "attributes" },
    identity = { "name", "feature_type" }, words = { "t.feature_type || '/' || t.name" },
    links = {}, link_order = {}, parts = {},
    -- Made and kept by ligase.store.features; other processes may remember any of them.
    referrers = {}, fixed = true,
  },
}

for name, kind in pairs(kinds) do
  kind.name = name
  kind.shown = name == "compound" and "coalesce(nullif(t.code, t.name) || ' ', '') || t.name"
    or name == "dataset" and "t.omics_type || '/' || t.name"
    or name == "signature" and "t.name || CASE WHEN t.version = '' THEN '' ELSE '/' || t.version END" or "t.name"
  kind.fields.notion_page_id, kind.fields.external_ids = { type = "page" }, IDS
  table.insert(kind.order, "notion_page_id")
  table.insert(kind.order, "external_ids")
end

--- The kind of that name. Raises "usage" for any other.
---@param name string "program", "experiment", "dataset", "compound", "signature", "campaign" or "feature"
---@return ligase.entity_kind
function M.get(name)
  local kind = kinds[name]
  if not kind then
    local names = {}
    for known in pairs(kinds) do
      names[#names + 1] = known
    end
    table.sort(names)
    local near = text.nearest(tostring(name), names)
    errors.raise { kind = "usage", code = "entity_kind", message = ("'%s' is no kind of entity"):format(tostring(name)),
      hint = (near and ("Did you mean '%s'? "):format(near) or "") .. "They are: " .. table.concat(names, ", ") }
  end
  return kind
end

--- The kind whose entities stand in a table.
---@param table_name string
---@return ligase.entity_kind|nil
function M.of_table(table_name)
  for _, kind in pairs(kinds) do
    if kind.table == table_name then
      return kind
    end
  end
end

return M
