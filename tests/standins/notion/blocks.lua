--- Blocks: what stands on pages. Read from requests with Notion's limits on number, text and
--- nesting, kept as a tree, and shown.
local failures = require "tests.standins.notion.failures"
local json = require "ligase.base.json"
local paging = require "tests.standins.notion.paging"
local richtext = require "tests.standins.notion.richtext"
local world_module = require "tests.standins.notion.world"

local M = {}

local null = json.null
local MOST_CHILDREN, MOST_BLOCKS, MOST_NESTING = 100, 1000, 2

--- What each type holds besides `children`: rich text under its name, or anything.
local TEXT_TYPES = { paragraph = true, heading_1 = true, heading_2 = true, heading_3 = true, heading_4 = true,
  bulleted_list_item = true, numbered_list_item = true, to_do = true, toggle = true, quote = true,
  callout = true, code = true, template = true }
local OTHER_TYPES = { divider = true, table = true, table_row = true, image = true, video = true, file = true,
  pdf = true, audio = true, bookmark = true, embed = true, equation = true, breadcrumb = true,
  table_of_contents = true, column_list = true, column = true, synced_block = true, link_to_page = true }
local ORDER = {}
for _, types in ipairs { TEXT_TYPES, OTHER_TYPES } do
  for kind in pairs(types) do
    ORDER[#ORDER + 1] = kind
  end
end
table.sort(ORDER)

--- What Notion fills in when a request does not say it.
local DEFAULTS = {
  paragraph = { color = "default" }, quote = { color = "default" },
  heading_1 = { color = "default", is_toggleable = false }, heading_2 = { color = "default", is_toggleable = false },
  heading_3 = { color = "default", is_toggleable = false }, heading_4 = { color = "default", is_toggleable = false },
  bulleted_list_item = { color = "default" }, numbered_list_item = { color = "default" },
  to_do = { checked = false, color = "default" }, toggle = { color = "default" },
  callout = { color = "default", icon = null }, code = { language = "plain text" },
}

-- ---- reading ---------------------------------------------------------------

local function kind_of(path, raw)
  if type(raw) ~= "table" or json.is_array(raw) then
    failures.invalid_at(path, "an object", raw)
  end
  for _, kind in ipairs(ORDER) do
    if type(raw[kind]) == "table" then
      return kind
    end
  end
  local clauses = {}
  for _, kind in ipairs(ORDER) do
    clauses[#clauses + 1] = failures.clause(path .. "." .. kind, "defined")
  end
  failures.invalid_forms(clauses)
end

local function read_content(path, kind, raw)
  local content = {}
  for name, value in pairs(DEFAULTS[kind] or {}) do
    content[name] = value
  end
  for name, value in pairs(raw) do
    if name ~= "children" then
      content[name] = value
    end
  end
  if TEXT_TYPES[kind] then
    if raw.rich_text == nil then
      failures.invalid_at(path .. ".rich_text", "defined", nil)
    end
    content.rich_text = richtext.read(path .. ".rich_text", raw.rich_text)
    if kind == "code" then
      content.caption = raw.caption and richtext.read(path .. ".caption", raw.caption) or json.array()
    end
  elseif kind == "table_row" then
    if not json.is_array(raw.cells) then
      failures.invalid_at(path .. ".cells", "an array", raw.cells)
    end
    content.cells = json.array()
    for i, cell in ipairs(raw.cells) do
      content.cells[i] = richtext.read(("%s.cells[%d]"):format(path, i - 1), cell)
    end
  end
  return content
end

local read_list

local function read_block(path, raw, depth, count)
  local kind = kind_of(path, raw)
  if raw.archived ~= nil then
    failures.invalid_at(path .. ".archived", "not present", raw.archived)
  end
  local at = path .. "." .. kind
  local block = { kind = "block", type = kind, content = read_content(at, kind, raw[kind]) }
  local children = raw[kind].children
  if children == nil then
    children, at = raw.children, path
  end
  if kind == "table" and (not json.is_array(children) or #children == 0) then
    failures.invalid_at(at .. ".children", "defined", children)
  end
  if children ~= nil then
    if depth == MOST_NESTING then
      failures.invalid_at(at .. ".children", "not present", children)
    end
    block.children = read_list(at .. ".children", children, depth + 1, count)
  end
  return block
end

function read_list(path, raw, depth, count)
  if not json.is_array(raw) then
    failures.invalid_at(path, "an array", raw)
  end
  failures.check_length(path, #raw, MOST_CHILDREN)
  local list = {}
  for i, item in ipairs(raw) do
    count.blocks = count.blocks + 1
    list[i] = read_block(("%s[%d]"):format(path, i - 1), item, depth, count)
  end
  return list
end

--- Reads the blocks of a request; nothing is kept yet.
---@param path string "body.children"
---@param raw any
---@return table[] blocks
function M.read(path, raw)
  local count = { blocks = 0 }
  local list = read_list(path, raw, 0, count)
  if count.blocks > MOST_BLOCKS then
    failures.invalid(("body failed validation: the payload has %d blocks, and at most %d are allowed."):format(
      count.blocks, MOST_BLOCKS))
  end
  return list
end

--- Keeps blocks that were read, below a page or a block.
---@param world table
---@param parent table
---@param list table[]
---@param user table
---@param place? integer before which child they come; at the end without it
function M.attach(world, parent, list, user, place)
  parent.children = parent.children or {}
  place = place or #parent.children + 1
  for i, block in ipairs(list) do
    local below = block.children
    block.children, block.above = nil, parent.id
    world:add(block, user)
    table.insert(parent.children, place + i - 1, block.id)
    if below then
      M.attach(world, block, below, user)
    end
  end
end

-- ---- showing ---------------------------------------------------------------

local function parent_shown(world, block)
  local above = world.objects[block.above]
  local name = above.kind == "page" and "page_id" or "block_id"
  return { type = name, [name] = above.id }
end

local function show_page_block(world, page, shown)
  shown.type, shown.has_children = "child_page", #page.children > 0
  shown.child_page = { title = richtext.plain(page.values.title) }
  shown.parent = page.parent or { type = "data_source_id", data_source_id = page.source,
    database_id = world.objects[page.source].database }
  return shown
end

--- A block, or a page as a block, as answers show it.
---@param world table
---@param block table
---@param request table
---@return table
function M.show(world, block, request)
  local shown = { object = "block", id = block.id, created_time = block.created_time,
    last_edited_time = block.last_edited_time, created_by = { object = "user", id = block.created_by },
    last_edited_by = { object = "user", id = block.last_edited_by }, in_trash = block.trashed == true }
  if request.version < "2026-03-11" then
    shown.archived = shown.in_trash
  end
  if block.kind == "page" then
    return show_page_block(world, block, shown)
  end
  shown.type, shown[block.type] = block.type, block.content
  shown.has_children = block.children ~= nil and #block.children > 0
  shown.parent = parent_shown(world, block)
  return shown
end

-- ---- endpoints -------------------------------------------------------------

local function named(world, request)
  return world:find("block", world_module.checked_id("path.block_id", request.params[1]))
end

local function page_of(world, object)
  while object.kind ~= "page" do
    object = world.objects[object.above]
  end
  return object
end

local function refuse_trashed(world, object)
  while object do
    if object.trashed then
      failures.archived()
    end
    object = object.above and world.objects[object.above]
  end
end

--- GET /v1/blocks/{id}
---@param world table
---@param request table
---@return table
function M.retrieve(world, request)
  return M.show(world, named(world, request), request)
end

--- GET /v1/blocks/{id}/children
---@param world table
---@param request table
---@return table
function M.children(world, request)
  local ids = named(world, request).children or {}
  return paging.list(request, #ids, function(i)
    return M.show(world, world.objects[ids[i]], request)
  end, { type = "block", block = {} })
end

local function index_of(list, id)
  for i, candidate in ipairs(list) do
    if candidate == id then
      return i
    end
  end
end

--- Where an append puts its blocks: the old `after`, or the new `position`.
local function place_of(parent, request)
  local body, after = request.json, nil
  local position = body.position
  if body.after ~= nil then
    if request.version >= "2026-03-11" then
      failures.invalid_at("body.after", "not present", body.after)
    end
    after = world_module.checked_id("body.after", body.after)
  elseif position ~= nil and position ~= null then
    local kind = type(position) == "table" and position.type or nil
    if kind == "start" then
      return 1
    elseif kind == "after_block" then
      local named_block = type(position.after_block) == "table" and position.after_block.id or nil
      after = world_module.checked_id("body.position.after_block.id", named_block)
    elseif kind ~= "end" then
      failures.invalid_at("body.position.type", '`"end"`, `"start"` or `"after_block"`', kind)
    end
  end
  if after then
    local at = index_of(parent.children, after)
    if not at then
      failures.not_found("block", after)
    end
    return at + 1
  end
  return #parent.children + 1
end

--- PATCH /v1/blocks/{id}/children
---@param world table
---@param request table
---@return table
function M.append(world, request)
  local parent = named(world, request)
  if request.json.children == nil then
    failures.invalid_at("body.children", "defined", nil)
  end
  refuse_trashed(world, parent)
  parent.children = parent.children or {}
  local place = place_of(parent, request)
  local list = M.read("body.children", request.json.children)
  M.attach(world, parent, list, request.user, place)
  world:touch(page_of(world, parent), request.user)
  local results, ids = json.array(), json.array()
  for i, block in ipairs(list) do
    results[i], ids[i] = M.show(world, block, request), block.id
  end
  request.committed, request.committed_children = parent.id, ids
  return { object = "list", results = results, next_cursor = null, has_more = false, type = "block", block = {} }
end

local function detach(world, block)
  local above = world.objects[block.above]
  table.remove(above.children, index_of(above.children, block.id))
end

--- PATCH /v1/blocks/{id}
---@param world table
---@param request table
---@return table
function M.update(world, request)
  local block, body = named(world, request), request.json
  local wanted = body.in_trash
  if wanted == nil then
    wanted = body.archived
  end
  if block.kind == "page" then
    failures.invalid("Updating the content of a page block is done through its page.")
  elseif block.trashed and wanted ~= false then
    failures.archived()
  end
  refuse_trashed(world, world.objects[block.above])
  local raw = body[block.type]
  if type(raw) == "table" then
    local merged = {}
    for _, from in ipairs { block.content, raw } do
      for name, value in pairs(from) do
        merged[name] = value
      end
    end
    block.content = read_content("body." .. block.type, block.type, merged)
  end
  if wanted == true then
    block.trashed = true
    detach(world, block)
  elseif wanted == false and block.trashed then
    block.trashed = nil
    local above = world.objects[block.above]
    above.children[#above.children + 1] = block.id
  end
  world:touch(block, request.user)
  world:touch(page_of(world, block), request.user)
  return M.show(world, block, request)
end

--- DELETE /v1/blocks/{id}: into the trash, for pages too.
---@param world table
---@param request table
---@return table
function M.delete(world, request)
  local block = named(world, request)
  if block.trashed then
    failures.archived()
  end
  block.trashed = true
  if block.kind == "block" then
    detach(world, block)
    world:touch(page_of(world, block), request.user)
  elseif block.source then
    local source = world.objects[block.source]
    source.live = source.live - 1
  end
  world:touch(block, request.user)
  return M.show(world, block, request)
end

return M
