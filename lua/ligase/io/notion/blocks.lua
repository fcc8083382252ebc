--- Blocks, the content of pages: cut so that every request keeps Notion's limits, in order,
--- with nothing left out.
local json = require "ligase.base.json"
local limits = require "ligase.io.notion.limits"
local rich_text = require "ligase.io.notion.rich_text"

local M = {}

-- ---- one shape for all -----------------------------------------------------

local TAKES_CHILDREN = {
  paragraph = true, bulleted_list_item = true, numbered_list_item = true, to_do = true, toggle = true, quote = true,
  callout = true, table = true, column_list = true, column = true, synced_block = true, heading_1 = true,
  heading_2 = true, heading_3 = true, template = true,
}

--- What a block says beside its texts, by type.
local KEPT = {
  heading_1 = { "color", "is_toggleable" }, heading_2 = { "color", "is_toggleable" },
  heading_3 = { "color", "is_toggleable" }, paragraph = { "color" }, bulleted_list_item = { "color" },
  numbered_list_item = { "color" }, quote = { "color" }, toggle = { "color" }, to_do = { "color", "checked" },
  callout = { "color", "icon" }, code = { "language" }, equation = { "expression" }, divider = {},
  table = { "table_width", "has_column_header", "has_row_header" }, table_row = {}, bookmark = { "url" },
  embed = { "url" }, image = { "type", "external" }, video = { "type", "external" },
  file = { "type", "external", "name" },
  pdf = { "type", "external" }, audio = { "type", "external" }, table_of_contents = { "color" }, breadcrumb = {},
  column_list = {}, column = {}, synced_block = { "synced_from" }, link_to_page = { "type", "page_id", "database_id" },
}

--- The children of a block, whether it was read (beside its body) or made (within it).
---@param block table
---@return table[] children
function M.children(block)
  return block.children or (type(block[block.type]) == "table" and block[block.type].children) or {}
end

local function row_cells(body)
  local cells = json.array()
  for i, cell in ipairs(body.cells) do
    cells[i] = json.array(rich_text.fit(cell))
    if #cells[i] > limits.RICH_TEXTS then
      limits.refuse("limit", ("a table's cell holds %d texts, and Notion takes %d"):format(#cells[i],
        limits.RICH_TEXTS), "Put the text below the table")
    end
  end
  return cells
end

--- A node: the block without its children, as it may be written, and its children apart.
local function node_of(block)
  local kind = block.type
  local kept, body = KEPT[kind or ""], block[kind or ""]
  if not kept or type(body) ~= "table" then
    limits.refuse("value", ("a block of type '%s' cannot be written"):format(tostring(kind)),
      "Leave it out, or write it as a paragraph")
  elseif body.type == "file" then
    limits.refuse("value", ("a file that was uploaded to Notion (%s) cannot be written again"):format(kind),
      "Give it an address of its own, or leave it out")
  end
  local made = {}
  for _, name in ipairs(kept) do
    made[name] = body[name] ~= json.null and body[name] or nil
  end
  for _, name in ipairs { "rich_text", "caption" } do
    if body[name] then
      made[name] = json.array(rich_text.fit(body[name]))
    end
  end
  if kind == "table_row" then
    made.cells = row_cells(body)
  end
  local children = {}
  for i, child in ipairs(M.children(block)) do
    children[i] = child
  end
  return { type = kind, body = made, children = children }
end

-- ---- long texts ------------------------------------------------------------

--- The items in groups that one block takes each.
local function item_groups(items)
  local groups, bytes = {}, 0
  for _, item in ipairs(items) do
    local size = #json.encode(item) + 1
    local group = groups[#groups]
    if not group or #group == limits.RICH_TEXTS or bytes + size > limits.REQUEST_BYTES // 2 then
      group, bytes = json.array(), 0
      groups[#groups + 1] = group
    end
    group[#group + 1] = item
    bytes = bytes + size
  end
  return groups
end

local function paragraph(items)
  return { type = "paragraph", paragraph = { rich_text = items } }
end

--- Text beyond what one block takes goes on in further ones: code in code, all else in
--- paragraphs, within the block where it can hold them.
local function continued(node)
  local groups = item_groups(node.body.rich_text or {})
  if #groups < 2 then
    return { node }
  end
  node.body.rich_text = groups[1]
  local nodes = { node }
  for i = 2, #groups do
    if node.type == "code" then
      nodes[i] = { type = "code", children = {},
        body = { rich_text = groups[i], language = node.body.language } }
    elseif TAKES_CHILDREN[node.type] and node.type ~= "paragraph" and not node.type:find("^heading") then
      table.insert(node.children, i - 1, paragraph(groups[i]))
    else
      nodes[#nodes + 1] = { type = "paragraph", body = { rich_text = groups[i] }, children = {} }
    end
  end
  if #nodes > 1 and node.type == "paragraph" then
    nodes[#nodes].children, node.children = node.children, {}
  end
  return nodes
end

--- Blocks as nodes, all the way down.
local function nodes_of(blocks)
  local nodes = {}
  for _, block in ipairs(blocks) do
    for _, node in ipairs(continued(node_of(block))) do
      node.children = nodes_of(node.children)
      nodes[#nodes + 1] = node
    end
  end
  return nodes
end

-- ---- requests --------------------------------------------------------------

local function block_of(node, children)
  local body = {}
  for name, value in pairs(node.body) do
    body[name] = value
  end
  body.children = children and #children > 0 and json.array(children) or nil
  return { object = "block", type = node.type, [node.type] = body }
end

--- The whole block with all below it, or nil where that is more than one request takes.
--- `room` is how many levels may still follow.
local function whole(node, room)
  local children = {}
  if #node.children > 0 and (room == 0 or #node.children > limits.CHILDREN) then
    return nil
  end
  local count = 1
  for i, child in ipairs(node.children) do
    local made, below = whole(child, room - 1)
    if not made then
      return nil
    end
    children[i], count = made, count + below
  end
  return block_of(node, children), count
end

local function slice(list, from, to)
  return table.move(list, from, to, 1, {})
end

--- What of a node goes in the first request, and what is appended to it afterwards. Most blocks
--- can come without their children; a table needs a row, and columns have to come whole.
local function first_part(node)
  local block, count = whole(node, limits.NESTED_LEVELS)
  local size = block and #json.encode(block)
  if block and count <= limits.BLOCKS and size <= limits.REQUEST_BYTES then
    return block, count, size, {}
  end
  local sent = 0
  if node.type == "column_list" or node.type == "column" then
    limits.refuse("limit", "columns with more in them than one request takes cannot be written",
      "Write their content one below the other")
  elseif node.type == "table" then
    sent = 1
  end
  block = block_of(node, sent == 1 and { (whole(node.children[1], 0)) } or nil)
  return block, 1 + sent, #json.encode(block), slice(node.children, sent + 1, #node.children)
end

---@class ligase.notion.Batch
---@field blocks table[] for one request
---@field later table<integer, table[]> nodes to append to the block of that position

--- Cuts nodes of one parent into batches.
---@param nodes table[]
---@return ligase.notion.Batch[]
local function batches_of(nodes)
  local batches, batch = {}, nil
  local count, bytes
  for _, node in ipairs(nodes) do
    local block, more, size, later = first_part(node)
    if not batch or #batch.blocks == limits.CHILDREN or count + more > limits.BLOCKS
      or bytes + size > limits.REQUEST_BYTES then
      batch = { blocks = json.array(), later = {} }
      batches[#batches + 1] = batch
      count, bytes = 0, 32
    end
    batch.blocks[#batch.blocks + 1] = block
    batch.later[#batch.blocks] = #later > 0 and later or nil
    count, bytes = count + more, bytes + size + 1
  end
  return batches
end

--- Sends blocks below a parent in as many requests as it takes, in order. `send(parent_id,
--- blocks)` sends one and gives the ids of its blocks.
---@param parent_id string
---@param blocks table[]
---@param send fun(parent_id: string, blocks: table[]): string[]
---@return string[] ids of the blocks at the top
function M.append(parent_id, blocks, send)
  local function append_nodes(parent, nodes)
    local ids = {}
    for _, batch in ipairs(batches_of(nodes)) do
      local made = send(parent, batch.blocks)
      for i, id in ipairs(made) do
        ids[#ids + 1] = id
        if batch.later[i] then
          append_nodes(id, batch.later[i])
        end
      end
    end
    return ids
  end
  return append_nodes(parent_id, nodes_of(blocks))
end

--- Blocks for the one request that makes a page. Raises "limit" when it does not take them all.
---@param blocks table[]
---@return table[]|nil children nil for none
function M.for_page(blocks)
  local batches = batches_of(nodes_of(blocks))
  if #batches > 1 or batches[1] and next(batches[1].later) then
    limits.refuse("limit", "the blocks do not go into the one request that makes the page",
      "Make the page without them, and append them with client:append_blocks")
  end
  return batches[1] and batches[1].blocks
end

--- How many blocks there are, with those within others.
---@param list table[]
---@return integer
function M.count(list)
  local count = #list
  for _, block in ipairs(list) do
    count = count + M.count(M.children(block))
  end
  return count
end

--- Blocks one after the other, each before those within it, with their level from 0.
---@param blocks table[]
---@return fun(): table|nil, integer|nil
function M.walk(blocks)
  local stack = { { list = blocks, at = 0 } }
  return function()
    while #stack > 0 do
      local top = stack[#stack]
      top.at = top.at + 1
      local block = top.list[top.at]
      if block then
        local level = #stack - 1
        if #M.children(block) > 0 then
          stack[#stack + 1] = { list = M.children(block), at = 0 }
        end
        return block, level
      end
      stack[#stack] = nil
    end
  end
end

return M
