--- How a table of text is written: separator, header, decimal mark.
---
--- Looks at the first bytes of a source and says what it found and what it doubts.
--- Nothing here is final: every finding can be given instead, and is stored with the
--- dataset. What the columns mean is decided in ligase.omics.columns.
local csv = require "csv"

local M = {}

local HEAD_BYTES = 32 * 1024
local LOOK_RECORDS = 200

--- In order of preference when two fit equally well.
local SEPARATORS = { "\t", ",", ";", "|" }
local SEPARATOR_NAMES = { ["\t"] = "tab", [","] = "comma", [";"] = "semicolon", ["|"] = "bar", [" "] = "space" }

--- A word for a separator, for people.
---@param separator string
---@return string
function M.separator_name(separator)
  return SEPARATOR_NAMES[separator] or ("'%s'"):format(separator)
end

--- The character a person means by a word or a character.
---@param word string "tab", "comma", "\\t", ";", ...
---@return string
function M.separator_of(word)
  for character, name in pairs(SEPARATOR_NAMES) do
    if name == word then
      return character
    end
  end
  return word == "\\t" and "\t" or word
end

--- How well records of these widths make one table: the share of records that are
--- as wide as most. A header may be one field short (row names as R writes them).
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
  local header_fits = widths[1] == common or widths[1] == common - 1
  local fitting = (counts[common] or 0) + (header_fits and 1 or 0)
  return header_fits and fitting / #widths or fitting / #widths / 2, common
end

--- Lines before the header that belong to no table: a block of "#" lines that are
--- not as wide as what follows, or Excel's "sep=;".
local function leading_lines(head)
  local separator = head:match("^sep=(.)\r?\n")
  if separator then
    return 1, separator
  end
  local count, at = 0, 1
  while head:sub(at, at) == "#" do
    local line_end = head:find("[\r\n]", at)
    if not line_end then
      return 0
    end
    at = line_end + (head:sub(line_end, line_end + 1) == "\r\n" and 2 or 1)
    count = count + 1
  end
  return count
end

local function widths_of(head, separator, skip_lines, quote)
  -- The head may end inside a quoted field; what was read before that counts.
  return (csv.widths({ text = head }, { separator = separator, skip_lines = skip_lines, quote = quote },
    LOOK_RECORDS))
end

local function choose_separator(head, skip_lines, quote)
  local best, best_score, best_width, rival = nil, 0, 0, nil
  for _, separator in ipairs(SEPARATORS) do
    if head:find(separator, 1, true) then
      local score, width = regularity(widths_of(head, separator, skip_lines, quote))
      if score > best_score or (score == best_score and score > 0 and width > best_width) then
        if best and best_score > 0.9 then
          rival = best
        end
        best, best_score, best_width = separator, score, width
      elseif score > 0.9 then
        rival = separator
      end
    end
  end
  return best, best_score, rival
end

--- A "#" line as wide as the table is its header ("#Name<tab>S1<tab>S2"), not a comment.
local function comment_lines(head, count, separator, quote)
  if count == 0 then
    return 0
  end
  local with = widths_of(head, separator, 0, quote)
  local without = widths_of(head, separator, count, quote)
  local _, common = regularity(without)
  if with[count] == common and common > 1 then
    return count - 1
  end
  return count
end

--- Whether numbers are written with a decimal comma: cells like "1,5" and none like
--- "1.5". "1,234" alone could be either and is left as text, with a doubt.
local function decimal_mark(head, options, doubts)
  if not head:find("%d,%d") or (options.separator == "," and not head:find('"', 1, true)) then
    return "."
  end
  local commas, points, thousands = 0, 0, 0
  local reader <close> = csv.frames({ text = head }, {
    separator = options.separator, quote = options.quote, skip_lines = options.skip_lines,
    header = false, ragged = "pad",
  })
  local seen = 0
  for frame in reader do
    for i = 1, math.min(#frame, LOOK_RECORDS) do
      for _, cell in ipairs(frame:row(i)) do
        if cell:find("^%s*[-+]?%d*,%d+[eE]?[-+]?%d*%s*$") then
          commas = commas + 1
          if cell:find("^%s*[-+]?[1-9]%d?%d?,%d%d%d%s*$") then
            thousands = thousands + 1
          end
        elseif cell:find("^%s*[-+]?%d*%.%d+[eE]?[-+]?%d*%s*$") then
          points = points + 1
        end
      end
    end
    seen = seen + #frame
    frame:close()
    if seen > LOOK_RECORDS then
      break
    end
  end
  if commas == 0 then
    return "."
  end
  if points == 0 and thousands < commas then
    return ","
  end
  doubts[#doubts + 1] = points > 0
      and "some numbers have a decimal comma and some a point; those with a comma are kept as text (--decimal ,)"
      or "a comma in numbers like 1,234 may be a decimal mark or thousands; they are kept as text (--decimal ,)"
  return "."
end

local function whole_lines(head, complete)
  if complete then
    return head
  end
  return head:match("^(.*[\r\n])") or head
end

---@class ligase.dialect
---@field separator string one character
---@field quote string|false
---@field encoding string
---@field decimal string "." or ","
---@field skip_lines integer lines before the header
---@field comment string|nil
---@field missing string[]|nil texts that stand for a missing value; nil: the usual ones
---@field gzip boolean
---@field byte_order_mark boolean
---@field doubts string[]

--- Looks at a source and says how it is written. What `given` holds is taken as it is.
---@param source string|table a path, or {text=, name=}
---@param given table|nil {separator, quote, encoding, decimal, skip_lines, comment, missing}
---@return ligase.dialect
function M.detect(source, given)
  given = given or {}
  local head, info = csv.head(source, { encoding = given.encoding }, HEAD_BYTES)
  head = whole_lines(head, info.complete)
  local dialect = {
    quote = given.quote == nil and '"' or given.quote, encoding = info.encoding, comment = given.comment,
    missing = given.missing, gzip = info.gzip, byte_order_mark = info.byte_order_mark, doubts = {},
  }
  local leading, announced = leading_lines(head)
  dialect.separator = given.separator or announced
  dialect.skip_lines = given.skip_lines or (given.comment and 0) or leading
  if not dialect.separator then
    local found, score, rival = choose_separator(head, dialect.skip_lines, dialect.quote)
    dialect.separator = found or ","
    if found and score < 0.9 then
      dialect.doubts[#dialect.doubts + 1] = ("the rows are of different widths when split at the %s (--separator)")
          :format(M.separator_name(found))
    elseif rival then
      dialect.doubts[#dialect.doubts + 1] = ("the %s would split the rows evenly too (--separator)")
          :format(M.separator_name(rival))
    end
  end
  if not given.skip_lines and not announced and not given.comment then
    dialect.skip_lines = comment_lines(head, leading, dialect.separator, dialect.quote)
  end
  dialect.decimal = given.decimal or decimal_mark(head, dialect, dialect.doubts)
  return dialect
end

--- The options that csv.frames takes for a dialect.
---@param dialect ligase.dialect
---@return table
function M.reader_options(dialect)
  return {
    separator = dialect.separator, quote = dialect.quote, encoding = dialect.encoding, decimal = dialect.decimal,
    skip_lines = dialect.skip_lines, comment = dialect.comment, missing = dialect.missing,
  }
end

return M
