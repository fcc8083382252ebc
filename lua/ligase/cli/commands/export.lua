--- `ligase export DATASET`: the table again.
local csv_writer = require "ligase.io.csv_writer"
local datasets = require "ligase.store.datasets"
local json = require "ligase.base.json"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local pg = require "pg"

local M = {}

M.description = "Gives back the source's table: same columns, same rows, same order, same values; missing values by "
  .. "their own mark. jsonl writes one object per row, with the feature it was linked to."
M.example = [[
  ligase export plasma_lipids > plasma_lipids.csv
  ligase export plasma_lipids --revision 1 --format tsv
  ligase export plasma_lipids --format jsonl | head -1]]

local FORMATS = { "csv", "tsv", "jsonl" }

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("DATASET", "The dataset's name, id, or an unambiguous start of one.")
    :target("dataset"):argname("DATASET")
  parser:option("--format", "csv, tsv or jsonl."):argname("FORMAT")
    :convert(parsing.one_of("--format", FORMATS)):default("csv")
  parser:option("--revision", "Another revision than the current one."):argname("N")
    :convert(parsing.whole_number("--revision", 1))
  parser:flag("--excel-safe", "Put an apostrophe before text that a spreadsheet would run as a formula.")
end

local function is_json_number(cell)
  local whole, rest = cell:match("^%-?(%d+)(.*)$")
  if not whole or whole:find("^0%d") then
    return false
  end
  rest = rest:gsub("^%.%d+", "", 1)
  return rest == "" or rest:find("^[eE][+-]?%d+$") ~= nil
end

--- Numbers as they are, if JSON has them (it has no infinity).
local function json_cell(column, cell, missing)
  if missing then
    return "null"
  end
  return column.type == "number" and is_json_number(cell) and cell or json.encode(cell)
end

local function write_json_lines(columns, rows)
  local keys = {}
  for i, column in ipairs(columns) do
    keys[i] = json.encode(column.name) .. ":"
  end
  for cells, row in rows do
    local fields = {}
    for i, column in ipairs(columns) do
      local value = column.type == "number" and row.values[column.slot]
      local kept = row.cells ~= pg.null and row.cells[tostring(column.position)]
      fields[i] = keys[i] .. json_cell(column, cells[i], value == pg.null and not kept)
    end
    output.write(('{"row":%d,"feature":%s,"columns":{%s}}\n'):format(row.ordinal,
      row.feature == pg.null and "null" or json.encode(row.feature), table.concat(fields, ",")))
  end
end

local function write_table(columns, rows, arguments)
  local writer = csv_writer.new(io.stdout, arguments.format, { excel_safe = arguments.excel_safe })
  local header = {}
  for i, column in ipairs(columns) do
    header[i] = column.name
  end
  writer:row(header)
  for cells in rows do
    writer:row(cells)
  end
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn = context:open_existing()
  local dataset = datasets.find(conn, arguments.dataset)
  local revision = datasets.revision(conn, dataset, arguments.revision)
  io.stdout:setvbuf("full", 1 << 16)
  if arguments.format == "jsonl" then
    write_json_lines(revision.columns, datasets.source_rows(conn, dataset, revision))
  else
    -- The source's own decimal mark: cells that were kept as text have it too.
    write_table(revision.columns, datasets.source_rows(conn, dataset, revision, revision.dialect.decimal), arguments)
  end
end

return M
