--- A lab to rehearse with: a server on loopback that answers as Notion does, with a database
--- for each type of the policy. What happens there is counted by the server itself, so that
--- nobody has to be believed.
local errors = require "ligase.base.errors"
local host = require "host"
local http = require "ligase.io.http"
local notion = require "ligase.io.notion"
local notion_schema = require "ligase.sync.notion_schema"
local options_of = require "ligase.base.options"
local policy_of = require "ligase.sync.policy"
local schema = require "ligase.io.notion.schema"
local sys = require "sys"

local M = {}

local STANDIN = "/tests/standins/notion.lua"
local START_S, LOOK_S = 20, 0.02
local TOKEN, PERSON = "rehearsal-integration", "rehearsal-person"

---@class ligase.rehearsal
---@field url string of the server
---@field settings table<string, string> by which ligase reaches it
---@field sources table<string, string> data sources by type
---@field client table a ligase.notion.Client, as the integration
---@field person table the same, as one of the lab's people
local Rehearsal = {}
Rehearsal.__index = Rehearsal

local OPTIONS = { folder = { type = "string", required = true }, policy = { type = "table" },
  clock = { type = "number", default = 60, min = 1 }, budget = { type = "integer", default = 180, min = 0 },
  seed = { type = "integer", default = 7 } }

local function refuse_start(said)
  errors.raise { kind = "system", code = "standin", message = "the stand-in for Notion does not start",
    detail = said ~= "" and said or nil, hint = "See if tests/standins came with this ligase, in " .. host.home }
end

--- Waits for the line that says where the server is.
local function wait_for_line(path, process)
  local ends_at = sys.monotonic() + START_S
  while sys.monotonic() < ends_at do
    local said = sys.stat(path) and sys.read_file(path) or ""
    local line = said:match "^(notion stand%-in:[^\n]*)\n"
    if line then
      return line
    elseif process:wait(LOOK_S) then
      refuse_start(said)
    end
  end
  process:close()
  refuse_start("it says nothing")
end

local function make_database(self, entity)
  local properties = {}
  for _, need in ipairs(notion_schema.needs(entity, self.made)) do
    properties[need.name] = schema.definition(need)
  end
  return self.client.api:call { method = "POST", path = "/v1/databases", what = "make the database", body = {
    parent = { type = "page_id", page_id = self.root }, title = { { text = { content = entity.type } } },
    initial_data_source = { properties = properties } } }
end

local function make_databases(self, policy)
  for _, entity_type in ipairs(policy_of.TYPES) do
    local entity = policy.entities[entity_type]
    if entity then
      local database = make_database(self, entity)
      self.made[entity_type] = database.data_sources[1]
      self.sources[entity_type] = database.data_sources[1].id
      self.settings[entity.database] = database.id
    end
  end
end

--- Starts the server and makes its databases. End it with :close().
---@param given {folder: string, policy: ligase.policy|nil, clock: number|nil, budget: integer|nil, seed: integer|nil}
--- folder: for what it says; clock: how many times as fast as ours its time runs; budget: requests in 60 of its
--- seconds, 0 for any number
---@return ligase.rehearsal
function M.start(given)
  local options = options_of.check(given, OPTIONS, "rehearsal.start")
  local out = options.folder .. "/standin.out"
  local process = sys.spawn({ host.executable, host.home .. STANDIN, "--clock", tostring(options.clock), "--budget",
    tostring(options.budget), "--grace-s", "0", "--seed", tostring(options.seed), "--token", TOKEN, "--token", PERSON,
    "--parent", tostring(sys.pid()) },
    { stdout = out, stderr = "stdout" })
  local line = wait_for_line(out, process)
  local url = line:match "(http://%S+)"
  local self = setmetatable({ process = process, url = url, root = line:match "root page (%S+)", made = {},
    sources = {}, client = notion.new { token = TOKEN, base_url = url },
    person = notion.new { token = PERSON, base_url = url },
    settings = { NOTION_API_URL = url, NOTION_API_KEY = TOKEN } }, Rehearsal)
  local made, failure = xpcall(make_databases, errors.explained, self, options.policy or policy_of.load())
  if not made then
    self:close()
    error(failure, 0)
  end
  return self
end

local function control(self, method, path, body)
  local response = http.request { method = method, url = self.url .. path, json = body }
  if response.status >= 300 then
    errors.raise { kind = "system", code = "standin", message = ("the stand-in refuses %s: %s"):format(path,
      response.body or response.status) }
  end
  return response:json()
end

--- Sets the faults that requests meet, or none. docs/standins.md names them.
---@param spec string|nil "lost_reply=0.05,slow@query=0.02"
---@param options {slow_s: number|nil, retry_after_s: number|nil}|nil
function Rehearsal:faults(spec, options)
  control(self, "POST", "/_standin/faults", { spec = spec or "", slow_s = options and options.slow_s,
    retry_after_s = options and options.retry_after_s })
end

--- What the server counted since the last :count_anew().
---@return table counters requests, faults, most_in_60_s, inside_retry_after, ...
function Rehearsal:counters()
  return control(self, "GET", "/_standin/counters")
end

--- Lets the server count anew.
function Rehearsal:count_anew()
  control(self, "POST", "/_standin/counters/reset")
end

--- How the live pages of a type stand to the ids that they carry.
---@param entity_type string
---@return {live_pages: integer, distinct: integer, duplicates: table}
function Rehearsal:duplicates(entity_type)
  return control(self, "GET", ("/_standin/duplicates?data_source=%s&property=Ligase%%20ID"):format(
    self.sources[entity_type]))
end

--- Ends the server.
function Rehearsal:close()
  self.process:close()
end

Rehearsal.__close = Rehearsal.close

return M
