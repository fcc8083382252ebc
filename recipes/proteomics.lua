-- Proteomics: protein and peptide tables, one row per protein, group or peptide.
--
-- Copy this file into the recipes/ folder of your workspace and edit it there: your
-- copy is used instead of this one, from the next run on.

local pipeline = require "ligase.omics.pipeline"
local protein = require "ligase.omics.names.protein"

return pipeline.recipe {
  omics = "proteomics",
  feature_type = "protein",

  -- Headers that may stand over the proteins' names, the likeliest first; case, blanks
  -- and marks do not matter.
  name_columns = {
    "majority protein ids", "protein ids", "protein group", "protein groups", "protein", "proteins", "protein id",
    "protein name", "protein accession", "protein key", "accession", "uniprot", "uniprot id", "uniprot ac", "peptide",
    "peptide sequence", "sequence", "peptide id", "feature", "name",
  },

  -- How a name becomes a feature: a function from the cell's text to
  -- { name = canonical, level = ..., rule = ..., aside = ... }. Isoforms are set aside; to
  -- keep them in the name:
  --   read_name = function(raw) return protein.read(raw, { keep_isoform = true }) end
  read_name = protein.read,

  -- What happens to each frame of rows, in this order. Put a function(ingest, frame)
  -- of your own between them.
  stages = {
    pipeline.recognise, -- which columns hold names, samples, statistics
    pipeline.link,      -- names to features
    pipeline.store,     -- rows to Postgres
  },
}
