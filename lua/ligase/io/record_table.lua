--- Tables with one record per row: which column holds which field is found by the header.
---
--- A header is compared without case, blanks and marks with the words that are known for
--- each field; `field.member` names a member of a field that is an object. What no word fits
--- is left out and said; two columns for one field are refused. An empty cell, or one with a
--- mark for a missing value, says nothing.
local csv = require "csv"
local dialect = require "ligase.io.dialect"
local errors = require "ligase.base.errors"
local text = require "ligase.base.text"

local M = {}

--- What stands in a cell that says nothing.
local MISSING = { "", "NA", "N/A", "#N/A", "null", "NULL", "NaN", "-" }

---@class ligase.record
---@field line integer of the file
---@field cells table<string, string> by field, or field.member; those that say something

---@class ligase.record_table
---@field records ligase.record[]
---@field columns {position: integer, header: string, field: string|nil}[] in file order
---@field positions table<string, integer> by field
---@field dialect ligase.dialect
---@field info table the reader's: bytes, sha256, header_line, rows

--- A header as it is compared.
---@param header string
---@return string
function M.plain(header)
  return (header:gsub("[%s%p]", ""):lower())
end

local function refuse(source, line, column, message, hint)
  errors.raise { kind = "input", code = "table", file = source.shown, line = line, column = column, message = message,
    hint = hint }
end

--- The fields by their words. A word of two fields is the recipe's mistake.
local function fields_by_word(columns)
  local by_word = {}
  for field, words in pairs(columns) do
    local own = { field, table.unpack(words) }
    for _, word in ipairs(own) do
      local plain = M.plain(word)
      if by_word[plain] and by_word[plain] ~= field then
        errors.raise { kind = "usage", code = "recipe", message = ("'%s' is a word of both %s and %s"):format(word,
          by_word[plain], field), hint = "Take it from one of them" }
      end
      by_word[plain] = field
    end
  end
  return by_word
end

--- The field of a header, or nil.
local function field_of(header, by_word, members)
  local field = by_word[M.plain(header)]
  if field then
    return field
  end
  local owner, member = header:match("^%s*([%w_ ]-)%s*[.:]%s*(.-)%s*$")
  owner = owner and by_word[M.plain(owner)]
  if owner and members[owner] and member ~= "" then
    return owner .. "." .. member
  end
end

--- What people said of columns, checked: each is there, and each field is one.
local function check_set(source, headers, set, columns, members)
  local known = {}
  for field in pairs(columns) do
    known[#known + 1] = field
  end
  table.sort(known)
  for column, field in pairs(set) do
    local is_there = false
    for _, header in ipairs(headers) do
      is_there = is_there or header == column
    end
    if not is_there then
      local near = text.nearest(column, headers)
      refuse(source, nil, nil, ("there is no column '%s'"):format(text.printable(column)),
        near and ("Did you mean '%s'?"):format(text.printable(near)) or "Headers are written as in the file")
    end
    local owner = field:match("^([%w_]+)%.")
    if not columns[field] and not (owner and members[owner]) and field ~= "ignore" then
      local near = text.nearest(field, known)
      refuse(source, nil, nil, ("there is no field '%s'"):format(text.printable(field)),
        (near and ("Did you mean '%s'? "):format(near) or "") .. "Fields: " .. table.concat(known, ", ") .. ", ignore")
    end
  end
end

local function plan_columns(source, headers, line, options)
  local members, set = options.members or {}, options.set or {}
  local by_word = fields_by_word(options.columns)
  check_set(source, headers, set, options.columns, members)
  local columns, positions = {}, {}
  for position, header in ipairs(headers) do
    local field = set[header] or field_of(header, by_word, members)
    field = field ~= "ignore" and field or nil
    if field and positions[field] then
      refuse(source, line, position, ('the columns "%s" and "%s" are both for %s'):format(
        text.printable(headers[positions[field]]), text.printable(header), field),
        ("Say which one is not: --set '%s=ignore'"):format(text.printable(header)))
    end
    columns[position] = { position = position, header = header, field = field }
    if field then
      positions[field] = position
    end
  end
  for field, position in pairs(positions) do
    local owner = field:match("^([%w_]+)%.")
    if owner and positions[owner] then
      refuse(source, line, position, ('the columns "%s" and "%s" are both for %s'):format(
        text.printable(headers[positions[owner]]), text.printable(headers[position]), owner),
        ("Say that one is not: --set '%s=ignore'"):format(text.printable(headers[position])))
    end
  end
  for _, field in ipairs(options.required or {}) do
    if not positions[field] then
      refuse(source, line, nil, ("there is no column for %s"):format(field),
        ("Its header may be: %s. Or say which it is: --set COLUMN=%s"):format(
          table.concat(options.columns[field], ", "), field))
    end
  end
  return columns, positions
end

local function marks_of(given)
  local marks = {}
  for _, mark in ipairs(given or MISSING) do
    marks[mark] = true
  end
  marks[""] = true
  return marks
end

local function record_of(frame, row, columns, marks)
  local cells, texts, any = {}, frame:row(row), false
  for position, column in ipairs(columns) do
    local cell = texts[position] and texts[position]:match("^%s*(.-)%s*$") or ""
    any = any or cell ~= ""
    if column.field and not marks[cell] then
      cells[column.field] = cell
    end
  end
  return any and { line = frame:line(row), cells = cells } or nil
end

local function read(source, options)
  local given = options.dialect or {}
  local found = dialect.detect(source.path, given)
  local reader <close> = csv.frames(source.path, dialect.reader_options(found))
  local headers = reader:names()
  local columns, positions = plan_columns(source, headers, reader:info().header_line, options)
  local marks, records = marks_of(given.missing), {}
  for frame in reader do
    for row = 1, #frame do
      records[#records + 1] = record_of(frame, row, columns, marks)
    end
    frame:close()
  end
  local info = reader:info()
  if #records == 0 then
    refuse(source, info.header_line, nil, "the table has no rows", "Is the header all there is?")
  end
  return { records = records, columns = columns, positions = positions, dialect = found, info = info }
end

--- Reads a table of records. Raises "input" with file, line and column for what is none.
---@param source ligase.source
---@param options {columns: table<string, string[]>, members: table<string, boolean>|nil, required: string[]|nil,
--- set: table<string, string>|nil, dialect: table|nil} columns: the words for each field; members: fields whose members
--- may have columns of their own; set: field by header, or "ignore", as a person says it
---@return ligase.record_table
function M.read(source, options)
  local done, result = xpcall(read, errors.explained, source, options)
  if done then
    return result
  elseif result.file == source.path then
    result.file = source.shown
  end
  error(result, 0)
end

return M
