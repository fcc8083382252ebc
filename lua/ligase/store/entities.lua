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
local mirrors = require "ligase.store.mirrors"
local page_owners = require "ligase.store.page_owners"
local pg = require "pg"
local records_of = require "ligase.store.entity_records"
local runs = require "ligase.store.runs"
local screening = require "ligase.store.screening"
local sys = require "sys"
local text = require "ligase.base.text"
local values = require "ligase.store.entity_values"

local M = {}

M.find, M.lookup, M.find_all = finding.find, finding.lookup, finding.find_all
M.is_id, M.unknown, M.unknown_link = finding.is_id, finding.unknown, finding.unknown_link

--- Records that are wrong and named at once.
local FAILURES_MOST = 10

--- Rows sent by one statement.
local ROWS_AT_ONCE = 1000

--- Held to the transaction's end: what is found is still so when it is written.
local LOCK = "SELECT pg_advisory_xact_lock($1)"

local DUPLICATES = [[
SELECT OWN AS value, array_agg(SHOWN ORDER BY t.created_at, t.id) AS names FROM TABLE_NAME AS t
WHERE OWN = ANY($1::text[]) GROUP BY OWN HAVING count(*) > 1 ORDER BY OWN]]

---@class ligase.changes
---@field conn table
---@field noted ligase.noted_changes
---@field create_unknown boolean|nil programs and experiments that are named and unknown are made
---@field create_option string|nil how a person asks for that; "--create" without it
local Changes = {}
Changes.__index = Changes

--- Changes in a transaction that the caller has begun and ends; :write them before.
---@param conn table
---@param run ligase.run the journal's entry of which they are part
---@param options {outbox: boolean|table|nil, asked: boolean|nil, create: boolean|nil,
--- create_option: string|nil, noted: ligase.noted_changes|nil}|nil outbox, asked: as for ligase.store.changes; create:
--- what is linked to and unknown is made; create_option: how a person asks for that; noted: where changes are noted,
--- when the caller writes them
---@return ligase.changes
function M.changes(conn, run, options)
  options = options or {}
  return setmetatable({ conn = conn, noted = options.noted or changes_of.new(run, options.outbox, options.asked),
    create_unknown = options.create, create_option = options.create_option, resolved = {},
    counts = { created = 0, updated = 0, unchanged = 0, deleted = 0 } }, Changes)
end

-- ---- what is linked to -----------------------------------------------------

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
  known[word] = self:known_or_new(kind_name, word) or self:make(kind_name, word)
  return known[word]
end

--- The id of what a word means, which is remembered; nil when it is to be made. Raises
--- "usage" with the nearest names when there is none and it may not be made.
---@param kind_name string
---@param word string
---@return string|nil id
function Changes:known_or_new(kind_name, word)
  local known = self.resolved[kind_name] or {}
  self.resolved[kind_name] = known
  known[word] = known[word] or finding.lookup_id(self.conn, kind_name, word)
  if not known[word] and not (self.create_unknown and not finding.is_id(word)) then
    error(finding.unknown_link(self.conn, kind_name, word, self.create_option), 0)
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
    errors.raise { kind = "usage", code = "value", hint = hint, message = ("the %s's name cannot be '%s': %s"):format(
      kind_name, text.printable(name), problem or "it is empty") }
  end
  local made = self.conn:query(MAKE:format(kind.table), id, clean)
  if made[1] then
    self.noted:note(kind.table, id, nil, { name = clean })
    return id
  end
  return finding.find(self.conn, kind_name, clean).id
end

-- ---- writing ---------------------------------------------------------------

local function send(self, kind, sql, rows)
  for first = 1, #rows, ROWS_AT_ONCE do
    local some = table.move(rows, first, math.min(first + ROWS_AT_ONCE - 1, #rows), 1, json.array())
    self.conn:query(sql:format(kind.table), json.encode(some))
  end
end

local function insert_sql(kind)
  local columns = table.concat(records_of.columns_of(kind), ", ")
  return ("INSERT INTO %%s (id, %s)\nSELECT id, %s FROM jsonb_populate_recordset(NULL::%s, $1::jsonb)"):format(columns,
    columns, kind.table)
end

local function update_sql(kind)
  local sets = {}
  for i, column in ipairs(records_of.columns_of(kind)) do
    sets[i] = ("%s = n.%s"):format(column, column)
  end
  return ("UPDATE %%s AS t SET %s, updated_at = now()\nFROM jsonb_populate_recordset(NULL::%s, $1::jsonb) AS n "
    .. "WHERE t.id = n.id"):format(table.concat(sets, ", "), kind.table)
end

local BEFORE = "SELECT t.id, to_jsonb(t)::text AS raw FROM %s AS t WHERE t.id = ANY($1::uuid[])"

--- The rows that are to be changed, as the journal keeps them, by id.
local function rows_before(self, kind, plan)
  local ids, before = {}, {}
  for _, entry in ipairs(plan) do
    ids[#ids + 1] = entry.outcome == "updated" and entry.id or nil
  end
  if #ids > 0 then
    for _, row in ipairs(self.conn:query(BEFORE:format(kind.table), pg.array(ids, "uuid"))) do
      before[row.id] = changes_of.raw(row.raw)
    end
  end
  return before
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

local function is_page_new(entry)
  return entry.row.notion_page_id ~= json.null
    and not (entry.before and entry.before.notion_page_id == entry.row.notion_page_id)
end

--- Refuses pages that are other entities', of whatever kind, also within the records themselves.
local function check_pages(self, kind, plan)
  local pages, own = {}, {}
  for _, entry in ipairs(plan) do
    pages[#pages + 1] = is_page_new(entry) and entry.row.notion_page_id or nil
  end
  local owners = page_owners.find(self.conn, pages)
  for place, entry in ipairs(plan) do
    local page_id = is_page_new(entry) and entry.row.notion_page_id
    local owner = page_id and (owners[page_id] or own[page_id])
    if owner and owner.id ~= entry.id then
      page_owners.refuse(owner, place)
    elseif page_id then
      local code = entry.row.code
      own[page_id] = { page_id = page_id, kind = kind.name, id = entry.id, gone = false,
        name = code and code ~= json.null and code or entry.row.name }
    end
  end
end

--- Entities that got another page, or none, are not told by the one they had.
local function part_from_pages(self, kind, plan)
  local ids = {}
  for _, entry in ipairs(plan) do
    ids[#ids + 1] = entry.outcome == "updated" and entry.row.notion_page_id ~= entry.before.notion_page_id
      and entry.id or nil
  end
  if #ids > 0 then
    mirrors.part(self.conn, kind.table, pg.array(ids, "uuid"))
  end
end

--- Makes and changes entities of one kind, as many as there are, and their links.
---@param kind_name string
---@param given table[] one table of fields and links each; `id` says which one is meant, else its name (a compound's
--- code) does; `new_id` is the id of one that was made elsewhere and is new here
---@param mode "create"|nil create: one that is there already is refused
---@return {id: string, outcome: "created"|"updated"|"unchanged", row: table}[]
function Changes:upsert(kind_name, given, mode)
  local kind = kinds.get(kind_name)
  self.conn:query(LOCK, sys.hash64("entity\0" .. kind.table))
  local records = {}
  local function resolve(linked, word)
    return self:resolve(linked, word)
  end
  local failures = {}
  for place, fields in ipairs(given) do
    local read, result = pcall(records_of.read, kind, fields, place, resolve)
    if read then
      records[place] = result
    elseif not errors.is(result, "usage") then
      error(result, 0)
    else
      failures[#failures + 1] = result
      if #failures == FAILURES_MOST then
        break
      end
    end
  end
  if #failures > 0 then -- the others go with the first one, for who can say where they are
    failures[1].others = table.move(failures, 2, #failures, 1, {})
    error(failures[1], 0)
  end
  local plan = records_of.plan(self.conn, kind, records, mode)
  check_pages(self, kind, plan)
  local before = rows_before(self, kind, plan)
  write_rows(self, kind, plan)
  part_from_pages(self, kind, plan)
  for _, entry in ipairs(plan) do
    if entry.outcome ~= "unchanged" then
      self.noted:note(kind.table, entry.id, before[entry.id], { name = entry.row.name }, nil,
        entry.record.fields.notion_page_id ~= nil)
    end
  end
  local touched, outcomes = links_of.write(self.conn, self.noted, kind, plan), {}
  for place, entry in ipairs(plan) do
    if touched[entry.id] and entry.outcome == "unchanged" then
      entry.outcome = "updated"
      self.noted:tell(kind.table, entry.id, "update", { name = entry.row.name })
    end
    self.counts[entry.outcome] = self.counts[entry.outcome] + 1
    outcomes[place] = { id = entry.id, outcome = entry.outcome, row = entry.row }
    if kind_name == "campaign" and entry.outcome == "updated" then
      outcomes[place].revision, outcomes[place].hits = screening.reckon(self, entry.id)
    end
  end
  return outcomes
end

--- Makes one entity. Raises "usage" when there is one of its name.
---@param kind_name string
---@param fields table
---@return {id: string, outcome: string, row: table}
function Changes:create(kind_name, fields)
  if type(fields) ~= "table" then
    errors.raise { kind = "usage", code = "fields", message = ("a %s is made of a table of fields, not of a %s"):format(
      kind_name, type(fields)), hint = "Write { name = \"...\" }" }
  end
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

--- Entities that have in common what should be one's own, such as an InChIKey.
---@param kind_name string
---@param outcomes {row: table}[] from upsert: what to look for
---@return {value: string, names: string[]}[]
function Changes:duplicates(kind_name, outcomes)
  local kind, wanted = kinds.get(kind_name), {}
  for _, outcome in ipairs(outcomes) do
    local value = kind.own and outcome.row[kind.own]
    wanted[#wanted + 1] = value ~= json.null and value or nil
  end
  if #wanted == 0 then
    return {}
  end
  local sql = DUPLICATES:gsub("SHOWN", kind.shown):gsub("OWN", "t." .. kind.own):gsub("TABLE_NAME", kind.table)
  local found = self.conn:query(sql, pg.array(wanted))
  return table.move(found, 1, #found, 1, {})
end

--- Counts something for the journal.
---@param name string
---@param count integer
function Changes:count(name, count)
  self.counts[name] = (self.counts[name] or 0) + count
end

--- Whether nothing was changed.
---@return boolean
function Changes:is_unchanged()
  return self.noted:is_empty() and not self.has_more
end

--- Says that more was changed than is noted here.
function Changes:touch()
  self.has_more = true
end

--- Writes the journal's entry and what other systems have to learn. Nothing may be changed
--- afterwards.
---@return "done"|"unchanged" outcome
function Changes:write()
  local counts = {}
  for name, count in pairs(self.counts) do
    counts[name] = count ~= 0 and count or nil
  end
  local outcome = self:is_unchanged() and "unchanged" or "done"
  self.noted:write(self.conn, self.conn, outcome, counts)
  return outcome
end

-- ---- in a transaction of their own -----------------------------------------

--- Times that work is tried when somebody else made the same entity meanwhile, or the
--- server asked to try again.
local ATTEMPTS = 5
local TRY_AGAIN = { ["40001"] = true, ["40P01"] = true, ["23505"] = true }

local REHEARSED = {} -- is raised to undo

--- How long a transaction whose COMMIT got no answer may hold its run's lock before its
--- outcome stays unknown.
local SETTLE_WAIT_S = 30

local function lock_run(conn, run)
  conn:query(LOCK, sys.hash64("run\0" .. run.id))
end

--- Whether a transaction whose COMMIT got no answer took place: the journal says so, once the
--- server is through with it. Raises the failure when it cannot be asked.
local function took_place(run, failure, reconnect)
  local asked, outcome = errors.try(function()
    local conn <close> = reconnect()
    conn:script(("SET lock_timeout = '%ds'"):format(SETTLE_WAIT_S))
    return conn:transaction(function()
      lock_run(conn, run)
      return runs.outcome(conn, run.id) or false
    end)
  end)
  if not asked then
    error(failure, 0)
  elseif not outcome then
    failure.hint = "Nothing was stored: run the same command again"
  end
  return outcome
end

local function attempt(conn, run, options, work)
  local made
  local done, failure = pcall(conn.transaction, conn, function()
    if options.reconnect then
      lock_run(conn, run)
    end
    local changes = M.changes(conn, run, options)
    local result = work(changes)
    if options.rehearse then
      made = { result, changes:is_unchanged() and "unchanged" or "done", run.id }
      error(REHEARSED)
    end
    made = table.pack(result, changes:write(), run.id)
  end)
  local is_unknown = not done and errors.is(failure, "database") and failure.unknown_outcome
  if done or options.rehearse and made
    or is_unknown and options.reconnect and took_place(run, failure, options.reconnect) then
    return table.unpack(made, 1, 3)
  end
  error(failure, 0)
end

--- Changes entities in one transaction with one journal entry: all or nothing. In a
--- transaction that is open already it is a part of that one.
---@generic T
---@param conn table
---@param options {command: string, arguments: table|nil, recipe: table|nil, outbox: boolean|table|nil,
--- asked: boolean|nil, create: boolean|nil, create_option: string|nil, rehearse: boolean|nil,
--- reconnect: (fun(): table)|nil} rehearse: everything is undone in the end; reconnect: makes a new connection,
--- to ask whether a COMMIT whose answer was lost took place
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
