--- Moving the links of names that the present rules read as another feature, and bringing
--- the receipts of the others up to date.
---
--- Looking (ligase.store.name_differences) and writing are two transactions under one lock.
--- Writing begins with features and receipts, which are shared, and then goes from dataset
--- to dataset, each statement with its dataset's id. Receipts of the earlier readings
--- stay. What a rollback needs is kept in the journal, in pieces that can be read one by
--- one (ligase.store.move_journal).
local changes_of = require "ligase.store.changes"
local features = require "ligase.store.features"
local link_runs = require "ligase.store.link_runs"
local pg = require "pg"
local move_journal = require "ligase.store.move_journal"
local name_differences = require "ligase.store.name_differences"
local receipt_changes = require "ligase.store.receipt_changes"
local runs = require "ligase.store.runs"

local M = {}

--- Differing names whose datasets are asked for at once: a name may stand in thousands.
local PLACES_AT_ONCE = 500

--- Datasets whose statements travel together.
local DATASETS_AT_ONCE = 100

-- ---- what there is to do -------------------------------------------

--- `raws`, `olds`, `news` and `group_of` are the names to be moved, in lists of one length; `kept` are names whose
--- link stays and whose receipt changes; `receipts` are receipts as they were before.
local function new_plan()
  return { raws = {}, olds = {}, news = {}, group_of = {}, datasets = {}, by_id = {},
    kept = { raws = {}, group_of = {} }, receipts = {} }
end

--- The dataset's part of the plan.
local function dataset_of(plan, row)
  local dataset = plan.by_id[row.dataset_id]
  if not dataset then
    dataset = { id = row.dataset_id, revision = row.revision, feature_count = row.feature_count, places = {} }
    plan.by_id[row.dataset_id] = dataset
    plan.datasets[#plan.datasets + 1] = dataset
  end
  return dataset
end

--- Notes the names whose receipts change; gives the differences that are left, which are to be moved.
local function plan_receipts(plan, found)
  local moved, kept = {}, plan.kept
  for _, difference in ipairs(found) do
    if difference.is_receipt then
      kept.raws[#kept.raws + 1] = difference.raw
      kept.group_of[#kept.raws] = difference.group
    else
      moved[#moved + 1] = difference
    end
  end
  return moved
end

--- Notes some differences and in which datasets they stand.
local function plan_some(conn, plan, dataset_id, some)
  local first = #plan.raws
  for i, difference in ipairs(some) do
    local place = first + i
    plan.raws[place], plan.group_of[place] = difference.raw, difference.group
    plan.olds[place] = difference.old or pg.null
    plan.news[place] = difference.new or pg.null
  end
  for _, row in ipairs(name_differences.ask_where(conn, dataset_id, some,
    "found.dataset_id, found.revision, r.feature_count", "1, 2, 3, 4 ORDER BY 2, 1")) do
    local places = dataset_of(plan, row).places
    places[#places + 1] = first + row.place
  end
end

--- Everything that is to be moved: names in three lists of one length, and for each
--- dataset the places of its names in them.
local function plan_all(conn, groups, dataset_id)
  local plan = new_plan()
  conn:transaction(function()
    conn:script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    name_differences.each_batch(conn, groups, dataset_id, function(found)
      found = plan_receipts(plan, found)
      for first = 1, #found, PLACES_AT_ONCE do
        plan_some(conn, plan, dataset_id,
          table.move(found, first, math.min(first + PLACES_AT_ONCE - 1, #found), 1, {}))
      end
    end)
  end)
  return plan
end

-- ---- doing it ------------------------------------------------------

--- A row's name may be linked differently within one revision when a recipe's own stage
--- did it: for such names the journal holds the very rows.
local MIXED = [[
WITH mixed AS MATERIALIZED (
  SELECT m.source_name FROM measurements AS m JOIN unnest($3::text[]) AS n (raw) ON n.raw = m.source_name
  WHERE m.dataset_id = $1 AND m.revision = $2
  GROUP BY 1
  HAVING min(m.feature_key) <> max(m.feature_key) OR count(m.feature_key) NOT IN (0, count(*)))
SELECT m.source_name, m.feature_key, m.ordinal
FROM measurements AS m JOIN mixed ON mixed.source_name = m.source_name
WHERE m.dataset_id = $1 AND m.revision = $2 ORDER BY m.ordinal]]

local MOVE = [[
UPDATE measurements AS m SET feature_key = n.new
FROM unnest($3::text[], $4::int8[], $5::int8[]) AS n (raw, old, new)
WHERE m.dataset_id = $1 AND m.revision = $2 AND m.source_name = n.raw AND m.feature_key IS NOT DISTINCT FROM n.old]]

local COUNT = [[
UPDATE revisions AS r SET feature_count = counted.n
FROM (SELECT count(DISTINCT feature_key) AS n FROM measurements WHERE dataset_id = $1 AND revision = $2) AS counted
WHERE r.dataset_id = $1 AND r.revision = $2]]

--- One pass over a dataset's rows, whatever is guessed of their number. `remember` leaves
--- its own settings behind.
local BY_DATASET = "SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off; "
  .. "SET LOCAL enable_hashjoin = on; SET LOCAL enable_seqscan = on"

--- Reads names once more, some thousand at a time, each once: the readings of a million names are not kept.
---@param names {raws: string[], group_of: ligase.name_group[]}
---@param fn fun(group: ligase.name_group, waiting: ligase.waiting, keys: table, first: integer, last: integer)
local function each_reading(names, fn)
  local first = 1
  while first <= #names.raws do
    local group, last, raws, met = names.group_of[first], first, {}, {}
    while names.group_of[last] == group and #raws < name_differences.NAMES_AT_ONCE do
      local raw = names.raws[last]
      if not met[raw] then
        met[raw] = true
        raws[#raws + 1] = raw
      end
      last = last + 1
    end
    local keys, _, waiting = name_differences.read_names(group.resolver, raws)
    fn(group, waiting, keys, first, last - 1)
    group.resolver:rolled_back()
    collectgarbage() -- as many short-lived lists were made; the next ones need not come on top
    first = last
  end
end

--- Brings the receipts of names up to date and notes how they were.
local function change_receipts(conn, plan, waiting, run_id)
  local changes = receipt_changes.differing(conn, waiting)
  receipt_changes.update(conn, changes, run_id)
  for _, change in ipairs(changes) do
    plan.receipts[#plan.receipts + 1] = { waiting.raws[change.place], change.entry.key, change.before }
  end
end

--- Writes features and receipts of the names' new readings.
local function remember_names(conn, plan, run_id)
  local new_features, new_names = 0, 0
  plan.receipts = {}
  each_reading(plan, function(group, waiting, keys, first, last)
    if #waiting.raws > 0 then
      change_receipts(conn, plan, waiting, run_id)
      local more_features, more_names = features.remember(conn, group.resolver, waiting, run_id)
      new_features, new_names = new_features + more_features, new_names + more_names
    end
    for place = first, last do
      plan.news[place] = keys[plan.raws[place]] or pg.null
    end
  end)
  each_reading(plan.kept, function(_, waiting)
    change_receipts(conn, plan, waiting, run_id)
  end)
  return new_features, new_names
end

--- A dataset's names as parameters.
local function names_of(plan, dataset)
  local raws, olds, news = {}, {}, {}
  for i, place in ipairs(dataset.places) do
    raws[i], olds[i], news[i] = plan.raws[place], plan.olds[place], plan.news[place]
  end
  return pg.array(raws, "text"), pg.array(olds, "int8"), pg.array(news, "int8")
end

--- Which rows of names that are linked in several ways were moved: ordinals by the name's
--- place.
local function rows_of_mixed(plan, dataset, mixed)
  if #mixed == 0 then
    return nil
  end
  local place_of = {}
  for _, place in ipairs(dataset.places) do
    local raw = plan.raws[place]
    place_of[raw] = place_of[raw] or {}
    place_of[raw][plan.olds[place]] = place
  end
  local rows
  for _, row in ipairs(mixed) do
    local place = place_of[row.source_name] and place_of[row.source_name][row.feature_key]
    if place then
      rows = rows or {}
      local key = tostring(place)
      rows[key] = rows[key] or {}
      table.insert(rows[key], row.ordinal)
    end
  end
  return rows
end

--- Moves the links of some datasets in one round trip.
local function move_some(conn, plan, datasets)
  local results = conn:pipeline(function(p)
    for _, dataset in ipairs(datasets) do
      local raws, olds, news = names_of(plan, dataset)
      p:query(conn:prepare(MIXED), dataset.id, dataset.revision, raws)
      p:query(conn:prepare(MOVE), dataset.id, dataset.revision, raws, olds, news)
      p:query(conn:prepare(COUNT), dataset.id, dataset.revision)
    end
  end)
  local rows = 0
  for i, dataset in ipairs(datasets) do
    dataset.rows = rows_of_mixed(plan, dataset, results[3 * i - 2])
    rows = rows + results[3 * i - 1].affected
  end
  return rows
end

local function move_all(conn, plan)
  local rows = 0
  conn:script(BY_DATASET)
  for first = 1, #plan.datasets, DATASETS_AT_ONCE do
    rows = rows + move_some(conn, plan,
      table.move(plan.datasets, first, math.min(first + DATASETS_AT_ONCE - 1, #plan.datasets), 1, {}))
  end
  return rows
end

-- ---- all of it ------------------------------------------------------

local function write_all(conn, run, plan, outbox, also)
  local counts = { names = #plan.raws, datasets = #plan.datasets }
  counts.features_new, counts.names_new = remember_names(conn, plan, run.id)
  counts.rows = move_all(conn, plan)
  counts.receipts = #plan.receipts
  plan.others = also and also(conn, run.id, counts) or nil
  move_journal.write(conn, run, counts, plan)
  if changes_of.is_told(outbox, "datasets") then
    link_runs.tell_others(conn, plan, run.id)
  end
  return counts
end

local function apply_locked(conn, run, groups, options)
  local plan = plan_all(conn, groups, options.dataset_id)
  local also = options.look and options.look(conn)
  if #plan.raws == 0 and #plan.kept.raws == 0 and not also then
    conn:query(runs.INSERT, runs.parameters(run, "unchanged", {}))
    return { outcome = "unchanged", run_id = run.id }
  end
  local resolvers = {}
  for i, group in ipairs(groups) do
    resolvers[i] = group.resolver
  end
  local counts = link_runs.until_done(conn, resolvers, write_all, conn, run, plan, options.outbox, also)
  return { outcome = "done", run_id = run.id, counts = counts }
end

--- Moves the links of all names that the present rules read as another feature, in the
--- current revisions, and brings receipts up to date: one journalled run, one transaction.
--- Applies of one database follow one another. When it raises, nothing was moved, and the journal has the failure.
---@param conn table with no open transaction
---@param groups ligase.name_group[] with their resolvers
---@param options {dataset_id: string|nil, outbox: boolean|nil, arguments: table|nil, look: (fun(conn: table):
--- (fun(conn: table, run_id: string, counts: table): string[])|nil)|nil} only of this dataset; other systems are to be
--- told; what the journal keeps as the arguments; what else is there to move, and a function that moves it and gives
--- the changes as JSON, or nil
---@return {outcome: "done"|"unchanged", run_id: string, counts: table|nil} report counts: names, rows, datasets,
--- features_new, names_new, receipts
function M.apply(conn, groups, options)
  local run = runs.new("names apply", nil, options.arguments or {})
  return link_runs.locked(conn, run, apply_locked, conn, run, groups, options)
end

return M
