local inline = require "ligase.io.notion.inline"
local inline_read = require "ligase.io.notion.inline_read"
local json = require "ligase.base.json"
local markdown = require "ligase.io.notion.markdown"

local function text(content, annotations, url)
  return { type = "text", text = { content = content, link = url and { url = url } or nil },
    annotations = annotations }
end

local function block(kind, items, body, children)
  body = body or {}
  body.rich_text = json.array(type(items) == "string" and (items ~= "" and { text(items) } or {}) or items)
  body.children = children and json.array(children) or nil
  return { type = kind, [kind] = body }
end

--- Blocks are written as that text, and come back from it.
local function is_written(wanted, blocks)
  assert.equal(wanted, markdown.write(blocks))
  assert.equal(json.encode(json.array(blocks)), json.encode(json.array(markdown.read(wanted))))
end

describe("blocks as Markdown", function()
  it("headings and paragraphs", function()
    is_written("# One\n\n## Two\n\n### Three\n\ntext\\\nsecond line\n", { block("heading_1", "One"),
      block("heading_2", "Two"), block("heading_3", "Three"), block("paragraph", "text\nsecond line") })
    is_written("a\n\n&nbsp;\n\nb\n", { block("paragraph", "a"), block("paragraph", ""), block("paragraph", "b") })
  end)

  it("lists within lists", function()
    is_written("- one\n- two\n  1. first\n  2. second\n\n     below\n\n  - [x] done\n  - [ ] not yet\n- three\n", {
      block("bulleted_list_item", "one"),
      block("bulleted_list_item", "two", nil, {
        block("numbered_list_item", "first"),
        block("numbered_list_item", "second", nil, { block("paragraph", "below") }),
        block("to_do", "done", { checked = true }),
        block("to_do", "not yet", { checked = false }),
      }),
      block("bulleted_list_item", "three"),
    })
  end)

  it("quotes, callouts and toggles, with what is in them", function()
    is_written("> said\n>\n> - by whom\n", { block("quote", "said", nil, { block("bulleted_list_item", "by whom") }) })
    is_written("> [!NOTE] 💡\n> mind\n", { block("callout", "mind", { icon = { type = "emoji", emoji = "💡" } }) })
    is_written("<details>\n<summary>more</summary>\n\ninside\n\n<details>\n<summary>deeper</summary>\n</details>\n\n"
      .. "</details>\n", { block("toggle", "more", nil, { block("paragraph", "inside"), block("toggle", "deeper") }) })
  end)

  it("what looks like an end within a code is none", function()
    is_written("<details>\n<summary>more</summary>\n\n```\n</details>\n<details>\n```\n\n</details>\n\nafter\n", {
      block("toggle", "more", nil, { block("code", "</details>\n<details>", { language = "plain text" }) }),
      block("paragraph", "after") })
    local items = { text "a ", { type = "equation", equation = { expression = "x`y" } }, text " b",
      text("c$", { code = true }) }
    assert.equal("a $x`y$ b`c$`", inline.write(items))
    assert.equal(json.encode(items), json.encode(inline_read.read "a $x`y$ b`c$`"))
    assert.equal("`a`\\\n`b`", inline.write { text("a\nb", { code = true }) })
  end)

  it("code, with any backticks", function()
    is_written("```lua\nlocal x = 1\n\n  return x\n```\n", { block("code", "local x = 1\n\n  return x",
      { language = "lua" }) })
    is_written("````\n```\nin it\n```\n````\n", { block("code", "```\nin it\n```", { language = "plain text" }) })
    assert.equal("plain text", markdown.read("```klingon\nx\n```")[1].code.language)
    assert.equal("python", markdown.read("```py\nx\n```")[1].code.language)
  end)

  it("dividers, equations, links and pictures", function()
    is_written("---\n\n$$\nE = mc^2\n$$\n\n<https://example.org/?a=b>\n\n![a cell](<https://example.org/c.png>)\n", {
      { type = "divider", divider = {} },
      { type = "equation", equation = { expression = "E = mc^2" } },
      { type = "bookmark", bookmark = { url = "https://example.org/?a=b", caption = json.array() } },
      { type = "image", image = { type = "external", external = { url = "https://example.org/c.png" },
        caption = json.array { text "a cell" } } },
    })
  end)

  it("tables", function()
    local function row(...)
      local cells = json.array()
      for i, cell in ipairs { ... } do
        cells[i] = json.array(cell ~= "" and { text(cell) } or {})
      end
      return { type = "table_row", table_row = { cells = cells } }
    end
    local function table_block(has_header, ...)
      return { type = "table", table = { table_width = 2, has_column_header = has_header, has_row_header = false,
        children = json.array { ... } } }
    end
    is_written("| name | a \\| b |\n| --- | --- |\n| x |  |\n", { table_block(true, row("name", "a | b"),
      row("x", "")) })
    is_written("| | |\n| --- | --- |\n| x | y |\n", { table_block(false, row("x", "y")) })
    local code = markdown.read("| h | `a|b` |\n|---|:-:|\n| 1 | 2 | 3 |\n")[1].table
    assert.equal("a|b", code.children[1].table_row.cells[2][1].text.content)
    assert.equal(3, code.table_width)
  end)

  it("what has no form says what it was", function()
    assert.equal("a\n\n<!-- notion: ai_block 12ab -->\n", markdown.write { block("paragraph", "a"),
      { type = "ai_block", id = "12ab", ai_block = {} } })
    assert.equal(1, #markdown.read "a\n\n<!-- notion: ai_block 12ab -->\n")
    assert.equal("", markdown.write {})
  end)

  it("as Notion gives them: children beside the body, nulls, pages within", function()
    local function given(content)
      return { { type = "text", text = { content = content, link = json.null }, plain_text = content, href = json.null,
        annotations = { bold = false, italic = false, strikethrough = false, underline = false, code = false,
          color = "default" } } }
    end
    assert.equal("- a\n  - b\n\n[Notes](<https://www.notion.so/0123456789abcdef0123456789abcdef>)\n", markdown.write {
      { type = "bulleted_list_item", has_children = true, bulleted_list_item = { rich_text = given "a" },
        children = { { type = "bulleted_list_item", bulleted_list_item = { rich_text = given "b" } } } },
      { type = "child_page", id = "01234567-89ab-cdef-0123-456789abcdef", child_page = { title = "Notes" } },
    })
  end)
end)

describe("Markdown as blocks", function()
  it("takes what people write", function()
    local blocks = markdown.read "Title\r\nsoft line\n* star\n+ plus\n\n1) one\n#### deep\n***\n__bold__ and _it_\n"
    local kinds = {}
    for i, found in ipairs(blocks) do
      kinds[i] = found.type
    end
    assert.same({ "paragraph", "bulleted_list_item", "bulleted_list_item", "numbered_list_item", "heading_3", "divider",
      "paragraph" }, kinds)
    assert.equal("Title soft line", blocks[1].paragraph.rich_text[1].text.content)
    local items = blocks[7].paragraph.rich_text
    assert.same({ { "bold", true }, { " and ", nil }, { "it", nil } }, { { items[1].text.content,
      items[1].annotations.bold }, { items[2].text.content }, { items[3].text.content } })
    assert.is_true(items[3].annotations.italic)
  end)

  it("takes stray signs as they stand", function()
    for _, line in ipairs { "2 * 3 * 4", "a_b_c", "[x] and (y)", "5 < 6 > 4", "$5 and $6", "~ 3", "`open", "**open",
      "<u>open", "[open](", "\\", "a & b", "C:\\temp" } do
      local items = markdown.read(line)[1].paragraph.rich_text
      local plain = {}
      for i, item in ipairs(items) do
        assert.is_nil(item.annotations, line)
        plain[i] = item.text.content
      end
      assert.equal(line, table.concat(plain))
    end
  end)

  it("takes long texts of unmatched signs in time", function()
    local long = ("[c <u>x ~~ _ * $5 "):rep(5000)
    assert.is_true(long == inline_read.read(long)[1].text.content)
    local nested = "**" .. ("*a "):rep(20001) .. "**"
    assert.is_true(#inline_read.read(nested) > 1)
  end)
end)

-- ---- any text --------------------------------------------------------------

local PIECES = { "a", "b ", " c", "*", "_", "~~", "`", "[", "](", ")", "<", ">", "$", "\\", "\n", "1.", "- ", "#", "!",
  "&amp;", "é", "💡", "x_y", "|", "--", "  ", "\t", "(", ",", "5", "http://x.y", "<br>", "&", "&#32;", "\\\n", "+", "=" }
local MARKS = { "bold", "italic", "strikethrough", "underline" }

local random

local function random_items()
  local items = json.array()
  for _ = 1, random(4) do
    local is_code, pieces = random(6) == 1, {}
    for i = 1, random(5) do
      pieces[i] = PIECES[random(#PIECES)]
    end
    local content = table.concat(pieces)
    content = is_code and content:gsub("%s+", " "):match "^%s*(.-)%s*$" or content
    local annotations = { code = is_code or nil }
    for _, mark in ipairs(MARKS) do
      annotations[mark] = random(4) == 1 or nil
    end
    if content ~= "" then
      items[#items + 1] = text(content, next(annotations) and annotations, random(8) == 1 and "https://x.org/a_b"
        or nil)
    end
  end
  return items
end

--- A rich text letter by letter, so that it does not matter how it is cut into items. Marks on
--- blanks are not seen and may go.
local function letters(items)
  local out = {}
  for _, item in ipairs(items) do
    local marks = item.annotations or {}
    local key = item.text.link and item.text.link.url or ""
    for _, name in ipairs { "bold", "italic", "strikethrough", "underline", "code" } do
      key = key .. (marks[name] and name:sub(1, 1) or "")
    end
    for letter in item.text.content:gmatch(utf8.charpattern) do
      out[#out + 1] = letter:find("%s") and letter or letter .. key
    end
  end
  return table.concat(out, "\0")
end

describe("any rich text", function()
  it("comes back letter by letter, in every kind of block", function()
    math.randomseed(7)
    random = math.random
    local kinds = { "paragraph", "quote", "bulleted_list_item", "numbered_list_item", "to_do" }
    for _ = 1, 1500 do
      local items = random_items()
      local written = inline.write(items)
      assert.equal(letters(items), letters(inline_read.read(written)), written)
      local kind = kinds[random(#kinds)]
      local page = markdown.write { block(kind, items, { checked = false }) }
      local back = markdown.read(page)
      assert.equal(1, #back, page)
      assert.equal(kind, back[1].type, page)
      assert.is_nil(back[1][kind].children, page)
      assert.equal(letters(items), letters(back[1][kind].rich_text), page)
    end
  end)
end)
