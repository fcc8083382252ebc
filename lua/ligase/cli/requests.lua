--- What the options of `ligase ingest` and `ligase run` mean for each of their files.
local alias_lookup = require "ligase.store.alias_lookup"
local ingest = require "ligase.ingest"
local reading = require "ligase.cli.reading"

local M = {}

--- What the options say, as ligase.ingest takes it, for all files.
---@param arguments table as parsed
---@param context ligase.context
---@param command string what the journal calls it
---@param resolvers table|nil from M.resolvers
---@return ligase.ingest_options
function M.options_of(arguments, context, command, resolvers)
  local how = reading.options_of(arguments)
  return {
    command = command, dialect = how.dialect, set = how.set, format = how.format, samples = how.samples,
    program = arguments.program, experiment = arguments.experiment, organism = arguments.organism,
    force = arguments.force, linking = context.config:get "ENABLE_FEATURE_LINKING",
    outbox = context.config:get "ENABLE_NOTION_SYNC" or context.config:get "ENABLE_DUAL_WRITE",
    resolvers = resolvers,
  }
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
