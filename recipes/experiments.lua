-- Experiments: one row per experiment.
--
-- Copy this file into the recipes/ folder of your workspace and edit it there: your
-- copy is used instead of this one, from the next run on.

local entity_recipe = require "ligase.intake.entity_recipe"

return entity_recipe.recipe {
  entity = "experiment",

  -- For each field the headers that may stand over it; case, blanks and marks do not
  -- matter, and a field's own name always counts. Several terms, or programs, stand
  -- between ; or |.
  columns = {
    name = { "experiment", "experiment name", "title" },
    programs = { "program", "project", "projects", "related programs" }, -- by name, id, or id elsewhere
    description = { "summary", "about" },
    experiment_type = { "type", "kind" },
    disease = { "disease terms", "diseases", "indication" },
    matrix = { "matrices", "sample matrix", "biofluid", "tissue" },
    model_systems = { "model system", "model", "models", "cell line", "strain" },
    targets = { "target", "molecular targets" },
    modality = { "modalities", "treatment modality" },
    stage = { "development stage", "phase" },
    design = { "study design", "experimental design" },     -- factor=levels; factor=levels, or JSON
    sample_groups = { "groups", "sample group", "cohorts" }, -- group=sample,sample; group=sample, or JSON
    notion_page_id = { "notion page", "notion id", "notion" },
  },

  required = { "name" },
}
