--- The relay: takes what other systems still have to learn out of the outbox and delivers it,
--- one entity after the other. Any number of relays may work on one outbox.
---
--- What fails is tried again later, what cannot succeed is set aside with its reason, and
--- what is not the change's own fault (Notion down, a rate limit, a wrong key, a database that
--- does not fit the policy) never counts against it.
local conflicts = require "ligase.sync.conflicts"
local delivery = require "ligase.sync.delivery"
local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local linkers = require "ligase.store.linkers"
local mirrors = require "ligase.store.mirrors"
local options_of = require "ligase.base.options"
local outbox = require "ligase.store.outbox"
local page_owners = require "ligase.store.page_owners"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

---@class ligase.relay_event
---@field kind "delivered"|"failed"|"dead"|"conflict"|"note"|"blocked"|"down"
---@field line string for people
---@field claim ligase.outbox_claim|nil

---@class ligase.relay_options
---@field conn table
---@field target ligase.notion_target its client has a limiter of M.limiter
---@field watch boolean|nil waits for changes for ever
---@field entities string[]|nil only these, and what they wait for
---@field tell (fun(event: ligase.relay_event))|nil
---@field held (fun(line: string))|nil told once when all that is left is with other relays
---@field is_over (fun(): boolean)|nil asked between two deliveries
---@field phase_now (fun(conn: table): string)|nil the phase in force, asked before each delivery: a relay that watches
--- outlives changes of it
---@field lease_s number|nil longer than a request's timeout
---@field attempts_most integer|nil failed deliveries before a change is set aside
---@field pause_s number|nil the shortest back-off; doubled with each failure, and drawn between 0 and that
---@field pause_most_s number|nil
---@field patience_s number|nil without watch: ends when nothing could be delivered for so long

local OPTIONS = {
  conn = { type = "userdata|table", required = true }, target = { type = "table", required = true },
  watch = { type = "boolean" }, entities = { type = "table" }, tell = { type = "function" },
  held = { type = "function" }, is_over = { type = "function" }, phase_now = { type = "function" },
  lease_s = { type = "number", default = 120, min = 0.1 },
  attempts_most = { type = "integer", default = 8, min = 1 }, pause_s = { type = "number", default = 2, min = 0 },
  pause_most_s = { type = "number", default = 300, min = 0 }, patience_s = { type = "number", default = 60, min = 0 },
}

--- Between two looks for changes, for leases that are over, and at a database that did not fit.
local LOOK_S, TAKE_UP_S, BLOCKED_S = 1, 5, 60
--- A change that waits for another one's page is looked at again after so long at the latest.
local WAIT_S = 60
--- A rate limit without a number of seconds.
local LIMIT_S = 60

--- The lease is over: somebody else has the row, and nothing may be sent or noted for it.
local function raise_lost()
  errors.raise { kind = "system", code = "lease_lost", message = "another relay has taken this change over" }
end

local function is_lost(failure)
  return errors.is(failure, "system") and failure.code == "lease_lost"
end

---@class ligase.relay
---@field conn table
---@field target ligase.notion_target
---@field claim ligase.outbox_claim|nil in hand
---@field about string|nil its entity, for messages
---@field blocked table<string, number> types whose database does not fit, and until when
---@field counts table<string, integer>
local Relay = {}
Relay.__index = Relay

local COUNTED = { "created", "adopted", "updated", "unchanged", "trashed", "restored", "kept", "failed", "dead",
  "waits", "lost" }

--- A relay.
---@param given ligase.relay_options
---@return ligase.relay
function M.new(given)
  local self = setmetatable(options_of.check(given, OPTIONS, "relay.new"), Relay)
  self.blocked, self.counts, self.outage_pause_s = {}, {}, self.pause_s
  for _, name in ipairs(COUNTED) do
    self.counts[name] = 0
  end
  return self
end

--- Holds the claim in hand for one more request, or while that has to wait. Raises when it is
--- lost: nothing must be sent then. Called by the rate limiter of the relay's client, see M.limiter.
---@param is_idle boolean|nil it waits
function Relay:before_request(is_idle)
  if self.claim and not outbox.renew(self.conn, self.claim, self.lease_s, is_idle == true) then
    raise_lost()
  end
end

---@class ligase.relay_limiter
local Limiter = {}
Limiter.__index = Limiter

--- A rate limiter that also holds the relay's claim before each request, and hands everything
--- else to the limiter within.
---@param within table|nil acquire and answered
---@return ligase.relay_limiter set `relay` before the first request
function M.limiter(within)
  return setmetatable({ within = within }, Limiter)
end

--- Waits for a turn, holding the relay's claim meanwhile, and makes sure of the claim: nothing
--- is sent for a change that somebody else has taken over.
---@return boolean
function Limiter:acquire()
  local relay = self.relay
  local is_taken = not self.within or self.within:acquire(relay and 0)
  while not is_taken do
    relay:before_request(true)
    is_taken = self.within:acquire(relay.lease_s / 3)
  end
  if relay then
    relay:before_request()
  end
  return true
end

--- Tells the limiter within that a request is over, and what its answer asks for.
---@param ... any
function Limiter:answered(...)
  if self.within then
    self.within:answered(...)
  end
end

-- ---- saying what happens ---------------------------------------------------

local function tell(self, kind, line)
  if self.tell then
    self.tell { kind = kind, line = line, claim = self.claim }
  end
end

local function described(failure)
  return (errors.describe(failure):match("^[^\n]*"))
end

-- ---- ending a delivery -----------------------------------------------------

--- Puts what people wrote in the page into Postgres, where the policy says so.
local function take_conflicts(self, entity, fields)
  fields.id = entity.id
  entities.change(self.conn, { command = "sync", arguments = { taken_from = "notion" } }, function(changes)
    changes:upsert(self.target:entity(entity.type).kind.name, { fields })
  end)
end

--- Whether the entity has its page from now on: others may have been told without their reference
--- to it.
local function has_come(delivered)
  local mirror, told = delivered.entity.mirror, delivered.told
  return told ~= nil and told.page_id ~= nil and not told.trashed
    and (not mirror or mirror.page_id ~= told.page_id or mirror.trashed_at ~= nil or mirror.intended ~= nil)
end

local function complete(self, delivered)
  local conn, claim, told = self.conn, self.claim, delivered.told
  local is_taken = delivered.conflicts and self.target:rule(claim.entity_type).conflict == "notion"
  local fields = is_taken and conflicts.fields(conn, self.target, delivered) or {}
  conn:transaction(function()
    if not outbox.finish(conn, claim, { state = "done" }) then
      raise_lost()
    end
    outbox.supersede(conn, claim, delivered.entity.open)
    if told then
      mirrors.settle(conn, delivered.entity, told)
    end
    if next(fields) then
      take_conflicts(self, delivered.entity, fields)
    end
    if told and told.page_id and not told.trashed then
      outbox.wake(conn, claim.entity_id)
    end
    if has_come(delivered) then
      linkers.tell(conn, claim.entity_type, claim.entity_id, (self.target:types()))
    end
  end)
end

--- The entity refers to others without a page: they go first.
local function wait(self, waiting, about)
  local first = waiting[1]
  for _, linked in ipairs(waiting) do
    outbox.tell(self.conn, linked.type, linked.id, "create", json.encode { name = linked.name,
      asked = self.claim.payload.asked })
    if self.entities then
      table.insert(self.entities, linked.id)
    end
  end
  local reason = ("%s waits for the page of %s '%s'"):format(about, self.target:entity(first.type).kind.name,
    first.name)
  outbox.finish(self.conn, self.claim, { state = "pending", after_s = WAIT_S, reason = reason, waits_for = first.id })
  outbox.go_on(self.conn, self.claim, first.type)
end

local function finish(self, result)
  if not outbox.finish(self.conn, self.claim, result) then
    self.counts.lost = self.counts.lost + 1
  end
end

local function set_aside(self, failure)
  local line = described(failure)
  self.counts.dead = self.counts.dead + 1
  finish(self, { state = "dead", failed = true, reason = line })
  tell(self, "dead", line .. " (set aside, see: ligase outbox)")
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
local function pause(self, seconds)
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
    tell(self, "down", "Notion sync skipped (error): " .. described(failure))
  end
  self.outage_pause_s = math.min(self.pause_most_s, self.outage_pause_s * 2)
  self.claim = nil
  if self:has_patience() then
    local left = self.watch and math.huge or self.patience_s - (sys.monotonic() - self.progressed_at)
    pause(self, math.min(math.random() * self.outage_pause_s, left + LOOK_S / 10))
  end
end

--- All changes of a type have to wait until its database fits.
local function block(self, failure)
  local entity_type = failure.entity_type
  later(self, failure, 0, false)
  self.target:forget(entity_type)
  if not self.blocked[entity_type] then
    tell(self, "blocked", "Notion sync skipped (error): " .. described(failure))
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
    tell(self, "failed", ("%s (attempt %d of %d)"):format(described(failure), attempts, self.attempts_most))
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

local function failed(self, failure)
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

-- ---- one change ------------------------------------------------------------

local function deliver(self)
  local claim, policy = self.claim, self.target:entity(self.claim.entity_type)
  local entity = mirrors.read(self.conn, policy.kind, { claim.entity_id })[claim.entity_id]
  local about = delivery.about(policy, entity, claim.payload)
  self.about = about
  local delivered = delivery.deliver(self.target, self.conn, entity, claim)
  if delivered.outcome == "waits" then
    self.counts.waits = self.counts.waits + 1
    return wait(self, delivered.waiting, about)
  end
  complete(self, delivered)
  self.counts[delivered.outcome] = self.counts[delivered.outcome] + 1
  self.is_down, self.outage_pause_s = false, self.pause_s
  self.progressed_at = sys.monotonic()
  for _, note in ipairs(delivered.notes) do
    tell(self, "note", note)
  end
  for _, line in ipairs(delivered.conflicts and conflicts.lines(self.target, about, delivered) or {}) do
    tell(self, "conflict", line)
  end
  tell(self, "delivered", ("%s: %s"):format(about, delivered.outcome))
end

local function work_on(self, claim)
  self.claim, self.about = claim, nil
  local done, failure = xpcall(deliver, errors.explained, self)
  if not done then
    failed(self, failure)
  end
  self.claim = nil
end

-- ---- all changes -----------------------------------------------------------

--- Whether no further change is to be begun.
---@return boolean
function Relay:has_to_stop()
  return self.is_over ~= nil and self.is_over()
end

--- Whether it is worth while to wait: a relay that does not watch ends when nothing could be
--- delivered for some time.
---@return boolean
function Relay:has_patience()
  return self.watch or sys.monotonic() - self.progressed_at <= self.patience_s
end

local function without_blocked(self, types)
  local now, left = sys.monotonic(), {}
  for _, entity_type in ipairs(types) do
    local blocked_until = self.blocked[entity_type]
    if not blocked_until or self.watch and now > blocked_until then
      left[#left + 1] = entity_type
    end
  end
  return left
end

--- A change of phase holds from the next delivery on.
local function notice_phase(self)
  local phase = self.phase_now and self.phase_now(self.conn)
  if phase and phase ~= self.target.phase then
    self.target.phase = phase
    tell(self, "note", ("the phase is %s now"):format(phase))
  end
end

--- Which changes go now.
local function which(self)
  notice_phase(self)
  local mirrored, configured = self.target:types()
  return { types = without_blocked(self, mirrored), asked = without_blocked(self, configured), lease_s = self.lease_s,
    entities = self.entities }
end

local function take_up(self)
  local now = sys.monotonic()
  if now >= (self.take_up_at or 0) then
    for _, reason in ipairs(outbox.take_up(self.conn, self.attempts_most)) do
      self.counts.dead = self.counts.dead + 1
      tell(self, "dead", reason)
    end
    self.take_up_at = now + math.min(TAKE_UP_S, self.lease_s)
  end
end

--- Says, once, that all that is left is with another relay. One that was killed holds it until its
--- lease is over.
local function tell_held(self, open)
  if self.held and not self.is_held_told and open.ready == 0 and open.running > 0 then
    self.is_held_told = true
    self.held(("waiting for %s that another relay has; what a relay had that was killed is taken over within %s")
      :format(text.count(open.running, "change"), text.duration(self.lease_s + TAKE_UP_S)))
  end
end

--- Waits for a change that can go. False when there will be none.
local function wait_for_more(self, wanted)
  local open = outbox.open(self.conn, wanted)
  if not self.watch then
    local is_done = open.ready + open.running == 0 and open.later == open.waiting
    if is_done or not self:has_patience() then
      return false
    end
  end
  tell_held(self, open)
  local next_s = math.type(open.next_s) == "float" and open.next_s > 0 and open.next_s or LOOK_S
  pause(self, math.min(LOOK_S, next_s))
  return true
end

local function run(self)
  self.progressed_at = sys.monotonic()
  while not self:has_to_stop() do
    take_up(self)
    local wanted = which(self)
    local claim = outbox.claim(self.conn, wanted)
    if claim then
      work_on(self, claim)
      if self.is_down and not self:has_patience() then
        break
      end
    elseif not wait_for_more(self, wanted) then
      break
    end
  end
end

--- Delivers what there is; with `watch`, for ever. Raises when Notion refuses everything (a
--- wrong key) and when the database is lost; what was in hand stays in the outbox.
---@return table<string, integer> counts by outcome, and failed, dead, waits, lost
function Relay:run()
  run(self)
  return self.counts
end

--- What the rest of the outbox waits for, in a line; nil when nothing is left.
---@return string|nil
function Relay:left()
  local open = outbox.open(self.conn, { types = (self.target:types()), asked = select(2, self.target:types()),
    entities = self.entities })
  local left = open.ready + open.later + open.running
  if left == 0 then
    return nil
  end
  return ("%s left in the outbox%s"):format(text.count(left, "change"), open.last_error ~= json.null
    and ", the last reason: " .. text.printable(open.last_error) or "")
end

return M
