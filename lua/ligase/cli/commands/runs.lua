--- `ligase runs`: the journal.
local host = require "host"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local run_finding = require "ligase.store.run_finding"
local run_lines = require "ligase.store.run_lines"
local runs = require "ligase.store.runs"

local M = {}

M.description = "Lists the runs, the latest first: what was read by which recipe, how it ended, and why it failed. In "
  .. "a table ids are as short as they can be, and runs of one batch that follow one another are one line; --batch "
  .. "lists them one by one. The other formats have every run, with its whole id and its batch."
M.example = [[
  ligase runs
  ligase runs --batch last
  ligase runs --limit 100 --format jsonl]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:option("--limit", "How many."):argname("N"):convert(parsing.whole_number("--limit", 1)):default("20")
  parser:option("--batch", "Only the runs of that batch, one by one: its id, a start of it, or last."):argname("BATCH")
  output.add_format(parser)
end

local COLUMNS = {}
for i, name in ipairs { "run", "started", "seconds", "command", "recipe", "outcome", "source", "rows", "new_features",
  "error" } do
  COLUMNS[i] = { name = name, type = "text" }
end

local function print_lines(lines)
  local at = 0
  output.print_rows(COLUMNS, function()
    at = at + 1
    local line = lines[at]
    if not line then
      return nil
    end
    local row = {}
    for i, column in ipairs(COLUMNS) do
      local value = line[column.name]
      row[i] = value == nil and host.null or column.name == "seconds" and ("%.2f"):format(value) or tostring(value)
    end
    return row
  end, "table")
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn = context:open_if_there()
  if not conn then
    return
  end
  local batch = arguments.batch and run_finding.batch(conn, arguments.batch)
  if arguments.format == "table" then
    print_lines(run_lines.latest(conn, arguments.limit, batch))
  else
    output.print(runs.list(conn, arguments.limit, batch), arguments.format)
  end
end

return M
