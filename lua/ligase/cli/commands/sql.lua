local errors = require "ligase.base.errors"
local output = require "ligase.cli.output"

local M = {}

M.summary = "run SQL and print the result"
M.description = "Runs one statement. The views measurement_values (one row per feature and sample) and effects "
  .. "(log2 fold change, p, adjusted p) are made for it; docs/schema.md describes them."
M.example = [[
  ligase sql "SELECT feature, sample, value FROM measurement_values WHERE dataset = 'plasma_lipids'"
  ligase sql --format csv "SELECT * FROM effects WHERE adjusted_p_value < 0.05" > hits.csv]]

function M.configure(parser)
  parser:argument("statement", "The SQL; - reads it from standard input."):argname("SQL")
  output.add_format(parser)
  parser:flag("--excel-safe", "Put an apostrophe before text that a spreadsheet would run as a formula.")
end

function M.run(arguments, context)
  local statement = arguments.statement
  if statement == "-" then
    statement = io.read("a")
  end
  if not statement:find("%S") then
    errors.raise { kind = "usage", code = "sql", message = "there is no SQL to run",
      hint = [[Example: ligase sql "SELECT * FROM dataset_overview"]] }
  end
  local conn = context:connect()
  local result = conn:table(statement)
  if result.columns and #result.columns > 0 then
    output.print(result, arguments.format, { excel_safe = arguments.excel_safe })
  else
    io.stderr:write(result.command or "done", "\n")
  end
end

return M
