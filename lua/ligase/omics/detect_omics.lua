--- Which omics type a file is of, by its format and by how the names in it look.
---
--- Every finding is evidence with a weight; a type is taken only when it is well ahead of
--- all others. In doubt a person has to say it, because a feature of the wrong type links
--- to the wrong things.
local errors = require "ligase.base.errors"
local text = require "ligase.base.text"

local M = {}

M.TYPES = { "lipidomics", "metabolomics", "proteomics", "transcriptomics" }

--- Headers that stand over names of a type, without case, blanks and marks; and how much
--- each says.
local HEADERS = {
  lipidomics = { lipid = 0.6, lipids = 0.6, lipidname = 0.6, lipidspecies = 0.6, lipidion = 0.6, lipidmolec = 0.6,
    lipidid = 0.5, fattyacid = 0.3, lipidclass = 0.3 },
  metabolomics = { metabolite = 0.6, metabolites = 0.6, metabolitename = 0.6, metaboliteidentification = 0.5,
    compound = 0.4, compoundname = 0.4, hmdbid = 0.4, hmdb = 0.4, kegg = 0.3, keggid = 0.3, pubchem = 0.3,
    inchikey = 0.3, smiles = 0.3, chebi = 0.3, mz = 0.2, rowmz = 0.3, adduct = 0.2 },
  proteomics = { protein = 0.6, proteins = 0.6, proteinid = 0.6, proteinids = 0.6, proteingroup = 0.6,
    proteinname = 0.6, proteinaccession = 0.6, uniprot = 0.5, uniprotid = 0.5, uniprotac = 0.5, accession = 0.4,
    peptide = 0.5, peptidesequence = 0.5, sequence = 0.45,
    peptideid = 0.4, majorityproteinids = 0.7, entryname = 0.3, proteinkey = 0.6 },
  transcriptomics = { gene = 0.5, genes = 0.5, geneid = 0.5, genename = 0.4, genesymbol = 0.5, symbol = 0.4,
    ensembl = 0.4, ensemblid = 0.4, ensemblgeneid = 0.5, transcript = 0.6, transcriptid = 0.6, entrezid = 0.4,
    entrezgeneid = 0.4, targetid = 0.4, trackingid = 0.4, probeid = 0.5, geneshortname = 0.5 },
}

-- ---- names -----------------------------------------------------------------

--- Whether a name looks like one of a type: Lua patterns, the surest first, with weights.
local NAMES = {
  { "lipidomics", 1, { "^%u[%a%d]*[ (%[][%a%-]*%d+:%d", "^%u[%a%d%-]*%(?[dtmOP%-]*%d+:%d+", "^%d+:%d+[%-( ].*%u%u",
    "^[A-Za-z]+_%d+_%d+$", "^[Cc]er%[" } },
  { "proteomics", 1, { "^%a%a|[%w%-]+|", "_HUMAN%f[%W]", "_MOUSE%f[%W]", "^%u%u%u%u?%d?_%u%u%u%u%u$", "^CON__",
    "^REV__", "^ENS%u*P%d+", "^NP_%d", "^[OPQ]%d%w%w%w%d%f[%W]", "^[A-NR-Z]%d%u%w%w%d%f[%W]",
    "^[A-NR-Z]%d%u%w%w%d%u%w%w%d%f[%W]" } },
  { "transcriptomics", 1, { "^ENS%u*[GT]%d+", "^[NX][MR]_%d+", "^XLOC_%d+", "^TCONS_%d+", "^hsa%-", "^mmu%-",
    "^%d%d%d%d%d+%u%d+Rik$", "^LOC%d+$", "^MIR%d", "^LINC%d", "^gene%-" } },
  { "metabolomics", 1, { "^HMDB%d+", "^CHEBI:%d+", "^C%d%d%d%d%d$", "^%u%u%u%u%u%u%u%u%u%u%u%u%u%u%-%u+%-%u$",
    "^[%d.]+_[%d.]+m/z$", "^[%d.]+_[%d.]+n$" } },
  { "metabolomics", 0.8, { "[Aa]cid%f[%A]", "%l%l%lne%f[%A]", "%l%l%late%f[%A]", "%l%lose%f[%A]", "%l%l%lol%f[%A]",
    "%l%l%lide%f[%A]", "%l%l%lthine%f[%A]" } },
  { "proteomics", 0.8, { "^[ACDEFGHIKLMNPQRSTVWY][ACDEFGHIKLMNPQRSTVWY][ACDEFGHIKLMNPQRSTVWY][ACDEFGHIKLMNPQRSTVWY]"
    .. "[ACDEFGHIKLMNPQRSTVWY][ACDEFGHIKLMNPQRSTVWY][ACDEFGHIKLMNPQRSTVWY][ACDEFGHIKLMNPQRSTVWY]+$" } }, -- peptides
  { "transcriptomics", 0.6, { "^%u[%u%d]+%-?[%u%d]*$", "^%u[%l][%l%d]*%d[%l%d]*$", "^%u%u%u%d+orf%d+$" } },
}

--- Names that are looked at.
local NAMES_MOST = 200

--- Bytes of a name that are looked at: cells of any length may stand under the header of names.
local NAME_BYTES = 300

--- The type that a name looks like, and with which weight.
local function type_of(name)
  name = name:sub(1, NAME_BYTES)
  for _, entry in ipairs(NAMES) do
    for _, pattern in ipairs(entry[3]) do
      if name:find(pattern) then
        return entry[1], entry[2]
      end
    end
  end
  return nil, 0
end

--- The share of a column's cells, by weight, that look like names of each type.
local function shares_of(cells)
  local weights, counted = {}, 0
  for i = 1, math.min(#cells, NAMES_MOST) do
    if cells[i] ~= "" then
      counted = counted + 1
      local omics, weight = type_of(cells[i])
      if omics then
        weights[omics] = (weights[omics] or 0) + weight
      end
    end
  end
  for omics, weight in pairs(weights) do
    weights[omics] = weight / counted
  end
  return weights
end

--- The share of names, by weight, that look like those of each type.
---@param names string[]
---@return table<string, number> shares
function M.shares(names)
  return shares_of(names)
end

local function is_text_column(cells)
  local texts, filled = 0, 0
  for i = 1, math.min(#cells, 20) do
    filled = filled + (cells[i] ~= "" and 1 or 0)
    texts = texts + (cells[i] ~= "" and not tonumber(cells[i]) and 1 or 0)
  end
  return filled > 0 and texts * 2 > filled
end

--- Whether cells are mostly different from one another: the names of features are, kinds of them are not.
local function is_various(cells)
  local met, count, filled = {}, 0, 0
  for i = 1, math.min(#cells, NAMES_MOST) do
    if cells[i] ~= "" then
      filled = filled + 1
      count = count + (met[cells[i]] and 0 or 1)
      met[cells[i]] = true
    end
  end
  return count * 2 > filled
end

--- The first column of texts, if there is one of different texts, that one.
local function text_position(look)
  local first
  for position = 1, #look.header do
    local cells = look:cells(position)
    if is_text_column(cells) then
      if is_various(cells) then
        return position
      end
      first = first or position
    end
  end
  return first
end

--- The column whose cells are looked at: the one that a person set, else the format's, else
--- the first one whose header stands over names, else the first column of texts, best of different ones.
local function name_position(opened, set)
  for position, header in ipairs(opened.look.header) do
    if set and set[header] == "feature" then
      return position
    end
  end
  for position, known in pairs(opened.roles or {}) do
    if known.role == "feature" then
      return position
    end
  end
  local look, best, most = opened.look, nil, 0
  for _, omics in ipairs(M.TYPES) do
    for header, weight in pairs(HEADERS[omics]) do
      local position = look.at[header]
      if position and (weight > most or weight == most and position < best)
        and is_text_column(look:cells(position)) then
        best, most = position, weight
      end
    end
  end
  local named = look.at.name
  return best or named and is_text_column(look:cells(named)) and named or text_position(look)
end

--- Headers that stand over names of a type, or of any, the likeliest first.
---@param wanted string|nil
---@return string[]
function M.headers(wanted)
  local weighed = {}
  for _, omics in ipairs(M.TYPES) do
    for header, weight in pairs(HEADERS[omics]) do
      if weight >= 0.4 and (not wanted or omics == wanted) then
        weighed[#weighed + 1] = { header, weight }
      end
    end
  end
  table.sort(weighed, function(a, b)
    return a[2] > b[2] or a[2] == b[2] and a[1] < b[1]
  end)
  for i, entry in ipairs(weighed) do
    weighed[i] = entry[1]
  end
  weighed[#weighed + 1] = "name"
  return weighed
end

-- ---- weighing --------------------------------------------------------------

--- What speaks for a type: evidence is added as of independent witnesses.
local function add(found, omics, weight, why)
  local entry = found[omics]
  entry.weight = 1 - (1 - entry.weight) * (1 - math.min(weight, 0.99))
  entry.why[#entry.why + 1] = why
end

local function weigh_format(found, recognition, look)
  local format = recognition and recognition.format
  local types = format and format.omics or {}
  if type(types) == "function" then
    types = types(look) or {}
  end
  for i, omics in ipairs(types) do
    if found[omics] then
      add(found, omics, #types == 1 and 0.9 or i == 1 and 0.5 or 0.25, "the format is " .. format.title)
    end
  end
end

local function weigh_headers(found, look)
  for _, omics in ipairs(M.TYPES) do
    local most, which = 0, nil
    for header, weight in pairs(HEADERS[omics]) do
      local position = look.at[header]
      if position and (weight > most or weight == most and position < which) then
        most, which = weight, position
      end
    end
    if which then
      add(found, omics, most, ('there is a column "%s"'):format(text.printable(look.header[which])))
    end
  end
end

--- Words in file names, as patterns.
local IN_FILE_NAMES = { lipidomics = { "lipid" }, metabolomics = { "metabol" }, proteomics = { "protein", "proteom" },
  transcriptomics = { "transcript", "rnaseq", "%f[%a]rna%f[%A]", "%f[%a]genes?%f[%A]" } }

local function weigh_file_name(found, look)
  local name = look.file_name:lower()
  for omics, words in pairs(IN_FILE_NAMES) do
    for _, word in ipairs(words) do
      local part = name:match(word)
      if part then
        add(found, omics, 0.7, ('the file\'s name has "%s" in it'):format(part))
        break
      end
    end
  end
end

local function weigh_names(found, opened, set)
  local position = name_position(opened, set)
  for omics, share in pairs(position and shares_of(opened.look:cells(position)) or {}) do
    if share >= 0.1 then
      add(found, omics, share * 0.9, ("%d %% of the first names look like it"):format(math.floor(share * 100 + 0.5)))
    end
  end
end

--- What speaks for each omics type, the likeliest first; those for which nothing speaks are
--- left out.
---@param opened ligase.opened
---@param set table<string,string>|nil roles of columns that a person gave
---@return {omics: string, weight: number, why: string[]}[]
function M.weigh(opened, set)
  local found, list = {}, {}
  for _, omics in ipairs(M.TYPES) do
    found[omics] = { omics = omics, weight = 0, why = {} }
  end
  local recognition = opened.recognition
  weigh_format(found, recognition, opened.first_look)
  weigh_file_name(found, opened.look)
  if not recognition or recognition.format.generic then -- the headers of a tool's format say what its name says
    weigh_headers(found, opened.look)
  end
  weigh_names(found, opened, set)
  for _, omics in ipairs(M.TYPES) do
    list[#list + 1] = found[omics].weight > 0 and found[omics] or nil
  end
  table.sort(list, function(a, b)
    return a.weight > b.weight or a.weight == b.weight and a.omics < b.omics
  end)
  return list
end

--- A type is taken with this weight, and when what is missing from certainty is that many times more for every other.
local ENOUGH, AHEAD = 0.4, 1.5

--- The omics type of a file; nil when it is in doubt.
---@param opened ligase.opened
---@param set table<string,string>|nil roles of columns that a person gave
---@return string|nil omics
---@return {omics: string, weight: number, why: string[]}[] candidates
function M.guess(opened, set)
  local list = M.weigh(opened, set)
  local best, second = list[1], list[2]
  if not best or best.weight < ENOUGH or second and (1 - second.weight) < AHEAD * (1 - best.weight) then
    return nil, list
  end
  return best.omics, list
end

--- Raises "input": the omics type is in doubt.
---@param source string the file as it is shown
---@param list {omics: string, weight: number, why: string[]}[] the candidates
---@param known string[] omics types that there are recipes for
function M.refuse(source, list, known)
  local shown, names = {}, {}
  local is_weak = #list > 0 and list[1].weight < ENOUGH -- then it may be any other as well
  for i, candidate in ipairs(list) do
    shown[i] = ("%s (%s)"):format(candidate.omics, table.concat(candidate.why, ", "))
    names[i] = candidate.omics
  end
  errors.raise { kind = "input", code = "omics", file = source,
    message = #list == 0 and "nothing in the file says which omics type it is"
      or "it is not clear which omics type it is",
    detail = #shown > 0 and "it may be " .. table.concat(shown, " or ") or nil, candidates = names,
    hint = "Say --omics with one of: " .. table.concat(#names > 0 and not is_weak and names or known, ", ") }
end

return M
