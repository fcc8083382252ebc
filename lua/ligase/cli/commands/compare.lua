--- `ligase compare A B`: two datasets, revisions or signatures side by side.
local comparing = require "ligase.omics.comparing"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local naming = require "ligase.cli.naming"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local sections = require "ligase.cli.sections"
local side_by_side = require "ligase.store.side_by_side"
local signatures = require "ligase.store.signatures"
local text = require "ligase.base.text"

local M = {}

M.description = "Sets two datasets side by side, or two revisions (A@1 A@2): the features they share, at each level of "
  .. "their names, and those of one alone; how the directions of their changes agree, and the correlation of these; of "
  .. "datasets without changes, that of the means over samples. Every pair of contrasts is compared, or those named by "
  .. "--contrast and --with. With --signatures A and B are signatures: what they share, and where directions "
  .. "contradict."
M.example = [[
  ligase compare plasma_lipids treated_vs_control
  ligase compare plasma_lipids@1 plasma_lipids
  ligase compare --signatures als_core HALLMARK_GLYCOLYSIS]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("A", "A dataset, DATASET@REVISION, or a signature."):target("a"):argname("A")
    :convert(naming.utf8_word)
  parser:argument("B", "The other one."):target("b"):argname("B"):convert(naming.utf8_word)
  parser:flag("--signatures", "A and B are signatures.")
  parser:option("--contrast", "Only this contrast of A."):argname("NAME")
  parser:option("--with", "Only this contrast of B; the one named by --contrast without it."):target("with")
    :argname("NAME")
  parser:option("--limit", "How many features of one alone are listed, 10 without it."):argname("N")
    :convert(parsing.whole_number("--limit", 0)):default("10")
  parser:flag("--json", "Print one JSON object.")
end

-- ---- contrasts -------------------------------------------------------------

local function refuse_contrast(side, wanted)
  local names = {}
  for i, contrast in ipairs(side.contrasts) do
    names[i] = contrast.name or ""
  end
  local near = text.nearest(wanted, names)
  errors.raise { kind = "usage", code = "contrast",
    message = ("dataset '%s' has no contrast '%s'"):format(text.printable(side.dataset.name), text.printable(wanted)),
    hint = near and ("Did you mean '%s'?"):format(text.printable(near))
      or (#names == 0 and "It has none" or "It has: " .. text.printable(table.concat(names, ", "))) }
end

--- The contrasts that state changes: all, or the one that is wanted.
local function contrasts_of(side, wanted)
  local found = {}
  for _, contrast in ipairs(side.contrasts) do
    if contrast.log2_fold_change and (not wanted or contrast.name == wanted) then
      found[#found + 1] = contrast
    end
  end
  if wanted and #found == 0 then
    refuse_contrast(side, wanted)
  end
  return found
end

local function compare_effects(conn, a, b, arguments)
  local of_a, of_b = contrasts_of(a, arguments.contrast), contrasts_of(b, arguments.with or arguments.contrast)
  local effects_b, found = {}, {}
  for j, contrast in ipairs(#of_a > 0 and of_b or {}) do
    effects_b[j] = side_by_side.effects(conn, b, contrast)
  end
  for _, contrast in ipairs(#of_b > 0 and of_a or {}) do
    local effects_a = side_by_side.effects(conn, a, contrast)
    for j, other in ipairs(of_b) do
      local one = comparing.effects(effects_a, effects_b[j])
      one.contrast_a, one.contrast_b = contrast.name or "", other.name or ""
      found[#found + 1] = one
    end
  end
  return found
end

-- ---- samples ---------------------------------------------------------------

--- The quantities that are compared: those of one name, or the only one of each.
local function quantity_pairs(a, b)
  local of_a, of_b, found = side_by_side.quantities(a), side_by_side.quantities(b), {}
  for _, one in ipairs(of_a) do
    for _, other in ipairs(of_b) do
      if one == other or #of_a == 1 and #of_b == 1 then
        found[#found + 1] = { one, other }
      end
    end
  end
  return found
end

local function compare_means(conn, a, b)
  local found = {}
  for i, pair in ipairs(quantity_pairs(a, b)) do
    local means_a, samples_a = side_by_side.sample_means(conn, a, pair[1])
    local means_b, samples_b = side_by_side.sample_means(conn, b, pair[2])
    local one = comparing.means(means_a, means_b)
    one.quantity_a, one.quantity_b, one.samples_a, one.samples_b = pair[1], pair[2], samples_a, samples_b
    found[i] = one
  end
  return found
end

-- ---- datasets --------------------------------------------------------------

local function features_of(list, limit)
  local names = {}
  for i = 1, math.min(limit, #list) do
    names[i] = list[i].name
  end
  return json.array(names)
end

local function repeated(side)
  local count = 0
  for _, feature in pairs(side.features) do
    count = count + (feature.rows > 1 and 1 or 0)
  end
  return count
end

local function count_of(features)
  local count = 0
  for _ in pairs(features) do
    count = count + 1
  end
  return count
end

local function side_report(side)
  return { dataset = side.dataset.name, omics_type = side.dataset.omics_type, id = side.dataset.id,
    revision = side.revision, features = count_of(side.features), repeated = repeated(side), unlinked = side.unlinked }
end

local function report_of(a, b, arguments)
  local overlap = comparing.overlap(a.features, b.features)
  return { a = side_report(a), b = side_report(b), levels = json.array(comparing.levels(a.features, b.features)),
    shared = #overlap.both, only_a = #overlap.only_a, only_b = #overlap.only_b,
    only_a_features = features_of(overlap.only_a, arguments.limit),
    only_b_features = features_of(overlap.only_b, arguments.limit), effects = json.array {}, means = json.array {} }
end

local function compare_datasets(conn, arguments)
  local a, b
  local report = conn:transaction(function()
    conn:script "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
    a = side_by_side.load(conn, side_by_side.find(conn, arguments.a))
    b = side_by_side.load(conn, side_by_side.find(conn, arguments.b))
    local found = report_of(a, b, arguments)
    found.effects = json.array(compare_effects(conn, a, b, arguments))
    if #found.effects == 0 then
      found.means = json.array(compare_means(conn, a, b))
    end
    return found
  end)
  return report
end

-- ---- telling ---------------------------------------------------------------

local LEVEL_COLUMNS = { { "type", "type" }, { "level", "level" }, { "A", "a" }, { "B", "b" }, { "shared", "shared" } }

local EFFECT_COLUMNS = { { "contrast of A", "contrast_a" }, { "contrast of B", "contrast_b" }, { "n", "n" },
  { "same direction", "same" }, { "opposite", "opposite" }, { "concordance", "concordance" }, { "Pearson", "pearson" },
  { "Spearman", "spearman" } }

local MEAN_COLUMNS = { { "quantity of A", "quantity_a" }, { "quantity of B", "quantity_b" },
  { "samples of A", "samples_a" }, { "samples of B", "samples_b" }, { "n", "n" }, { "Pearson", "pearson" },
  { "Spearman", "spearman" } }

local function tell_only(which, count, names)
  if count > 0 then
    local shown = {}
    for i, name in ipairs(names) do
      shown[i] = text.printable(name)
    end
    output.write(("\nonly in %s: %s%s%s\n"):format(which, text.count(count, "feature"), #shown > 0 and ": " or "",
      table.concat(shown, ", ") .. (#shown > 0 and count > #shown and ", ..." or "")))
  end
end

local function side_line(which, side)
  local more = {}
  more[#more + 1] = side.repeated > 0 and ("%s in several rows, whose mean is taken"):format(
    text.number(side.repeated)) or nil
  more[#more + 1] = side.unlinked > 0 and ("%s not linked (ligase link)"):format(
    text.count(side.unlinked, "row")) or nil
  return { which, ("%s/%s@%d"):format(side.omics_type, side.dataset, side.revision),
    text.count(side.features, "feature") .. (#more > 0 and "; " .. table.concat(more, "; ") or "") }
end

local function tell_datasets(report)
  output.write(text.table { side_line("A", report.a), side_line("B", report.b) })
  sections.tell("shared features", report.levels, LEVEL_COLUMNS)
  sections.tell("changes of shared features", report.effects, EFFECT_COLUMNS)
  sections.tell("means over samples of shared features", report.means, MEAN_COLUMNS)
  if #report.effects + #report.means == 0 then
    output.write("\nnothing to correlate: they have neither changes nor values of samples of one kind in common\n")
  end
  tell_only("A", report.only_a, report.only_a_features)
  tell_only("B", report.only_b, report.only_b_features)
end

-- ---- signatures ------------------------------------------------------------

local function signature_side(conn, word)
  local signature = signatures.find(conn, word)
  local components, unmatched = side_by_side.components(conn, signature.id)
  return { name = signature.name, version = signature.version, id = signature.id, components = count_of(components),
    unmatched = unmatched }, components
end

local function compare_signatures(conn, arguments)
  local a, of_a = signature_side(conn, arguments.a)
  local b, of_b = signature_side(conn, arguments.b)
  local overlap, directions = comparing.overlap(of_a, of_b), comparing.directions(of_a, of_b)
  local total = #overlap.both + #overlap.only_a + #overlap.only_b
  return { a = a, b = b, levels = json.array(comparing.levels(of_a, of_b)), shared = #overlap.both,
    jaccard = total > 0 and #overlap.both / total or nil, only_a = #overlap.only_a, only_b = #overlap.only_b,
    only_a_features = features_of(overlap.only_a, arguments.limit),
    only_b_features = features_of(overlap.only_b, arguments.limit), same = directions.same,
    opposite = directions.opposite, without_direction = directions.without,
    contradictory = json.array(directions.contradictory) }
end

local WORDS = { [1] = "up", [-1] = "down" }

local function tell_signatures(report)
  local lines = {}
  for i, which in ipairs { "a", "b" } do
    local side = report[which]
    lines[i] = { which:upper(), ("%s@%s"):format(side.name, side.version), text.count(side.components, "component")
      .. (side.unmatched > 0 and ("; %s more not understood"):format(text.number(side.unmatched)) or "") }
  end
  output.write(text.table(lines))
  output.write(("\n%s shared (Jaccard %s): %s in the same direction, %s in the opposite, %s without one\n"):format(
    text.count(report.shared, "component"), report.jaccard and ("%.3f"):format(report.jaccard) or "-",
    text.number(report.same), text.number(report.opposite), text.number(report.without_direction)))
  sections.tell("shared features", report.levels, LEVEL_COLUMNS)
  sections.tell("contradictory directions", report.contradictory, { { "feature", "name" }, { "type", "feature_type" },
    { "A", function(row) return WORDS[row.a] end }, { "B", function(row) return WORDS[row.b] end } })
  tell_only("A", report.only_a, report.only_a_features)
  tell_only("B", report.only_b, report.only_b_features)
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  if arguments.signatures and (arguments.contrast or arguments.with) then
    errors.raise { kind = "usage", code = "usage", message = "--contrast and --with are for datasets",
      hint = "Leave them out with --signatures" }
  end
  local conn = context:open_existing()
  local report = (arguments.signatures and compare_signatures or compare_datasets)(conn, arguments)
  if arguments.json then
    output.write(json.encode(report, { pretty = true }) .. "\n")
  elseif arguments.signatures then
    tell_signatures(report)
  else
    tell_datasets(report)
  end
end

return M
