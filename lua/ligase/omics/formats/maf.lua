--- MetaboLights MAF: the metabolite assignment file of a study, m_..._maf.tsv.
---
--- Columns of identification have fixed names; what follows the last of them are the
--- samples, named as in the study's sample file.
local formats = require "ligase.omics.formats"

--- Fixed columns, of version 1 and 2.
local FIXED = {}
for _, name in ipairs { "database_identifier", "chemical_formula", "smiles", "inchi", "metabolite_identification",
  "mass_to_charge", "fragmentation", "modifications", "charge", "retention_time", "taxid", "species", "database",
  "database_version", "reliability", "uri", "search_engine", "search_engine_score", "smallmolecule_abundance_sub",
  "smallmolecule_abundance_stdev_sub", "smallmolecule_abundance_std_error_sub", "identifier", "unit_id",
  "description" } do
  FIXED[name] = true
end

--- Over groups of samples, and no sample.
local SUMMARIES = { smallmolecule_abundance_sub = true, smallmolecule_abundance_stdev_sub = true,
  smallmolecule_abundance_std_error_sub = true }

local NAMES = { "metabolite_identification", "database_identifier" }

--- ISA-Tab's own columns: Comment[...], Term Source REF, ...
local function is_of_isa(name)
  return name:find("^%a[%a ]*%[.*%]$") ~= nil or name:find("^Term ") ~= nil or name:find("REF$") ~= nil
end

--- The column of names: the first that has any in the first rows.
local function name_position(look, header)
  local first
  for _, wanted in ipairs(NAMES) do
    for position, name in ipairs(header) do
      if name == wanted then
        first = first or position
        for _, cell in ipairs(look:cells(position)) do
          if cell:find("%S") then
            return position
          end
        end
      end
    end
  end
  return first
end

return formats.register {
  name = "maf", title = "MetaboLights MAF",
  source = "MetaboLights metabolite assignment file 1 and 2 (Haug et al. 2020; ebi.ac.uk/metabolights)",
  omics = { "metabolomics", "lipidomics" },
  recognise = function(look)
    local count = 0
    for _, name in ipairs(look.header) do
      count = count + (FIXED[name] and 1 or 0)
    end
    if look:has(NAMES[1], "mass_to_charge") and count >= 8 then
      local named = look.file_name:find("^m_.*_maf%.tsv")
      return named and 1 or 0.95, "it has the columns of a metabolite assignment file"
    end
    return nil
  end,
  place = function(look)
    return { separator = look.dialect.separator, decimal = "." }
  end,
  columns = function(header, look)
    local last = 0
    for position, name in ipairs(header) do
      last = FIXED[name] and position or last
    end
    local named, roles = name_position(look, header), {}
    for position, name in ipairs(header) do
      if position == named then
        roles[position] = { role = "feature" }
      elseif position > last and not is_of_isa(name) then
        roles[position] = { role = "sample", sample = name }
      else
        roles[position] = { role = SUMMARIES[name] and "statistic" or "annotation" }
      end
    end
    return roles
  end,
}
