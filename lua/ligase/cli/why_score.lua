--- `ligase why DATASET --signature SIGNATURE`: a score, down to the cells.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local output = require "ligase.cli.output"
local pg = require "pg"
local score_receipt = require "ligase.scoring.receipt"
local signatures = require "ligase.store.signatures"
local text = require "ligase.base.text"

local M = {}

local AGAIN = { same = "comes out the same, to the last bit", differs = "comes out differently now: score it again",
  impossible = "cannot be computed by this version any more: score it again" }

local KINDS = { groups = "the groups of samples %s", none = "no directions" }

local function given(value)
  return value ~= nil and value ~= pg.null and value ~= "" and value or nil
end

local function shown(value)
  return given(value) and (math.type(value) == "float" and ("%.6g"):format(value) or tostring(value)) or "-"
end

local function parameters_of(stored)
  local names, parts = {}, {}
  for name in pairs(stored) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    parts[i] = ("%s = %s"):format(name, shown(stored[name]))
  end
  return table.concat(parts, ", ")
end

local function contrast_of(receipt)
  local stored = receipt.score
  if KINDS[receipt.kind] then
    return KINDS[receipt.kind]:format(stored.contrast)
  end
  return ("%s (%s)"):format(stored.contrast ~= "" and stored.contrast or "the only one",
    receipt.effect or "not there any more")
end

local function tell_head(receipt, dataset, signature)
  local stored = receipt.score
  local rows = {
    { "score", ("%s by %s (version %s)%s"):format(shown(stored.score), stored.method, shown(stored.method_version),
      stored.is_match == true and ", a match" or stored.is_match == false and ", no match" or "") },
    { "dataset", ("%s (%s), revision %d"):format(dataset.name, dataset.omics_type, stored.revision) },
    { "signature", ("%s, version %s"):format(signature.name, signature.version) },
    { "contrast", contrast_of(receipt) },
    { "coverage", ("%s of the weight, %d of %d components, %s"):format(shown(stored.coverage), stored.matched_count,
      stored.component_count, given(stored.level) or "none found") },
  }
  if given(stored.p_value) then
    rows[#rows + 1] = { "p", shown(stored.p_value) }
  end
  rows[#rows + 1] = { "parameters", parameters_of(stored.parameters) }
  rows[#rows + 1] = { "inputs", stored.input_sha256 }
  rows[#rows + 1] = { "scored", ("%s by run %s"):format(stored.scored_at, shown(stored.run_id)) }
  rows[#rows + 1] = { "again", AGAIN[receipt.again] }
  output.write(text.table(rows))
end

local function rows_of(feature)
  local rows, names = {}, {}
  for i, cell in ipairs(feature.cells) do
    rows[i], names[i] = tostring(cell.row), cell.name
  end
  return table.concat(rows, ", "), table.concat(names, "; ")
end

local function tell_components(receipt, limit)
  local lines = {}
  for i = 1, math.min(#receipt.components, limit) do
    local component = receipt.components[i]
    for j, feature in ipairs(component.features) do
      local rows, names = rows_of(feature)
      lines[#lines + 1] = { j == 1 and component.name or "", j == 1 and shown(component.direction) or "",
        shown(feature.weight), component.found .. (component.found == "contained" and ": " .. feature.name or ""),
        shown(feature.effect), shown(feature.goes), tostring(feature.rank), rows, names }
    end
    if #component.features == 0 then
      lines[#lines + 1] = { component.name, shown(component.direction), shown(component.weight),
        component.understood and "not found" or "not understood", "", "", "", "", "" }
    end
  end
  output.write("\n" .. text.table(lines, { header = { "component", "direction", "weight", "found", "effect", "goes",
    "rank", "row", "cell" } }))
  if #receipt.components > limit then
    output.write(("... and %s; --limit N lists more\n"):format(text.count(#receipt.components - limit,
      "more component")))
  end
end

--- Prints one score and what it was made of.
---@param conn table
---@param dataset table of ligase.store.datasets.find
---@param arguments table as parsed: signature, method, contrast, limit, json
function M.run(conn, dataset, arguments)
  if dataset.current_revision == pg.null then
    errors.raise { kind = "usage", code = "revision", message = ("dataset '%s' holds no data yet"):format(dataset.name),
      hint = "Read a file into it first: ligase ingest FILE" }
  end
  local signature = signatures.find(conn, arguments.signature)
  local receipt = score_receipt.explain(conn, dataset, signature, arguments.method, arguments.contrast)
  if arguments.json then
    output.write(json.encode({ dataset = dataset.name, signature = signature.name, version = signature.version,
      score = receipt.score, again = receipt.again, kind = receipt.kind, features_measured = receipt.size,
      components = json.array(receipt.components) }, { pretty = true }) .. "\n")
    return
  end
  tell_head(receipt, dataset, signature)
  tell_components(receipt, math.max(arguments.limit, 1))
end

return M
