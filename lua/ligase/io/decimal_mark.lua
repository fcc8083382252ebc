--- Whether the numbers of a table are written with a decimal comma, and where that cannot be told.
local M = {}

--- So many cells are looked at, or so many that say something.
local LOOK_CELLS, TELLING_CELLS = 2000, 150

local function line_at(head, at)
  return head:match("^[^\r\n]*", at)
end

--- What a cell says about the decimal mark: "," or ".", "?," or "?." when the mark may
--- as well part thousands, nil when it says nothing.
local function mark_of(cell)
  local digits = cell:match("^%s*[-+]?([%d.,]+)[eE]?[-+]?%d*%%?%s*$")
  if not digits then
    return nil
  end
  local comma, point = digits:find(",", 1, true), digits:find(".", 1, true)
  if comma and point then -- the last one is the decimal mark
    return digits:match("^.*([.,])")
  elseif comma then
    if digits:find(",.*,") then
      return digits:find("^[1-9]%d?%d?,%d%d%d[,%d]*$") and "." or nil
    end
    return digits:find("^[1-9]%d?%d?,%d%d%d$") and "?," or digits:find("%d$") and "," or nil
  elseif point then
    if digits:find("%..*%.") then
      return digits:find("^[1-9]%d?%d?%.%d%d%d%.%d%d%d[.%d]*$") and "," or nil
    end
    return digits:find("^[1-9]%d?%d?%.%d%d%d$") and "?." or "."
  end
  return nil
end

--- How often each mark was found among the first cells that say something, and the first cell of each.
---@return table<string, integer> counts
---@return table<string, {cell: string, at: integer}> firsts
local function count_marks(head, at, separator, quote)
  local counts, firsts = { [","] = 0, ["."] = 0, ["?,"] = 0, ["?."] = 0 }, {}
  local pattern = ("()([^%%%s\r\n]+)"):format(separator)
  if separator == "," then
    pattern = ("()%%%s([^%%%s]*)%%%s"):format(quote, quote, quote)
  end
  local seen, telling = 0, 0
  for place, cell in head:gmatch(pattern, at) do
    if quote and cell:sub(1, 1) == quote then
      cell = cell:sub(2, -2)
    end
    local mark = mark_of(cell)
    if mark then
      counts[mark] = counts[mark] + 1
      firsts[mark] = firsts[mark] or { cell = cell, at = place }
      telling = telling + 1
    end
    seen = seen + 1
    if telling == TELLING_CELLS or seen == LOOK_CELLS then
      break
    end
  end
  return counts, firsts
end

--- The cells of a part of a line, without their quote marks.
local function cells_of_line(line, separator, quote)
  local cells, from, is_quoted = {}, 1, false
  for i = 1, #line + 1 do
    local character = line:sub(i, i)
    if character == quote then
      is_quoted = not is_quoted
    elseif i > #line or character == separator and not is_quoted then
      cells[#cells + 1] = quote and line:sub(from, i - 1):gsub("%" .. quote, "") or line:sub(from, i - 1)
      from = i + 1
    end
  end
  return cells
end

--- Where a cell stands, for people: '"1,234" in the column "S1", line 2'.
local function place_of(head, header_at, first, dialect, has_header)
  local separator, quote = dialect.separator, dialect.quote
  local before = head:sub(1, first.at - 1)
  local line_start = (before:match(".*()[\r\n]") or 0) + 1
  local line = line_at(head, line_start)
  local position = #cells_of_line(before:sub(line_start), separator, quote)
  local header = has_header and cells_of_line(line_at(head, header_at), separator, quote) or {}
  if has_header and #cells_of_line(line, separator, quote) == #header + 1 then -- row names as R writes them
    table.insert(header, 1, "")
  end
  local _, line_count = before:gsub("\r?\n", "")
  if line_count == 0 then
    _, line_count = before:gsub("\r", "")
  end
  local name = header[position] or ""
  return ('"%s" in %s, line %d'):format(first.cell:match "^%s*(.-)%s*$",
    name ~= "" and ('the column "%s"'):format(name) or "column " .. position, line_count + 1)
end

--- Whether numbers are written with a decimal comma. Where the cells do not tell, they
--- are read with a point, and those with a comma are kept as text, with a doubt.
---@param head string the beginning of the file
---@param at integer where the header begins
---@param dialect table separator and quote are settled; gets doubts and decimal_doubt
---@param has_header boolean
---@return string mark "," or "."
function M.find(head, at, dialect, has_header)
  local separator, quote, doubts = dialect.separator, dialect.quote, dialect.doubts
  -- Where commas part the cells, only a quoted cell can hold one; semicolons are written where
  -- commas are decimal marks, and points may part thousands.
  local telltale = separator ~= "," and "," or quote
  if separator ~= ";" and not (telltale and head:find(telltale, at, true)) then
    return "."
  end
  local counts, firsts = count_marks(head, head:match("^[^\r\n]*\r?\n?()", at), separator, quote)
  local function doubt(form, ...)
    local places = {}
    for i, mark in ipairs { ... } do
      places[i] = place_of(head, at, firsts[mark], dialect, has_header)
    end
    dialect.decimal_doubt = form:format(table.unpack(places))
    doubts[#doubts + 1] = dialect.decimal_doubt
  end
  if counts[","] > 0 and counts["."] == 0 then
    if counts["?."] > 0 then
      doubt("the decimal mark is the comma (%s), and numbers like %s are kept as text: say --decimal . if their point "
        .. "is the decimal mark, --decimal , if it parts thousands", ",", "?.")
    end
    return ","
  elseif counts[","] > 0 then
    doubt("some numbers have a decimal comma (%s) and some a point (%s); those with a comma are kept as text: say "
      .. "--decimal , or --decimal .", ",", ".")
  elseif counts["?,"] > 0 and counts["."] == 0 then
    doubt("whether the comma is the decimal mark or parts thousands cannot be told from %s; such cells are kept as "
      .. "text: say --decimal , if it is the decimal mark, --decimal . if it parts thousands", "?,")
  elseif counts["?."] > 0 and counts["."] == 0 and separator == ";" then
    doubt("the point is taken for the decimal mark of numbers like %s: say --decimal , if it parts thousands", "?.")
  end
  return "."
end

return M
