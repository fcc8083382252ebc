--- Blocks of Notion as Markdown.
local blocks = require "ligase.io.notion.blocks"
local inline = require "ligase.io.notion.inline"
local rich_text = require "ligase.io.notion.rich_text"

local M = {}

--- Text at the start of a line that Markdown would take for the beginning of a block.
local function guarded_line(line)
  if line:find("^%s*[#>+%-=:]") or line:find("^%s*~~~") then
    return (line:gsub("^(%s*)", "%1\\", 1))
  end
  return (line:gsub("^(%s*%d+)([.)])", "%1\\%2", 1))
end

local function text_of(body)
  return (inline.write(body.rich_text or {}):gsub("[^\n]+", guarded_line))
end

local function indented(text, by)
  return (text:gsub("\n([^\n])", "\n" .. by .. "%1"))
end

local LISTS = { bulleted_list_item = true, numbered_list_item = true, to_do = true }

local function quoted(text)
  return (("> " .. text:gsub("\n", "\n> ")):gsub(" +%f[\n]", ""):gsub(" +$", ""))
end

local function address_of(body)
  local place = body.external or body.file or {}
  return body.url or place.url or ""
end

local function caption_of(body)
  return inline.write(body.caption or {})
end

local function plain_caption(body)
  return (rich_text.plain(body.caption or {}):gsub("[%[%]\n\\]", " "))
end

local function address(url)
  return (url:gsub("[ <>\n]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

--- A link on a line of its own.
local function link_line(body, name)
  local caption = caption_of(body)
  local url = address(address_of(body))
  if caption == "" and not name then
    return "<" .. url .. ">"
  end
  return ("[%s](<%s>)"):format(caption ~= "" and caption or inline.write { { plain_text = name } }, url)
end

local write_list

local writers = {}

local function below(block)
  return write_list(blocks.children(block))
end

--- A list's item: its marker, its text, and what is below it, `width` further in.
local function item(marker, width, body, block)
  local by, inside = (" "):rep(width), below(block)
  local out = marker .. indented(text_of(body), by)
  if inside == "" then
    return out
  end
  local gap = LISTS[blocks.children(block)[1].type] and "\n" or "\n\n"
  return out .. gap .. by .. indented(inside, by)
end

function writers.paragraph(body, block)
  local inside = below(block)
  local text = text_of(body)
  return inside ~= "" and text .. "\n\n" .. inside or text
end

for level = 1, 3 do
  writers["heading_" .. level] = function(body, block)
    local inside = below(block)
    local text = ("%s %s"):format(("#"):rep(level), (inline.write(body.rich_text):gsub("\\?\n", "<br>")))
    return inside ~= "" and text .. "\n\n" .. inside or text
  end
end

function writers.bulleted_list_item(body, block)
  return item("- ", 2, body, block)
end

function writers.numbered_list_item(body, block, number)
  return item(number .. ". ", #tostring(number) + 2, body, block)
end

function writers.to_do(body, block)
  return item(body.checked and "- [x] " or "- [ ] ", 2, body, block)
end

local function text_and_below(text, block)
  local inside = below(block)
  return inside ~= "" and (text ~= "" and text .. "\n\n" or "") .. inside or text
end

function writers.quote(body, block)
  return quoted(text_and_below(text_of(body), block))
end

function writers.callout(body, block)
  local icon = type(body.icon) == "table" and body.icon.emoji
  return quoted(("[!NOTE]%s\n%s"):format(icon and " " .. icon or "", text_and_below(text_of(body), block)))
end

function writers.toggle(body, block)
  local summary = inline.write(body.rich_text):gsub("\\?\n", "<br>")
  local inside = below(block)
  return ("<details>\n<summary>%s</summary>\n%s</details>"):format(summary,
    inside ~= "" and "\n" .. inside .. "\n\n" or "")
end

function writers.code(body)
  local code = rich_text.plain(body.rich_text)
  local fence = "```"
  for run in code:gmatch("`+") do
    fence = #run >= #fence and ("`"):rep(#run + 1) or fence
  end
  local language = body.language ~= "plain text" and body.language or ""
  local caption = caption_of(body)
  return ("%s%s\n%s\n%s%s"):format(fence, language, code, fence, caption ~= "" and "\n\n" .. caption or "")
end

function writers.divider()
  return "---"
end

function writers.equation(body)
  return ("$$\n%s\n$$"):format((body.expression:gsub("%s+$", "")))
end

function writers.table(body, block)
  local lines = {}
  for i, row in ipairs(blocks.children(block)) do
    local cells = {}
    for j, cell in ipairs(row.table_row.cells) do
      cells[j] = inline.write(cell):gsub("\\?\n", "<br>")
    end
    local line = "| " .. table.concat(cells, " | ") .. " |"
    if i == 1 and not body.has_column_header then
      lines[1], lines[2] = "|" .. (" |"):rep(#cells), "|" .. (" --- |"):rep(#cells)
    end
    lines[#lines + 1] = line
    if i == 1 and body.has_column_header then
      lines[2] = "|" .. (" --- |"):rep(#cells)
    end
  end
  return table.concat(lines, "\n")
end

function writers.bookmark(body)
  return link_line(body)
end

writers.embed, writers.link_preview, writers.video = writers.bookmark, writers.bookmark, writers.bookmark

function writers.file(body)
  return link_line(body, type(body.name) == "string" and body.name or nil)
end

writers.pdf, writers.audio = writers.file, writers.file

function writers.image(body)
  return ("![%s](<%s>)"):format(plain_caption(body), address(address_of(body)))
end

local function page_link(title, id)
  return ("[%s](<https://www.notion.so/%s>)"):format(inline.write { { plain_text = title } }, (id:gsub("-", "")))
end

function writers.child_page(body, block)
  return page_link(body.title, block.id)
end

writers.child_database = writers.child_page

function writers.link_to_page(body)
  local id = body.page_id or body.database_id or body.comment_id
  return id and page_link("page", id) or ""
end

local function only_children(_, block)
  return below(block)
end

writers.column_list, writers.column, writers.synced_block = only_children, only_children, only_children

local function nothing()
  return ""
end

-- What Notion makes of the page itself.
writers.table_of_contents, writers.breadcrumb = nothing, nothing

local function unsupported(block)
  return ("<!-- notion: %s %s -->"):format(block.type, block.id or "")
end

local function separator(before, kind)
  local is_numbered = before == "numbered_list_item" or kind == "numbered_list_item"
  return LISTS[before] and (before == kind or LISTS[kind] and not is_numbered) and "\n" or "\n\n"
end

--- Blocks one below the other.
function write_list(list)
  local out, before, number = {}, nil, 0
  for _, block in ipairs(list) do
    local writer, body = writers[block.type], block[block.type]
    number = block.type == "numbered_list_item" and number + 1 or 0
    local text = writer and type(body) == "table" and writer(body, block, number) or not writer and unsupported(block)
    if text and (text ~= "" or block.type == "paragraph") then
      out[#out + 1] = before and separator(before, block.type) or ""
      out[#out + 1] = text ~= "" and text or "&nbsp;"
      before = block.type
    end
  end
  return table.concat(out)
end

--- Blocks as Markdown. What has no form there is a comment that names its type; colours, and
--- the width of columns, are not kept.
---@param list table[] as Notion gives or takes them
---@return string text lines, the last one ended; "" for no blocks
function M.write(list)
  local text = write_list(list)
  return text ~= "" and text .. "\n" or ""
end

return M
