--- Signatures as tables: one component on each row, under headers that say what is what.
local csv = require "csv"
local detect_omics = require "ligase.omics.detect_omics"
local dialect = require "ligase.io.dialect"
local errors = require "ligase.base.errors"
local refuse = require("ligase.omics.signatures.source").refuse
local statistics = require "ligase.omics.statistics"
local text = require "ligase.base.text"

local M = {}

--- The parts that columns can play.
M.ROLES = { "feature", "direction", "weight", "feature_type", "signature", "ignore" }

--- Headers by role, without case, blanks and marks; the likeliest first. Those over names of
--- features follow from ligase.omics.detect_omics.
M.HEADERS = {
  feature = { "feature", "features", "featurename", "component", "member", "analyte", "molecule", "biomarker",
    "marker" },
  direction = { "direction", "regulation", "updown", "sign", "trend", "dir", "change" },
  weight = { "weight", "weights", "importance" },
  feature_type = { "featuretype", "omics", "omicstype", "moleculetype", "analytetype", "layer", "type" },
  signature = { "signature", "signaturename", "signatureid", "geneset", "setname", "set", "module", "pathway", "term" },
}

--- Words for directions, without case; arrows and signs too.
local DIRECTIONS = {
  ["↑"] = 1, ["⬆"] = 1, ["▲"] = 1, ["up"] = 1, ["u"] = 1, ["+1"] = 1, ["1"] = 1, ["+"] = 1, ["1.0"] = 1, ["+1.0"] = 1,
  ["increase"] = 1, ["increased"] = 1, ["upregulated"] = 1, ["up-regulated"] = 1, ["higher"] = 1,
  ["positive"] = 1, ["pos"] = 1,
  ["↓"] = -1, ["⬇"] = -1, ["▼"] = -1, ["down"] = -1, ["dn"] = -1, ["d"] = -1, ["-1"] = -1, ["-"] = -1,
  ["-1.0"] = -1, ["decrease"] = -1, ["decreased"] = -1, ["downregulated"] = -1, ["down-regulated"] = -1,
  ["lower"] = -1, ["negative"] = -1, ["neg"] = -1,
}

local UNSTATED = { [""] = true, na = true, ["n/a"] = true, none = true, unknown = true, ["?"] = true, null = true }

--- What a cell says of the direction: 1, -1, or false where it states none.
---@param cell string
---@return integer|false|nil direction nil when it is not understood
function M.direction(cell)
  local word = cell:lower():gsub("\xE2\x88\x92", "-"):gsub("\xEF\xB8\x8F", ""):match("^%s*(.-)%s*$")
  if UNSTATED[word] then
    return false
  end
  return DIRECTIONS[word]
end

local TYPES = { gene = "gene", genes = "gene", transcript = "gene", mrna = "gene", rna = "gene",
  transcriptomics = "gene", lipid = "lipid", lipids = "lipid", lipidomics = "lipid", protein = "protein",
  proteins = "protein", proteomics = "protein", metabolite = "metabolite", metabolites = "metabolite",
  metabolomics = "metabolite", compound = "metabolite" }

--- The feature type that a word means.
---@param word string
---@return string|nil
function M.feature_type(word)
  return TYPES[(word:lower():match("^%s*(.-)%s*$"))]
end

--- Whether a word stands over names of features.
---@param word string
---@return boolean
function M.is_feature_header(word)
  local plain = statistics.plain(word)
  for _, list in ipairs { M.HEADERS.feature, detect_omics.headers() } do
    for _, header in ipairs(list) do
      if header == plain then
        return true
      end
    end
  end
  return false
end

-- ---- columns ---------------------------------------------------------------

local function quoted(names)
  local shown = {}
  for i = 1, math.min(#names, 8) do
    shown[i] = ('"%s"'):format(text.shown(names[i], 40))
  end
  return table.concat(shown, ", ") .. (#names > 8 and ", ..." or "")
end

--- The positions that --set gives.
local function take_given(source, header, set, taken)
  for name, role in pairs(set) do
    local position
    for i, cell in ipairs(header) do
      position = position or (cell == name and i or nil)
    end
    local is_role = false
    for _, known in ipairs(M.ROLES) do
      is_role = is_role or known == role
    end
    if not position then
      errors.raise { kind = "usage", code = "set", message = ('%s has no column "%s"'):format(source.shown, name),
        hint = "It has: " .. quoted(header) }
    elseif not is_role then
      errors.raise { kind = "usage", code = "set", message = ("a column of a signature cannot be '%s'"):format(role),
        hint = "It is one of: " .. table.concat(M.ROLES, ", ") }
    elseif role ~= "ignore" and taken[role] then
      errors.raise { kind = "usage", code = "set", message = ("two columns are said to be the %s"):format(role),
        hint = "Say it of one of them" }
    end
    taken[role == "ignore" and position or role], taken[position] = role ~= "ignore" and position or true, true
  end
end

--- The columns by role, and those that play none.
local function columns_of(source, header, set, extra)
  local taken = {}
  take_given(source, header, set, taken)
  for _, role in ipairs(M.ROLES) do
    local words = table.move(M.HEADERS[role] or {}, 1, #(M.HEADERS[role] or {}), 1, {})
    for _, word in ipairs(extra[role] or {}) do
      table.insert(words, 1, statistics.plain(word))
    end
    if role == "feature" then
      table.move(detect_omics.headers(), 1, #detect_omics.headers(), #words + 1, words)
    end
    for _, word in ipairs(taken[role] and {} or words) do
      for position, cell in ipairs(header) do
        if not taken[role] and not taken[position] and statistics.plain(cell) == word then
          taken[role], taken[position] = position, true
        end
      end
    end
  end
  local unused = {}
  for position, cell in ipairs(header) do
    unused[#unused + 1] = not taken[position] and cell ~= "" and cell or nil
  end
  if not taken.feature then
    refuse(source, nil, ("no column is known to hold features: the headers are %s"):format(quoted(header)),
      "Say which: --set COLUMN=feature; or, without a header line: --format gmt, rnk or list", "columns")
  end
  return taken, unused
end

-- ---- rows ------------------------------------------------------------------

local function read_weight(source, line, cell, decimal)
  if cell == "" then
    return nil
  end
  local weight = tonumber(decimal == "," and cell:gsub(",", ".") or cell)
  if not weight or weight ~= weight or weight == math.huge or weight == -math.huge then
    refuse(source, line, ("the weight '%s' is no number"):format(text.shown(cell, 40)),
      "Give a number above 0, or leave the cell empty for 1", "weight")
  elseif weight <= 0 then
    refuse(source, line, ("the weight %s is not above 0"):format(text.shown(cell, 40)),
      "A weight says how much a feature counts; which way it goes is the direction's part", "weight")
  end
  return weight
end

local function read_row(source, line, cells, columns, decimal)
  local function cell_of(role)
    return columns[role] and (cells[columns[role]] or ""):match("^%s*(.-)%s*$") or ""
  end
  local component = { raw = cell_of "feature", line = line, set = columns.signature and cell_of "signature" or nil }
  if component.raw == "" then
    refuse(source, line, "the row names no feature", "Give each row a feature, or take it out", "feature")
  elseif component.set == "" then
    refuse(source, line, "the row names no signature", "Give each row a signature, or take it out", "signature")
  end
  local direction = M.direction(cell_of "direction")
  if direction == nil then
    refuse(source, line, ("the direction '%s' is not understood"):format(text.shown(cell_of "direction", 40)),
      "Directions are up and down, ↑ and ↓, + and -, +1 and -1, or empty", "direction")
  end
  component.direction = direction or nil
  component.weight = read_weight(source, line, cell_of "weight", decimal)
  local word = cell_of "feature_type"
  component.feature_type = word ~= "" and M.feature_type(word) or nil
  if word ~= "" and not component.feature_type then
    refuse(source, line, ("'%s' is no feature type"):format(text.shown(word, 40)),
      "It is one of: lipid, gene, protein, metabolite", "feature_type")
  end
  return component
end

local function is_blank(cells)
  for _, cell in ipairs(cells) do
    if cell:find("%S") then
      return false
    end
  end
  return true
end

--- One set for each name in the column of signatures, in the order of their first rows.
local function sets_of(components)
  local sets, by_name = {}, {}
  for _, component in ipairs(components) do
    local key = component.set or ""
    if not by_name[key] then
      by_name[key] = { name = component.set, line = component.line, components = {} }
      sets[#sets + 1] = by_name[key]
    end
    table.insert(by_name[key].components, component)
  end
  return sets
end

--- Whether the source is a table of several columns, one of them under a header of features.
---@param source ligase.signature_source
---@param given table|nil what is said of its dialect
---@return boolean
function M.is_like(source, given)
  local options = dialect.reader_options(dialect.detect({ text = source.text, name = source.shown }, given))
  local done, reader = pcall(csv.frames, { text = source.text, name = source.shown }, options)
  if not done then
    return false
  end
  local header, is_like = reader:names(), false
  for _, word in ipairs(#header > 1 and header or {}) do
    is_like = is_like or M.is_feature_header(word)
  end
  reader:close()
  return is_like
end

--- Reads a table.
---@param source ligase.signature_source
---@param doubts string[]
---@param how {dialect: table, set: table<string, string>, columns: table<string, string[]>}
---@return table[] sets {name, line, components}
---@return {headers: table<string, string>, separator: string, decimal: string} written headers are by role
function M.read(source, doubts, how)
  local found = dialect.detect({ text = source.text, name = source.shown }, how.dialect)
  local reader <close> = csv.frames({ text = source.text, name = source.shown }, dialect.reader_options(found))
  local header = table.move(reader:names(), 1, #reader:names(), 1, {})
  header[1] = header[1]:gsub("^#%s*", "")
  local columns, unused = columns_of(source, header, how.set, how.columns)
  table.move(found.doubts, 1, #found.doubts, #doubts + 1, doubts)
  if #unused > 0 then
    doubts[#doubts + 1] = "columns that were not used: " .. quoted(unused)
  end
  local components = {}
  for frame in reader do
    for row = 1, #frame do
      local cells = frame:row(row)
      if not is_blank(cells) then
        components[#components + 1] = read_row(source, frame:line(row), cells, columns, found.decimal)
      end
    end
    frame:close()
  end
  local names = {}
  for _, role in ipairs(M.ROLES) do
    names[role] = columns[role] and header[columns[role]]
  end
  return sets_of(components), { headers = names, separator = found.separator, decimal = found.decimal }
end

return M
