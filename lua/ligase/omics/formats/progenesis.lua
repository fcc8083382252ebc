--- Progenesis QI: three header rows, the first of which tells normalised from raw abundances
--- and the second the conditions. Sample names stand in it several times.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"
local statistics = require "ligase.omics.statistics"

--- Headings of the first row, over as many columns as there are samples.
local SECTIONS = { normalizedabundance = "Normalized abundance", normalisedabundance = "Normalised abundance",
  rawabundance = "Raw abundance", spectralcounts = "Spectral counts", intensity = "Intensity" }

--- Cells of the three header rows, which may begin after the dialect's skipped lines.
local function header_rows(look)
  if look.dialect.skip_lines ~= 0 or not look.head:find("bundance", 1, true) or not look.rows[3] then
    return nil
  end
  return look.header, look.rows[1], look.rows[2]
end

--- The sections: where each begins, and how many columns all of them have.
local function sections_of(headings)
  local sections = {}
  for position, cell in ipairs(headings) do
    local quantity = SECTIONS[statistics.plain(cell)]
    if quantity then
      sections[#sections + 1] = { quantity = quantity, first = position }
    end
  end
  local second = sections[2]
  return sections, second and second.first - sections[1].first or #headings
end

--- By column: the section that it belongs to, and the condition of its sample.
local function places(headings, conditions)
  local found, sections, width = {}, sections_of(headings)
  for _, section in ipairs(sections) do
    local condition = nil
    for position = section.first, math.min(section.first + width - 1, #headings) do
      local cell = conditions[position]
      condition = cell ~= nil and cell ~= "" and cell or condition
      found[position] = { quantity = section.quantity, condition = condition }
    end
  end
  return found
end

return formats.register {
  name = "progenesis",
  title = "Progenesis QI measurements",
  source = "Waters, Progenesis QI and QI for proteomics user guides, Export measurements: three header rows",
  omics = { "proteomics", "metabolomics", "lipidomics" },
  recognise = function(look)
    local headings, _, header = header_rows(look)
    if headings and #sections_of(headings) > 0 and #header == #headings
      and (roles.position(header, "Accession") or roles.position(header, "Compound")) then
      return 0.97, "abundances under headings, with conditions and samples in the next two rows"
    end
  end,
  place = function(look)
    local headings, conditions, header = header_rows(look)
    if not headings then
      return nil
    end
    local names, where, taken = {}, places(headings, conditions), {}
    for position, name in ipairs(header) do
      local place = where[position]
      name = place and ("%s (%s)"):format(name, place.quantity) or name
      names[position] = taken[name] and ("%s [%d]"):format(name, position) or name
      taken[name] = true
    end
    return { skip_lines = 2, header_rows = 3, names = names, places = where, samples = header }
  end,
  columns = function(header, look)
    local known = roles.feature(header, { "Compound", "Accession" }, {})
    for position, place in pairs(look.placement and look.placement.places or {}) do
      known[position] = { role = "sample", sample = look.placement.samples[position], quantity = place.quantity,
        attributes = { group = place.condition } }
    end
    return roles.rest(header, known)
  end,
}
