--- The links of whole datasets made anew: every row of a current revision gets the feature
--- that its name is read as now.
---
--- For data that was stored without links, or read by an older reader. Dataset by dataset,
--- the names come to Lua as one list and the keys go back as one, in the order of the rows:
--- that is quicker than joining names in Postgres (140,000 rows a second against 100,000),
--- and the statements hold their dataset's id. When only few of many names differ,
--- ligase.store.name_moves goes to their rows alone.
local changes_of = require "ligase.store.changes"
local features = require "ligase.store.features"
local link_runs = require "ligase.store.link_runs"
local move_journal = require "ligase.store.move_journal"
local pg = require "pg"
local runs = require "ligase.store.runs"

local M = {}

--- Rows whose names are held at once.
local ROWS_AT_ONCE = 50000

--- Names waiting for their receipts before these are written.
local WAITING_MOST = 25000

--- Distinct features counted here; beyond that Postgres counts them.
local COUNTED_MOST = 200000

---@class ligase.link_target: a dataset whose links are made anew
---@field id string
---@field name string
---@field omics_type string
---@field recipe string|pg.null its name, as the revision has it
---@field revision integer
---@field feature_count integer
---@field linked boolean false: it was stored without links
---@field resolver ligase.resolver|nil to be set by the caller

local TARGETS = [[
SELECT d.id, d.name, d.omics_type, r.recipe, r.revision, r.feature_count,
  (r.dialect -> 'given' ->> 'linking') IS DISTINCT FROM 'false' AS linked
FROM datasets AS d JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision
WHERE $1::uuid[] IS NULL OR d.id = ANY ($1::uuid[]) ORDER BY d.omics_type, r.recipe, d.id]]

--- The current revisions of datasets.
---@param conn table
---@param ids string[]|nil nil: of all
---@return ligase.link_target[]
function M.targets(conn, ids)
  local found = conn:query(TARGETS, ids and pg.array(ids, "uuid") or pg.null)
  return table.move(found, 1, #found, 1, {})
end

-- ---- rows ------------------------------------------------------------------

--- The next rows. The aggregates keep the order of the rows that they are given.
local NAMES = [[
SELECT array_agg(source_name) AS names, min(ordinal) AS first, max(ordinal) AS last, count(*) AS n,
  count(feature_key) AS linked
FROM (SELECT source_name, ordinal, feature_key FROM measurements
  WHERE dataset_id = $1 AND revision = $2 AND ordinal > $3 ORDER BY ordinal LIMIT $4) AS piece]]

local OLD_LINKS = [[
SELECT array_agg(feature_key) AS keys
FROM (SELECT feature_key FROM measurements
  WHERE dataset_id = $1 AND revision = $2 AND ordinal >= $3 AND ordinal <= $4 ORDER BY ordinal) AS piece]]

local ORDINALS = [[
SELECT array_agg(ordinal) AS ordinals
FROM (SELECT ordinal FROM measurements
  WHERE dataset_id = $1 AND revision = $2 AND ordinal >= $3 AND ordinal <= $4 ORDER BY ordinal) AS piece]]

local LINK = [[
UPDATE measurements AS m SET feature_key = ($3::int8[])[(m.ordinal - $4::int8)::int + 1]
WHERE m.dataset_id = $1 AND m.revision = $2 AND m.ordinal >= $4 AND m.ordinal <= $5
  AND m.feature_key IS DISTINCT FROM ($3::int8[])[(m.ordinal - $4::int8)::int + 1] ]]

local DESCRIBE = [[
UPDATE revisions SET feature_count = $3, dialect = dialect #- '{given,linking}'
WHERE dataset_id = $1 AND revision = $2]]

local COUNT = [[
SELECT count(DISTINCT feature_key) AS n FROM measurements WHERE dataset_id = $1 AND revision = $2]]

--- By the primary key, whatever the statistics of freshly loaded tables say. What writes
--- features leaves settings of its own behind.
local BY_ROWS = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"

--- One list of integers, or of integers and NULLs.
local function keys_parameter(keys, any_null)
  return any_null and pg.array(keys, "int8") or pg.int8_array(keys)
end

-- ---- names -----------------------------------------------------------------

local function remember(state, resolver)
  local waiting = resolver:take()
  if #waiting.raws > 0 then
    local new_features, new_names = features.remember(state.conn, resolver, waiting, state.run.id)
    state.counts.features_new = state.counts.features_new + new_features
    state.counts.names_new = state.counts.names_new + new_names
  end
  resolver:wrote()
  resolver:forget_some()
  state.conn:script(BY_ROWS)
end

--- The keys of a list of names in its order, pg.null where there is none.
local function keys_of(resolver, raws, known)
  local unknown = {}
  for i = 1, #raws do
    local raw = raws[i]
    if known[raw] == nil then
      known[raw] = pg.null
      unknown[#unknown + 1] = raw ~= pg.null and raw or nil
    end
  end
  if #unknown > 0 then
    local found = resolver:resolve_all(unknown)
    for i = 1, #unknown do
      known[unknown[i]] = found[i] or pg.null
    end
  end
  local keys, null, any_null = {}, pg.null, false
  for i = 1, #raws do
    local key = known[raws[i]]
    keys[i] = key
    any_null = any_null or key == null
  end
  return keys, any_null
end

-- ---- what was before -------------------------------------------------------

--- The place in the plan of a name that moves from one feature to another.
local function place_of(state, raw, old, new)
  local by_old = state.places[raw]
  if not by_old then
    by_old = {}
    state.places[raw] = by_old
  end
  local by_new = by_old[old]
  if not by_new then
    by_new = {}
    by_old[old] = by_new
  end
  local place = by_new[new]
  if not place then
    local plan = state.plan
    place = #plan.raws + 1
    plan.raws[place], plan.olds[place], plan.news[place] = raw, old, new
    by_new[new] = place
  end
  return place
end

--- Notes which rows differ from what they were.
---@return integer moved how many
local function note_moves(state, moves, raws, olds, keys, ordinal_of)
  local first_old, moved = moves.first_old, 0
  for i = 1, #raws do
    local raw, old, new = raws[i], olds[i], keys[i]
    if first_old[raw] == nil then
      first_old[raw] = old
    elseif first_old[raw] ~= old then
      moves.mixed[raw] = true
    end
    if old ~= new then
      local place = place_of(state, raw, old, new)
      local rows = moves.rows[place]
      if not rows then
        rows = {}
        moves.rows[place], moves.places[#moves.places + 1] = rows, place
      end
      rows[#rows + 1] = ordinal_of(i)
      moved = moved + 1
    end
  end
  return moved
end

--- Ordinals are kept only of names that were linked in several ways.
local function rows_of_mixed(plan, moves)
  local rows
  for _, place in ipairs(moves.places) do
    if moves.mixed[plan.raws[place]] then
      rows = rows or {}
      rows[tostring(place)] = moves.rows[place]
    end
  end
  return rows
end

-- ---- one dataset -----------------------------------------------------------

--- The keys of a piece by ordinal from its first: rows that are not there leave holes.
local function spread(keys, ordinals)
  local first, list = ordinals[1], {}
  for i = 1, ordinals[#ordinals] - first + 1 do
    list[i] = pg.null
  end
  for i, ordinal in ipairs(ordinals) do
    list[ordinal - first + 1] = keys[i]
  end
  return list
end

local function count_keys(found, keys)
  local seen = found.seen
  for i = 1, #keys do
    local key = keys[i]
    if key ~= pg.null and not seen[key] then
      seen[key] = true
      found.count = found.count + 1
    end
  end
  if found.count > COUNTED_MOST then
    found.seen, found.count, found.uncounted = {}, 0, true
  end
end

local NONE_LINKED = setmetatable({}, { __index = function()
  return pg.null
end })

--- Rows without a name are not linked by one: they stay as a recipe's own stage may have
--- linked them.
local function keep_nameless(raws, olds, keys)
  for i = 1, olds and #raws or 0 do
    if raws[i] == pg.null then
      keys[i] = olds[i]
    end
  end
end

--- What is remembered of a dataset while its pieces go by.
local function new_moves()
  return { first_old = {}, mixed = {}, rows = {}, places = {}, links = {}, found = { seen = {}, count = 0 },
    known = {}, moved = 0 }
end

--- Reads the names of a piece. A resolver that asks alias tables uses the connection here.
local function read_names(piece)
  piece.keys, piece.any_null = {}, false
  if piece.n > 0 then
    piece.keys, piece.any_null = keys_of(piece.target.resolver, piece.names, piece.moves.known)
    count_keys(piece.moves.found, piece.keys)
  end
end

--- Notes what the links of a piece are now, and gives what LINK is to be sent, if anything
--- differs.
---@return table|nil parameters packed
local function update_of(state, piece)
  local conn, target, moves, raws, keys = state.conn, piece.target, piece.moves, piece.names, piece.keys
  if piece.n == 0 then
    return nil
  end
  local is_whole = piece.n == piece.last - piece.first + 1
  local ordinals = not is_whole and conn:query(conn:prepare(ORDINALS), target.id, target.revision, piece.first,
    piece.last)[1].ordinals
  local function ordinal_of(i)
    return ordinals and ordinals[i] or piece.first + i - 1
  end
  local olds = piece.linked > 0 and conn:query(conn:prepare(OLD_LINKS), target.id, target.revision, piece.first,
    piece.last)[1].keys
  keep_nameless(raws, olds, keys)
  if target.linked then
    olds = olds or NONE_LINKED
    if note_moves(state, moves, raws, olds, keys, ordinal_of) == 0 then
      return nil
    end
  else
    for i = 1, olds and #raws or 0 do
      moves.links[#moves.links + 1] = olds[i] ~= pg.null and { ordinal_of(i), olds[i] } or nil
    end
  end
  local sent = ordinals and spread(keys, ordinals) or keys
  return table.pack(target.id, target.revision, keys_parameter(sent, piece.any_null or ordinals ~= false),
    piece.first, piece.last)
end

--- What a dataset was before goes into the plan when anything of it changed.
local function finish_dataset(state, target, moves)
  state.counts.rows = state.counts.rows + moves.moved
  if moves.moved == 0 and target.linked then
    return
  end
  local conn, found = state.conn, moves.found
  local count = found.uncounted and conn:query(COUNT, target.id, target.revision)[1].n or found.count
  conn:query(conn:prepare(DESCRIBE), target.id, target.revision, count)
  local dataset = { id = target.id, revision = target.revision, feature_count = target.feature_count }
  if target.linked then
    table.sort(moves.places)
    dataset.places, dataset.rows = moves.places, rows_of_mixed(state.plan, moves)
  else
    dataset.unlinked, dataset.links = true, moves.links
  end
  table.insert(state.plan.datasets, dataset)
end

-- ---- piece by piece --------------------------------------------------------

--- The targets' rows in pieces: `place` and `after` say which comes next.
local function new_walk(targets)
  return { targets = targets, place = 1, after = -1, moves = new_moves() }
end

--- What NAMES is to be sent for the next piece; nil when there is none.
---@return table|nil parameters packed
local function next_names(walk)
  local target = walk.targets[walk.place]
  return target and table.pack(target.id, target.revision, walk.after, ROWS_AT_ONCE)
end

--- Takes the piece that NAMES gave, and goes on to the one after it.
local function take(walk, piece)
  piece.target, piece.moves = walk.targets[walk.place], walk.moves
  piece.is_last = piece.n < ROWS_AT_ONCE
  if piece.is_last then
    walk.place, walk.after, walk.moves = walk.place + 1, -1, new_moves()
  else
    walk.after = piece.last
  end
  return piece
end

local function fetch(state, walk)
  local parameters = next_names(walk)
  return parameters and take(walk, state.conn:query(state.conn:prepare(NAMES), table.unpack(parameters))[1])
end

--- Links one piece and fetches the one after the next; while Postgres does both, the names
--- of the next are read.
---@return table|nil piece the one fetched
local function link_piece(state, walk, piece, next_piece)
  local conn = state.conn
  local update, names = update_of(state, piece), next_names(walk)
  local link, fetched = conn:prepare(LINK), conn:prepare(NAMES)
  local reads_alone = next_piece and not next_piece.target.resolver.read_all
  local results = conn:pipeline(function(p)
    if update then
      p:query(link, table.unpack(update, 1, update.n))
    end
    if names then
      p:query(fetched, table.unpack(names, 1, names.n))
    end
  end, reads_alone and function()
    read_names(next_piece)
  end or nil)
  piece.moves.moved = piece.moves.moved + (update and results[1].affected or 0)
  if next_piece and not reads_alone then
    read_names(next_piece)
  end
  return names and take(walk, results[#results][1])
end

local function link_pieces(state, targets)
  local walk = new_walk(targets)
  local piece = fetch(state, walk)
  local next_piece = piece and fetch(state, walk)
  if piece then
    read_names(piece)
  end
  while piece do
    local after_next = link_piece(state, walk, piece, next_piece)
    if piece.is_last then
      finish_dataset(state, piece.target, piece.moves)
    end
    for _, each in ipairs { piece, next_piece } do
      if each.target.resolver:waiting_count() > WAITING_MOST then
        remember(state, each.target.resolver)
      end
    end
    piece, next_piece = next_piece, after_next
  end
end

-- ---- all of them -----------------------------------------------------------

--- The targets' resolvers, each once.
local function resolvers_of(targets)
  local resolvers, met = {}, {}
  for _, target in ipairs(targets) do
    if not met[target.resolver] then
      met[target.resolver] = true
      resolvers[#resolvers + 1] = target.resolver
    end
  end
  return resolvers
end

local function link_all(conn, run, targets, resolvers, outbox)
  local state = { conn = conn, run = run, places = {}, plan = { raws = {}, olds = {}, news = {}, datasets = {} },
    counts = { rows = 0, features_new = 0, names_new = 0, features_described = 0 } }
  for _, resolver in ipairs(resolvers) do
    state.counts.features_described = state.counts.features_described + features.fill_sums(conn, resolver)
  end
  conn:script(BY_ROWS)
  link_pieces(state, targets)
  for _, resolver in ipairs(resolvers) do
    remember(state, resolver)
  end
  local counts = state.counts
  counts.datasets, counts.names = #state.plan.datasets, #state.plan.raws
  if counts.datasets == 0 and counts.features_described == 0 then
    conn:query(runs.INSERT, runs.parameters(run, "unchanged", {}))
    return { outcome = "unchanged", run_id = run.id }
  end
  move_journal.write(conn, run, counts, state.plan)
  if changes_of.is_told(outbox, "datasets") then
    link_runs.tell_others(conn, state.plan, run.id)
  end
  return { outcome = "done", run_id = run.id, counts = counts }
end

local function apply_locked(conn, run, targets, options)
  local resolvers = resolvers_of(targets)
  local report = link_runs.until_done(conn, resolvers, link_all, conn, run, targets, resolvers, options.outbox)
  for _, resolver in ipairs(resolvers) do
    resolver:committed()
  end
  return report
end

--- Links the rows of datasets to the features that their names are read as now: one
--- journalled run, one transaction. Runs that move links follow one another. When it raises,
--- nothing was moved, and the journal has the failure.
---@param conn table with no open transaction
---@param targets ligase.link_target[] with their resolvers
---@param options {outbox: boolean|nil, arguments: table|nil} other systems are to be told; what the journal keeps as
--- the arguments
---@return {outcome: "done"|"unchanged", run_id: string, counts: table|nil} report counts: rows that were moved,
--- datasets that they stand in, names, features_new, names_new, features_described
function M.apply(conn, targets, options)
  local run = runs.new("link", nil, options.arguments or {})
  return link_runs.locked(conn, run, apply_locked, conn, run, targets, options)
end

return M
