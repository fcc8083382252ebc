--- The policy of the dual write: which system is written first, what is mirrored, which
--- property shows which column, and what happens to what people changed in a page.
---
---   local policy = require("ligase.sync.policy").load()
---   local rule = policy:rule("datasets", policy_of.phase_of(config))
---   print(rule.first, rule.is_mirrored, rule.conflict)
---
--- A policy is a script of the lab's, recipes/policy.lua; what it says is checked when it is
--- loaded, down to the line at fault.
local errors = require "ligase.base.errors"
local kinds = require "ligase.store.entity_kinds"
local options_of = require "ligase.base.options"
local sys = require "sys"
local workspace = require "ligase.base.workspace"

local M = {}

--- The script's name in a folder of recipes.
M.NAME = "policy"

--- The phases, in the order in which a lab goes through them.
M.PHASES = { "notion_primary", "dual_write", "postgres_primary", "postgres_only" }

--- The types of entities that can have pages: their tables, in an order in which whatever
--- one refers to comes before it.
M.TYPES = { "programs", "experiments", "datasets", "signatures", "compounds", "screening_campaigns" }

--- The types of property that can show something.
local TYPES_OF_PROPERTY = { "title", "rich_text", "number", "select", "status", "multi_select", "relation", "url",
  "email", "phone_number", "checkbox", "date", "files" }

--- Columns beyond the fields that a person can give.
local COLUMNS = { id = true, current_revision = true, created_at = true, updated_at = true }

---@class ligase.property_map what one property of a page shows
---@field name string the property's
---@field type string Notion's type of it
---@field column string|nil the column that it shows
---@field link string|nil the link that it shows, as a relation
---@field write (fun(value: any, entity: table): any)|nil makes the value; without column and link it gets
--- the entity alone
---@field read (fun(value: any, fields: table): any)|nil makes the column's value; without a column it sets fields

---@class ligase.entity_policy
---@field type string the entities' table, such as "datasets"
---@field kind ligase.entity_kind
---@field database string the setting that names the Notion database
---@field id_property string the property that carries ligase's id
---@field properties ligase.property_map[] the title first, then by name
---@field by_name table<string, ligase.property_map>
---@field phases table<string, table>

---@class ligase.policy_rule
---@field phase string
---@field first "notion"|"postgres" the system that is written first
---@field required table<string, boolean> the systems that must have taken a change
---@field is_mirrored boolean pages follow through the outbox
---@field conflict "show"|"postgres"|"notion"

---@class ligase.policy
---@field path string|nil the script
---@field entities table<string, ligase.entity_policy>
---@field phases table<string, table>
local Policy = {}
Policy.__index = Policy

-- ---- the line at fault -----------------------------------------------------

--- The line on which the last of these keys stands, looked for one after the other: a
--- nested table has no line of its own.
local function line_of(source, keys)
  local lines, at = {}, 0
  for line in (source .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = line
  end
  for _, key in ipairs(keys) do
    local quoted = key:gsub("%p", "%%%0")
    for i = at > 0 and at or 1, #lines do
      local line = " " .. lines[i]:gsub("%-%-.*$", "")
      if line:find("[%s{,]" .. quoted .. "%s*=") or line:find("%[%s*[\"']" .. quoted .. "[\"']%s*%]%s*=") then
        at = i
        break
      end
    end
  end
  return at > 0 and at or nil
end

--- Checks one table of the policy; what is wrong is told with the place in the script.
local function checked(given, spec, where, place)
  local done, result = pcall(options_of.check, given, spec, where)
  if done then
    return result
  end
  local wrong = result.message:match("unknown option '(.-)'") or result.message:match("option '(.-)' must be")
  place:refuse(result.message, result.hint, wrong)
end

---@class ligase.policy_place where in the script something stands
local Place = {}
Place.__index = Place

--- The place of a member.
---@param key string
---@return ligase.policy_place
function Place:below(key)
  local keys = table.move(self.keys, 1, #self.keys, 1, {})
  keys[#keys + 1] = key
  return setmetatable({ file = self.file, source = self.source, line = self.line, keys = keys }, Place)
end

--- Raises what is wrong here.
---@param message string
---@param hint string|nil
---@param key string|nil the member that is meant
function Place:refuse(message, hint, key)
  local here = key and self:below(key) or self
  errors.raise { kind = "usage", code = "policy", message = message, hint = hint, file = self.file,
    line = self.source and line_of(self.source, here.keys) or self.line }
end

local loading -- the script that is being loaded: `return policy.define { ... }` leaves no trace of it

local function place_of_caller()
  local info = debug.getinfo(3, "Sl")
  local file = loading or info and info.source:match("^@(.*)$")
  local read, source = pcall(sys.read_file, file or "")
  return setmetatable({ file = file or info and info.short_src, line = not loading and info and info.currentline or nil,
    source = read and source or nil, keys = {} }, Place)
end

-- ---- what a policy says ----------------------------------------------------

local SYSTEM = { "postgres", "notion" }
local PHASE = { first = { type = "string", values = SYSTEM }, required = { type = "table" },
  mirrored = { type = "table" }, conflict = { type = "string", values = { "show", "postgres", "notion" } } }

local function set_of(list, what, place)
  if list == nil then
    return nil
  end
  local set = {}
  for _, system in pairs(list) do
    if system ~= "postgres" and system ~= "notion" then
      place:refuse(("%s names '%s', which is no system"):format(what, tostring(system)),
        "They are 'postgres' and 'notion'", what)
    end
    set[system] = true
  end
  return set
end

local function read_phase(given, where, place)
  local phase = checked(given, PHASE, where, place)
  return { first = phase.first, required = set_of(phase.required, "required", place),
    mirrored = set_of(phase.mirrored, "mirrored", place), conflict = phase.conflict }
end

local function phase_specs(required)
  local specs = {}
  for _, name in ipairs(M.PHASES) do
    specs[name] = { type = "table", required = required }
  end
  return specs
end

--- What is said of a phase must make sense together with what it builds on.
local function check_phase(name, phase, where, place)
  for _, key in ipairs { "first", "required", "mirrored", "conflict" } do
    if phase[key] == nil then
      place:refuse(("%s does not say '%s'"):format(where, key), "See the policy that came with ligase")
    end
  end
  local is_notions = name == "notion_primary"
  if (phase.first == "notion") ~= is_notions then
    place:refuse(("%s: '%s' cannot be written first"):format(where, phase.first), is_notions
      and "USE_POSTGRES_AS_SOT=false means Notion first" or "USE_POSTGRES_AS_SOT=true means Postgres first", "first")
  elseif phase.mirrored.notion and name == "postgres_only" then
    place:refuse(where .. ": Notion is off in this phase", "To mirror to Notion: ENABLE_NOTION_SYNC=true", "mirrored")
  elseif not phase.required[phase.first] then
    place:refuse(("%s: '%s' is written first and not required"):format(where, phase.first),
      "What is written first must succeed: add it to required", "required")
  elseif phase.mirrored[phase.first] then
    place:refuse(("%s: '%s' is written first and mirrored"):format(where, phase.first),
      "A system is either written first or told afterwards", "mirrored")
  elseif phase.first == "notion" and phase.mirrored.postgres then
    place:refuse(("%s: Postgres cannot be mirrored"):format(where),
      "What was written in Notion is taken up by: ligase import notion", "mirrored")
  end
  for system in pairs(phase.required) do
    if system ~= phase.first and not phase.mirrored[system] then
      place:refuse(("%s: '%s' is required and not written"):format(where, system), "Add it to mirrored", "required")
    end
  end
end

local function read_phases(given, place)
  place = place:below "phases"
  local phases = checked(given, phase_specs(true), "phases", place)
  for name, phase in pairs(phases) do
    local where, here = ("phase '%s'"):format(name), place:below(name)
    phases[name] = read_phase(phase, where, here)
    check_phase(name, phases[name], where, here)
  end
  return phases
end

local PROPERTY = { type = { type = "string", required = true, values = TYPES_OF_PROPERTY },
  column = { type = "string" }, link = { type = "string" }, write = { type = "function" },
  read = { type = "function" } }

local function list_of(names)
  local sorted = {}
  for name in pairs(names) do
    sorted[#sorted + 1] = name
  end
  table.sort(sorted)
  return table.concat(sorted, ", ")
end

local function check_source(property, kind, where, place)
  local column, link = property.column, property.link
  if column and link then
    place:refuse(where .. " shows both a column and a link", "Keep one of the two", "link")
  elseif not column and not link and not property.write then
    place:refuse(where .. " does not say what it shows", "Give it a column, a link or a write function")
  elseif column and not kind.fields[column] and not COLUMNS[column] then
    local text = require "ligase.base.text"
    local near = text.nearest(column, kind.order)
    place:refuse(("%s: %s have no column '%s'"):format(where, kind.plural, column),
      (near and ("Did you mean '%s'? "):format(near) or "") .. "Columns: " .. list_of(kind.fields), "column")
  elseif link and not kind.links[link] then
    place:refuse(("%s: %s have no link '%s'"):format(where, kind.plural, link),
      next(kind.links) and "Links: " .. list_of(kind.links) or "They have no links", "link")
  elseif link and property.type ~= "relation" then
    place:refuse(("%s shows a link and is a %s"):format(where, property.type), "Links are shown as a relation", "type")
  elseif property.type == "relation" and not link then
    place:refuse(where .. " is a relation and shows no link", "Say which: link = \"programs\"", "type")
  end
end

local function read_properties(given, kind, id_property, place)
  local properties, by_name, titles = {}, {}, 0
  for name, entry in pairs(given) do
    if type(name) ~= "string" or type(entry) ~= "table" then
      place:refuse(("the properties of %s are no pairs [\"Name\"] = { type = ... }"):format(kind.plural),
        "See the policy that came with ligase")
    end
    local where, here = ("property '%s' of %s"):format(name, kind.plural), place:below(name)
    local property = checked(entry, PROPERTY, where, here)
    property.name = name
    check_source(property, kind, where, here)
    if name == id_property then
      here:refuse(where .. " carries ligase's id already", "Leave it out, or choose another id_property")
    end
    titles = titles + (property.type == "title" and 1 or 0)
    properties[#properties + 1], by_name[name] = property, property
  end
  if titles ~= 1 then
    place:refuse(("%s have %d properties of type title"):format(kind.plural, titles), "A page has exactly one")
  end
  table.sort(properties, function(a, b)
    if (a.type == "title") ~= (b.type == "title") then
      return a.type == "title"
    end
    return a.name < b.name
  end)
  return properties, by_name
end

local ENTITY = { database = { type = "string", required = true },
  id_property = { type = "string", default = "Ligase ID" }, properties = { type = "table", required = true },
  phases = { type = "table", default = {} } }

local function read_entity(entity_type, given, phases, place)
  local where = ("entity type '%s'"):format(entity_type)
  local entity = checked(given, ENTITY, where, place)
  entity.type, entity.kind = entity_type, kinds.of_table(entity_type)
  if not entity.database:find("^NOTION_[A-Z0-9_]+_DB_ID$") then
    place:refuse(("%s: '%s' is no setting for a Notion database"):format(where, entity.database),
      "Such settings are called NOTION_..._DB_ID", "database")
  end
  entity.properties, entity.by_name = read_properties(entity.properties, entity.kind, entity.id_property,
    place:below "properties")
  local own = checked(entity.phases, phase_specs(false), where .. ", phases", place:below "phases")
  entity.phases = {}
  for name, phase in pairs(phases) do
    local here, merged = place:below("phases"):below(name), {}
    local says = ("%s, phase '%s'"):format(where, name)
    local override = own[name] and read_phase(own[name], says, here) or {}
    for key, value in pairs(phase) do
      merged[key] = override[key] == nil and value or override[key]
    end
    if own[name] then
      check_phase(name, merged, says, here)
    end
    entity.phases[name] = merged
  end
  return entity
end

local function entity_specs()
  local specs = {}
  for _, name in ipairs(M.TYPES) do
    specs[name] = { type = "table" }
  end
  return specs
end

--- Makes a policy of what a script says, checked. Raises "usage" with file and line.
---@param definition table
---@return ligase.policy
function M.define(definition)
  local place = place_of_caller()
  local given = checked(definition, { phases = { type = "table", required = true },
    entities = { type = "table", required = true } }, "policy", place)
  local phases, entities = read_phases(given.phases, place), {}
  for name, entity in pairs(checked(given.entities, entity_specs(), "entities", place:below "entities")) do
    entities[name] = read_entity(name, entity, phases, place:below("entities"):below(name))
  end
  return setmetatable({ path = place.file, phases = phases, entities = entities }, Policy)
end

-- ---- loading ---------------------------------------------------------------

local function refuse_script(path, problem)
  if errors.is(problem) then
    error(problem, 0)
  end
  local first = type(problem) == "string" and problem:match("^[^\n]*") or ("a %s was raised"):format(type(problem))
  local line, message = first:match(":(%d+): (.*)$")
  errors.raise { kind = "usage", code = "policy", file = path, line = math.tointeger(tonumber(line)),
    message = message or first, hint = "Mend the policy at the line named" }
end

--- Loads a policy from its file. Raises "usage" with file and line when it cannot be used.
---@param path string
---@return ligase.policy
function M.load_file(path)
  local chunk, problem = loadfile(path)
  if not chunk then
    refuse_script(path, problem)
  end
  loading = path
  local done, result = pcall(chunk)
  loading = nil
  if not done then
    refuse_script(path, result)
  elseif getmetatable(result) ~= Policy then
    errors.raise { kind = "usage", code = "policy", file = path, message = "the file returns no policy",
      hint = "It must end with: return policy.define { ... }" }
  end
  result.path = path
  return result
end

--- Loads the policy: the workspace's recipes/policy.lua, else the one that came with ligase.
---@param folder string|nil the workspace; found without it
---@return ligase.policy
function M.load(folder)
  return M.load_file(workspace.find_recipe(M.NAME, folder))
end

-- ---- asking ----------------------------------------------------------------

--- The phase that the flags mean.
---@param config ligase.Config
---@return "notion_primary"|"dual_write"|"postgres_primary"|"postgres_only"
function M.phase_of_flags(config)
  if not config:get "USE_POSTGRES_AS_SOT" then
    return "notion_primary"
  elseif config:get "ENABLE_DUAL_WRITE" then
    return "dual_write"
  end
  return config:get "ENABLE_NOTION_SYNC" and "postgres_primary" or "postgres_only"
end

--- Whether the flags fit a phase. With Postgres first, Notion's pages may be kept or not.
---@param config ligase.Config
---@param phase string
---@return boolean
function M.flags_fit(config, phase)
  local by_flags = M.phase_of_flags(config)
  return phase == by_flags or phase == "postgres_primary" and by_flags == "postgres_only"
end

--- The phase in force: the one that is stored in the database, where that was looked up (see
--- ligase.sync.phase_flags), and the flags do not turn Postgres off; else what the flags mean.
---@param config ligase.Config
---@return "notion_primary"|"dual_write"|"postgres_primary"|"postgres_only"
function M.phase_of(config)
  local stored = config.stored_phase
  if stored and config:get "USE_POSTGRES_AS_SOT" and not M.flags_fit(config, stored) then
    return stored
  end
  return M.phase_of_flags(config)
end

--- What is done with entities of a type in a phase; nil for a type that has no pages.
---@param entity_type string their table
---@param phase string
---@return ligase.policy_rule|nil
function Policy:rule(entity_type, phase)
  local entity = self.entities[entity_type]
  local own = entity and entity.phases[phase]
  if not own then
    return nil
  end
  return { phase = phase, first = own.first, required = own.required, is_mirrored = own.mirrored.notion == true,
    conflict = own.conflict }
end

--- The types whose changes go into the outbox in a phase, as a set of tables.
---@param phase string
---@return table<string, boolean>
function Policy:mirrored_types(phase)
  local types = {}
  for _, entity_type in ipairs(M.TYPES) do
    local rule = self:rule(entity_type, phase)
    types[entity_type] = rule and rule.is_mirrored or nil
  end
  return types
end

--- The type of entity of a kind: the table that the outbox names.
---@param kind_name string "program", "dataset", ...
---@return string|nil
function M.type_of(kind_name)
  for _, entity_type in ipairs(M.TYPES) do
    if kinds.of_table(entity_type).name == kind_name then
      return entity_type
    end
  end
end

--- Which tables' changes go into the outbox by the settings: false when none do, without a
--- look at the policy.
---@param config ligase.Config
---@return table<string, boolean>|false
function M.outbox_of(config)
  local phase = M.phase_of(config)
  if phase == "notion_primary" or phase == "postgres_only" then
    return false
  end
  return M.load(config.workspace):mirrored_types(phase)
end

return M
