--- Markdown as blocks of Notion: all that ligase writes itself, and what people commonly do.
local inline = require "ligase.io.notion.inline_read"
local json = require "ligase.base.json"

local M = {}

-- Notion knows some languages; another one is refused.
local LANGUAGES = {}
for language in ([[bash c c# c++ clojure css dart diff docker elixir elm erlang f# fortran go graphql groovy
  haskell html java javascript json julia kotlin latex less lisp lua makefile markdown matlab mermaid nix
  ocaml perl php powershell prolog protobuf python r ruby rust sass scala scheme scss shell sql swift toml
  typescript xml yaml]]):gmatch "%S+" do
  LANGUAGES[language] = language
end
for short, language in pairs { py = "python", sh = "shell", zsh = "shell", js = "javascript", ts = "typescript",
  yml = "yaml", cpp = "c++", cs = "c#", rb = "ruby", md = "markdown", dockerfile = "docker", tex = "latex" } do
  LANGUAGES[short] = language
end

local parse

local function text_block(kind, text, body)
  body = body or {}
  body.rich_text = json.array(inline.read(text))
  return { type = kind, [kind] = body }
end

-- ---- paragraphs ------------------------------------------------------------

--- A line's marker of a list: its width, the kind, and whether it is checked.
local function list_marker(line)
  local marker, blanks = line:match("^([-*+])( *)")
  local kind = "bulleted_list_item"
  if not marker then
    marker, blanks = line:match("^(%d+[.)])( *)")
    kind = "numbered_list_item"
  end
  if not marker or blanks == "" and #line > #marker then
    return nil
  end
  return #marker + math.max(1, #blanks <= 4 and #blanks or 1), kind
end

--- A line that opens a code; behind the backticks of a span, others follow.
local function is_fence(line)
  return line:find("^```+[^`]*$") ~= nil
end

--- The equation on a line of its own; "" where the lines after it hold it.
local function equation_on(line)
  return line:match("^%$%$%s*$") and "" or line:match("^%$%$(.+)%$%$%s*$")
end

--- A line that opens a toggle, perhaps with its summary.
local function opens_toggle(line)
  return line:find("^<details>%s*$") ~= nil or line:find("^<details>%s*<summary>.*</summary>%s*$") ~= nil
end

local function is_divider(line)
  local sign = line:match("^([-*_])")
  return sign and #line >= 3 and not line:find("[^%" .. sign .. " ]") and select(2, line:gsub("%" .. sign, "")) >= 3
end

--- Whether a line begins a block of its own, also right below a paragraph.
local function interrupts(line)
  return line:find("^%s*$") or line:find("^#+ ") or is_fence(line) or line:find("^>") or opens_toggle(line)
    or equation_on(line) or line:find("^<!%-%- notion:") or is_divider(line) or list_marker(line) ~= nil
    or line:find("^|")
end

--- The lines of a paragraph as one text: a backslash or two blanks at a line's end keep it.
local function joined(lines)
  local out = {}
  for i, line in ipairs(lines) do
    if i == #lines then
      out[i] = line
    elseif #line:match("\\*$") % 2 == 1 then
      out[i] = line .. "\n"
    else
      out[i] = line:find("  $") and line:gsub(" +$", "") .. "\\\n" or line:gsub(" +$", "") .. " "
    end
  end
  return table.concat(out)
end

local function is_web_address(url)
  return url ~= nil and url:find("^https?://[^%s]+$") ~= nil
end

--- A line that is a picture or a link by itself.
local function standalone(line)
  local caption, url = line:match("^!%[(.-)%]%(<?([^<>]-)>?%)%s*$")
  if is_web_address(url) then
    return { type = "image", image = { type = "external", external = { url = url },
      caption = json.array(inline.read(caption)) } }
  end
  url = line:match("^<([^<>%s]+)>%s*$")
  if is_web_address(url) then
    return { type = "bookmark", bookmark = { url = url, caption = json.array() } }
  end
end

local function read_paragraph(lines, at, out)
  local block = standalone(lines[at])
  if block then
    out[#out + 1] = block
    return at + 1
  elseif lines[at]:find("^&nbsp;%s*$") then
    out[#out + 1] = text_block("paragraph", "")
    return at + 1
  end
  local found = { lines[at] }
  at = at + 1
  while lines[at] and not interrupts(lines[at]) do
    found[#found + 1] = lines[at]:match("^ *(.*)$")
    at = at + 1
  end
  found[1] = found[1]:match("^ *(.*)$")
  found[#found] = found[#found]:gsub("%s+$", "")
  out[#out + 1] = text_block("paragraph", joined(found))
  return at
end

-- ---- blocks with others inside ---------------------------------------------

--- What stands within a block: the first paragraph is its text, the rest is below it.
local function text_and_children(kind, lines, body)
  local inside = parse(lines)
  local block = text_block(kind, "", body)
  if inside[1] and inside[1].type == "paragraph" and (lines[1] or ""):find("%S") then
    block[kind].rich_text = table.remove(inside, 1).paragraph.rich_text
  end
  if #inside > 0 then
    block[kind].children = json.array(inside)
  end
  return block
end

local function read_quote(lines, at, out)
  local inside = {}
  while lines[at] and lines[at]:find("^>") do
    inside[#inside + 1] = lines[at]:match("^> ?(.*)$")
    at = at + 1
  end
  local icon = inside[1]:match("^%[!%u+%]%s*(.-)%s*$")
  if icon then
    table.remove(inside, 1)
    out[#out + 1] = text_and_children("callout", inside,
      { icon = icon ~= "" and { type = "emoji", emoji = icon } or nil })
  else
    out[#out + 1] = text_and_children("quote", inside)
  end
  return at
end

local function read_item(lines, at, out, width, kind)
  local inside = { lines[at]:sub(width + 1) }
  local by = (" "):rep(width)
  at = at + 1
  while lines[at] do
    local line = lines[at]
    if line:find("^%s*$") then
      inside[#inside + 1] = ""
    elseif line:sub(1, width) == by then
      inside[#inside + 1] = line:sub(width + 1)
    elseif inside[#inside] ~= "" and not interrupts(line:match("^ *(.*)$")) then
      inside[#inside + 1] = line -- the text goes on, whatever its indentation
    else
      break
    end
    at = at + 1
  end
  local mark, text = (inside[1] .. " "):match("^%[([ xX])%]%s(.-) ?$")
  local body
  if mark then
    kind, inside[1], body = "to_do", text, { checked = mark ~= " " }
  end
  out[#out + 1] = text_and_children(kind, inside, body)
  return at
end

--- The lines of a toggle up to its end, those of toggles, codes and equations within it included.
local function toggle_lines(lines, at)
  local inside, depth, closer = {}, 1, nil
  while lines[at] do
    local line = lines[at]
    if closer then
      closer = not line:find(closer) and closer or nil
    elseif is_fence(line) then
      closer = "^" .. line:match("^`+") .. "`*%s*$"
    elseif equation_on(line) == "" then
      closer = "^%$%$%s*$"
    else
      depth = depth + (opens_toggle(line) and 1 or 0) - (line:find("^</details>%s*$") and 1 or 0)
    end
    at = at + 1
    if depth == 0 then
      break
    end
    inside[#inside + 1] = line
  end
  return inside, at
end

local function read_toggle(lines, at, out)
  local summary = lines[at]:match("<summary>(.*)</summary>%s*$")
  local inside, next_at = toggle_lines(lines, at + 1)
  local first = not summary and (inside[1] or ""):match("^<summary>(.*)</summary>%s*$")
  if first then
    summary = table.remove(inside, 1) and first
  end
  local block, children = text_block("toggle", summary or ""), parse(inside)
  block.toggle.children = #children > 0 and json.array(children) or nil
  out[#out + 1] = block
  return next_at
end

-- ---- blocks of lines -------------------------------------------------------

--- The lines from `at` up to one that a pattern finds, and where it goes on.
local function lines_until(lines, at, pattern)
  local found = {}
  while lines[at] and not lines[at]:find(pattern) do
    found[#found + 1] = lines[at]
    at = at + 1
  end
  return table.concat(found, "\n"), at + 1
end

local function read_code(lines, at, out)
  local fence, language = lines[at]:match("^(```+)%s*([^%s`]*)")
  local code, next_at = lines_until(lines, at + 1, "^" .. fence .. "`*%s*$")
  out[#out + 1] = { type = "code", code = { language = LANGUAGES[language:lower()] or "plain text",
    rich_text = json.array(code ~= "" and { { type = "text", text = { content = code } } } or nil) } }
  return next_at
end

local function read_equation(lines, at, out)
  local expression, next_at = equation_on(lines[at]), at + 1
  if expression == "" then
    expression, next_at = lines_until(lines, at + 1, "^%$%$%s*$")
  end
  out[#out + 1] = { type = "equation", equation = { expression = expression } }
  return next_at
end

--- The cells of a table's line.
local function cells_of(line)
  local cells, cell = {}, {}
  local at, rest = 1, line:gsub("^%s*|", ""):gsub("%s+$", "")
  while at <= #rest do
    local c = rest:sub(at, at)
    if c == "\\" then
      c = rest:sub(at, at + 1)
    elseif c == "`" then -- a bar within code is no border
      local run = rest:match("^`+", at)
      local _, stop = rest:find("[^`]" .. run .. "%f[^`]", at + #run)
      c = stop and rest:sub(at, stop) or run
    end
    if c == "|" then
      cells[#cells + 1], cell = table.concat(cell), {}
    else
      cell[#cell + 1] = c
    end
    at = at + #c
  end
  if #cell > 0 then
    cells[#cells + 1] = table.concat(cell)
  end
  for i, content in ipairs(cells) do
    cells[i] = content:match("^%s*(.-)%s*$")
  end
  return cells
end

local function is_table(lines, at)
  local rule = lines[at + 1]
  return lines[at]:find("^|") and rule and rule:find("^|[%s:|-]+$") and rule:find("-", 1, true)
end

local function table_row(cells, width)
  local row = json.array()
  for i = 1, width do
    row[i] = json.array(inline.read(cells[i] or ""))
  end
  return { type = "table_row", table_row = { cells = row } }
end

local function read_table(lines, at, out)
  local header = cells_of(lines[at])
  local has_header = table.concat(header) ~= ""
  local rows = {}
  at = at + 2
  while lines[at] and lines[at]:find("^|") do
    rows[#rows + 1] = cells_of(lines[at])
    at = at + 1
  end
  if has_header or #rows == 0 then
    table.insert(rows, 1, header)
  end
  local width = 1
  for _, cells in ipairs(rows) do
    width = math.max(width, #cells)
  end
  local children = json.array()
  for i, cells in ipairs(rows) do
    children[i] = table_row(cells, width)
  end
  out[#out + 1] = { type = "table", table = { table_width = width, has_column_header = has_header,
    has_row_header = false, children = children } }
  return at
end

-- ---- all -------------------------------------------------------------------

--- Reads the block that begins at a line and says where the next one may.
local function read_block(lines, at, out)
  local line = lines[at]
  if line:find("^%s*$") or line:find("^<!%-%- notion:.*%-%->%s*$") then
    return at + 1
  elseif is_fence(line) then
    return read_code(lines, at, out)
  elseif equation_on(line) then
    return read_equation(lines, at, out)
  elseif line:find("^>") then
    return read_quote(lines, at, out)
  elseif opens_toggle(line) then
    return read_toggle(lines, at, out)
  elseif is_table(lines, at) then
    return read_table(lines, at, out)
  elseif is_divider(line) then
    out[#out + 1] = { type = "divider", divider = {} }
    return at + 1
  end
  local signs, title = (line .. " "):match("^(#+) +(.-) ?$")
  if signs and #signs <= 6 then
    out[#out + 1] = text_block("heading_" .. math.min(#signs, 3), title)
    return at + 1
  end
  local width, kind = list_marker(line)
  if width then
    return read_item(lines, at, out, width, kind)
  end
  return read_paragraph(lines, at, out)
end

function parse(lines)
  local out, at = {}, 1
  while at <= #lines do
    at = read_block(lines, at, out)
  end
  return out
end

--- Markdown as blocks, as Notion takes them; their length is not bounded here. Headings below
--- the third level become the third.
---@param text string
---@return table[] blocks
function M.read(text)
  local lines = {}
  for line in (text:gsub("\r\n?", "\n") .. "\n"):gmatch("(.-)\n") do
    lines[#lines + 1] = line
  end
  return parse(lines)
end

return M
