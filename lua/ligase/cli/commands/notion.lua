--- `ligase notion check`: whether the lab's Notion databases are as the policy needs them.
local access = require "ligase.cli.notion_access"
local errors = require "ligase.base.errors"
local failing = require "ligase.cli.failing"
local mirrors = require "ligase.store.mirrors"
local notion_schema = require "ligase.sync.notion_schema"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local policies = require "ligase.sync.policy"
local text = require "ligase.base.text"

local M = {}

M.description = "check compares the Notion databases that the settings name with what the policy shows in them "
  .. "(recipes/policy.lua), and says which properties are missing or of the wrong type. --create makes those that are "
  .. "missing; nothing else is changed. Those that pages had values of before are named, with what gives them back. "
  .. "The exit status is 1 when something is still wrong."
M.example = [[
  ligase notion check
  ligase notion check --create]]

M.surplus = "check takes no further words"

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("ACTION", "check."):target("action"):argname("ACTION")
    :convert(parsing.one_of("the action", { "check" }))
  parser:flag("--create", "Make the properties that are missing.")
end

local PROBLEMS = {
  missing = function(found)
    local near = found.near and ("; there is '%s'"):format(found.near) or ""
    return ("missing  %s (%s)%s%s"):format(found.name, found.wanted, near, found.can_make and ""
      or "; what it leads to is not known yet")
  end,
  type = function(found)
    return ("type     %s is %s and should be %s"):format(found.name, found.found, found.wanted)
  end,
  title = function(found)
    return ("title    the title is called '%s' and should be '%s': rename it in Notion, or in the policy"):format(
      tostring(found.found), found.name)
  end,
  relation = function(found)
    return ("relation %s leads to %s and should lead to %s"):format(found.name, found.found or "another database",
      found.wanted)
  end,
}

local function tell(database)
  local head = ("%s (%s)"):format(database.entity_type, database.setting)
  if database.failure then
    failing.report(database.failure)
    output.write(("%s: cannot be read\n"):format(head))
    return false
  end
  for _, name in ipairs(database.made) do
    output.write(("%s: made '%s'\n"):format(head, text.printable(name)))
  end
  if #database.findings == 0 then
    output.write(("%s: as it should be\n"):format(head))
    return true
  end
  output.write(("%s: %s not as the policy needs it\n"):format(head, text.count(#database.findings, "property",
    "properties")))
  for _, found in ipairs(database.findings) do
    output.write(("  %s\n"):format(text.printable(PROBLEMS[found.problem](found))))
  end
  return false
end

--- Postgres, where the workspace has one that can be asked: Notion may have to be reached without.
local function connection(context)
  local opened, conn = errors.try(function()
    return context.config:get "USE_POSTGRES_AS_SOT" and not context:is_bare() and context:open { migrate = false }
  end)
  return opened and conn or nil
end

--- A property that was made is empty on every page. Postgres has to know, or the relay would take
--- that for what people did to those that had a value before.
local function note_made(conn, database, made_s)
  for _, name in ipairs(database.made) do
    local had = mirrors.forget_property(conn, database.entity_type, name, made_s)
    if had > 0 then
      output.write(("%s: %s had a value of '%s'. Give them back with: ligase reconcile --entity %s --fix notion\n")
        :format(database.entity_type, text.count(had, "page"), text.printable(name), database.entity_type))
    end
  end
end

--- Databases that the settings name and in which the policy shows nothing.
local function tell_others(named, databases)
  local checked = {}
  for _, database in ipairs(databases) do
    checked[database.setting] = true
  end
  for _, database in ipairs(named) do
    if not checked[database.about] then
      output.write(("%s: the policy shows nothing in it\n"):format(database.about))
    end
  end
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status
function M.run(arguments, context)
  local policy = policies.load(context.workspace)
  local named = access.databases(context)
  local conn = arguments.create and connection(context)
  local made_s = conn and mirrors.now_s(conn)
  local databases, unset = notion_schema.check(access.client(context), policy, context.config,
    { create = arguments.create })
  local is_well = true
  for _, database in ipairs(databases) do
    is_well = tell(database) and is_well
    if conn then
      note_made(conn, database, made_s)
    end
  end
  for _, entity in ipairs(unset) do
    output.write(("%s: %s is not set\n"):format(entity.type, entity.database))
  end
  tell_others(named, databases)
  return is_well and 0 or 1
end

return M
