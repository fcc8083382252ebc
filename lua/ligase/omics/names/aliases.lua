--- What alias tables say of a name that was read.
---
--- Tables are looked up once for many names, by their folded form; this module folds,
--- and decides what the answer means. A canonical name of a table stays what it is, also
--- when it is an alias of another; an alias of one name becomes that name; an alias of
--- several stays as it stands, with the candidates. Groups and decoys are not looked up.
local cell = require "ligase.omics.names.cell"
local metabolite = require "ligase.omics.names.metabolite"

local M = {}

--- Spellings of one name differ between tables (glucose, Glucose): these go first, then
--- the others by their name.
local PRECEDENCE = { hgnc = 1, ensembl = 2, ncbi_gene = 3, uniprot = 1, refmet = 1, hmdb = 2, chebi = 3 }

--- The form by which names of a type are compared. Case tells genes of man and mouse
--- apart, so only metabolites are folded.
---@param feature_type string
---@param name string
---@return string
function M.fold(feature_type, name)
  return feature_type == "metabolite" and metabolite.fold(name) or name
end

---@class ligase.alias
---@field name string canonical name
---@field alias string as the table has it
---@field kind "name"|"previous"|"alias"|"id"
---@field source string

local function goes_first(a, b)
  local rank_a, rank_b = PRECEDENCE[a.source] or 99, PRECEDENCE[b.source] or 99
  if rank_a ~= rank_b then
    return rank_a < rank_b
  elseif a.source ~= b.source then
    return a.source < b.source
  end
  return a.name < b.name
end

--- One entry for each name that the entries mean, those of the first table.
local function distinct(feature_type, entries)
  table.sort(entries, goes_first)
  local seen, found = {}, {}
  for _, entry in ipairs(entries) do
    local folded = M.fold(feature_type, entry.name)
    if not seen[folded] then
      seen[folded] = true
      found[#found + 1] = entry
    end
  end
  return found
end

local LEVELS = { gene = "symbol", protein = "protein" }

local function resolved(feature_type, reading, entry)
  if entry.name == reading.name then
    return reading
  end
  local aside = { alias = reading.name }
  for kind, value in pairs(reading.aside or {}) do
    aside[kind] = value
  end
  local level = reading.level == "isoform" and "isoform" or LEVELS[feature_type] or reading.level or "name"
  return { name = entry.name, rule = "alias." .. entry.source, level = level, aside = aside }
end

--- What a reading becomes by what the tables say.
---@param feature_type string
---@param raw string the cell
---@param reading ligase.reading
---@param entries ligase.alias[]|nil what was found under its folded name
---@return ligase.reading
function M.resolve(feature_type, raw, reading, entries)
  if not entries or #entries == 0 then
    return reading
  end
  local canonical, aliases = {}, {}
  for _, entry in ipairs(entries) do
    local list = entry.kind == "name" and canonical or aliases
    list[#list + 1] = entry
  end
  local found = distinct(feature_type, #canonical > 0 and canonical or aliases)
  if #found == 1 then
    return resolved(feature_type, reading, found[1])
  end
  local candidates = {}
  for i, entry in ipairs(found) do
    candidates[i] = entry.name
  end
  table.sort(candidates)
  local ambiguous = cell.verbatim(cell.trim(raw) or raw, ("it may mean any of %d names"):format(#found), candidates)
  ambiguous.aside = reading.aside
  return ambiguous
end

local function is_looked_up(reading)
  return reading.level ~= "group" and not (reading.aside and reading.aside.flag == "decoy")
end

--- Reads many names with one look-up.
---@param feature_type string
---@param raws string[]
---@param read fun(raw: string): ligase.reading|nil
---@param lookup fun(names: string[]): table<string, ligase.alias[]> called once, with distinct folded names
---@return (ligase.reading|false)[] readings in the order of raws, false for a blank cell
function M.read_all(feature_type, raws, read, lookup)
  local readings, folded, wanted, asked = {}, {}, {}, {}
  for i, raw in ipairs(raws) do
    local reading = read(raw) or false
    readings[i] = reading
    if reading and is_looked_up(reading) then
      local name = M.fold(feature_type, reading.name)
      folded[i] = name
      if not asked[name] then
        asked[name] = true
        wanted[#wanted + 1] = name
      end
    end
  end
  local found = #wanted > 0 and lookup(wanted) or {}
  for i, raw in ipairs(raws) do
    local entries = folded[i] and found[folded[i]]
    if entries then
      readings[i] = M.resolve(feature_type, raw, readings[i], entries)
    end
  end
  return readings
end

return M
