--- What is said of entities, checked, and what it comes to: which of them are there, which
--- are new, and what their rows will be.
local errors = require "ligase.base.errors"
local finding = require "ligase.store.entity_finding"
local json = require "ligase.base.json"
local pg = require "pg"
local sys = require "sys"
local text = require "ligase.base.text"
local values = require "ligase.store.entity_values"

local M = {}

---@class ligase.entity_record what is said of one entity
---@field id string|nil
---@field fields table<string, any> as their columns hold them
---@field links table<string, string[]> ids by name of the link
---@field default_name string|nil
---@field new_id string|nil the id of a new one that was made elsewhere

---@class ligase.planned_entity
---@field id string
---@field before table|nil its row as it is
---@field row table its row as it will be
---@field outcome "created"|"updated"|"unchanged"
---@field record ligase.entity_record

-- ---- saying what is wrong --------------------------------------------------

--- A problem with one field of one record; who read the record from a file adds the place.
local function refuse(place, code, message, hint)
  errors.raise { kind = "usage", code = code, message = message, hint = hint, record = place and place.record,
    field = place and place.field }
end

local function field_names(kind)
  local names = {}
  for name in pairs(kind.fields) do
    names[#names + 1] = name
  end
  for name in pairs(kind.links) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

--- The name that belongs to a name as it was given: `program` for a single one of `programs`.
local function link_name(kind, name)
  return kind.links[name] and name or kind.links[name .. "s"] and name .. "s" or nil
end

local function refuse_field(kind, name, record)
  local names = field_names(kind)
  local near = text.nearest(tostring(name), names)
  refuse({ record = record, field = name }, "field", ("a%s %s has no field '%s'"):format(
    kind.name:find("^[aeiou]") and "n" or "", kind.name, text.printable(tostring(name))),
    (near and ("Did you mean '%s'? "):format(near) or "") .. "Fields: " .. table.concat(names, ", "))
end

-- ---- what records say ------------------------------------------------------

local function words_of(given)
  if type(given) == "table" then
    return given
  elseif given == nil or given == json.null then
    return {}
  end
  return { given }
end

--- The ids that a link's words mean, each once.
local function linked_ids(resolve, kind, name, given, record)
  local link, ids, seen = kind.links[name], {}, {}
  for _, word in ipairs(words_of(given)) do
    local found, id = pcall(resolve, link.kind, word)
    if not found then
      if errors.is(id, "usage") then
        id.record, id.field = record, name
      end
      error(id, 0)
    end
    if not seen[id] then
      seen[id] = true
      ids[#ids + 1] = id
    end
  end
  if #ids > 1 and not link.table then
    refuse({ record = record, field = name }, "links", ("a %s belongs to one %s"):format(kind.name, link.kind))
  end
  return ids
end

--- What was given for one entity, checked: fields as columns hold them, and ids of links.
---@param kind ligase.entity_kind
---@param given table
---@param place integer|nil which of several it is, for complaints
---@param resolve fun(kind_name: string, word: string): string gives the id of what is linked to
---@return ligase.entity_record
function M.read(kind, given, place, resolve)
  local record = { fields = {}, links = {}, id = given.id, new_id = given.new_id }
  local names = {}
  for name in pairs(given) do
    names[#names + 1] = name
  end
  table.sort(names) -- of several faults always the same one is told
  for _, name in ipairs(names) do
    local value = given[name]
    local link = link_name(kind, name)
    if link then
      record.links[link] = linked_ids(resolve, kind, link, value, place)
    elseif kind.fields[name] then
      local made, problem, hint = values.convert(kind.fields[name], value)
      if problem then
        local shown = type(value) == "table" and name or ("%s '%s'"):format(name, text.shown(tostring(value), 60))
        refuse({ record = place, field = name }, "value", ("%s: %s"):format(shown, problem), hint)
      end
      record.fields[name] = made
    elseif name ~= "id" and name ~= "new_id" then
      refuse_field(kind, name, place)
    end
  end
  if record.fields.name == nil and kind.fields.code and record.fields.code then
    record.default_name = record.fields.code
  end
  if record.fields.name == json.null then
    refuse({ record = place, field = "name" }, "value", ("the %s's name is empty"):format(kind.name))
  end
  return record
end

-- ---- which entities they are -----------------------------------------------

--- The text by which a record or a row is known again, or nil when it does not say.
local function identity_of(kind, fields)
  local parts = {}
  for i, column in ipairs(kind.identity) do
    local value = fields[column]
    if value == nil and kind.fields[column].empty ~= nil then
      value = kind.fields[column].empty
    elseif value == nil or value == json.null then
      return nil
    end
    parts[i] = value
  end
  return table.concat(parts, "\0")
end

--- The rows that records may be about: by id, by identity, and for records without an
--- identity by name.
local function existing_rows(conn, kind, records)
  local ids, keys, names = {}, {}, {}
  for _, record in ipairs(records) do
    ids[#ids + 1] = record.id
    keys[#keys + 1] = record.fields[kind.identity[1]] ~= json.null and record.fields[kind.identity[1]] or nil
    names[#names + 1] = record.fields.name
  end
  local first = kind.identity[1]
  local sql = ("SELECT to_jsonb(t) AS row FROM %s AS t WHERE t.id = ANY($1::uuid[]) OR t.%s = ANY($2::text[])%s")
    :format(kind.table, first, first ~= "name" and " OR t.name = ANY($3::text[])" or "")
  local found = first ~= "name" and conn:query(sql, pg.array(ids, "uuid"), pg.array(keys, "text"),
    pg.array(names, "text")) or conn:query(sql, pg.array(ids, "uuid"), pg.array(keys, "text"))
  local rows = { by_id = {}, by_identity = {}, by_name = {} }
  for _, entry in ipairs(found) do
    local row = entry.row
    rows.by_id[row.id] = row
    local identity = identity_of(kind, row)
    if identity then
      rows.by_identity[identity] = row
    end
    local same = rows.by_name[row.name] or {}
    rows.by_name[row.name] = same
    same[#same + 1] = row
  end
  return rows
end

--- The row that a record is about; nil when it is a new one.
local function existing_of(conn, kind, rows, record, place)
  if record.id then
    local row = rows.by_id[record.id:lower()]
    if not row then
      refuse({ record = place, field = "id" }, "unknown_" .. kind.name, ("there is no %s with the id %s"):format(
        kind.name, text.printable(record.id)), ("Leave the id out to make a new %s"):format(kind.name))
    end
    return row
  end
  local identity = identity_of(kind, record.fields)
  if identity then
    return rows.by_identity[identity]
  end
  local same = record.fields.name and rows.by_name[record.fields.name] or {}
  if #same > 1 then
    local ids = {}
    for i, row in ipairs(same) do
      ids[i] = row.id
    end
    local _, failure = pcall(finding.refuse_ambiguous, conn, kind.name, record.fields.name, ids)
    failure.record, failure.field = place, "name"
    error(failure, 0)
  end
  return same[1]
end

--- The columns that are written: those of the fields and of the links.
---@param kind ligase.entity_kind
---@return string[]
function M.columns_of(kind)
  if not kind.columns then
    local columns = {}
    for _, name in ipairs(kind.order) do
      columns[#columns + 1] = name
    end
    for _, name in ipairs(kind.link_order) do
      columns[#columns + 1] = kind.links[name].column
    end
    kind.columns = columns
  end
  return kind.columns
end

--- The row after the change.
local function row_after(kind, record, before)
  local row = {}
  for _, name in ipairs(kind.order) do
    local field, value = kind.fields[name], record.fields[name]
    local old = before and before[name]
    if value == nil then
      row[name] = before and old or values.empty(field)
    else
      row[name] = values.merged(field, before and old or values.empty(field), value)
    end
  end
  for _, name in ipairs(kind.link_order) do
    local column, ids = kind.links[name].column, record.links[name]
    if column then
      row[column] = ids and (ids[1] or json.null) or not ids and before and before[column] or json.null
    end
  end
  row.name = row.name ~= json.null and row.name or record.default_name or json.null
  return row
end

local function differs(kind, before, row)
  for _, column in ipairs(M.columns_of(kind)) do
    local old, new = before[column], row[column]
    local may_be_equal = old == new or type(old) == "table" and type(new) == "table"
    if not may_be_equal or old ~= new and json.encode(old) ~= json.encode(new) then
      return true
    end
  end
  return false
end

local function refuse_by_mode(kind, mode, record, before, place)
  local named = record.fields.code or record.fields.name or record.id
  if mode == "create" and before then
    refuse({ record = place, field = kind.identity[1] }, "exists", ("there is a %s '%s' already (%s)"):format(kind.name,
      text.printable(named), before.id), ("Change it with update, or give the new one another %s"):format(
      kind.identity[1]))
  elseif not before and not record.fields.name and not record.default_name then
    refuse({ record = place, field = "name" }, "value", ("the %s has no name"):format(kind.name))
  end
  for name, field in pairs(kind.fields) do
    local value = record.fields[name]
    if field.required and not before and (value == nil or value == json.null) then
      refuse({ record = place, field = name }, "value", ("the %s has no %s"):format(kind.name, name),
        ("Say its %s"):format(name))
    end
  end
  if before then
    for name, field in pairs(kind.fields) do
      if field.sticky and record.fields[name] ~= nil and record.fields[name] ~= before[name] then
        refuse({ record = place, field = name }, "value", ("%s of a %s cannot be changed"):format(name, kind.name))
      end
    end
  elseif kind.fixed then
    error(("a %s is not made here"):format(kind.name))
  end
end

--- Refuses a name that another entity has, which the database would, too, but without a word
--- of which record it is.
local function refuse_taken(kind, rows, before, row, place)
  local other = before and rows.by_identity[identity_of(kind, row)]
  if other and other.id ~= before.id then
    refuse({ record = place, field = kind.identity[1] }, "exists", ("there is a %s '%s' already (%s)"):format(kind.name,
      text.printable(row[kind.identity[1]]), other.id), ("Give one of the two another %s first"):format(
      kind.identity[1]))
  end
end

--- What each record comes to. Two records for one entity are refused.
---@param conn table
---@param kind ligase.entity_kind
---@param records ligase.entity_record[]
---@param mode "create"|nil create: what is there already is refused
---@return ligase.planned_entity[]
function M.plan(conn, kind, records, mode)
  local rows, plan, first_of = existing_rows(conn, kind, records), {}, {}
  for place, record in ipairs(records) do
    local before = existing_of(conn, kind, rows, record, place)
    refuse_by_mode(kind, mode, record, before, place)
    local row = row_after(kind, record, before)
    row.id = before and before.id or record.new_id or sys.uuid7()
    refuse_taken(kind, rows, before, row, place)
    local key = before and before.id or identity_of(kind, row) or "\0" .. row.name
    if first_of[key] then
      errors.raise { kind = "usage", code = "twice", record = place, field = kind.identity[1], other = first_of[key],
        message = ("the %s '%s' stands twice"):format(kind.name, text.printable(record.fields.code or row.name)),
        hint = "Leave one of the two out" }
    end
    first_of[key] = place
    plan[place] = { id = row.id, before = before, row = row, record = record,
      outcome = not before and "created" or differs(kind, before, row) and "updated" or "unchanged" }
  end
  return plan
end

return M
