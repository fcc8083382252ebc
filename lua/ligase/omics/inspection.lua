--- What would be understood of a file, without storing anything: the same reading as for
--- ingesting it, with what was found on the way.
local detect_omics = require "ligase.omics.detect_omics"
local inputs = require "ligase.io.inputs"
local names = require "ligase.omics.names"
local opening = require "ligase.omics.opening"
local pipeline = require "ligase.omics.pipeline"
local recipes = require "ligase.omics.recipes"
local workspace = require "ligase.base.workspace"

local M = {}

---@class ligase.inspection
---@field source string
---@field omics string|nil given or found; nil in doubt
---@field omics_given boolean
---@field candidates {omics: string, weight: number, why: string[]}[]
---@field recipe string|nil by which it was read
---@field findings table as stored with the revision
---@field plan ligase.column_plan
---@field rows integer
---@field values integer
---@field names integer different names, as they stand in the file
---@field samples integer
---@field flagged table<string, integer> rows by flag
---@field first_rows table[] the first rows as they would be stored: by column, nil for what is missing
---@field bytes integer

--- Rows that are shown.
local FIRST_ROWS = 5

local function recipe_named(omics)
  for _, known in ipairs(workspace.recipes()) do
    if known.name == omics then
      return recipes.load(omics)
    end
  end
  return nil
end

--- For a type without a recipe, or none: the name columns of all, and names as they stand.
---@param omics string|nil
---@return ligase.recipe
function M.plain_recipe(omics)
  local headers = {}
  for _, recipe in ipairs(recipes.all()) do
    table.move(recipe.name_columns, 1, 1000, #headers + 1, headers)
  end
  table.move(detect_omics.headers(omics), 1, 1000, #headers + 1, headers)
  return pipeline.recipe { omics = omics or "unknown", feature_type = "feature", name_columns = headers,
    read_name = function(raw)
      return { name = raw, rule = "verbatim" }
    end, stages = { pipeline.recognise, pipeline.store } }
end

--- Notes which rows of a frame a rule flags; several rules of one flag may flag one row.
local function note_flagged(frame, position, rule, rows)
  local column <close> = frame:text(position)
  local distinct, hits, any = column:distinct(), {}, false
  for i, cell in ipairs(distinct) do
    local is_hit = rule.equals and cell == rule.equals or rule.prefix and cell:sub(1, #rule.prefix) == rule.prefix
    hits[i] = is_hit and 1 or false
    any = any or is_hit
  end
  if not any then
    return
  end
  local mapped <close> = column:map(hits)
  for row = 1, #mapped do
    rows[row] = rows[row] or mapped:get(row) ~= nil or nil
  end
end

--- Counts the rows of a frame that are flagged, by flag.
local function count_flagged(frame, plan, rules, counts)
  local flagged = {}
  for _, rule in ipairs(rules) do
    flagged[rule.flag] = flagged[rule.flag] or {}
    note_flagged(frame, rule.position or plan.feature.position, rule, flagged[rule.flag])
  end
  for flag, rows in pairs(flagged) do
    for _ in pairs(rows) do
      counts[flag] = (counts[flag] or 0) + 1
    end
  end
end

--- The first rows as they would be stored: numbers as numbers, nil for what is missing.
local function first_rows_of(plan, frame)
  local rows = {}
  for row = 1, math.min(FIRST_ROWS, #frame) do
    rows[row] = {}
  end
  for position, column in ipairs(plan.columns) do
    local cells <close> = column.type == "number" and frame:number(position) or frame:text(position)
    for row, stored in ipairs(rows) do
      stored[position] = cells:get(row)
    end
  end
  return rows
end

--- A stage that notes what the stages of an ingest do not: the first rows, names, flags.
local function noting(result)
  local seen = {}
  return function(ingest, frame)
    local plan = ingest.plan
    if #result.first_rows == 0 then
      result.first_rows = first_rows_of(plan, frame)
    end
    local column <close> = frame:text(plan.feature.position)
    for _, name in ipairs(column:distinct()) do
      result.names, seen[name] = result.names + (seen[name] and 0 or 1), true
    end
    count_flagged(frame, plan, ingest.opened.flags, result.flagged)
  end
end

--- The recipe with a stage after its recognise that notes things, and none that stores.
local function noting_recipe(recipe, result)
  local copy = {}
  for key, value in pairs(recipe) do
    copy[key] = value
  end
  copy.stages = {}
  for _, stage in ipairs(recipe.stages) do
    if stage ~= pipeline.link and stage ~= pipeline.store then
      table.insert(copy.stages, stage)
    end
  end
  table.insert(copy.stages, noting(result))
  table.insert(copy.stages, pipeline.store)
  return copy
end

local function read_into(result, source, recipe, options, opened)
  local ingest <close> = pipeline.prepare(noting_recipe(recipe, result), source, {
    dialect = options.dialect, set = options.set, format = options.format, samples = options.samples, linking = false,
    resolver = names.resolver(recipe.feature_type, recipe.read_name) }, opened)
  local findings, info = pipeline.read(ingest)
  pipeline.doubt_misfits(ingest, findings, ingest.misfits)
  findings.given = nil
  result.findings, result.plan = findings, ingest.plan
  result.rows, result.values, result.bytes = info.rows, ingest.counts.values, info.bytes
  result.samples = ingest.plan.samples
end

--- Reads a file and says what was understood. Raises what ingesting it would raise, but for
--- an omics type in doubt.
---@param path string
---@param options {omics: string|nil, format: string|nil, dialect: table|nil, set: table|nil,
--- samples: ligase.sample_table|nil}
---@return ligase.inspection
function M.inspect(path, options)
  local source <close> = inputs.open(path)
  local result = { source = source.shown, omics_given = options.omics ~= nil, first_rows = {}, names = 0, samples = 0,
    flagged = {} }
  local opened <close> = opening.open(source, options.dialect or {}, options.format)
  local guess, candidates = detect_omics.guess(opened, options.set)
  result.omics, result.candidates = options.omics or guess, candidates
  local recipe = result.omics and (options.omics and recipes.load(options.omics) or recipe_named(result.omics))
  result.recipe = recipe and recipe.name
  read_into(result, source, recipe or M.plain_recipe(result.omics), options, opened)
  return result
end

return M
