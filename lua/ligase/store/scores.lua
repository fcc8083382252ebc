--- Scores in Postgres: written many at once, and asked for.
---
--- A score is known by dataset, revision, signature, method and contrast, and carries the hash of
--- everything it was computed from. What has the same hash is not written again.
local errors = require "ligase.base.errors"
local flagged = require "ligase.store.flagged"
local pg = require "pg"
local runs = require "ligase.store.runs"
local score_journal = require "ligase.store.score_journal"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local COLUMNS = { { "dataset_id", "uuid" }, { "signature_id", "uuid" }, { "run_id", "uuid" }, { "score", "float8" },
  { "p_value", "float8" }, { "coverage", "float8" }, { "revision", "int4" }, { "matched_count", "int4" },
  { "component_count", "int4" }, { "is_match", "bool" }, { "method", "text" }, { "parameters_key", "int8" },
  { "contrast", "text" }, { "level", "text" }, { "input_sha256", "text" }, { "details", "jsonb" } }

--- Fields of a block that are lists, one entry for each signature.
local LISTS = { "signature_id", "score", "p_value", "coverage", "matched_count", "component_count", "is_match",
  "level", "input_sha256", "details" }

local EXISTING = [[
SELECT signature_id, input_sha256 FROM dataset_signatures
WHERE dataset_id = $1 AND revision = $2 AND method = $3 AND contrast = $4]]

local REPLACED = "dataset_id = $1 AND revision = $2 AND method = $3 AND contrast = $4 "
  .. "AND signature_id = ANY ($5::uuid[])"

--- Scores of one dataset by one method and contrast. Lists have one entry for each signature.
---@class ligase.score_block
---@field dataset_id string
---@field revision integer
---@field method string
---@field method_version string
---@field contrast string
---@field parameters string JSON
---@field parameters_key integer
---@field signature_id string[]
---@field score (number|userdata)[]
---@field p_value (number|userdata)[]|userdata
---@field coverage number[]
---@field matched_count integer[]
---@field component_count integer[]
---@field is_match (boolean|userdata)[]
---@field level (string|userdata)[]
---@field input_sha256 string[]
---@field details (string|userdata)[]|userdata JSON

--- The places of a block that are to be written, and the signatures whose scores they replace.
local function changed_of(block, existing)
  local known, places, replaced = {}, {}, {}
  for _, row in ipairs(existing) do
    known[row.signature_id] = row.input_sha256
  end
  for i, id in ipairs(block.signature_id) do
    local before = known[id]
    if before ~= block.input_sha256[i] then
      places[#places + 1] = i
      replaced[#replaced + 1] = before and id or nil
    end
  end
  return places, replaced
end

--- A block of some of its places.
local function part_of(block, places)
  local part = setmetatable({}, { __index = block })
  for _, field in ipairs(LISTS) do
    local list = block[field]
    if type(list) == "table" then
      local some = {}
      for i, place in ipairs(places) do
        some[i] = list[place]
      end
      part[field] = some
    end
  end
  return part
end

--- What of the blocks is new or changed; scores that are replaced go into the journal.
local function left_of(conn, blocks, run_id)
  local statement = conn:prepare(EXISTING)
  local found = conn:pipeline(function(p)
    for _, block in ipairs(blocks) do
      p:query(statement, block.dataset_id, block.revision, block.method, block.contrast)
    end
  end)
  local left, counts, journal = {}, { written = 0, unchanged = 0 }, score_journal.new(conn, { id = run_id })
  for i, block in ipairs(blocks) do
    local count = #block.signature_id
    if #found[i] > 0 then
      local places, replaced = changed_of(block, found[i])
      if #replaced > 0 then
        journal:take(REPLACED, block.dataset_id, block.revision, block.method, block.contrast,
          pg.array(replaced, "uuid"))
      end
      counts.unchanged = counts.unchanged + count - #places
      block, count = part_of(block, places), #places
    end
    counts.written = counts.written + count
    left[#left + 1] = count > 0 and block or nil
  end
  journal:finish()
  return left, counts
end

local function row_values(block, run_id)
  local values = { run_id = run_id }
  for _, column in ipairs(COLUMNS) do
    local name = column[1]
    if name ~= "run_id" then
      values[name] = block[name]
    end
  end
  return values
end

local INSERT_PARAMETERS = [[
INSERT INTO score_parameters (key, method, method_version, parameters) VALUES ($1, $2, $3, $4)
ON CONFLICT (key) DO NOTHING]]

--- Makes sure that how scores are computed is on record. Looked up first: they hardly change.
local function write_parameters(conn, blocks)
  local keys, by_key = {}, {}
  for _, block in ipairs(blocks) do
    if not by_key[block.parameters_key] then
      by_key[block.parameters_key] = block
      keys[#keys + 1] = block.parameters_key
    end
  end
  for _, row in ipairs(conn:query("SELECT key FROM score_parameters WHERE key = ANY ($1::int8[])",
    pg.int8_array(keys))) do
    by_key[row.key] = nil
  end
  for _, key in ipairs(keys) do
    local block = by_key[key]
    if block then
      conn:query(INSERT_PARAMETERS, key, block.method, block.method_version, block.parameters)
    end
  end
end

---@class ligase.score_writer
local Writer = {}
Writer.__index = Writer

--- Sends a block.
---@param block ligase.score_block
function Writer:write(block)
  self.copy:write(#block.signature_id, row_values(block, self.run_id))
  self.written = self.written + #block.signature_id
end

--- Ends the sending; what it stood for is written.
function Writer:finish()
  self.copy:finish()
end

--- Abandons it, unless it was finished.
function Writer:__close()
  self.copy:close()
end

--- Sends blocks one by one while more are computed: of datasets of which nothing is stored by
--- these methods. Nothing else can be asked on the connection meanwhile.
---@param conn table in a transaction that holds the datasets' locks
---@param heads ligase.score_block[] method, method_version, parameters and their key, of all blocks to come
---@param run_id string
---@return ligase.score_writer close it
function M.writer(conn, heads, run_id)
  write_parameters(conn, heads)
  return setmetatable({ copy = conn:copy_in("dataset_signatures", COLUMNS), run_id = run_id, written = 0 }, Writer)
end

--- Whether any of the datasets has a score by one of the methods.
---@param conn table
---@param ids string[] of datasets
---@param methods string[]
---@return boolean
function M.has_any(conn, ids, methods)
  return #conn:query("SELECT 1 FROM dataset_signatures WHERE dataset_id = ANY ($1::uuid[]) AND method = ANY "
    .. "($2::text[]) LIMIT 1", pg.array(ids, "uuid"), pg.array(methods, "text")) > 0
end

--- Writes blocks of scores in the caller's transaction, which holds the datasets' locks. Scores
--- of the same inputs stay as they are, others are replaced.
---@param conn table
---@param blocks ligase.score_block[]
---@param run_id string
---@return {written: integer, unchanged: integer} counts
function M.write(conn, blocks, run_id)
  local left, counts = left_of(conn, blocks, run_id)
  if #left > 0 then
    local writer <close> = M.writer(conn, left, run_id)
    for _, block in ipairs(left) do
      writer:write(block)
    end
    writer:finish()
  end
  return counts
end

--- Two who score one dataset follow one another. Locks are taken in the order of the ids.
---@param conn table in a transaction
---@param ids string[] in order
function M.lock(conn, ids)
  local statement = conn:prepare "SELECT pg_advisory_xact_lock($1::int8)"
  conn:pipeline(function(p)
    for _, id in ipairs(ids) do
      p:query(statement, sys.hash64("scores\0" .. id))
    end
  end)
end

--- Journals a run of scoring.
---@param conn table
---@param run ligase.run
---@param counts table
function M.journal(conn, run, counts)
  conn:query(runs.INSERT, runs.parameters(run, counts.written > 0 and "done" or "unchanged", { counts = counts,
    changes = score_journal.entry(run.id) }))
end

-- ---- asking ----------------------------------------------------------------

local SHOWN = [[
signature, signature_version AS version, method, nullif(contrast, '') AS contrast,
  round(score::numeric, 4) AS score, CASE WHEN p_value < 0.0001 THEN to_char(p_value, '9.99EEEE')
  ELSE round(p_value::numeric, 4)::text END AS p, round(coverage::numeric, 3) AS coverage,
  matched_count || '/' || component_count AS matched, level, is_match AS match]]

--- The scores of a dataset's current revision, the best first.
---@param conn table
---@param dataset_id string
---@param wanted {all: boolean|nil, method: string|nil, contrast: string|nil, limit: integer, methods: string[]|nil,
--- signatures: string[]|nil} signatures: their ids
---@return table result as conn:table gives it
function M.of_dataset(conn, dataset_id, wanted)
  return conn:table(([[
SELECT %s FROM signature_scores
WHERE dataset_id = $1 AND ($2::boolean OR is_match OR is_match IS NULL AND score IS NOT NULL)
  AND ($3::text IS NULL OR method = $3) AND ($4::text IS NULL OR contrast = $4)
  AND ($6::text[] IS NULL OR method = ANY ($6::text[])) AND ($7::uuid[] IS NULL OR signature_id = ANY ($7::uuid[]))
ORDER BY signature_scores.method, is_match DESC NULLS LAST, signature_scores.score DESC NULLS LAST,
  p_value NULLS LAST, signature, signature_version, signature_scores.contrast LIMIT $5]]):format(SHOWN), dataset_id,
    wanted.all == true, wanted.method or pg.null, wanted.contrast or pg.null, wanted.limit,
    wanted.methods and pg.array(wanted.methods, "text") or pg.null,
    wanted.signatures and pg.array(wanted.signatures, "uuid") or pg.null)
end

--- The scores by a signature, the best first.
---@param conn table
---@param signature_id string
---@param wanted {all: boolean|nil, method: string|nil, contrast: string|nil, limit: integer}
---@return table result as conn:table gives it
function M.of_signature(conn, signature_id, wanted)
  return conn:table(([[
SELECT dataset, omics_type AS omics, %s FROM signature_scores
WHERE signature_id = $1 AND %s
  AND ($2::text IS NULL OR method = $2) AND ($3::text IS NULL OR contrast = $3)
ORDER BY signature_scores.method, is_match DESC NULLS LAST, signature_scores.score DESC NULLS LAST,
  p_value NULLS LAST, dataset, omics_type, signature_scores.contrast LIMIT $4]]):format(
    SHOWN:gsub("^%s*signature, signature_version AS version, ", ""), wanted.all and "true" or "is_match"),
    signature_id, wanted.method or pg.null, wanted.contrast or pg.null, wanted.limit)
end

local STORED = [[
SELECT x.score, x.p_value, x.coverage, x.matched_count, x.component_count, x.is_match, x.method, p.method_version,
  x.contrast, x.level, x.input_sha256, p.parameters, x.details, x.run_id, x.revision,
  to_char(x.created_at, 'YYYY-MM-DD HH24:MI:SS TZ') AS scored_at
FROM dataset_signatures AS x LEFT JOIN score_parameters AS p ON p.key = x.parameters_key
WHERE x.dataset_id = $1 AND x.revision = $2 AND x.signature_id = $3 AND ($4::text IS NULL OR x.method = $4)
  AND ($5::text IS NULL OR x.contrast = $5)
ORDER BY x.method = 'concordance' DESC, x.method, x.contrast]]

local function listed(rows)
  local names = {}
  for i, row in ipairs(rows) do
    names[i] = ("%s%s"):format(row.method, row.contrast ~= "" and (" (%s)"):format(row.contrast) or "")
  end
  return table.concat(names, ", ")
end

--- One stored score. Raises "usage" when there is none, or when more than one may be meant.
---@param conn table
---@param dataset {id: string, name: string, current_revision: integer}
---@param signature {id: string, name: string}
---@param method string|nil
---@param contrast string|nil
---@return table score
function M.get(conn, dataset, signature, method, contrast)
  local rows = conn:query(STORED, dataset.id, dataset.current_revision, signature.id, method or pg.null,
    contrast or pg.null)
  local first = rows[1]
  if not first then
    errors.raise { kind = "usage", code = "score", message = ("'%s' was not scored by '%s'%s"):format(
      text.printable(dataset.name), text.printable(signature.name), (method or contrast) and " in that way" or ""),
      hint = ("Score it: ligase score '%s' --signature '%s'"):format(text.printable(dataset.name),
        text.printable(signature.name)) }
  elseif rows[2] and rows[2].method == first.method or rows[2] and method then
    errors.raise { kind = "usage", code = "ambiguous_score", message = ("there are %d such scores: %s"):format(#rows,
      listed(rows)), hint = "Say which: --method NAME --contrast NAME" }
  end
  return first
end

local CELLS = [[
SELECT m.feature_key, m.ordinal, m.source_name, m.values[$4::int4] AS effect, m.values[$5::int4] AS p, m.values
FROM measurements AS m WHERE m.dataset_id = $1 AND m.revision = $2 AND m.feature_key = ANY ($3::int8[]) %s
ORDER BY m.ordinal]]

--- The rows of some features in a revision, without those that are flagged.
---@param conn table
---@param dataset ligase.scored_dataset
---@param keys integer[]
---@param effect integer|nil slot
---@param p integer|nil slot
---@return table[] rows {feature_key, ordinal, source_name, effect, p, values}
function M.cells(conn, dataset, keys, effect, p)
  return conn:query(flagged.without(dataset, CELLS, dataset.id, dataset.revision, pg.int8_array(keys),
    effect or pg.null, p or pg.null))
end

return M
