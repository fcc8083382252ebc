--- `ligase runs`: the journal.
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local runs = require "ligase.store.runs"

local M = {}

M.description = "Lists the runs, the latest first: what was read by which recipe, how it ended, and why it failed."
M.example = [[
  ligase runs
  ligase runs --limit 100 --format jsonl]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:option("--limit", "How many."):argname("N"):convert(parsing.whole_number("--limit", 1)):default("20")
  output.add_format(parser)
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn = context:open_if_there()
  if conn then
    output.print(runs.list(conn, arguments.limit), arguments.format)
  end
end

return M
