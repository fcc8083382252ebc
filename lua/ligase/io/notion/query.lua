--- All pages of a data source that fit a filter. A query of Notion's ends at 10,000 results;
--- what is beyond is asked for by the time at which pages were made.
local errors = require "ligase.base.errors"
local limits = require "ligase.io.notion.limits"

local M = {}

local BY_CREATION = { { timestamp = "created_time", direction = "ascending" } }

-- ---- filters ---------------------------------------------------------------

local function with_all(filter, condition)
  local all = table.move(filter["and"], 1, #filter["and"], 1, {})
  all[#all + 1] = condition
  return { ["and"] = all }
end

local function has_and(filter)
  for _, part in ipairs(filter["or"]) do
    if part["and"] then
      return true
    end
  end
  return false
end

--- A filter that also wants the condition. Notion takes two levels of and/or and no more,
--- so the condition goes into every branch of an `or` that has an `and` within.
---@param filter table|nil
---@param condition table
---@return table
function M.both(filter, condition)
  if not filter then
    return condition
  elseif filter["and"] then
    return with_all(filter, condition)
  elseif not (filter["or"] and has_and(filter)) then
    return { ["and"] = { filter, condition } }
  end
  local branches = {}
  for _, part in ipairs(filter["or"]) do
    for _, branch in ipairs(part["or"] or { part }) do
      branches[#branches + 1] = branch["and"] and with_all(branch, condition) or { ["and"] = { branch, condition } }
    end
  end
  return { ["or"] = branches }
end

-- ---- reading on ------------------------------------------------------------

local function refuse(code, about, message, hint)
  errors.raise { kind = "notion", code = code, outcome = "refused", about = about, message = message, hint = hint }
end

---@class ligase.notion.Query
---@field ask fun(body: table): table one request
local Query = {}
Query.__index = Query

--- Takes the next answer of the query that runs.
function Query:fetch()
  local answer = self.ask { filter = self.filter, sorts = self.sorts, page_size = self.page_size,
    start_cursor = self.cursor }
  self.results, self.at = answer.results, 0
  self.count = self.count + #answer.results
  local status = answer.request_status
  if type(status) == "table" then
    self.says_status, self.is_cut = true, self.is_cut or status.type == "incomplete"
  end
  local cursor = answer.has_more and answer.next_cursor or nil
  if answer.has_more and (type(cursor) ~= "string" or cursor == self.cursor) then
    refuse("paging", self.about, "Notion says that there are more pages, and not where: the list would be incomplete",
      "Try again later")
  end
  self.cursor, self.is_last = cursor, not answer.has_more
end

--- Begins anew where the query was cut off, at the minute of its last page.
function Query:go_on()
  if not self.is_partitioned then
    refuse("too_many_results", self.about, ("there are more than %d pages, which come only in the order of creation")
      :format(limits.QUERY_RESULTS), "Leave the sorts out, or narrow the filter")
  end
  local minute = self.last and self.last.created_time
  if not minute or minute == self.since then
    refuse("too_many_results", self.about, ("more than %d pages were made in the minute %s, and Notion gives no more "
      .. "of one minute"):format(limits.QUERY_RESULTS, tostring(minute)), "Narrow the filter by a property")
  end
  self.since, self.cursor, self.is_cut, self.count = minute, nil, false, 0
  self.filter = M.both(self.asked_filter, { timestamp = "created_time", created_time = { on_or_after = minute } })
  self:fetch()
end

--- The next page that was not given yet.
function Query:next()
  while true do
    self.at = self.at + 1
    local page = self.results[self.at]
    if page and not self.seen[page.id] then
      self.seen[page.id], self.last = true, page
      return page
    elseif not page and not self.is_last then
      self:fetch()
    elseif not page and (self.is_cut or not self.says_status and self.count >= limits.QUERY_RESULTS) then
      self:go_on()
    elseif not page then
      return nil
    end
  end
end

--- An iterator over all pages. The first request is made here, so that what is wrong with
--- the filter is raised where it stands.
---@param ask fun(body: table): table makes one request
---@param options {filter: table|nil, sorts: table|nil, page_size: integer|nil, about: string|nil}
---@return fun(): table|nil
function M.pages(ask, options)
  local query = setmetatable({ ask = ask, asked_filter = options.filter, filter = options.filter,
    sorts = options.sorts or BY_CREATION, is_partitioned = options.sorts == nil, about = options.about,
    page_size = options.page_size or limits.PAGE_SIZE, seen = {}, count = 0, is_cut = false, results = {}, at = 0 },
    Query)
  query:fetch()
  return function()
    return query:next()
  end
end

return M
