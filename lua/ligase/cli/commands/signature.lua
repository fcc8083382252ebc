--- `ligase signature`: sets of features with directions and weights.
local entities = require "ligase.store.entities"
local entity_command = require "ligase.cli.entity_command"
local errors = require "ligase.base.errors"
local loading = require "ligase.cli.signature_loading"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local pg = require "pg"
local reading = require "ligase.cli.reading"
local recipes = require "ligase.omics.recipes"
local signatures = require "ligase.omics.signatures"
local source = require "ligase.omics.signatures.source"
local store = require "ligase.store.signatures"
local text = require "ligase.base.text"

local M = {}

M.description = "Loads, lists, shows and deletes signatures, and says which programs they matter to: named "
  .. "sets of features with directions and weights. A "
  .. "table has a column of features and may have columns of directions (up, down, ↑, ↓, +1, -1), weights, feature "
  .. "types and signatures; GMT, GMX, rank files (.rnk) and plain lists are read too. Comments at the top of a file "
  .. "(# disease: ALS; FTD) and the options say what else is known. The same file again changes nothing; a changed "
  .. "signature becomes its next version."
M.example = [[
  ligase signature load als_core.tsv --disease ALS --matrix CSF
  ligase signature load hallmarks.gmt --type MSigDB --version 7.0
  ligase signature update als_core --program ALS
  ligase signature list --program ALS
  ligase signature show als_core
  ligase signature delete HALLMARK_HYPOXIA@7.0]]

M.surplus = "load takes FILE..., update, show and delete take a signature"

local ACTIONS = { "load", "update", "list", "show", "delete" }

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("ACTION", "load, update, list, show or delete."):target("action"):argname("ACTION")
    :convert(parsing.one_of("the action", ACTIONS))
  parser:argument("WORD", "load: FILE...; update, show, delete: a signature's name, NAME@VERSION or id.")
    :target("words"):argname("WORD"):args("*")
  parser:option("--name", "load: its name; the file's without its ending."):argname("NAME")
    :convert(parsing.name("--name"))
  parser:option("--version", "load: its version; counted from 1 without it."):argname("VERSION")
    :convert(parsing.name("--version"))
  parser:option("--type", "load: what kind of signature it is: consortium, literature, ..."):argname("TYPE")
    :convert(parsing.name("--type"))
  parser:option("--source", "load: where it comes from; the file without it."):argname("TEXT")
    :convert(parsing.name("--source"))
  parser:option("--description", "load: what it is."):argname("TEXT"):convert(parsing.name("--description"))
  for _, list in ipairs { "disease", "matrix", "organism" } do
    parser:option("--" .. list, "load: " .. list .. "; may be given again."):argname("TERM"):count("*")
      :convert(parsing.name("--" .. list))
  end
  parser:option("--feature-type", "load: what its features are: lipid, gene, protein or metabolite."):argname("TYPE")
    :convert(parsing.one_of("--feature-type", signatures.FEATURE_TYPES))
  parser:option("--direction", "load: of features of which the file says none: up or down."):argname("WAY")
    :convert(parsing.one_of("--direction", { "up", "down" }))
  parser:flag("--pair", "load: sets called X_UP and X_DN become one signature, X.")
  parser:flag("--replace", "load: a changed one takes the place of the version that is there.")
  parser:flag("--dry-run", "load: say what would be read and write nothing.")
  parser:option("--recipe", "load: a recipe of signatures."):argname("NAME"):default("signatures")
  parser:option("--file-format", "load: " .. table.concat(signatures.FORMATS, ", ") .. ", instead of detection.")
    :argname("NAME"):convert(parsing.one_of("--file-format", signatures.FORMATS))
  parser:option("--program", "update: a program that it matters to; may be given again, and replaces what it had; '' "
    .. "takes all away. list: only those of this program."):argname("PROGRAM"):target("programs"):count("*")
  parser:option("--notion-page", "update: the Notion page that shows it: its id or link; '' unlinks the one it has.")
    :argname("PAGE"):target("notion_page_id")
  parser:flag("--create", "update: make programs that are not there.")
  parser:flag("--all", "list: earlier versions too.")
  parser:flag("--scores", "delete: its scores too.")
  reading.configure_dialect(parser, "load: a column's role: feature, direction, weight, feature_type, signature or "
    .. "ignore. May be given again.")
  output.add_format(parser)
end

local function refuse(message, hint)
  errors.raise { kind = "usage", code = "usage", message = message, hint = hint or "See: ligase signature --help" }
end

local function one_word(words, what)
  if #words ~= 1 then
    refuse(("'signature %s' takes one signature, not %d"):format(what, #words))
  end
  return words[1]
end

-- ---- load ------------------------------------------------------------------

--- Terms of repeated options; nil where none was given.
local function terms_of(given)
  local terms = #given > 0 and source.terms(table.concat(given, ";")) or nil
  return terms and #terms > 0 and terms or nil
end

--- What the options say of signatures, as ligase.omics.signatures takes it.
---@param arguments table as parsed
---@return table given
---@return table told what the journal keeps of it
function M.given_of(arguments)
  local about = { name = arguments.name, version = arguments.version, type = arguments.type,
    source = arguments.source, description = arguments.description, disease = terms_of(arguments.disease),
    matrix = terms_of(arguments.matrix), organism = terms_of(arguments.organism) }
  local how = reading.dialect_of(arguments)
  local given = { about = about, feature_type = arguments.feature_type, direction = arguments.direction,
    pair = arguments.pair, format = arguments.file_format, set = how.set,
    dialect = next(how.dialect) and how.dialect or nil }
  return given, { about = about, feature_type = arguments.feature_type, direction = arguments.direction,
    pair = arguments.pair }
end

local actions = {}

function actions.load(arguments, context)
  if #arguments.words == 0 then
    refuse("'signature load' needs a file", "For example: ligase signature load als_core.tsv")
  elseif arguments.name and #arguments.words > 1 then
    refuse("--name is for one file, and several were given", "Leave it out")
  end
  local recipe = recipes.load_any(arguments.recipe)
  if not recipes.is_other(recipe) or recipe.what ~= "signatures" then
    refuse(("the recipe '%s' is none for signatures"):format(recipe.name),
      "It must end with: return signature_recipe.recipe { ... }")
  end
  local given, told = M.given_of(arguments)
  return loading.load_all(context, arguments.words, { recipe = recipe, given = given, command = "signature load",
    replace = arguments.replace, dry_run = arguments.dry_run, arguments = told })
end

-- ---- the others ------------------------------------------------------------

function actions.update(arguments, context)
  local word = one_word(arguments.words, "update")
  if #arguments.programs == 0 and not arguments.notion_page_id then
    refuse("it is not said which programs it matters to", "Say --program PROGRAM, or --notion-page PAGE. "
      .. "What else is said of a signature is part of its version: load its file again, with --replace for this one")
  end
  local id = store.find(context:open_existing(), word).id
  entity_command.update("signature", id, { action = "update", words = { word }, programs = arguments.programs,
    notion_page_id = arguments.notion_page_id, create = arguments.create }, context)
end

function actions.list(arguments, context)
  if #arguments.words > 0 then
    refuse("'signature list' takes no words")
  end
  local conn = context:open_if_there()
  if conn then
    local program = arguments.programs[1]
    output.print(store.list(conn, arguments.all, program and entities.find(conn, "program", program).id),
      arguments.format)
  end
end

local function or_dash(value)
  return (value == nil or value == pg.null or value == "") and "-" or tostring(value)
end

function actions.show(arguments, context)
  local conn = context:open_existing()
  local signature = store.find(conn, one_word(arguments.words, "show"))
  local components = store.components(conn, signature.id)
  if arguments.format ~= "table" then
    output.print(components, arguments.format)
    return
  end
  output.write(text.table {
    { "signature", signature.name }, { "version", ("%s of %s"):format(signature.version,
      table.concat(store.versions(conn, signature), ", ")) }, { "type", or_dash(signature.signature_type) },
    { "description", or_dash(signature.description) }, { "source", or_dash(signature.source) },
    { "disease", or_dash(table.concat(signature.disease, "; ")) },
    { "matrix", or_dash(table.concat(signature.matrix, "; ")) },
    { "organism", or_dash(table.concat(signature.organism, "; ")) },
    { "programs", or_dash(table.concat(store.programs(conn, signature.id), "; ")) },
    { "loaded", ("%s by run %s"):format(signature.created_at, or_dash(signature.run_id)) },
    { "id", signature.id },
  })
  output.write("\n")
  output.print(components, "table")
end

function actions.delete(arguments, context)
  local conn = context:open_existing()
  local signature = store.find(conn, one_word(arguments.words, "delete"))
  local scores = store.delete(conn, signature, { scores = arguments.scores,
    outbox = context:outbox() })
  output.write(("%s: version %s deleted%s\n"):format(text.printable(signature.name),
    text.printable(signature.version), scores > 0 and ", with " .. text.count(scores, "score") or ""))
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer|nil status
function M.run(arguments, context)
  return actions[arguments.action](arguments, context)
end

return M
