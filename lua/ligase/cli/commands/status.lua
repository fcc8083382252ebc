--- `ligase status`: what is there and how it is, on one screen.
local db = require "ligase.store.db"
local errors = require "ligase.base.errors"
local host = require "host"
local json = require "ligase.base.json"
local migrate = require "ligase.store.migrate"
local outbox = require "ligase.store.outbox"
local output = require "ligase.cli.output"
local overview = require "ligase.store.overview"
local pg = require "pg"
local phase_change = require "ligase.sync.phase_change"
local phase_flags = require "ligase.sync.phase_flags"
local phases = require "ligase.sync.phases"
local run_lines = require "ligase.store.run_lines"
local services = require "ligase.sync.services"
local text = require "ligase.base.text"

local M = {}

M.description = "Shows on one screen what is in the database and how it is: schema, phase and gates, entities, "
  .. "datasets by omics type with the last ingest, what Notion still has to learn, the last comparison, the last "
  .. "runs, and whether the services answer. Gates that cost many requests are shown as they were last measured "
  .. "(ligase phase measures them anew). The exit status is 1 when the database cannot be used."
M.example = [[
  ligase status
  ligase status --json]]

M.surplus = "status takes only options"

local RUNS_MOST = 5

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:flag("--json", "For scripts: one JSON object.")
end

-- ---- gathering -------------------------------------------------------------

local function gates_of(context, conn, current, notion)
  local following = phases.next(current.phase, "advance")
  if not following then
    return nil, {}
  end
  return following, phase_change.measure({ config = context.config, conn = conn, another = function()
    return context:open { when_off = true, migrate = false }
  end }, current, following, { quick = function()
    return notion
  end })
end

local function phase_of(context, conn, notion)
  local current = phase_change.current(context.config, conn)
  local following, gates = gates_of(context, conn, current, notion)
  local red, green = json.array(), 0
  for _, gate in ipairs(gates) do
    green = green + (gate.is_green and 1 or 0)
    red[#red + 1] = not gate.is_green and gate.name or nil
  end
  return { phase = current.phase, since = current.since, is_stored = current.is_stored, next = following,
    green = green, gates = json.array(gates), red = red,
    begun = current.begun and { to = current.begun.to, direction = current.begun.direction } or nil,
    contradiction = phase_flags.difference(context.config, current.is_stored and current.phase or nil) }
end

local function outbox_of(conn)
  local counts, open = outbox.counts(conn), outbox.open(conn)
  return { waiting = counts.pending, running = counts.running, dead = counts.dead, delivered = counts.done,
    oldest_s = open.oldest_s ~= pg.null and open.oldest_s or nil,
    last_error = open.last_error ~= pg.null and open.last_error or nil }
end

local function gather(context, is_for_people)
  local found = { version = host.version, workspace = context.workspace, services = services.all(context.config) }
  if context:is_bare() then
    found.database = { state = "absent", reason = "there is no data yet; begin with: ligase ingest FILE" }
    return found
  end
  local opened, conn = xpcall(context.connect, errors.explained, context)
  if not opened then
    found.database = { state = "unreachable", reason = errors.describe(conn):match "^[^\n]*" }
    return found
  end
  local state, step, latest = migrate.state(conn)
  found.database = { state = state, step = step, latest = latest, private = db.is_private(context.config) }
  if state == "current" then
    found.overview = overview.read(conn, RUNS_MOST)
    found.overview.runs = is_for_people and run_lines.latest(conn, RUNS_MOST) or found.overview.runs
    found.phase, found.outbox = phase_of(context, conn, found.services[1]), outbox_of(conn)
  end
  return found
end

-- ---- for people ------------------------------------------------------------

local function say(label, ...)
  output.write(("%-10s%s\n"):format(label, text.printable(string.format(...))))
end

local SCHEMA = { current = "up to date", older = "older than this ligase: ligase migrate up",
  newer = "newer than this ligase", absent = "none yet: ligase migrate up" }

local function tell_database(found)
  local database, o = found.database, found.overview
  if database.reason then
    return say("database", "%s: %s", database.state, database.reason)
  elseif o then
    say("database", "%s%s, PostgreSQL %s, %s, %s", database.private and "private, " or "", o.server.database,
      o.server.version, o.server.address, text.bytes(o.server.bytes))
  end
  say("schema", "step %d of %d, %s", database.step, database.latest, SCHEMA[database.state])
end

local function tell_phase(phase)
  say("phase", "%s%s", phase.phase, phase.is_stored and " since " .. phase.since:sub(1, 16) or ", by the flags")
  if phase.next then
    say("", "next %s: %d of %d gates green%s", phase.next, phase.green, #phase.gates, #phase.red > 0
      and "; not " .. text.enumerate(phase.red, "and") or ": ligase phase advance")
  end
  if phase.begun then
    say("", "begun and not ended: ligase phase %s --to %s", phase.begun.direction, phase.begun.to)
  end
  if phase.contradiction then
    say("", "%s", phase.contradiction)
  end
end

local function tell_outbox(open)
  say("outbox", "%s waiting, %s with a relay, %s set aside%s%s", text.number(open.waiting), text.number(open.running),
    text.number(open.dead), open.oldest_s and ("; the oldest for %s"):format(text.duration(open.oldest_s)) or "",
    open.last_error and "; the last reason: " .. text.truncate(open.last_error, 80) or "")
end

local function tell_overview(o)
  local e = o.entities
  say("entities", "%s, %s, %s, %s, %s, %s", text.count(e.programs, "program"), text.count(e.experiments, "experiment"),
    text.count(e.datasets, "dataset"), text.count(e.signatures, "signature"), text.count(e.compounds, "compound"),
    text.count(e.campaigns, "campaign"))
  for i, row in ipairs(o.omics) do
    say(i == 1 and "datasets" or "", "%-16s %6s  %12s values; last %s '%s'", row.omics_type, text.number(row.datasets),
      text.number(row.values), row.last_ingest, text.shown(row.last_dataset, 30))
  end
  if o.jobs.pending + o.jobs.dead > 0 then
    say("files", "%s queued, %s set aside (ligase ingest --retry)", text.number(o.jobs.pending),
      text.number(o.jobs.dead))
  end
end

local function tell_drift(drift)
  if drift then
    say("drift", "%s in the check of %s (%s, %s)", text.count(drift.drift, "difference"), drift.at, drift.phase,
      text.count(drift.types, "type"))
  else
    say("drift", "never checked: ligase reconcile")
  end
end

local function tell_runs(runs)
  local width = 0
  for _, run in ipairs(runs) do
    width = math.max(width, #run.run)
  end
  for i, run in ipairs(runs) do
    say(i == 1 and "runs" or "", "%s  %s  %-9s %s%s%s", run.started:sub(1, 16),
      run.run .. (" "):rep(width - #run.run), run.outcome, run.command,
      run.batch and ": " .. run.source or run.name and " '" .. text.shown(run.name, 30) .. "'" or "", run.error
      and ": " .. text.truncate(run.error, 60) or "")
  end
end

local function tell(found)
  say("ligase", "%s in %s", found.version, found.workspace)
  tell_database(found)
  if found.overview then
    tell_phase(found.phase)
    tell_overview(found.overview)
    tell_outbox(found.outbox)
    tell_drift(found.overview.drift)
    tell_runs(found.overview.runs)
  end
  for i, service in ipairs(found.services) do
    say(i == 1 and "services" or "", "%-10s %s%s%s", service.name, service.state, service.state == "reachable"
      and (" (%s)"):format(text.duration(service.seconds)) or "", service.reason and ": " .. service.reason or "")
  end
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status 1 when the database cannot be used
function M.run(arguments, context)
  local found = gather(context, not arguments.json)
  if arguments.json then
    local o = found.overview
    if o then
      json.array(o.omics)
      json.array(o.runs)
    end
    output.write(json.encode(found) .. "\n")
  else
    tell(found)
  end
  return (found.database.state == "current" or found.database.state == "absent" and context:is_bare()) and 0 or 1
end

return M
