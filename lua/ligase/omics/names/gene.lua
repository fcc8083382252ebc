--- Gene names: symbols, and identifiers of genes and transcripts.
---
--- A symbol is kept with its case (TP53 is human, Trp53 mouse) and whole: H3.3, NKX2-5,
--- KRTAP5-2 and miR-21 hold no versions and no parts (HGNC guidelines, Bruford et al. 2020,
--- Nat Genet 52:754). Whether a symbol is approved cannot be told from its form; alias
--- tables know (ligase.omics.names.aliases). Versions of identifiers are set aside.
--- Damage by spreadsheets is recognised and never repaired.
local cell = require "ligase.omics.names.cell"
local group = require "ligase.omics.names.group"
local spreadsheet = require "ligase.omics.names.spreadsheet"

local M = {}

local find, match, sub = string.find, string.match, string.sub
local verbatim = cell.verbatim

-- ---- identifiers -----------------------------------------------------------

--- What an Ensembl id names, by the letter before its number.
local ENSEMBL_LEVELS = { G = "gene", T = "transcript", P = "protein", E = "exon", R = "regulatory" }

--- ENS, species, kind, eleven digits (ensembl.org/info/genome/stable_ids).
local function read_ensembl(text)
  local id, kind, digits, rest = match(text, "^(ENS%u*(%u)(%d+))(.*)$")
  local level = id and ENSEMBL_LEVELS[kind]
  if not level or #digits < 6 then -- ENSA and ENSAP2 are genes
    return nil
  elseif #digits ~= 11 then
    return verbatim(text, ("an Ensembl id has 11 digits, this one has %d"):format(#digits))
  elseif rest == "" then
    return { name = id, rule = "gene.ensembl", level = level }
  end
  local version, tail = match(rest, "^%.(%d+)(.*)$")
  tail = tail or rest
  local aside = { version = version }
  if tail == "_PAR_Y" then -- a gene of its own, by GENCODE's way to name it
    id = id .. tail
  elseif find(tail, "^|ENS") or find(tail, "^|[^|]*|") then -- a header of GENCODE's transcripts
    aside.gene, aside.symbol = match(tail, "^|(ENS%u*G%d+[.%d]*)|[^|]*|[^|]*|[^|]*|([^|]+)|")
    aside.header = not aside.gene and tail or nil
  elseif find(tail, "^[_|][%w.-]+$") then
    aside.symbol = sub(tail, 2)
  elseif tail ~= "" then
    return verbatim(text, "an Ensembl id with something behind it")
  end
  return { name = id, rule = "gene.ensembl", level = level, aside = next(aside) and aside or nil }
end

local REFSEQ_LEVELS = { M = "transcript", R = "transcript", P = "protein", C = "sequence", G = "sequence",
  T = "sequence", W = "sequence", Z = "sequence" }

--- RefSeq accessions (O'Leary et al. 2016, Nucleic Acids Res 44:D733). The number of a
--- further copy on the genome (NR_001526_1, as UCSC's tracks have it) stays in the name.
local function read_refseq(text)
  local id, kind, version, copy = match(text, "^([NXYWA]([MRPCGTWZ])_%u*%d+)(%.?%d*)(_?%d*)$")
  if not id or copy == "_" or version == "." then
    return nil
  end
  return { name = id .. copy, rule = "gene.refseq", level = REFSEQ_LEVELS[kind],
    aside = version ~= "" and { version = sub(version, 2) } or nil }
end

local function read_entrez(text)
  if #text <= 10 and sub(text, 1, 1) ~= "0" then
    return { name = text, rule = "gene.entrez", level = "gene" }
  end
  return verbatim(text, "a number that is no NCBI gene id")
end

--- Identifiers with a form of their own: pattern, rule, level.
local IDENTIFIERS = {
  { "^HGNC:%d+$", "gene.hgnc_id", "gene" }, { "^MGI:%d+$", "gene.mgi", "gene" }, { "^RGD:?%d+$", "gene.rgd", "gene" },
  { "^FBgn%d%d%d%d%d%d%d$", "gene.flybase", "gene" }, { "^FBtr%d%d%d%d%d%d%d$", "gene.flybase", "transcript" },
  { "^WBGene%d%d%d%d%d%d%d%d$", "gene.wormbase", "gene" }, { "^ZDB%-GENE%-%d+%-%d+$", "gene.zfin", "gene" },
  { "^MIMAT%d%d%d%d%d%d%d$", "gene.mirbase", "transcript" }, { "^MI%d%d%d%d%d%d%d$", "gene.mirbase", "gene" },
  { "^XLOC_%d+$", "gene.cufflinks", "gene" }, { "^TCONS_%d+$", "gene.cufflinks", "transcript" },
  { "^AFFX%-[%w_-]+$", "gene.probe", "probe" }, { "^%d[%w_]*_at$", "gene.probe", "probe" },
  { "^ILMN_%d+$", "gene.probe", "probe" }, { "^A_%d+_P%d+$", "gene.probe", "probe" },
}

local function control_of(text)
  return find(text, "^ERCC%-%d%d%d%d%d$") and { control = "ERCC spike-in" }
    or find(text, "^AFFX%-") and { control = "array control" }
    or find(text, "^%u%u%u_%u%([%d.]+%)$") and { control = "NanoString control" } or nil
end

local function read_identifier(text)
  if not find(text, "%d", 3) then
    return nil
  end
  for i = 1, #IDENTIFIERS do
    local entry = IDENTIFIERS[i]
    if find(text, entry[1]) then
      return { name = text, rule = entry[2], level = entry[3], aside = control_of(text) }
    end
  end
end

--- "GeneID:7157", "NCBIGene:7157", "entrez:7157".
local function read_entrez_prefixed(text)
  local prefix, id = match(text, "^(%a+)[:_](%d+)$")
  prefix = prefix and prefix:lower()
  if prefix == "geneid" or prefix == "ncbigene" or prefix == "entrez" or prefix == "entrezgene" then
    return read_entrez(id)
  end
end

-- ---- what is no gene -------------------------------------------------------

local BIOTYPES = {}
for word in ([[protein_coding pseudogene lincRNA lncRNA antisense processed_pseudogene unprocessed_pseudogene
  transcribed_unprocessed_pseudogene transcribed_processed_pseudogene unitary_pseudogene polymorphic_pseudogene
  translated_processed_pseudogene processed_transcript retained_intron nonsense_mediated_decay sense_intronic
  sense_overlapping 3prime_overlapping_ncRNA misc_RNA snRNA snoRNA scaRNA miRNA rRNA Mt_rRNA Mt_tRNA IG_C_gene IG_D_gene
  IG_J_gene IG_V_gene IG_C_pseudogene IG_J_pseudogene IG_V_pseudogene TR_C_gene TR_D_gene TR_J_gene TR_V_gene
  TR_J_pseudogene TR_V_pseudogene vaultRNA non_coding ribozyme]]):gmatch("%S+") do
  BIOTYPES[word] = true
end

local COUNTERS = { "^__%l", "^N_unmapped$", "^N_multimapping$", "^N_noFeature$", "^N_ambiguous$", "^Unassigned_%a" }

--- Lines of counting tools that are about reads and not about a gene; names of classes
--- of genes; a protein's entry name.
local function refuse(text)
  for i = 1, #COUNTERS do
    if find(text, COUNTERS[i]) then
      return verbatim(text, "a count of reads that belong to no gene")
    end
  end
  if BIOTYPES[text] then
    return verbatim(text, "a class of genes, not a gene")
  elseif find(text, "^[%u%d]+_[%u%d][%u%d]%u%u%u$") or find(text, "^[%u%d]+_RAT$") or find(text, "^[%u%d]+_PIG$") then
    return verbatim(text, "a protein's entry name, not a gene's symbol")
  end
end

-- ---- symbols ---------------------------------------------------------------

local function read_symbol(text)
  if #text > 60 or not find(text, "^[%w][%w%-._@/()%[%]:*+']*$") or not find(text, "%a")
    or find(text, "^%d+%.%d") and not find(text, "%a%a") then
    return nil
  end
  if find(text, "^[mhrl%l]*%-?mi[rR]%-") or find(text, "^%l*%-?let%-%d") then
    return { name = text, rule = "gene.mirna", level = "symbol" }
  end
  return { name = text, rule = "gene.symbol", level = "symbol", aside = control_of(text) }
end

--- "A1BG|1" and "?|100130426" (TCGA), "A1BG (1)" (DepMap): symbol and NCBI gene id.
local function read_pair(text)
  local symbol, id = match(text, "^(%S+)|(%d+)$")
  if not symbol then
    symbol, id = match(text, "^(%S+) %((%d+)%)$")
  end
  if not symbol then
    return nil
  elseif symbol == "?" then
    return read_entrez(id)
  end
  local reading = read_symbol(symbol)
  if reading then
    reading.aside = { entrez = id }
  end
  return reading
end

local function read_one(text)
  local first = sub(text, 1, 1)
  if first == "E" and sub(text, 1, 3) == "ENS" then
    local reading = read_ensembl(text)
    if reading then
      return reading
    end
  elseif find(first, "%d") and not find(text, "%D") then
    return read_entrez(text)
  elseif find(text, "^ens%l*%d+%.?%d*$") then
    local reading = read_ensembl(text:upper())
    if reading and reading.rule ~= "verbatim" then
      return reading
    end
  end
  local absent = cell.absent(text)
  if absent then
    return verbatim(text, absent)
  end
  local damage, candidates = spreadsheet.damage(text)
  if damage then
    return verbatim(text, damage, candidates)
  end
  if find(text, "^%u[%u%d]+%-%u?%d+$") then -- NKX2-5, HLA-A2: the plain case with a hyphen
    return read_symbol(text)
  end
  return read_refseq(text) or read_identifier(text) or read_entrez_prefixed(text) or refuse(text) or read_pair(text)
    or read_symbol(text) or verbatim(text, cell.why_not(text, find(text, "%s") and "several words, not a gene's name"
      or "not the form of a gene's name"))
end

--- "A;B", "A /// B" and "A,B".
local function read_group(text)
  if group.is_abbreviated(text) then
    return group.abbreviated(text, "gene.group")
  end
  local separator = find(text, ";", 1, true) and ";" or nil
  if not separator and find(text, "///", 1, true) then
    text, separator = text:gsub(" *///+ *", ";"), ";"
  elseif not separator and find(text, ",", 1, true) then
    separator = ","
  end
  local parts = separator and group.split(text, separator) or {}
  if #parts < 2 then
    return parts[1] and read_one(parts[1]) or nil
  end
  local reading, member = group.read(parts, read_one, "gene.group")
  return reading or verbatim(text, ("a list with a member that is not understood: %s"):format(member))
end

--- Words of letters and digits that are no symbols although they look like one.
local function is_plain_symbol(text)
  return not BIOTYPES[text] and not cell.absent(text) and sub(text, 1, 3) ~= "ENS" and not find(text, "^FB[gt][nr]%d")
    and not find(text, "^WBGene") and not find(text, "^MI[%uM]*%d%d%d%d%d%d%d") and not find(text, "^ens%l*%d")
end

--- Reads one name.
---@param raw string a cell
---@return ligase.reading|nil reading nil when the cell is blank
function M.read(raw)
  local text = cell.trim(raw)
  if not text then
    return nil
  elseif find(text, "^%a%w*$") and #text <= 30 and is_plain_symbol(text) then
    return { name = text, rule = "gene.symbol", level = "symbol" }
  elseif find(text, "[;,/]") then
    local reading = not spreadsheet.damage(text) and read_group(text)
    if reading then
      if reading.rule == "verbatim" then
        reading.name = text
      end
      return reading
    end
  end
  return read_one(text)
end

local CLASSES = { ["gene.ensembl"] = "Ensembl", ["gene.refseq"] = "RefSeq", ["gene.entrez"] = "NCBI Gene",
  ["gene.hgnc_id"] = "HGNC", ["gene.mgi"] = "MGI", ["gene.rgd"] = "RGD", ["gene.flybase"] = "FlyBase",
  ["gene.wormbase"] = "WormBase", ["gene.zfin"] = "ZFIN", ["gene.mirbase"] = "miRBase", ["gene.mirna"] = "microRNA",
  ["gene.probe"] = "probe", ["gene.cufflinks"] = "Cufflinks", ["gene.group"] = "group", ["gene.symbol"] = "symbol" }

--- What follows from a canonical name.
---@param name string
---@param reading ligase.reading|nil how it was read, where that is known already
---@return table|nil attributes {class = the naming system, level =}; nil for what is not understood
function M.describe(name, reading)
  reading = reading or M.read(name)
  local class = reading and CLASSES[reading.rule]
  return class and { class = class, level = reading.level } or nil
end

return M
