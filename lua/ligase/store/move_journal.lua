--- The journal of runs that move links: what they changed, in pieces that can each be read and taken back alone.
---
--- A million names make 50 MB of JSON: beyond what ligase reads, and many more beyond what
--- Postgres keeps in one value. So an entry holds a few megabytes, and what is more goes into
--- entries of its own, whose batch is the run. docs/receipts.md tells their form and how to undo them.
local json = require "ligase.base.json"
local name_differences = require "ligase.store.name_differences"
local pg = require "pg"
local runs = require "ligase.store.runs"
local sys = require "sys"

local M = {}

--- JSON of names, receipts or datasets in one entry, about; there may be as much again of datasets. Half of what
--- ligase reads, because Postgres writes a blank after each comma and colon.
M.PIECE_BYTES = 2 << 20

--- 64 bits as text: not every reader of JSON keeps them as a number.
local function key_text(key)
  return key == pg.null and json.null or tostring(key)
end

--- A list as JSON texts, encoded in blocks: all of it as tables would take many times the room.
---@return fun(i: integer): string the JSON of an item; to be asked for in order
local function encoded_items(item_of, count)
  local texts, from = {}, 1
  return function(i)
    if not texts[i - from + 1] then
      texts, from = {}, i
      for k = i, math.min(i + name_differences.NAMES_AT_ONCE - 1, count) do
        texts[#texts + 1] = json.encode(item_of(k))
      end
    end
    return texts[i - from + 1]
  end
end

--- The places of a dataset's names from `first` to `last`, counted from 1 within these.
---@param dataset ligase.link_plan_dataset its places ascend
---@param cursor table<table, integer> how far each dataset has been gone through
local function places_within(dataset, cursor, first, last)
  local places, rows, at = {}, nil, cursor[dataset] or 1
  while dataset.places[at] and dataset.places[at] <= last do
    local place = dataset.places[at]
    places[#places + 1] = place - first + 1
    local ordinals = dataset.rows and dataset.rows[tostring(place)]
    if ordinals then
      rows = rows or {}
      rows[tostring(place - first + 1)] = ordinals
    end
    at = at + 1
  end
  cursor[dataset] = at
  return places, rows
end

local function dataset_text(dataset, places, rows)
  return json.encode { table = "measurements", id = dataset.id, revision = dataset.revision,
    before = { feature_count = dataset.feature_count, names = json.array(places), rows = rows } }
end

local function names_text(names)
  return ('{"table":"feature_names","before":{"names":[%s]}}'):format(table.concat(names, ","))
end

--- Pieces with the datasets of some names; the names stand in each of them.
local function emit_names(plan, names, cursor, first, last, emit)
  local parts, bytes = { names_text(names) }, 0
  for _, dataset in ipairs(plan.datasets) do
    local places, rows = {}, nil
    if not dataset.unlinked then
      places, rows = places_within(dataset, cursor, first, last)
    end
    if #places > 0 then
      local text = dataset_text(dataset, places, rows)
      if bytes > 0 and bytes + #text > M.PIECE_BYTES then
        emit(table.concat(parts, ","))
        parts, bytes = { parts[1] }, 0
      end
      parts[#parts + 1], bytes = text, bytes + #text
    end
  end
  emit(table.concat(parts, ","))
end

--- Datasets that had no links, and those few of their rows that had one all the same.
local function emit_unlinked(plan, emit)
  for _, dataset in ipairs(plan.datasets) do
    if dataset.unlinked then
      local links
      for i, link in ipairs(dataset.links or {}) do
        links = links or {}
        links[i] = { link[1], key_text(link[2]) }
      end
      emit(json.encode { table = "measurements", id = dataset.id, revision = dataset.revision,
        before = { feature_count = dataset.feature_count, linked = false, links = links } }, true)
    end
  end
end

local function emit_moves(plan, emit)
  local count, cursor = #plan.raws, {}
  local text_of = encoded_items(function(place)
    return json.array { plan.raws[place], key_text(plan.olds[place]), key_text(plan.news[place]) }
  end, count)
  local names, bytes, first = {}, 0, 1
  for place = 1, count do
    local text = text_of(place)
    if bytes > 0 and bytes + #text > M.PIECE_BYTES then
      emit_names(plan, names, cursor, first, place - 1, emit)
      names, bytes, first = {}, 0, place
    end
    names[#names + 1], bytes = text, bytes + #text
  end
  if count > 0 then
    emit_names(plan, names, cursor, first, count, emit)
  end
end

--- A receipt as it was: aside and candidates are JSON already.
local function receipt_text(receipt)
  local before, parts = receipt[3], {}
  for _, field in ipairs { "rule", "level", "reason", "run_id" } do
    parts[#parts + 1] = before[field] and json.encode(field) .. ":" .. json.encode(before[field])
  end
  for _, field in ipairs { "aside", "candidates" } do
    parts[#parts + 1] = before[field] and ('"%s":%s'):format(field, before[field])
  end
  return ('[%s,"%s",{%s}]'):format(json.encode(receipt[1]), receipt[2], table.concat(parts, ","))
end

local function emit_receipts(plan, emit)
  local texts, bytes = {}, 0
  local function flush()
    if #texts > 0 then
      emit(('{"table":"feature_names","before":{"receipts":[%s]}}'):format(table.concat(texts, ",")), true)
      texts, bytes = {}, 0
    end
  end
  for _, receipt in ipairs(plan.receipts or {}) do
    local text = receipt_text(receipt)
    if bytes > 0 and bytes + #text > M.PIECE_BYTES then
      flush()
    end
    texts[#texts + 1], bytes = text, bytes + #text
  end
  flush()
end

local function insert(conn, run, ended, changes)
  local parameters = table.pack(runs.parameters(run, "done", ended))
  parameters[parameters.n] = "[" .. changes .. "]" -- JSON already
  conn:query(runs.INSERT, table.unpack(parameters, 1, parameters.n))
end

--- Writes a finished run and all that it changed.
---@param conn table in a transaction
---@param run ligase.run
---@param counts table<string, integer> gets `pieces`, the entries that hold the changes
---@param plan ligase.link_plan what was moved, and in `receipts` ({raw name, key, how it was}) what was changed;
--- `others` are further changes, each as JSON
function M.write(conn, run, counts, plan)
  local first, pending
  counts.pieces = 0
  local function flush()
    counts.pieces = counts.pieces + 1
    if not first then
      first = pending
    else
      insert(conn, { id = sys.uuid7(), batch_id = run.id, started_at = run.started_at, command = run.command,
        arguments = { piece_of = run.id, piece = counts.pieces } }, {}, pending)
    end
  end
  local function emit(changes, may_join)
    if may_join and pending and #pending + #changes <= M.PIECE_BYTES then
      pending = pending .. "," .. changes
      return
    elseif pending then
      flush()
    end
    pending = changes
  end
  emit_moves(plan, emit)
  emit_unlinked(plan, emit)
  emit_receipts(plan, emit)
  for _, change in ipairs(plan.others or {}) do
    emit(change, true)
  end
  if pending then
    flush()
  end
  run.batch_id = counts.pieces > 1 and run.id or nil
  insert(conn, run, { counts = counts }, first or "")
end

return M
