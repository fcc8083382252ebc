--- Part 2: many small files, one dataset and one transaction each, on one
--- connection, with a million rows already there; beside row-by-row upserts, and beside
--- the limit: the same rows, features and receipts, digested in memory, by the same COPYs
--- in the same transactions.
local generate = require "tests.bench.generate"
local measure = require "tests.bench.measure"
local server = require "tests.bench.server"

local csv = require "csv"
local sys = require "sys"

local M = {}

local ROWS, SAMPLES = 500, 6
local PRELOAD_FILES = 2000
local FILES = 300
--- Row by row is slow: fewer files show its rate as well.
local ORM_FILES = 20

--- What such a schema looks like behind an ORM: surrogate keys, a unique name, one
--- row per link with its values.
local ORM_SCHEMA = [[
  CREATE SCHEMA orm;
  CREATE TABLE orm.features (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feature_type text NOT NULL, name text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (feature_type, name));
  CREATE TABLE orm.measurements (
    dataset_id uuid NOT NULL, feature_id bigint NOT NULL, values float8[] NOT NULL,
    PRIMARY KEY (dataset_id, feature_id));
  CREATE INDEX ON orm.measurements (feature_id);
  INSERT INTO orm.features (feature_type, name) SELECT feature_type, name FROM features;
  INSERT INTO orm.measurements (dataset_id, feature_id, values)
    SELECT m.dataset_id, o.id, m.values FROM measurements AS m
    JOIN features AS f ON f.key = m.feature_key
    JOIN orm.features AS o ON o.name = f.name AND o.feature_type = f.feature_type
    ON CONFLICT DO NOTHING;
  ANALYZE orm.features, orm.measurements]]

local ORM_FEATURE = [[
  INSERT INTO orm.features (feature_type, name) VALUES ($1, $2)
  ON CONFLICT (feature_type, name) DO UPDATE SET updated_at = now() RETURNING id]]

local ORM_ROW = [[
  INSERT INTO orm.measurements (dataset_id, feature_id, values) VALUES ($1, $2, $3::float8[])
  ON CONFLICT (dataset_id, feature_id) DO UPDATE SET values = excluded.values]]

local function array_literal(row)
  local cells = {}
  for i = 2, #row do
    cells[i - 1] = row[i] == "" and "NULL" or row[i]
  end
  return "{" .. table.concat(cells, ",") .. "}"
end

local function orm_ingest(conn, path)
  local dataset_id = sys.uuid7()
  conn:transaction(function()
    for frame in csv.frames(path) do
      for i = 1, #frame do
        local row = frame:row(i)
        local feature = conn:query(ORM_FEATURE, "lipid", row[1])[1]
        conn:query(ORM_ROW, dataset_id, feature.id, array_literal(row))
      end
    end
  end)
end

local function ingest(conninfo, paths)
  local words = { "ingest", "--omics", "lipidomics" }
  server.ligase(conninfo, table.move(paths, 1, #paths, #words + 1, words))
end

--- A million rows: enough that indexes have their depth and caches their load.
local function preload(context, conninfo, conn)
  local folder = context.folder .. "/preload"
  local paths = generate.small_files(folder, { files = PRELOAD_FILES, rows = ROWS,
    samples = SAMPLES, seed = 2, prefix = "preload" })
  ingest(conninfo, paths)
  sys.remove_tree(folder)
  conn:script("ANALYZE")
  conn:script(ORM_SCHEMA)
  return conn:query("SELECT count(*) AS rows FROM measurements")[1].rows
end

-- ---- the limit ---------------------------------------------------------------

--- What a dataset's transaction writes, for a dataset that is not there yet. Keys differ
--- from those that are there in their last bit, and new names in their end.
local DIGEST = {
  { table = "measurements", select = [[SELECT '%s'::uuid, ordinal, %s, revision, source_name, values, texts, cells
    FROM measurements WHERE dataset_id = '%s' ORDER BY ordinal]], key = "feature_key" },
  { table = "features", new = true, select = [[SELECT gen_random_uuid(), key # 1, run_id, created_at, updated_at,
    feature_type, name || ' *', level, attributes, notion_page_id, external_ids FROM features
    WHERE key IN (SELECT feature_key FROM measurements WHERE dataset_id = '%s') ORDER BY key]] },
  { table = "feature_names", new = true, select = [[SELECT feature_key # 1, raw_key # 1, run_id, created_at,
    feature_type, raw_name || ' *', rule, level, reason, aside, candidates FROM feature_names
    WHERE feature_key IN (SELECT feature_key FROM measurements WHERE dataset_id = '%s') ORDER BY feature_key]] },
}

local function bytes_of(conn, select)
  local pieces = {}
  for piece in conn:copy_out(("COPY (%s) TO STDOUT (FORMAT binary)"):format(select)) do
    pieces[#pieces + 1] = piece
  end
  return table.concat(pieces)
end

--- The datasets whose names begin so, as they are written to Postgres.
local function digest(conn, prefix, new)
  local digests = {}
  for i, row in ipairs(conn:query("SELECT id FROM datasets WHERE starts_with(name, $1) ORDER BY id", prefix)) do
    local id = sys.uuid7()
    local one = { id = id, run_id = sys.uuid7(), name = "limit" .. id, copies = {} }
    for _, part in ipairs(DIGEST) do
      if part.key then
        one.copies[1] = { part.table, bytes_of(conn, part.select:format(id, new and "feature_key # 1" or part.key,
          row.id)) }
      elseif new then
        one.copies[#one.copies + 1] = { part.table, bytes_of(conn, part.select:format(row.id)) }
      end
    end
    digests[i] = one
  end
  return digests
end

local function replay(conn, digests)
  for _, one in ipairs(digests) do
    conn:begin()
    for _, part in ipairs(one.copies) do
      local copy = conn:copy_in(("COPY %s FROM STDIN (FORMAT binary)"):format(part[1]))
      copy:write(part[2])
      copy:finish()
    end
    conn:pipeline(function(p)
      p:query(conn:prepare [[INSERT INTO datasets (id, omics_type, name, current_revision)
        VALUES ($1, 'lipidomics', $2, 1)]], one.id, one.name)
      p:query(conn:prepare "INSERT INTO revisions (dataset_id, revision, run_id) VALUES ($1, 1, $2)", one.id,
        one.run_id)
      p:query(conn:prepare "INSERT INTO runs (id, command, outcome) VALUES ($1, 'ingest', 'done')", one.run_id)
      p:query "COMMIT"
    end)
  end
end

--- The limit for what another contestant wrote in the same round.
local function limit(conn, name, of, new)
  local digests
  return {
    name = name,
    prepare = function(round)
      digests = digest(conn, of .. round .. "_", new)
      server.settle()
    end,
    run = function()
      replay(conn, digests)
    end,
    finish = function()
      digests = nil
    end,
  }
end

-- ---- contestants -------------------------------------------------------------

--- A contestant whose files are made before each round and removed after it.
local function contestant(context, name, options, run)
  local folder = context.folder .. "/" .. name
  local paths
  return {
    name = name,
    prepare = function(round)
      paths = generate.small_files(folder, { files = options.files, rows = ROWS, samples = SAMPLES,
        seed = 100 * options.seed + round, prefix = name .. round,
        new = options.new and round * options.files * ROWS })
      server.settle()
    end,
    run = function()
      run(paths)
    end,
    finish = function()
      sys.remove_tree(folder)
    end,
  }
end

--- Runs it and prints its table.
---@param context table {folder=, rounds=}
function M.run(context)
  local conninfo, conn = server.database()
  local present = preload(context, conninfo, conn)
  local function by_ligase(paths)
    ingest(conninfo, paths)
  end
  local medians = measure.rounds(context.rounds, {
    contestant(context, "known", { files = FILES, seed = 3 }, by_ligase),
    limit(conn, "limit", "known", false),
    contestant(context, "new", { files = FILES, seed = 4, new = true }, by_ligase),
    limit(conn, "limit_new", "new", true),
    contestant(context, "orm", { files = ORM_FILES, seed = 5 }, function(paths)
      for _, path in ipairs(paths) do
        orm_ingest(conn, path)
      end
    end),
  })
  conn:close()

  local orm_rate = ORM_FILES / medians.orm * 60
  local rows = { { "", "datasets/min", "to row by row", "to its limit" } }
  local function add(label, rate, limit_rate)
    rows[#rows + 1] = { label, ("%.0f"):format(rate), measure.ratio(rate, orm_rate),
      limit_rate and measure.ratio(rate, limit_rate) or "" }
  end
  local rate = {}
  for name, files in pairs { known = FILES, limit = FILES, new = FILES, limit_new = FILES } do
    rate[name] = files / medians[name] * 60
  end
  add("ligase ingest, features known", rate.known, rate.limit)
  add("  limit: COPY of the digested rows", rate.limit)
  add("ligase ingest, features all new", rate.new, rate.limit_new)
  add("  limit: COPY of digested rows, features and receipts", rate.limit_new)
  add("row-by-row upserts, features known", orm_rate)
  measure.print_table(
    ("2. %d-row files, one transaction each, one connection, %d rows already there"):format(ROWS,
      present), rows)
end

return M
