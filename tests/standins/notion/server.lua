--- The stand-in as one object: takes requests as serve makes them and answers as Notion does.
---
--- A request goes through the same gates as there: the token, the version, the budget, the
--- JSON, and then the endpoint. Faults come between the budget and the JSON, or after the
--- endpoint has done its work.
local blocks = require "tests.standins.notion.blocks"
local control = require "tests.standins.notion.control"
local failures = require "tests.standins.notion.failures"
local faults = require "tests.standins.notion.faults"
local json = require "ligase.base.json"
local limits = require "tests.standins.notion.limits"
local options = require "ligase.base.options"
local pages = require "tests.standins.notion.pages"
local query = require "tests.standins.notion.query"
local schema = require "tests.standins.notion.schema"
local world_module = require "tests.standins.notion.world"

local M = {}
M.__index = M

local MOST_BYTES = 500 * 1024
local VERSIONS = { ["2022-06-28"] = true, ["2025-09-03"] = true, ["2026-03-11"] = true }

-- ---- endpoints -------------------------------------------------------------

local function show_me(_, request)
  local user = request.user
  local bot = user.type == "bot" and { owner = { type = "workspace", workspace = true }, workspace_name = "Stand-in" }
  return { object = "user", id = user.id, name = user.name, avatar_url = json.null, type = user.type,
    [user.type] = bot or { email = json.null } }
end

--- Method, path and what it is called in faults and figures.
local ROUTES = {
  { "GET", "^/v1/users/me$", "me", show_me },
  { "POST", "^/v1/pages$", "page_create", pages.create },
  { "GET", "^/v1/pages/([^/]+)$", "page_retrieve", pages.retrieve },
  { "PATCH", "^/v1/pages/([^/]+)$", "page_update", pages.update },
  { "GET", "^/v1/pages/([^/]+)/properties/([^/]+)$", "property_retrieve", pages.retrieve_property },
  { "GET", "^/v1/blocks/([^/]+)/children$", "blocks_list", blocks.children },
  { "PATCH", "^/v1/blocks/([^/]+)/children$", "blocks_append", blocks.append },
  { "GET", "^/v1/blocks/([^/]+)$", "block_retrieve", blocks.retrieve },
  { "PATCH", "^/v1/blocks/([^/]+)$", "block_update", blocks.update },
  { "DELETE", "^/v1/blocks/([^/]+)$", "block_delete", blocks.delete },
  { "POST", "^/v1/databases$", "database_create", schema.create_database },
  { "GET", "^/v1/databases/([^/]+)$", "database_retrieve", schema.retrieve_database },
  { "PATCH", "^/v1/databases/([^/]+)$", "database_update", schema.update_database },
  { "POST", "^/v1/databases/([^/]+)/query$", "query", query.query_database },
  { "POST", "^/v1/data_sources$", "data_source_create", schema.create_source },
  { "GET", "^/v1/data_sources/([^/]+)$", "data_source_retrieve", schema.retrieve_source },
  { "PATCH", "^/v1/data_sources/([^/]+)$", "data_source_update", schema.update_source },
  { "POST", "^/v1/data_sources/([^/]+)/query$", "query", query.query },
  { "POST", "^/v1/search$", "search", query.search },
}

local READ_KINDS = { query = true, search = true }

--- Finds the endpoint of a request and what in its path is a parameter.
local function route(request)
  for _, entry in ipairs(ROUTES) do
    if entry[1] == request.method then
      local params = { request.path:match(entry[2]) }
      if params[1] then
        return entry, params
      end
    end
  end
end

-- ---- gates -----------------------------------------------------------------

local function check_token(self, request)
  local token = (request.headers.authorization or ""):match("^[Bb]earer +(%S+)$")
  if not token or self.tokens and not self.tokens[token] then
    failures.refuse(401, "unauthorized", "API token is invalid.")
  end
  request.token = token
  request.user = self.world:user_of(token)
end

local function check_version(request)
  local version = request.headers["notion-version"]
  if not version then
    failures.refuse(400, "missing_version", "Notion-Version header failed validation: "
      .. "Notion-Version header should be defined, instead was `undefined`.")
  elseif not VERSIONS[version] then
    failures.refuse(400, "validation_error", ("Notion-Version header failed validation: Notion-Version header should "
      .. 'be `"2022-06-28"`, `"2025-09-03"` or `"2026-03-11"`, instead was %s.'):format(failures.shown(version)))
  end
  request.version = version
end

local function check_budget(self, request)
  local retry_after_s = self.limits:arrive(request.token)
  if retry_after_s then
    failures.refuse(429, "rate_limited", "You have been rate limited. Please try again in a few minutes.", {
      retry_after_s = retry_after_s, additional_data = { rate_limit_reason = "public_api_request_rate_limit" } })
  end
end

local function read_json(request)
  if request.body == "" or request.method == "GET" or request.method == "DELETE" then
    return {}
  elseif #request.body > MOST_BYTES then
    failures.invalid(("body failed validation: body.length should be ≤ `%d`, instead was `%d`."):format(MOST_BYTES,
      #request.body))
  end
  local read, value = pcall(json.decode, request.body)
  if not read or type(value) ~= "table" or json.is_array(value) then
    failures.refuse(400, "invalid_json", "Error parsing JSON body.")
  end
  return value
end

-- ---- answering -------------------------------------------------------------

local function json_answer(self, request, status, value, headers)
  value.request_id = request.id
  local all = { ["Content-Type"] = "application/json; charset=utf-8", ["x-notion-request-id"] = request.id,
    ["X-Standin-Clock"] = ("%g"):format(self.world.clock),
    ["Date"] = os.date("!%a, %d %b %Y %H:%M:%S GMT", math.tointeger(self.world:now() // 1)) }
  for name, text in pairs(headers or {}) do
    all[name] = text
  end
  return { status = status, headers = all, body = json.encode(value) }
end

local function refusal_answer(self, request, refusal)
  local headers = {}
  if refusal.retry_after_s then
    headers["Retry-After"] = tostring(refusal.retry_after_s)
    refusal.additional_data = refusal.additional_data or {}
    refusal.additional_data.retry_after = tostring(refusal.retry_after_s)
    self.limits:sent_retry_after(request.token, refusal.retry_after_s)
  end
  return json_answer(self, request, refusal.status, { object = "error", status = refusal.status,
    code = refusal.code, message = refusal.message, additional_data = refusal.additional_data }, headers)
end

--- Carries a request out, or raises a refusal.
local function perform(self, request, entry)
  request.json = read_json(request)
  local value = entry[4](self.world, request)
  local shown = {} -- what is kept must not be written to
  for name, member in pairs(value) do
    shown[name] = member
  end
  return json_answer(self, request, 200, shown)
end

--- Carries a request out, and spoils the answer if it is to meet a fault.
local function answer(self, request)
  check_token(self, request)
  check_budget(self, request)
  check_version(request)
  local entry, params = route(request)
  if not entry then
    failures.refuse(400, "invalid_request_url", "Invalid request URL.")
  end
  request.kind, request.params = entry[3], params
  request.is_write = request.method ~= "GET" and not READ_KINDS[request.kind]
  self.kinds[request.kind] = (self.kinds[request.kind] or 0) + 1
  local fault = self.faults:choose(request)
  if not fault then
    return perform(self, request, entry)
  elseif not faults.kinds[fault].commits then
    local refusal = self.faults:refusal(fault, request)
    return refusal and refusal_answer(self, request, refusal) or self.faults:spoil(fault, {})
  end
  local done = perform(self, request, entry)
  local refusal = self.faults:refusal(fault, request)
  return refusal and refusal_answer(self, request, refusal) or self.faults:spoil(fault, done)
end

--- Answers one request.
---@param request table as serve makes it: method, path, query, query_pairs, headers, body
---@return table answer as serve takes it
function M:handle(request)
  if request.path:find("^/_standin") then
    return control.answer(self, request)
  end
  request.id = self.world:new_id()
  self.requests = self.requests + 1
  local done, result = pcall(answer, self, request)
  if not done then
    if getmetatable(result) ~= failures.metatable then
      error(result, 0)
    end
    result = refusal_answer(self, request, result)
  end
  local status = result.drop and "dropped" or tostring(result.status)
  self.statuses[status] = (self.statuses[status] or 0) + 1
  return result
end

--- Starts counting anew.
function M:reset_counters()
  self.requests, self.kinds, self.statuses = 0, {}, {}
  self.limits = limits.new(self.world, { budget = self.budget, grace_s = self.grace_s })
  self.faults.counts = {}
end

--- Goes on in another world, with the same faults.
---@param world table
function M:use_world(world)
  self.world, self.faults.world = world, world
  self:reset_counters()
end

--- Forgets everything; the seed gives the same ids again. Faults stay as they are set.
function M:reset()
  self:use_world(world_module.new { seed = self.world.seed, clock = self.world.clock })
end

--- What was counted since the last reset.
---@return table
function M:figures()
  local figures = self.limits:figures()
  figures.requests, figures.by_kind, figures.by_status = self.requests, self.kinds, self.statuses
  figures.faults = self.faults:figures()
  figures.clock, figures.budget, figures.grace_s = self.world.clock, self.budget, self.grace_s
  return figures
end

local OPTIONS = {
  seed = { type = "integer", default = 1 }, clock = { type = "number", default = 1.0, min = 0.001, max = 1e6 },
  tokens = { type = "table" }, budget = { type = "integer", default = 180, min = 0 },
  grace_s = { type = "number", default = 0.1, min = 0 }, faults = { type = "string|table" },
}

--- A stand-in.
---@param given? table seed, clock (how many times as fast as ours), tokens (a list; any
--- token without it), budget (requests in 60 seconds; 0 for no limit), grace_s, faults (as set_faults)
---@return table standin
function M.new(given)
  local chosen = options.check(given or {}, OPTIONS, "notion.new")
  local self = setmetatable({ budget = chosen.budget, grace_s = chosen.grace_s }, M)
  self.world = world_module.new { seed = chosen.seed, clock = chosen.clock }
  self.faults = faults.new(self.world)
  if chosen.faults then
    self:set_faults(chosen.faults)
  end
  if chosen.tokens then
    self.tokens = {}
    for _, token in ipairs(chosen.tokens) do
      self.tokens[token] = true
    end
  end
  self:reset_counters()
  return self
end

--- Sets which faults happen from now on.
---@param wanted string|table "lost_reply=0.05,slow@query=0.1", or a table of spec, rules,
--- slow_s, retry_after_s
function M:set_faults(wanted)
  self.faults:set(type(wanted) == "string" and { spec = wanted } or wanted)
end

return M
