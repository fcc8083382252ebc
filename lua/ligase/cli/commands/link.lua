--- `ligase link`: the rows of datasets linked to features anew.
local alias_lookup = require "ligase.store.alias_lookup"
local datasets = require "ligase.store.datasets"
local errors = require "ligase.base.errors"
local links = require "ligase.store.links"
local output = require "ligase.cli.output"
local pg = require "pg"
local pipeline = require "ligase.omics.pipeline"
local rules = require "ligase.cli.rules"
local text = require "ligase.base.text"

local M = {}

M.description = "Links every row of the current revisions to the feature that its name is read as now, by the recipe "
  .. "that read the dataset as it is now: for datasets stored with ENABLE_FEATURE_LINKING=false, and for those that an "
  .. "older reader read. One transaction and one run in the journal; receipts are written, those of earlier readings "
  .. "stay."
M.example = [[
  ligase link plasma_lipids treated_vs_control
  ligase link --all]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("DATASET", "Datasets."):target("datasets"):argname("DATASET"):args("*")
  parser:flag("--all", "All datasets.")
end

local function check(arguments)
  if #arguments.datasets == 0 and not arguments.all then
    errors.raise { kind = "usage", code = "usage", message = "DATASET is missing",
      hint = "Name some, or say --all. See: ligase link --help" }
  elseif #arguments.datasets > 0 and arguments.all then
    errors.raise { kind = "usage", code = "usage", message = "--all goes without names of datasets",
      hint = "Leave out one of them" }
  end
end

--- The ids of the datasets that were named, and their names.
local function named(conn, words)
  local ids, shown, met = {}, {}, {}
  for _, word in ipairs(words) do
    local dataset = datasets.find(conn, word)
    if not met[dataset.id] then
      met[dataset.id] = true
      ids[#ids + 1], shown[#shown + 1] = dataset.id, dataset.omics_type .. "/" .. dataset.name
    end
  end
  return ids, shown
end

local function group_of(groups, target)
  local recipe = target.recipe ~= pg.null and target.recipe or ""
  local name = target.omics_type .. "\0" .. recipe
  groups[name] = groups[name] or { recipe = target.recipe, omics_type = target.omics_type, datasets = 0, targets = {} }
  if groups[name].datasets == 0 then
    groups[#groups + 1] = groups[name]
  end
  return groups[name]
end

--- The targets that can be read, with their resolvers, and whether some had to be left out.
local function with_resolvers(targets, lookup)
  local groups, resolvers, load, kept, incomplete = {}, {}, rules.loader(), {}, false
  for _, target in ipairs(targets) do
    local group = group_of(groups, target)
    group.datasets = group.datasets + 1
    table.insert(group.targets, target)
  end
  for _, group in ipairs(groups) do
    local recipe = rules.recipe_of(load, group)
    incomplete = incomplete or not recipe
    if recipe and not resolvers[recipe] then
      resolvers[recipe] = pipeline.resolver(recipe)
      if lookup then
        lookup:serve(resolvers[recipe])
      end
    end
    for _, target in ipairs(recipe and group.targets or {}) do
      target.resolver = resolvers[recipe]
      kept[#kept + 1] = target
    end
  end
  return kept, incomplete
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status
function M.run(arguments, context)
  check(arguments)
  local conn = context:open_existing()
  local ids, shown = named(conn, arguments.datasets)
  local lookup <close> = alias_lookup.open(conn, function()
    return context:open_existing()
  end)
  local targets, incomplete = with_resolvers(links.targets(conn, not arguments.all and ids or nil), lookup)
  local report = links.apply(conn, targets, {
    outbox = context:outbox(),
    arguments = { datasets = #shown > 0 and shown or nil, all = arguments.all },
  })
  local counts = report.counts
  if not counts then
    output.write(("%s: every row has the link that its name is read as\n"):format(text.count(#targets, "dataset")))
  else
    output.write(("linked %s in %s of %s; %s (run %s)\n"):format(text.count(counts.rows, "row"),
      text.number(counts.datasets), text.count(#targets, "dataset"), text.count(counts.features_new, "new feature"),
      report.run_id))
    if counts.features_described > 0 then
      output.write(("described %s anew\n"):format(text.count(counts.features_described, "lipid")))
    end
  end
  return incomplete and 1 or 0
end

return M
