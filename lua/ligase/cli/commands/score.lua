--- `ligase score`: how well datasets go along with signatures.
local datasets = require "ligase.store.datasets"
local errors = require "ligase.base.errors"
local methods = require "ligase.omics.score"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local profiles = require "ligase.store.profiles"
local runs = require "ligase.store.runs"
local scores = require "ligase.store.scores"
local scoring = require "ligase.scoring"
local signatures = require "ligase.store.signatures"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.description = "Scores datasets by signatures and stores the scores. Directions come from the datasets' statistics, "
  .. "or from two groups of samples (--contrast case/control). A signature of which less than the threshold is found "
  .. "is not scored. What was computed from the same inputs already stays as it is."
M.example = [[
  ligase score treated_vs_control
  ligase score --all --method concordance --permutations 0
  ligase score plasma_lipids --contrast treated_1,treated_2/control_1,control_2 --signature als_core
  ligase matches treated_vs_control]]

M.surplus = "Several datasets are named one after the other, all of them by --all"

local function number(what, min, max)
  return function(given)
    local value = tonumber(given)
    if not value or value ~= value or value < min or value > max then
      errors.raise { kind = "usage", code = "value", message = ("%s cannot be '%s'"):format(what,
        text.shown(given, 40)), hint = ("It is a number from %g to %g"):format(min, max) }
    end
    return value
  end
end

--- Adds the options that say how scores are computed.
---@param parser table
local function configure_how(parser)
  parser:option("--method", "A scoring method: " .. table.concat(methods.names(), ", ") .. ", or all. May be given "
    .. "again; concordance without it."):argname("NAME"):count("*"):target("methods")
  parser:option("--threshold", "The least share of a signature's weight that must be found, 0.3 without it; a "
    .. "concordance below it is no match."):argname("SHARE"):convert(number("--threshold", 0, 1))
  parser:option("--contrast", "The contrast of that name, or two groups of samples: case/control. A group is named by "
    .. "its samples' annotation, or is a list of samples with commas between."):argname("NAME")
    :convert(parsing.name("--contrast"))
  parser:option("--permutations", "How many random signatures give the p-value, 1000 without it; 0: none."):argname("N")
    :convert(parsing.whole_number("--permutations", 0))
  parser:option("--seed", "Where the random numbers begin."):argname("N"):convert(parsing.whole_number("--seed", 0))
  parser:option("--rank-by", "The statistic that is the effect: log2_fold_change, statistic, ...; the first of these "
    .. "that there is."):argname("NAME")
  parser:option("--quantity", "Which of several quantities of the samples."):argname("NAME")
  parser:option("--scale", "What the samples' values are: linear, or log2 where they are logarithms already.")
    :argname("SCALE"):convert(parsing.one_of("--scale", scoring.SCALES)):default("linear")
  parser:option("--match", "exact; or contains: a component such as PC 34:1 may be found in PC 16:0_18:1.")
    :argname("HOW"):convert(parsing.one_of("--match", scoring.MATCHES)):default("exact")
end

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("DATASET", "Datasets by name, omics/name or id."):target("datasets"):argname("DATASET"):args("*")
  parser:flag("--all", "All datasets.")
  parser:option("--signature", "By this signature (its latest version, or NAME@VERSION). May be given again; by all "
    .. "without it."):argname("NAME"):count("*"):target("signatures")
  configure_how(parser)
  parser:option("--limit", "How many scores are printed, 20 without it."):argname("N")
    :convert(parsing.whole_number("--limit", 1)):default("20")
  output.add_format(parser)
end

--- What the options say, as ligase.scoring takes it.
---@param arguments table as parsed
---@param conn table
---@param config ligase.Config
---@return ligase.score_options
function M.options_of(arguments, conn, config)
  local names = arguments.methods
  if #names == 1 and names[1] == "all" then
    names = methods.names()
  end
  local parameters = { threshold = arguments.threshold or config:get "SIGNATURE_OVERLAP_THRESHOLD",
    permutations = arguments.permutations, seed = arguments.seed }
  local ids
  for i, name in ipairs(arguments.signatures) do
    ids = ids or {}
    ids[i] = signatures.find(conn, name).id
  end
  return { methods = #names > 0 and names or nil, signatures = ids, parameters = parameters,
    contrast = arguments.contrast, rank_by = arguments.rank_by, quantity = arguments.quantity, scale = arguments.scale,
    match = arguments.match, lenient = arguments.all or #arguments.datasets > 1 or nil }
end

local function ids_of(conn, arguments)
  if arguments.all then
    if #arguments.datasets > 0 then
      errors.raise { kind = "usage", code = "usage", message = "--all goes without names of datasets",
        hint = "Leave one of them out" }
    end
    return profiles.all_ids(conn)
  elseif #arguments.datasets == 0 then
    errors.raise { kind = "usage", code = "usage", message = "DATASET is missing",
      hint = "Name one, or say --all. See: ligase score --help" }
  end
  local ids, seen = {}, {}
  for _, name in ipairs(arguments.datasets) do
    local dataset = datasets.find(conn, name)
    datasets.revision(conn, dataset) -- says so where it holds nothing yet
    if not seen[dataset.id] then
      seen[dataset.id] = true
      ids[#ids + 1] = dataset.id
    end
  end
  return ids
end

local WHY = { ["no directions"] = "has no directions: give it two groups, --contrast case/control",
  ["no samples"] = "has no samples" }

local SKIPPED_SHOWN = 10

local function tell_skipped(skipped)
  for i = 1, math.min(#skipped, SKIPPED_SHOWN) do
    local entry = skipped[i]
    io.stderr:write(("ligase: %s%s %s\n"):format(text.printable(entry.dataset),
      entry.method and " was not scored by " .. entry.method .. ": it" or " was left out:",
      text.printable(WHY[entry.why] or entry.why)))
  end
  if #skipped > SKIPPED_SHOWN then
    io.stderr:write(("ligase: ... and %s\n"):format(text.number(#skipped - SKIPPED_SHOWN)))
  end
end

local function tell(counts, session, seconds)
  output.write(("%s by %s: %s written, %s unchanged, %s, in %s\n"):format(text.count(counts.datasets, "dataset"),
    text.count(#session.signatures, "signature"), text.count(counts.written, "score"),
    text.number(counts.unchanged), text.count(counts.matches, "match", "matches"), text.duration(seconds)))
end

local function told_arguments(arguments, options)
  return { datasets = not arguments.all and arguments.datasets or nil, all = arguments.all,
    signatures = #arguments.signatures > 0 and arguments.signatures or nil, methods = options.methods,
    parameters = options.parameters, contrast = options.contrast, match = options.match }
end

local function run(conn, arguments, context)
  local options = M.options_of(arguments, conn, context.config)
  local journal = runs.new("score", nil, told_arguments(arguments, options))
  local ids = ids_of(conn, arguments)
  local done, session, counts, skipped = xpcall(function()
    local session = scoring.session(conn, options)
    if #session.signatures == 0 then
      errors.raise { kind = "usage", code = "no_signatures", message = "there are no signatures to score by",
        hint = "Load some: ligase signature load FILE" }
    end
    return session, scoring.run(conn, session, ids, journal.id)
  end, errors.explained)
  if not done then
    runs.journal_failure(conn, journal, session)
    error(session, 0)
  end
  scores.journal(conn, journal, counts)
  return session, counts, skipped, ids
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status
function M.run(arguments, context)
  local started = sys.monotonic()
  local conn = context:open_existing()
  local session, counts, skipped, ids = run(conn, arguments, context)
  tell_skipped(skipped)
  if #ids == 1 and not arguments.all then
    if arguments.format == "table" then
      tell(counts, session, sys.monotonic() - started)
    end
    output.print(scores.of_dataset(conn, ids[1], { all = true, limit = arguments.limit,
      contrast = arguments.contrast, signatures = session.options.signatures,
      methods = session.options.methods }), arguments.format)
  else
    tell(counts, session, sys.monotonic() - started)
  end
  return 0
end

return M
