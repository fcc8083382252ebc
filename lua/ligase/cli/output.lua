--- Results for people and for programs, on standard output.
local host = require "host"

local M = {}

M.FORMATS = { "table", "csv", "tsv", "json", "jsonl" }

local EPIPE, NO_PIPE = 32, "closed_pipe"

-- ---- writing ---------------------------------------------------------------

local function refuse(why, code)
  require("ligase.base.errors").raise { kind = "system", code = code == EPIPE and NO_PIPE or "write",
    message = "cannot write the output: " .. tostring(why), errno = code,
    hint = "Look for room on the disk that the output goes to" }
end

--- Writes text to standard output and raises when it cannot be written.
---@param text string
function M.write(text)
  local done, why, code = io.stdout:write(text)
  if not done then
    refuse(why, code)
  end
end

local lost -- what a push could not write

--- Writes out what is held back. Work that is worth more than its output goes on when
--- that fails; the next flush raises it.
function M.push()
  local done, why, code = io.stdout:flush()
  if not done then
    lost = lost or { why, code }
  end
end

--- Writes out what is still held back, and raises when it cannot be written.
function M.flush()
  M.push()
  if lost then
    local why, code = lost[1], lost[2]
    lost = nil
    refuse(why, code)
  end
end

--- Whether a failure only says that the reader of our output has had enough, as in
--- `ligase export x | head -1`. That is no failure of ours.
---@param failure any
---@return boolean
function M.is_closed_pipe(failure)
  return require("ligase.base.errors").is(failure, "system") and rawget(failure, "errno") == EPIPE
    and (failure.code == NO_PIPE or failure.code == "write")
end

-- ---- formats ---------------------------------------------------------------

local NUMERIC = { int2 = true, int4 = true, int8 = true, float4 = true, float8 = true, numeric = true, oid = true }

--- A value as JSON text: numbers and booleans bare, JSON as it is, all else a string.
local function json_value(json, value, type_name)
  if value == host.null then
    return "null"
  elseif type_name == "json" or type_name == "jsonb" then
    return value
  elseif type_name == "bool" then
    return value == "t" and "true" or "false"
  elseif NUMERIC[type_name] and value:find("^%-?%d") then
    return value
  end
  return json.encode(value)
end

--- A function that makes a row one JSON object.
local function json_row(columns)
  local json = require "ligase.base.json"
  local names = {}
  for i, column in ipairs(columns) do
    names[i] = json.encode(column.name) .. ":"
  end
  return function(row)
    local fields = {}
    for i, column in ipairs(columns) do
      fields[i] = names[i] .. json_value(json, row[i], column.type)
    end
    return "{" .. table.concat(fields, ",") .. "}"
  end
end

local function header_of(columns)
  local header = {}
  for i, column in ipairs(columns) do
    header[i] = column.name
  end
  return header
end

local printers = {}

function printers.json(columns, rows)
  local object, before = json_row(columns), "["
  for row in rows do
    M.write(before .. object(row))
    before = ",\n "
  end
  M.write(before == "[" and "[]\n" or "]\n")
end

function printers.jsonl(columns, rows)
  local object = json_row(columns)
  for row in rows do
    M.write(object(row) .. "\n")
  end
end

--- As COPY writes it: NULL is an empty field, an empty text is "".
local function csv_cell(value, special)
  if value == host.null then
    return ""
  elseif value == "" or value:find(special) then
    return '"' .. value:gsub('"', '""') .. '"'
  end
  return value
end

local function print_separated(columns, rows, separator)
  local special = '["\r\n' .. separator .. "]"
  local function write_row(row)
    local cells = {}
    for i = 1, #columns do
      cells[i] = csv_cell(row[i], special)
    end
    M.write(table.concat(cells, separator) .. "\n")
  end
  write_row(header_of(columns))
  for row in rows do
    write_row(row)
  end
end

function printers.csv(columns, rows)
  print_separated(columns, rows, ",")
end

function printers.tsv(columns, rows)
  print_separated(columns, rows, "\t")
end

--- Columns that line up need all rows at once.
function printers.table(columns, rows)
  local text = require "ligase.base.text"
  local all = {}
  for row in rows do
    all[#all + 1] = row
  end
  M.write(text.table(all, { header = header_of(columns) }))
  M.write(("(%s)\n"):format(text.count(#all, "row")))
end

--- Prints rows as they come; only "table" holds them all.
---@param columns {name: string, type: string}[]
---@param rows fun(): string[]|nil an iterator over rows of Postgres' own texts
---@param format string one of M.FORMATS
function M.print_rows(columns, rows, format)
  io.stdout:setvbuf("full", 1 << 16)
  printers[format](columns, rows)
end

--- Prints a result of conn:table.
---@param result table
---@param format string one of M.FORMATS
function M.print(result, format)
  local at = 0
  M.print_rows(result.columns, function()
    at = at + 1
    return result[at]
  end, format)
end

--- Adds --format to a command's parser.
---@param parser table
function M.add_format(parser)
  parser:option("--format", "How to print it: " .. table.concat(M.FORMATS, ", ") .. "."):argname("FORMAT")
    :convert(require("ligase.cli.parsing").one_of("--format", M.FORMATS)):default("table")
end

return M
