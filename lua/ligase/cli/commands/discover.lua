--- `ligase discover`: sets of features that move together across datasets.
local comparisons = require "ligase.store.comparisons"
local discovery = require "ligase.omics.discovery"
local errors = require "ligase.base.errors"
local naming = require "ligase.cli.naming"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local sections = require "ligase.cli.sections"
local signatures = require "ligase.store.signatures"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

--- Sets that are looked for; more cannot be what anybody wants to read.
local SETS_MOST = 100000

--- Sets for people; programs get all.
local SHOWN = 20

M.description = "Finds sets of features that move together: all of them, each in one direction, in the same "
  .. "comparisons (contrasts of current revisions). A set is in enough comparisons (--support) of enough datasets, "
  .. "which are enough of the comparisons in which any of its features moves so (--co-occurrence) and of those in "
  .. "which the most frequent one does (--confidence). Of sets in the same comparisons the largest is kept. A feature "
  .. "moves where its adjusted p-value, or else its p-value, is at most --max-p; where a comparison has neither, its "
  .. "change alone counts."
M.example = [[
  ligase discover
  ligase discover --type lipid --support 5 --size 4 --co-occurrence 0.7
  ligase discover --store]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:option("--type", "Only features of this type: lipid, protein, gene, metabolite, or a recipe's own.")
    :target("feature_type"):argname("TYPE")
  parser:option("--support", "In so many comparisons at least, 3 without it."):argname("N")
    :convert(parsing.whole_number("--support", 1)):default("3")
  parser:option("--datasets", "Of so many different datasets at least, 2 without it."):argname("N")
    :convert(parsing.whole_number("--datasets", 1)):default("2")
  parser:option("--size", "So many features at least, 3 without it."):argname("N")
    :convert(parsing.whole_number("--size", 2)):default("3")
  parser:option("--co-occurrence", "Share of the comparisons with any of the features, 0.5 without it."):argname("X")
    :convert(parsing.fraction "--co-occurrence"):default("0.5")
  parser:option("--confidence", "Share of the comparisons with the most frequent feature, 0.5 without it."):argname("X")
    :convert(parsing.fraction "--confidence"):default("0.5")
  parser:option("--max-p", "What moves has this adjusted p-value, or p-value, at most; 0.05 without it."):argname("P")
    :convert(parsing.fraction "--max-p"):default("0.05")
  parser:option("--min-change", "What moves has this log2 fold change at least, up or down; any without it.")
    :argname("X"):convert(parsing.amount "--min-change"):default("0")
  parser:option("--limit", "Print, and store, so many sets."):argname("N"):convert(parsing.whole_number("--limit", 1))
  parser:flag("--store", "Make signatures of the sets.")
  output.add_format(parser)
end

-- ---- looking ---------------------------------------------------------------

local function keys_of(all)
  local keys, met = {}, {}
  for _, comparison in ipairs(all) do
    for _, list in ipairs { comparison.up, comparison.down } do
      for _, key in ipairs(list) do
        if not met[key] then
          met[key] = true
          keys[#keys + 1] = key
        end
      end
    end
  end
  return keys
end

--- One state of the database for all that is read.
local function look(conn, arguments)
  return conn:transaction(function()
    conn:script "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
    local all = comparisons.list(conn)
    comparisons.fill(conn, all, arguments.max_p, arguments.min_change)
    return all, comparisons.features(conn, keys_of(all))
  end)
end

local function refuse_many()
  errors.raise { kind = "usage", code = "too_many_sets", message = ("there are more than %s sets"):format(
    text.number(SETS_MOST)),
    hint = "Ask for more: --support, --size, --co-occurrence, --confidence or a smaller --max-p" }
end

-- ---- telling ---------------------------------------------------------------

local DIRECTIONS = { [1] = "up", [-1] = "down" }

local function shown_comparison(comparison)
  local contrast = sections.given(comparison.contrast)
  return contrast and ("%s (%s)"):format(comparison.dataset, contrast) or comparison.dataset
end

local function comparisons_in_words(set)
  local words = {}
  for i, comparison in ipairs(set.comparisons) do
    words[i] = shown_comparison(comparison)
  end
  return table.concat(words, "; ")
end

local COLUMNS = {
  { name = "set", type = "int8" }, { name = "feature", type = "text" }, { name = "type", type = "text" },
  { name = "direction", type = "text" }, { name = "size", type = "int8" }, { name = "support", type = "int8" },
  { name = "datasets", type = "int8" }, { name = "co_occurrence", type = "float8" },
  { name = "confidence", type = "float8" }, { name = "comparisons", type = "text" },
  { name = "feature_id", type = "uuid" },
}

--- One row for each feature of each set.
local function rows_of(sets)
  return coroutine.wrap(function()
    for number, set in ipairs(sets) do
      local where = comparisons_in_words(set)
      for _, feature in ipairs(set.features) do
        coroutine.yield { tostring(number), feature.name, feature.feature_type, DIRECTIONS[feature.direction],
          tostring(#set.features), tostring(set.support), tostring(set.dataset_count),
          ("%.6g"):format(set.co_occurrence), ("%.6g"):format(set.confidence), where, feature.id }
      end
    end
  end)
end

local function tell_set(number, set)
  output.write(("\n%d. %s in %s of %s; co-occurrence %.2f, confidence %.2f\n"):format(number,
    text.count(#set.features, "feature"), text.count(set.support, "comparison"),
    text.count(set.dataset_count, "dataset"),
    set.co_occurrence, set.confidence))
  for _, direction in ipairs { 1, -1 } do
    local names = {}
    for _, feature in ipairs(set.features) do
      names[#names + 1] = feature.direction == direction and text.printable(feature.name) or nil
    end
    if #names > 0 then
      output.write(("   %-5s %s\n"):format(DIRECTIONS[direction], table.concat(names, ", ")))
    end
  end
  output.write(("   in    %s\n"):format(text.printable(comparisons_in_words(set))))
end

--- What was looked at, and what of it was left out or taken on less: on standard error
--- where the output is for programs.
local function tell_about(all, about, format)
  local datasets, without_p, both, count = {}, 0, 0, 0
  for _, comparison in ipairs(all) do
    count = count + (datasets[comparison.dataset_id] and 0 or 1)
    datasets[comparison.dataset_id] = true
    without_p = without_p + (sections.given(comparison.p) and 0 or 1)
    both = both + comparison.both
  end
  local lines = { ("%s of %s, %s with a direction"):format(text.count(#all, "comparison"), text.count(count, "dataset"),
    text.count(about.items, "feature")) }
  lines[#lines + 1] = without_p > 0 and ("%s without p-values: taken by the change alone"):format(
    text.count(without_p, "comparison")) or nil
  lines[#lines + 1] = both > 0 and ("%s moving both ways within a comparison: left out there"):format(
    text.count(both, "feature")) or nil
  for _, line in ipairs(lines) do
    if format == "table" then
      output.write(line .. "\n")
    else
      io.stderr:write("ligase: ", line, "\n")
    end
  end
end

-- ---- storing ---------------------------------------------------------------

--- The same set has the same name whenever it is found.
local function signature_of(set, source)
  local components, parts, types, met = {}, {}, {}, {}
  for i, feature in ipairs(set.features) do
    components[i] = { raw = feature.name, feature_type = feature.feature_type, key = feature.key, weight = 1.0,
      direction = feature.direction, rule = "discovered", level = sections.given(feature.level) }
    parts[i] = ("%s\0%s\0%d"):format(feature.feature_type, feature.name, feature.direction)
    types[#types + 1] = not met[feature.feature_type] and feature.feature_type or nil
    met[feature.feature_type] = true
  end
  local digest = sys.sha256(table.concat(parts, "\n"))
  return { name = ("discovered %s %s"):format(table.concat(types, "+"), digest:sub(1, 12)), type = "discovered",
    source = source, organism = {}, disease = {}, matrix = {}, components = components, content_sha256 = digest,
    description = ("%s of %s (co-occurrence %.3g, confidence %.3g): %s"):format(text.count(set.support, "comparison"),
      text.count(set.dataset_count, "dataset"), set.co_occurrence, set.confidence, comparisons_in_words(set)) }
end

local function store(conn, sets, arguments, context)
  local source = ("ligase discover --support %d --datasets %d --size %d --co-occurrence %g --confidence %g --max-p %g "
    .. "--min-change %g%s"):format(arguments.support, arguments.datasets, arguments.size, arguments.co_occurrence,
    arguments.confidence, arguments.max_p, arguments.min_change, arguments.feature_type and " --type "
    .. arguments.feature_type or "")
  local file = { shown = source, format = "discovered", signatures = {}, names = {},
    counts = { components = 0, unmatched = 0 } }
  for i, set in ipairs(sets) do
    file.signatures[i] = signature_of(set, source)
    file.counts.components = file.counts.components + #set.features
  end
  local report = signatures.load(conn, file, { command = "discover",
    outbox = context:outbox() })
  local line = ("stored %s, %s known (run %s)"):format(text.count(#sets - report.counts.unchanged, "new signature"),
    text.number(report.counts.unchanged), report.run_id)
  if arguments.format == "table" then
    output.write("\n" .. line .. "\n")
  else
    io.stderr:write("ligase: ", line, "\n")
  end
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn = context:open_existing()
  naming.check_type(conn, arguments.feature_type)
  local all, features = look(conn, arguments)
  local sets, about = discovery.find(all, features, { feature_type = arguments.feature_type,
    support = arguments.support, size = arguments.size, datasets = arguments.datasets,
    co_occurrence = arguments.co_occurrence, confidence = arguments.confidence, limit = SETS_MOST })
  if about.is_cut then
    refuse_many()
  end
  tell_about(all, about, arguments.format)
  local count = #sets
  local most = arguments.limit or arguments.format == "table" and not arguments.store and SHOWN or count
  sets = table.move(sets, 1, math.min(most, count), 1, {})
  if arguments.format ~= "table" then
    output.print_rows(COLUMNS, rows_of(sets), arguments.format)
  else
    for number = 1, math.min(#sets, arguments.limit or SHOWN) do
      tell_set(number, sets[number])
    end
    output.write(count == 0 and "\nno set of features moves together like that\n" or "")
    sections.tell_more(math.min(#sets, arguments.limit or SHOWN), count, "set")
  end
  if arguments.store and count > 0 then
    store(conn, sets, arguments, context)
  end
end

return M
