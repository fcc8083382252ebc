--- The gates of the phases: each measures one number, and is green or says what is missing. A
--- gate that cannot be measured is not green and says why.
---
--- Phase scripts (migrations/phases/) name the ones they want; a script of the lab's may add its
--- own with `gate:measure`.
local errors = require "ligase.base.errors"
local options_of = require "ligase.base.options"
local outbox = require "ligase.store.outbox"
local parity = require "ligase.sync.parity"
local phase_state = require "ligase.store.phase_state"
local text = require "ligase.base.text"
local untaken = require "ligase.sync.untaken"
local untold = require "ligase.sync.untold"

local M = {}

---@class ligase.gate
---@field name string
---@field value number|nil what was measured; nil when it could not be
---@field wanted string
---@field is_green boolean
---@field missing string|nil

---@class ligase.gates
---@field conn table outside a transaction, but for `verify`
---@field phase string the phase in force
---@field since string|nil when it was entered; nil when none is stored
---@field target fun(): ligase.notion_target raises when Notion is not configured
---@field quick (fun(): ligase.service_state)|nil how Notion is; what costs requests is then judged by what is kept
---@field before table|nil counts before the change
---@field is_rehearsed boolean|nil nothing is kept of what is measured
---@field list ligase.gate[]
local Gates = {}
Gates.__index = Gates

--- Gates to be measured.
---@param given {conn: table, phase: string, since: string|nil, target: (fun(): ligase.notion_target),
--- quick: (fun(): ligase.service_state)|nil, before: table|nil, is_rehearsed: boolean|nil}
---@return ligase.gates
function M.new(given)
  return setmetatable({ conn = given.conn, phase = given.phase, since = given.since, target = given.target,
    quick = given.quick, before = given.before, is_rehearsed = given.is_rehearsed, list = {} }, Gates)
end

--- Failures that say something of the world, and not of the script.
local OF_THE_WORLD = { notion = true, network = true, system = true, usage = true, input = true }

--- The line of the script that asked for a gate: the first one that is not in this file.
local function asked_at()
  local own = debug.getinfo(1, "S").source
  local level, info = 2, debug.getinfo(2, "Sl")
  while info and (info.source == own or info.currentline <= 0) do
    level = level + 1
    info = debug.getinfo(level, "Sl")
  end
  return info and ("%s:%d: "):format(info.short_src, info.currentline) or nil
end

local function refuse(message, hint)
  errors.raise { kind = "usage", code = "gate", message = message, hint = hint, where = asked_at() }
end

local function add(self, gate)
  for _, other in ipairs(self.list) do
    if other.name == gate.name then
      refuse(("the gate '%s' is asked for twice"):format(gate.name), "Each gate stands once; give one of your own "
        .. "another name")
    end
  end
  self.list[#self.list + 1] = gate
end

local function is_number(value)
  return math.type(value) ~= nil and value == value and math.abs(value) ~= math.huge
end

local function check_result(name, value, is_green, missing, found)
  local slip = value ~= nil and not is_number(value) and ("the number it measures is %s"):format(tostring(value))
    or is_green ~= nil and type(is_green) ~= "boolean" and ("whether it is green is %s"):format(tostring(is_green))
    or missing ~= nil and type(missing) ~= "string" and ("what is missing is %s"):format(tostring(missing))
    or found ~= nil and type(found) ~= "string" and ("what is wanted is %s"):format(tostring(found))
  if slip then
    refuse(("gate '%s': %s"):format(name, slip), "Its function returns a number (or nil when it cannot be measured), "
      .. "true or false or nil, and texts or nil")
  end
end

--- Measures one gate. `work` gives the number, whether that is green (else it must be 0), what is
--- missing when it is not, and what is wanted where that depends on what was found.
local function measure(self, name, wanted, work)
  local done, value, is_green, missing, found = xpcall(work, errors.explained)
  if not done and not OF_THE_WORLD[value.kind] then
    error(value, 0)
  elseif not done then
    local reason = errors.describe(value):match "^[^\n]*"
    return add(self, { name = name, wanted = wanted, is_green = false, missing = "cannot be measured: " .. reason })
  end
  check_result(name, value, is_green, missing, found)
  if is_green == nil then
    is_green = value == 0
  end
  add(self, { name = name, value = math.tointeger(value) or value, wanted = found or wanted, is_green = is_green,
    missing = not is_green and missing or nil })
end

--- Measures a gate of a script's own, which must not have the name of one that is here. `work` gives
--- the number, whether that is green (else it must be 0), what is missing when it is not, and what is
--- wanted where that depends on what was found.
---@param name string by which it may be overridden
---@param wanted string what it should be, for people
---@param work fun(): number|nil, boolean|nil, string|nil, string|nil
function Gates:measure(name, wanted, work)
  if type(name) ~= "string" or not name:find "%S" or type(wanted) ~= "string" or type(work) ~= "function" then
    refuse("gate:measure wants a name, a text that says what is wanted, and a function",
      "As in: gate:measure(\"campaigns\", \"0 campaigns without results\", function() return 0 end)")
  elseif Gates[name] then
    refuse(("the gate '%s' comes with ligase: one of your own needs another name"):format(name))
  end
  measure(self, name, wanted, work)
end

-- ---- services --------------------------------------------------------------

--- Notion answers, and its databases fit the policy.
function Gates:notion()
  measure(self, "notion", "0 databases that do not fit", function()
    local target = self.target()
    local _, configured = target:types()
    if #configured == 0 then
      return nil, false, "no setting names a Notion database"
    elseif self.quick then
      local service = self.quick()
      return service.state == "reachable" and 0 or nil, service.state == "reachable", service.reason
    end
    local unfit, reason = 0, nil
    for _, entity_type in ipairs(configured) do
      local fits, failure = errors.try(target.source, target, entity_type)
      if not fits and not (errors.is(failure, "notion") and failure.entity_type) then
        error(failure, 0) -- it is not the database
      elseif not fits then
        unfit, reason = unfit + 1, reason or errors.describe(failure):match "^[^\n]*"
      end
    end
    return unfit, nil, reason
  end)
end

-- ---- the outbox ------------------------------------------------------------

--- Nothing waits in the outbox.
function Gates:outbox()
  measure(self, "outbox", "0 changes waiting", function()
    local counts = outbox.counts(self.conn)
    return counts.pending + counts.running, nil, "deliver them: ligase sync"
  end)
end

--- Nothing was set aside.
function Gates:dead()
  measure(self, "dead", "0 changes set aside", function()
    return outbox.counts(self.conn).dead, nil, "see why: ligase outbox; try again: ligase outbox --retry all"
  end)
end

--- So many datasets are compared while somebody waits for a screen.
local QUICK_MOST = 10000

--- Notion was told of all that Postgres has.
function Gates:untold()
  measure(self, "untold", "0 entities that Notion was not told of", function()
    if self.quick and self.conn:query("SELECT count(*) AS n FROM datasets")[1].n > QUICK_MOST then
      return nil, false, "it is measured by: ligase phase"
    end
    local sum = untold.count(self.conn, self.target())
    local set_aside = sum.set_aside > 0 and ("%s set aside: ligase outbox says why"):format(text.count(sum.set_aside,
      "change was", "changes were"))
    return sum.all, nil, set_aside and sum.set_aside == sum.all and set_aside
      or "put them into the outbox: ligase reconcile --fix notion" .. (set_aside and "; " .. set_aside or "")
  end)
end

-- ---- both systems ----------------------------------------------------------

local WITHOUT_PAGE = [[
SELECT count(*) AS n FROM %s AS t LEFT JOIN mirrors AS m ON m.entity_id = t.id AND m.entity_type = '%s'
  AND m.target = 'notion' AND m.trashed_at IS NULL
WHERE coalesce(t.notion_page_id, m.page_id) IS NULL]]

--- Every entity has its page.
function Gates:counterparts()
  measure(self, "counterparts", "0 entities without a page", function()
    local count, parts = 0, {}
    for _, entity_type in ipairs((self.target():types())) do
      local n = self.conn:query(WITHOUT_PAGE:format(entity_type, entity_type))[1].n
      count = count + n
      parts[#parts + 1] = n > 0 and ("%s of %s"):format(text.number(n), entity_type) or nil
    end
    return count, nil, text.enumerate(parts, "and") .. ": ligase sync; ligase reconcile --fix notion"
  end)
end

local DRIFT = { checks = { type = "integer", default = 3, min = 1 } }

--- The last comparisons of both systems, made in this phase, found no difference.
---@param given {checks: integer}|nil how many of them, 3 without it
function Gates:drift(given)
  local wanted = options_of.check(given, DRIFT, "gate:drift").checks
  measure(self, "drift", ("0 differences in the last %d checks"):format(wanted), function()
    local _, types = self.target():types()
    local checks = phase_state.checks(self.conn, self.since, self.phase, types, wanted)
    local drift = 0
    for _, check in ipairs(checks) do
      drift = drift + check.drift
    end
    local missing = #checks == 0 and "none was made in this phase: ligase reconcile"
      or #checks < wanted and ("only %s in this phase: ligase reconcile"):format(text.count(#checks, "check"))
      or ("the last one, at %s, found %s: ligase reconcile"):format(checks[1].at, text.number(checks[1].drift))
    return #checks > 0 and drift or nil, drift == 0 and #checks == wanted, missing
  end)
end

local PARITY = { sample = { type = "integer", default = parity.SAMPLE, min = 1 } }

local function parity_of(self, sample)
  if self.quick then
    return phase_state.parity(self.conn, self.since, self.phase)
  end
  local result = parity.compare(self.conn, self.target(), sample)
  if not self.is_rehearsed then
    phase_state.keep_parity(self.conn, self.phase, result)
  end
  return result
end

--- What a sample says: what was not compared says nothing.
local function judge_parity(found)
  local compared = found.equal + found.mismatched
  local on_their_way = found.on_their_way > 0 and (", %s on their way"):format(text.number(found.on_their_way)) or ""
  if compared == 0 and found.on_their_way > 0 then
    return nil, false, "wait until Notion was told: ligase sync", "0 compared" .. on_their_way
  elseif compared == 0 then
    return 0, true, nil, "no entities to compare"
  end
  local first = found.details[1]
  return found.mismatched, nil, first and ("%s '%s' differs in %s: ligase reconcile"):format(first.entity_type,
    first.name, #first.properties > 0 and table.concat(first.properties, ", ") or "all: it has no page"),
    ("0 of %s compared differ%s"):format(text.number(compared), on_their_way)
end

--- Entities read in both systems say the same. A sample is read when it is measured, and kept.
---@param given {sample: integer}|nil how many entities, 30 without it
function Gates:parity(given)
  local sample = options_of.check(given, PARITY, "gate:parity").sample
  measure(self, "parity", ("0 of %d compared differ"):format(sample), function()
    local found = parity_of(self, sample)
    if not found then
      return nil, false, "no sample was read in this phase yet: ligase phase"
    end
    return judge_parity(found)
  end)
end

local function untaken_of(self)
  if self.quick then
    return phase_state.untaken(self.conn, self.since, self.phase)
  end
  local found = untaken.look(self.conn, self.target())
  if not self.is_rehearsed then
    phase_state.keep_untaken(self.conn, self.phase, found)
  end
  return found
end

--- How each side of a page that is gone is settled.
local function settling_of(found)
  local gone = found.first_gone
  local remedy = gone.is_trashed and "take it out of the trash in Notion, or delete what it is the page of: "
      .. "ligase import notion --delete"
    or gone.fate:find("moved", 1, true) and "move it back in Notion"
    or "share it again in Notion, or pass this gate by its name, and have a new page made in the next phase: ligase "
      .. "reconcile --fix notion"
  return ("%s gone, such as that of %s '%s', which %s: %s"):format(found.gone == 1 and "1 page is"
    or text.number(found.gone) .. " pages are", found.kind_name, gone.name, gone.fate, remedy)
end

--- Every page of Notion's is in Postgres, and what was deleted there is settled. It is kept what was
--- found.
function Gates:taken_over()
  measure(self, "taken_over", "0 pages that Postgres does not have, or that are gone", function()
    local found = untaken_of(self)
    if not found then
      return nil, false, "it is measured by: ligase phase"
    end
    local parts = { found.first and ("such as %s: ligase import notion"):format(found.first) }
    parts[#parts + 1] = found.first_gone and settling_of(found)
    return found.without + found.gone, nil, parts[1] and table.concat(parts, "; ") or nil
  end)
end

-- ---- pipelines -------------------------------------------------------------

--- Of every omics type that has datasets a file was read in this phase.
function Gates:pipelines()
  measure(self, "pipelines", "0 omics types without an ingest in this phase", function()
    local idle = {}
    for _, row in ipairs(phase_state.pipelines(self.conn, self.since)) do
      idle[#idle + 1] = row.exercised == 0 and row.omics_type or nil
    end
    return #idle, nil, ("read a file of %s again, or a new one: ligase ingest"):format(text.enumerate(idle, "and"))
  end)
end

-- ---- after a change --------------------------------------------------------

local COUNTED = { "datasets", "revisions", "features", "signatures", "compounds", "programs", "experiments",
  "screening_campaigns", "outbox", "runs" }

--- How many rows there are of what a change of phase must not take away.
---@param conn table
---@return table<string, integer>
function M.counts(conn)
  local parts, counts = {}, {}
  for i, name in ipairs(COUNTED) do
    parts[i] = ("SELECT '%s' AS name, count(*) AS n FROM %s"):format(name, name)
  end
  for _, row in ipairs(conn:query(table.concat(parts, " UNION ALL "))) do
    counts[row.name] = row.n
  end
  return counts
end

--- Nothing was deleted by the change.
function Gates:nothing_lost()
  measure(self, "nothing_lost", "0 rows fewer than before", function()
    local lost, parts = 0, {}
    for name, count in pairs(M.counts(self.conn)) do
      local fewer = math.max(0, (self.before and self.before[name] or count) - count)
      lost = lost + fewer
      parts[#parts + 1] = fewer > 0 and ("%s of %s"):format(text.number(fewer), name) or nil
    end
    return lost, nil, "somebody deleted " .. text.enumerate(parts, "and") .. " meanwhile: the same command again"
  end)
end

--- Notion shows what Postgres has, as a comparison in the course of a change found it. A later one
--- takes the place of an earlier one.
---@param work fun(): integer|nil, boolean|nil, string|nil
function Gates:replayed(work)
  for i, gate in ipairs(self.list) do
    if gate.name == "replayed" then
      table.remove(self.list, i)
      break
    end
  end
  measure(self, "replayed", "0 entities that Notion does not show as Postgres has them", work)
end

--- The phase is stored as it should be.
---@param phase string
function Gates:stored(phase)
  measure(self, "stored", "the phase is stored", function()
    local stored = phase_state.read(self.conn)
    local is_there = stored ~= nil and stored.phase == phase
    return is_there and 0 or 1
  end)
end

-- ---- all of them -----------------------------------------------------------

--- The gates that are not green and not overridden.
---@param list ligase.gate[]
---@param overrides table<string, string>
---@return ligase.gate[]
function M.red(list, overrides)
  local red = {}
  for _, gate in ipairs(list) do
    red[#red + 1] = not gate.is_green and not overrides[gate.name] and gate or nil
  end
  return red
end

--- Refuses overrides of gates that do not exist.
---@param list ligase.gate[]
---@param overrides table<string, string>
---@param elsewhere table<string, boolean>|nil gates of other steps on the way, which are meant too
function M.check_overrides(list, overrides, elsewhere)
  local names, known = {}, {}
  for i, gate in ipairs(list) do
    names[i], known[gate.name] = gate.name, true
  end
  for name in pairs(overrides) do
    if not known[name] and not (elsewhere and elsewhere[name]) then
      local near = text.nearest(name, names)
      errors.raise { kind = "usage", code = "gate",
        message = ("there is no gate '%s' here"):format(text.printable(name)),
        hint = (near and ("Did you mean '%s'? "):format(near) or "") .. "Gates: " .. table.concat(names, ", ") }
    end
  end
end

return M
