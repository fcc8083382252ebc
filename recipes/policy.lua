-- The policy of the dual write: which system is written first, what is mirrored, what
-- happens to what people changed in Notion, and which property shows which column.
--
-- Copy this file into the recipes/ folder of your workspace and edit it there: your copy
-- is used instead of this one, from the next command on. `ligase policy check` says what
-- it does, in words, for each type of entity.

local policy = require "ligase.sync.policy"

return policy.define {
  -- The flags choose the phase:  USE_POSTGRES_AS_SOT=false  notion_primary
  --                              ENABLE_DUAL_WRITE=true     dual_write
  --                              ENABLE_NOTION_SYNC=true    postgres_primary
  --                              none of them               postgres_only
  --
  -- first     the system that is written first
  -- required  the systems that must have taken a change before it counts
  -- mirrored  the systems that are told afterwards, through the outbox
  -- conflict  a property that was changed in Notion meanwhile is
  --             "show"      kept there, and shown as a conflict
  --             "postgres"  overwritten
  --             "notion"    kept there, and taken into Postgres
  phases = {
    notion_primary = { first = "notion", required = { "notion" }, mirrored = {}, conflict = "show" },
    dual_write = { first = "postgres", required = { "postgres" }, mirrored = { "notion" }, conflict = "show" },
    postgres_primary = { first = "postgres", required = { "postgres" }, mirrored = { "notion" }, conflict = "show" },
    postgres_only = { first = "postgres", required = { "postgres" }, mirrored = {}, conflict = "show" },
  },

  -- For each type: the setting that names its Notion database, the property that carries
  -- ligase's id, and what the other properties show. A property shows a column, what the
  -- entity is linked to (link), or what a function makes of the entity:
  --
  --   ["Assay state"] = { type = "select", column = "stage",
  --     write = function(stage) return stage == "preclinical" and "Pre-clinical" or stage end,
  --     read = function(state) return state == "Pre-clinical" and "preclinical" or state end },
  --
  -- Properties that are not listed are never touched. A type that goes its own way says so:
  --   phases = { dual_write = { conflict = "postgres" }, postgres_primary = { mirrored = {} } },
  entities = {
    programs = {
      database = "NOTION_PROGRAMS_DB_ID",
      id_property = "Ligase ID",
      properties = {
        ["Name"] = { type = "title", column = "name" },
        ["Description"] = { type = "rich_text", column = "description" },
        ["Disease"] = { type = "multi_select", column = "disease" },
      },
    },

    experiments = {
      database = "NOTION_EXPERIMENTS_DB_ID",
      id_property = "Ligase ID",
      properties = {
        ["Name"] = { type = "title", column = "name" },
        ["Description"] = { type = "rich_text", column = "description" },
        ["Type"] = { type = "select", column = "experiment_type" },
        ["Disease"] = { type = "multi_select", column = "disease" },
        ["Matrix"] = { type = "multi_select", column = "matrix" },
        ["Model Systems"] = { type = "multi_select", column = "model_systems" },
        ["Targets"] = { type = "multi_select", column = "targets" },
        ["Modality"] = { type = "multi_select", column = "modality" },
        ["Stage"] = { type = "select", column = "stage" },
        ["Programs"] = { type = "relation", link = "programs" },
      },
    },

    datasets = {
      database = "NOTION_EXP_DATA_DB_ID",
      id_property = "Ligase ID",
      properties = {
        ["Name"] = { type = "title", column = "name" },
        ["Omics Type"] = { type = "select", column = "omics_type" },
        ["Description"] = { type = "rich_text", column = "description" },
        ["Organism"] = { type = "multi_select", column = "organism" },
        ["Disease"] = { type = "multi_select", column = "disease" },
        ["Sample Type"] = { type = "multi_select", column = "sample_type" },
        ["Matrix"] = { type = "multi_select", column = "matrix" },
        ["Model Systems"] = { type = "multi_select", column = "model_systems" },
        ["Programs"] = { type = "relation", link = "programs" },
        ["Experiments"] = { type = "relation", link = "experiments" },
        ["Revision"] = { type = "number", column = "current_revision" },
        ["Rows"] = { type = "number", write = function(dataset) return dataset.revision and dataset.revision.rows end },
        ["Features"] = { type = "number",
          write = function(dataset) return dataset.revision and dataset.revision.features end },
        ["Source"] = { type = "rich_text",
          write = function(dataset) -- the file's name: its path differs from machine to machine
            return dataset.revision and dataset.revision.source and dataset.revision.source:match "[^/]*$"
          end },
      },
    },

    signatures = {
      database = "NOTION_SIGNATURE_DB_ID",
      id_property = "Ligase ID",
      properties = {
        ["Name"] = { type = "title", column = "name" },
        ["Version"] = { type = "rich_text", column = "version" },
        ["Type"] = { type = "select", column = "signature_type" },
        ["Description"] = { type = "rich_text", column = "description" },
        ["Disease"] = { type = "multi_select", column = "disease" },
        ["Matrix"] = { type = "multi_select", column = "matrix" },
        ["Components"] = { type = "number", column = "component_count" },
        ["Programs"] = { type = "relation", link = "programs" },
      },
    },

    compounds = {
      database = "NOTION_COMPOUNDS_DB_ID",
      id_property = "Ligase ID",
      properties = {
        ["Name"] = { type = "title", column = "name" },
        ["Code"] = { type = "rich_text", column = "code" },
        ["SMILES"] = { type = "rich_text", column = "smiles" },
        ["InChIKey"] = { type = "rich_text", column = "inchi_key" },
        ["CAS"] = { type = "rich_text", column = "cas_number" },
        ["Formula"] = { type = "rich_text", column = "formula" },
        ["Molecular Weight"] = { type = "number", column = "molecular_weight" },
        ["Description"] = { type = "rich_text", column = "description" },
        ["Programs"] = { type = "relation", link = "programs" },
      },
    },

    screening_campaigns = {
      database = "NOTION_CAMPAIGNS_DB_ID",
      id_property = "Ligase ID",
      properties = {
        ["Name"] = { type = "title", column = "name" },
        ["Description"] = { type = "rich_text", column = "description" },
        ["Assay Type"] = { type = "select", column = "assay_type" },
        ["Target"] = { type = "rich_text", column = "target" },
        ["Readout"] = { type = "rich_text", column = "readout" },
        ["Revision"] = { type = "number", column = "current_revision" },
        ["Programs"] = { type = "relation", link = "programs" },
        ["Experiments"] = { type = "relation", link = "experiments" },
      },
    },
  },
}
