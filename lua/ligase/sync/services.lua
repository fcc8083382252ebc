--- Whether the services that the settings name answer. Each is asked once, for a few seconds, past
--- every queue, so that whoever looks does not wait.
local errors = require "ligase.base.errors"
local http = require "ligase.io.http"
local notion = require "ligase.io.notion"
local sys = require "sys"

local M = {}

local PATIENCE_S = 3

--- A service is taken for down after so many questions, each waited for so long, with a pause between.
local ATTEMPTS, ATTEMPT_S, PAUSE_S = 3, 5, 1

---@class ligase.service_state
---@field name string
---@field state "reachable"|"unreachable"|"off"
---@field seconds number|nil
---@field reason string|nil why it is not reachable, or that it is not set

local function asked(name, work)
  local began = sys.monotonic()
  local done, failure = errors.try(work)
  return { name = name, state = done and "reachable" or "unreachable", seconds = sys.monotonic() - began,
    reason = not done and errors.describe(failure):match "^[^\n]*" or nil }
end

local function off(name, setting)
  return { name = name, state = "off", reason = setting .. " is not set" }
end

--- Asks Notion who we are, once.
local function ask_notion(config, timeout_s)
  local client = notion.new { token = config:get "NOTION_API_KEY", base_url = config:get "NOTION_API_URL",
    timeout_s = timeout_s, retries = 0 }
  client.api:call { method = "GET", path = "/v1/users/me", what = "ask who we are" }
end

--- Whether Notion answers, and knows us.
---@param config ligase.Config
---@return ligase.service_state
function M.notion(config)
  if not config:get "NOTION_API_KEY" then
    return off("notion", "NOTION_API_KEY")
  end
  return asked("notion", function()
    ask_notion(config, PATIENCE_S)
  end)
end

--- Whether a failure says that nobody is there, or nobody who could answer.
local function is_outage(failure)
  return errors.is(failure, "notion") and (failure.outcome == "unknown" and (failure.status or 500) >= 500
    or failure.outcome == "not_sent" and failure.cause ~= nil)
end

--- Why Notion does not answer at all, so that nobody waits long for what cannot be; nil when it
--- answers, whatever it says.
---@param config ligase.Config with a key
---@return ligase.Error|nil
function M.notion_outage(config)
  local failure
  for attempt = 1, ATTEMPTS do
    local done, problem = errors.try(ask_notion, config, ATTEMPT_S)
    if done or not is_outage(problem) then
      return nil
    elseif attempt < ATTEMPTS then
      sys.sleep(PAUSE_S)
    end
    failure = problem
  end
  return failure
end

--- Any answer says that a server is there.
local function server(config, name, setting)
  local url = config:get(setting)
  if not url then
    return off(name, setting)
  end
  return asked(name, function()
    http.get(url, { timeout_s = PATIENCE_S, connect_timeout_s = PATIENCE_S, plain = true })
  end)
end

--- All services but Postgres.
---@param config ligase.Config
---@return ligase.service_state[]
function M.all(config)
  return { M.notion(config), server(config, "embedding", "EMBEDDING_URL"), server(config, "chat", "CHAT_URL") }
end

return M
