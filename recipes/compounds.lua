-- Compounds: one row per compound.
--
-- Copy this file into the recipes/ folder of your workspace and edit it there: your
-- copy is used instead of this one, from the next run on.

local entity_recipe = require "ligase.intake.entity_recipe"

return entity_recipe.recipe {
  entity = "compound",

  -- For each field the headers that may stand over it; case, blanks and marks do not
  -- matter, and a field's own name always counts. A column "attributes.vendor" goes into
  -- the compound's attributes; one of your own may do so by any header:
  --   ["attributes.vendor"] = { "supplier", "vendor name" },
  columns = {
    code = { "compound id", "compound code", "compound", "compound number", "registration id", "corporate id",
      "lab id" },
    name = { "compound name", "common name", "molecule", "molecule name", "drug name", "title" },
    smiles = { "canonical smiles", "isomeric smiles", "structure" },
    inchi = { "standard inchi" },
    inchi_key = { "inchikey", "standard inchi key" },
    cas_number = { "cas", "cas no", "cas rn", "cas registry number" },
    chembl_id = { "chembl", "molecule chembl id" },
    pubchem_cid = { "pubchem", "cid", "pubchem id", "pubchem compound id" },
    formula = { "molecular formula", "sum formula" },
    molecular_weight = { "mw", "mol weight", "average mass", "molwt" },
    exact_mass = { "monoisotopic mass" },
    description = { "comment", "notes" },
    programs = { "program", "project", "projects" }, -- by name, id, or id elsewhere; several between ; or |
    notion_page_id = { "notion page", "notion id", "notion" },
  },
}
