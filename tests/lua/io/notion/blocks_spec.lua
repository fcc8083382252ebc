local blocks = require "ligase.io.notion.blocks"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local limits = require "ligase.io.notion.limits"
local markdown = require "ligase.io.notion.markdown"
local rich_text = require "ligase.io.notion.rich_text"

local function block(kind, content, children)
  return { type = kind, [kind] = { rich_text = { { text = { content = content } } }, children = children } }
end

local function many(count, kind, children)
  local list = {}
  for i = 1, count do
    list[i] = block(kind or "paragraph", tostring(i), children and children(i))
  end
  return list
end

--- Checks one request's blocks against every limit, as Notion does.
local function check_request(children)
  assert.is_true(#json.encode { children = children } <= 500000, "more than 500 kB")
  assert.is_true(blocks.count(children) <= 1000, "more than 1000 blocks")
  local function check(list, level)
    assert.is_true(#list >= 1 and #list <= 100, #list .. " blocks in a list")
    assert.is_true(level <= 2, "nested too deep")
    for _, found in ipairs(list) do
      local body = found[found.type]
      for _, text in ipairs { body.rich_text or {}, body.caption or {} } do
        assert.is_true(#text <= 100, #text .. " texts")
        for _, item in ipairs(text) do
          assert.is_true(limits.length(item.text.content) <= 2000)
        end
      end
      assert.is_true(found.type ~= "table" or #body.children >= 1, "a table without rows")
      if body.children then
        check(body.children, level + 1)
      end
    end
  end
  check(children, 0)
end

--- A page that takes blocks as Notion does; gives what it holds as a tree, and the requests.
local function append(list)
  local page, by_id, requests, made = { children = {} }, {}, 0, 0
  by_id.page = page
  local function take(parent, children)
    local ids = {}
    for i, given in ipairs(children) do
      made = made + 1
      local body = {}
      for name, value in pairs(given[given.type]) do
        body[name] = name ~= "children" and value or nil
      end
      local node = { type = given.type, id = "b" .. made, [given.type] = body, children = {} }
      by_id[node.id], ids[i] = node, node.id
      table.insert(parent.children, node)
      take(node, given[given.type].children or {})
    end
    return ids
  end
  local ids = blocks.append("page", list, function(parent, children)
    check_request(children)
    requests = requests + 1
    return take(by_id[parent], children)
  end)
  return page.children, requests, ids
end

local function plain(list)
  local out = {}
  for found, level in blocks.walk(list) do
    out[#out + 1] = ("%d %s %s"):format(level, found.type, rich_text.plain(found[found.type].rich_text or {}))
  end
  return out
end

describe("blocks on their way to Notion", function()
  it("go in one request when they fit, and in order when they do not", function()
    local page, requests = append(many(100))
    assert.equal(1, requests)
    assert.equal(100, #page)
    page, requests = append(many(1234))
    assert.equal(13, requests)
    for i, found in ipairs(page) do
      assert.equal(tostring(i), rich_text.plain(found.paragraph.rich_text))
    end
    page, requests = append {}
    assert.equal(0, requests)
    assert.same({}, page)
  end)

  it("keep their nesting, however deep, and every child in its place", function()
    local function nested(depth)
      return many(3, "bulleted_list_item", depth > 0 and function() return nested(depth - 1) end)
    end
    local source = nested(4)
    local page = append(source)
    assert.same(plain(markdown.read(markdown.write(source))), plain(page))
    local wide = { block("toggle", "many", many(250)), block("paragraph", "after") }
    page = append(wide)
    assert.equal(252, #plain(page))
    assert.equal("1 paragraph 250", plain(page)[251])
    assert.equal("0 paragraph after", plain(page)[252])
  end)

  it("keep to 1000 blocks and 500 kB a request", function()
    local page = append(many(100, "toggle", function() return many(20) end))
    assert.equal(2100, #plain(page))
    local large = {}
    for i = 1, 30 do
      large[i] = block("paragraph", ("é"):rep(40000) .. i)
    end
    local requests
    page, requests = append(large)
    assert.is_true(requests > 4)
    for i, found in ipairs(page) do
      assert.equal(("é"):rep(40000) .. i, rich_text.plain(found.paragraph.rich_text))
    end
  end)

  it("go on in further blocks when a text is longer than one takes", function()
    local long = ("0123456789"):rep(25000)
    local page = append { block("paragraph", long) }
    assert.equal(2, #page)
    assert.equal(long, rich_text.plain(page[1].paragraph.rich_text) .. rich_text.plain(page[2].paragraph.rich_text))
    page = append { { type = "code", code = { language = "lua", rich_text = { { text = { content = long } } } } } }
    assert.equal(long, rich_text.plain(page[1].code.rich_text) .. rich_text.plain(page[2].code.rich_text))
    assert.equal("lua", page[2].code.language)
    page = append { block("bulleted_list_item", long, { block("paragraph", "below") }), block("paragraph", "next") }
    assert.equal(2, #page)
    assert.equal(long, rich_text.plain(page[1].bulleted_list_item.rich_text)
      .. rich_text.plain(page[1].children[1].paragraph.rich_text))
    assert.equal("below", rich_text.plain(page[1].children[2].paragraph.rich_text))
    local wide = ("漢"):rep(200000) -- 600 kB in one block of 100 texts
    page = append { block("paragraph", wide) }
    local parts = {}
    for i, found in ipairs(page) do
      parts[i] = rich_text.plain(found.paragraph.rich_text)
    end
    assert.is_true(wide == table.concat(parts))
  end)

  it("tables go with a row, and their other rows after it", function()
    local lines = { "| n |", "| --- |" }
    for i = 1, 250 do
      lines[#lines + 1] = ("| %d |"):format(i)
    end
    local page = append(markdown.read(table.concat(lines, "\n")))
    assert.equal(251, #page[1].children)
    assert.equal("250", rich_text.plain(page[1].children[251].table_row.cells[1]))
  end)

  it("leave out what Notion adds when it is read", function()
    local request
    blocks.append("page", { { object = "block", id = "x", type = "paragraph", has_children = false, archived = false,
      created_time = "2026-01-01T00:00:00.000Z", parent = { type = "page_id", page_id = "p" }, paragraph = {
        color = "red", icon = json.null, rich_text = { { type = "text", plain_text = "a", href = json.null,
          text = { content = "a" }, annotations = { bold = true } } } } } }, function(_, children)
      request = json.encode(children)
      return { "b1" }
    end)
    assert.equal('[{"object":"block","paragraph":{"color":"red","rich_text":[{"annotations":{"bold":true},'
      .. '"text":{"content":"a"},"type":"text"}]},"type":"paragraph"}]', request)
  end)

  it("are refused when they cannot be written, before anything is sent", function()
    for code, list in pairs {
      value = { block("paragraph", "a"), { type = "child_page", child_page = { title = "x" } } },
      limit = { { type = "equation", equation = { expression = "x" } },
        { type = "paragraph", paragraph = { rich_text = { { type = "equation",
          equation = { expression = ("x"):rep(1001) } } } } } },
    } do
      local done, failure = pcall(blocks.append, "page", list, function()
        error "it was sent"
      end)
      assert.is_false(done)
      assert.is_true(errors.is(failure, "notion"), tostring(failure))
      assert.equal(code, failure.code)
      assert.equal("not_sent", failure.outcome)
    end
    local done, failure = pcall(blocks.append, "page", { { type = "image", image = { type = "file", file = {
      url = "https://files.example.org/x", expiry_time = "2026-01-01T00:00:00.000Z" } } } }, error)
    assert.is_false(done)
    assert.equal("value", failure.code)
    done, failure = pcall(blocks.for_page, many(101))
    assert.is_false(done)
    assert.equal("limit", failure.code)
    assert.equal(100, #blocks.for_page(many(100)))
    assert.is_nil(blocks.for_page {})
  end)
end)
