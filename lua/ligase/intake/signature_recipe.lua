--- Recipes for files of signatures, and loading such files: what reads and what writes meet here.
---
---   return signature_recipe.recipe { feature_type = "lipid", about = { disease = { "ALS" } } }
local recipes = require "ligase.omics.recipes"
local signatures = require "ligase.omics.signatures"
local store = require "ligase.store.signatures"
local text = require "ligase.base.text"

local M = {}

-- ---- what is said of a file ------------------------------------------------

local UNMATCHED_SHOWN = 5

local OUTCOMES = { created = "new signature", revised = "version %s", replaced = "replaced in version %s",
  unchanged = "unchanged (version %s)" }

local IN_MANY = { { "created", "new" }, { "revised", "in a new version" }, { "replaced", "replaced" },
  { "unchanged", "unchanged" } }

local function directions_of(signature)
  local up, down = 0, 0
  for _, component in ipairs(signature.components) do
    up, down = up + (component.direction == 1 and 1 or 0), down + (component.direction == -1 and 1 or 0)
  end
  return up + down == 0 and "" or (", %s up, %s down"):format(text.number(up), text.number(down))
end

local function headline_of(read, outcomes, counts)
  if #read.signatures == 1 then
    local signature = read.signatures[1]
    return ("%s, %s, %s%s"):format(signature.name, outcomes and OUTCOMES[outcomes[1]]:format(signature.version)
      or "would be loaded", text.count(#signature.components, "component"), directions_of(signature))
  end
  local parts = {}
  for _, entry in ipairs(counts and IN_MANY or {}) do
    local count = counts[entry[1]]
    parts[#parts + 1] = count > 0 and text.number(count) .. " " .. entry[2] or nil
  end
  return ("%s, %s%s"):format(text.count(#read.signatures, "signature"),
    text.count(read.counts.components, "component"), #parts > 0 and ": " .. table.concat(parts, ", ") or "")
end

local function unmatched_line(read)
  local shown = {}
  for i = 1, math.min(#read.unmatched, UNMATCHED_SHOWN) do
    local component = read.unmatched[i]
    shown[i] = ('"%s" (line %d: %s)'):format(text.shown(component.raw, 40), component.line, component.reason)
  end
  return #shown > 0 and { "unmatched", ("%s kept and matched with nothing: %s%s"):format(
    text.count(#read.unmatched, "component"), table.concat(shown, ", "), #read.unmatched > #shown and ", ..." or "") }
end

local function columns_line(read)
  local shown = {}
  for role, header in pairs(read.columns or {}) do
    shown[#shown + 1] = ('%s in "%s"'):format(role:gsub("_", " "), text.shown(header, 40))
  end
  table.sort(shown)
  return #shown > 0 and { "columns", table.concat(shown, "; ") }
end

local function lines_of(read)
  local lines = { { "format", read.format } }
  lines[#lines + 1] = columns_line(read) or nil
  lines[#lines + 1] = unmatched_line(read) or nil
  for _, doubt in ipairs(read.doubts) do
    lines[#lines + 1] = { "doubt", doubt }
  end
  return lines
end

-- ---- loading ---------------------------------------------------------------

---@class ligase.signature_report
---@field headline string
---@field outcome "loaded"|"unchanged"
---@field lines {[1]: string, [2]: string}[] what else is to be said, with labels
---@field info {bytes: integer, encoding: string}
---@field dialect {separator: string, encoding: string, decimal: string}
---@field read ligase.signature_file
---@field outcomes string[]|nil by signature, as ligase.store.signatures.load gives them

--- Reads a file of signatures and stores it in one transaction with one run; without a
--- connection, or in a dry run, it is only read.
---@param conn table|nil
---@param source ligase.source
---@param recipe ligase.other_recipe of signatures
---@param given table what a person said, as ligase.omics.signatures.read takes it
---@param options {command: string|nil, arguments: table|nil, replace: boolean|nil, outbox: boolean|nil,
--- dry_run: boolean|nil}
---@return ligase.signature_report
function M.load(conn, source, recipe, given, options)
  local read = signatures.read(source, recipe.definition, given)
  local stored
  if conn and not options.dry_run then
    stored = store.load(conn, read, { recipe = recipe, command = options.command, replace = options.replace,
      outbox = options.outbox, arguments = options.arguments })
  end
  local is_same = stored and stored.counts.unchanged == #read.signatures
  return { headline = headline_of(read, stored and stored.outcomes, stored and stored.counts),
    outcome = is_same and "unchanged" or "loaded", lines = lines_of(read),
    info = { bytes = read.bytes, encoding = read.encoding },
    dialect = { separator = read.separator, encoding = read.encoding, decimal = read.decimal }, read = read,
    outcomes = stored and stored.outcomes }
end

local function store_file(conn, source, options)
  return M.load(conn, source, options.recipe, { set = options.set, aliases = options.aliases,
    dialect = next(options.dialect) and options.dialect or nil }, options)
end

--- Defines a recipe for files of signatures; see ligase.omics.signatures.define for its fields.
---@param definition table
---@return ligase.other_recipe
function M.recipe(definition)
  return recipes.define_other { what = "signatures", store = store_file, definition = signatures.define(definition) }
end

return M
