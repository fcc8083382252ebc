--- Results for people and for programs.
local csv_writer = require "ligase.io.csv_writer"
local json = require "ligase.base.json"
local pg = require "pg"
local text = require "ligase.base.text"

local M = {}

M.FORMATS = { "table", "csv", "tsv", "json", "jsonl" }

local function plain_rows(result)
  local rows = {}
  for i, row in ipairs(result) do
    local cells = {}
    for k = 1, #result.columns do
      cells[k] = row[k] == pg.null and "" or row[k]
    end
    rows[i] = cells
  end
  return rows
end

local function header_of(result)
  local header = {}
  for i, column in ipairs(result.columns) do
    header[i] = column.name
  end
  return header
end

local NUMERIC = { int2 = true, int4 = true, int8 = true, float4 = true, float8 = true, numeric = true, oid = true }

--- A value as JSON text: numbers and booleans bare, JSON as it is, all else a string.
local function json_value(value, type_name)
  if value == pg.null then
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

local function json_lines(result)
  local lines = {}
  for i, row in ipairs(result) do
    local fields = {}
    for k, column in ipairs(result.columns) do
      fields[k] = json.encode(column.name) .. ":" .. json_value(row[k], column.type)
    end
    lines[i] = "{" .. table.concat(fields, ",") .. "}"
  end
  return lines
end

--- Prints a result of conn:table.
---@param result table
---@param format string one of M.FORMATS
---@param options {excel_safe: boolean|nil}|nil
function M.print(result, format, options)
  local out = io.stdout
  if format == "json" then
    csv_writer.write(out, "[" .. table.concat(json_lines(result), ",\n ") .. "]\n")
  elseif format == "jsonl" then
    for _, line in ipairs(json_lines(result)) do
      csv_writer.write(out, line .. "\n")
    end
  elseif format == "table" then
    csv_writer.write(out, text.table(plain_rows(result), { header = header_of(result) }))
    csv_writer.write(out, ("(%s)\n"):format(text.count(#result, "row")))
  else
    local writer = csv_writer.new(out, format, options)
    writer:row(header_of(result))
    for _, row in ipairs(plain_rows(result)) do
      writer:row(row)
    end
  end
end

--- Adds --format to a command's parser.
---@param parser table
function M.add_format(parser)
  parser:option("--format", "How to print it: " .. table.concat(M.FORMATS, ", ") .. "."):choices(M.FORMATS)
    :default("table")
end

return M
