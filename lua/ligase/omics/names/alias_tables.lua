--- The public tables of names, as they are downloaded.
---
--- Each format turns its rows into (canonical name, alias, kind): "name" for the canonical
--- name itself, "previous" for names withdrawn, "alias" for synonyms, "id" for identifiers
--- of other databases. Files may be gzipped.
local csv = require "csv"
local errors = require "ligase.base.errors"
local host = require "host"
local ids = require "ligase.omics.names.metabolite_ids"

local M = {}

--- Counts up whenever a table would be read differently than before.
M.VERSION = 1

local FIELD_BYTES = 16 * 1024 * 1024

-- ---- cells -----------------------------------------------------------------

--- Tables quote a cell or not, and hold stray quote marks: quoting is taken off here.
local function unquoted(cell)
  if cell:find('^".*"$') and #cell > 1 then
    return (cell:sub(2, -2):gsub('""', '"'))
  end
  return cell
end

--- The parts of a list in one cell.
local function each(cell, separator, fn)
  if cell then
    for part in cell:gmatch("[^" .. separator .. "]+") do
      part = part:match("^%s*(.-)%s*$")
      if part ~= "" and part ~= "-" then
        fn(part)
      end
    end
  end
end

local function without_version(id)
  return (id:gsub("%.%d+$", ""))
end

-- ---- tables ----------------------------------------------------------------

local function normal(header)
  return (unquoted(header):lower():gsub("^[%s#\u{FEFF}]+", ""):gsub("[%s_]+", "_"):gsub("_$", ""))
end

local function first_line(path)
  local head = csv.head(path)
  return head:match("^[^\r\n]*")
end

local function separator_of(path)
  return first_line(path):find("\t", 1, true) and "\t" or ","
end

local function refuse_format(path, what, missing)
  errors.raise { kind = "input", code = "alias_format", file = path,
    message = ("this is not %s: it has no column %s"):format(what, missing),
    hint = "Look at its first line, or name another format: ligase aliases load --help" }
end

local function positions_of(path, names, what, wanted)
  local by_name = {}
  for i, name in ipairs(names) do
    by_name[normal(name)] = by_name[normal(name)] or i
  end
  for _, name in ipairs(wanted) do
    if not by_name[name] then
      refuse_format(path, what, name)
    end
  end
  return by_name
end

--- Calls fn(get) for each row; get(name) is the row's cell, nil when empty or not there.
local function each_row(path, what, wanted, fn)
  local separator = separator_of(path)
  local reader <close> = csv.frames(path, { separator = separator, quote = separator == "," and '"' or false,
    ragged = "pad", field_bytes = FIELD_BYTES })
  local by_name = positions_of(path, reader:names(), what, wanted)
  for frame in reader do
    local columns = {}
    local row
    local function get(name)
      local values = columns[name]
      if values == nil then
        values = by_name[name] and frame:text(by_name[name]):values() or false
        columns[name] = values
      end
      local cell = values and values[row]
      return cell and cell ~= host.null and unquoted(cell) or nil
    end
    for i = 1, #frame do
      row = i
      fn(get)
    end
    frame:close()
  end
end

-- ---- genes -----------------------------------------------------------------

local formats = {}

--- genenames.org: hgnc_complete_set.txt.
formats.hgnc = { feature_type = "gene", title = "HGNC's hgnc_complete_set.txt", read = function(paths, _, emit)
  for _, path in ipairs(paths) do
    each_row(path, "an HGNC table", { "symbol", "hgnc_id" }, function(get)
      local symbol = get "symbol"
      local status = get "status"
      if not symbol or status and status ~= "Approved" then
        return
      end
      emit(symbol, symbol, "name")
      each(get "prev_symbol", "|", function(alias) emit(symbol, alias, "previous") end)
      each(get "alias_symbol", "|", function(alias) emit(symbol, alias, "alias") end)
      for _, column in ipairs { "hgnc_id", "entrez_id", "ensembl_gene_id", "refseq_accession" } do
        each(get(column), "|", function(id) emit(symbol, without_version(id), "id") end)
      end
    end)
  end
end }

local function check_taxon(path, seen, taxon)
  if seen and taxon ~= seen then
    errors.raise { kind = "input", code = "alias_taxon", file = path,
      message = ("the table holds several organisms (taxa %s and %s)"):format(seen, taxon),
      hint = "Say which one: --taxon 9606 (human), 10090 (mouse), ..." }
  end
  return taxon
end

--- NCBI: gene_info, Homo_sapiens.gene_info.
formats.ncbi_gene = { feature_type = "gene", title = "NCBI's gene_info", read = function(paths, options, emit)
  for _, path in ipairs(paths) do
    local seen
    each_row(path, "NCBI's gene_info", { "geneid", "symbol", "synonyms" }, function(get)
      local taxon, symbol = get "tax_id", get "symbol"
      if options.taxon and taxon ~= options.taxon or not symbol or symbol == "NEWENTRY" then
        return
      end
      seen = check_taxon(path, seen, taxon)
      emit(symbol, symbol, "name")
      each(get "synonyms", "|", function(alias) emit(symbol, alias, "alias") end)
      each(get "locustag", "|", function(alias) emit(symbol, alias, "alias") end)
      emit(symbol, get "geneid", "id")
      each(get "dbxrefs", "|", function(reference)
        local id = reference:match("^HGNC:(HGNC:%d+)$") or reference:match("^Ensembl:(%S+)$")
          or reference:match("^MGI:(MGI:%d+)$")
        if id then
          emit(symbol, id, "id")
        end
      end)
    end)
  end
end }

--- Ensembl BioMart's export.
formats.ensembl = { feature_type = "gene", title = "a BioMart export of Ensembl", read = function(paths, _, emit)
  for _, path in ipairs(paths) do
    each_row(path, "a BioMart export", { "gene_stable_id" }, function(get)
      local id = get "gene_stable_id"
      local name = get "gene_name" or id
      if not id then
        return
      end
      emit(name, name, "name")
      emit(name, id, "id")
      each(get "gene_synonym", "|", function(alias) emit(name, alias, "alias") end)
      for _, column in ipairs { "hgnc_id", "ncbi_gene_(formerly_entrezgene)_id" } do
        each(get(column), "|", function(other) emit(name, other, "id") end)
      end
    end)
  end
end }

-- ---- proteins --------------------------------------------------------------

--- Lines of idmapping.dat that are names of the protein, by type.
local MAPPED = { ["UniProtKB-ID"] = "id", Gene_Name = "alias", Gene_Synonym = "alias", Gene_ORFName = "alias",
  Gene_OrderedLocusName = "alias", RefSeq = "id", Ensembl_PRO = "id", neXtProt = "id", UniParc = false }

local function read_idmapping(path, emit)
  local reader <close> = csv.frames(path, { separator = "\t", quote = false, header = false,
    field_bytes = FIELD_BYTES })
  local last
  if #reader:names() ~= 3 then
    refuse_format(path, "UniProt's idmapping.dat or a table from its site", "Entry")
  end
  for frame in reader do
    local accessions, kinds, names = frame:text(1):values(), frame:text(2):values(), frame:text(3):values()
    for i = 1, #frame do
      local kind = MAPPED[kinds[i]]
      if kind and names[i] ~= host.null then
        local accession = accessions[i]:gsub("%-%d+$", "")
        if accession ~= last then
          emit(accession, accession, "name")
          last = accession
        end
        emit(accession, kind == "id" and without_version(names[i]) or names[i], kind)
      end
    end
    frame:close()
  end
end

--- UniProt: HUMAN_9606_idmapping.dat, or a table saved from the site.
formats.uniprot = { feature_type = "protein", title = "UniProt's idmapping.dat or a table from its site",
  read = function(paths, _, emit)
    for _, path in ipairs(paths) do
      if not first_line(path):find("^Entry\t") then
        read_idmapping(path, emit)
      else
        each_row(path, "a table from UniProt's site", { "entry" }, function(get)
          local accession = get "entry"
          if accession then
            emit(accession, accession, "name")
            each(get "entry_name", "|", function(id) emit(accession, id, "id") end)
            for _, column in ipairs { "gene_names", "gene_names_(primary)", "gene_names_(synonym)" } do
              each(get(column), " ;", function(alias) emit(accession, alias, "alias") end)
            end
            local recommended = (get "protein_names" or ""):match("^(.-) %(") or get "protein_names"
            if recommended then
              emit(accession, recommended, "alias")
            end
          end
        end)
      end
    end
  end }

-- ---- metabolites -----------------------------------------------------------

local ID_PREFIXES = { pubchem_cid = "CID:", chebi_id = "CHEBI:" }

local function emit_id(emit, name, column, cell)
  each(cell, ",;|", function(part)
    local prefix = part:find("^%d+$") and ID_PREFIXES[column]
    local id = ids.read((prefix or "") .. part)
    if id then
      emit(name, id, "id")
    end
  end)
end

--- Metabolomics Workbench: refmet.csv.
formats.refmet = { feature_type = "metabolite", title = "Metabolomics Workbench's refmet.csv",
  read = function(paths, _, emit)
    for _, path in ipairs(paths) do
      each_row(path, "RefMet's table", { "refmet_name" }, function(get)
        local name = get "refmet_name"
        if not name then
          return
        end
        emit(name, name, "name")
        for _, column in ipairs { "refmet_id", "pubchem_cid", "chebi_id", "hmdb_id", "lipidmaps_id", "kegg_id",
          "inchi_key" } do
          emit_id(emit, name, column, get(column))
        end
        each(get "synonyms", ";|", function(alias) emit(name, alias, "alias") end)
      end)
    end
  end }

--- ChEBI's names.tsv, of both layouts, and compounds.tsv beside it for the main names.
--- Without it a compound is called by its number.
local function chebi_names(paths)
  local names, parents = {}, {}
  for _, path in ipairs(paths) do
    local header = first_line(path):lower()
    if header:find("parent_id", 1, true) then
      each_row(path, "ChEBI's compounds.tsv", { "id", "name" }, function(get)
        local id, parent = get "id", get "parent_id"
        local name = get "name"
        names[id] = name ~= "null" and name or nil
        parents[id] = parent ~= "null" and parent or nil
      end)
    end
  end
  return names, parents
end

formats.chebi = { feature_type = "metabolite", title = "ChEBI's names.tsv, and compounds.tsv",
  read = function(paths, _, emit)
    local names, parents = chebi_names(paths)
    local function name_of(id)
      id = parents[id] or id
      return names[id] or "CHEBI:" .. id, id
    end
    for id in pairs(names) do
      local name = name_of(id)
      emit(name, name, "name")
      emit(name, "CHEBI:" .. id, "id")
    end
    for _, path in ipairs(paths) do
      if not first_line(path):lower():find("parent_id", 1, true) then
        local last
        each_row(path, "ChEBI's names.tsv", { "compound_id", "name" }, function(get)
          local id, alias = get "compound_id", get "name"
          if not id or not alias then
            return
          end
          local name, main = name_of(id)
          if main ~= last and not names[main] then
            emit(name, name, "name")
          end
          last = main
          emit(name, alias, "alias")
        end)
      end
    end
  end }

local ENTITIES = { amp = "&", lt = "<", gt = ">", quot = '"', apos = "'" }

local function decoded(text)
  if not text:find("&", 1, true) then
    return text
  end
  text = text:gsub("&#x(%x+);", function(digits) return utf8.char(tonumber(digits, 16)) end)
  text = text:gsub("&#(%d+);", function(digits) return utf8.char(tonumber(digits)) end)
  return (text:gsub("&(%a+);", ENTITIES))
end

--- Elements of hmdb_metabolites.xml that hold identifiers.
local HMDB_IDS = { chebi_id = "chebi_id", kegg_id = "kegg_id", inchikey = "inchi_key",
  pubchem_compound_id = "pubchem_cid", cas_registry_number = "cas" }

local function emit_hmdb(record, emit)
  local name = record.name
  if not name then
    return
  end
  emit(name, name, "name")
  for _, accession in ipairs(record.accessions) do
    emit(name, accession, "id")
  end
  for element, column in pairs(HMDB_IDS) do
    emit_id(emit, name, column, record[element])
  end
  for _, synonym in ipairs(record.synonyms) do
    emit(name, synonym, "alias")
  end
end

--- Lists that occur again further down in a record, where they belong to something else.
local HMDB_LISTS = { accession = "accessions", synonym = "synonyms" }

local function take_hmdb_line(record, line)
  local element, value = line:match("^%s*<([%w_]+)>(.-)</[%w_]+>%s*$")
  local list = HMDB_LISTS[element]
  if list and not record["ended " .. list] then
    table.insert(record[list], decoded(value))
  elseif element and (element == "name" or HMDB_IDS[element]) and not record[element] then
    record[element] = decoded(value)
  elseif line:find("</synonyms>", 1, true) then
    record["ended synonyms"] = true
  elseif line:find("</secondary_accessions>", 1, true) then
    record["ended accessions"] = true
  end
end

--- HMDB: hmdb_metabolites.xml (unpack the .zip), which has one element on a line. What is
--- wanted stands in each record's first part; the names of its diseases and pathways are
--- passed over, because an element counts only the first time.
formats.hmdb = { feature_type = "metabolite", title = "HMDB's hmdb_metabolites.xml", read = function(paths, _, emit)
  for _, path in ipairs(paths) do
    local record, count
    for frame in csv.frames(path, { separator = "\1", quote = false, header = false, field_bytes = FIELD_BYTES }) do
      for _, line in ipairs(frame:text(1):values()) do
        if line:find("^%s*<metabolite>") then
          record, count = { accessions = {}, synonyms = {} }, (count or 0) + 1
        elseif record and line:find("^%s*</metabolite>") then
          emit_hmdb(record, emit)
          record = nil
        elseif record then
          take_hmdb_line(record, line)
        end
      end
      frame:close()
    end
    if not count then
      refuse_format(path, "HMDB's hmdb_metabolites.xml", "<metabolite>")
    end
  end
end }

-- ---- any -------------------------------------------------------------------

--- Two columns, alias and canonical name, separated by a tab or a comma. A first line
--- "alias, name" is a header.
formats.generic = { title = "two columns: alias, name", read = function(paths, _, emit)
  for _, path in ipairs(paths) do
    local separator = separator_of(path)
    local last
    local reader <close> = csv.frames(path, { separator = separator, header = false,
      quote = separator == "," and '"' or false, field_bytes = FIELD_BYTES })
    if #reader:names() ~= 2 then
      errors.raise { kind = "input", code = "alias_format", file = path,
        message = ("the table has %d columns, not two"):format(#reader:names()),
        hint = "It must hold the alias and the canonical name, separated by a tab" }
    end
    for frame in reader do
      local aliases, names = frame:text(1):values(), frame:text(2):values()
      for i = 1, #frame do
        local alias, name = aliases[i], names[i]
        local is_whole = alias ~= host.null and name ~= host.null
        if is_whole and not (alias:lower() == "alias" and name:lower() == "name") then
          if name ~= last then
            emit(name, name, "name")
            last = name
          end
          emit(name, alias, "alias")
        end
      end
      frame:close()
    end
  end
end }

--- The formats' names, in the order of the help.
M.FORMATS = { "hgnc", "ncbi_gene", "ensembl", "uniprot", "refmet", "hmdb", "chebi", "generic" }

--- What a format is about.
---@param format string one of M.FORMATS
---@return {feature_type: string|nil, title: string} feature_type nil: any
function M.about(format)
  return { feature_type = formats[format].feature_type, title = formats[format].title }
end

--- Reads files of one format. A name's rows stand together, so what is there twice is
--- given once. Raises "input" for a file that is not what it is said to be.
---@param format string one of M.FORMATS
---@param paths string[]
---@param options {taxon: string|nil}
---@param emit fun(name: string, alias: string, kind: string)
function M.read(format, paths, options, emit)
  local current, given = nil, {}
  formats[format].read(paths, options, function(name, alias, kind)
    if name ~= current then
      current, given = name, {}
    end
    if alias ~= "" and not given[alias] and (kind == "name" or alias ~= name) then
      given[alias] = true
      emit(name, alias, kind)
    end
  end)
end

return M
