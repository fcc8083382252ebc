--- Rich text as the inline part of Markdown, and back.
---
--- Marks of Markdown do not stand everywhere: where one would not be read as a mark (beside
--- another, or between letters and signs), the tag of HTML that means the same is written.
local rich_text = require "ligase.io.notion.rich_text"

local M = {}

-- ---- writing ---------------------------------------------------------------

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
  return annotations.code and code_span((text:gsub("\n", " "))) or escaped(text)
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

--- A line ends within a paragraph; where a blank or nothing is beside, only a tag is seen.
local function with_breaks(text)
  text = text:gsub("\n", "\0"):gsub("^%s*%z", function(s) return (s:gsub("%z", "<br>")) end)
  local before
  repeat
    before = text
    text = text:gsub("([%s%z>])%z", "%1<br>"):gsub("%z([%s%z])", "<br>%1"):gsub("%z$", "<br>")
  until text == before
  return (text:gsub("%z", "\\\n"))
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

-- ---- reading ---------------------------------------------------------------

local TAGS = { u = "underline", s = "strikethrough", del = "strikethrough", b = "bold", strong = "bold", i = "italic",
  em = "italic" }

---@class ligase.notion.Inline
---@field text string
---@field items table[]
---@field missing table<string, boolean> closers that do not come any more
local Reader = {}
Reader.__index = Reader

local function with(style, name, value)
  local made = {}
  for key, set in pairs(style) do
    made[key] = set
  end
  made[name] = value
  return made
end

--- The style as annotations; nil for plain text.
local function annotations_of(style)
  local annotations, any = {}, false
  for name, value in pairs(style) do
    if name ~= "url" then
      annotations[name], any = value, true
    end
  end
  return any and annotations or nil
end

function Reader:add(text, style)
  if text == "" then
    return
  end
  local last = self.items[#self.items]
  if last and self.style == style and last.text then
    self.pieces[#self.pieces + 1] = text
    return
  end
  self:close()
  self.pieces, self.style = { text }, style
  self.items[#self.items + 1] = { type = "text", annotations = annotations_of(style),
    text = { link = style.url and { url = style.url } or nil } }
end

--- Puts the pieces of the last text together.
function Reader:close()
  local last = self.items[#self.items]
  if last and self.pieces then
    last.text.content = table.concat(self.pieces)
  end
  self.pieces, self.style = nil, nil
end

function Reader:add_equation(expression)
  self:close()
  self.items[#self.items + 1] = { type = "equation", equation = { expression = expression } }
end

--- Where a closer stands, at or after a byte, outside of code and escapes.
function Reader:find_closer(closer, from, to)
  local key = closer .. to
  if self.missing[key] then
    return nil
  end
  local text, at = self.text, from
  while at <= to do
    local c = text:sub(at, at)
    if c == "\\" then
      at = at + 2
    elseif c == "`" and closer ~= "`" then
      local run = text:match("^`+", at)
      local stop = self:code_end(run, at + #run, to)
      at = stop and stop + 1 or at + #run
    elseif text:sub(at, at + #closer - 1) == closer and at + #closer - 1 <= to then
      local run = closer:find("^%*") and math.min(#text:match("^%*+", at), to - at + 1) or #closer
      if run == #closer or run == 3 then
        return at + run - #closer
      end
      at = at + run
    else
      at = at + 1
    end
  end
  self.missing[key] = true
end

--- Where the run of backticks that ends a code ends.
function Reader:code_end(run, from, to)
  local key = run .. to
  if self.missing[key] then
    return nil
  end
  local at = from
  while true do
    local first, last = self.text:find("`+", at)
    if not first or last > to then
      self.missing[key] = true
      return nil
    elseif last - first + 1 == #run then
      return last
    end
    at = last + 1
  end
end

local readers = {}

readers["\\"] = function(self, at, _, style)
  local next_char = self.text:sub(at + 1, at + 1)
  if next_char:find("[%p\n]") then
    self:add(next_char, style)
    return at + 2
  end
end

readers["`"] = function(self, at, to, style)
  local run = self.text:match("^`+", at)
  local stop = self:code_end(run, at + #run, to)
  if stop then
    local code = self.text:sub(at + #run, stop - #run)
    if code:find("^ .*[^ ].* $") or code:find("^ `") or code:find("` $") then
      code = code:gsub("^ (.*) $", "%1")
    end
    self:add(code, with(style, "code", true))
    return stop + 1
  end
  self:add(run, style)
  return at + #run
end

--- Text within marks.
local function within(self, at, to, style, mark, name)
  local inside = at + #mark
  if self.text:find("^%s", inside) then
    return nil
  end
  local closer = self:find_closer(mark, inside, to)
  if closer and closer > inside then
    self:read(inside, closer - 1, with(style, name, true))
    return closer + #mark
  end
end

readers["*"] = function(self, at, to, style)
  if self.text:find("^%*%*", at) then
    return within(self, at, to, style, "**", "bold")
  end
  return within(self, at, to, style, "*", "italic")
end

readers["_"] = function(self, at, to, style)
  if at > 1 and self.text:find("^[%w\x80-\xFF_]", at - 1) then
    return nil
  elseif self.text:find("^__", at) then
    return within(self, at, to, style, "__", "bold")
  end
  return within(self, at, to, style, "_", "italic")
end

readers["~"] = function(self, at, to, style)
  return self.text:find("^~~", at) and within(self, at, to, style, "~~", "strikethrough") or nil
end

readers["$"] = function(self, at, to)
  local closer = not self.text:find("^[%s$]", at + 1) and self:find_closer("$", at + 1, to)
  if closer and not self.text:find("^%d", closer + 1) and not self.text:find("^%s", closer - 1) then
    self:add_equation((self.text:sub(at + 1, closer - 1):gsub("\\([\\$])", "%1")))
    return closer + 1
  end
end

readers["<"] = function(self, at, to, style)
  local address, stop = self.text:match("^<(%a[%w+.-]+:[^%s<>]*)>()", at)
  if address and stop - 1 <= to then
    self:add(address, with(style, "url", address))
    return stop
  end
  local tag, inside = self.text:match("^<(%a+)>()", at)
  if tag == "br" and inside - 1 <= to then
    self:add("\n", style)
    return inside
  end
  local name = tag and TAGS[tag]
  local closer = name and self:find_closer("</" .. tag .. ">", inside, to)
  if closer then
    self:read(inside, closer - 1, with(style, name, true))
    return closer + #tag + 3
  end
end

readers["["] = function(self, at, to, style)
  local closer = self:find_closer("](", at + 1, to)
  if not closer or self:find_closer("]", at + 1, to) ~= closer then
    return nil
  end
  local url, stop = self.text:match("^<([^<>\n]*)>%)()", closer + 2)
  if not url then
    url, stop = self.text:match("^([^%s()]*)%)()", closer + 2)
  end
  if url and url ~= "" and stop - 1 <= to then
    self:read(at + 1, closer - 1, with(style, "url", url))
    return stop
  end
end

local NAMED = { amp = "&", lt = "<", gt = ">", quot = '"', apos = "'", nbsp = "\u{A0}" }

readers["&"] = function(self, at, to, style)
  local name, stop = self.text:match("^&(#?%w+);()", at)
  local code = name and math.tointeger(tonumber(name:match("^#(%d+)$")))
  local letter = code and code > 0 and code < 0x110000 and utf8.char(code) or NAMED[name]
  if letter and stop - 1 <= to then
    self:add(letter, style)
    return stop
  end
end

--- Reads the text from one byte to another.
function Reader:read(at, to, style)
  while at <= to do
    local special = self.text:find("[\\`*_~$<%[&]", at)
    special = special and special <= to and special or to + 1
    self:add(self.text:sub(at, special - 1), style)
    at = special
    if at <= to then
      local stop = readers[self.text:sub(at, at)](self, at, to, style)
      if not stop then
        self:add(self.text:sub(at, at), style)
        stop = at + 1
      end
      at = stop
    end
  end
end

--- The inline part of Markdown as a rich text.
---@param text string
---@return table[] items
function M.read(text)
  local reader = setmetatable({ text = text, items = {}, missing = {} }, Reader)
  reader:read(1, #text, {})
  reader:close()
  return reader.items
end

return M
