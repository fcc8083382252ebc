--- The dual write: one call that writes an entity where the policy says, Postgres in one
--- transaction with what Notion has to learn.
---
---   local both = ligase.dual_write { notion = true, postgres = true }
---   local program, warning = both:create_program { name = "ALS", disease = { "ALS" } }
---   both:update_program("ALS", { description = "..." })
---
--- Postgres failing raises "Postgres creation failed (required)". What is wrong with Notion is
--- the warning "Notion sync skipped (error)" and blocks nothing: the change stays in the outbox.
local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local notion_first = require "ligase.sync.notion_first"
local opening = require "ligase.sync.opening"
local options_of = require "ligase.base.options"
local phase_flags = require "ligase.sync.phase_flags"
local policy_of = require "ligase.sync.policy"
local text = require "ligase.base.text"

local M = {}

local OPTIONS = { notion = { type = "boolean" }, postgres = { type = "boolean" }, deliver = { type = "boolean" },
  create = { type = "boolean" }, command = { type = "string", default = "dual write" }, warn = { type = "function" } }

---@class ligase.dual_writer
---@field config ligase.Config
---@field policy ligase.policy
---@field phase string
---@field connect fun(): table
---@field notion boolean|nil
---@field postgres boolean|nil
local Writer = {}

local KINDS = { program = "program", experiment = "experiment", dataset = "dataset", signature = "signature",
  compound = "compound", campaign = "campaign" }

local function warn_on_stderr(line)
  io.stderr:write("ligase: ", text.printable(line), "\n")
end

--- A writer by the settings.
---@param config ligase.Config
---@param given {notion: boolean|nil, postgres: boolean|nil, deliver: boolean|nil, create: boolean|nil,
--- command: string|nil, warn: (fun(line: string))|nil}|nil notion, postgres: which are written, else as the policy
--- says; deliver: Notion is told at once and not by the next relay; create: programs and experiments that are linked
--- to and not there are made
---@param connections {main: (fun(): table), another: (fun(): table)} the connection, and further ones
---@return ligase.dual_writer
function M.new(config, given, connections)
  local self = options_of.check(given, OPTIONS, "ligase.dual_write")
  self.config, self.connections, self.warn = config, connections, self.warn or warn_on_stderr
  self.policy, self.phase = policy_of.load(config.workspace), policy_of.phase_of(config)
  local is_notion_first = self.phase == "notion_primary"
  if self.postgres and is_notion_first then
    errors.raise({ kind = "usage", code = "postgres_off", message = "Postgres is switched off: USE_POSTGRES_AS_SOT is "
      .. "false", hint = "Set USE_POSTGRES_AS_SOT=true, or leave postgres out" }, 2)
  elseif self.postgres == false and not is_notion_first then
    errors.raise({ kind = "usage", code = "postgres_on", message = "postgres = false, and Postgres is the source of "
      .. "truth", hint = "Set USE_POSTGRES_AS_SOT=false to write to Notion alone" }, 2)
  elseif self.notion == false and is_notion_first then
    errors.raise({ kind = "usage", code = "nothing", message = "there is nothing to write to: Notion comes first, and "
      .. "notion = false", hint = "Leave notion out" }, 2)
  end
  return setmetatable(self, Writer)
end

-- ---- Notion ----------------------------------------------------------------

local function warning_of(self, failure)
  local line = "Notion sync skipped (error): " .. (type(failure) == "string" and failure
    or errors.describe(failure):match("^[^\n]*"))
  self.warn(line)
  return line
end

--- Why a type's changes cannot reach Notion as things stand; nil when nothing is known.
local function problem_of(self, entity_type)
  local entity = self.policy.entities[entity_type]
  if not entity then
    return ("the policy has no pages for %s"):format(entity_type)
  elseif not self.config:get "NOTION_API_KEY" then
    return "NOTION_API_KEY is not set; the change waits in the outbox"
  elseif not self.config:get(entity.database) then
    return ("%s is not set; the change waits in the outbox"):format(entity.database)
  end
end

--- Tells Notion of one entity now.
local function deliver(self, id)
  local problem
  local conn = self.connections.another()
  local budget = self.connections.another()
  local done, failure = errors.try(function()
    local relay = opening.relay(self.config, conn, budget, { entities = { id }, patience_s = 0,
      tell = function(event)
        problem = event.kind ~= "delivered" and event.kind ~= "note" and event.line or problem
      end })
    relay:run()
    problem = problem or relay:left()
  end)
  conn:close()
  budget:close()
  return not done and failure or problem
end

local function tell_notion(self, entity_type, id, is_told)
  local rule = self.policy:rule(entity_type, self.phase)
  if not is_told then
    return nil
  end
  local problem = problem_of(self, entity_type)
  if not problem and (self.deliver or rule and rule.required.notion) then
    problem = deliver(self, id)
  end
  if problem and rule and rule.required.notion then
    errors.raise { kind = "notion", code = "required", outcome = "unknown",
      message = "Notion creation failed (required): " .. (type(problem) == "string" and problem or problem.message),
      hint = "Postgres has the change, and it stays in the outbox: ligase sync" }
  end
  return problem and warning_of(self, problem) or nil
end

-- ---- Postgres, then Notion -------------------------------------------------

local function raise_required(failure, word)
  if errors.is(failure, "database") then
    failure.message = ("Postgres %s failed (required): %s"):format(word, failure.message)
  end
  error(failure, 0)
end

--- Writes to Postgres, with what Notion has to learn.
local function write(self, kind_name, word, work)
  local entity_type = policy_of.type_of(kind_name)
  local outbox = self.policy:mirrored_types(self.phase)
  if self.notion == false then
    outbox = false
  elseif self.notion then
    outbox[entity_type] = true
  end
  local is_told = outbox and outbox[entity_type] == true
  local is_asked = is_told and not self.policy:rule(entity_type, self.phase).is_mirrored
  local done, result = xpcall(function()
    return (entities.change(self.connections.main(), { command = ("%s %s"):format(kind_name, word),
      create = self.create, create_option = "create = true", outbox = outbox, asked = is_asked }, work))
  end, errors.explained)
  if not done then
    raise_required(result, word == "create" and "creation" or word)
  end
  local warning = result.outcome ~= "unchanged" and tell_notion(self, entity_type, result.id, is_told) or nil
  return result.row, warning, result.outcome
end

local function notion(self)
  self.notion_writer = self.notion_writer or notion_first.new(opening.target(self.config, { policy = self.policy }))
  return self.notion_writer
end

--- Lets the phase that is stored in the database hold, which may change between two changes.
local function govern(self, word)
  if self.phase == "notion_primary" then
    return
  end
  local done, failure = xpcall(function()
    phase_flags.govern(self.config, self.connections.main(), function(line)
      if line ~= self.warned then
        self.warned = line
        self.warn(line)
      end
    end)
  end, errors.explained)
  if not done then
    raise_required(failure, word)
  end
  self.phase = policy_of.phase_of(self.config)
end

local function create(self, kind_name, fields)
  govern(self, "creation")
  if self.phase == "notion_primary" then
    return notion(self):create(kind_name, fields)
  end
  return write(self, kind_name, "create", function(changes)
    return changes:create(kind_name, fields)
  end)
end

local function update(self, kind_name, which, fields)
  govern(self, "update")
  if self.phase == "notion_primary" then
    return notion(self):update(kind_name, which, fields)
  end
  return write(self, kind_name, "update", function(changes)
    return changes:update(kind_name, which, fields)
  end)
end

--- create_program(fields), update_program(which, fields), and so on for each kind.
function Writer:__index(name)
  local action, kind_name = tostring(name):match("^(%l+)_(%l+)$")
  if not KINDS[kind_name] or action ~= "create" and action ~= "update" then
    return Writer[name]
  elseif action == "create" then
    return function(writer, fields)
      return create(writer, kind_name, fields)
    end
  end
  return function(writer, which, fields)
    return update(writer, kind_name, which, fields)
  end
end

return M
