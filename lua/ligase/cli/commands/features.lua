--- `ligase features`: which features recur, and in which direction they move.
local datasets = require "ligase.store.datasets"
local naming = require "ligase.cli.naming"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local recurrence = require "ligase.store.recurrence"
local sections = require "ligase.cli.sections"

local M = {}

--- Lines for people; programs get all.
local SHOWN = 50

M.description = "Lists the features of all current revisions by the number of datasets they occur in. Where datasets "
  .. "hold effects, up is the number of those in which every known change of the feature is a rise, down a fall, both "
  .. "those in which it rises in one row or contrast and falls in another. As a table the first 50 are printed, in "
  .. "other formats all."
M.example = [[
  ligase features --type lipid --min 3
  ligase features --dataset plasma_lipids --max-p 0.05
  ligase features --format csv > features.csv]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:option("--type", "Only features of this type: lipid, protein, gene, metabolite, or a recipe's own.")
    :target("feature_type"):argname("TYPE")
  parser:option("--dataset", "Only features that occur in this dataset; all their datasets are counted.")
    :argname("DATASET")
  parser:option("--min", "Only features that occur in so many datasets."):argname("N")
    :convert(parsing.whole_number("--min", 1)):default("1")
  parser:option("--max-p", "Only changes whose adjusted p-value, or p-value where there is none, is at most P.")
    :argname("P"):convert(parsing.fraction "--max-p")
  parser:option("--limit", "Print so many."):argname("N"):convert(parsing.whole_number("--limit", 1))
  output.add_format(parser)
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn = context:open_if_there()
  if not conn then
    return
  end
  naming.check_type(conn, arguments.feature_type)
  local dataset = arguments.dataset and datasets.find(conn, arguments.dataset)
  local found, count = recurrence.list(conn, { feature_type = arguments.feature_type,
    dataset_id = dataset and dataset.id, min = arguments.min, max_p = arguments.max_p,
    limit = arguments.limit or arguments.format == "table" and SHOWN or nil })
  output.print(found, arguments.format)
  if arguments.format == "table" then
    sections.tell_more(#found, count, "feature")
  end
end

return M
