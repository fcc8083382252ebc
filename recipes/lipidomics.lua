-- Lipidomics: wide matrices and statistics tables, one row per lipid.
--
-- Copy this file into the recipes/ folder of your workspace and edit it there: your
-- copy is used instead of this one, from the next run on.

local pipeline = require "ligase.omics.pipeline"
local lipid = require "ligase.omics.names.lipid"

return pipeline.recipe {
  omics = "lipidomics",
  feature_type = "lipid",

  -- Headers that may stand over the lipids' names, the likeliest first; case, blanks
  -- and marks do not matter.
  name_columns = {
    "lipid", "lipids", "lipid name", "lipid species", "lipid molecular species",
    "molecule", "molecule name", "metabolite identification", "compound", "feature", "name", "species",
  },

  -- How a name becomes a feature: a function from the cell's text to
  -- { name = canonical, level = ..., rule = ..., aside = ... }. A panel's "CER 16:0" says
  -- nothing of its base; where yours means 18:1;O2, which is then noted with each name:
  --   read_name = function(raw) return lipid.read(raw, { panel_sphingoid_base = "18:1;O2" }) end
  read_name = lipid.read,

  -- What follows from a canonical name and is kept with its feature: class, category, sum
  -- formula, exact mass.
  describe_name = lipid.describe,

  -- What happens to each frame of rows, in this order. Put a function(ingest, frame)
  -- of your own between them.
  stages = {
    pipeline.recognise, -- which columns hold names, samples, statistics
    pipeline.link,      -- names to features
    pipeline.store,     -- rows to Postgres
  },
}
