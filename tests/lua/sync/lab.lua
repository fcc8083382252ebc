--- A lab for specs: the Notion stand-in as a process, with a database for each type of the
--- policy, and relays and settings that reach it.
local config_of = require "ligase.base.config"
local host = require "host"
local http = require "ligase.io.http"
local json = require "ligase.base.json"
local notion = require "ligase.io.notion"
local pace = require "ligase.io.pace"
local policy_of = require "ligase.sync.policy"
local relay_of = require "ligase.sync.relay"
local support = require "tests.support"
local sys = require "sys"
local target_of = require "ligase.sync.target"

local M = {}

--- The relays' and a person's: each has a budget of its own.
local TOKEN, PERSON = "secret-of-the-lab", "secret-of-a-person"

local Lab = {}
Lab.__index = Lab

local function wait_for_line(path, process)
  for _ = 1, 200 do
    local read, content = pcall(sys.read_file, path)
    local line = read and content:match("^(notion stand%-in:[^\n]*)\n")
    if line then
      return line
    elseif process:wait(0.02) then
      error("the stand-in ended: " .. (read and content or ""))
    end
  end
  error("the stand-in does not say where it is")
end

--- Asks the stand-in itself.
function Lab:ask(method, path, body)
  local response = http.request { method = method, url = self.url .. path, json = body,
    headers = { authorization = "Bearer " .. PERSON, ["notion-version"] = "2025-09-03" } }
  assert(response.status < 300, response.body)
  return http.json(response)
end

local function schema_of(entity, sources)
  local properties = { [entity.id_property] = { rich_text = {} } }
  for _, property in ipairs(entity.properties) do
    local definition = {}
    if property.type == "relation" then
      local to = policy_of.type_of(entity.kind.links[property.link].kind)
      definition = { data_source_id = sources[to], single_property = {} }
    end
    properties[property.name] = { [property.type] = definition }
  end
  return properties
end

local function make_databases(self)
  for _, entity_type in ipairs(policy_of.TYPES) do
    local entity = self.policy.entities[entity_type]
    local made = self:ask("POST", "/v1/databases", { parent = { type = "page_id", page_id = self.root },
      title = { { text = { content = entity_type } } },
      initial_data_source = { properties = schema_of(entity, self.sources) } })
    self.sources[entity_type] = made.data_sources[1].id
    self.env[entity.database] = made.id
  end
end

--- Starts a stand-in; end it with :close().
---@param options {clock: number|nil, budget: integer|nil, arguments: string[]|nil}|nil
function M.start(options)
  options = options or {}
  local folder = sys.temp_dir "lab-"
  local argv = { host.executable, host.home .. "/tests/standins/notion.lua", "--budget", tostring(options.budget or 0),
    "--clock", tostring(options.clock or 1), "--token", TOKEN, "--token", PERSON, "--seed", "7" }
  local process = sys.spawn(table.move(options.arguments or {}, 1, #(options.arguments or {}), #argv + 1, argv),
    { stdout = folder .. "/out", stderr = folder .. "/err" })
  local line = wait_for_line(folder .. "/out", process)
  local self = setmetatable({ folder = folder, process = process, url = line:match("(http://%S+)"),
    root = line:match("root page (%S+)"), policy = policy_of.load(folder), sources = {} }, Lab)
  self.env = { NOTION_API_URL = self.url, NOTION_API_KEY = TOKEN, ENABLE_DUAL_WRITE = "true",
    NOTION_REQUESTS_PER_MINUTE = "6000", NOTION_TIMEOUT_S = "2" }
  make_databases(self)
  return self
end

function Lab:close()
  self.process:close()
  sys.remove_tree(self.folder)
end

--- Sets faults ("lost_reply=0.05,slow@query=0.1"); none without a word.
function Lab:faults(spec, options)
  options = options or {}
  options.spec = spec or ""
  self:ask("POST", "/_standin/faults", options)
end

--- The live pages of a type: {id, title, key = ligase's id}.
function Lab:pages(entity_type)
  local path = "/_standin/pages?data_source=%s&property=Ligase%%20ID"
  return self:ask("GET", path:format(self.sources[entity_type])).pages
end

--- One page as Notion answers.
function Lab:page(id)
  return self:ask("GET", "/v1/pages/" .. id)
end

--- Changes a page as a person would.
function Lab:edit(id, properties)
  return self:ask("PATCH", "/v1/pages/" .. id, { properties = properties })
end

function Lab:counters()
  return self:ask("GET", "/_standin/counters")
end

--- The settings, with changes.
function Lab:config(changes)
  local env = {}
  for name, value in pairs(self.env) do
    env[name] = value
  end
  for name, value in pairs(changes or {}) do
    env[name] = value
  end
  return config_of.load { workspace = self.folder, environ = function(name)
    return env[name] or nil
  end }
end

--- A relay in this process. `events` gathers what it says.
---@param conn table
---@param options table|nil as for relays; and policy, settings
function Lab:relay(conn, options)
  options = options or {}
  local limiter = relay_of.limiter(pace.new(60000))
  local config = self:config(options.settings)
  local target = target_of.new { config = config, policy = options.policy or self.policy,
    client = notion.from_config(config, { limiter = limiter, retries = 0 }) }
  local events = {}
  local given = { conn = conn, target = target, pause_s = 0.01, pause_most_s = 0.1, patience_s = 1.5, lease_s = 10,
    tell = function(event) events[#events + 1] = event end }
  for name, value in pairs(options) do
    given[name] = name ~= "policy" and name ~= "settings" and value or given[name]
  end
  local relay = relay_of.new(given)
  limiter.relay, relay.events = relay, events
  return relay
end

--- Runs a relay until nothing is left.
function Lab:deliver(conn, options)
  local relay = self:relay(conn, options)
  return relay:run(), relay.events
end

--- What the property of a page says, as plain values.
function Lab:said(page_id)
  return require("ligase.io.notion.properties").read_all(self:page(page_id))
end

--- The outbox as state by entity, in order.
function M.states(conn)
  local states = {}
  for i, row in ipairs(conn:query "SELECT state FROM outbox ORDER BY id") do
    states[i] = row.state
  end
  return table.concat(states, " ")
end

--- What all live pages of a type say, by the page's id.
function Lab:all(entity_type)
  local said, cursor = {}, nil
  repeat
    local answer = self:ask("POST", ("/v1/data_sources/%s/query"):format(self.sources[entity_type]),
      { page_size = 100, start_cursor = cursor })
    for _, page in ipairs(answer.results) do
      said[page.id] = require("ligase.io.notion.properties").read_all(page)
    end
    cursor = answer.has_more and answer.next_cursor
  until not cursor
  return said
end

--- Runs the executable with the lab's settings.
function Lab:ligase(call)
  call.env = call.env or {}
  for name, value in pairs(self.env) do
    if call.env[name] == nil then
      call.env[name] = value
    end
  end
  return support.ligase(call)
end

M.json = json

return M
