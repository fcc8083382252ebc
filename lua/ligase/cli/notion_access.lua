--- How commands come to Notion: the client by the settings, and the databases that they name.
local errors = require "ligase.base.errors"
local notion = require "ligase.io.notion"
local pace = require "ligase.io.pace"
local policy_of = require "ligase.sync.policy"
local rate_limit = require "ligase.store.rate_limit"
local text = require "ligase.base.text"

local M = {}

--- The budget that all processes of the workspace keep together, where there is a Postgres for
--- it; a pace of our own where there is none. Notion may have to be reached without it.
local function limiter_of(context)
  local config = context.config
  local per_minute = config:get "NOTION_REQUESTS_PER_MINUTE"
  local shared, limiter = errors.try(function()
    if config:get "USE_POSTGRES_AS_SOT" and not context:is_bare() then
      return rate_limit.new(context:open { migrate = false }, "notion", { per_minute = per_minute })
    end
  end)
  if not shared and errors.wrap(limiter).kind == "internal" then
    error(limiter, 0)
  end
  return shared and limiter or pace.new(per_minute)
end

--- A client by the settings.
---@param context ligase.context
---@return ligase.notion.Client
function M.client(context)
  return notion.from_config(context.config, { limiter = limiter_of(context) })
end

--- "NOTION_EXP_DATA_DB_ID" as people name the database: "exp_data".
---@param setting string
---@return string
function M.short_name(setting)
  return setting:match("^NOTION_(.+)_DB_ID$"):lower()
end

--- The type whose pages a database holds, however the database is named: by the type, by the
--- setting, or by the short name of that.
---@param policy ligase.policy
---@param name string
---@return string|nil
local function type_named(policy, name)
  for _, entity_type in ipairs(policy_of.TYPES) do
    local entity = policy.entities[entity_type]
    local setting = entity and entity.database
    if name == entity_type or setting and (name == setting or name:lower() == M.short_name(setting)) then
      return entity_type
    end
  end
end

--- The types of databases, each named by its type, its setting, or the short name of that.
---@param policy ligase.policy
---@param names string[]
---@return string[]
function M.types(policy, names)
  local types = {}
  for i, name in ipairs(names) do
    types[i] = type_named(policy, name)
    if not types[i] then
      local near = text.nearest(name, policy_of.TYPES)
      errors.raise { kind = "usage", code = "notion_databases",
        message = ("no type has a Notion database '%s'"):format(text.shown(name, 60)),
        hint = (near and ("Did you mean '%s'? "):format(near) or "") .. "The types: "
          .. table.concat(policy_of.TYPES, ", ") }
    end
  end
  return types
end

--- The database of a type, where the policy names one.
local function of_type(context, by_name, name)
  local is_type = false
  for _, entity_type in ipairs(policy_of.TYPES) do
    is_type = is_type or entity_type == name
  end
  local entity = is_type and policy_of.load(context.workspace).entities[name]
  return entity and by_name[entity.database] or nil
end

--- The databases that the settings name, or those of them that are wanted.
---@param context ligase.context
---@param wanted string[]|nil settings, their short names, or types of the policy; all without it
---@return {folder: string, id: string, about: string}[]
function M.databases(context, wanted)
  local databases, by_name, names = {}, {}, {}
  for i, set in ipairs(context.config:notion_databases()) do
    local name = M.short_name(set.name)
    databases[i] = { folder = name, id = set.value, about = set.name }
    by_name[name], by_name[set.name], names[i] = databases[i], databases[i], name
  end
  if #databases == 0 then
    errors.raise { kind = "usage", code = "notion_databases", message = "no setting names a Notion database",
      hint = "Set NOTION_PROGRAMS_DB_ID, NOTION_EXP_DATA_DB_ID or any other NOTION_..._DB_ID to its id or link" }
  elseif not wanted or #wanted == 0 then
    return databases
  end
  local chosen = {}
  for i, name in ipairs(wanted) do
    chosen[i] = by_name[name] or by_name[name:lower()] or of_type(context, by_name, name)
    if not chosen[i] then
      local near = text.nearest(name, names)
      errors.raise { kind = "usage", code = "notion_databases",
        message = ("no setting names a Notion database '%s'"):format(text.shown(name, 60)),
        hint = (near and ("Did you mean '%s'? "):format(near) or "") .. "Those set: " .. table.concat(names, ", ") }
    end
  end
  return chosen
end

return M
