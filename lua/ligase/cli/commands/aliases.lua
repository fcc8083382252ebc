--- `ligase aliases`: tables that say which names mean the same.
local alias_tables = require "ligase.omics.names.alias_tables"
local aliases = require "ligase.store.aliases"
local errors = require "ligase.base.errors"
local folding = require "ligase.omics.names.aliases"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.description = "Loads, lists, shows and drops tables of synonyms and previous names, as HGNC, NCBI, Ensembl, UniProt, "
  .. "RefMet, HMDB and ChEBI publish them. A newer file of the same source replaces the older one at once. FORMAT is "
  .. "one of: " .. table.concat(alias_tables.FORMATS, ", ") .. "; generic is a table of two columns, alias and name."
M.example = [[
  ligase aliases load hgnc hgnc_complete_set.txt --version 2026-07
  ligase aliases load generic our_panel.tsv --type metabolite --as panel
  ligase aliases show p53
  ligase aliases list
  ligase aliases drop hgnc]]

M.surplus = "load takes FORMAT FILE..., show takes NAME, drop takes SOURCE"

local ACTIONS = { "load", "list", "show", "drop" }
local TYPES = { "lipid", "protein", "gene", "metabolite" }

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("ACTION", "load, list, show or drop."):target("action"):argname("ACTION")
    :convert(parsing.one_of("the action", ACTIONS))
  parser:argument("WORD", "load: FORMAT FILE...; show: NAME; drop: SOURCE."):target("words"):argname("WORD"):args("*")
  parser:option("--as", "load: what to call the table; the format without it."):target("source"):argname("SOURCE")
    :convert(parsing.name("--as"))
  parser:option("--version", "load: which release it is; the day and the file's SHA-256 without it.")
    :argname("VERSION"):convert(parsing.name("--version"))
  parser:option("--taxon", "load ncbi_gene: only this organism, by its number (9606, 10090)."):argname("NUMBER")
    :convert(parsing.whole_number("--taxon", 1))
  parser:option("--type", "load generic: what it names: " .. table.concat(TYPES, ", ") .. "."):target("feature_type")
    :argname("TYPE"):convert(parsing.one_of("--type", TYPES))
  output.add_format(parser)
end

local function refuse(message, hint)
  errors.raise { kind = "usage", code = "usage", message = message, hint = hint or "See: ligase aliases --help" }
end

local function one_word(words, what)
  if #words ~= 1 then
    refuse(("'aliases %s' takes one word, not %d"):format(what, #words))
  end
  return words[1]
end

-- ---- load ------------------------------------------------------------------

local function files_of(paths)
  local files = {}
  for i, path in ipairs(paths) do
    local stat = sys.stat(path)
    if not stat or stat.type ~= "file" then
      errors.raise { kind = "input", code = "missing", file = path, message = "there is no such file",
        hint = "Check the path; relative paths start at the current folder" }
    end
    files[i] = { path = path, sha256 = sys.sha256_file(path), bytes = stat.size_bytes }
  end
  return files
end

local function feature_type_of(format, given)
  local fixed = alias_tables.about(format).feature_type
  if fixed and given and given ~= fixed then
    refuse(("%s is a table of %ss, not of %ss"):format(format, fixed, given), "Leave --type out")
  elseif not (fixed or given) then
    refuse("it is not said what the table names", "Say --type with one of: " .. table.concat(TYPES, ", "))
  end
  return fixed or given
end

local HEADLINES = { loaded = "loaded", replaced = "replaced", unchanged = "unchanged" }

local function tell_loaded(source, result)
  output.write(("%s: %s, %s, %s (version %s)\n"):format(text.printable(source), HEADLINES[result.outcome],
    text.count(result.names, "name"), text.count(result.aliases, "alias", "aliases"), text.printable(result.version)))
  local before = result.before
  if before then
    output.write(("  before: %s, %s (version %s)\n"):format(text.count(before.name_count, "name"),
      text.count(before.alias_count, "alias", "aliases"), text.printable(before.version)))
  end
end

local actions = {}

function actions.load(arguments, context)
  local words = arguments.words
  if #words < 2 then
    refuse("'aliases load' needs a format and a file",
      "For example: ligase aliases load hgnc hgnc_complete_set.txt")
  end
  local format = parsing.one_of("the format", alias_tables.FORMATS)(words[1])
  local feature_type = feature_type_of(format, arguments.feature_type)
  if arguments.taxon and format ~= "ncbi_gene" then
    refuse("--taxon is for ncbi_gene")
  end
  local paths = table.move(words, 2, #words, 1, {})
  local files = files_of(paths)
  local taxon = arguments.taxon and tostring(arguments.taxon) or nil
  local conn = context:open()
  local source = arguments.source or format
  local result = aliases.load(conn, { source = source, feature_type = feature_type, format = format,
    version = arguments.version, files = files, arguments = { taxon = taxon, reading = alias_tables.VERSION } },
    function(emit)
      alias_tables.read(format, paths, { taxon = taxon }, function(name, alias, kind)
        emit(name, alias, folding.fold(feature_type, alias), kind)
      end)
    end)
  tell_loaded(source, result)
end

-- ---- the others ------------------------------------------------------------

function actions.list(arguments, context)
  if #arguments.words > 0 then
    refuse("'aliases list' takes no words")
  end
  local conn = context:open_if_there()
  if conn then
    output.print(aliases.list(conn), arguments.format)
  end
end

function actions.show(arguments, context)
  local name = one_word(arguments.words, "show")
  local folded = {}
  for _, feature_type in ipairs(TYPES) do
    folded[feature_type] = folding.fold(feature_type, name)
  end
  local conn = context:open_if_there()
  if conn then
    output.print(aliases.show(conn, folded), arguments.format)
  end
end

function actions.drop(arguments, context)
  local source = one_word(arguments.words, "drop")
  local dropped = aliases.drop(context:open_existing(), source)
  output.write(("%s: dropped, %s\n"):format(text.printable(source), text.count(dropped, "alias", "aliases")))
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  actions[arguments.action](arguments, context)
end

return M
