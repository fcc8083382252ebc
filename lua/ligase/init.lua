--- ligase for scripts: the lab's entities, on a connection that is opened when it is first
--- needed.
---
---   local ligase = require "ligase"
---   ligase.programs:create { name = "ALS", disease = { "ALS", "FTD" } }
---   ligase.datasets:update("plasma_lipids", { programs = { "ALS", "Ageing" } }, { create = true })
---   for _, compound in ipairs(ligase.compounds:list { program = "ALS" }) do print(compound.code) end
---   ligase.rollback(ligase.runs:list { tag = "pilot", outcome = "done" }, { cascade = true })
---
--- The database is the one of the workspace's settings. Every call is a transaction with an
--- entry in the journal; `ligase.change` makes one of many.
local connection = require "ligase.connection"
local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local kinds = require "ligase.store.entity_kinds"
local lists = require "ligase.store.entity_lists"
local options_of = require "ligase.base.options"
local rollback = require "ligase.store.rollback"
local run_finding = require "ligase.store.run_finding"
local text = require "ligase.base.text"

local M = {}

local warned -- what was said of a phase that the flags contradict

-- ---- the connection --------------------------------------------------------

--- The connection, opened when it is first asked for, and anew when it was lost.
---@return table conn
function M.connection()
  return connection.open()
end

--- Uses a connection of the caller's from here on, who also closes it.
---@param conn table
function M.use(conn)
  connection.use(conn)
end

--- Closes the connection; the next call opens it anew. It is closed with the process too.
function M.close()
  connection.close()
end

-- ---- changes ---------------------------------------------------------------

local OPTIONS = { command = { type = "string" }, create = { type = "boolean" }, outbox = { type = "boolean|table" },
  data = { type = "boolean" } }

--- The tables whose changes other systems are told of, by the phase in force, which may change
--- while a script runs or a REPL is open.
local function told()
  local config = connection.config()
  require("ligase.sync.phase_flags").govern(config, M.connection(), function(line)
    if line ~= warned then
      warned = line
      io.stderr:write("ligase: ", text.printable(line), "\n")
    end
  end)
  return (config.stored_phase or config:get "ENABLE_NOTION_SYNC" or config:get "ENABLE_DUAL_WRITE")
    and require("ligase.sync.policy").outbox_of(config)
end

--- Makes many changes in one transaction with one journal entry: all or none.
---@generic T
---@param work fun(changes: ligase.changes): T it may be called again when the server asks for that
---@param options {command: string|nil, create: boolean|nil, outbox: boolean|nil}|nil create: programs and experiments
--- that are linked to and not there are made; outbox: other systems are told, else as the settings say
---@return T result what work returned
---@return "done"|"unchanged" outcome
---@return string run_id
function M.change(work, options)
  options = options_of.check(options, OPTIONS, "ligase.change")
  local outbox = options.outbox
  if outbox == nil then
    outbox = told()
  end
  return entities.change(M.connection(), { command = options.command or "script", create = options.create,
    create_option = "create = true", outbox = outbox }, work)
end

-- ---- both systems ----------------------------------------------------------

--- What writes entities where the policy of the dual write says: create_program(fields),
--- update_program(which, fields), and likewise for experiment, dataset, signature, compound
--- and campaign. Each gives the row, and a warning when Notion is not told.
---@param options {notion: boolean|nil, postgres: boolean|nil, deliver: boolean|nil, create: boolean|nil,
--- command: string|nil, warn: (fun(line: string))|nil}|nil
---@return ligase.dual_writer
function M.dual_write(options)
  return require("ligase.sync.dual_write").new(connection.config(), options, { main = M.connection,
    another = connection.another })
end

-- ---- one kind --------------------------------------------------------------

---@class ligase.entity_service
---@field kind ligase.entity_kind
local Service = {}
Service.__index = Service

local function changed(self, options, action, work)
  options = options_of.check(options, OPTIONS, ("ligase.%s:%s"):format(self.kind.plural, action))
  options.command = options.command or ("%s %s"):format(self.kind.name, action)
  local data = options.data
  options.data = nil
  return (M.change(function(changes)
    return work(changes, data)
  end, options))
end

--- Makes one. Raises "usage" when there is one of its name.
---@param fields table
---@param options {create: boolean|nil, command: string|nil, outbox: boolean|nil}|nil
---@return table row its columns by name, NULL as json.null
function Service:create(fields, options)
  return changed(self, options, "create", function(changes)
    return changes:create(self.kind.name, fields).row
  end)
end

--- Changes one, in the fields given; json.null empties a field, links replace those it had.
---@param which string its name, id, ...
---@param fields table
---@param options {create: boolean|nil, command: string|nil, outbox: boolean|nil}|nil
---@return table row
---@return "updated"|"unchanged" outcome
function Service:update(which, fields, options)
  local result = changed(self, options, "update", function(changes)
    return changes:update(self.kind.name, which, fields)
  end)
  return result.row, result.outcome
end

--- Makes and changes many at once: those that are there, by id or name, are changed.
---@param list table[] fields of each
---@param options {create: boolean|nil, command: string|nil, outbox: boolean|nil}|nil
---@return {id: string, outcome: "created"|"updated"|"unchanged", row: table}[]
function Service:upsert(list, options)
  return changed(self, options, "upsert", function(changes)
    return changes:upsert(self.kind.name, list)
  end)
end

--- Deletes one. Raises "usage" when others refer to it, with the list of them.
---@param which string
---@param options {data: boolean|nil, command: string|nil, outbox: boolean|nil}|nil data: also what was read from files
---@return table row as it was
function Service:delete(which, options)
  return changed(self, options, "delete", function(changes, data)
    return changes:delete(self.kind.name, which, { data = data }).row
  end)
end

--- The one that is meant. Raises "usage" with the nearest names when there is none, with
--- the list when there are several.
---@param which string its name, id or a start of it, id elsewhere, Notion page
---@return table row
function Service:find(which)
  return entities.find(M.connection(), self.kind.name, which)
end

--- Whether there is one of that name, id, ....
---@param which string
---@return table|nil row
function Service:lookup(which)
  return entities.lookup(M.connection(), self.kind.name, which)
end

--- All of them, or those of one program or experiment, by name.
---@param only {program: string|nil, experiment: string|nil}|nil
---@return table[] rows
function Service:list(only)
  only = options_of.check(only, { program = { type = "string" }, experiment = { type = "string" } },
    ("ligase.%s:list"):format(self.kind.plural))
  local conn, ids = M.connection(), {}
  for kind_name, word in pairs(only) do
    if not self.kind.links[kind_name .. "s"] then
      errors.raise({ kind = "usage", code = "option",
        message = ("%s have no %ss"):format(self.kind.plural, kind_name) }, 2)
    end
    ids[kind_name .. "s"] = entities.find(conn, kind_name, word).id
  end
  return lists.rows(conn, self.kind.name, ids)
end

--- One with all that is known of it.
---@param which string
---@return {row: table, links: table<string, {id: string, name: string}[]>, referrers: table[], shares: table[]}
function Service:show(which)
  return lists.show(M.connection(), self.kind.name, self:find(which))
end

-- ---- runs ------------------------------------------------------------------

---@class ligase.run_service
local Runs = {}
Runs.__index = Runs

--- Runs, the latest first, that are all of what is asked for.
---@param wanted {recipe: string|nil, since: string|nil, tag: string|nil, command: string|nil, batch: string|nil,
--- outcome: string|nil, limit: integer|nil}|nil since: a time as Postgres reads it, such as "2026-11-20", "yesterday"
---@return table[] runs {id, batch_id, rolls_back, started_at, finished_at, outcome, command, recipe, arguments, counts}
function Runs:list(wanted)
  return run_finding.list(M.connection(), wanted)
end

--- The run that is meant. Raises "usage" when there is none, or more than one.
---@param which string its id, a start of it, or "last"
---@return table run
function Runs:find(which)
  return run_finding.find(M.connection(), which)
end

M.runs = setmetatable({}, Runs)

local ROLLBACK = { dry_run = { type = "boolean" }, cascade = { type = "boolean" }, outbox = { type = "boolean|table" },
  batch = { type = "string" } }

local function id_of(run)
  return type(run) == "table" and run.id or run
end

--- Undoes a run, or several, in one transaction. Raises "usage" with the reason when it cannot be
--- done; with `runs`, when later runs built on them and `cascade` is not given.
---@param run string|table|table[]|nil an id, a run of ligase.runs, or a list of these; nil with `batch`
---@param options {dry_run: boolean|nil, cascade: boolean|nil, batch: string|nil, outbox: boolean|nil}|nil dry_run: say
--- what would happen; cascade: undo what built on it too; outbox: other systems are told, else as the settings say
---@return ligase.rollback_report
function M.rollback(run, options)
  options = options_of.check(options, ROLLBACK, "ligase.rollback")
  local words
  if type(run) == "table" and not run.id then
    words = {}
    for i, one in ipairs(run) do
      words[i] = id_of(one)
    end
  elseif run then
    words = { id_of(run) }
  end
  if not options.batch and (not words or #words == 0) then
    errors.raise({ kind = "usage", code = "option", message = "ligase.rollback: no run is named" }, 2)
  end
  local outbox = options.outbox
  if outbox == nil then
    outbox = told()
  end
  return rollback.run(M.connection(), { runs = words, batch = options.batch }, { dry_run = options.dry_run,
    cascade = options.cascade, outbox = outbox })
end

for _, name in ipairs { "program", "experiment", "dataset", "compound", "signature", "campaign" } do
  local kind = kinds.get(name)
  M[kind.plural] = setmetatable({ kind = kind }, Service)
end

return M
