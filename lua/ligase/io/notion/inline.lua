--- Rich text as the inline part of Markdown. The way back is ligase.io.notion.inline_read.
---
--- Marks of Markdown do not stand everywhere: where one would not be read as a mark (beside
--- another, or between letters and signs), the tag of HTML that means the same is written.
local rich_text = require "ligase.io.notion.rich_text"

local M = {}

local MARKS = { -- from the outside in
  { name = "underline", tag = "u" },
  { name = "strikethrough", mark = "~~", tag = "s" },
  { name = "bold", mark = "**", tag = "b" },
  { name = "italic", mark = "*", tag = "i" },
}

local function escaped(text)
  return (text:gsub("[\\`*_%[%]<>$~|&]", "\\%0"))
end

local function code_span(text)
  local longest = 0
  for run in text:gmatch("`+") do
    longest = math.max(longest, #run)
  end
  local fence = ("`"):rep(longest + 1)
  local pad = (text:find("^`") or text:find("`$") or text:find("^ .* $")) and " " or ""
  return fence .. pad .. text .. pad .. fence
end

local function link_url(url)
  return (url:gsub("[ <>()\\\n]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

local function page_link(id)
  return "https://www.notion.so/" .. id:gsub("-", "")
end

local function present(value)
  return type(value) ~= "userdata" and value or nil
end

--- An item's link, whether of a text or of the page that it mentions.
local function link_of(item)
  local link = item.text and present(item.text.link)
  if link then
    return link.url
  elseif item.mention and item.mention.page then
    return page_link(item.mention.page.id)
  end
  return item.mention and present(item.href) or nil
end

local SOLID = "[%w\x80-\xFF]"

--- Whether a mark of signs would be read as one here: letters or a blank on one side of each
--- end, and no other mark beside.
local function may_mark(inner, before, after)
  return (before == "" or before:find("%s$") or inner:find("^%*?" .. SOLID) ~= nil)
    and (after == "" or after:find("^%s") or inner:find(SOLID .. "%*?$") ~= nil)
    and not before:find("[*~_]$") and not after:find("^[*~_]")
end

--- Puts an item's annotations around its text, which has no blanks at its ends.
local function marked(inner, item, before, after)
  local annotations = present(item.annotations) or {}
  for i = #MARKS, 1, -1 do
    local mark = MARKS[i]
    if annotations[mark.name] then
      if mark.mark and may_mark(inner, before, after) then
        inner = mark.mark .. inner .. mark.mark
      else
        inner = ("<%s>%s</%s>"):format(mark.tag, inner, mark.tag)
      end
    end
  end
  return inner
end

local function core_of(item, text)
  if item.equation then
    return "$" .. text:gsub("[\\$]", "\\%0"):gsub("\n", " ") .. "$"
  end
  local annotations = present(item.annotations) or {}
  return annotations.code and (text:gsub("[^\n]+", code_span)) or escaped(text)
end

local function same(a, b)
  local x, y = present(a.annotations) or {}, present(b.annotations) or {}
  for _, name in ipairs { "bold", "italic", "strikethrough", "underline", "code" } do
    if (x[name] or false) ~= (y[name] or false) then
      return false
    end
  end
  return a.text and b.text and link_of(a) == link_of(b)
end

--- Neighbours that look the same are one.
local function merged(items)
  local list = {}
  for _, item in ipairs(items) do
    local last = list[#list]
    if last and same(last.item, item) then
      last.text = last.text .. rich_text.item_text(item)
    else
      list[#list + 1] = { item = item, text = rich_text.item_text(item) }
    end
  end
  return list
end

--- What the text is followed by, as far as marks depend on it.
local function what_follows(trail, following)
  if trail ~= "" or not following then
    return trail
  end
  local annotations = present(following.item.annotations) or {}
  for _, mark in ipairs(MARKS) do
    if annotations[mark.name] then
      return "*"
    end
  end
  return following.text:find("^%s") and " " or "."
end

local BREAK = "\255" -- no byte of UTF-8

--- A line ends within a paragraph; where a blank or nothing is beside, only a tag is seen.
local function with_breaks(text)
  text = text:gsub("\n", BREAK)
  local before
  repeat
    before = text
    text = text:gsub("^(%s*)" .. BREAK, "%1<br>"):gsub("([%s>" .. BREAK .. "])" .. BREAK, "%1<br>")
      :gsub(BREAK .. "([%s" .. BREAK .. "])", "<br>%1"):gsub(BREAK .. "$", "<br>")
  until text == before
  return (text:gsub(BREAK, "\\\n"))
end

--- Blanks at the ends of a text, which Markdown drops otherwise.
local function with_blanks(text)
  local function as_reference(blanks)
    return (blanks:gsub("[ \t]", function(c) return ("&#%d;"):format(c:byte()) end))
  end
  return (text:gsub("^[ \t]+", as_reference):gsub("[ \t]+$", as_reference))
end

--- A rich text as Markdown. Colours are not kept.
---@param items table[]
---@return string
function M.write(items)
  local list, out = merged(items), ""
  for i, entry in ipairs(list) do
    local item = entry.item
    local lead, text, trail = entry.text:match("^(%s*)(.-)(%s*)$")
    if text ~= "" then
      local url, core = link_of(item), core_of(item, text)
      if url then
        out = lead == "" and out:gsub("!$", "\\!") or out -- or it would be a picture
        text = ("[%s](%s)"):format(marked(core, item, " ", " "), link_url(url))
      else
        text = item.equation and core or marked(core, item, out .. lead, what_follows(trail, list[i + 1]))
      end
    end
    out = out .. lead .. text .. trail
  end
  return with_blanks(with_breaks(out))
end

return M
