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
local relay_failing = require "ligase.sync.relay_failing"
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

--- Between two looks for changes, and for leases that are over.
local LOOK_S, TAKE_UP_S = 1, 5
--- A change that waits for another one's page is looked at again after so long at the latest.
local WAIT_S = 60

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
    relay_failing.raise_lost()
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
      relay_failing.raise_lost()
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
    relay_failing.tell(self, "note", note)
  end
  for _, line in ipairs(delivered.conflicts and conflicts.lines(self.target, about, delivered) or {}) do
    relay_failing.tell(self, "conflict", line)
  end
  relay_failing.tell(self, "delivered", ("%s: %s"):format(about, delivered.outcome))
end

local function work_on(self, claim)
  self.claim, self.about = claim, nil
  local done, failure = xpcall(deliver, errors.explained, self)
  if not done then
    relay_failing.settle(self, failure)
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
    relay_failing.tell(self, "note", ("the phase is %s now"):format(phase))
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
      relay_failing.tell(self, "dead", reason)
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
  relay_failing.pause(self, math.min(LOOK_S, next_s))
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
