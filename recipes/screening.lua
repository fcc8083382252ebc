-- Screening results: one row per well, or per compound with its IC50, EC50, ....
--
-- Copy this file into the recipes/ folder of your workspace and edit it there: your
-- copy is used instead of this one, from the next run on. What a campaign declares
-- (direction, hit rule, controls) stands with the campaign: ligase campaign --help.

local screening_recipe = require "ligase.intake.screening_recipe"

return screening_recipe.recipe {
  -- For each field the headers that may stand over it; case, blanks and marks do not
  -- matter, and a field's own name always counts. A unit may stand in a header:
  -- "IC50 (nM)", "Concentration [µM]", "conc_uM". Fields that are not listed: ic50,
  -- ec50, ki, kd, ac50, gi50, cc50 and their logarithms pic50, pec50, pki, pkd, pac50.
  columns = {
    plate = { "plate id", "plate name", "plate number", "plate barcode", "barcode", "assay plate" },
    well = { "well id", "well position", "well name", "position", "destination well", "address" },
    row = { "well row", "plate row" },
    column = { "col", "well column", "well col", "plate column" },
    compound = { "compound id", "compound code", "compound name", "cpd", "cpd id", "molecule", "molecule name",
      "substance", "sample", "sample id", "sample name", "treatment" },
    role = { "well type", "well role", "content", "type", "control", "control type", "sample type" },
    concentration = { "conc", "dose", "final concentration", "final conc", "compound concentration" },
    concentration_unit = { "concentration units", "conc unit", "conc units", "dose unit" },
    value = { "raw value", "raw", "signal", "raw signal", "readout", "measurement", "luminescence", "fluorescence",
      "absorbance", "od", "rlu", "rfu", "intensity", "counts", "cps", "result" },
    percent = { "percent inhibition", "% inhibition", "inhibition", "pct inhibition", "inhibition %",
      "percent activation", "% activation", "activation", "activation %", "percent effect", "% effect" },
    unit = { "units", "value unit", "value units", "result unit", "standard units" },
    measure = { "result type", "measurement type", "endpoint", "parameter", "standard type" },
    relation = { "operator", "qualifier", "standard relation", "modifier" },
  },

  -- Words in the column of roles. What is not known here, nor declared as a control, is
  -- refused: it is not guessed which control "HPE" is.
  roles = {
    sample = { "samples", "compound", "compounds", "test", "test compound", "unknown", "treatment", "treated", "cpd" },
    positive = { "pos", "positive control", "pos ctrl", "pos control", "pc", "control positive", "positive_control" },
    negative = { "neg", "negative control", "neg ctrl", "neg control", "nc", "vehicle", "dmso", "control negative",
      "negative_control" },
    blank = { "blanks", "background", "medium", "buffer", "no cells" },
    empty = { "unused", "none" },
    excluded = { "exclude", "masked", "flagged", "outlier" },
  },

  -- Controls of all your campaigns, beside those that a campaign declares: wells ("A1",
  -- "A1:P2", "column 23", "row A") or names.
  --   controls = { positive = { "column 23" }, negative = { "column 24", "DMSO" } },

  -- Units where neither file nor campaign says one:
  --   unit = "RLU", concentration_unit = "µM",
}
