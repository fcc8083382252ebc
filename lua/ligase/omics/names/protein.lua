--- Protein names: UniProt accessions, FASTA headers, entry names, groups of them.
---
--- The canonical name of what has an accession is the accession. An isoform (P04637-2) is
--- set aside with the level "isoform", unless the option keep_isoform asks for it in the
--- name; only an accession has isoforms, so IL-6 and NKX2-5 are whole names. Contaminants
--- are flagged under their own name. A decoy is not the protein whose name it borrows: it
--- is flagged, and its canonical name begins with DECOY_.
local cell = require "ligase.omics.names.cell"
local greek = require "ligase.omics.names.greek"
local group = require "ligase.omics.names.group"
local spreadsheet = require "ligase.omics.names.spreadsheet"

local M = {}

local byte, find, match, sub = string.byte, string.find, string.match, string.sub
local verbatim = cell.verbatim

-- ---- accessions ------------------------------------------------------------

--- Whether a text is a UniProt accession by its published form
--- (uniprot.org/help/accession_numbers).
local function is_accession(text)
  local length = #text
  if length == 6 then
    return find(text, "^[OPQ]%d[%u%d][%u%d][%u%d]%d$") or find(text, "^[A-NR-Z]%d%u[%u%d][%u%d]%d$")
  end
  return length == 10 and find(text, "^[A-NR-Z]%d%u[%u%d][%u%d]%d%u[%u%d][%u%d]%d$")
end

--- What may follow an accession: an isoform, a version, a chain.
local function read_tail(accession, tail)
  local isoform = match(tail, "^%-(%d+)$")
  if isoform then
    return { name = accession, rule = "protein.accession", level = "isoform", aside = { isoform = isoform } }
  end
  local version = match(tail, "^%.(%d+)$") or match(tail, "^v(%d+)$") -- v2 is MaxQuant's
  if version then
    return { name = accession, rule = "protein.accession", level = "protein", aside = { version = version } }
  end
  local chain = match(tail, "^[:-](PRO_%d+)$")
  if chain then
    return { name = accession .. "-" .. chain, rule = "protein.accession", level = "chain" }
  end
end

local function read_accession(text)
  if is_accession(text) then
    return { name = text, rule = "protein.accession", level = "protein" }
  end
  local accession, tail = match(text, "^(%w+)([-.v:].*)$")
  if not accession or not is_accession(accession) then
    accession, tail = match(text, "^(%u[%u%d]+)(v%d+)$")
  end
  return accession and is_accession(accession) and read_tail(accession, tail) or nil
end

-- ---- other identifiers -----------------------------------------------------

--- Identifiers with a form of their own: pattern of id and version, rule, level.
local IDENTIFIERS = {
  { "^(ENS%u*P%d%d%d%d%d%d%d%d%d%d%d)%.?(%d*)$", "protein.ensembl", "protein" },
  { "^(ENS%u*G%d%d%d%d%d%d%d%d%d%d%d)%.?(%d*)$", "protein.ensembl", "gene" },
  { "^(ENS%u*T%d%d%d%d%d%d%d%d%d%d%d)%.?(%d*)$", "protein.ensembl", "transcript" },
  { "^([NXYWA]P_%d+)%.?(%d*)$", "protein.refseq", "protein" },
  { "^(NX_%w+)()$", "protein.nextprot", "protein" }, { "^(NX_%w+)%-(%d+)$", "protein.nextprot", "isoform" },
  { "^(IPI%d%d%d%d%d%d%d%d)%.?(%d*)$", "protein.ipi", "protein" },
  { "^(UPI%x%x%x%x%x%x%x%x%x%x)()$", "protein.uniparc", "protein" },
  { "^(UniRef%d+_%w+)()$", "protein.uniref", "cluster" }, { "^(FBpp%d%d%d%d%d%d%d)()$", "protein.flybase", "protein" },
  { "^(OTT%u*P%d%d%d%d%d%d%d%d%d%d%d)%.?(%d*)$", "protein.vega", "protein" },
  { "^(HIT%d%d%d%d%d%d%d%d%d)%.?(%d*)$", "protein.hinvdb", "protein" },
}

local function read_identifier(text)
  for i = 1, #IDENTIFIERS do
    local entry = IDENTIFIERS[i]
    local id, number = match(text, entry[1])
    if id then
      number = type(number) == "string" and number ~= "" and number or nil
      return { name = id, rule = entry[2], level = entry[3],
        aside = number and { [entry[3] == "isoform" and "isoform" or "version"] = number } or nil }
    end
  end
end

--- Entry names (P53_HUMAN): a mnemonic or an accession, and an organism of 3 to 5 signs
--- (uniprot.org/help/entry_name), which is not the place of a modification (P04637_S15).
local function is_entry_name(text)
  local mnemonic, organism = match(text, "^([%u%d]+)_([%u%d]+)$")
  return mnemonic and #mnemonic <= 10 and #organism >= 3 and #organism <= 5 and find(organism, "%u")
    and not find(organism, "^[STYKR]%d+$")
end

--- Words before an identifier that name its database, as MaxQuant's contaminants have
--- them ("ENSEMBL:ENSBTAP00000031900").
local DATABASES = { ENSEMBL = true, REFSEQ = true, TREMBL = true, ["SWISS-PROT"] = true, UNIPROT = true,
  UNIPROTKB = true, UniProtKB = true, ["H-INV"] = true, VEGA = true, IPI = true, uniprotkb = true, swissprot = true }

local read_plain

-- ---- FASTA headers ---------------------------------------------------------

local function header_aside(reading, entry, rest)
  local gene = find(rest, "GN=", 1, true) and match(rest, "%f[%w]GN=(%S+)") or nil
  entry = entry ~= "" and entry or nil
  if entry or gene then
    reading.aside = reading.aside or {}
    reading.aside.entry_name, reading.aside.gene = entry, gene
  end
  reading.rule = "protein.header"
  return reading
end

--- "sp|P04637|P53_HUMAN ...", "ref|NP_000537.3|", "gi|120407068|ref|NP_000537.3| ...".
local function read_header(text)
  local id, entry, rest = match(text, "^>?%l%l%l?|([^|%s]+)|?([^|%s]*)(.*)$")
  if not id then
    return nil
  end
  if find(id, "^%d+$") then -- gi: the next pair says more
    local other = match(text, "^>?gi|%d+|%l+|([^|%s]+)")
    local reading = other and (read_accession(other) or read_identifier(other))
    return reading and header_aside(reading, "", rest)
  end
  local reading = read_accession(id) or read_identifier(id)
  return reading and header_aside(reading, is_entry_name(entry) and entry or "", rest)
end

-- ---- one protein -----------------------------------------------------------

local FLAGS = {
  { "^CON__", "contaminant" }, { "^CON_", "contaminant" }, { "^[Cc][Oo][Nn][Tt]_", "contaminant" },
  { "^[Cc][Oo][Nn][Tt][Aa][Mm][_|]", "contaminant" }, { "^[Cc]ontaminant_", "contaminant" },
  { "^cRAP[-_]", "contaminant" }, { "^REV__", "decoy" }, { "^REV_", "decoy" }, { "^rev_", "decoy" },
  { "^XXX_", "decoy" }, { "^[Dd][Ee][Cc][Oo][Yy]_%d+[_/]", "decoy" }, { "^[Dd][Ee][Cc][Oo][Yy]_+", "decoy" },
  { "^##+REV##+", "decoy" }, { "^#DECOY#", "decoy" }, { "^RND_", "decoy" }, { "^[Rr]andom_", "decoy" },
  { "^[Rr]everse_", "decoy" },
}

--- Takes off what marks contaminants and decoys; both may stand there.
local function flag_of(text)
  local flag
  for _ = 1, 2 do
    for i = 1, #FLAGS do
      local _, last = find(text, FLAGS[i][1])
      if last and last < #text then
        flag = flag == "decoy" and flag or FLAGS[i][2]
        text = sub(text, last + 1)
        break
      end
    end
  end
  if find(text, "_REVERSED$") or find(text, "_DECOY$") then
    flag, text = "decoy", match(text, "^(.+)_%u+$")
  end
  return flag, text
end

local FLAG_STARTS = {}
for letter in ("CcRrXDd#"):gmatch(".") do
  FLAG_STARTS[byte(letter)] = true
end

local function flagged(text)
  local flag, body = flag_of(text)
  if not flag then
    return nil
  end
  local reading = read_plain(body)
  if reading.rule == "verbatim" then
    reading.reason = reading.reason .. ", although marked as a " .. flag
    reading.name = text
  elseif flag == "decoy" then
    reading.name = "DECOY_" .. reading.name
  end
  reading.aside = reading.aside or {}
  reading.aside.flag = flag
  return reading
end

--- A name of one word that is no identifier, such as IL-6 or ALB.
local function read_name(text)
  local spelled = greek.spelled(text)
  if #spelled <= 60 and find(spelled, "^[%w][%w%-._/()+:'*]*$") and find(spelled, "%a") then
    return { name = spelled, rule = "protein.name", level = "name" }
  end
end

function read_plain(text)
  local reading = read_accession(text) or find(text, "|", 1, true) and read_header(text)
  if reading then
    return reading
  elseif is_entry_name(text) and not find(text, "^[NXYWA][MRPCGTWZ]_%d") then
    return { name = text, rule = "protein.entry_name", level = "entry name" }
  end
  reading = find(text, "%d%d") and read_identifier(text)
  if reading then
    return reading
  end
  local database, id = match(text, "^([%a-]+):(.+)$")
  if database and DATABASES[database] then
    return read_plain(id)
  end
  local reason, candidates = cell.absent(text), nil
  if not reason then
    reason, candidates = spreadsheet.damage(text)
  end
  if reason then
    return verbatim(text, reason, candidates)
  end
  return read_name(text) or verbatim(text, cell.why_not(text, find(text, "%s")
    and "several words, neither an accession nor a FASTA header" or "not the form of a protein's name"))
end

local function read_one(text)
  return (FLAG_STARTS[byte(text)] or find(text, "_[RD]E[VC][EO][RY]")) and flagged(text) or read_plain(text)
end

-- ---- groups ----------------------------------------------------------------

--- Headers with their descriptions, which may hold the separators themselves.
local function split_headers(text)
  local marked = text:gsub(";(>?[%w_]-%l%l%l?|)", "\n%1")
  return group.split(marked, "\n")
end

local function parts_of(text)
  if find(text, ";", 1, true) then
    if find(text, "|", 1, true) and find(text, " ", 1, true) then
      return split_headers(text)
    end
    return group.split(text, ";")
  end
  local count, members = match(text, "^[DECOYdecoy_]*(%d+)/(.+)$") -- OpenSWATH: number/protein/protein
  if count then
    local parts = group.split(members, "/")
    if #parts == tonumber(count) then
      return parts, find(text, "^[Dd][Ee][Cc]") and "DECOY_" or nil
    end
  elseif find(text, ",", 1, true) and not find(text, "|[^|]*|[^,]* ") then
    return group.split(text, ",")
  end
  return { text }
end

local function read_group(text, with_isoforms)
  if group.is_abbreviated(text) then
    return group.abbreviated(text, "protein.group")
  end
  local parts, prefix = parts_of(text)
  for i, part in ipairs(parts) do
    parts[i] = (prefix or "") .. part
  end
  if #parts == 0 then
    return verbatim(text, "it holds no letter")
  elseif #parts == 1 then
    return read_one(parts[1])
  end
  local reading, member = group.read(parts, read_one, "protein.group", { with_isoforms = with_isoforms })
  return reading or verbatim(text, ("a list with a member that is not understood: %s"):format(member))
end

local function keep_isoform(reading)
  local isoform = reading.level == "isoform" and reading.aside.isoform
  if isoform then
    reading.name = reading.name .. "-" .. isoform
  end
  return reading
end

--- Reads one name.
---@param raw string a cell
---@param options {keep_isoform: boolean|nil}|nil keep_isoform: P04637-2 is a feature of its own
---@return ligase.reading|nil reading nil when the cell is blank
function M.read(raw, options)
  local text = cell.trim(raw)
  if not text then
    return nil
  elseif is_accession(text) then
    return { name = text, rule = "protein.accession", level = "protein" }
  end
  local reading
  if find(text, "[;,/]") then
    reading = not spreadsheet.damage(text) and read_group(text, options and options.keep_isoform) or read_one(text)
    if reading.rule == "verbatim" then
      reading.name = text
    end
  else
    reading = read_one(text)
  end
  return options and options.keep_isoform and keep_isoform(reading) or reading
end

local CLASSES = { ["protein.accession"] = "UniProtKB", ["protein.entry_name"] = "UniProtKB entry name",
  ["protein.ensembl"] = "Ensembl", ["protein.refseq"] = "RefSeq", ["protein.nextprot"] = "neXtProt",
  ["protein.ipi"] = "IPI", ["protein.uniparc"] = "UniParc", ["protein.uniref"] = "UniRef",
  ["protein.flybase"] = "FlyBase", ["protein.vega"] = "VEGA", ["protein.hinvdb"] = "H-InvDB",
  ["protein.group"] = "group", ["protein.name"] = "name" }

--- What follows from a canonical name.
---@param name string
---@param reading ligase.reading|nil how it was read, where that is known already
---@return table|nil attributes {class = the naming system, level =}; nil for what is not understood
function M.describe(name, reading)
  if not reading or reading.rule == "protein.header" then
    reading = M.read(name)
  end
  local class = reading and CLASSES[reading.rule]
  return class and { class = class, level = reading.level } or nil
end

return M
