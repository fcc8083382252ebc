-- Metabolomics: peak and compound tables, one row per metabolite.
--
-- Copy this file into the recipes/ folder of your workspace and edit it there: your
-- copy is used instead of this one, from the next run on.

local pipeline = require "ligase.omics.pipeline"
local metabolite = require "ligase.omics.names.metabolite"

return pipeline.recipe {
  omics = "metabolomics",
  feature_type = "metabolite",

  -- Headers that may stand over the metabolites' names, the likeliest first; case, blanks
  -- and marks do not matter.
  name_columns = {
    "metabolite", "metabolites", "metabolite name", "metabolite identification", "compound name", "compound",
    "chemical name", "feature", "name", "hmdb id", "kegg id", "inchikey",
  },

  -- How a name becomes a feature: a function from the cell's text to
  -- { name = canonical, level = ..., rule = ..., aside = ... }. Synonyms come from tables
  -- that you load: ligase aliases load refmet refmet.csv
  read_name = metabolite.read,

  -- What happens to each frame of rows, in this order. Put a function(ingest, frame)
  -- of your own between them.
  stages = {
    pipeline.recognise, -- which columns hold names, samples, statistics
    pipeline.link,      -- names to features
    pipeline.store,     -- rows to Postgres
  },
}
