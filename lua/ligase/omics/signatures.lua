--- Signatures: named sets of features with directions and weights, and the files they come in.
---
---   local signatures = require "ligase.omics.signatures"
---   local read = signatures.read(inputs.open "als_core.tsv", signatures.define {}, {})
---   print(read.format, #read.signatures, #read.signatures[1].components)
---
--- A file may hold one signature (a table, a rank file, a list) or many (GMT, GMX, a table with a
--- column of signatures). Nothing is written here; that is ligase.store.signatures.
local components = require "ligase.omics.signatures.components"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local lines = require "ligase.omics.signatures.lines"
local options = require "ligase.base.options"
local rows = require "ligase.omics.signatures.rows"
local source_of = require "ligase.omics.signatures.source"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.FORMATS = { "table", "gmt", "gmx", "rnk", "list" }
M.FEATURE_TYPES = { "lipid", "gene", "protein", "metabolite" }

--- Counts up whenever the same file would be read as other signatures than before.
local READING_VERSION = 1

---@class ligase.signature_recipe
---@field format string|nil one of M.FORMATS, instead of detection
---@field feature_type string|nil of features of which the file does not say it
---@field direction string|nil "up" or "down", of features of which the file does not say it
---@field columns table<string, string[]> further headers by role: feature, direction, weight, ...
---@field about table<string, any> type, source, version, description, organism, disease, matrix, where the file says
--- none
---@field dialect table|nil how tables are written

local SPEC = {
  format = { type = "string", values = M.FORMATS }, feature_type = { type = "string", values = M.FEATURE_TYPES },
  direction = { type = "string", values = { "up", "down" } }, columns = { type = "table", default = {} },
  about = { type = "table", default = {} }, dialect = { type = "table" },
}

local ABOUT = { type = { type = "string" }, source = { type = "string" }, version = { type = "string" },
  description = { type = "string" }, organism = { type = "table" }, disease = { type = "table" },
  matrix = { type = "table" }, name = { type = "string" } }

local COLUMNS = {}
for _, role in ipairs(rows.ROLES) do
  COLUMNS[role] = role ~= "ignore" and { type = "table" } or nil
end

--- Checks what a recipe for signature files says.
---@param definition table
---@return ligase.signature_recipe
function M.define(definition)
  local recipe = options.check(definition, SPEC, "recipe of signatures")
  recipe.columns = options.check(recipe.columns, COLUMNS, "recipe's columns")
  recipe.about = options.check(recipe.about, ABOUT, "recipe's about")
  return recipe
end

-- ---- which format ----------------------------------------------------------

local BY_ENDING = { gmt = "gmt", gmx = "gmx", rnk = "rnk", grp = "list" }

local function has_tabs(source)
  for _, line in ipairs(source.lines) do
    if line.text:find("\t", 1, true) then
      return true
    end
  end
  return false
end

--- Lines of different lengths under no header can be anything.
local function refuse_ragged(source)
  local first
  for _, line in ipairs(source.lines) do
    local count = #lines.cells(line.text)
    first = first or count
    if count ~= first then
      source_of.refuse(source, line.number, ("there is no header of features, and this line has %d cells where the "
        .. "first has %d"):format(count, first), "If each line is a name, a description and members, say --format gmt; "
        .. "without names and descriptions the sets cannot be told apart", "format")
    end
  end
end

local function format_of(source, given)
  local format = given.format or BY_ENDING[source.ending]
  if format then
    return format
  elseif next(given.set) or rows.is_like(source, given.dialect) then
    return "table"
  elseif source.ending ~= "csv" and not has_tabs(source) then
    return "list"
  end
  refuse_ragged(source)
  return "table" -- which says what its headers are
end

-- ---- what is said of all ---------------------------------------------------

local WAYS = { up = 1, down = -1 }

--- Directions that the file leaves open, where somebody says them.
local function settle_directions(sets, direction)
  for _, set in ipairs(direction and sets or {}) do
    for _, component in ipairs(set.components) do
      component.direction = component.direction or WAYS[direction]
    end
  end
end

local MATES = { { "^(.+)[_ .-][Uu][Pp]$", 1 }, { "^(.+)[_ .-][Dd][Nn]$", -1 }, { "^(.+)[_ .-][Dd][Oo][Ww][Nn]$", -1 } }

local function mate_of(set)
  for _, mate in ipairs(MATES) do
    local stem = set.name and set.name:match(mate[1])
    if stem then
      return stem, mate[2]
    end
  end
end

--- Sets called X_UP and X_DN become the one signature X, whose features go up and down.
local function pair_up(sets)
  local paired, by_stem = {}, {}
  for _, set in ipairs(sets) do
    local stem, direction = mate_of(set)
    for _, component in ipairs(stem and set.components or {}) do
      component.direction = component.direction or direction
    end
    local mate = stem and by_stem[stem]
    if mate then
      table.move(set.components, 1, #set.components, #mate.components + 1, mate.components)
    else
      paired[#paired + 1] = set
    end
    if stem and not mate then
      set.name, by_stem[stem] = stem, set
    end
  end
  return paired
end

--- What a person says wins over the file's comments, and these over the recipe.
local function about_of(source, given, recipe)
  local about = {}
  for field in pairs(ABOUT) do
    local said = given.about and given.about[field]
    about[field] = said ~= nil and said or source.about[field]
    if about[field] == nil then
      about[field] = recipe.about[field]
    end
  end
  return about
end

--- Everything that makes a signature what it is, as a digest. Which features its names mean is
--- part of it: a better reading makes another signature.
---@param signature {components: table[], type: string|nil, cited: string|nil, description: string|nil, organism:
--- string[], disease: string[], matrix: string[]}
---@return string sha256
function M.content_of(signature)
  local members = {}
  for i, component in ipairs(signature.components) do
    members[i] = json.array { component.feature_type, component.raw, component.key and tostring(component.key) or "",
      component.direction or 0, ("%a"):format(component.weight) }
  end
  return sys.sha256(json.encode { version = READING_VERSION, members = json.array(members), type = signature.type,
    source = signature.cited, description = signature.description, organism = json.array(signature.organism),
    disease = json.array(signature.disease), matrix = json.array(signature.matrix) })
end

local function finish(source, sets, about)
  for _, set in ipairs(sets) do
    set.name = set.name or about.name or source.name
    if not set.name then
      errors.raise { kind = "usage", code = "name", message = "standard input has no name for its signature",
        hint = "Say which: --name NAME" }
    end
    -- Where the file happens to lie is no part of what it says.
    set.version, set.type, set.source, set.cited = about.version, about.type, about.source or source.shown, about.source
    set.description = set.description or about.description
    set.organism, set.disease, set.matrix = about.organism or {}, about.disease or {}, about.matrix or {}
    for _, component in ipairs(set.components) do
      component.weight = (component.weight or 1) + 0.0
    end
    set.content_sha256 = M.content_of(set)
  end
end

local function check_name(source, sets, about)
  if #sets > 1 and about.name then
    errors.raise { kind = "usage", code = "name", message = ("%s holds %d signatures, which have names of their own")
      :format(source.shown, #sets), hint = "Leave the name out" }
  end
  for _, set in ipairs(sets) do
    local name = set.name or about.name or ""
    if not utf8.len(name) or name:find("%c") or #name > 1000 then
      source_of.refuse(source, set.line, ("'%s' is no name for a signature"):format(text.shown(name, 60)),
        "A name is UTF-8 text without control characters, of 1,000 bytes at most")
    end
  end
end

--- Names in other encodings must not reach the database.
local function check_texts(source, sets)
  for _, set in ipairs(sets) do
    for _, component in ipairs(set.components) do
      if not utf8.len(component.raw) or component.raw:find("%z") then
        source_of.refuse(source, component.line, ("'%s' is not UTF-8 text"):format(text.shown(component.raw, 60)),
          "Say how the file is written: --encoding latin1", "encoding")
      end
    end
  end
end

-- ---- reading ---------------------------------------------------------------

---@class ligase.signature
---@field name string
---@field version string|nil
---@field type string|nil
---@field source string
---@field cited string|nil the source, where somebody says it
---@field description string|nil
---@field organism string[]
---@field disease string[]
---@field matrix string[]
---@field components ligase.signature_component[]
---@field content_sha256 string of everything above but name and version

---@class ligase.signature_component
---@field raw string the name as it stands
---@field line integer of the file
---@field feature_type string
---@field key integer|nil the feature's; nil when nobody understands the name
---@field rule string
---@field level string|nil
---@field aside table|nil
---@field reason string|nil why it was not understood
---@field direction integer|nil 1, -1, or nil where none is stated
---@field weight number above 0

---@class ligase.signature_file
---@field shown string
---@field sha256 string
---@field bytes integer
---@field encoding string
---@field separator string
---@field decimal string
---@field format string
---@field signatures ligase.signature[]
---@field names ligase.linked_names[] what has to be in the database first
---@field counts {signatures: integer, components: integer, unmatched: integer, repeated: integer}
---@field unmatched ligase.signature_component[] those that nobody understands
---@field columns table<string, string>|nil of a table: header by role
---@field doubts string[]

--- Formats that are made for sets of genes.
local USUAL = { gmt = "gene", gmx = "gene", rnk = "gene" }

--- A header of one column often says of what: "lipid", "gene".
local function type_in_header(columns)
  return columns and rows.feature_type(columns.headers.feature)
end

local function parse(source, format, given, recipe, doubts)
  if format == "table" then
    return rows.read(source, doubts, { dialect = given.dialect, set = given.set, columns = recipe.columns })
  end
  return lines[format](source, doubts, rows.is_feature_header)
end

local function said_type(source, given, recipe, columns)
  local in_comment = source.about.feature_type
  if in_comment and not rows.feature_type(in_comment) then
    source_of.refuse(source, nil, ("'%s' is no feature type"):format(text.shown(in_comment, 40)),
      "It is one of: " .. table.concat(M.FEATURE_TYPES, ", "), "feature_type")
  end
  return given.feature_type or in_comment and rows.feature_type(in_comment) or recipe.feature_type
    or type_in_header(columns)
end

local function summary(read)
  local counts, unmatched = read.counts, {}
  counts.signatures, counts.components = #read.signatures, 0
  for _, signature in ipairs(read.signatures) do
    counts.components = counts.components + #signature.components
    for _, component in ipairs(signature.components) do
      unmatched[#unmatched + 1] = component.reason and component or nil
    end
  end
  counts.unmatched, read.unmatched = #unmatched, unmatched
end

--- Reads a signature file. Raises "input" with file and line for what cannot be one.
---@param input ligase.source
---@param recipe ligase.signature_recipe
---@param given {format: string|nil, feature_type: string|nil, direction: string|nil, pair: boolean|nil,
--- about: table|nil, set: table<string, string>|nil, dialect: table|nil, aliases: ligase.alias_lookup|nil}
---@return ligase.signature_file
function M.read(input, recipe, given)
  given = setmetatable({ set = given.set or {}, dialect = given.dialect or recipe.dialect or {},
    format = given.format or recipe.format }, { __index = given })
  local source = source_of.read(input, { encoding = given.dialect.encoding })
  local format, doubts = format_of(source, given), {}
  local sets, columns = parse(source, format, given, recipe, doubts)
  if #sets == 0 then
    source_of.refuse(source, nil, "the file has a header and no features", "Check that the export finished", "empty")
  end
  local about = about_of(source, given, recipe)
  settle_directions(sets, given.direction or recipe.direction)
  sets = given.pair and pair_up(sets) or sets
  check_name(source, sets, about)
  check_texts(source, sets)
  components.settle_types(source, sets, said_type(source, given, recipe, columns), USUAL[format], doubts)
  local names = components.link(sets, given.aliases)
  local repeated = components.check(source, sets)
  if repeated > 0 then
    doubts[#doubts + 1] = ("%s came again, saying the same, and were left out"):format(
      text.count(repeated, "component"))
  end
  finish(source, sets, about)
  local read = { shown = source.shown, sha256 = source.sha256, bytes = source.bytes, encoding = source.encoding,
    separator = columns and columns.separator or "\t", decimal = columns and columns.decimal or ".", format = format,
    signatures = sets, names = names, counts = { repeated = repeated }, columns = columns and columns.headers,
    doubts = doubts }
  summary(read)
  return read
end

return M
