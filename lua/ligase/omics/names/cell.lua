--- What the readers of names share: blanks around a name, cells that hold no name at
--- all, and the form of a reading that was not understood.
local M = {}

local byte, find, gsub, sub = string.byte, string.find, string.gsub, string.sub

--- Blanks beyond ASCII that stand around names by accident, as UTF-8: no-break spaces,
--- zero-width spaces and the byte order mark.
local WIDE_BLANKS = { "\xC2\xA0", "\xE2\x80\xAF", "\xE2\x80\x8B", "\xE2\x80\x89", "\xE3\x80\x80", "\xEF\xBB\xBF" }

local NO_WIDTH = { ["\xE2\x80\x8B"] = true, ["\xEF\xBB\xBF"] = true }

--- How many bytes of blank a text has at a place, going on (1) or back (-1); 0: none.
local function blank_at(text, at, way)
  local code = byte(text, at)
  if code <= 0x20 or code == 0x7F then
    return 1
  elseif code < 0x80 then
    return 0
  end
  for _, blank in ipairs(WIDE_BLANKS) do
    local from = way > 0 and at or at - #blank + 1
    if from >= 1 and sub(text, from, from + #blank - 1) == blank then
      return #blank
    end
  end
  return 0
end

local function trim_slowly(text)
  local first, last = 1, #text
  while first <= last do
    local bytes = blank_at(text, first, 1)
    if bytes == 0 then
      break
    end
    first = first + bytes
  end
  while last >= first do
    local bytes = blank_at(text, last, -1)
    if bytes == 0 then
      break
    end
    last = last - bytes
  end
  return sub(text, first, last)
end

--- A cell without the blanks around it.
---@param raw string
---@return string|nil text nil when the cell is blank
function M.trim(raw)
  local first, last = byte(raw), byte(raw, -1)
  if not first then
    return nil
  elseif first > 0x20 and first < 0x7F and last > 0x20 and last < 0x7F then
    return raw
  end
  local text = trim_slowly(raw)
  return text ~= "" and text or nil
end

--- A text with plain blanks for the wide ones inside it.
---@param text string
---@return string
function M.with_plain_blanks(text)
  if find(text, "[\xC2\xE2\xE3\xEF]") then
    for _, blank in ipairs(WIDE_BLANKS) do
      text = gsub(text, blank, NO_WIDTH[blank] and "" or " ")
    end
  end
  return text
end

--- A reading of what was not understood: the text as it stands, and why.
---@param text string trimmed
---@param reason string one clause, no full stop
---@param candidates string[]|nil the canonical names it may mean
---@return ligase.reading
function M.verbatim(text, reason, candidates)
  return { name = text, rule = "verbatim", reason = reason, candidates = candidates }
end

local MISSING = {}
for word in ("NA N/A n/a NULL null None none NaN nan nil - -- --- ? . unknown Unknown UNKNOWN "
  .. "unassigned Unassigned"):gmatch("%S+") do
  MISSING[word] = "a mark for a missing name"
end
for word in ("#N/A #NAME? #REF! #VALUE! #NUM! #NULL! #DIV/0! #BEZUG! #WERT! #NOM? #ZAHL!"):gmatch("%S+") do
  MISSING[word] = "an error mark of a spreadsheet"
end

--- Why a text is no name of anything, or nil.
---@param text string trimmed
---@return string|nil reason
function M.absent(text)
  return MISSING[text]
end

--- Why a text that no rule reads is no name: for the last line of a reader.
---@param text string trimmed
---@param otherwise string the reason when nothing general is wrong
---@return string reason
function M.why_not(text, otherwise)
  if find(text, "[\x80-\xFF]") and not utf8.len(text) then
    return "its bytes are not UTF-8"
  elseif find(text, "%c") then
    return "it holds a control character"
  elseif find(text, "^[%d.,%s%%+-]*$") and find(text, "%d") then
    return "a number, not a name"
  elseif not find(text, "[%a\x80-\xFF]") then
    return "it holds no letter"
  end
  return otherwise
end

return M
