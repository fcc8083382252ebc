--- One revision of one dataset, written whole or not at all.
---
--- Everything happens in one transaction: the rows by binary COPY, then features and
--- receipts of the names that are new, then dataset, revision, journal and outbox.
--- Round trips are few because small files are many: one to begin and look, two for
--- the COPY, one to end.
local changes_of = require "ligase.store.changes"
local entities = require "ligase.store.entities"
local entity_kinds = require "ligase.store.entity_kinds"
local entity_links = require "ligase.store.entity_links"
local errors = require "ligase.base.errors"
local features = require "ligase.store.features"
local json = require "ligase.base.json"
local mirrors = require "ligase.store.mirrors"
local page_owners = require "ligase.store.page_owners"
local pg = require "pg"
local sys = require "sys"

local M = {}

--- Held to the transaction's end: two ingests of one dataset follow one another.
local LOCK = "SELECT pg_advisory_xact_lock($1)"

local FIND = [[
SELECT d.id, d.current_revision, d.program_id, d.experiment_id, d.organism, to_jsonb(d)::text AS before, r.revision,
  r.source_sha256, r.recipe_sha256, r.dialect -> 'given' = $3::jsonb AS same_given
FROM datasets AS d LEFT JOIN revisions AS r ON r.dataset_id = d.id
WHERE d.omics_type = $1 AND d.name = $2]]

--- A rollback may have left rows of a later revision than those that the dataset has now.
local LAST_STORED = "SELECT max(revision) AS last FROM measurements WHERE dataset_id = $1"

local INSERT_DATASET = [[
INSERT INTO datasets (id, omics_type, name, current_revision, program_id, experiment_id, organism, notion_page_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)]]

local UPDATE_DATASET = [[
UPDATE datasets SET current_revision = $2, program_id = $3, experiment_id = $4, organism = $5,
  notion_page_id = coalesce($6, notion_page_id), updated_at = now()
WHERE id = $1]]

local INSERT_REVISION = [[
INSERT INTO revisions (dataset_id, revision, run_id, source, source_bytes, source_sha256, recipe, recipe_sha256,
  dialect, columns, contrasts, sample_names, sample_quantities, sample_units, sample_text, sample_count, row_count,
  value_count, feature_count, cell_count)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)]]

local COUNT_FEATURES = [[
SELECT count(DISTINCT feature_key) AS features FROM measurements WHERE dataset_id = $1 AND revision = $2]]

local MEASUREMENT_COLUMNS = {
  { "dataset_id", "uuid" }, { "revision", "int4" }, { "ordinal", "int8" }, { "feature_key", "int8" },
  { "source_name", "text" }, { "values", "float8[]" }, { "texts", "text[]" }, { "cells", "jsonb" },
}

---@class ligase.dataset_details
---@field program string|string[]|nil the programs it belongs to, the first one first; nil leaves them as they are
---@field experiment string|string[]|nil the experiments it comes from
---@field organism string|nil
---@field notion_page_id string|nil the page that shows it
---@field create boolean|nil programs and experiments that are not there are made

---@class ligase.ingestion
---@field conn table
---@field run ligase.run
---@field existing table|nil the dataset as it was: {id, current_revision, last_revision, ...}
---@field unchanged boolean the file, recipe and answers are those of the current revision
---@field dataset_id string
---@field revision integer
local Ingestion = {}
Ingestion.__index = Ingestion

local function read_existing(rows)
  local first = rows[1]
  if not first then
    return nil
  end
  local existing = { id = first.id, current_revision = first.current_revision, program_id = first.program_id,
    experiment_id = first.experiment_id, organism = first.organism, before = changes_of.raw(first.before),
    last_revision = 0 }
  for _, row in ipairs(rows) do
    if row.revision ~= pg.null then
      existing.last_revision = math.max(existing.last_revision, row.revision)
      if row.revision == first.current_revision then
        existing.current = row
      end
    end
  end
  return existing
end

--- Raises "usage" when the page that is given for the dataset is another entity's.
---@param given ligase.dataset_details
function Ingestion:check_page(given)
  if given.notion_page_id then
    page_owners.refuse_taken(self.conn, given.notion_page_id, self.existing and self.existing.id)
  end
end

local function encoded_given(given)
  return json.encode(next(given) and given or json.decode("{}"))
end

--- The dataset as it is, without any lock: for saying what would happen.
---@param conn table
---@param what {omics: string, name: string, given: table}
---@return ligase.ingestion one that only answers is_current and check_page
function M.peek(conn, what)
  local existing = read_existing(conn:query(FIND, what.omics, what.name, encoded_given(what.given)))
  return setmetatable({ conn = conn, existing = existing, revision = existing and existing.last_revision + 1 or 1,
    ended = true }, Ingestion)
end

--- What notes the changes. A page that is asked for is told of whatever the policy says.
local function noted_of(run, what)
  local outbox = what.outbox
  if what.create_page and not changes_of.is_told(outbox, "datasets") then
    outbox = { datasets = true }
    for tbl in pairs(what.outbox or {}) do
      outbox[tbl] = true
    end
  end
  return changes_of.new(run, outbox, what.create_page)
end

--- Begins the transaction and looks the dataset up. Close it with :finish, or with
--- :abandon, which rolls everything back. In a transaction that is open already (a
--- worker's, which claimed the file in it) it is a savepoint of that one: finishing
--- leaves the COMMIT to its owner, abandoning leaves the owner's part.
---@param conn table
---@param run ligase.run
---@param what {omics: string, name: string, given: table, outbox: boolean|table<string, boolean>|nil,
--- create_page: boolean|nil} create_page: Notion is told of the dataset in any case
---@return ligase.ingestion
function M.begin(conn, run, what)
  local within = conn:transaction_status() == "in transaction"
  local self = setmetatable({ conn = conn, run = run, what = what, within = within, new_features = 0, new_names = 0,
    numbers = 0, kept = 0, misfits = {}, noted = noted_of(run, what) }, Ingestion)
  local begun, results = pcall(conn.pipeline, conn, function(p)
    -- Looking after locking is right only when each statement sees what was committed before it.
    p:query(within and "SAVEPOINT ingestion" or "BEGIN ISOLATION LEVEL READ COMMITTED")
    p:query(conn:prepare(LOCK), sys.hash64("dataset\0" .. what.omics .. "\0" .. what.name))
    p:query(conn:prepare(FIND), what.omics, what.name, encoded_given(what.given))
  end)
  if not begun then
    self:abandon()
    error(results, 0)
  end
  self.existing = read_existing(results[3])
  if self.existing then
    local stored = conn:query(conn:prepare(LAST_STORED), self.existing.id)[1].last
    self.existing.last_revision = math.max(self.existing.last_revision, stored ~= pg.null and stored or 0)
  end
  self.dataset_id = self.existing and self.existing.id or sys.uuid7()
  self.revision = self.existing and self.existing.last_revision + 1 or 1
  return self
end

--- Whether the current revision was read from this very file by this very recipe.
---@param sha256 string of the source
---@param recipe ligase.recipe
---@return boolean
function Ingestion:is_current(sha256, recipe)
  local current = self.existing and self.existing.current
  return current ~= nil and current.source_sha256 == sha256 and current.recipe_sha256 == recipe.sha256
    and current.same_given == true
end

--- Sends one frame's rows.
---@param frame table
---@param values table by column of measurements: ordinal, feature_key, source_name, values, texts, cells
function Ingestion:write(frame, values)
  if not self.copy then
    self.copy = self.conn:copy_in("measurements", MEASUREMENT_COLUMNS)
  end
  values.dataset_id = self.dataset_id
  values.revision = self.revision
  self.copy:write(frame, values)
end

--- All rows are written: Postgres gets the last of them, and works on them while the
--- caller does something else.
function Ingestion:seal()
  if self.copy then
    self.copy:seal()
  end
end

--- Ends the COPY and waits until Postgres has all rows.
function Ingestion:end_copy()
  if self.copy then
    local counts = self.copy:counts()
    self.copy:finish()
    self.copy = nil
    self.numbers = self.numbers + counts.numbers
    self.kept = self.kept + counts.kept
    for i, count in ipairs(counts.misfits or {}) do
      self.misfits[i] = (self.misfits[i] or 0) + count
    end
  end
end

--- How many cells of each column of numbers were neither a number nor a missing mark, in
--- slot order, as far as rows were sent.
---@return integer[]
function Ingestion:misfit_counts()
  local counts = table.move(self.misfits, 1, #self.misfits, 1, {})
  for i, count in ipairs(self.copy and self.copy:counts().misfits or {}) do
    counts[i] = (counts[i] or 0) + count
  end
  return counts
end

--- Writes what is missing of a resolver's names.
---@param resolver ligase.resolver
---@param waiting ligase.waiting taken from it
---@param meanwhile fun()|nil called once, while Postgres works on what was sent
function Ingestion:link(resolver, waiting, meanwhile)
  local function once()
    local call = meanwhile
    meanwhile = nil
    if call then
      call()
    end
  end
  local expected = features.expect(resolver, waiting)
  if not expected then
    once()
  end
  self:end_copy()
  if #waiting.raws > 0 then
    local new_features, new_names = features.remember(self.conn, resolver, waiting, self.run.id, expected, once)
    self.new_features = self.new_features + new_features
    self.new_names = self.new_names + new_names
  end
  resolver:wrote()
  once()
end

--- The programs or experiments named, each as text.
local function words_of(given)
  return type(given) == "table" and given or given and { given } or {}
end

--- Looks up what is named; raises "usage" for what is not there and may not be made.
local function look_up(linker, given)
  for kind_name, words in pairs { program = words_of(given.program), experiment = words_of(given.experiment) } do
    for _, word in ipairs(words) do
      linker:known_or_new(kind_name, word)
    end
  end
end

--- Raises "usage" when a program or experiment that is named is not there and may not be
--- made, with the nearest names.
---@param conn table
---@param given ligase.dataset_details
function M.check_links(conn, given)
  look_up(entities.changes(conn, {}, { create = given.create }), given)
end

--- The same in the transaction, before any row is read; those that are new are made at its
--- end, because others who make them too wait for it from then on.
---@param given ligase.dataset_details
function Ingestion:look_up_links(given)
  self.linker = entities.changes(self.conn, self.run, { create = given.create, noted = self.noted })
  look_up(self.linker, given)
end

--- The ids of the programs or experiments named, or nil when none is; those that are not
--- there are made.
local function linked_ids(self, kind_name, given)
  if given == nil then
    return nil
  end
  local ids, seen = {}, {}
  for _, word in ipairs(words_of(given)) do
    local id = self.linker:resolve(kind_name, word)
    ids[#ids + 1] = not seen[id] and id or nil
    seen[id] = true
  end
  return ids
end

--- The dataset's details after this ingest, and whether they differ from before. What is
--- named replaces what it was linked to.
local function dataset_details(self, given)
  local before = self.existing or { program_id = pg.null, experiment_id = pg.null, organism = {} }
  if not self.linker then
    self:look_up_links(given)
  end
  local links = { programs = linked_ids(self, "program", given.program),
    experiments = linked_ids(self, "experiment", given.experiment) }
  local after = {
    links = links,
    program_id = links.programs and links.programs[1] or before.program_id,
    experiment_id = links.experiments and links.experiments[1] or before.experiment_id,
    organism = given.organism and { given.organism } or before.organism,
    notion_page_id = given.notion_page_id or pg.null,
  }
  local differs = after.program_id ~= before.program_id or after.experiment_id ~= before.experiment_id
    or table.concat(after.organism, "\0") ~= table.concat(before.organism, "\0")
    or given.notion_page_id ~= nil and given.notion_page_id ~= (before.before or {}).notion_page_id
  return after, differs
end

--- Writes the dataset's row, unless that was done.
local function queue_dataset(self, p, details, revision)
  local conn, existing = self.conn, self.existing
  if self.is_written then
    return
  end
  self.is_written = true
  if existing then
    p:query(conn:prepare(UPDATE_DATASET), self.dataset_id, revision, details.program_id, details.experiment_id,
      pg.array(details.organism), details.notion_page_id)
    if details.notion_page_id ~= pg.null then
      mirrors.part(p, "datasets", pg.array({ self.dataset_id }, "uuid"))
    end
  else
    p:query(conn:prepare(INSERT_DATASET), self.dataset_id, self.what.omics, self.what.name, revision,
      details.program_id, details.experiment_id, pg.array(details.organism), details.notion_page_id)
  end
  self.noted:note("datasets", self.dataset_id, existing and existing.before, { revision = revision,
    name = self.what.name })
end

--- Writes the links beyond the first ones, which refer to the dataset's row.
---@return boolean changed
local function write_links(self, details, revision)
  local links = details.links
  local is_plain = #(links.programs or {}) < 2 and #(links.experiments or {}) < 2
  if not (links.programs or links.experiments) or not self.existing and is_plain then
    return false
  end
  if not self.existing then
    queue_dataset(self, self.conn, details, revision)
  end
  local touched = entity_links.write(self.conn, self.noted, entity_kinds.get "dataset", {
    { id = self.dataset_id, record = { links = links } } })
  return next(touched) ~= nil
end

--- The journal's entry, and after it what other systems have to learn.
local function queue_journal(self, p, outcome, counts)
  self.noted:write(self.conn, p, outcome, counts)
end

--- Makes what was queued good, unless the transaction is somebody else's.
local function queue_commit(self, p)
  p:query(self.within and "RELEASE SAVEPOINT ingestion" or "COMMIT")
end

--- Three arrays by slot of measurements.values, NULL for other columns: the samples, what
--- was measured of them, and the units; the last two only when a column has one. The
--- values of a long table have a quantity and no sample of their own.
local function sample_arrays(plan)
  local samples, quantities, units, any_quantity, any_unit = {}, {}, {}, false, false
  for _, column in ipairs(plan.columns) do
    if column.type == "number" and column.slot then
      local is_sample, is_value = column.role == "sample", column.role == "value"
      local quantity = is_value and (column.quantity or column.name) or is_sample and column.quantity
      local unit = (is_sample or is_value) and column.unit
      samples[column.slot] = is_sample and (column.sample_id or column.name) or pg.null
      quantities[column.slot], units[column.slot] = quantity or pg.null, unit or pg.null
      any_quantity, any_unit = any_quantity or quantity, any_unit or unit
    end
  end
  return pg.array(samples), any_quantity and pg.array(quantities) or pg.null, any_unit and pg.array(units) or pg.null
end

--- What a revision says of its columns, as parameters of its INSERT. Making them takes
--- time that is free while Postgres still works on the rows.
---@param findings table
---@param plan ligase.column_plan
---@return table description
function M.describe(findings, plan)
  local sample_names, sample_quantities, sample_units = sample_arrays(plan)
  return { dialect = json.encode(findings), columns = json.encode(plan.columns),
    contrasts = json.encode(json.array(plan.contrasts)), sample_names = sample_names,
    sample_quantities = sample_quantities, sample_units = sample_units,
    sample_text = plan.sample_name and plan.sample_name.slot, sample_count = plan.samples }
end

--- Ends the transaction with a new current revision.
---@param read {source: string, info: table, findings: table, plan: ligase.column_plan, recipe: ligase.recipe,
--- feature_count: integer|nil, description: table|nil} feature_count: nil when Postgres has to count; description:
--- from describe
---@param given ligase.dataset_details
---@return table report
function Ingestion:finish(read, given)
  self:end_copy()
  local conn, run, info = self.conn, self.run, read.info
  local description = read.description or M.describe(read.findings, read.plan)
  local details = dataset_details(self, given)
  write_links(self, details, self.revision)
  local feature_count = read.feature_count
    or conn:query(COUNT_FEATURES, self.dataset_id, self.revision)[1].features
  local counts = { rows = info.rows, values = self.numbers, kept = self.kept, features = feature_count,
    features_new = self.new_features, names_new = self.new_names, bytes = info.bytes }
  conn:pipeline(function(p)
    queue_dataset(self, p, details, self.revision)
    p:query(conn:prepare(INSERT_REVISION), self.dataset_id, self.revision, run.id, read.source, info.bytes, info.sha256,
      read.recipe.name, read.recipe.sha256, description.dialect, description.columns, description.contrasts,
      description.sample_names, description.sample_quantities, description.sample_units, description.sample_text,
      description.sample_count, info.rows, self.numbers, feature_count, self.kept)
    self.noted.changes[#self.noted.changes + 1] = { table = "revisions", id = self.dataset_id,
      revision = self.revision, before = json.null }
    queue_journal(self, p, "done", counts)
    queue_commit(self, p)
  end)
  self.ended = true
  return { outcome = self.existing and "revised" or "created", dataset_id = self.dataset_id, revision = self.revision,
    run_id = run.id, counts = counts }
end

--- Ends the transaction without a new revision: the file is the one that is there.
--- Details that were given (program, ...) are still applied.
---@param given ligase.dataset_details
---@return table report
function Ingestion:finish_unchanged(given)
  local details, differs = dataset_details(self, given)
  differs = write_links(self, details, self.existing.current_revision) or differs
  self.conn:pipeline(function(p)
    if differs then
      queue_dataset(self, p, details, self.existing.current_revision)
    elseif self.what.create_page then
      self.noted:tell("datasets", self.dataset_id, "update", { name = self.what.name })
    end
    queue_journal(self, p, differs and "done" or "unchanged")
    queue_commit(self, p)
  end)
  self.ended = true
  return { outcome = "unchanged", details_changed = differs, dataset_id = self.dataset_id,
    revision = self.existing.current_revision, run_id = self.run.id }
end

--- Rolls everything back, unless it was finished. Raises nothing but an interruption: it
--- runs on the way out of a failure. A lost connection has rolled back by itself.
function Ingestion:abandon()
  if self.ended then
    return
  end
  self.ended = true
  errors.try(function()
    if self.copy then
      self.copy:close()
    end
    if self.within then
      self.conn:script("ROLLBACK TO SAVEPOINT ingestion; RELEASE SAVEPOINT ingestion")
    else
      self.conn:rollback()
    end
  end)
end

Ingestion.__close = Ingestion.abandon

--- Whether a failure leaves open if the transaction was committed.
---@param failure any
---@return boolean
function M.is_unknown(failure)
  return errors.is(failure, "database") and failure.unknown_outcome == true
end

return M
