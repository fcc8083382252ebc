--- Part 6: datasets times signatures, by weighted concordance without permutations, from start to
--- exit, every pair scored; and how that grows with either.
local measure = require "tests.bench.measure"
local server = require "tests.bench.server"

local M = {}

local FEATURES, ROWS, COMPONENTS = 1000, 500, 50
local MOST = 1000

--- Half of all features in each dataset, so that about half of each signature is found and
--- none is below the threshold. Everything hangs on the numbers of rows alone.
local MAKE = [[
SELECT setseed(0.42);
INSERT INTO features (id, key, feature_type, name, level)
SELECT gen_random_uuid(), ('x' || substr(md5('f' || i), 1, 16))::bit(64)::bigint, 'lipid', 'feature ' || i, 'species'
FROM generate_series(1, %d) AS i;
INSERT INTO datasets (id, omics_type, name, current_revision)
SELECT ('01990000-' || lpad(to_hex(i), 4, '0') || '-7000-8000-000000000000')::uuid, 'lipidomics', 'dataset ' || i, 1
FROM generate_series(1, %d) AS i;
INSERT INTO revisions (dataset_id, revision, contrasts, row_count)
SELECT id, 1, '[{"name": "", "log2_fold_change": 1, "p_value": 2}]', %d FROM datasets;
INSERT INTO measurements (dataset_id, ordinal, feature_key, revision, source_name, values)
SELECT d.id, row_number() OVER (PARTITION BY d.id ORDER BY f.place), f.key, 1, f.name,
  ARRAY[f.place - 0.5 + (hashint4(f.number * 7919 + d.number) %% 1000) / 500.0, 0.05]
FROM (SELECT id, (row_number() OVER (ORDER BY id))::int AS number FROM datasets) AS d
CROSS JOIN LATERAL (SELECT key, name, number, hashint4extended(number, d.number) / 2.0 ^ 64 AS place
  FROM (SELECT key, name, (row_number() OVER (ORDER BY key))::int AS number FROM features) AS g
  ORDER BY hashint4extended(number, d.number) LIMIT %d) AS f;
INSERT INTO signatures (id, name, version, component_count)
SELECT ('01990001-' || lpad(to_hex(i), 4, '0') || '-7000-8000-000000000000')::uuid, 'signature ' || i, '1', %d
FROM generate_series(1, %d) AS i;
INSERT INTO signature_components (id, signature_id, feature_key, weight, position, direction, feature_type, raw_name)
SELECT gen_random_uuid(), s.id, f.key, 1 + (f.place + s.number) %% 3, f.place, CASE WHEN (f.place + s.number) %% 2 = 0
  THEN 1 ELSE -1 END, 'lipid', f.name
FROM (SELECT id, (row_number() OVER (ORDER BY id))::int AS number FROM signatures) AS s
CROSS JOIN LATERAL (SELECT key, name, (row_number() OVER ())::int AS place
  FROM (SELECT key, name FROM (SELECT key, name, (row_number() OVER (ORDER BY key))::int AS number FROM features) AS g
  ORDER BY hashint4extended(number, s.number + 100000) LIMIT %d) AS h) AS f;
ANALYZE]]

--- Leaves so many datasets and signatures in the database; signatures do not come back.
local function keep(conn, datasets, signatures)
  conn:query("UPDATE datasets SET current_revision = CASE WHEN substr(name, 9)::int <= $1 THEN 1 END", datasets)
  conn:query("DELETE FROM signature_components WHERE signature_id IN "
    .. "(SELECT id FROM signatures WHERE substr(name, 11)::int > $1)", signatures)
  conn:query("DELETE FROM signatures WHERE substr(name, 11)::int > $1", signatures)
  conn:script "VACUUM ANALYZE datasets"
end

local WORDS = { "score", "--all", "--permutations", "0" }

local function seconds_of(context, conninfo, conn)
  return measure.rounds(context.rounds, { { name = 1, prepare = function()
    conn:script "TRUNCATE dataset_signatures"
    server.settle()
  end, run = function()
    server.ligase(conninfo, WORDS)
  end } })[1]
end

--- Runs it and prints its table.
---@param context table {folder=, rounds=}
function M.run(context)
  local conninfo, conn = server.database()
  conn:script(MAKE:format(FEATURES, MOST, ROWS, ROWS, COMPONENTS, MOST, COMPONENTS))
  local rows = { { "datasets x signatures", "scores", "seconds", "scores/s", "of which read again unchanged" } }
  for _, sizes in ipairs { { MOST, MOST }, { MOST // 2, MOST }, { MOST, MOST // 2 }, { MOST // 2, MOST // 2 } } do
    keep(conn, sizes[1], sizes[2])
    local seconds = seconds_of(context, conninfo, conn)
    local scores = conn:query "SELECT count(score) AS n FROM dataset_signatures"[1].n
    local again = measure.seconds(server.ligase, conninfo, WORDS)
    rows[#rows + 1] = { ("%d x %d"):format(sizes[1], sizes[2]), tostring(scores), ("%.2f"):format(seconds),
      ("%.0f"):format(scores / seconds), ("%.2f s"):format(again) }
  end
  measure.print_table(("6. scores of datasets of %d features by signatures of %d components"):format(ROWS, COMPONENTS),
    rows)
  conn:close()
end

return M
