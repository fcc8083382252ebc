-- Features: one row per name of a lipid, metabolite, protein or gene.
--
-- Copy this file into the recipes/ folder of your workspace and edit it there: your
-- copy is used instead of this one, from the next run on.

local feature_recipe = require "ligase.intake.feature_recipe"
local gene = require "ligase.omics.names.gene"
local lipid = require "ligase.omics.names.lipid"
local metabolite = require "ligase.omics.names.metabolite"
local protein = require "ligase.omics.names.protein"

return feature_recipe.recipe {
  -- For each field the headers that may stand over it; case, blanks and marks do not
  -- matter. Columns "attributes.KEY" and "external_ids.SYSTEM" are kept with the feature;
  -- one of your own may be by any header:
  --   ["external_ids.hmdb"] = { "hmdb id" },
  columns = {
    name = { "feature", "feature name", "lipid", "metabolite", "protein", "gene", "symbol", "compound" },
    feature_type = { "type", "omics", "class of feature" },
    notion_page_id = { "notion page", "notion id", "notion" },
    ["external_ids.hmdb"] = { "hmdb", "hmdb id" },
    ["external_ids.kegg"] = { "kegg", "kegg id" },
    ["external_ids.chebi"] = { "chebi", "chebi id" },
    ["external_ids.uniprot"] = { "uniprot", "uniprot id" },
    ["external_ids.ensembl"] = { "ensembl", "ensembl id", "ensembl gene id" },
    ["external_ids.lipidmaps"] = { "lipid maps", "lipid maps id", "lm id" },
  },

  -- The type of rows that do not say theirs; without it such a row is refused.
  --   feature_type = "lipid",

  -- How names of each type become features, as in the recipes for datasets.
  readers = {
    lipid = { read = lipid.read, describe = lipid.describe },
    metabolite = { read = metabolite.read },
    protein = { read = protein.read },
    gene = { read = gene.read },
  },
}
