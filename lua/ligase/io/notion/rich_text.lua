--- Notion's rich text: a list of items, each with its own annotations and link.
local limits = require "ligase.io.notion.limits"

local M = {}

--- The text of one item, whether it was read or is still to be written.
---@param item table
---@return string
function M.item_text(item)
  if type(item.plain_text) == "string" then
    return item.plain_text
  elseif item.text then
    return item.text.content
  end
  return item.equation and item.equation.expression or ""
end

--- The text of a rich text without its annotations.
---@param items table[]
---@return string
function M.plain(items)
  local parts = {}
  for i, item in ipairs(items) do
    parts[i] = M.item_text(item)
  end
  return table.concat(parts)
end

local WRITABLE = { "text", "mention", "equation" }

--- An item as it may be written: without what Notion adds when it is read.
local function writable(item)
  local made = { annotations = item.annotations }
  for _, kind in ipairs(WRITABLE) do
    if item[kind] then
      made.type, made[kind] = kind, item[kind]
    end
  end
  if not made.type then
    limits.refuse("value", "an item of a rich text has neither text, mention nor equation")
  end
  return made
end

local function check_link(item)
  local link = item.text.link
  if type(link) == "table" and limits.length(link.url) > limits.URL_LENGTH then
    limits.refuse("limit", ("a link of %d characters is longer than the %d that Notion takes"):format(
      limits.length(link.url), limits.URL_LENGTH), "Shorten the address")
  end
end

--- The items with each text within the limit: longer ones become several with the same
--- annotations and link.
---@param items table[]|string a string is one item
---@return table[] items
function M.fit(items)
  if type(items) == "string" then
    items = { { text = { content = items } } }
  end
  local fitting = {}
  for _, given in ipairs(items) do
    local item = writable(given)
    if item.type == "text" then
      check_link(item)
      for _, piece in ipairs(limits.split(item.text.content)) do
        fitting[#fitting + 1] = { type = "text", text = { content = piece, link = item.text.link },
          annotations = item.annotations }
      end
    elseif item.type == "equation" and limits.length(item.equation.expression) > limits.EQUATION_LENGTH then
      limits.refuse("limit", ("an equation of %d characters is longer than the %d that Notion takes"):format(
        limits.length(item.equation.expression), limits.EQUATION_LENGTH), "Write it as several")
    else
      fitting[#fitting + 1] = item
    end
  end
  return fitting
end

return M
