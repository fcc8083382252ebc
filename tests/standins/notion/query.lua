--- Queries of data sources, and search: filtered, sorted, in pages, and cut off where Notion
--- cuts them off.
local failures = require "tests.standins.notion.failures"
local filters = require "tests.standins.notion.filters"
local json = require "ligase.base.json"
local pages = require "tests.standins.notion.pages"
local paging = require "tests.standins.notion.paging"
local richtext = require "tests.standins.notion.richtext"
local schema = require "tests.standins.notion.schema"
local world_module = require "tests.standins.notion.world"

local M = {}

local MOST_RESULTS = 10000
local KEPT_CURSORS = 20000
local NO_FILTER = { matches = function() return true end }

-- ---- sorting ---------------------------------------------------------------

local ORDERS = { ascending = true, descending = true }

local function option_place(property, option)
  for i, candidate in ipairs(property.config.options) do
    if candidate.id == option.id then
      return i
    end
  end
end

--- What a page is sorted by: numbers and texts, or nil for an empty property.
local function sort_value(page, property)
  local value = filters.value(page, property)
  if value == nil or value == "" then
    return nil
  elseif property.type == "select" or property.type == "status" then
    return option_place(property, value)
  elseif type(value) == "boolean" then
    return value and 1 or 0
  elseif type(value) == "table" then
    return #value > 0 and #value or nil
  elseif type(value) == "string" then
    return value:lower()
  end
  return value
end

local function sort_of(source, path, raw)
  if type(raw) ~= "table" then
    failures.invalid_at(path, "an object", raw)
  elseif raw.direction ~= nil and not ORDERS[raw.direction] then
    failures.invalid_at(path .. ".direction", '`"ascending"` or `"descending"`', raw.direction)
  end
  local descends = raw.direction == "descending"
  if raw.timestamp ~= nil then
    if raw.timestamp ~= "created_time" and raw.timestamp ~= "last_edited_time" then
      failures.invalid_at(path .. ".timestamp", '`"created_time"` or `"last_edited_time"`', raw.timestamp)
    end
    return { descends = descends, value = function(page) return page[raw.timestamp] end }
  end
  local property = type(raw.property) == "string" and schema.property(source, raw.property)
  if not property then
    failures.invalid("Could not find sort property with name or id: " .. tostring(raw.property))
  end
  return { descends = descends, value = function(page) return sort_value(page, property) end }
end

local function read_sorts(source, raw)
  if raw == nil or raw == json.null then
    return {}
  elseif not json.is_array(raw) then
    failures.invalid_at("body.sorts", "an array", raw)
  end
  failures.check_length("body.sorts", #raw, 100)
  local sorts = {}
  for i, sort in ipairs(raw) do
    sorts[i] = sort_of(source, ("body.sorts[%d]"):format(i - 1), sort)
  end
  return sorts
end

--- Sorts pages; empty values come last, equal ones in the order the pages were made.
local function sort(list, sorts)
  local keys = {}
  for _, page in ipairs(list) do
    local key = {}
    for i, by in ipairs(sorts) do
      key[i] = by.value(page)
    end
    keys[page] = key
  end
  table.sort(list, function(a, b)
    for i, by in ipairs(sorts) do
      local left, right = keys[a][i], keys[b][i]
      if left ~= right then
        if left == nil or right == nil then
          return right == nil
        end
        return by.descends and left > right or not by.descends and left < right
      end
    end
    return a.place < b.place
  end)
end

-- ---- finding ---------------------------------------------------------------

--- Pages that a filter can match, all in the order they were made.
local function candidates(source, filter)
  if not filter.look_up then
    return source.pages
  end
  local list = {}
  for _, page in pairs(pages.with_text(source, filter.look_up.property, filter.look_up.text)) do
    list[#list + 1] = page
  end
  table.sort(list, function(a, b) return a.place < b.place end)
  return list
end

local function is_wanted(page, filter, trashed)
  return (page.trashed == true) == trashed and not page.hidden and filter.matches(page)
end

--- The results from a place on, at most so many and one more to know whether it goes on.
local function walk(list, from, most, filter, trashed)
  local found = {}
  local at = from
  while at <= #list and #found <= most do
    if is_wanted(list[at], filter, trashed) then
      found[#found + 1] = list[at]
    end
    at = at + 1
  end
  return found, at - 1
end

--- All results, sorted; kept until something changes, for who asks page by page.
local function sorted_results(world, source, key, filter, sorts, trashed)
  local kept = world.sorted
  if kept and kept.key == key and kept.revision == world.revision then
    return kept.list
  end
  local list = {}
  for _, page in ipairs(candidates(source, filter)) do
    if is_wanted(page, filter, trashed) then
      list[#list + 1] = page
    end
  end
  sort(list, sorts)
  world.sorted = { key = key, revision = world.revision, list = list }
  return list
end

-- ---- cursors ---------------------------------------------------------------

local function new_cursor(world, state)
  world.cursors = world.cursors or { list = {}, next = 1 }
  local cursors, id = world.cursors, world:new_id()
  local oldest = cursors.list[cursors.next]
  if oldest then
    cursors[oldest] = nil
  end
  cursors.list[cursors.next] = id
  cursors.next = cursors.next % KEPT_CURSORS + 1
  cursors[id] = state
  return id
end

local function cursor_state(world, request)
  local cursor = paging.cursor(request)
  if not cursor then
    return { from = 1, passed = 0 }
  end
  local state = world.cursors and world.cursors[cursor]
  return type(state) == "table" and state.from and state or paging.refuse_cursor(cursor)
end

--- Whether a query has more results than it may give: Notion says so on every page of it.
local function is_capped(world, list, key, filter, trashed)
  if #list <= MOST_RESULTS then
    return false
  end
  local known = world.capped
  if not known or known.revision ~= world.revision then
    known = { revision = world.revision }
    world.capped = known
  end
  if known[key] == nil then
    known[key] = #walk(list, 1, MOST_RESULTS, filter, trashed) > MOST_RESULTS
  end
  return known[key]
end

local function answer_of(world, request, results, state, size, place_after)
  local passed = state.passed + math.min(#results, size)
  local goes_on = #results > size and passed < MOST_RESULTS
  local answer = { object = "list", results = json.array(), type = "page_or_data_source", page_or_data_source = {},
    has_more = goes_on,
    next_cursor = goes_on and new_cursor(world, { from = place_after, passed = passed }) or json.null }
  for i = 1, math.min(#results, size) do
    answer.results[i] = pages.show(world, results[i], request)
  end
  return answer
end

--- POST /v1/data_sources/{id}/query
---@param world table
---@param request table
---@return table
function M.query(world, request)
  local source = world:find("data_source", world_module.checked_id("path.data_source_id", request.params[1]))
  return M.query_source(world, request, source)
end

--- POST /v1/databases/{id}/query, as it was before 2025-09-03.
---@param world table
---@param request table
---@return table
function M.query_database(world, request)
  if request.version >= "2025-09-03" then
    failures.refuse(400, "invalid_request_url", "Invalid request URL.")
  end
  local id = world_module.checked_id("path.database_id", request.params[1])
  return M.query_source(world, request, schema.only_source(world, world:find("database", id)))
end

--- A query of a data source.
---@param world table
---@param request table
---@param source table
---@return table
function M.query_source(world, request, source)
  local body = request.json
  local size, state = paging.size(request), cursor_state(world, request)
  size = math.min(size, MOST_RESULTS - state.passed)
  local filter = body.filter ~= nil and body.filter ~= json.null and filters.read(source, body.filter) or NO_FILTER
  local sorts = read_sorts(source, body.sorts)
  pages.take_shown_properties(request, source)
  local trashed = pages.wanted_trash(request) == true
  local key = json.encode { source.id, body.filter or json.null, body.sorts or json.null, trashed }
  local list, results
  local after = state.from + size
  if #sorts > 0 then
    list = sorted_results(world, source, key, filter, sorts, trashed)
    results = table.move(list, state.from, math.min(after, #list), 1, {})
  else
    list = candidates(source, filter)
    results, after = walk(list, state.from, size, filter, trashed)
  end
  local answer = answer_of(world, request, results, state, size, after)
  if is_capped(world, list, key, #sorts > 0 and NO_FILTER or filter, trashed) then
    answer.request_status = { type = "incomplete", incomplete_reason = "query_result_limit_reached" }
  end
  return answer
end

-- ---- search ----------------------------------------------------------------

local function title_of(object)
  return object.kind == "page" and pages.title(object) or richtext.plain(object.title)
end

--- POST /v1/search: by title, of pages and data sources.
---@param world table
---@param request table
---@return table
function M.search(world, request)
  local body, wanted = request.json, nil
  local table_kind = request.version < "2025-09-03" and "database" or "data_source"
  if type(body.filter) == "table" then
    wanted = body.filter.value
    if wanted ~= nil and wanted ~= "page" and wanted ~= table_kind then
      failures.invalid_at("body.filter.value", ('`"page"` or `"%s"`'):format(table_kind), wanted)
    end
  end
  local text = type(body.query) == "string" and body.query:lower() or ""
  local found = {}
  for _, object in pairs(world.objects) do
    local fits = (object.kind == "page" or object.kind == table_kind) and (not wanted or object.kind == wanted)
    if fits and not object.trashed and not object.hidden and title_of(object):lower():find(text, 1, true) then
      found[#found + 1] = object
    end
  end
  local ascends = type(body.sort) == "table" and body.sort.direction == "ascending"
  table.sort(found, function(a, b)
    if a.last_edited_time ~= b.last_edited_time then
      return (a.last_edited_time < b.last_edited_time) == ascends
    end
    return a.id < b.id
  end)
  return paging.list(request, #found, function(i)
    local object = found[i]
    return object.kind == "page" and pages.show(world, object, request)
      or object.kind == "database" and schema.show_database(world, object, request)
      or schema.show_source(world, object, request)
  end, { type = "page_or_data_source", page_or_data_source = {} })
end

return M
