-- Old chemistry data in a SQLite file: which tables and columns become compounds,
-- campaigns and results. Used by: ligase import sqlite FILE --map recipes/chemistry_sqlite.lua
--
-- Copy this file into the recipes/ folder of your workspace and edit it there. A table or
-- column whose name ends in ? may be absent. A function `change` may compute what is in no
-- column, or return false to leave a row out on purpose.

local sqlite_map = require "ligase.intake.sqlite_map"

--- Old files say "0" and "" where they mean nothing.
local function without_empty_numbers(fields)
  if fields.pubchem_cid == 0 then
    fields.pubchem_cid = nil
  end
  return fields
end

return sqlite_map.map {
  -- Under this name the file's own ids are kept in external_ids; by them a row is known
  -- again when the file is imported anew.
  system = "chemistry_sqlite",

  programs = {
    { table = "programs?", key = "program_id", columns = { name = "name", description = "description?",
      disease = "disease?" } },
  },

  -- For each field the column that holds it. `key` is what other tables call the row by.
  compounds = {
    { table = "compounds", key = "compound_id",
      columns = {
        code = "compound_id", name = "compound_name?", smiles = "smiles?", inchi = "inchi?", inchi_key = "inchi_key?",
        cas_number = "cas_number?", chembl_id = "chembl_id?", pubchem_cid = "pubchem_cid?",
        formula = "molecular_formula?", molecular_weight = "molecular_weight?", exact_mass = "exact_mass?",
        description = "description?", programs = "program?", ["attributes.logp"] = "logp?",
        ["attributes.hbd_count"] = "hbd_count?", ["attributes.hba_count"] = "hba_count?",
        ["attributes.rotatable_bonds"] = "rotatable_bonds?",
      },
      change = without_empty_numbers },
  },

  -- Direction and hit rule are declared, not guessed: where the file has no column for
  -- them, say them here by `change`, or afterwards by `ligase campaign update`.
  campaigns = {
    { table = "hts_campaigns?", key = "campaign_id",
      columns = { name = "campaign_name", description = "description?", assay_type = "assay_type?",
        target = "target?", readout = "readout?", unit = "unit?", direction = "direction?", hit_rule = "hit_rule?",
        programs = "program?" } },
  },

  -- `campaign` and `compound` hold keys of the rows above, or names. Columns to keep are
  -- stored as text beside the result: what the old system called a hit is no hit here.
  results = {
    { table = "hts_results?", campaign = "campaign_id", compound = "compound_id?",
      columns = { plate = "plate?", well = "well_position?", role = "well_type?", value = "raw_value", unit = "unit?",
        concentration = "concentration?", concentration_unit = "concentration_unit?" },
      keep = { "normalized_value?", "z_score?", "hit_flag?", "hit_category?" } },

    { table = "biochemical_results?", campaign = "assay_name", compound = "compound_id?", make_campaigns = true,
      columns = { ic50 = "ic50?", ec50 = "ec50?", ki = "ki?", kd = "kd?", unit = "units?" },
      keep = { "target?", "activity_type?", "run_date?" } },
  },
}
