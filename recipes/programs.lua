-- Programs: one row per program.
--
-- Copy this file into the recipes/ folder of your workspace and edit it there: your
-- copy is used instead of this one, from the next run on.

local entity_recipe = require "ligase.intake.entity_recipe"

return entity_recipe.recipe {
  entity = "program",

  -- For each field the headers that may stand over it; case, blanks and marks do not
  -- matter, and a field's own name always counts. "external_ids.SYSTEM" is the id that the
  -- program has in another system:
  --   ["external_ids.benchling"] = { "benchling project" },
  columns = {
    name = { "program", "program name", "project", "title" },
    description = { "summary", "about", "overview" },
    disease = { "disease terms", "diseases", "indication", "indications", "disease area" }, -- between ; or |
    notion_page_id = { "notion page", "notion id", "notion" },
  },

  required = { "name" },
}
