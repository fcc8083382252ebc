--- `ligase screening`: results of a screen into its campaign.
local errors = require "ligase.base.errors"
local other_files = require "ligase.cli.other_files"
local parsing = require "ligase.cli.parsing"
local reading = require "ligase.cli.reading"
local recipes = require "ligase.omics.recipes"
local text = require "ligase.base.text"

local M = {}

M.description = "Reads results of a screen: one row per well, or per compound with its IC50, EC50, ..., or plates as "
  .. "readers print them. Files are added to the campaign, those that are named together whole or not at all, as its "
  .. "next revision; the same files again are no change, and a file that changed takes its own place. Controls, "
  .. "direction and hit rule are the campaign's (ligase campaign); what is said here counts for these files."
M.example = [[
  ligase campaign create kinases --direction inhibition --hit-rule 'percent >= 50'
  ligase screening --campaign kinases --positive 'column 23' --negative A24:P24 screen/plate_*.csv
  ligase screening --campaign kinases screen/plate_17.csv
  ligase screening --campaign kinases --role HPE=positive --role ZPE=negative screen/reader.csv
  ligase screening --campaign kinases --layout layouts/P7.csv screen/reader_P7.txt
  ligase screening --campaign potency --create --unit nM screen/ic50.csv
  ligase campaign show kinases]]

local CONTROLS = { "positive", "negative", "blank" }

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("FILE", "Tables, also gzipped; - is standard input."):target("files"):argname("FILE"):args("+")
  parser:option("--campaign", "The campaign, by name or id."):argname("NAME"):convert(parsing.name("--campaign"))
  for _, role in ipairs(CONTROLS) do
    parser:option("--" .. role, ("Wells (A1, A1:P2, column 23, row A) or names that are %s controls, beside the "
      .. "campaign's; several by giving it again, or between commas."):format(role)):argname("WELLS"):count("*")
  end
  parser:option("--role", "What a word in the column of roles means, such as HPE=positive. May be given again.")
    :target("roles"):argname("WORD=ROLE"):count("*")
  parser:option("--plate", "The plate, where no column names it; without it, the file's name."):argname("NAME")
    :convert(parsing.name("--plate"))
  parser:option("--layout", "A table that says what is in which well: well, compound, and perhaps plate, "
    .. "concentration, role."):argname("FILE")
  parser:option("--unit", "The unit of values, where the file says none."):argname("UNIT")
    :convert(parsing.name("--unit"))
  parser:option("--concentration-unit", "The unit of concentrations, where the file says none: M, mM, µM, nM, pM.")
    :argname("UNIT"):convert(parsing.name("--concentration-unit"))
  parser:option("--duplicates", "Wells that stand twice: refuse the file, keep both, or exclude both from what "
    .. "counts."):argname("WHAT"):convert(parsing.one_of("--duplicates", { "refuse", "keep", "exclude" }))
  parser:option("--recipe", "The recipe; screening without it."):argname("NAME"):default("screening")
  parser:option("--program", "The program that the campaign belongs to."):argname("NAME"):count("*")
  parser:option("--experiment", "The experiment that it belongs to."):argname("NAME"):count("*")
  parser:flag("--create", "Make the campaign and compounds that are not there.")
  parser:flag("--only", "The next revision holds these files alone, and nothing of those that were read before.")
  parser:flag("--again", "Read the files again although they are the current revision's.")
  reading.configure(parser)
  parser:flag("--dry-run", "Say what would happen and write nothing.")
end

local function roles_of(pairs_given)
  local roles = {}
  for _, pair in ipairs(pairs_given) do
    local word, role = pair:match("^(.+)=([^=]+)$")
    if not word then
      errors.raise { kind = "usage", code = "role", message = ("--role %s says no role"):format(text.printable(pair)),
        hint = "Write --role WORD=ROLE, for example --role HPE=positive" }
    end
    roles[word] = role
  end
  return roles
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status
function M.run(arguments, context)
  local recipe = recipes.load_any(arguments.recipe)
  if not recipe.campaign then
    errors.raise { kind = "usage", code = "recipe", message = ("the recipe '%s' is not for screening results"):format(
      recipe.name), hint = "Leave --recipe out, or name a copy of recipes/screening.lua" }
  end
  local declared = {}
  for _, role in ipairs(CONTROLS) do
    declared[role] = #arguments[role] > 0 and table.concat(arguments[role], ",") or nil
  end
  return other_files.store_all(arguments, context, recipe, "screening", {
    controls = declared, roles = roles_of(arguments.roles), plate = arguments.plate, unit = arguments.unit,
    concentration_unit = arguments.concentration_unit, duplicates = arguments.duplicates, force = arguments.again,
    only = arguments.only, layout_path = arguments.layout,
  })
end

return M
