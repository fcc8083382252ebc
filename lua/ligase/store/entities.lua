--- Programs, experiments, datasets' details, compounds, signatures' and campaigns' rows:
--- made, changed, linked and deleted.
---
---   local entities = require "ligase.store.entities"
---   entities.change(conn, { command = "program create" }, function(changes)
---     changes:create("program", { name = "ALS", disease = "ALS; FTD" })
---   end)
---
--- Everything goes through a ligase.changes, which works in the caller's transaction, many
--- rows at a time, and keeps each row as it was for the journal. What the kinds are is in
--- ligase.store.entity_kinds, what their fields may hold in entity_values, what a word means
--- in entity_finding.
local changes_of = require "ligase.store.changes"
local deleting = require "ligase.store.entity_deleting"
local errors = require "ligase.base.errors"
local finding = require "ligase.store.entity_finding"
local json = require "ligase.base.json"
local kinds = require "ligase.store.entity_kinds"
local links_of = require "ligase.store.entity_links"
local pg = require "pg"
local runs = require "ligase.store.runs"
local sys = require "sys"
local text = require "ligase.base.text"
local values = require "ligase.store.entity_values"

local M = {}

M.find, M.lookup, M.find_all = finding.find, finding.lookup, finding.find_all

--- Rows sent by one statement.
local ROWS_AT_ONCE = 1000

--- Held to the transaction's end: what is found is still so when it is written.
local LOCK = "SELECT pg_advisory_xact_lock($1)"

---@class ligase.entity_record what is said of one entity
---@field id string|nil
---@field fields table<string, any> as their columns hold them
---@field links table<string, string[]> ids by name of the link

---@class ligase.changes
---@field conn table
---@field noted ligase.noted_changes
---@field create_unknown boolean|nil programs and experiments that are named and unknown are made
local Changes = {}
Changes.__index = Changes

--- Changes in a transaction that the caller has begun and ends; :write them before.
---@param conn table
---@param run ligase.run the journal's entry of which they are part
---@param options {outbox: boolean|nil, create: boolean|nil}|nil outbox: other systems are to be told; create: what is
--- linked to and unknown is made
---@return ligase.changes
function M.changes(conn, run, options)
  options = options or {}
  return setmetatable({ conn = conn, noted = changes_of.new(run, options.outbox), create_unknown = options.create,
    resolved = {}, counts = { created = 0, updated = 0, unchanged = 0, deleted = 0 } }, Changes)
end

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

--- The id of what a word means. Unknown programs and experiments are made where that was
--- asked for.
---@param kind_name string
---@param word string
---@return string id
function Changes:resolve(kind_name, word)
  local known = self.resolved[kind_name] or {}
  self.resolved[kind_name] = known
  if known[word] then
    return known[word]
  end
  local row = finding.lookup(self.conn, kind_name, word)
  if not row and self.create_unknown then
    known[word] = self:make(kind_name, word)
  elseif not row then
    error(finding.unknown(self.conn, kind_name, word, "--create makes it"), 0)
  else
    known[word] = row.id
  end
  return known[word]
end

local MAKE = "INSERT INTO %s (id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING id"

--- Makes a program or experiment that has only a name, or finds the one that somebody else
--- has just made.
---@param kind_name string
---@param name string
---@return string id
function Changes:make(kind_name, name)
  local kind, id = kinds.get(kind_name), sys.uuid7()
  local clean, problem, hint = values.convert(kind.fields.name, name)
  if problem or clean == json.null then
    refuse(nil, "value", ("the %s's name cannot be '%s': %s"):format(kind_name, text.printable(name),
      problem or "it is empty"), hint)
  end
  local made = self.conn:query(MAKE:format(kind.table), id, clean)
  if made[1] then
    self.noted:note(kind.table, id, nil, { name = clean })
    return id
  end
  return finding.find(self.conn, kind_name, clean).id
end

--- The ids that a link's words mean, each once.
local function linked_ids(self, kind, name, given, record)
  local link, ids, seen = kind.links[name], {}, {}
  for _, word in ipairs(words_of(given)) do
    local found, id = pcall(self.resolve, self, link.kind, word)
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
local function record_of(self, kind, given, place)
  local record = { fields = {}, links = {}, id = given.id }
  for name, value in pairs(given) do
    local link = link_name(kind, name)
    if link then
      record.links[link] = linked_ids(self, kind, link, value, place)
    elseif kind.fields[name] then
      local made, problem, hint = values.convert(kind.fields[name], value)
      if problem then
        refuse({ record = place, field = name }, "value", ("%s '%s': %s"):format(name,
          text.shown(tostring(value), 60), problem), hint)
      end
      record.fields[name] = made
    elseif name ~= "id" then
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
local function existing_rows(self, kind, records)
  local ids, keys, names = {}, {}, {}
  for _, record in ipairs(records) do
    ids[#ids + 1] = record.id
    keys[#keys + 1] = record.fields[kind.identity[1]] ~= json.null and record.fields[kind.identity[1]] or nil
    names[#names + 1] = record.fields.name
  end
  local first = kind.identity[1]
  local sql = ("SELECT to_jsonb(t) AS row FROM %s AS t WHERE t.id = ANY($1::uuid[]) OR t.%s = ANY($2::text[])%s")
    :format(kind.table, first, first ~= "name" and " OR t.name = ANY($3::text[])" or "")
  local found = first ~= "name" and self.conn:query(sql, pg.array(ids, "uuid"), pg.array(keys, "text"),
    pg.array(names, "text")) or self.conn:query(sql, pg.array(ids, "uuid"), pg.array(keys, "text"))
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
local function existing_of(self, kind, rows, record, place)
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
    local _, failure = pcall(finding.refuse_ambiguous, self.conn, kind.name, record.fields.name, ids)
    failure.record, failure.field = place, "name"
    error(failure, 0)
  end
  return same[1]
end

-- ---- writing ---------------------------------------------------------------

--- The columns that are written: those of the fields and of the links.
local function columns_of(kind)
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
  for _, column in ipairs(columns_of(kind)) do
    if json.encode(before[column]) ~= json.encode(row[column]) then
      return true
    end
  end
  return false
end

local function send(self, kind, sql, rows)
  for first = 1, #rows, ROWS_AT_ONCE do
    local some = table.move(rows, first, math.min(first + ROWS_AT_ONCE - 1, #rows), 1, json.array())
    self.conn:query(sql:format(kind.table), json.encode(some))
  end
end

local function insert_sql(kind)
  local columns = table.concat(columns_of(kind), ", ")
  return ("INSERT INTO %%s (id, %s)\nSELECT id, %s FROM jsonb_populate_recordset(NULL::%s, $1::jsonb)"):format(columns,
    columns, kind.table)
end

local function update_sql(kind)
  local sets = {}
  for i, column in ipairs(columns_of(kind)) do
    sets[i] = ("%s = n.%s"):format(column, column)
  end
  return ("UPDATE %%s AS t SET %s, updated_at = now()\nFROM jsonb_populate_recordset(NULL::%s, $1::jsonb) AS n "
    .. "WHERE t.id = n.id"):format(table.concat(sets, ", "), kind.table)
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

--- What each record comes to: {id, before, row, outcome, record}. Two records for one entity
--- are refused.
local function plan_of(self, kind, records, mode)
  local rows, plan, first_of = existing_rows(self, kind, records), {}, {}
  for place, record in ipairs(records) do
    local before = existing_of(self, kind, rows, record, place)
    refuse_by_mode(kind, mode, record, before, place)
    local row = row_after(kind, record, before)
    row.id = before and before.id or record.new_id or sys.uuid7()
    local key = before and before.id or identity_of(kind, row) or row.id
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

local function write_rows(self, kind, plan)
  local new, changed = {}, {}
  for _, entry in ipairs(plan) do
    if entry.outcome == "created" then
      new[#new + 1] = entry.row
    elseif entry.outcome == "updated" then
      changed[#changed + 1] = entry.row
    end
  end
  send(self, kind, insert_sql(kind), new)
  send(self, kind, update_sql(kind), changed)
end

--- Makes and changes entities of one kind, as many as there are, and their links.
---@param kind_name string
---@param given table[] one table of fields and links each; `id` says which one is meant, else its name (a compound's
--- code) does
---@param mode "create"|nil create: one that is there already is refused
---@return {id: string, outcome: "created"|"updated"|"unchanged", row: table}[]
function Changes:upsert(kind_name, given, mode)
  local kind = kinds.get(kind_name)
  self.conn:query(LOCK, sys.hash64("entity\0" .. kind.table))
  local records = {}
  for place, fields in ipairs(given) do
    records[place] = record_of(self, kind, fields, place)
  end
  local plan = plan_of(self, kind, records, mode)
  write_rows(self, kind, plan)
  for _, entry in ipairs(plan) do
    if entry.outcome ~= "unchanged" then
      self.noted:note(kind.table, entry.id, entry.before, { name = entry.row.name })
    end
  end
  for id in pairs(links_of.write(self.conn, self.noted, kind, plan)) do
    for _, entry in ipairs(plan) do
      if entry.id == id and entry.outcome == "unchanged" then
        entry.outcome = "updated"
        self.noted:tell(kind.table, id, "update", { name = entry.row.name })
      end
    end
  end
  local outcomes = {}
  for place, entry in ipairs(plan) do
    self.counts[entry.outcome] = self.counts[entry.outcome] + 1
    outcomes[place] = { id = entry.id, outcome = entry.outcome, row = entry.row }
  end
  return outcomes
end

--- Makes one entity. Raises "usage" when there is one of its name.
---@param kind_name string
---@param fields table
---@return {id: string, outcome: string, row: table}
function Changes:create(kind_name, fields)
  return self:upsert(kind_name, { fields }, "create")[1]
end

--- Changes one entity: the fields given, and no other. json.null, or an empty text, empties
--- a field; links that are given replace those there were.
---@param kind_name string
---@param wanted string what a person may call it by
---@param fields table
---@return {id: string, outcome: string, row: table}
function Changes:update(kind_name, wanted, fields)
  local own = { id = finding.find(self.conn, kind_name, wanted).id }
  for name, value in pairs(fields) do
    own[name] = name ~= "id" and value or own.id
  end
  return self:upsert(kind_name, { own })[1]
end

--- Deletes one entity and what is part of it. Raises "usage" when others refer to it,
--- listing them.
---@param kind_name string
---@param wanted string what a person may call it by
---@param options {data: boolean|nil}|nil data: rows that were read from files go with it
---@return {id: string, outcome: "deleted", row: table}
function Changes:delete(kind_name, wanted, options)
  local kind = kinds.get(kind_name)
  self.conn:query(LOCK, sys.hash64("entity\0" .. kind.table))
  local row = finding.find(self.conn, kind_name, wanted)
  deleting.delete(self.conn, self.noted, kind, row, options or {})
  self.counts.deleted = self.counts.deleted + 1
  return { id = row.id, outcome = "deleted", row = row }
end

--- Writes the journal's entry and what other systems have to learn. Nothing may be changed
--- afterwards.
---@param more table|nil further counts for the journal
---@return "done"|"unchanged" outcome
function Changes:write(more)
  local counts = {}
  for _, list in ipairs { self.counts, more or {} } do
    for name, count in pairs(list) do
      counts[name] = count ~= 0 and count or nil
    end
  end
  local outcome = self.noted:is_empty() and "unchanged" or "done"
  self.noted:write(self.conn, self.conn, outcome, counts)
  return outcome
end

-- ---- in a transaction of their own -----------------------------------------

--- Times that work is tried when somebody else made the same entity meanwhile, or the
--- server asked to try again.
local ATTEMPTS = 5
local TRY_AGAIN = { ["40001"] = true, ["40P01"] = true, ["23505"] = true }

local function attempt(conn, run, options, work)
  return conn:transaction(function()
    local changes = M.changes(conn, run, options)
    local result = work(changes)
    return result, changes:write(), run.id
  end)
end

--- Changes entities in one transaction with one journal entry: all or nothing. In a
--- transaction that is open already it is a part of that one.
---@generic T
---@param conn table
---@param options {command: string, arguments: table|nil, recipe: table|nil, outbox: boolean|nil, create: boolean|nil}
---@param work fun(changes: ligase.changes): T what is done; it may be called again
---@return T result what work returned
---@return "done"|"unchanged" outcome
---@return string run_id
function M.change(conn, options, work)
  local run = runs.new(options.command, options.recipe, options.arguments or {})
  local is_ours = conn:transaction_status() == "idle"
  for try = 1, ATTEMPTS do
    local results = table.pack(pcall(attempt, conn, run, options, work))
    if results[1] then
      return table.unpack(results, 2, results.n)
    end
    local failure = results[2]
    local may_try = is_ours and errors.is(failure, "database") and TRY_AGAIN[failure.code] and try < ATTEMPTS
    if not may_try then
      error(failure, 0)
    end
    sys.sleep(math.random() * 0.05 * 2 ^ try)
  end
end

return M
