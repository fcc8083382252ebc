--- `ligase export DATASET`: the table again, or its feature x sample table; and
--- `ligase export notion DIR`.
local csv_writer = require "ligase.io.csv_writer"
local datasets = require "ligase.store.datasets"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local pg = require "pg"
local pivot = require "ligase.store.pivot"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.description = "Gives back the source's table: same columns, same rows, same order, same values; missing values by "
  .. "their own mark. jsonl writes one object per row, with the feature it was linked to. --pivot writes one row per "
  .. "feature and one column per sample instead, also where the samples stand in the rows of the source. 'export "
  .. "notion DIR' keeps a readable copy, JSON and Markdown, of the Notion databases that the settings name; later it "
  .. "fetches what has changed."
M.example = [[
  ligase export plasma_lipids > plasma_lipids.csv
  ligase export plasma_lipids --revision 1 --format tsv
  ligase export plasma_lipids --format jsonl | head -1
  ligase export plasma_lipids --pivot --duplicates mean > matrix.csv
  ligase export notion notion_copy]]

M.surplus = "export takes one DATASET, or notion and a DIR"

local FORMATS = { "csv", "tsv", "jsonl" }

local function add_pivot(parser)
  parser:flag("--pivot", "One row per feature, one column per sample.")
  parser:option("--quantity", "With --pivot: what to take, where several quantities were measured."):argname("NAME")
  parser:option("--duplicates", "With --pivot: first, mean or sum of several values of one feature and sample; they "
    .. "are an error without it."):argname("HOW"):convert(parsing.one_of("--duplicates", pivot.DUPLICATES))
  parser:flag("--source-names", "With --pivot: features by their names in the source, however they were read.")
end

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("DATASET", "The dataset's name, id, or an unambiguous start of one.")
    :target("dataset"):argname("DATASET")
  parser:argument("DIR", "After notion: the folder of the copy."):target("folder"):argname("DIR"):args("?")
  parser:option("--database", "With notion: only this database, by its type (datasets), its setting or the short name "
    .. "of that (exp_data); may be given again."):argname("NAME"):count("*")
  parser:option("--format", "csv, tsv or jsonl."):argname("FORMAT")
    :convert(parsing.one_of("--format", FORMATS)):default("csv")
  parser:option("--revision", "Another revision than the current one."):argname("N")
    :convert(parsing.whole_number("--revision", 1))
  parser:flag("--excel-safe", "Put an apostrophe before text that a spreadsheet would run as a formula.")
  add_pivot(parser)
end

-- ---- JSON ------------------------------------------------------------------

local function is_json_number(cell)
  local whole, rest = cell:match("^%-?(%d+)(.*)$")
  if not whole or whole:find("^0%d") then
    return false
  end
  rest = rest:gsub("^%.%d+", "", 1)
  return rest == "" or rest:find("^[eE][+-]?%d+$") ~= nil
end

--- Numbers as they are, if JSON has them (it has no infinity).
local function json_cell(is_number, cell, missing)
  if missing then
    return "null"
  end
  return is_number and is_json_number(cell) and cell or json.encode(cell)
end

--- The beginnings of an object's members.
local function json_keys(names)
  local keys = {}
  for i, name in ipairs(names) do
    keys[i] = json.encode(name) .. ":"
  end
  return keys
end

local function names_of(columns)
  local names = {}
  for i, column in ipairs(columns) do
    names[i] = column.name
  end
  return names
end

local function write_json_lines(columns, rows)
  local keys = json_keys(names_of(columns))
  for cells, row in rows do
    local fields = {}
    for i, column in ipairs(columns) do
      local value = column.type == "number" and row.values[column.slot]
      local kept = row.cells ~= pg.null and row.cells[tostring(column.position)]
      fields[i] = keys[i] .. json_cell(column.type == "number", cells[i], value == pg.null and not kept)
    end
    output.write(('{"row":%d,"feature":%s,"columns":{%s}}\n'):format(row.ordinal,
      row.feature == pg.null and "null" or json.encode(row.feature), table.concat(fields, ",")))
  end
end

-- ---- the source's table ----------------------------------------------------

--- Takes off the empty cells by which a short row was filled up.
local function take_off_empty(cells)
  local last = #cells
  while last > 1 and cells[last] == "" do
    cells[last] = nil
    last = last - 1
  end
end

local function write_table(revision, rows, arguments)
  local writer = csv_writer.new(io.stdout, arguments.format, { excel_safe = arguments.excel_safe })
  local header, is_padded = datasets.written_header(revision), revision.dialect.ragged == "pad"
  if header then
    writer:row(header)
  end
  for cells in rows do
    if is_padded then
      take_off_empty(cells)
    end
    writer:row(cells)
  end
end

-- ---- the feature x sample table --------------------------------------------

local function write_pivot_json(out, table_of)
  local keys = json_keys(table_of.samples)
  for feature, cells in table_of:rows() do
    for i, cell in ipairs(cells) do
      cells[i] = keys[i] .. json_cell(true, cell, cell == "")
    end
    csv_writer.write(out, ('{"feature":%s,"values":{%s}}\n'):format(json.encode(feature), table.concat(cells, ",")))
  end
end

local function write_pivot(out, table_of, arguments)
  if arguments.format == "jsonl" then
    write_pivot_json(out, table_of)
    return
  end
  local writer = csv_writer.new(out, arguments.format, { excel_safe = arguments.excel_safe })
  writer:row(table.move(table_of.samples, 1, #table_of.samples, 2, { "feature" }))
  for feature, cells in table_of:rows() do
    table.insert(cells, 1, feature)
    writer:row(cells)
  end
end

local function copy_out(path)
  local file <close> = assert(io.open(path, "rb"))
  for block in file:lines(1 << 20) do
    output.write(block)
  end
end

--- Duplicates are known at the end of the table, and half a table is none: it is written to
--- a temporary file first.
local function write_checked(table_of, arguments)
  local folder = sys.temp_dir("ligase-export-")
  local done, failure = xpcall(function()
    local path = folder .. "/table"
    do
      local out <close> = assert(io.open(path, "wb"))
      out:setvbuf("full", 1 << 16)
      write_pivot(out, table_of, arguments)
      csv_writer.flush(out)
    end
    table_of:check()
    copy_out(path)
  end, errors.explained)
  sys.remove_tree(folder)
  if not done then
    error(failure, 0)
  end
end

local function tell_left_out(left_out)
  for _, what in ipairs {
    { left_out.names, "row without a name is", "rows without a name are" },
    { left_out.samples, "row without a sample is", "rows without a sample are" },
    { left_out.texts, "text beside numbers is", "texts beside numbers are" },
  } do
    if what[1] > 0 then
      io.stderr:write(("ligase: %s not in the table\n"):format(text.count(what[1], what[2], what[3])))
    end
  end
end

local function export_pivot(conn, dataset, revision, arguments)
  local table_of = pivot.open(conn, dataset, revision, { quantity = arguments.quantity,
    duplicates = arguments.duplicates, source_names = arguments.source_names,
    decimal = arguments.format ~= "jsonl" and revision.dialect.decimal or nil })
  if arguments.duplicates then
    write_pivot(io.stdout, table_of, arguments)
  else
    write_checked(table_of, arguments)
  end
  output.flush()
  tell_left_out(table_of.left_out)
end

-- ---- the command -----------------------------------------------------------

--- Whether it is Notion that is meant; what belongs to it is refused elsewhere.
local function is_notion(arguments)
  if arguments.dataset == "notion" and not arguments.folder then
    errors.raise { kind = "usage", code = "usage", message = "'export notion' needs the folder of the copy",
      hint = "For example: ligase export notion notion_copy; a dataset of that name is meant by omics/notion" }
  elseif arguments.dataset ~= "notion" and (arguments.folder or arguments.database[1]) then
    errors.raise { kind = "usage", code = "usage", message = arguments.folder
      and "export takes one DATASET, or notion and a DIR" or "--database belongs to 'export notion'",
      hint = "To standard output, and from there: ligase export DATASET > FILE" }
  end
  return arguments.dataset == "notion"
end

local function refuse_without_pivot(arguments)
  for word, given in pairs { ["--quantity"] = arguments.quantity, ["--duplicates"] = arguments.duplicates,
    ["--source-names"] = arguments.source_names } do
    if given and not arguments.pivot then
      errors.raise { kind = "usage", code = "pivot", message = word .. " belongs to --pivot",
        hint = "Add --pivot for the table of features and samples" }
    end
  end
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer|nil status
function M.run(arguments, context)
  if is_notion(arguments) then
    return require("ligase.cli.notion_export").run(arguments, context)
  end
  refuse_without_pivot(arguments)
  local conn = context:open_existing()
  local dataset = datasets.find(conn, arguments.dataset)
  local revision = datasets.revision(conn, dataset, arguments.revision)
  io.stdout:setvbuf("full", 1 << 16)
  if arguments.pivot then
    export_pivot(conn, dataset, revision, arguments)
  elseif arguments.format == "jsonl" then
    write_json_lines(revision.columns, datasets.source_rows(conn, dataset, revision))
  else
    -- The source's own decimal mark: cells that were kept as text have it too.
    write_table(revision, datasets.source_rows(conn, dataset, revision, revision.dialect.decimal), arguments)
  end
end

return M
