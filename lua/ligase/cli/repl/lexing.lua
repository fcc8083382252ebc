--- What the cursor stands in: code, a comment or a string, and of a string, which word it
--- is given to.
local M = {}

--- The end of the short string that begins at `at`, or nil when it is open.
local function short_string_end(code, at)
  local quote, from = code:sub(at, at), at + 1
  while true do
    local stop = code:find("[\\" .. quote .. "]", from)
    if not stop then
      return nil
    elseif code:sub(stop, stop) == quote then
      return stop
    end
    from = stop + 2
  end
end

--- The word before a string: sql of sql[[ and of sql(" alike.
local function word_before(code, at)
  return code:sub(1, at - 1):match("([%a_][%w_]*)%s*%(?%s*$")
end

---@class ligase.lexed
---@field kind "code"|"comment"|"string"
---@field word string|nil what the string is given to
---@field before string|nil the code before the string
---@field content string|nil the string so far, as it is written
---@field close string|nil what ends it: a quote mark, or ]] with its =

--- Says what the end of this code stands in.
---@param code string
---@return ligase.lexed
function M.at_end(code)
  local at = 1
  while true do
    local start = code:find("[\"'%[%-]", at)
    if not start then
      return { kind = "code" }
    end
    local equals = code:match("^%[(=*)%[", start)
    local comment = code:find("^%-%-", start) and start
    local long = comment and code:match("^%-%-%[(=*)%[", start) or equals
    if long then
      local _, content = code:find("[", start, true)
      content = content + #long + 2
      local _, stop = code:find("]" .. long .. "]", content, true)
      if not stop then
        return comment and { kind = "comment" } or { kind = "string", word = word_before(code, start),
          before = code:sub(1, start - 1), content = code:sub(content), close = "]" .. long .. "]" }
      end
      at = stop + 1
    elseif comment then
      local stop = code:find("\n", start, true)
      if not stop then
        return { kind = "comment" }
      end
      at = stop + 1
    elseif code:find("^[\"']", start) then
      local stop = short_string_end(code, start)
      if not stop then
        return { kind = "string", word = word_before(code, start),
          before = code:sub(1, start - 1), content = code:sub(start + 1), close = code:sub(start, start) }
      end
      at = stop + 1
    else
      at = start + 1
    end
  end
end

return M
