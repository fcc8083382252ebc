--- `ligase names diff|apply`: names read anew by the rules of today.
local alias_lookup = require "ligase.store.alias_lookup"
local component_moves = require "ligase.component_moves"
local datasets = require "ligase.store.datasets"
local errors = require "ligase.base.errors"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local pg = require "pg"
local pipeline = require "ligase.omics.pipeline"
local name_moves = require "ligase.store.name_moves"
local name_differences = require "ligase.store.name_differences"
local rules = require "ligase.cli.rules"
local text = require "ligase.base.text"

local M = {}

local ACTIONS = { "diff", "apply" }
local TYPES = { "lipid", "protein", "gene", "metabolite" }

M.description = "diff reads the stored names of all current revisions once more, by the recipes that read them as they "
  .. "are now, and prints those that would be read as another feature, or as the same one by another rule, at another "
  .. "level or with something else set aside, and so the components of the signatures' latest versions; its status "
  .. "is 1 when there are any. apply moves the links there and brings the receipts up to date, in one transaction, and "
  .. "writes a run into the journal; receipts of earlier features stay."
M.example = [[
  ligase names diff
  ligase names diff --type lipid --format tsv > differ.tsv
  ligase names apply --dry-run
  ligase names apply --dataset plasma_lipids]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("ACTION", "diff or apply."):target("action"):argname("ACTION")
    :convert(parsing.one_of("the action", ACTIONS))
  parser:option("--type", "Only names of this type: lipid, protein, gene, metabolite, or a recipe's own.")
    :target("feature_type"):argname("TYPE")
  parser:option("--dataset", "Only the names of this dataset."):argname("DATASET")
  parser:flag("--dry-run", "apply: print what would be moved, and move nothing.")
  output.add_format(parser)
end

-- ---- which rules -----------------------------------------------------------

--- The type is one of the four, or one that a recipe here declares.
local function check_type(feature_type, known)
  if feature_type and not known[feature_type] then
    parsing.one_of("--type", TYPES)(feature_type)
  end
end

--- The groups whose names are read anew, each with its resolver, and whether some had to
--- be left out.
local function groups_of(conn, arguments, dataset, lookup)
  local load, groups, known, incomplete = rules.loader(), {}, {}, false
  for _, group in ipairs(name_differences.groups(conn, dataset and dataset.id)) do
    local recipe = group.linked and rules.recipe_of(load, group)
    if recipe then
      known[recipe.feature_type] = true
    end
    if not group.linked then
      rules.note("%s (%s) %s stored without links and left out (ligase link)", text.count(group.datasets, "dataset"),
        text.printable(group.omics_type), group.datasets == 1 and "was" or "were")
    elseif not recipe then
      incomplete = true
    elseif not arguments.feature_type or recipe.feature_type == arguments.feature_type then
      group.resolver = pipeline.resolver(recipe)
      if lookup then
        lookup:serve(group.resolver)
      end
      groups[#groups + 1] = group
    end
  end
  check_type(arguments.feature_type, known)
  return groups, incomplete
end

-- ---- diff ------------------------------------------------------------------

local COLUMNS = {
  { name = "raw", type = "text" }, { name = "old_feature", type = "text" }, { name = "new_feature", type = "text" },
  { name = "old_rule", type = "text" }, { name = "old_level", type = "text" }, { name = "new_rule", type = "text" },
  { name = "new_level", type = "text" }, { name = "rows", type = "int8" }, { name = "datasets", type = "int8" },
  { name = "type", type = "text" }, { name = "recipe", type = "text" }, { name = "change", type = "text" },
}

--- Rows that are laid out together: their columns line up, and they are held in memory.
local BLOCK_ROWS = 2000

local function or_null(value)
  return value == nil and pg.null or value
end

local function row_of(difference)
  local reading = difference.reading or {}
  return { difference.raw, or_null(difference.old_name), or_null(reading.name), or_null(difference.old_rule),
    or_null(difference.old_level), or_null(reading.rule), or_null(reading.level), tostring(difference.rows),
    tostring(difference.datasets), difference.group.resolver.feature_type, difference.group.recipe,
    difference.is_receipt and "receipt" or "link" }
end

--- Rows and datasets are components and signatures here.
local function component_row(difference)
  local reading = difference.reading
  return { difference.raw, or_null(difference.old_name), or_null(difference.new and reading.name),
    or_null(difference.old_rule), or_null(difference.old_level), or_null(reading.rule), or_null(reading.level),
    tostring(difference.components), tostring(difference.signatures), difference.feature_type, pg.null, "component" }
end

--- A table of any length, in blocks.
local function print_blocks(rows)
  local header, block = {}, {}
  for i, column in ipairs(COLUMNS) do
    header[i] = column.name
  end
  local function flush()
    if #block > 0 then
      output.write(text.table(block, { header = header, null = "-" }))
      block, header = {}, nil
    end
  end
  for row in rows do
    block[#block + 1] = row
    if #block == BLOCK_ROWS then
      flush()
    end
  end
  flush()
end

--- Prints all differences.
---@return {names: integer, rows: integer, receipts: integer, components: integer} counts receipts: names whose link
--- would stay
local function print_differences(conn, groups, dataset, format, components)
  local counts = { names = 0, rows = 0, receipts = 0, components = 0 }
  conn:transaction(function()
    conn:script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    local differences = name_differences.differences(conn, groups, dataset and dataset.id)
    local found, place = components(conn), 0
    local function rows()
      local difference = differences and differences()
      if not difference then
        differences, place = nil, place + 1
        counts.components = counts.components + (found[place] and found[place].components or 0)
        return found[place] and component_row(found[place])
      end
      counts.names, counts.rows = counts.names + 1, counts.rows + difference.rows
      counts.receipts = counts.receipts + (difference.is_receipt and 1 or 0)
      return row_of(difference)
    end
    if format == "table" then
      print_blocks(rows)
    else
      output.print_rows(COLUMNS, rows, format)
    end
  end)
  return counts
end

--- The last line: on standard error where the output is for programs.
local function tell_count(counts, format)
  local line = counts.names == 0 and (counts.components == 0 and "no stored name would be read differently"
    or "no name in a row would be read differently")
    or ("%s in %s would be read differently"):format(text.count(counts.names, "name"), text.count(counts.rows, "row"))
  if counts.receipts > 0 then
    line = ("%s; %s of them as the same feature"):format(line,
      counts.receipts == counts.names and "all" or tostring(counts.receipts))
  end
  if counts.components > 0 then
    line = ("%s; %s of signatures would be"):format(line, text.count(counts.components, "component"))
  end
  if format == "table" then
    output.write(("%s%s\n"):format(counts.names + counts.components > 0 and "\n" or "", line))
  else
    rules.note("%s", line)
  end
end

-- ---- the command -----------------------------------------------------------

local actions = {}

--- Components that would be moved: none where only a dataset is meant.
local function finder(dataset, arguments, lookup)
  return function(conn)
    return dataset and {} or component_moves.differences(conn, lookup, arguments.feature_type)
  end
end

function actions.diff(conn, groups, dataset, arguments, _, lookup)
  local counts = print_differences(conn, groups, dataset, arguments.format, finder(dataset, arguments, lookup))
  tell_count(counts, arguments.format)
  return counts.names + counts.components > 0 and 1 or 0
end

--- What moves the components of signatures along with the links of rows; says which signatures
--- have to be loaded again instead.
local function component_mover(find, lookup, outbox)
  return function(conn)
    local plan = conn:transaction(function()
      conn:script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
      return component_moves.plan(conn, find(conn))
    end)
    for _, name in ipairs(plan.left) do
      rules.note("two components of the signature '%s' would be one feature: it was left as it is; load it again",
        text.shown(name, 60))
    end
    return #plan.moves > 0 and function(writing, run_id, counts)
      local changes, new = component_moves.write(writing, plan, run_id, { aliases = lookup, outbox = outbox })
      counts.components, counts.signatures = #plan.moves, #plan.signatures
      counts.features_new = counts.features_new + new
      return changes
    end or nil
  end
end

function actions.apply(conn, groups, dataset, arguments, context, lookup)
  local find = finder(dataset, arguments, lookup)
  if arguments.dry_run then
    tell_count(print_differences(conn, groups, dataset, arguments.format, find), arguments.format)
    return 0
  end
  local outbox = context:outbox()
  local report = name_moves.apply(conn, groups, {
    dataset_id = dataset and dataset.id,
    outbox = outbox,
    look = component_mover(find, lookup, outbox),
    arguments = { type = arguments.feature_type, dataset = dataset and dataset.name,
      omics = dataset and dataset.omics_type },
  })
  local counts = report.counts
  if not counts then
    output.write("no stored name is read differently: nothing was moved\n")
  elseif counts.names == 0 and counts.receipts == 0 then
    output.write(("no link of a row was moved (run %s)\n"):format(report.run_id))
  elseif counts.names == 0 then
    output.write(("brought %s up to date; no link was moved (run %s)\n"):format(text.count(counts.receipts, "receipt"),
      report.run_id))
  else
    output.write(("moved %s in %s of %s; %s new%s (run %s)\n"):format(text.count(counts.names, "name"),
      text.count(counts.rows, "row"), text.count(counts.datasets, "dataset"),
      text.count(counts.features_new, "feature"), counts.receipts > 0
        and ("; %s brought up to date"):format(text.count(counts.receipts, "receipt")) or "", report.run_id))
  end
  if counts and counts.components then
    output.write(("moved %s of %s\n"):format(text.count(counts.components, "component"),
      text.count(counts.signatures, "signature")))
  end
  return 0
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status
function M.run(arguments, context)
  if arguments.dry_run and arguments.action ~= "apply" then
    errors.raise { kind = "usage", code = "usage", message = "--dry-run is for apply", hint = "diff changes nothing" }
  end
  local conn = context:open_existing()
  local dataset = arguments.dataset and datasets.find(conn, arguments.dataset)
  local lookup <close> = alias_lookup.open(conn, function()
    return context:open_existing()
  end)
  local groups, incomplete = groups_of(conn, arguments, dataset, lookup)
  local status = actions[arguments.action](conn, groups, dataset, arguments, context, lookup)
  return incomplete and 1 or status
end

return M
