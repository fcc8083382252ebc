--- A relay for tests/faults/relay_spec.lua: as `ligase sync --watch`, with the stand-in's clock.
---
---   ligase tests/faults/relay_worker.lua POSTGRES_URL CLOCK
local config_of = require "ligase.base.config"
local errors = require "ligase.base.errors"
local notion = require "ligase.io.notion"
local pg = require "pg"
local policy_of = require "ligase.sync.policy"
local rate_limit = require "ligase.store.rate_limit"
local relay_of = require "ligase.sync.relay"
local sys = require "sys"
local target_of = require "ligase.sync.target"

local url, clock = arg[1], tonumber(arg[2])

local BUDGET, SLACK_S, ANSWER_WAIT_S = 180, 0.3, 0.3

local conn, budget_conn = pg.connect(url), pg.connect(url)

--- The stand-in's seconds are shorter than ours.
local function in_our_time(failure)
  failure = errors.explained(failure)
  failure.retry_after_s = failure.retry_after_s and failure.retry_after_s / clock
  return failure
end

local shared = rate_limit.new(budget_conn, "notion", { per_minute = BUDGET, window_s = 60 / clock, slack_s = SLACK_S,
  answer_wait_s = ANSWER_WAIT_S })
local limiter = relay_of.limiter {
  acquire = function(_, ...) return shared:acquire(...) end,
  answered = function(_, answer)
    shared:answered { retry_after_s = answer and answer.retry_after_s and answer.retry_after_s / clock }
  end,
}

local config = config_of.load { workspace = sys.getenv "LIGASE_WORKSPACE" }
local client = notion.new { token = config:get "NOTION_API_KEY", base_url = config:get "NOTION_API_URL",
  timeout_s = 0.5, retries = 0, limiter = limiter }
local plain_call = client.api.call
client.api.call = function(self, call)
  local done, result = xpcall(plain_call, in_our_time, self, call)
  return done and result or error(result, 0)
end

local target = target_of.new { config = config, policy = policy_of.load(config.workspace), client = client }
local relay = relay_of.new { conn = conn, target = target, watch = true, lease_s = 2, pause_s = 2 / clock,
  pause_most_s = 60 / clock, attempts_most = 20 }
limiter.relay = relay
relay:run()
