local output = require "ligase.cli.output"
local runs = require "ligase.store.runs"

local M = {}

M.summary = "list what was done, and what failed"
M.example = [[
  ligase runs
  ligase runs --limit 100 --format jsonl]]

function M.configure(parser)
  parser:option("--limit", "How many, the latest first."):argname("N"):convert(math.tointeger):default("20")
  output.add_format(parser)
end

function M.run(arguments, context)
  output.print(runs.list(context:open(), arguments.limit), arguments.format)
end

return M
