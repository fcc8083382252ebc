-- Signatures: sets of features with directions and weights, from tables, GMT, GMX, rank
-- files and lists.
--
-- Copy this file into the recipes/ folder of your workspace and edit it there: your
-- copy is used instead of this one, from the next run on. What the command line says
-- wins over the file's own comments ("# disease: ALS; FTD"), and these over this recipe.

local signature_recipe = require "ligase.intake.signature_recipe"

return signature_recipe.recipe {
  -- How the names are read is said by the recipes of datasets: lipidomics.lua for lipids,
  -- and so on, so that signatures meet your data. Of which type they are, where a file does
  -- not say it and the names do not show it:
  --   feature_type = "lipid",

  -- Further headers of your tables, by what stands below them.
  columns = {
    feature = {},      -- beside feature, lipid, gene, protein, metabolite, name, ...
    direction = {},    -- beside direction, regulation, trend, ...
    weight = {},       -- beside weight, importance
    feature_type = {}, -- beside type, omics, ...: lipid, gene, protein or metabolite
    signature = {},    -- beside signature, set, module, pathway, ...: several in one table
  },

  -- What is known of all signatures that are read by this recipe, such as
  --   about = { type = "consortium", disease = { "ALS" }, matrix = { "CSF" } },
  about = {},
}
