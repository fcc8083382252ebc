-- Transcriptomics: count and expression tables, one row per gene or transcript.
--
-- Copy this file into the recipes/ folder of your workspace and edit it there: your
-- copy is used instead of this one, from the next run on.

local pipeline = require "ligase.omics.pipeline"
local gene = require "ligase.omics.names.gene"

return pipeline.recipe {
  omics = "transcriptomics",
  feature_type = "gene",

  -- Headers that may stand over the genes' names, the likeliest first; case, blanks and
  -- marks do not matter.
  name_columns = {
    "gene id", "gene", "genes", "gene name", "gene symbol", "symbol", "ensembl gene id", "ensembl id", "ensembl",
    "transcript id", "transcript", "entrez gene id", "entrez id", "target id", "tracking id", "probe id",
    "gene short name", "feature", "name",
  },

  -- How a name becomes a feature: a function from the cell's text to
  -- { name = canonical, level = ..., rule = ..., aside = ... }. Aliases and previous
  -- symbols come from tables that you load: ligase aliases load hgnc hgnc_complete_set.txt
  read_name = gene.read,

  -- What happens to each frame of rows, in this order. Put a function(ingest, frame)
  -- of your own between them.
  stages = {
    pipeline.recognise, -- which columns hold names, samples, statistics
    pipeline.link,      -- names to features
    pipeline.store,     -- rows to Postgres
  },
}
