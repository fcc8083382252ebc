--- How a table of text is written: separator, header, decimal mark.
---
--- Looks at the first bytes of a source and says what it found and what it doubts.
--- Nothing here is final: every finding can be given instead, and is stored with the
--- dataset. What cannot be a table is refused by the reader, which knows line and byte;
--- what the columns mean is decided in ligase.omics.columns.
local csv = require "csv"
local decimal_mark = require "ligase.io.decimal_mark"

local M = {}

local HEAD_BYTES = 32 * 1024
--- Looked at when the first bytes hold less than LEAST_LINES lines: a header of
--- thousands of samples.
local LONG_HEAD_BYTES = 1024 * 1024
local LEAST_LINES = 4
local LOOK_RECORDS = 100
--- In order of preference when two fit equally well: tabs hardly ever stand in cells,
--- decimal commas often stand in tables with semicolons.
local SEPARATORS = { "\t", ";", ",", "|" }

--- The words that people may use for separators, and what they mean.
M.SEPARATOR_WORDS = { comma = ",", tab = "\t", ["\\t"] = "\t", semicolon = ";", bar = "|", space = " " }

--- From here on a way to split the rows is taken seriously.
local REGULAR = 0.9
--- A header one field short is how R writes row names, and rarer than a whole one.
local SHORT_HEADER = 0.95

--- A word for a separator, for people.
---@param separator string
---@return string
function M.separator_name(separator)
  for word, character in pairs(M.SEPARATOR_WORDS) do
    if character == separator and word:find("^%a+$") then
      return word
    end
  end
  return ("'%s'"):format(separator)
end

-- ---- lines -----------------------------------------------------------------

--- The place after the line that begins at `at`, nil when that line does not end.
local function after_line(head, at)
  local line_end = head:find("[\r\n]", at)
  if not line_end then
    return nil
  end
  return line_end + (head:sub(line_end, line_end + 1) == "\r\n" and 2 or 1)
end

--- Lines before the header that belong to no table: Excel's "sep=;" and a block of "#"
--- lines, the last of which may yet be the header.
---@return integer count, string|nil separator, integer at where the rest begins
local function leading_lines(head)
  local count, at = 0, 1
  local separator = head:match('^"?[sS][eE][pP]=(.)"?[\r\n]')
  if separator then
    count, at = 1, after_line(head, 1)
  end
  while head:byte(at) == 35 do -- #
    local after = after_line(head, at)
    if not after then
      break
    end
    count, at = count + 1, after
  end
  return count, separator, at
end

--- The head without the line it was cut in. Looked for from the end, because a pattern
--- over all of it takes longer than reading it.
local function whole_lines(head, complete)
  if complete then
    return head
  end
  local from_end = head:sub(-4096):reverse():find("[\r\n]") or head:reverse():find("[\r\n]")
  return from_end and head:sub(1, #head - from_end + 1) or head
end

local function has_lines(head, count)
  local at = 1
  for _ = 1, count do
    at = after_line(head, at)
    if not at then
      return false
    end
  end
  return true
end

--- The place of the line after `count` lines, or the last that there is.
---@param head string
---@param count integer
---@return integer
function M.after_lines(head, count)
  local at = 1
  for _ = 1, count do
    local after = after_line(head, at)
    if not after then
      break
    end
    at = after
  end
  return at
end

local function read_head(source, given)
  local head, info = csv.head(source, { encoding = given.encoding }, HEAD_BYTES)
  if not info.complete and not has_lines(head, LEAST_LINES) then
    head, info = csv.head(source, { encoding = given.encoding }, LONG_HEAD_BYTES)
  end
  return whole_lines(head, info.complete), info
end

-- ---- separator -------------------------------------------------------------

--- How well records of these widths make one table: the share of records that are
--- as wide as most, less when the header is not.
---@return number score, integer width
local function regularity(widths)
  local counts, common = {}, nil
  for i = 2, #widths do
    local width = widths[i]
    counts[width] = (counts[width] or 0) + 1
    if not common or counts[width] > counts[common] then
      common = width
    end
  end
  common = common or widths[1]
  if not common or common < 2 then
    return 0, common or 0
  end
  local fitting = counts[common] or 0
  if widths[1] == common then
    return (fitting + 1) / #widths, common
  elseif widths[1] == common - 1 then
    return (fitting + 1) / #widths * SHORT_HEADER, common
  end
  return fitting / #widths / 2, common
end

local function widths_of(head, dialect, separator, skip_lines)
  -- The head may end inside a quoted field; what was read before that counts.
  return (csv.widths({ text = head }, { separator = separator, skip_lines = skip_lines, quote = dialect.quote,
    comment = dialect.comment }, LOOK_RECORDS))
end

--- The separators that stand in the table's first lines, which are few.
local function candidates(head, at)
  local stop = at
  for _ = 1, LEAST_LINES do
    stop = after_line(head, stop) or #head + 1
  end
  local start, found = head:sub(at, stop - 1), {}
  for _, separator in ipairs(SEPARATORS) do
    if start:find(separator, 1, true) then
      found[#found + 1] = separator
    end
  end
  return found
end

--- The best of some separators, its score, and another one that is hardly worse.
local function best_of(separators, head, dialect)
  local best, best_score, rival, rival_score = nil, 0, nil, 0
  for _, separator in ipairs(separators) do
    local score = regularity(widths_of(head, dialect, separator, dialect.skip_lines))
    if score > best_score then
      best, best_score, rival, rival_score = separator, score, best, best_score
    elseif score > rival_score then
      rival, rival_score = separator, score
    end
  end
  local is_near = rival_score >= REGULAR and rival_score > best_score * SHORT_HEADER
  return best, best_score, is_near and rival or nil
end

local function choose_separator(head, at, dialect)
  local best, score, rival = best_of(candidates(head, at), head, dialect)
  if score < REGULAR then
    return best_of(SEPARATORS, head, dialect)
  end
  return best, score, rival
end

--- A "#" line as wide as the table is its header ("#Name<tab>S1<tab>S2"), not a comment.
local function header_among_comments(head, dialect)
  local without = widths_of(head, dialect, dialect.separator, dialect.skip_lines)
  local with = widths_of(head, dialect, dialect.separator, dialect.skip_lines - 1)
  local _, common = regularity(without)
  return common > 1 and with[1] == common
end

-- ---- lines before the table, cells that were left out -----------------------

--- Lines of text before the table, at most.
local PREAMBLE_MOST = 30
--- A table is taken for one behind such lines only when it is as regular as this.
local CLEAR = 0.98

local function line_at(head, at)
  return head:match("^[^\r\n]*", at)
end

local function count_separators(line, separator)
  local _, count = line:gsub("%" .. separator, "")
  return count
end

--- Whether a line may be a header: no cell of it is a number.
local function may_be_header(line, separator, quote)
  for cell in (line .. separator):gmatch("([^%" .. separator .. "]*)%" .. separator) do
    local text = quote and cell:match(("^%%%s(.*)%%%s$"):format(quote, quote)) or cell
    if text:find("^%s*[-+]?[%d.,]*%d[eE]?[-+]?%d*%%?%s*$") then
      return false
    end
  end
  return true
end

--- Whether the lines from one place to another are all much narrower than a table.
local function are_narrow(head, at, stop, separator, width)
  while at < stop do
    if (count_separators(line_at(head, at), separator) + 1) * 2 > width then
      return false
    end
    at = after_line(head, at)
  end
  return true
end

--- Where the table begins when the first lines, which are much narrower, belong to none:
--- how many there are, and the separator that splits the rest most evenly.
local function find_preamble(head, dialect, separators)
  local first = M.after_lines(head, dialect.skip_lines)
  for skipped = dialect.skip_lines + 1, dialect.skip_lines + PREAMBLE_MOST do
    local at = M.after_lines(head, skipped)
    if at > #head then
      return nil
    end
    for _, separator in ipairs(line_at(head, at) ~= "" and separators or {}) do
      local widths = widths_of(head, dialect, separator, skipped)
      local score, width = regularity(widths)
      if score >= CLEAR and widths[1] == width and #widths >= LEAST_LINES
        and are_narrow(head, first, at, separator, width) then
        return may_be_header(line_at(head, at), separator, dialect.quote) and skipped or nil, separator
      end
    end
  end
  return nil
end

--- Whether the rows are short because the empty cells at their ends were left out, as some
--- editors do: many are, and no line ends in a separator.
local function is_trimmed(head, at, dialect)
  if dialect.separator ~= "\t" or head:find("\t[\r\n]", at) then
    return false
  end
  local widths = widths_of(head, dialect, dialect.separator, dialect.skip_lines)
  local short = 0
  for i = 2, #widths do
    if widths[i] > widths[1] then
      return false
    end
    short = short + (widths[i] < widths[1] and 1 or 0)
  end
  return short >= 2 and short * 10 >= #widths
end

--- Settles both, where a person did not. Returns where the table begins.
local function settle_shape(dialect, head, at, given)
  if not given.skip_lines and not given.comment then
    local separators = given.separator and { given.separator } or SEPARATORS
    local score = regularity(widths_of(head, dialect, dialect.separator, dialect.skip_lines))
    local skipped, separator = nil, nil
    if score < REGULAR then
      skipped, separator = find_preamble(head, dialect, separators)
    end
    if skipped then
      dialect.doubts = { ("lines 1 to %d were taken for no part of the table, whose header is on line %d "
        .. "(--skip-lines 0)"):format(skipped, skipped + 1) }
      dialect.skip_lines, dialect.separator = skipped, separator
      at = M.after_lines(head, skipped)
    end
  end
  if not given.ragged and is_trimmed(head, at, dialect) then
    dialect.ragged = "pad"
    dialect.doubts = { "rows are shorter than the header, and none ends in an empty cell: the empty cells at their "
      .. "ends seem to have been left out and are read as empty" }
  end
  return at
end

-- ---- all together ----------------------------------------------------------

---@class ligase.dialect
---@field separator string one character
---@field quote string|false
---@field encoding string
---@field decimal string "." or ","
---@field decimal_doubt string|nil why the decimal mark is in doubt, and what settles it
---@field skip_lines integer lines before the header
---@field comment string|nil
---@field missing string[]|nil texts that stand for a missing value; nil: the usual ones
---@field header boolean|nil false: there is no header line
---@field names string[]|nil the columns' names instead of the header's
---@field ragged string|nil "pad": rows may be short
---@field gzip boolean
---@field byte_order_mark boolean
---@field doubts string[]

local function settle_separator(dialect, head, at)
  local found, score, rival = choose_separator(head, at, dialect)
  dialect.separator = found or ","
  if found and score < REGULAR then
    dialect.doubts[#dialect.doubts + 1] = ("the rows are of different widths when split at the %s (--separator)")
      :format(M.separator_name(found))
  elseif rival then
    dialect.doubts[#dialect.doubts + 1] = ("the %s would split the rows evenly too (--separator)")
      :format(M.separator_name(rival))
  end
end

--- Looks at a source and says how it is written. What `given` holds is taken as it is.
---@param source string|table a path, or {text=, name=}
---@param given table|nil {separator, quote, encoding, decimal, skip_lines, comment, missing, header, names, ragged,
--- field_bytes, column_limit}
---@return ligase.dialect
---@return string head the beginning of the source, whole lines
function M.detect(source, given)
  given = given or {}
  local head, info = read_head(source, given)
  local dialect = {
    encoding = info.encoding, comment = given.comment, missing = given.missing, gzip = info.gzip,
    byte_order_mark = info.byte_order_mark, doubts = {}, quote = '"',
  }
  if given.quote ~= nil then
    dialect.quote = given.quote
  end
  local leading, announced, at = leading_lines(head)
  local count_comments = not given.skip_lines and not given.comment
  dialect.skip_lines = given.skip_lines or (given.comment and (announced and 1 or 0)) or leading
  at = count_comments and at or M.after_lines(head, dialect.skip_lines)
  dialect.separator = given.separator or announced
  if not dialect.separator then
    settle_separator(dialect, head, at)
  end
  if count_comments and leading > (announced and 1 or 0) and header_among_comments(head, dialect) then
    dialect.skip_lines = leading - 1
  end
  at = settle_shape(dialect, head, at, given)
  dialect.decimal = given.decimal or decimal_mark.find(head, at, dialect, given.header ~= false)
  dialect.preamble = dialect.skip_lines > 0 and head:sub(1, M.after_lines(head, dialect.skip_lines) - 1) or nil
  for _, answer in ipairs { "field_bytes", "column_limit", "header", "names", "ragged" } do
    if given[answer] ~= nil then
      dialect[answer] = given[answer]
    end
  end
  return dialect, head
end

--- The options that csv.frames takes for a dialect.
---@param dialect ligase.dialect
---@return table
function M.reader_options(dialect)
  return {
    separator = dialect.separator, quote = dialect.quote, encoding = dialect.encoding, decimal = dialect.decimal,
    skip_lines = dialect.skip_lines, comment = dialect.comment, missing = dialect.missing,
    field_bytes = dialect.field_bytes, column_limit = dialect.column_limit, header = dialect.header,
    names = dialect.names, ragged = dialect.ragged,
  }
end

return M
