--- A stand-in for Notion in a process of its own, for specs: started, asked, and ended.
local host = require "host"
local http = require "ligase.io.http"
local support = require "tests.support"
local sys = require "sys"

local M = {}

---@class spec.Standin
---@field url string
---@field root string the id of the page that databases are made in
local Standin = {}
Standin.__index = Standin

--- Starts a stand-in; no budget unless the options have one.
---@param words? string[] options of its command line
---@return spec.Standin
function M.start(words)
  local out = support.workspace() .. "/address"
  local argv = { host.executable, host.home .. "/tests/standins/notion.lua", "--budget", "0", "--seed", "7" }
  local process = sys.spawn(table.move(words or {}, 1, #(words or {}), #argv + 1, argv), { stdout = out })
  local deadline = sys.monotonic() + 20
  while true do
    local url, root = sys.read_file(out):match("(http://%S+) root page (%S+)")
    if url then
      return setmetatable({ url = url, root = root, process = process }, Standin)
    elseif process:wait(0) or sys.monotonic() > deadline then
      error "the stand-in does not start"
    end
    sys.sleep(0.02)
  end
end

--- Asks the stand-in itself, under /_standin, or Notion's API.
---@param method string
---@param path string
---@param body? table
---@return table
function Standin:ask(method, path, body)
  return http.request({ method = method, url = self.url .. path, json = body, headers = path:find("^/v1")
    and { Authorization = "Bearer spec", ["Notion-Version"] = "2025-09-03" } or nil }):json()
end

--- Sets what goes wrong from now on; nothing without words.
---@param spec? string
---@param more? table
function Standin:faults(spec, more)
  more = more or {}
  more.spec = spec
  self:ask("DELETE", "/_standin/faults")
  if spec then
    assert(not self:ask("POST", "/_standin/faults", more).status, "the faults were not taken")
  end
end

--- Makes a database.
---@param title string
---@param properties table its schema
---@return string id of the database
---@return string id of its data source
function Standin:database(title, properties)
  local made = self:ask("POST", "/v1/databases", { parent = { type = "page_id", page_id = self.root },
    title = { { text = { content = title } } }, initial_data_source = { properties = properties } })
  assert(made.object == "database", made.message)
  return made.id, made.data_sources[1].id
end

--- Live pages of a data source.
---@param source string
---@return table[]
function Standin:pages(source)
  return self:ask("GET", "/_standin/pages?data_source=" .. source).pages
end

--- Ends it.
function Standin:close()
  self.process:close()
end

return M
