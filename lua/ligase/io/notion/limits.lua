--- What Notion takes in one request, and the cutting of text to it. What is longer is
--- split or refused, and never shortened.
local errors = require "ligase.base.errors"

local M = {
  TEXT_LENGTH = 2000, -- of one text in a rich text
  EQUATION_LENGTH = 1000,
  RICH_TEXTS = 100, -- in one rich text
  CHILDREN = 100, -- in one list of blocks
  NESTED_LEVELS = 2, -- of children below the blocks of one request
  BLOCKS = 1000, -- in one request
  REQUEST_BYTES = 480000, -- of 500 kB: the rest is left to how the other side counts
  URL_LENGTH = 2000,
  OPTION_LENGTH = 100, -- of an option's name
  OPTIONS = 100, -- of one multi_select
  RELATIONS = 100, -- of one relation
  REFERENCES_READ = 25, -- of one property, in a page as it is read
  PAGE_SIZE = 100,
  QUERY_RESULTS = 10000,
}

--- Raises that a value cannot be sent. Nothing has been sent by then.
---@param code string "limit" or "value"
---@param message string
---@param hint? string
function M.refuse(code, message, hint)
  errors.raise { kind = "notion", code = code, outcome = "not_sent", message = message, hint = hint }
end

--- The length of a text as Notion counts it, in UTF-16 units: a character beyond the
--- basic plane is two. Raises "value" for what is not UTF-8.
---@param text string
---@return integer
function M.length(text)
  if not text:find("[\x80-\xFF]") then
    return #text
  end
  local count, bad = utf8.len(text)
  if not count then
    M.refuse("value", ("the text is not UTF-8 at byte %d"):format(bad), "Convert it to UTF-8 first")
  end
  return count + select(2, text:gsub("[\xF0-\xF4]", ""))
end

--- Where a piece of at most `length` units that begins at byte `from` ends.
local function piece_end(text, from, length)
  local at, used = from, 0
  while at <= #text do
    local lead = text:byte(at)
    local units = lead >= 0xF0 and 2 or 1
    if used + units > length then
      break
    end
    used = used + units
    at = utf8.offset(text, 2, at) or #text + 1
  end
  return at - 1
end

--- Cuts a text into pieces that one item of a rich text takes each; together they are the text.
---@param text string
---@param length? integer
---@return string[] pieces none for the empty text
function M.split(text, length)
  length = length or M.TEXT_LENGTH
  local pieces, from = {}, 1
  if M.length(text) <= length then
    return text ~= "" and { text } or pieces
  end
  while from <= #text do
    local stop = piece_end(text, from, length)
    pieces[#pieces + 1] = text:sub(from, stop)
    from = stop + 1
  end
  return pieces
end

return M
