--- `ligase policy`: what the policy of the dual write would do, in words.
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local policy_of = require "ligase.sync.policy"
local text = require "ligase.base.text"
local values = require "ligase.sync.values"
local workspace = require "ligase.base.workspace"

local M = {}

M.description = "check reads the policy of the dual write (recipes/policy.lua of the workspace, else the one that came "
  .. "with ligase) and says for each type of entity what happens to a change in the phase in force, which property "
  .. "shows what, and what is not configured. The exit status is 1 when something is missing."
M.example = [[
  ligase policy check
  ligase policy check --phase postgres_primary]]

M.surplus = "policy takes one word: check"

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("ACTION", "check."):target("action"):argname("ACTION")
    :convert(parsing.one_of("the action", { "check" }))
  parser:option("--phase", "Another phase than the one that the settings mean: " .. table.concat(policy_of.PHASES, ", ")
    .. "."):argname("PHASE"):convert(parsing.one_of("--phase", policy_of.PHASES))
end

local function say(label, ...)
  output.write(("  %-10s%s\n"):format(label, text.printable(string.format(...))))
end

local CONFLICTS = {
  show = "a property that was changed in Notion is kept and shown as a conflict",
  postgres = "a property that was changed in Notion is overwritten when its page is next written; the outbox keeps it",
  notion = "a property that was changed in Notion is taken into Postgres",
}

local function course(rule)
  if rule.first == "notion" then
    return "written to Notion, which must succeed; Postgres stays untouched"
  elseif not rule.is_mirrored then
    return "written to Postgres, which must succeed; Notion is not told"
  end
  return ("written to Postgres, which must succeed; then to Notion by the relay%s"):format(
    rule.required.notion and ", which must succeed too" or ", whose failure blocks nothing")
end

local function shown_by(property)
  local source = property.link and "link " .. property.link or property.column or "a function"
  local functions = property.column and (property.write and property.read and ", by functions"
    or property.write and ", by a function" or property.read and ", read by a function") or ""
  return ("%s (%s) from %s%s"):format(property.name, property.type, source, functions)
end

local function properties_of(entity)
  local listed, taken = {}, {}
  for i, property in ipairs(entity.properties) do
    listed[i] = shown_by(property)
    if not values.is_readable(entity, property) then
      taken[#taken + 1] = property.name
    end
  end
  return table.concat(listed, "; "), table.concat(taken, ", ")
end

--- Says what happens to one type. Gives what is missing.
local function tell_type(policy, entity_type, phase, config)
  local entity, rule = policy.entities[entity_type], policy:rule(entity_type, phase)
  output.write(entity_type .. "\n")
  if not entity then
    say("pages", "none: the policy does not name %s", entity_type)
    return nil
  end
  say("a change", "%s", course(rule))
  if rule.is_mirrored then
    say("conflicts", "%s", CONFLICTS[rule.conflict])
  end
  local database = config:get(entity.database)
  local uses_notion = rule.is_mirrored or rule.first == "notion"
  say("database", "%s", database and ("%s = %s"):format(entity.database, database)
    or ("%s is not set%s"):format(entity.database, not uses_notion and "" or rule.first == "notion"
      and ": nothing can be written" or ": changes wait in the outbox"))
  local listed, one_way = properties_of(entity)
  say("id", "%s (rich_text)", entity.id_property)
  say("shows", "%s", listed)
  if one_way ~= "" then
    say("one way", "%s: shown in Notion, and not taken from there", one_way)
  end
  return uses_notion and not database and entity.database or nil
end

local function reason_of(config)
  local names = {}
  for _, name in ipairs { "USE_POSTGRES_AS_SOT", "ENABLE_DUAL_WRITE", "ENABLE_NOTION_SYNC" } do
    names[#names + 1] = ("%s=%s (%s)"):format(name, tostring(config:get(name)), config:source(name))
  end
  return table.concat(names, ", ")
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status 1 when something is not configured
function M.run(arguments, context)
  local policy, config = policy_of.load(context.workspace), context.config
  local stored = not arguments.phase and context:peek_phase()
  config.stored_phase = stored and stored.phase
  local phase = arguments.phase or policy_of.phase_of(config)
  local is_own = policy.path:sub(1, #context.workspace + 1) == context.workspace .. "/"
    and #workspace.search_path("recipes", context.workspace) > 1
  output.write(("policy  %s%s\n"):format(text.printable(policy.path), is_own and "" or " (came with ligase)"))
  output.write(("phase   %s: %s\n"):format(phase, arguments.phase and "as asked for"
    or stored and phase ~= policy_of.phase_of_flags(config) and "stored in the database; see: ligase phase"
    or reason_of(config)))
  local missing = {}
  for _, entity_type in ipairs(policy_of.TYPES) do
    missing[#missing + 1] = tell_type(policy, entity_type, phase, config)
  end
  if #missing > 0 then
    output.write(("not configured: %s\n"):format(table.concat(missing, ", ")))
    return 1
  end
end

return M
