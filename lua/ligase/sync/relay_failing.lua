--- What becomes of a change that a relay could not deliver: it is tried again later, set aside with
--- its reason, or waits until what is not its own fault is mended.
local delivery = require "ligase.sync.delivery"
local errors = require "ligase.base.errors"
local mirrors = require "ligase.store.mirrors"
local outbox = require "ligase.store.outbox"
local page_owners = require "ligase.store.page_owners"
local sys = require "sys"

local M = {}

--- Between two looks whether to stop, and at a database that did not fit.
local LOOK_S, BLOCKED_S = 1, 60
--- A rate limit without a number of seconds.
local LIMIT_S = 60

--- The lease is over: somebody else has the row, and nothing may be sent or noted for it.
function M.raise_lost()
  errors.raise { kind = "system", code = "lease_lost", message = "another relay has taken this change over" }
end

local function is_lost(failure)
  return errors.is(failure, "system") and failure.code == "lease_lost"
end

--- Says what happened.
---@param self ligase.relay
---@param kind string see ligase.relay_event
---@param line string
function M.tell(self, kind, line)
  if self.tell then
    self.tell { kind = kind, line = line, claim = self.claim }
  end
end

local function described(failure)
  return (errors.describe(failure):match("^[^\n]*"))
end

-- ---- later, or not at all ----------------------------------------------------

local function finish(self, result)
  if not outbox.finish(self.conn, self.claim, result) then
    self.counts.lost = self.counts.lost + 1
  end
end

local function set_aside(self, failure)
  local line = described(failure)
  self.counts.dead = self.counts.dead + 1
  finish(self, { state = "dead", failed = true, reason = line })
  M.tell(self, "dead", line .. " (set aside, see: ligase outbox)")
end

local function later(self, failure, after_s, is_counted)
  if is_counted then
    self.counts.failed = self.counts.failed + 1
  end
  finish(self, { state = "pending", failed = is_counted, after_s = after_s, reason = described(failure) })
end

--- Full jitter: anything between nothing and the most, which doubles.
local function back_off(self, failures)
  return math.random() * math.min(self.pause_most_s, self.pause_s * 2 ^ failures)
end

-- ---- what went wrong -------------------------------------------------------

local function is_rate_limit(failure)
  return failure.status == 429 or failure.status == 529 or failure.retry_after_s ~= nil
end

local function is_refusal_of_all(failure)
  return failure.status == 401 or failure.status == 403 or failure.blocked
end

--- Whether Notion answers at all: what fails then is the change's own fault.
local function is_well(self)
  local source = self.target.sources[self.claim.entity_type]
  local done, failure = errors.try(function()
    if source then
      return self.target.client:data_source(source.id, { about = "the probe" })
    end
    return self.target:source(self.claim.entity_type)
  end)
  return done or errors.is(failure, "notion") and failure.outcome == "refused" and not is_rate_limit(failure)
end

--- Waits in pieces, so that a signal is heard.
---@param self ligase.relay
---@param seconds number
function M.pause(self, seconds)
  local stop = sys.monotonic() + seconds
  while sys.monotonic() < stop and not self:has_to_stop() do
    sys.sleep(math.min(LOOK_S, math.max(0, stop - sys.monotonic())))
  end
end

--- Notion is down: nothing counts, and the relay waits longer and longer.
local function endure_outage(self, failure)
  later(self, failure, back_off(self, 0), false)
  if not self.is_down then
    self.is_down = true
    M.tell(self, "down", "Notion sync skipped (error): " .. described(failure))
  end
  self.outage_pause_s = math.min(self.pause_most_s, self.outage_pause_s * 2)
  self.claim = nil
  if self:has_patience() then
    local left = self.watch and math.huge or self.patience_s - (sys.monotonic() - self.progressed_at)
    M.pause(self, math.min(math.random() * self.outage_pause_s, left + LOOK_S / 10))
  end
end

--- All changes of a type have to wait until its database fits.
local function block(self, failure)
  local entity_type = failure.entity_type
  later(self, failure, 0, false)
  self.target:forget(entity_type)
  if not self.blocked[entity_type] then
    M.tell(self, "blocked", "Notion sync skipped (error): " .. described(failure))
  end
  self.blocked[entity_type] = sys.monotonic() + BLOCKED_S
end

--- A request that Notion refuses for good: because of the database, or of the change.
local function refused(self, failure)
  if failure.status == 400 then
    self.target:forget(self.claim.entity_type)
    local fits, problem = errors.try(self.target.source, self.target, self.claim.entity_type)
    if not fits and problem.entity_type then
      return block(self, problem)
    elseif not fits then
      return later(self, problem, back_off(self, 0), false)
    end
  elseif failure.status == 404 then
    failure.entity_type = self.claim.entity_type
    return block(self, failure)
  end
  set_aside(self, failure)
end

local function failed_in_notion(self, failure)
  local attempts = self.claim.attempts + 1
  if is_refusal_of_all(failure) then
    later(self, failure, 0, false)
    self.claim = nil
    error(failure, 0)
  elseif failure.entity_type then
    block(self, failure)
  elseif failure.final then
    set_aside(self, failure)
  elseif is_rate_limit(failure) then
    later(self, failure, failure.retry_after_s or LIMIT_S, false)
  elseif failure.status == 409 or failure.outcome == "unknown" and is_well(self) then
    if attempts >= self.attempts_most then
      return set_aside(self, failure)
    end
    later(self, failure, back_off(self, self.claim.attempts), true)
    M.tell(self, "failed", ("%s (attempt %d of %d)"):format(described(failure), attempts, self.attempts_most))
  elseif failure.outcome == "unknown" or failure.outcome == "not_sent" and failure.cause then
    endure_outage(self, failure)
  else
    refused(self, failure)
  end
end

local UNIQUE_VIOLATION = "23505"

--- The page that was to be the entity's is another one's.
local function refuse_page(self, failure)
  local policy, claim = self.target:entity(self.claim.entity_type), self.claim
  local owner = page_owners.of_failure(self.conn, failure)
  if owner then
    local entity = mirrors.read(self.conn, policy.kind, { claim.entity_id })[claim.entity_id]
    local message, hint = page_owners.told(owner)
    failure = errors.new { kind = "usage", code = "page_taken", message = ("%s: %s"):format(delivery.about(policy,
      entity, claim.payload), message), hint = hint .. "; then: ligase outbox --retry all" }
  end
  set_aside(self, failure)
end

--- A function of the policy fails: as with a database that does not fit, the changes of the type
--- wait until it is mended.
local function wait_for_policy(self, failure)
  local entity_type = self.claim.entity_type
  failure.message = ("%s: %s"):format(self.about, failure.message)
  failure.entity_type = entity_type
  failure.hint = ("All changes of %s wait: mend recipes/policy.lua, then: ligase sync (one that watches is started "
    .. "again)"):format(self.target:entity(entity_type).kind.plural)
  block(self, failure)
end

--- What cannot be delivered as it is says of which entity, and how it is tried again.
local function set_usage_aside(self, failure)
  if self.about and not failure.message:find(self.about, 1, true) then
    failure.message = ("%s: %s"):format(self.about, failure.message)
  end
  failure.hint = ("%s, then: ligase outbox --retry all"):format(failure.hint or "Mend that")
  set_aside(self, failure)
end

--- Does with the change in hand what its failure asks for. Raises what ends the relay.
---@param self ligase.relay with a claim
---@param failure table
function M.settle(self, failure)
  if is_lost(failure) then
    self.counts.lost = self.counts.lost + 1
  elseif errors.is(failure, "notion") then
    failed_in_notion(self, failure)
  elseif page_owners.is_taken(failure) then
    refuse_page(self, failure)
  elseif errors.is(failure, "usage") and failure.code == "policy_function" then
    wait_for_policy(self, failure)
  elseif errors.is(failure, "usage") then
    set_usage_aside(self, failure)
  elseif errors.is(failure, "database") and failure.code == UNIQUE_VIOLATION then
    set_aside(self, failure)
  else
    local claim = self.claim
    errors.try(function() -- the connection itself may be what failed
      outbox.finish(self.conn, claim, { state = "pending", reason = described(failure) })
    end)
    error(failure, 0)
  end
end

return M
