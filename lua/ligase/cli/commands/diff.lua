--- `ligase diff`: two revisions, cell by cell.
local json = require "ligase.base.json"
local naming = require "ligase.cli.naming"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local revision_diff = require "ligase.store.revision_diff"
local side_by_side = require "ligase.store.side_by_side"
local text = require "ligase.base.text"

local M = {}

M.description = "Sets two revisions side by side: rows and columns that were added or removed, and cells that changed. "
  .. "Rows are paired by their names, and rows of the same name in their order. First the counts, then some of the "
  .. "differences; --format csv or jsonl writes all of them, and the counts to standard error."
M.example = [[
  ligase diff plasma_lipids@1 plasma_lipids@2
  ligase diff plasma_lipids@1 plasma_lipids        # with the revision that counts
  ligase diff --format csv plasma_lipids@1 plasma_lipids@2 > changes.csv]]

local FORMATS = { "table", "csv", "jsonl" }

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("A", "DATASET@REVISION, or a dataset: its current revision."):target("a"):argname("A")
    :convert(naming.utf8_word)
  parser:argument("B", "The other one."):target("b"):argname("B"):convert(naming.utf8_word)
  parser:option("--limit", "How many differences are listed, 20 without it."):argname("N")
    :convert(parsing.whole_number("--limit", 0)):default("20")
  parser:option("--format", "How to print it: " .. table.concat(FORMATS, ", ") .. "."):argname("FORMAT")
    :convert(parsing.one_of("--format", FORMATS)):default("table")
end

local COLUMNS = { { name = "kind", type = "text" }, { name = "name", type = "text" }, { name = "feature",
  type = "text" }, { name = "row_before", type = "int8" }, { name = "row_after", type = "int8" },
  { name = "column", type = "text" }, { name = "before", type = "text" }, { name = "after", type = "text" } }

local function cells_of(difference)
  local cells = {}
  for i, column in ipairs(COLUMNS) do
    local value = difference[column.name]
    cells[i] = value == nil and json.null or tostring(value)
  end
  return cells
end

--- A source of rows for the printer over a callback.
local function pulled(conn, sides)
  local thread = coroutine.wrap(function()
    local counts = revision_diff.each(conn, sides, function(difference)
      coroutine.yield(cells_of(difference))
    end)
    coroutine.yield(nil, counts)
  end)
  local counts
  return function()
    local row, ended = thread()
    counts = ended
    return row
  end, function()
    return counts
  end
end

local function count_lines(counts)
  local lines = { ("rows     %s added, %s removed, %s changed in %s%s"):format(text.number(counts.rows_added),
    text.number(counts.rows_removed), text.number(counts.rows_changed), text.count(counts.cells_changed, "cell"),
    counts.rows_linked > 0 and (", %s linked to another feature"):format(text.number(counts.rows_linked)) or "") }
  for _, what in ipairs { "added", "removed" } do
    local names = counts["columns_" .. what]
    lines[#lines + 1] = #names > 0 and ("columns  %s %s: %s"):format(text.number(#names), what,
      text.shown(table.concat(names, ", "), 200)) or nil
  end
  return lines
end

local function print_some(conn, sides, limit)
  local listed, total = {}, 0
  local counts = revision_diff.each(conn, sides, function(difference)
    total = total + 1
    listed[#listed + 1] = #listed < limit and difference or nil
  end)
  output.write(table.concat(count_lines(counts), "\n") .. "\n")
  local rows, header = {}, {}
  for i, column in ipairs(COLUMNS) do
    header[i] = column.name:gsub("_", " ")
  end
  for i, difference in ipairs(listed) do
    rows[i] = {}
    for j, cell in ipairs(cells_of(difference)) do
      rows[i][j] = cell ~= json.null and text.printable(cell) or ""
    end
  end
  if #rows > 0 then
    output.write("\n" .. text.table(rows, { header = header }))
  end
  if total > #rows then
    output.write(("... and %s more; --format csv writes all\n"):format(text.number(total - #rows)))
  end
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn, sides = context:open_existing(), {}
  for i, word in ipairs { arguments.a, arguments.b } do
    local dataset, revision = side_by_side.find(conn, word)
    sides[i] = { dataset = dataset, revision = revision }
  end
  if arguments.format == "table" then
    print_some(conn, sides, arguments.limit)
    return
  end
  local next_row, counts = pulled(conn, sides)
  output.print_rows(COLUMNS, next_row, arguments.format)
  output.flush()
  io.stderr:write(table.concat(count_lines(counts()), "\n") .. "\n")
end

return M
