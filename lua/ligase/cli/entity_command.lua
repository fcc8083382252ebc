--- What `ligase program`, `experiment`, `compound` and `dataset` have in common: their
--- actions, and options made of the fields that ligase.store.entity_kinds knows.
local entities = require "ligase.store.entities"
local entity_recipe = require "ligase.intake.entity_recipe"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local kinds = require "ligase.store.entity_kinds"
local lists = require "ligase.store.entity_lists"
local mirroring = require "ligase.cli.mirroring"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local text = require "ligase.base.text"

local M = {}

local ACTIONS = { "create", "update", "list", "show", "delete" }

--- Options that are called otherwise than their field.
local OPTION_OF = { notion_page_id = "--notion-page", cas_number = "--cas", chembl_id = "--chembl",
  pubchem_cid = "--pubchem", experiment_type = "--type", external_ids = "--external-id", attributes = "--attribute" }

--- Fields that only ligase itself writes.
local INTERNAL = { current_revision = true, component_count = true, source_sha256 = true }

local HELP = {
  terms = "%s; several by giving it again, or between ; or |.", object = "%s: key=value; key=value, or JSON.",
  groups = "%s: group=sample,sample; group=sample, or JSON.",
}

local function option_name(field)
  return OPTION_OF[field] or "--" .. field:gsub("_", "-")
end

--- How people write what else would be written like a field's name.
local WORDS = { smiles = "SMILES", inchi = "InChI", inchi_key = "InChIKey", cas_number = "CAS number",
  chembl_id = "ChEMBL id", pubchem_cid = "PubChem CID", external_ids = "Ids in other systems",
  notion_page_id = "Notion page id" }

local function words_for(field)
  return WORDS[field] or (field:gsub("^%l", string.upper):gsub("_", " "))
end

-- ---- the command line ------------------------------------------------------

local function add_field(parser, name, field)
  local option
  if field.merge then
    option = parser:option(option_name(name), words_for(name)
      .. ", one by one; may be given again. KEY= takes one out.")
      :argname("KEY=VALUE"):count("*")
  elseif field.type == "terms" then
    option = parser:option(option_name(name), HELP.terms:format(words_for(name))):argname("TERM"):count("*")
  else
    option = parser:option(option_name(name), (HELP[field.type] or "%s."):format(words_for(name))):argname(
      field.type == "number" and "NUMBER" or field.type == "integer" and "N" or "TEXT")
  end
  option:target(name)
end

--- The field that names a new entity on the command line.
local function naming_field(kind)
  return kind.fields.code and "code" or "name"
end

local function configure(parser, kind, own)
  parser:argument("ACTION", "create, update, list, show or delete."):target("action"):argname("ACTION")
    :convert(parsing.one_of("the action", ACTIONS))
  parser:argument("WORD", ("create: its %s; update, show, delete: its name, id, id elsewhere, or Notion page."):format(
    naming_field(kind))):target("words"):argname("WORD"):args("*")
  for _, name in ipairs(kind.order) do
    if not INTERNAL[name] and name ~= naming_field(kind) then
      add_field(parser, name, kind.fields[name])
    end
  end
  parser:option("--" .. naming_field(kind), ("update: its new %s."):format(naming_field(kind))):argname("TEXT")
    :target(naming_field(kind))
  for _, name in ipairs(kind.link_order) do
    local link = kind.links[name]
    parser:option("--" .. link.kind, ("What it belongs to; may be given again, and replaces what it had. list: only "
      .. "those of this %s."):format(link.kind)):argname(link.kind:upper()):target(name):count("*")
  end
  if #kind.link_order > 0 then
    parser:flag("--create", "Make programs and experiments that are not there.")
  end
  if own.configure then
    own.configure(parser)
  end
  if own.has_data then
    parser:flag("--with-data", "delete: also what was read from files, which cannot be taken back.")
  end
  output.add_format(parser)
end

local function refuse(name, message, hint)
  errors.raise { kind = "usage", code = "usage", message = message,
    hint = hint or ("See: ligase %s --help"):format(name) }
end

--- What the options say of fields and links.
local function fields_of(kind, arguments, own)
  local fields = {}
  for name, field in pairs(kind.fields) do
    local given = arguments[name]
    if field.merge and given and #given > 0 then
      fields[name] = {}
      for _, pair in ipairs(given) do
        local key, value = pair:match("^([^=]+)=(.*)$")
        if not key then
          refuse(kind.name, ("%s %s is no KEY=VALUE"):format(option_name(name), text.printable(pair)))
        end
        fields[name][key] = value ~= "" and value or json.null
      end
    elseif field.type == "terms" and given and #given > 0 then
      fields[name] = table.concat(given, ";")
    elseif given ~= nil and type(given) ~= "table" then
      fields[name] = given
    end
  end
  for name in pairs(kind.links) do
    local given = arguments[name]
    if given and #given > 0 then
      fields[name] = {}
      for _, word in ipairs(given) do
        table.insert(fields[name], word ~= "" and word or nil) -- --program '' takes all away
      end
    end
  end
  if own.change_fields then
    own.change_fields(fields, arguments)
  end
  return fields
end

local function one_word(kind, arguments, what)
  if #arguments.words ~= 1 then
    refuse(kind.name, ("'%s %s' takes one word, %s"):format(kind.name, arguments.action, what))
  end
  return arguments.words[1]
end

local function change(context, kind, arguments, work)
  local conn = context:open()
  local result = entities.change(conn, { command = kind.name .. " " .. arguments.action, create = arguments.create,
    arguments = { words = json.array(arguments.words) }, outbox = context:outbox(),
    reconnect = function()
      return context:open()
    end }, work)
  mirroring.warn(context, conn, { kind.table })
  return result
end

local OUTCOMES = { created = "made", updated = "changed", unchanged = "unchanged", deleted = "deleted" }

local function tell(kind, done, duplicates)
  output.write(("%s %s: %s (%s)\n"):format(kind.name, text.printable(done.row.code ~= json.null and done.row.code
    or done.row.name), OUTCOMES[done.outcome], done.id))
  for _, line in ipairs(entity_recipe.duplicate_lines(kind, duplicates or {})) do
    output.write(("  doubt    %s\n"):format(text.printable(line)))
  end
end

-- ---- actions ---------------------------------------------------------------

local actions = {}

function actions.create(kind, arguments, context, own)
  local fields = fields_of(kind, arguments, own)
  fields[naming_field(kind)] = one_word(kind, arguments, "its " .. naming_field(kind))
  local duplicates
  tell(kind, change(context, kind, arguments, function(changes)
    local made = changes:create(kind.name, fields)
    duplicates = changes:duplicates(kind.name, { made })
    return made
  end), duplicates)
end

--- Changes the one of this name or id.
local function update(kind, word, arguments, context, own)
  local fields = fields_of(kind, arguments, own)
  if next(fields) == nil then
    refuse(kind.name, "it is not said what to change")
  end
  local duplicates
  local done = change(context, kind, arguments, function(changes)
    local changed = changes:update(kind.name, word, fields)
    duplicates = fields[kind.own] and changes:duplicates(kind.name, { changed })
    return changed
  end)
  tell(kind, done, duplicates)
  if own.tell_updated then
    own.tell_updated(done, fields)
  end
end

function actions.update(kind, arguments, context, own)
  update(kind, one_word(kind, arguments, "which one"), arguments, context, own)
end

function actions.list(kind, arguments, context)
  if #arguments.words > 0 then
    refuse(kind.name, ("'%s list' takes no words"):format(kind.name))
  end
  local conn = context:open_if_there()
  if not conn then
    return
  end
  local only = {}
  for name, link in pairs(kind.links) do
    local word = arguments[name] and arguments[name][1]
    only[name] = word and entities.find(conn, link.kind, word).id
  end
  output.print(lists.list(conn, kind.name, only), arguments.format)
end

local function shown(value)
  if value == nil or value == json.null then
    return "-"
  elseif type(value) ~= "table" then
    return tostring(value)
  elseif json.is_array(value) or #value > 0 then
    return #value > 0 and table.concat(value, "; ") or "-"
  end
  return next(value) and json.encode(value) or "-"
end

local function names_of(list)
  local names = {}
  for i, entry in ipairs(list) do
    names[i] = entry.name
  end
  return #names > 0 and table.concat(names, "; ") or "-"
end

local function show_table(kind, known)
  local row, lines = known.row, {}
  for _, name in ipairs(kind.order) do
    lines[#lines + 1] = { (name:gsub("_", " ")), shown(row[name]) }
  end
  for _, name in ipairs(kind.link_order) do
    lines[#lines + 1] = { name, names_of(known.links[name]) }
  end
  for _, group in ipairs(known.referrers) do
    lines[#lines + 1] = { group.what .. "s", ("%s%s"):format(table.concat(group.names, "; ", 1,
      math.min(#group.names, 20)), #group.names > 20 and "; ..." or "") }
  end
  if #known.shares > 0 then
    lines[#lines + 1] = { "same " .. kind.own:gsub("_", " "), names_of(known.shares) }
  end
  lines[#lines + 1] = { "id", row.id }
  lines[#lines + 1] = { "made", row.created_at }
  lines[#lines + 1] = { "changed", row.updated_at }
  output.write(text.table(lines))
end

--- The same as one object.
local function show_json(known)
  local object = {}
  for name, value in pairs(known.row) do
    object[name] = value
  end
  for name, list in pairs(known.links) do
    object[name] = json.array(list)
  end
  object.referrers = json.array(known.referrers)
  output.write(json.encode(object) .. "\n")
end

function actions.show(kind, arguments, context, own)
  local word = one_word(kind, arguments, "which one")
  local format = arguments.format
  if format ~= "table" and format ~= "json" and format ~= "jsonl" then
    refuse(kind.name, ("'%s show' is printed as a table or as JSON"):format(kind.name), "Say --format json, or nothing")
  end
  local conn = context:open_existing()
  local known = lists.show(conn, kind.name, entities.find(conn, kind.name, word))
  if format == "table" then
    show_table(kind, known)
    if own.show_more then
      own.show_more(conn, known, arguments)
    end
  else
    show_json(known)
  end
end

function actions.delete(kind, arguments, context)
  local word = one_word(kind, arguments, "which one")
  context:open_existing():close()
  tell(kind, change(context, kind, arguments, function(changes)
    return changes:delete(kind.name, word, { data = arguments.with_data })
  end))
end

-- ---- commands --------------------------------------------------------------

--- `update`, for a command of its own that has other actions beside.
---@param kind_name string
---@param id string of the one to change
---@param arguments table action, words, and what the options say of fields and links
---@param context ligase.context
function M.update(kind_name, id, arguments, context)
  update(kinds.get(kind_name), id, arguments, context, {})
end

--- A command for one kind of entity, complete but for its words for people.
---@param kind_name string
---@param own table description, example; has_data: there is something that is only deleted when that is asked for;
--- and functions that add to what all have: configure(parser), change_fields(fields, arguments),
--- tell_updated(done, fields), show_more(conn, known, arguments)
---@return table command
function M.command(kind_name, own)
  local kind = kinds.get(kind_name)
  return {
    description = own.description, example = own.example,
    surplus = ("create takes its %s; update, show and delete take which one"):format(naming_field(kind)),
    configure = function(parser)
      configure(parser, kind, own)
    end,
    run = function(arguments, context)
      actions[arguments.action](kind, arguments, context, own)
    end,
  }
end

return M
