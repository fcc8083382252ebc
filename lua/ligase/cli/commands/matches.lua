--- `ligase matches`: which signatures a dataset goes along with, and which datasets a signature.
local datasets = require "ligase.store.datasets"
local errors = require "ligase.base.errors"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local scores = require "ligase.store.scores"
local signatures = require "ligase.store.signatures"
local text = require "ligase.base.text"

local M = {}

M.description = "Lists the stored scores of a dataset, or of a signature, the best first: those that are matches, and "
  .. "of methods that have no rule for matches all. A name that both a dataset and a signature have means the dataset."
M.example = [[
  ligase matches treated_vs_control
  ligase matches als_core --format csv
  ligase matches treated_vs_control --all --method gsea]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("WHAT", "A dataset or a signature."):target("what"):argname("DATASET|SIGNATURE")
  parser:flag("--all", "Those that are no matches too.")
  parser:flag("--signature", "A signature is meant.")
  parser:option("--method", "Only scores by this method."):argname("NAME")
  parser:option("--contrast", "Only those of this contrast."):argname("NAME")
  parser:option("--limit", "How many are listed, 50 without it."):argname("N")
    :convert(parsing.whole_number("--limit", 1)):default("50")
  output.add_format(parser)
end

local function try_find(find, conn, word, code)
  local done, result = pcall(find, conn, word)
  if done then
    return result
  elseif errors.is(result, "usage") and result.code == code then
    return nil
  end
  error(result, 0)
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn = context:open_existing()
  local word = arguments.what
  local wanted = { all = arguments.all, method = arguments.method, contrast = arguments.contrast,
    limit = arguments.limit }
  local dataset = not arguments.signature and try_find(datasets.find, conn, word, "dataset")
  local signature = (not dataset or not dataset.exact) and try_find(signatures.find, conn, word, "signature")
  if dataset and (dataset.exact or not (signature and signature.exact)) then
    output.print(scores.of_dataset(conn, dataset.id, wanted), arguments.format)
  elseif signature then
    output.print(scores.of_signature(conn, signature.id, wanted), arguments.format)
  else
    errors.raise { kind = "usage", code = "unknown_name",
      message = ("there is no dataset and no signature '%s'"):format(text.printable(word)),
      hint = "They are listed by: ligase datasets, ligase signature list" }
  end
end

return M
