--- Results of screening campaigns in Postgres: numbered revisions, written whole or not at
--- all, in the transaction of the run that makes them.
---
--- The values of a revision never change. When a campaign declares another direction or hit
--- rule, the same values are reckoned anew and make its next revision; going back is moving
--- screening_campaigns.current_revision.
local changes_of = require "ligase.store.changes"
local derive = require "ligase.screening.derive"
local errors = require "ligase.base.errors"
local host = require "host"
local json = require "ligase.base.json"
local report = require "ligase.screening.report"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local null = host.null

--- Held to the transaction's end: two revisions of one campaign follow one another.
local LOCK = "SELECT pg_advisory_xact_lock($1)"

local BATCH_ROWS = 8192

local RESULT_COLUMNS = { { "campaign_id", "uuid" }, { "ordinal", "int8" }, { "compound_id", "uuid" },
  { "value", "float8" }, { "percent_effect", "float8" }, { "concentration_m", "float8" }, { "revision", "int4" },
  { "is_hit", "bool" }, { "measure", "text" }, { "role", "text" }, { "relation", "text" }, { "unit", "text" },
  { "plate", "text" }, { "well", "text" }, { "source_name", "text" }, { "cells", "jsonb" }, { "z_score", "float8" },
  { "robust_z", "float8" } }

local PLATE_COLUMNS = { { "campaign_id", "uuid" }, { "revision", "int4" }, { "ordinal", "int4" },
  { "well_count", "int4" }, { "sample_count", "int4" }, { "positive_count", "int4" }, { "negative_count", "int4" },
  { "hit_count", "int4" }, { "positive_mean", "float8" }, { "positive_sd", "float8" }, { "negative_mean", "float8" },
  { "negative_sd", "float8" }, { "z_prime", "float8" }, { "signal_window", "float8" }, { "plate", "text" },
  { "reason", "text" } }

local INSERT_REVISION = [[
INSERT INTO screening_revisions (campaign_id, revision, derived_from, run_id, source_bytes, row_count, result_count,
  value_count, linked_count, plate_count, hit_count, undecided_count, direction, recipe, recipe_sha256, source,
  source_sha256, hit_rule, controls, sources, given, doubts, reckoning_doubts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)]]

local CURRENT = [[
SELECT coalesce((SELECT max(revision) FROM screening_revisions WHERE campaign_id = c.id), 0) AS last,
  to_jsonb(r) AS revision, r.controls = $2::jsonb AS same_controls,
  r.hit_rule IS NOT DISTINCT FROM $3::jsonb AS same_rule, to_jsonb(c) AS campaign, to_jsonb(c)::text AS campaign_text
FROM screening_campaigns AS c
LEFT JOIN screening_revisions AS r ON r.campaign_id = c.id AND r.revision = c.current_revision
WHERE c.id = $1]]

--- A rollback may have left results of a later revision than those that the campaign has now.
local LAST_STORED = "SELECT coalesce(max(revision), 0) AS last FROM screening_results WHERE campaign_id = $1"

-- ---- writing ---------------------------------------------------------------

local function copy_results(conn, campaign_id, revision, results, first)
  local copy <close> = conn:copy_in("screening_results", RESULT_COLUMNS)
  for from = 1, results.n, BATCH_ROWS do
    local n = math.min(BATCH_ROWS, results.n - from + 1)
    local values = { campaign_id = campaign_id, revision = revision }
    for _, column in ipairs(RESULT_COLUMNS) do
      local list = results[column[1]]
      if type(list) == "table" then
        values[column[1]] = table.move(list, from, from + n - 1, 1, {})
      end
    end
    if first > 1 then
      for i, ordinal in ipairs(values.ordinal) do
        values.ordinal[i] = ordinal + first - 1
      end
    end
    copy:write(n, values)
  end
  copy:finish()
end

local function or_null(value)
  if value == nil then
    return null
  end
  return value
end

local function copy_plates(conn, campaign_id, revision, plates, first)
  if #plates == 0 then
    return
  end
  local values = { campaign_id = campaign_id, revision = revision }
  for _, column in ipairs(PLATE_COLUMNS) do
    values[column[1]] = values[column[1]] or {}
  end
  for i, plate in ipairs(plates) do
    values.ordinal[i], values.plate[i], values.reason[i] = first + i - 1, or_null(plate.plate), or_null(plate.reason)
    values.well_count[i], values.sample_count[i] = plate.wells, plate.samples
    for _, group in ipairs { "positive", "negative" } do
      local control = plate[group]
      values[group .. "_count"][i] = control.n
      values[group .. "_mean"][i], values[group .. "_sd"][i] = or_null(control.mean), or_null(control.sd)
    end
    values.z_prime[i], values.signal_window[i] = or_null(plate.z_prime), or_null(plate.signal_window)
    values.hit_count[i] = or_null(plate.hits)
  end
  local copy <close> = conn:copy_in("screening_plates", PLATE_COLUMNS)
  copy:write(#plates, values)
  copy:finish()
end

local function count_values(results)
  local values, linked = 0, 0
  for i = 1, results.n do
    values = values + (results.value[i] ~= null and 1 or 0)
    linked = linked + (results.compound_id[i] ~= null and 1 or 0)
  end
  return values, linked
end

--- How each source was read stood with the revision alone when all were read by one run; then a
--- file is known by what people called it.
local function complete_sources(revision)
  for _, source in ipairs(revision.sources) do
    if not source.run_id then
      source.run_id, source.given, source.recipe = revision.run_id, revision.given, revision.recipe
      source.recipe_sha256, source.is_named = revision.recipe_sha256, true
      source.sha256 = source.sha256 or revision.source_sha256
    end
  end
end

---@class ligase.campaign_state what is there before a revision is written
---@field campaign table its row
---@field before ligase.raw_row the same for the journal
---@field revision table|nil the current revision's row
---@field last integer the highest number there is
---@field same_controls boolean
---@field same_declaration boolean controls, direction and hit rule are those of the current revision

--- The campaign as it is, locked until the transaction ends.
---@param conn table
---@param campaign_id string
---@return ligase.campaign_state
function M.current(conn, campaign_id)
  conn:query(LOCK, sys.hash64("campaign\0" .. campaign_id))
  local campaign = conn:query("SELECT to_jsonb(c) AS row FROM screening_campaigns AS c WHERE id = $1",
    campaign_id)[1].row
  local rule = campaign.hit_rule ~= null and json.encode(campaign.hit_rule) or null
  local row = conn:query(CURRENT, campaign_id, json.encode(campaign.controls), rule)[1]
  local revision = row.revision ~= null and row.revision or nil
  if revision then
    complete_sources(revision)
  end
  return { campaign = row.campaign, before = changes_of.raw(row.campaign_text), revision = revision,
    last = math.max(row.last, conn:query(LAST_STORED, campaign_id)[1].last),
    same_controls = row.same_controls == true,
    same_declaration = revision ~= nil and row.same_controls == true and row.same_rule == true
      and revision.direction == campaign.direction }
end

--- What a source's results follow from, as one text.
local function mark_of(source)
  return table.concat({ source.sha256 or "", source.table or "", source.recipe_sha256 or "",
    json.encode(source.given or {}) }, "\0")
end

--- Whether the current revision was read from these very bytes by these recipes, reckoned by
--- what the campaign declares, and links as many results to compounds as would be now.
---@param state ligase.campaign_state
---@param content {sources: ligase.campaign_source[], results: ligase.screening_results}
---@return boolean
function M.is_current(state, content)
  local revision = state.revision
  if not (revision and state.same_declaration and #revision.sources == #content.sources) then
    return false
  end
  local marks = {}
  for _, source in ipairs(revision.sources) do
    marks[mark_of(source)] = true
  end
  for _, source in ipairs(content.sources) do
    if not marks[mark_of(source)] then
      return false
    end
  end
  local _, linked = count_values(content.results)
  return revision.linked_count == linked
end

local MOVE = "UPDATE screening_campaigns SET current_revision = $2, updated_at = now() WHERE id = $1"

---@class ligase.campaign_source: how one file was read
---@field source string as people named it
---@field path string|nil absolute; nil for a stream
---@field table string|nil of a SQLite file
---@field sha256 string
---@field bytes integer|nil
---@field rows integer
---@field first_ordinal integer
---@field columns table[]
---@field given table what else decided how it was read
---@field recipe string
---@field recipe_sha256 string
---@field run_id string that read it
---@field is_named boolean|nil its path was not kept
---@field doubts string[] what was told of it

---@class ligase.campaign_content
---@field results ligase.screening_results with compound_id
---@field plates ligase.screening_plate[]
---@field hits {hits: integer, undecided: integer}|nil
---@field source string
---@field sha256 string
---@field bytes integer
---@field rows integer
---@field recipe {name: string, sha256: string}
---@field sources ligase.campaign_source[]
---@field given table
---@field doubts string[] what is told of the reading
---@field earlier_doubts string[]|nil what was told of files that were read before
---@field reckoning_doubts string[] what was told of what follows
---@field derived_from integer|nil

local function doubts_of(content)
  local doubts = json.array(table.move(content.doubts, 1, #content.doubts, 1, {}))
  return table.move(content.earlier_doubts or {}, 1, #(content.earlier_doubts or {}), #doubts + 1, doubts)
end

--- Writes a revision and makes it the current one.
---@param changes ligase.changes
---@param state ligase.campaign_state
---@param content ligase.campaign_content
---@return integer revision
function M.write(changes, state, content)
  local conn, campaign = changes.conn, state.campaign
  local revision, results = state.last + 1, content.results
  copy_results(conn, campaign.id, revision, results, 1)
  copy_plates(conn, campaign.id, revision, content.plates, 1)
  local values, linked = count_values(results)
  conn:query(INSERT_REVISION, campaign.id, revision, content.derived_from or null, changes.noted.run.id, content.bytes,
    content.rows, results.n, values, linked, #content.plates, content.hits and content.hits.hits or null,
    content.hits and content.hits.undecided or null, campaign.direction, content.recipe.name, content.recipe.sha256,
    content.source, content.sha256, campaign.hit_rule ~= null and json.encode(campaign.hit_rule) or null,
    json.encode(campaign.controls), json.encode(json.array(content.sources)), json.encode(content.given),
    json.encode(doubts_of(content)), json.encode(json.array(content.reckoning_doubts)))
  conn:query(MOVE, campaign.id, revision)
  changes.noted:note("screening_campaigns", campaign.id, state.before, { name = campaign.name, revision = revision })
  changes.noted:note("screening_revisions", campaign.id, nil, nil, { campaign_id = campaign.id, revision = revision })
  return revision
end

-- ---- what is there ---------------------------------------------------------

local READ = [[
SELECT ordinal, compound_id, value, concentration_m, measure, role, relation, unit, plate, well, source_name,
  cells::text AS cells
FROM screening_results WHERE campaign_id = $1 AND revision = $2 AND ordinal > $3 ORDER BY ordinal LIMIT $4]]

local READ_AT_ONCE = 20000
local READ_FIELDS = { "ordinal", "compound_id", "value", "concentration_m", "measure", "role", "relation", "unit",
  "plate", "well", "source_name", "cells" }

--- The results of a revision, or those of them whose ordinals are wanted.
local function read_results(conn, campaign_id, revision, is_wanted)
  local results, last = { n = 0 }, 0
  for _, field in ipairs(READ_FIELDS) do
    results[field] = {}
  end
  local statement = conn:prepare(READ)
  repeat
    local rows = conn:query(statement, campaign_id, revision, last, READ_AT_ONCE)
    for _, row in ipairs(rows) do
      last = row.ordinal
      if not is_wanted or is_wanted(row.ordinal) then
        results.n = results.n + 1
        for _, field in ipairs(READ_FIELDS) do
          results[field][results.n] = row[field]
        end
      end
    end
  until #rows < READ_AT_ONCE
  return results
end

local function by_ordinal(a, b)
  return a.first_ordinal < b.first_ordinal
end

--- Roles follow from controls while a file is read: those of earlier files would be others now.
local function check_controls(state, kept)
  if state.same_controls then
    return
  end
  local names = {}
  for i, source in ipairs(kept) do
    names[i] = text.shown(source.source, 60)
  end
  errors.raise { kind = "usage", code = "controls",
    message = ("'%s' declares other controls than those by which revision %d was read"):format(
      text.shown(state.campaign.name, 40), state.revision.revision),
    detail = ("read before: %s"):format(table.concat(names, ", ")),
    hint = "Name the earlier files too, so that they are read again, or leave out what they gave: --only" }
end

--- What of the current revision stays when some of its sources are read again and others are
--- added: nil when nothing does.
---@param conn table
---@param state ligase.campaign_state
---@param is_again fun(source: ligase.campaign_source): boolean whether it is read again
---@return table|nil earlier n, lists by field, and `sources`; `source` says for each result which one
function M.earlier(conn, state, is_again)
  local revision, kept = state.revision, {}
  for _, source in ipairs(revision and revision.sources or {}) do
    kept[#kept + 1] = not is_again(source) and source or nil
  end
  if #kept == 0 then
    return nil
  end
  check_controls(state, kept)
  local all, place_of, at = table.move(revision.sources, 1, #revision.sources, 1, {}), {}, 1
  table.sort(all, by_ordinal)
  table.sort(kept, by_ordinal)
  for place, source in ipairs(kept) do
    place_of[source] = place
  end
  local places = {}
  local results = read_results(conn, state.campaign.id, revision.revision, function(ordinal)
    while all[at + 1] and all[at + 1].first_ordinal <= ordinal do
      at = at + 1
    end
    places[#places + 1] = place_of[all[at]]
    return place_of[all[at]] ~= nil
  end)
  results.source, results.sources = places, kept
  return results
end

-- ---- reckoning anew --------------------------------------------------------

--- Reckons a campaign's current values anew when it declares another direction or hit rule
--- than they were reckoned by. To be called after the campaign's row was changed.
---@param changes ligase.changes
---@param campaign_id string
---@return integer|nil revision the new one
---@return {hits: integer, undecided: integer}|nil hits
function M.reckon(changes, campaign_id)
  local conn = changes.conn
  local state = M.current(conn, campaign_id)
  local revision, campaign = state.revision, state.campaign
  if not revision or revision.direction == campaign.direction and state.same_declaration then
    return nil
  end
  local rule = campaign.hit_rule ~= null and campaign.hit_rule or nil
  if revision.direction == campaign.direction
    and json.encode(revision.hit_rule) == json.encode(campaign.hit_rule) then
    return nil -- only the controls: these are roles, which are read from the file
  end
  local results = read_results(conn, campaign_id, revision.revision)
  local plates, hits = derive.run(results, { rule = rule,
    direction = campaign.direction ~= null and campaign.direction or nil })
  local number = M.write(changes, state, { results = results, plates = plates, hits = hits, source = revision.source,
    sha256 = revision.source_sha256, bytes = revision.source_bytes, rows = revision.row_count,
    recipe = { name = revision.recipe, sha256 = revision.recipe_sha256 }, sources = revision.sources,
    given = revision.given, doubts = revision.doubts,
    reckoning_doubts = report.reckoning_doubts(plates, hits, campaign), derived_from = revision.revision })
  return number, hits
end

-- ---- looking ---------------------------------------------------------------

--- A campaign's revisions, the oldest first.
---@param conn table
---@param campaign_id string
---@return table[] rows
function M.revisions(conn, campaign_id)
  return conn:query([[
SELECT revision, derived_from, run_id, source, jsonb_array_length(sources) AS source_count, recipe,
  row_count, result_count, value_count, linked_count, plate_count,
  hit_count, undecided_count, direction, hit_rule ->> 'text' AS rule, controls, doubts || reckoning_doubts AS doubts,
  to_char(created_at, 'YYYY-MM-DD HH24:MI:SS TZ') AS created_at
FROM screening_revisions WHERE campaign_id = $1 ORDER BY revision]], campaign_id)
end

--- The plates of a revision, for a table.
---@param conn table
---@param campaign_id string
---@param revision integer
---@return table result as conn:table gives it
function M.plates(conn, campaign_id, revision)
  return conn:table([[
SELECT plate, well_count AS wells, sample_count AS samples, positive_count AS pos, negative_count AS neg,
  round(z_prime::numeric, 3) AS "Z'", round(signal_window::numeric, 2) AS "signal window", hit_count AS hits,
  reason AS "no Z' because"
FROM screening_plates WHERE campaign_id = $1 AND revision = $2 ORDER BY ordinal]], campaign_id, revision)
end

--- Results of a revision, for a table: all, or the hits alone, the strongest first.
---@param conn table
---@param campaign_id string
---@param revision integer
---@param only_hits boolean
---@param limit integer|nil
---@return table result as conn:table gives it
function M.results(conn, campaign_id, revision, only_hits, limit)
  return conn:table([[
SELECT coalesce(k.code, k.name, s.source_name) AS compound, s.plate, s.well, s.role, s.measure, s.relation, s.value,
  s.unit, s.concentration_m, round(s.percent_effect::numeric, 2) AS percent, round(s.z_score::numeric, 2) AS z,
  round(s.robust_z::numeric, 2) AS robust_z, s.is_hit AS hit, s.cells
FROM screening_results AS s LEFT JOIN compounds AS k ON k.id = s.compound_id
WHERE s.campaign_id = $1 AND s.revision = $2 AND (NOT $3::boolean OR s.is_hit)
ORDER BY CASE WHEN $3::boolean THEN -abs(coalesce(s.percent_effect, s.z_score)) END,
  CASE WHEN $3::boolean THEN s.value END, s.ordinal LIMIT $4]],
    campaign_id, revision, only_hits, limit or null)
end

return M
