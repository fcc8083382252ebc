--- `ligase history`: what became of a dataset.
local history = require "ligase.store.history"
local json = require "ligase.base.json"
local output = require "ligase.cli.output"

local M = {}

M.description = "Lists what became of a dataset, the oldest first: who read, changed, linked or took back what, when, "
  .. "and which revision counted afterwards. Also of datasets that are no longer there."
M.example = [[
  ligase history plasma_lipids
  ligase history --format jsonl plasma_lipids]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("DATASET", "The dataset's name, omics/name, id, or an unambiguous start of one."):target("dataset")
    :argname("DATASET")
  output.add_format(parser)
end

local COLUMNS = { { name = "when", type = "timestamptz" }, { name = "who", type = "text" },
  { name = "run", type = "text" }, { name = "command", type = "text" }, { name = "revision", type = "text" },
  { name = "what", type = "text" }, { name = "tag", type = "text" } }

local function revision_of(event)
  if event.revision_before == event.revision_after then
    return tostring(event.revision_after or "-")
  end
  return ("%s -> %s"):format(event.revision_before or "-", event.revision_after or "-")
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn = context:open_existing()
  local dataset = history.find(conn, arguments.dataset)
  local short = arguments.format == "table"
  local events, at = history.of(conn, dataset, short), 0
  output.print_rows(COLUMNS, function()
    at = at + 1
    local event = events[at]
    return event and { short and event.at:sub(1, 19) or event.at, event.who, event.id,
      event.command, revision_of(event), event.what, event.tag or json.null }
  end, arguments.format)
end

return M
