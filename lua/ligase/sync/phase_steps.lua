--- What a phase script can do on the way in and on the way out. Every step may be repeated, writes
--- in transactions of its own, and deletes nothing; in a dry run it only says what it would do.
local errors = require "ligase.base.errors"
local import = require "ligase.sync.import"
local opening = require "ligase.sync.opening"
local outbox = require "ligase.store.outbox"
local reconcile = require "ligase.sync.reconcile"
local reconciliations = require "ligase.store.reconciliations"
local runs = require "ligase.store.runs"
local services = require "ligase.sync.services"
local text = require "ligase.base.text"
local untold = require "ligase.sync.untold"

local M = {}

--- So many are named of what is taken over.
local NAMED = 5

--- The relay waits for so long, and longer than a killed process' claim lasts.
local PATIENCE_S, BEYOND_CLAIM_S = 60, 30

---@class ligase.phase_steps
---@field conn table
---@field another fun(): table a further connection, closed by who gave it
---@field config ligase.Config
---@field phase string the phase in force
---@field mirroring string the phase by whose rules Notion is told
---@field target fun(): ligase.notion_target by those rules
---@field own_target fun(): ligase.notion_target by the rules of the phase in force
---@field gates ligase.gates
---@field is_rehearsed boolean|nil
---@field effects string[] what was done, in words
---@field counts table<string, integer>
---@field say fun(line: string)
---@field wait fun(line: string) what is waited for, for who sits before a terminal
---@field compared ligase.comparison[]|nil
---@field foreseen table<string, table<string, ligase.untold|false>> what would be untold of the entities that a dry run
--- took over, by type and id
local Steps = {}
Steps.__index = Steps

--- The steps of one change of phase.
---@param given {conn: table, another: (fun(): table), config: ligase.Config, phase: string, mirroring: string,
--- target: (fun(): ligase.notion_target), own_target: (fun(): ligase.notion_target), gates: ligase.gates,
--- is_rehearsed: boolean|nil, say: fun(line: string), wait: fun(line: string)}
---@return ligase.phase_steps
function M.new(given)
  local self = { effects = {}, counts = {}, foreseen = {} }
  for name, value in pairs(given) do
    self[name] = value
  end
  return setmetatable(self, Steps)
end

local function note(self, ...)
  self.effects[#self.effects + 1] = string.format(...)
  self.say(self.effects[#self.effects])
end

local function count(self, name, number)
  self.counts[name] = (self.counts[name] or 0) + number
end

local function in_types(by_type)
  local parts = {}
  for name, number in pairs(by_type) do
    parts[#parts + 1] = number > 0 and ("%s %s"):format(text.number(number), name) or nil
  end
  table.sort(parts)
  return #parts > 0 and (" (%s)"):format(text.enumerate(parts, "and")) or ""
end

--- The first few by name, of so many.
local function named(first, all)
  if #first == 0 then
    return ""
  end
  local more = all > #first and (" and %s more"):format(text.number(all - #first)) or ""
  return ": " .. table.concat(first, ", ") .. more
end

--- Notes of entities that a dry run takes over what Notion would not have been told of them.
local function foresee(self)
  return function(entity_type, ids)
    local foreseen = self.foreseen[entity_type] or {}
    self.foreseen[entity_type] = foreseen
    for _, id in ipairs(ids) do
      foreseen[id] = false
    end
    for _, one in ipairs(untold.among(self.conn, self.target(), entity_type, ids)) do
      foreseen[one.id] = one
    end
  end
end

local function add_import(sums, report)
  sums.pages, sums.created = sums.pages + report.pages, sums.created + report.created
  sums.updated = sums.updated + report.updated
  sums.problems, sums.gone = sums.problems + #report.problems + #report.held, sums.gone + #report.trashed
  for i = 1, math.min(#report.first, NAMED - #sums.first) do
    table.insert(sums.first, report.first[i])
  end
end

--- Takes into Postgres what was written in Notion since it was last taken over, as
--- `ligase import notion` does in the phase in force: while Notion is written first, its word counts.
--- An entity whose page is gone stays, as it does there: the gate `taken_over` is in front of it.
function Steps:take_over()
  local target = self.own_target()
  local _, configured = target:types()
  local sums = { pages = 0, created = 0, updated = 0, problems = 0, gone = 0, first = {} }
  for _, report in ipairs(import.run(self.conn, target, { types = configured, rehearse = self.is_rehearsed,
    foresee = self.is_rehearsed and foresee(self) or nil })) do
    add_import(sums, report)
  end
  count(self, "taken_over", sums.created + sums.updated)
  note(self, "%s of Notion's looked at: %s new and %s changed in Postgres%s%s%s", text.count(sums.pages, "page"),
    text.count(sums.created, "entity", "entities"), text.number(sums.updated), sums.problems > 0
      and (", %s left out (ligase import notion says why)"):format(text.number(sums.problems)) or "", sums.gone > 0
      and (", %s (ligase import notion says which)"):format(text.count(sums.gone, "page that is gone",
        "pages that are gone")) or "", named(sums.first, sums.created + sums.updated))
end

--- Puts into the outbox what Notion was not told of.
function Steps:tell_notion()
  local sum = self.is_rehearsed and untold.foresee(self.conn, self.target(), self.foreseen)
    or untold.tell(self.conn, self.target())
  self.is_told = self.is_rehearsed and sum.all or nil
  count(self, "told", sum.all)
  note(self, "%s that Notion was not told of into the outbox%s%s", text.count(sum.all, "entity", "entities"),
    in_types(sum.by_type), named(sum.first, sum.all))
end

--- Refuses to begin what takes long while Notion does not answer.
local function need_notion(self)
  local failure = not self.is_reached and self.config:get "NOTION_API_KEY" and services.notion_outage(self.config)
  if failure then
    errors.raise { kind = "notion", code = failure.code, outcome = "not_sent", cause = failure,
      message = failure.message, detail = failure.detail,
      hint = "See whether it answers again: ligase status" }
  end
  self.is_reached = true
end

local function relay(self)
  local conn, budget = self.another(), self.another()
  local function tell(event)
    if event.kind ~= "delivered" then
      self.say(event.line)
    end
  end
  local one = opening.relay(self.config, conn, budget, { phase = self.mirroring, held = self.wait, tell = tell,
    patience_s = math.max(PATIENCE_S, self.config:get "NOTION_TIMEOUT_S" + BEYOND_CLAIM_S) })
  local done, result = xpcall(one.run, errors.explained, one)
  local left = done and one:left() or nil
  conn:close()
  budget:close()
  if not done then
    error(result, 0)
  elseif left then
    errors.raise { kind = "notion", code = "left", outcome = "unknown", message = left,
      hint = "See what waits, and why: ligase outbox" }
  end
  return result
end

--- Delivers the outbox, as `ligase sync` does.
function Steps:deliver()
  local counts = outbox.counts(self.conn)
  if self.is_rehearsed then
    note(self, "%s to Notion", text.count(counts.pending + counts.running + (self.is_told or 0), "change"))
    return
  end
  need_notion(self)
  local made = relay(self)
  for _, name in ipairs { "created", "adopted", "updated", "unchanged", "trashed", "restored", "kept", "dead" } do
    count(self, name, made[name])
  end
  note(self, "Notion told: %s made, %s changed, %s into the trash, %s out of it, %s as they were%s",
    text.count(made.created + made.adopted, "page"), text.number(made.updated), text.number(made.trashed),
    text.number(made.restored), text.number(made.unchanged + made.kept), made.dead > 0
      and (", %s set aside (ligase outbox)"):format(text.number(made.dead)) or "")
end

--- Whether a difference is something that Postgres knows and Notion does not.
local function is_postgres_own(finding)
  if finding.finding ~= "differing" then
    return finding.finding ~= "extra" or finding.why == "gone"
  end
  for _, side in pairs(finding.sides) do
    if side ~= "notion" then
      return true
    end
  end
  return finding.why ~= nil
end

--- Of what Notion does not know: how much, and how much of that was set aside in the outbox.
local function own_of(compared)
  local own, set_aside = 0, 0
  for _, one in ipairs(compared) do
    for _, finding in ipairs(one.findings) do
      if is_postgres_own(finding) then
        own = own + 1
        set_aside = set_aside + (finding.entity and #finding.entity.open > 0 and 1 or 0)
      end
    end
  end
  return own, set_aside
end

local function missing_of(own, set_aside, on_their_way)
  local parts = {}
  parts[#parts + 1] = set_aside > 0 and ("%s set aside: ligase outbox says why; mend that, and: ligase outbox --retry "
    .. "all"):format(text.count(set_aside, "change was", "changes were")) or nil
  parts[#parts + 1] = on_their_way > 0 and "see what waits: ligase outbox" or nil
  parts[#parts + 1] = own > set_aside and "see them: ligase reconcile; repair: ligase reconcile --fix notion" or nil
  return table.concat(parts, "; ")
end

--- Compares both systems, keeps the figures, and has the gate `replayed` say what Notion does not
--- know of Postgres. What people wrote in Notion is told and in nobody's way.
function Steps:compare()
  local target = self.target()
  local types = (target:types())
  if self.is_rehearsed then
    local set_aside = outbox.counts(self.conn).dead -- the least that the comparison will find
    self.gates:replayed(function()
      return set_aside, nil, missing_of(set_aside, set_aside, 0)
    end)
    note(self, "both systems compared: %s", text.enumerate(types, "and"))
    return
  end
  need_notion(self)
  local run = runs.new("reconcile", nil, { entities = table.concat(types, " "), phase_change = true })
  self.compared = {}
  for i, entity_type in ipairs(types) do
    self.compared[i] = reconcile.compare(self.conn, target, entity_type)
  end
  reconciliations.write(self.conn, run, { phase = self.phase }, self.compared)
  local total = reconciliations.total(self.compared)
  local own, set_aside = own_of(self.compared)
  self.gates:replayed(function()
    return own + total.on_their_way, nil, missing_of(own, set_aside, total.on_their_way)
  end)
  note(self, "both systems compared: %s, %s equal, %s missing in Notion, %s too many there, %s differ",
    text.count(total.entities, "entity", "entities"), text.number(total.equal), text.number(total.missing),
    text.number(total.extra + total.duplicates), text.number(total.differing))
end

return M
