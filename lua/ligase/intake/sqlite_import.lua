--- A SQLite file into Postgres by a map: programs, compounds, campaigns and their results,
--- in one transaction with one run. The same file again changes nothing.
---
--- Rows that cannot be taken over are problems, each with its table and rowid. With any of
--- them nothing is stored, unless they are to be left out.
local columns = require "ligase.screening.columns"
local controls = require "ligase.screening.controls"
local derive = require "ligase.screening.derive"
local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local frame_of = require "frame"
local host = require "host"
local json = require "ligase.base.json"
local kinds = require "ligase.store.entity_kinds"
local maps = require "ligase.intake.sqlite_map"
local report = require "ligase.screening.report"
local screening = require "ligase.store.screening"
local screening_recipe = require "ligase.intake.screening_recipe"
local source_files = require "ligase.screening.source_files"
local sqlite_tables = require "ligase.store.sqlite_tables"
local sys = require "sys"
local tables = require "ligase.screening.table"
local text = require "ligase.base.text"

local M = {}

local null = host.null

--- Problems that are looked for before the import gives up.
local PROBLEMS_MOST = 1000

---@class ligase.sqlite_import
---@field file ligase.sqlite_file
---@field map table
---@field changes ligase.changes
---@field problems {table: string, rowid: integer, message: string}[]
---@field ids table<string, table<string, string>> by kind: the id of what has that key
---@field counts table[] for the report, one per table

-- ---- problems --------------------------------------------------------------

local function refuse_problems(state)
  local lines = {}
  for i = 1, math.min(#state.problems, 10) do
    local problem = state.problems[i]
    lines[i] = ("%s rowid %d: %s"):format(problem.table, problem.rowid, problem.message)
  end
  errors.raise { kind = "input", code = "rows", file = state.file.path, problems = state.problems,
    message = ("%s cannot be taken over"):format(text.count(#state.problems, "row")),
    detail = table.concat(lines, "; ") .. (#state.problems > #lines and "; ..." or ""),
    hint = "Mend them there, or by a function in the map; or leave them out and store the rest: --leave-out" }
end

local function add_problem(state, tbl, rowid, message)
  state.problems[#state.problems + 1] = { table = tbl, rowid = rowid, message = message }
  if #state.problems >= PROBLEMS_MOST then
    refuse_problems(state)
  end
end

-- ---- rows ------------------------------------------------------------------

--- The columns of a table by field, without those that may be absent and are.
local function columns_of(file, tbl, wanted)
  local found = {}
  for field, word in pairs(wanted) do
    local name, optional = maps.name_of(word)
    found[field] = file:column(tbl, name, optional)
  end
  return found
end

--- A value as text, for fields and cells; nil for what says nothing.
local function as_text(value)
  if value == nil or value == null then
    return nil
  elseif type(value) == "table" then
    return nil, "it is a blob"
  elseif math.type(value) == "float" then
    local whole = math.tointeger(value)
    return whole and math.abs(whole) < 1 << 53 and tostring(whole) or json.encode(value)
  end
  value = tostring(value)
  if not utf8.len(value) or value:find("\0", 1, true) then
    return nil, "it is not UTF-8 text"
  end
  return value:find("%S") and value or nil
end

--- What a function of the map makes of a row; a slip in it is the map's failure.
local function changed(state, entry, fields, row)
  if not entry.change then
    return fields
  end
  local done, result = xpcall(entry.change, errors.explained, fields, row)
  if not done then
    errors.raise { kind = "usage", code = "map", file = state.recipe.path, traceback = result.traceback,
      message = ("change of table %s failed: %s"):format(entry.table, result.message), hint = "Mend the map" }
  end
  if result == false then
    return nil
  end
  return result or fields
end

-- ---- entities --------------------------------------------------------------

local function set_field(kind, fields, field, value)
  local owner, member = field:match("^([%w_]+)%.(.+)$")
  if owner then
    fields[owner] = fields[owner] or {}
    fields[owner][member] = value
  elseif kind.links[field] then
    local words = {}
    for word in tostring(value):gmatch("[^;|]+") do
      words[#words + 1] = word:match("^%s*(.-)%s*$")
    end
    fields[field] = words
  else
    fields[field] = value
  end
end

--- Numbers stay what they are where a field or a member may be one.
local function field_value(kind, field, value)
  local owner = field:match("^([%w_]+)%.")
  local spec = kind.fields[owner or field]
  local may_be_number = spec and (spec.type == "number" or spec.type == "integer" or owner == "attributes")
  if may_be_number and type(value) == "number" then
    return value
  end
  return as_text(value)
end

local function read_entity(state, kind, entry, found, row, rowid)
  local fields = {}
  for field, column in pairs(found) do
    local value, problem = field_value(kind, field, row[column])
    if problem then
      add_problem(state, entry.table, rowid, ("%s: %s"):format(column, problem))
      return nil
    elseif value ~= nil then
      set_field(kind, fields, field, value)
    end
  end
  fields = changed(state, entry, fields, row)
  local key = as_text(row[state.file:column(entry.table, entry.key, false)])
  if fields and not key then
    add_problem(state, entry.table, rowid, ("its key, %s, is empty"):format(entry.key))
    return nil
  elseif fields then
    fields.external_ids = fields.external_ids or {}
    fields.external_ids[state.map.system] = fields.external_ids[state.map.system] or key
  end
  return fields, key
end

--- Records of which the entity is known by its key are changes of that one.
local function find_known(state, kind, records)
  local words, by_word = {}, {}
  for i, record in ipairs(records) do
    words[i] = ("%s:%s"):format(state.map.system, record.key)
    by_word[words[i]] = record
  end
  for word, row in pairs((entities.find_all(state.changes.conn, kind.name, words))) do
    by_word[word].fields.id = by_word[word].fields.id or row.id
  end
end

--- Stores records, taking out those that are refused.
local function upsert(state, kind, entry, records)
  while true do
    local given = {}
    for i, record in ipairs(records) do
      given[i] = record.fields
    end
    local done, result = pcall(state.changes.upsert, state.changes, kind.name, given)
    if done then
      return result
    elseif not (errors.is(result, "usage") and result.record) then
      error(result, 0)
    end
    local bad = { [result.record] = true }
    local failures = { result, table.unpack(result.others or {}) }
    for _, failure in ipairs(failures) do
      bad[failure.record] = true
      add_problem(state, entry.table, records[failure.record].rowid, failure.message)
    end
    local kept = {}
    for i, record in ipairs(records) do
      kept[#kept + 1] = not bad[i] and record or nil
    end
    records = kept
    state.left = records
  end
end

local function import_entities(state, kind_name, entry)
  local kind, name, optional = kinds.get(kind_name), maps.name_of(entry.table)
  entry = setmetatable({ table = name }, { __index = entry })
  if optional and not state.file:columns(name) then
    return
  end
  local found = columns_of(state.file, name, entry.columns)
  local records, rows, seen = {}, 0, {}
  for row, rowid in state.file:rows(name) do
    rows = rows + 1
    local fields, key = read_entity(state, kind, entry, found, row, rowid)
    if fields and seen[key] then
      add_problem(state, name, rowid, ("the key '%s' stands twice, first in rowid %d"):format(text.shown(key, 40),
        seen[key]))
    elseif fields then
      seen[key] = rowid
      records[#records + 1] = { fields = fields, key = key, rowid = rowid }
    end
  end
  find_known(state, kind, records)
  local counts = { table = name, what = kind.plural, rows = rows, created = 0, updated = 0, unchanged = 0 }
  state.left = records
  local outcomes = upsert(state, kind, entry, records)
  for i, record in ipairs(state.left) do
    state.ids[kind_name][record.key] = outcomes[i].id
    counts[outcomes[i].outcome] = counts[outcomes[i].outcome] + 1
  end
  counts.duplicates = state.changes:duplicates(kind_name, outcomes)
  state.counts[#state.counts + 1] = counts
end

-- ---- results ---------------------------------------------------------------

--- The columns of a table of results as ligase.screening.table takes them.
local function plan_of(state, entry)
  local plan, headers = { columns = {}, at = {}, results = {} }, {}
  local function add(field, header)
    local column = { position = #plan.columns + 1, header = header, field = field }
    plan.columns[column.position], headers[column.position] = column, header
    if field then
      plan.at[field] = column
    end
    if field and columns.FIELDS[field].result then
      plan.results[#plan.results + 1] = column
    end
  end
  local found, fields = columns_of(state.file, entry.table, entry.columns), {}
  for field in pairs(found) do
    fields[#fields + 1] = field
  end
  table.sort(fields)
  for _, field in ipairs(fields) do
    add(field, found[field])
  end
  if entry.compound then
    local name, optional = maps.name_of(entry.compound)
    local column = state.file:column(entry.table, name, optional)
    if column then
      add("compound", column)
    end
  end
  for _, word in ipairs(entry.keep) do
    local name, optional = maps.name_of(word)
    local column = state.file:column(entry.table, name, optional)
    if column then
      add(nil, column)
    end
  end
  return plan, headers
end

local function cell_of(value)
  if type(value) == "number" then
    return value
  end
  return as_text(value)
end

--- The campaign of a row by its key, else by its name.
local function campaign_of(state, entry, key)
  local known = state.ids.campaign[key]
  if known == nil then
    local row = entities.lookup(state.changes.conn, "campaign", key)
    known = row and row.id or false
    if not row and entry.make_campaigns then
      known = state.changes:create("campaign", { name = key, external_ids = { [state.map.system] = key } }).id
    end
    state.ids.campaign[key] = known
  end
  return known
end

local function read_result(state, entry, plan, row, rowid)
  local cells = {}
  for position, column in ipairs(plan.columns) do
    local value, problem = cell_of(row[column.header])
    if problem then
      add_problem(state, entry.table, rowid, ("%s: %s"):format(column.header, problem))
      return nil
    end
    cells[position] = value or ""
  end
  return cells
end

--- The rows of a table of results, by campaign.
local function read_results(state, entry)
  local name, optional = maps.name_of(entry.table)
  if optional and not state.file:columns(name) then
    return
  end
  entry = setmetatable({ table = name }, { __index = entry })
  local plan, headers = plan_of(state, entry)
  local campaign_column = state.file:column(name, entry.campaign, false)
  local counts = { table = name, what = "results", rows = 0 }
  state.counts[#state.counts + 1] = counts
  for row, rowid in state.file:rows(name) do
    counts.rows = counts.rows + 1
    row = changed(state, entry, row, row)
    local key = row and as_text(row[campaign_column])
    local id = key and campaign_of(state, entry, key)
    if row and not id then
      add_problem(state, name, rowid, key and ("there is no campaign '%s'"):format(text.shown(key, 40))
        or ("%s, its campaign, is empty"):format(campaign_column))
    elseif row then
      local cells = read_result(state, entry, plan, row, rowid)
      local parts = state.by_campaign[id] or {}
      if not state.by_campaign[id] then
        state.by_campaign[id], state.campaigns[#state.campaigns + 1] = parts, id
      end
      local part = parts[#parts]
      if not part or part.entry ~= entry then
        part = { entry = entry, plan = plan, headers = headers, rows = {}, rowids = {} }
        parts[#parts + 1] = part
      end
      if cells then
        part.rows[#part.rows + 1], part.rowids[#part.rowids + 1] = cells, rowid
      end
    end
  end
end

--- Rows as a frame whose lines are the rowids.
local function frame_over(part)
  local made = frame_of.new(part.headers, part.rows, { missing = { "" } })
  return setmetatable({
    text = function(_, position)
      return made:text(position)
    end,
    number = function(_, position)
      return made:number(position)
    end,
    line = function(_, row)
      return part.rowids[row]
    end,
    close = function()
      made:close()
    end,
  }, { __len = function()
    return #part.rows
  end })
end

local function drop_row(part, rowid)
  for i, id in ipairs(part.rowids) do
    if id == rowid then
      table.remove(part.rows, i)
      table.remove(part.rowids, i)
      return true
    end
  end
  return false
end

local function or_nil(value)
  return value ~= null and value or nil
end

local function copy_of(earlier)
  local copy = {}
  for key, value in pairs(earlier) do
    copy[key] = type(value) == "table" and table.move(value, 1, #value, 1, {}) or value
  end
  return copy
end

--- Reads a campaign's rows; those that are refused are taken out, and it begins anew.
local function reckon_campaign(state, campaign, parts, earlier)
  while true do
    local map = controls.map { campaign.controls, state.map.controls }
    local results = tables.new { controls = map, roles = state.roles, unit = or_nil(campaign.unit), row_word = "rowid",
      duplicates = state.options.duplicates or "refuse", direction = or_nil(campaign.direction) }
    if earlier then
      results:take(copy_of(earlier)) -- reading adds to the lists
    end
    local at
    local done, failure = xpcall(function()
      for _, part in ipairs(parts) do
        at = part
        results.reading.unit = part.entry.unit or or_nil(campaign.unit)
        results.reading.concentration_unit = part.entry.concentration_unit
        local frame = #part.rows > 0 and frame_over(part) or nil
        if frame then
          results.width = nil
          results:read({ shown = part.entry.table, plan = part.plan, decimal = ".", missing = { [""] = true } },
            columns.FIELDS, function()
              local now = frame
              frame = nil
              return now
            end)
        end
      end
    end, errors.explained)
    if done then
      results:finish()
      return results, map
    elseif failure.kind ~= "input" or not failure.line or not drop_row(at, failure.line) then
      error(failure, 0)
    end
    add_problem(state, at.entry.table, failure.line, failure.message)
  end
end

--- What the rows of a table hold, in one number: the file's own bytes change whenever
--- anything in it does.
local function digest_of(part)
  local texts = { json.encode { part.entry.table, json.array(part.headers) } }
  for i, row in ipairs(part.rows) do
    texts[#texts + 1] = ("%d %s"):format(part.rowids[i], json.encode(json.array(row)))
  end
  return sys.sha256(table.concat(texts, "\n"))
end

--- The sources of a campaign's results: the tables that gave any.
local function sources_of(state, results, parts)
  local sources, first = {}, #results.sources
  for _, part in ipairs(parts) do
    first = first - (#part.rows > 0 and 1 or 0)
  end
  for _, part in ipairs(parts) do
    if #part.rows > 0 then
      local read = results.sources[first + #sources + 1]
      sources[#sources + 1] = { source = ("%s (%s)"):format(state.source.shown, part.entry.table),
        table = part.entry.table, sha256 = digest_of(part), bytes = #sources == 0 and state.bytes or 0,
        rows = read.rows, first_ordinal = read.first_ordinal, columns = source_files.describe_columns(part.plan),
        doubts = json.array(report.note_doubts(read.notes)) }
    end
  end
  return sources
end

local function import_campaign(state, id)
  local parts = state.by_campaign[id]
  local given = { reading_version = screening_recipe.READING_VERSION, duplicates = state.options.duplicates }
  local current = screening.current(state.changes.conn, id)
  local campaign = current.campaign
  -- What this map took over before comes again, wherever the file lies now.
  local earlier = screening.earlier(state.changes.conn, current, function(source)
    return source.table ~= nil and source.recipe == state.recipe.name
  end)
  local results, map = reckon_campaign(state, campaign, parts, earlier)
  local compounds = screening_recipe.link(state.changes, results, false, state.ids.compound)
  local plates, hits = derive.run(results, { direction = or_nil(campaign.direction), rule = or_nil(campaign.hit_rule) })
  local sources = sources_of(state, results, parts)
  local outcome = { name = campaign.name, results = results.n, compounds = compounds, hits = hits, plates = plates,
    doubts = report.reading_doubts(results, map),
    reckoning_doubts = report.reckoning_doubts(plates, hits, campaign) }
  local content = #sources > 0 and screening_recipe.complete({ results = results, plates = plates, hits = hits,
    recipe = state.recipe, sources = sources, doubts = outcome.doubts, reckoning_doubts = outcome.reckoning_doubts },
    earlier, given, state.changes.noted.run.id)
  if content and not screening.is_current(current, content) then
    outcome.revision = screening.write(state.changes, current, content)
  elseif content then
    outcome.unchanged, outcome.revision = true, current.revision.revision
  end
  state.outcomes[#state.outcomes + 1] = outcome
end

-- ---- all -------------------------------------------------------------------

local function import_all(state)
  for _, entry in ipairs(maps.ENTITIES) do
    for _, spec in ipairs(state.map[entry[1]]) do
      import_entities(state, entry[2], spec)
    end
  end
  for _, spec in ipairs(state.map.results) do
    read_results(state, spec)
  end
  for _, id in ipairs(state.campaigns) do
    import_campaign(state, id)
  end
  if #state.problems > 0 and not state.options.leave_out then
    refuse_problems(state)
  end
  state.changes:count("left_out", #state.problems)
  return state
end

--- Takes over what a SQLite file holds. Raises "input" with the problems, each with its
--- table and rowid, when there are any and they are not to be left out.
---@param conn table
---@param source ligase.source
---@param options {map: ligase.other_recipe, leave_out: boolean|nil, dry_run: boolean|nil, create: boolean|nil, outbox:
--- boolean|nil, duplicates: string|nil, busy_timeout_s: number|nil, command: string|nil, reconnect: (fun(): table)|nil}
---@return table report {outcome, run_id, counts, campaigns, problems}
function M.import(conn, source, options)
  local map = options.map.definition
  local file <close> = sqlite_tables.open(source.path, { busy_timeout_s = options.busy_timeout_s })
  local bytes = sys.stat(source.path).size_bytes
  local done, outcome, run_id = entities.change(conn, { command = options.command or "import sqlite",
    recipe = options.map, outbox = options.outbox, create = options.create, rehearse = options.dry_run,
    reconnect = options.reconnect,
    arguments = { source = source.shown, map = options.map.name } }, function(changes)
      return import_all({ file = file, map = map, recipe = options.map, changes = changes, options = options,
        source = source, bytes = bytes, problems = {}, counts = {}, outcomes = {}, campaigns = {}, by_campaign = {},
        ids = { program = {}, compound = {}, campaign = {} }, roles = screening_recipe.role_words(map.roles) })
    end)
  return { outcome = outcome, run_id = run_id, counts = done.counts, campaigns = done.outcomes,
    problems = done.problems, bytes = bytes }
end

return M
