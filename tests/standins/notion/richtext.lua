--- Rich text: read from requests with Notion's checks, and as plain text.
local failures = require "tests.standins.notion.failures"
local json = require "ligase.base.json"

local M = {}

local MOST_ITEMS, MOST_TEXT, MOST_URL, MOST_EXPRESSION = 100, 2000, 2000, 1000
local PLAIN = { bold = false, italic = false, strikethrough = false, underline = false, code = false,
  color = "default" }

--- The length of a text as Notion counts it: in UTF-16 units, two for what lies beyond the
--- first plane.
---@param text string
---@return integer
function M.length(text)
  local _, wide = text:gsub("[\xF0-\xF4]", "")
  return utf8.len(text) + wide
end

local function annotations_of(path, raw)
  if raw == nil or raw == json.null then
    return PLAIN
  elseif type(raw) ~= "table" then
    failures.invalid_at(path, "an object or `undefined`", raw)
  end
  local annotations = {}
  for name, value in pairs(PLAIN) do
    annotations[name] = value
    if raw[name] ~= nil then
      annotations[name] = raw[name]
    end
  end
  return annotations
end

local function check_url(path, url)
  if type(url) ~= "string" then
    failures.invalid_at(path, "a string", url)
  end
  failures.check_length(path, M.length(url), MOST_URL)
  return url
end

local function read_text(path, item)
  local text = item.text
  if type(text) ~= "table" then
    failures.invalid_at(path .. ".text", "an object", text)
  elseif type(text.content) ~= "string" then
    failures.invalid_at(path .. ".text.content", "a string", text.content)
  end
  failures.check_length(path .. ".text.content", M.length(text.content), MOST_TEXT)
  local link = text.link
  if link ~= nil and link ~= json.null then
    if type(link) ~= "table" then
      failures.invalid_at(path .. ".text.link", "an object or `null`", link)
    end
    check_url(path .. ".text.link.url", link.url)
    link = { url = link.url }
  end
  return { type = "text", text = { content = text.content, link = link or json.null },
    annotations = annotations_of(path .. ".annotations", item.annotations), plain_text = text.content,
    href = type(link) == "table" and link.url or json.null }
end

local function read_equation(path, item)
  local expression = type(item.equation) == "table" and item.equation.expression
  if type(expression) ~= "string" then
    failures.invalid_at(path .. ".equation.expression", "a string", expression or nil)
  end
  failures.check_length(path .. ".equation.expression", M.length(expression), MOST_EXPRESSION)
  return { type = "equation", equation = { expression = expression },
    annotations = annotations_of(path .. ".annotations", item.annotations), plain_text = expression,
    href = json.null }
end

local function read_mention(path, item)
  local mention = item.mention
  if type(mention) ~= "table" then
    failures.invalid_at(path .. ".mention", "an object", mention)
  end
  local kind = mention.type or next(mention)
  local shown = type(mention[kind]) == "table" and (mention[kind].start or mention[kind].id) or "mention"
  local copy = { type = kind, [kind] = mention[kind] }
  return { type = "mention", mention = copy,
    annotations = annotations_of(path .. ".annotations", item.annotations), plain_text = tostring(shown),
    href = json.null }
end

--- Reads a list of rich text. Empty pieces of text are left out, as Notion does.
---@param path string where it stands in the request
---@param raw any
---@return table items as answers show them
function M.read(path, raw)
  if not json.is_array(raw) then
    failures.invalid_at(path, "an array", raw)
  end
  failures.check_length(path, #raw, MOST_ITEMS)
  local items = json.array()
  for i, item in ipairs(raw) do
    local at = ("%s[%d]"):format(path, i - 1)
    if type(item) ~= "table" or json.is_array(item) then
      failures.invalid_at(at, "an object", item)
    end
    local kept
    if item.text ~= nil then
      kept = read_text(at, item)
    elseif item.mention ~= nil then
      kept = read_mention(at, item)
    elseif item.equation ~= nil then
      kept = read_equation(at, item)
    else
      failures.invalid_forms {
        failures.clause(at .. ".text", "defined"), failures.clause(at .. ".mention", "defined"),
        failures.clause(at .. ".equation", "defined") }
    end
    if kept.plain_text ~= "" then
      items[#items + 1] = kept
    end
  end
  return items
end

--- The text without its dress.
---@param items table|nil
---@return string
function M.plain(items)
  if not items or #items == 0 then
    return ""
  elseif #items == 1 then
    return items[1].plain_text
  end
  local parts = {}
  for i, item in ipairs(items) do
    parts[i] = item.plain_text
  end
  return table.concat(parts)
end

--- One piece of plain text as rich text.
---@param text string
---@return table items
function M.of(text)
  return M.read("body.text", json.array { { text = { content = text } } })
end

return M
