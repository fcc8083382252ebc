--- Skyline's reports: one row per molecule (or transition) and replicate. What is measured
--- in each replicate are values, also the retention time.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

local MOLECULES = { "Molecule", "Molecule Name", "Peptide", "Peptide Sequence", "Peptide Modified Sequence",
  "Modified Sequence" }
local PROTEINS = { "Protein", "Protein Name", "Protein Accession", "Protein Preferred Name" }
local REPLICATES = { "Replicate", "Replicate Name", "File Name" }
local VALUES = { "Area", "Total Area", "Normalized Area", "Height", "Background", "Total Background",
  "Total Area Fragment", "Retention Time", "Best Retention Time", "Fwhm", "Concentration" }

--- Whether the molecules are peptides: letters of amino acids, with modifications in
--- brackets.
local function are_peptides(look, position)
  for i = 1, 5 do
    local cell = look.rows[i] and look.rows[i][position] or ""
    local bare = cell:gsub("%b[]", ""):gsub("%b()", ""):gsub("[_.]", "")
    if cell ~= "" and not bare:find("^[ACDEFGHIKLMNPQRSTVWY][ACDEFGHIKLMNPQRSTVWY]+$") then
      return false
    end
  end
  return look.rows[1] ~= nil
end

--- Peptides are features of their protein, other molecules of themselves: in lipids'
--- reports the protein is the class.
local function feature_of(look)
  local molecule, protein = look:find(table.unpack(MOLECULES)), look:find(table.unpack(PROTEINS))
  return protein and are_peptides(look, molecule) and protein or molecule
end

return formats.register {
  name = "skyline",
  title = "Skyline report",
  source = "MacLean et al. 2010, doi:10.1093/bioinformatics/btq054; Skyline documentation, Custom Reports",
  omics = { "lipidomics", "proteomics", "metabolomics" },
  recognise = function(look)
    local sample, molecule = look:find(table.unpack(REPLICATES)), look:find(table.unpack(MOLECULES))
    if sample and molecule and look:find("Area", "Total Area", "Normalized Area")
      and look:find("Precursor Mz", "Precursor Charge", "Fragment Ion", "Product Mz", "Protein", "Protein Name",
      "Molecule List") then
      return 0.95, ('"%s", "%s" and areas, as in Skyline\'s reports'):format(look.header[molecule],
        look.header[sample])
    end
  end,
  columns = function(header, look)
    local known = {}
    for role, position in pairs { feature = feature_of(look), sample_name = look:find(table.unpack(REPLICATES)) } do
      known[position] = { role = role }
    end
    for position, name in ipairs(header) do
      if roles.is_one_of(name, table.unpack(VALUES)) then
        known[position] = { role = "value", quantity = name }
      end
    end
    return roles.rest(header, known)
  end,
}
