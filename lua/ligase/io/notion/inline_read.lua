--- The inline part of Markdown as a rich text: marks, codes, links, equations, and signs that
--- mean nothing here and stand for themselves.
local M = {}

local TAGS = { u = "underline", s = "strikethrough", del = "strikethrough", b = "bold", strong = "bold", i = "italic",
  em = "italic" }

---@class ligase.notion.Inline
---@field text string
---@field items table[]
---@field missing table<string, boolean> closers that do not come any more
---@field pieces string[]|nil of the last item's text
---@field style table|nil of the last item

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

--- Puts the pieces of the last text together.
local function close(self)
  local last = self.items[#self.items]
  if last and self.pieces then
    last.text.content = table.concat(self.pieces)
  end
  self.pieces, self.style = nil, nil
end

local function add(self, text, style)
  if text == "" then
    return
  end
  local last = self.items[#self.items]
  if last and self.style == style and last.text then
    self.pieces[#self.pieces + 1] = text
    return
  end
  close(self)
  self.pieces, self.style = { text }, style
  self.items[#self.items + 1] = { type = "text", annotations = annotations_of(style),
    text = { link = style.url and { url = style.url } or nil } }
end

local function add_equation(self, expression)
  close(self)
  self.items[#self.items + 1] = { type = "equation", equation = { expression = expression } }
end

--- Where the run of backticks that ends a code ends.
local function code_end(self, run, from, to)
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

--- Where a closer stands, at or after a byte, outside of code and escapes.
local function find_closer(self, closer, from, to)
  local key = closer .. to
  if self.missing[key] then
    return nil
  end
  local text, at = self.text, from
  while at <= to do
    local c = text:sub(at, at)
    if c == "\\" then
      at = at + 2
    elseif c == "`" and closer ~= "$" then -- an equation holds what it likes
      local run = text:match("^`+", at)
      local stop = code_end(self, run, at + #run, to)
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

local readers = {}

local read_span

readers["\\"] = function(self, at, _, style)
  local next_char = self.text:sub(at + 1, at + 1)
  if next_char:find("[%p\n]") then
    add(self, next_char, style)
    return at + 2
  end
end

readers["`"] = function(self, at, to, style)
  local run = self.text:match("^`+", at)
  local stop = code_end(self, run, at + #run, to)
  if stop then
    local code = self.text:sub(at + #run, stop - #run)
    if code:find("^ .*[^ ].* $") or code:find("^ `") or code:find("` $") then
      code = code:gsub("^ (.*) $", "%1")
    end
    add(self, code, with(style, "code", true))
    return stop + 1
  end
  add(self, run, style)
  return at + #run
end

--- Text within marks.
local function within(self, at, to, style, mark, name)
  local inside = at + #mark
  if self.text:find("^%s", inside) then
    return nil
  end
  local closer = find_closer(self, mark, inside, to)
  if closer and closer > inside then
    read_span(self, inside, closer - 1, with(style, name, true))
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
  local closer = not self.text:find("^[%s$]", at + 1) and find_closer(self, "$", at + 1, to)
  if closer and not self.text:find("^%d", closer + 1) and not self.text:find("^%s", closer - 1) then
    add_equation(self, (self.text:sub(at + 1, closer - 1):gsub("\\([\\$])", "%1")))
    return closer + 1
  end
end

readers["<"] = function(self, at, to, style)
  local address, stop = self.text:match("^<(%a[%w+.-]+:[^%s<>]*)>()", at)
  if address and stop - 1 <= to then
    add(self, address, with(style, "url", address))
    return stop
  end
  local tag, inside = self.text:match("^<(%a+)>()", at)
  if tag == "br" and inside - 1 <= to then
    add(self, "\n", style)
    return inside
  end
  local name = tag and TAGS[tag]
  local closer = name and find_closer(self, "</" .. tag .. ">", inside, to)
  if closer then
    read_span(self, inside, closer - 1, with(style, name, true))
    return closer + #tag + 3
  end
end

readers["["] = function(self, at, to, style)
  local closer = find_closer(self, "](", at + 1, to)
  if not closer or find_closer(self, "]", at + 1, to) ~= closer then
    return nil
  end
  local url, stop = self.text:match("^<([^<>\n]*)>%)()", closer + 2)
  if not url then
    url, stop = self.text:match("^([^%s()]*)%)()", closer + 2)
  end
  if url and url ~= "" and stop - 1 <= to then
    read_span(self, at + 1, closer - 1, with(style, "url", url))
    return stop
  end
end

local NAMED = { amp = "&", lt = "<", gt = ">", quot = '"', apos = "'", nbsp = "\u{A0}" }

readers["&"] = function(self, at, to, style)
  local name, stop = self.text:match("^&(#?%w+);()", at)
  local code = name and math.tointeger(tonumber(name:match("^#(%d+)$")))
  local letter = code and code > 0 and code < 0x110000 and utf8.char(code) or NAMED[name]
  if letter and stop - 1 <= to then
    add(self, letter, style)
    return stop
  end
end

--- Reads the text from one byte to another.
function read_span(self, at, to, style)
  while at <= to do
    local special = self.text:find("[\\`*_~$<%[&]", at)
    special = special and special <= to and special or to + 1
    add(self, self.text:sub(at, special - 1), style)
    at = special
    if at <= to then
      local stop = readers[self.text:sub(at, at)](self, at, to, style)
      if not stop then
        add(self, self.text:sub(at, at), style)
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
  local reader = { text = text, items = {}, missing = {} }
  read_span(reader, 1, #text, {})
  close(reader)
  return reader.items
end

return M
