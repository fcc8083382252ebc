--- Notion, and a relay to it, as the settings and the policy say.
local notion = require "ligase.io.notion"
local pace = require "ligase.io.pace"
local phase_flags = require "ligase.sync.phase_flags"
local policy_of = require "ligase.sync.policy"
local rate_limit = require "ligase.store.rate_limit"
local relay_of = require "ligase.sync.relay"
local target_of = require "ligase.sync.target"

local M = {}

--- A lease outlives a request by so much.
local LEASE_BEYOND_S = 10

--- The budget that all processes of the database share, on a connection of its own.
local function shared_limiter(config, conn)
  return rate_limit.new(conn, "notion", { per_minute = config:get "NOTION_REQUESTS_PER_MINUTE" })
end

--- Notion for one process: with the database's shared budget where there is a connection.
---@param config ligase.Config
---@param given {conn: table|nil, policy: ligase.policy|nil, phase: string|nil, retries: integer|nil,
--- total_s: number|nil}|nil conn: used for the budget alone; phase: another one than that in force; retries, total_s:
--- as for ligase.io.notion
---@return ligase.notion_target
function M.target(config, given)
  given = given or {}
  local limiter = given.conn and shared_limiter(config, given.conn)
    or pace.new(config:get "NOTION_REQUESTS_PER_MINUTE")
  return target_of.new { config = config, policy = given.policy or policy_of.load(config.workspace),
    phase = given.phase, client = notion.from_config(config, { limiter = limiter, retries = given.retries,
      total_s = given.total_s }) }
end

--- A relay. Its client asks once: what fails goes back into the outbox.
---@param config ligase.Config
---@param conn table
---@param budget_conn table used for the budget of requests alone
---@param options table|nil as ligase.sync.relay takes them, without conn and target; phase: another one than that in
--- force
---@return ligase.relay
function M.relay(config, conn, budget_conn, options)
  local limiter = relay_of.limiter(shared_limiter(config, budget_conn))
  options = options or {}
  local target = target_of.new { config = config, policy = policy_of.load(config.workspace), phase = options.phase,
    client = notion.from_config(config, { limiter = limiter, retries = 0 }) }
  local given = { conn = conn, target = target, lease_s = config:get "NOTION_TIMEOUT_S" + LEASE_BEYOND_S,
    phase_now = not options.phase and function(asked)
      return phase_flags.look(config, asked)
    end or nil }
  for name, value in pairs(options) do
    given[name] = name ~= "phase" and value or given[name]
  end
  local relay = relay_of.new(given)
  limiter.relay = relay
  return relay
end

return M
