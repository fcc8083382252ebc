--- Signatures in Postgres: loading a file of them whole or not at all, finding, listing, deleting.
---
--- A signature has a name and a version. Where its source names no version, versions count
--- from 1: what differs from the latest one becomes the next, and earlier ones stay, because
--- scores were computed from them. The latest version of a name is the one that counts.
local changes_of = require "ligase.store.changes"
local errors = require "ligase.base.errors"
local features = require "ligase.store.features"
local json = require "ligase.base.json"
local pg = require "pg"
local row_images = require "ligase.store.row_images"
local runs = require "ligase.store.runs"
local score_journal = require "ligase.store.score_journal"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local INSERT = [[
INSERT INTO signatures (id, name, version, signature_type, source, source_sha256, description, organism, disease,
  matrix, component_count, content_sha256, run_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)]]

local UPDATE = [[
UPDATE signatures SET signature_type = $2, source = $3, source_sha256 = $4, description = $5, organism = $6,
  disease = $7, matrix = $8, component_count = $9, content_sha256 = $10, run_id = $11, updated_at = now()
WHERE id = $1]]

local INSERT_COMPONENTS = [[
INSERT INTO signature_components (id, signature_id, feature_key, weight, position, direction, feature_type, raw_name,
  rule, level, reason, aside)
SELECT n.id, n.signature_id, n.feature_key, n.weight, n.position, n.direction, n.feature_type, n.raw_name, n.rule,
  n.level, n.reason, n.aside::jsonb
FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::float8[], $5::int4[], $6::int2[], $7::text[], $8::text[],
  $9::text[], $10::text[], $11::text[], $12::text[])
  AS n (id, signature_id, feature_key, weight, position, direction, feature_type, raw_name, rule, level, reason,
    aside)]]

local INSERT_OUTBOX = [[
INSERT INTO outbox (entity_type, entity_id, action, payload, run_id) VALUES ('signatures', $1, $2, $3, $4)]]

--- Components sent with one statement.
local COMPONENTS_AT_ONCE = 20000

-- ---- loading ---------------------------------------------------------------

--- Loads follow one another, so that two of them do not both make the next version.
local function lock(conn)
  conn:query("SELECT pg_advisory_xact_lock($1::int8)", sys.hash64 "signatures")
end

local EXISTING = [[
SELECT id, name, version, content_sha256, to_jsonb(s)::text AS before FROM signatures AS s
WHERE name = ANY ($1::text[]) ORDER BY name, created_at DESC, id DESC]]

--- What is there under the names of a file: by name, the latest first.
local function existing_of(conn, signatures)
  local names, by_name = {}, {}
  for i, signature in ipairs(signatures) do
    names[i] = signature.name
  end
  for _, row in ipairs(conn:query(EXISTING, pg.array(names, "text"))) do
    by_name[row.name] = by_name[row.name] or {}
    table.insert(by_name[row.name], row)
  end
  return by_name
end

local function next_version(versions)
  local highest = 0
  for _, row in ipairs(versions) do
    highest = math.max(highest, row.version:find("^%d+$") and math.tointeger(tonumber(row.version)) or 0)
  end
  return tostring(highest + 1)
end

local function refuse_version(file, signature)
  errors.raise { kind = "input", code = "signature_version", file = file.shown,
    message = ("the signature '%s' is there in the version %s, with another content"):format(
      text.printable(signature.name), text.printable(signature.version)),
    hint = "Give it a version of its own (--version), or put it in the other one's place (--replace)" }
end

--- What is to become of one signature: "created", "revised" (a new version), "replaced" or
--- "unchanged"; and the row that is there.
local function decide(file, signature, versions, replace)
  local row = versions[1]
  if signature.version then
    row = nil
    for _, other in ipairs(versions) do
      row = other.version == signature.version and other or row
    end
  end
  if not row then
    signature.version = signature.version or "1"
    return #versions > 0 and "revised" or "created"
  elseif row.content_sha256 == signature.content_sha256 then
    signature.version = row.version
    return "unchanged", row
  elseif replace then
    signature.version = row.version
    return "replaced", row
  elseif signature.version then
    refuse_version(file, signature)
  end
  signature.version = next_version(versions)
  return "revised"
end

local function or_null(value)
  return value == nil and pg.null or value
end

--- A component's row as it goes out, into lists by column.
local function add_row(lists, signature_id, position, component)
  local row = { sys.uuid7(), signature_id, or_null(component.key), component.weight, position,
    or_null(component.direction), component.feature_type, component.raw, component.rule, or_null(component.level),
    or_null(component.reason), component.aside and json.encode(component.aside) or pg.null }
  for i, value in ipairs(row) do
    lists[i][#lists[i] + 1] = value
  end
end

local TYPES = { "uuid", "uuid", "int8", "float8", "int4", "int2", "text", "text", "text", "text", "text", "text" }

local function new_lists()
  local lists = {}
  for i = 1, #TYPES do
    lists[i] = {}
  end
  return lists
end

local function send(conn, lists)
  local parameters = {}
  for i, list in ipairs(lists) do
    parameters[i] = pg.array(list, TYPES[i])
  end
  conn:query(conn:prepare(INSERT_COMPONENTS), table.unpack(parameters))
end

local function write_components(conn, signatures)
  local lists = new_lists()
  for _, signature in ipairs(signatures) do
    for position, component in ipairs(signature.components) do
      add_row(lists, signature.id, position, component)
      if #lists[1] == COMPONENTS_AT_ONCE then
        send(conn, lists)
        lists = new_lists()
      end
    end
  end
  if #lists[1] > 0 then
    send(conn, lists)
  end
end

local COMPONENTS = ([[
SELECT coalesce(jsonb_agg(%s ORDER BY c.position), '[]')::text AS rows FROM signature_components AS c
WHERE c.signature_id = $1]]):format(row_images.of("signature_components", "c"))

--- Deletes the components of a signature, and gives them for the journal.
local function take_components(conn, id)
  local rows = conn:query(COMPONENTS, id)[1].rows
  conn:query("DELETE FROM signature_components WHERE signature_id = $1", id)
  return changes_of.raw(rows)
end

local function write_signature(conn, p, run, file, signature)
  local organism, disease, matrix = pg.array(signature.organism, "text"), pg.array(signature.disease, "text"),
    pg.array(signature.matrix, "text")
  if signature.row then
    p:query(conn:prepare(UPDATE), signature.id, or_null(signature.type), signature.source, file.sha256,
      or_null(signature.description), organism, disease, matrix, #signature.components, signature.content_sha256,
      run.id)
  else
    p:query(conn:prepare(INSERT), signature.id, signature.name, signature.version, or_null(signature.type),
      signature.source, file.sha256, or_null(signature.description), organism, disease, matrix,
      #signature.components, signature.content_sha256, run.id)
  end
end

--- The names first, since components refer to their features.
local function write_names(conn, run, file)
  local new = 0
  for _, names in ipairs(file.names) do
    new = new + features.remember(conn, names.resolver, names.waiting, run.id)
  end
  return new
end

local function write_all(conn, run, file, changed, outbox)
  local changes = json.array()
  for _, signature in ipairs(changed) do
    signature.id = signature.row and signature.row.id or sys.uuid7()
    changes[#changes + 1] = { table = "signatures", id = signature.id,
      before = signature.row and changes_of.raw(signature.row.before) or json.null,
      components = signature.row and take_components(conn, signature.id) or nil }
  end
  conn:pipeline(function(p)
    for _, signature in ipairs(changed) do
      write_signature(conn, p, run, file, signature)
    end
  end)
  write_components(conn, changed)
  return changes, changes_of.is_told(outbox, "signatures") and function(p)
    for _, signature in ipairs(changed) do
      p:query(conn:prepare(INSERT_OUTBOX), signature.id, signature.row and "update" or "create",
        json.encode { name = signature.name, version = signature.version }, run.id)
    end
  end
end

local function load_in(conn, run, file, options)
  lock(conn)
  local existing, changed = existing_of(conn, file.signatures), {}
  local report = { run_id = run.id, outcomes = {}, counts = { created = 0, revised = 0, replaced = 0, unchanged = 0 } }
  for i, signature in ipairs(file.signatures) do
    local outcome, row = decide(file, signature, existing[signature.name] or {}, options.replace)
    report.outcomes[i], report.counts[outcome] = outcome, report.counts[outcome] + 1
    if outcome ~= "unchanged" then
      signature.row = row
      changed[#changed + 1] = signature
    end
  end
  local changes, tell = json.array(), nil
  if #changed > 0 then
    report.new_features = write_names(conn, run, file)
    changes, tell = write_all(conn, run, file, changed, options.outbox)
  end
  local counts = { signatures = #changed, components = file.counts.components, unmatched = file.counts.unmatched,
    features_new = report.new_features }
  conn:query(runs.INSERT, runs.parameters(run, #changed > 0 and "done" or "unchanged", { counts = counts,
    changes = changes_of.encode(changes) }))
  if tell then
    conn:pipeline(tell)
  end
  return report
end

--- Loads what was read of a file, in one transaction with its journal entry. The same file
--- again changes nothing. A failed load is journalled and leaves everything as it was.
---@param conn table
---@param file ligase.signature_file; its signatures get the versions that they have in the database
---@param options {recipe: table|nil, command: string|nil, arguments: table|nil, replace: boolean|nil,
--- outbox: boolean|nil}
---@return {run_id: string, outcomes: string[], counts: table<string, integer>, new_features: integer|nil} report
--- outcomes by signature: "created", "revised", "replaced" or "unchanged"
function M.load(conn, file, options)
  local arguments = { source = file.shown, sha256 = file.sha256, format = file.format, replace = options.replace }
  for name, value in pairs(options.arguments or {}) do
    arguments[name] = value
  end
  local run = runs.new(options.command or "signature load", options.recipe, arguments)
  local done, result = xpcall(conn.transaction, errors.explained, conn, load_in, conn, run, file, options)
  if not done then
    runs.journal_failure(conn, run, result)
    error(result, 0)
  end
  return result
end

-- ---- finding ---------------------------------------------------------------

local MATCH = [[
SELECT id, name, version, signature_type, source, source_sha256, content_sha256, description, organism, disease, matrix,
  component_count, run_id, to_char(created_at, 'YYYY-MM-DD HH24:MI:SS TZ') AS created_at,
  (name = $1 OR name || '@' || version = $1 OR id::text = lower($1)) AS exact,
  (name || '@' || version = $1 OR id::text = lower($1)) AS is_version,
  row_number() OVER (PARTITION BY name ORDER BY signatures.created_at DESC, id DESC) = 1 AS is_latest
FROM signatures
WHERE name = $1 OR name || '@' || version = $1 OR starts_with(id::text, lower($1)) OR starts_with(name, $1)
ORDER BY exact DESC, name, signatures.created_at DESC, id DESC LIMIT 200]]

local function refuse_unknown(conn, wanted)
  local names = {}
  for i, row in ipairs(conn:query "SELECT name FROM signatures ORDER BY updated_at DESC LIMIT 2000") do
    names[i] = row.name
  end
  local near = text.nearest(wanted, names)
  errors.raise { kind = "usage", code = "signature",
    message = ("there is no signature '%s'"):format(text.printable(wanted)),
    hint = near and ("Did you mean '%s'?"):format(text.printable(near))
      or (#names == 0 and "There are none yet: ligase signature load FILE" or "See them with: ligase signature list") }
end

--- Of rows that begin like a word, one for each name: its latest version.
local function latest_of(rows)
  local latest = {}
  for _, row in ipairs(rows) do
    if row.is_latest then
      latest[#latest + 1] = row
    end
  end
  return latest
end

--- The signature a person means by its name (the latest version), NAME@VERSION, its id, or
--- an unambiguous start of name or id. Raises "usage" when there is none or more than one.
---@param conn table
---@param wanted string
---@return table signature
function M.find(conn, wanted)
  local rows = wanted ~= "" and conn:query(MATCH, wanted) or {}
  local exact, versions = {}, {}
  for _, row in ipairs(rows) do
    exact[#exact + 1] = row.exact and row or nil
    versions[#versions + 1] = row.is_version and row or nil
  end
  if #versions == 1 then
    return versions[1]
  end
  local candidates = latest_of(#exact > 0 and exact or rows)
  if #candidates == 1 or #exact > 0 and #candidates > 0 then
    return candidates[1]
  elseif #candidates == 0 and #rows > 0 then
    candidates = rows -- starts of ids of earlier versions
    if #rows == 1 then
      return rows[1]
    end
  elseif #candidates == 0 then
    refuse_unknown(conn, wanted)
  end
  local shown = {}
  for i = 1, math.min(#candidates, 8) do
    shown[i] = ("%s (%s)"):format(text.shown(candidates[i].name, 60), candidates[i].id:sub(1, 13))
  end
  errors.raise { kind = "usage", code = "ambiguous_signature",
    message = ("'%s' may be any of %d signatures"):format(text.printable(wanted), #candidates),
    detail = table.concat(shown, ", ") .. (#candidates > 8 and ", ..." or ""), hint = "Say which, by its whole name" }
end

--- The signatures with their figures, for a table.
---@param conn table
---@param all boolean|nil earlier versions too
---@param program_id string|nil only those of this program
---@return table result as conn:table gives it
function M.list(conn, all, program_id)
  return conn:table([[
SELECT name, version, signature_type AS type, component_count AS components,
  (SELECT count(*) FROM signature_components AS c WHERE c.signature_id = s.id AND c.feature_key IS NULL) AS unmatched,
  array_to_string(disease, '; ') AS disease, array_to_string(matrix, '; ') AS matrix,
  to_char(created_at, 'YYYY-MM-DD HH24:MI') AS loaded, left(id::text, 13) AS id
FROM (SELECT *, row_number() OVER (PARTITION BY name ORDER BY created_at DESC, id DESC) AS place FROM signatures) AS s
WHERE ($1::boolean OR place = 1)
  AND ($2::uuid IS NULL OR id IN (SELECT signature_id FROM program_signatures WHERE program_id = $2::uuid))
ORDER BY name, created_at]], all == true, program_id or pg.null)
end

--- The components of a signature, in the order of its source.
---@param conn table
---@param id string
---@return table result as conn:table gives it
function M.components(conn, id)
  return conn:table([[
SELECT c.position, c.raw_name AS component, f.name AS feature, c.feature_type AS type,
  CASE c.direction WHEN 1 THEN 'up' WHEN -1 THEN 'down' END AS direction, c.weight, c.level, c.rule, c.reason
FROM signature_components AS c LEFT JOIN features AS f ON f.key = c.feature_key
WHERE c.signature_id = $1 ORDER BY c.position]], id)
end

--- The other versions of a signature's name, the latest first.
---@param conn table
---@param signature table from M.find
---@return string[]
function M.versions(conn, signature)
  local versions = {}
  for i, row in ipairs(conn:query("SELECT version FROM signatures WHERE name = $1 ORDER BY created_at DESC, id DESC",
    signature.name)) do
    versions[i] = row.version
  end
  return versions
end

local PROGRAMS = [[
SELECT p.name FROM program_signatures AS x JOIN programs AS p ON p.id = x.program_id WHERE x.signature_id = $1
ORDER BY p.name]]

--- The names of the programs that a signature matters to.
---@param conn table
---@param id string
---@return string[]
function M.programs(conn, id)
  local found = {}
  for i, row in ipairs(conn:query(PROGRAMS, id)) do
    found[i] = row.name
  end
  return found
end

-- ---- deleting --------------------------------------------------------------

local SCORED = [[
SELECT count(*) AS scores, count(DISTINCT x.dataset_id) AS datasets, min(d.name) AS example
FROM dataset_signatures AS x LEFT JOIN datasets AS d ON d.id = x.dataset_id WHERE x.signature_id = $1]]

local function refuse_used(conn, signature, with_scores)
  local users = {}
  for i, name in ipairs(M.programs(conn, signature.id)) do
    users[i] = ("the program '%s'"):format(name)
  end
  local linked = #users > 0
  local scored = conn:query(SCORED, signature.id)[1]
  if scored.scores > 0 and not with_scores then
    users[#users + 1] = ("%s of %s, such as '%s'"):format(text.count(scored.scores, "score"),
      text.count(scored.datasets, "dataset"), scored.example ~= pg.null and scored.example or "?")
  end
  if #users > 0 then
    errors.raise { kind = "usage", code = "in_use", message = ("the signature '%s' is referred to"):format(
      text.printable(signature.name)), detail = table.concat(users, "; "),
      hint = linked and "Take it out of its programs first: ligase signature update NAME --program ''"
        or "To delete its scores too, say --scores" }
  end
  return scored.scores
end

--- Deletes one version of a signature. Refused with the list of what refers to it.
---@param conn table
---@param signature table from M.find
---@param options {scores: boolean|nil, outbox: boolean|nil} scores: its scores are deleted too
---@return integer scores that were deleted
function M.delete(conn, signature, options)
  local run = runs.new("signature delete", nil, { signature = signature.name, version = signature.version })
  return conn:transaction(function()
    lock(conn)
    local scores = refuse_used(conn, signature, options.scores)
    local before = conn:query([[
SELECT to_jsonb(s)::text AS row, notion_page_id AS page FROM signatures AS s WHERE id = $1]], signature.id)[1]
    local journal = score_journal.new(conn, run)
    if scores > 0 then
      journal:take("signature_id = $1", signature.id)
    end
    local components = take_components(conn, signature.id)
    conn:query("DELETE FROM signatures WHERE id = $1", signature.id)
    journal:finish()
    conn:query(runs.INSERT, runs.parameters(run, "done", { counts = { signatures = 1, scores = scores },
      changes = changes_of.encode { { table = "signatures", id = signature.id,
        before = before and changes_of.raw(before.row) or json.null, components = components } } }))
    if changes_of.is_told(options.outbox, "signatures") then
      conn:query(INSERT_OUTBOX, signature.id, "delete", json.encode { name = signature.name,
        page_id = before and before.page ~= json.null and before.page or nil }, run.id)
    end
    return scores
  end)
end

return M
