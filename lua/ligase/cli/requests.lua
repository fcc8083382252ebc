--- What the options of `ligase ingest` and `ligase run` mean for each of their files.
local alias_lookup = require "ligase.store.alias_lookup"
local errors = require "ligase.base.errors"
local ingest = require "ligase.intake.ingest"
local ingestion = require "ligase.store.ingestion"
local parsing = require "ligase.cli.parsing"
local reading = require "ligase.cli.reading"
local text = require "ligase.base.text"

local M = {}

--- One program or experiment as its name, several as a list, none as nil.
local function names_of(given)
  if type(given) == "table" and #given < 2 then
    return given[1]
  end
  return given
end

--- What the options say, as ligase.intake.ingest takes it, for all files.
---@param arguments table as parsed
---@param context ligase.context
---@param command string what the journal calls it
---@param resolvers table|nil from M.resolvers
---@return ligase.ingest_options
function M.options_of(arguments, context, command, resolvers)
  local how = reading.options_of(arguments)
  return {
    command = command, dialect = how.dialect, set = how.set, format = how.format, samples = how.samples,
    program = names_of(arguments.program), experiment = names_of(arguments.experiment), create = arguments.create,
    organism = arguments.organism, tag = arguments.tag,
    force = arguments.force, linking = context.config:get "ENABLE_FEATURE_LINKING",
    outbox = context:outbox(), create_page = arguments.create_page, notion_page_id = arguments.notion_page_id,
    resolvers = resolvers,
  }
end

--- Adds the options that say what the files' datasets belong to.
---@param parser table
function M.configure_links(parser)
  parser:option("--program", "The program it belongs to: its name, id, id elsewhere, or Notion page. May be given "
    .. "again."):argname("PROGRAM"):convert(parsing.name("--program")):count("*")
  parser:option("--experiment", "The experiment it comes from, likewise."):argname("EXPERIMENT")
    :convert(parsing.name("--experiment")):count("*")
  parser:flag("--create", "Make programs and experiments that are not there.")
end

--- Refuses programs and experiments that are not there, before any file is read.
---@param conn table|nil nil: nothing is known of the database
---@param arguments table as parsed
---@param is_bare boolean|nil there is no database yet
function M.check_links(conn, arguments, is_bare)
  local given = { program = arguments.program, experiment = arguments.experiment, create = arguments.create }
  if conn then
    ingestion.check_links(conn, given)
  elseif is_bare and not arguments.create then
    for _, kind in ipairs { "program", "experiment" } do
      local word = arguments[kind] and arguments[kind][1]
      if word then
        errors.raise { kind = "usage", code = "unknown_" .. kind, hint = "To make it: --create",
          message = ("there is no %s '%s'"):format(kind, text.printable(word)) }
      end
    end
  end
end

--- What the files of one process share. Alias tables are asked where there are some.
---@param context ligase.context
---@param conn table|nil
---@return table
function M.resolvers(context, conn)
  return ingest.resolvers(conn and alias_lookup.open(conn, function()
    return context:open()
  end))
end

--- The options for one file.
---@param options ligase.ingest_options
---@param name string|nil its dataset's name
---@param batch_id string|nil the journal's mark of files that came together
---@return ligase.ingest_options
function M.options_for(options, name, batch_id)
  local own = {}
  for key, value in pairs(options) do
    own[key] = value
  end
  own.name, own.batch_id = name, batch_id
  return own
end

return M
