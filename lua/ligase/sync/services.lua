--- Whether the services that the settings name answer. Each is asked once, for a few seconds, past
--- every queue, so that whoever looks does not wait.
local errors = require "ligase.base.errors"
local http = require "ligase.io.http"
local notion = require "ligase.io.notion"
local sys = require "sys"

local M = {}

local PATIENCE_S = 3

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

--- Whether Notion answers, and knows us.
---@param config ligase.Config
---@return ligase.service_state
function M.notion(config)
  local token = config:get "NOTION_API_KEY"
  if not token then
    return off("notion", "NOTION_API_KEY")
  end
  local client = notion.new { token = token, base_url = config:get "NOTION_API_URL", timeout_s = PATIENCE_S,
    retries = 0 }
  return asked("notion", function()
    client.api:call { method = "GET", path = "/v1/users/me", what = "ask who we are" }
  end)
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
