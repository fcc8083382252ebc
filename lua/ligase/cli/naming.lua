--- Features by what a person types.
local alias_tables = require "ligase.store.aliases"
local aliases = require "ligase.omics.names.aliases"
local errors = require "ligase.base.errors"
local names = require "ligase.omics.names"
local parsing = require "ligase.cli.parsing"
local receipts = require "ligase.store.receipts"
local text = require "ligase.base.text"

local M = {}

--- The types that ligase reads names of.
M.TYPES = { "lipid", "protein", "gene", "metabolite" }

--- A converter for a word that Postgres can hold.
---@param word string
---@return string
function M.utf8_word(word)
  if not utf8.len(word) then
    errors.raise { kind = "usage", code = "value", message = ("'%s' is not UTF-8 text"):format(text.printable(word)),
      hint = "Names are kept as UTF-8: check the terminal's locale" }
  end
  return word
end

--- Refuses a type that there is none of; nil is any.
---@param conn table
---@param feature_type string|nil
function M.check_type(conn, feature_type)
  for _, known in ipairs(M.TYPES) do
    if known == feature_type then
      return
    end
  end
  if feature_type and not receipts.has_type(conn, feature_type) then
    parsing.one_of("--type", M.TYPES)(feature_type)
  end
end

--- What a word is read as, by the readers of each type, and by the alias tables that are
--- loaded: both, because what was stored before a table was loaded has the plain name.
---@param conn table
---@param word string
---@param feature_type string|nil only as this type
---@return {feature_type: string, name: string, key: integer, level: string|nil}[]
function M.readings(conn, word, feature_type)
  local with_tables, found = alias_tables.types(conn), {}
  local function add(each, reading)
    local name = names.bounded(reading.name)
    found[#found + 1] = { feature_type = each, name = name, key = names.feature_key(each, name), level = reading.level }
  end
  for _, each in ipairs(M.TYPES) do
    local module = (not feature_type or each == feature_type) and require("ligase.omics.names." .. each)
    local reading = module and module.read(word)
    if reading then
      add(each, reading)
    end
    if reading and with_tables[each] then
      local resolved = aliases.read_all(each, { word }, module.read, function(wanted)
        return alias_tables.lookup(conn, each, wanted)
      end)[1]
      if resolved.name ~= reading.name then
        add(each, resolved)
      end
    end
  end
  return found
end

--- The keys of readings.
---@param readings {key: integer}[]
---@return integer[]
function M.keys_of(readings)
  local keys = {}
  for i, reading in ipairs(readings) do
    keys[i] = reading.key
  end
  return keys
end

return M
