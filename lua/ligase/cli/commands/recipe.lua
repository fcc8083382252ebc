--- `ligase recipe`: the recipes that there are, one's own and those that came with ligase.
local errors = require "ligase.base.errors"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local recipe_files = require "ligase.cli.recipe_files"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.description = "Lists recipes, with the file that a name means and how it differs from what came with ligase; shows "
  .. "one; copies one into the workspace's recipes/ folder, where a copy of the same name is used instead of ligase's "
  .. "own; and checks whether recipes can be used, without reading a file."
M.example = [[
  ligase recipe list
  ligase recipe show lipidomics
  ligase recipe new my_panel --from lipidomics
  ligase recipe check my_panel]]

M.surplus = "list takes no word, show and new take one NAME, check takes NAMES"

local ACTIONS = { "list", "show", "new", "check" }

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("ACTION", "list, show, new or check."):target("action"):argname("ACTION")
    :convert(parsing.one_of("the action", ACTIONS))
  parser:argument("NAME", "A recipe's name or path; check: several, all without one."):target("names"):argname("NAME")
    :args("*")
  parser:option("--from", "new: the recipe to copy; the one of the same name without it."):argname("RECIPE")
  output.add_format(parser)
end

local function refuse(message, hint)
  errors.raise { kind = "usage", code = "usage", message = message, hint = hint or "See: ligase recipe --help" }
end

local function one_name(arguments)
  if #arguments.names ~= 1 then
    refuse(("'recipe %s' takes one name, not %d"):format(arguments.action, #arguments.names))
  end
  return arguments.names[1]
end

local actions = {}

-- ---- list and show ---------------------------------------------------------

function actions.list(arguments)
  if #arguments.names > 0 then
    refuse("'recipe list' takes no name")
  end
  local result = { columns = {} }
  for i, name in ipairs { "recipe", "reads", "from", "difference", "file" } do
    result.columns[i] = { name = name, type = "text" }
  end
  for i, file in ipairs(recipe_files.all()) do
    local loaded, reads = errors.try(recipe_files.load, file.path)
    reads = loaded and reads or ("(cannot be used: ligase recipe check %s)"):format(file.name)
    result[i] = { file.name, reads, file.place, recipe_files.difference(file) or "", file.path }
  end
  output.print(result, arguments.format)
end

function actions.show(arguments)
  local file = recipe_files.find(one_name(arguments))
  local loaded, reads, recipe = pcall(recipe_files.load, file.path)
  local lines = { { "recipe", file.name }, { "file", file.path }, { "from", file.place },
    { "difference", recipe_files.difference(file) }, { "reads", loaded and reads or tostring(reads) } }
  if loaded then
    lines[#lines + 1] = recipe.feature_type and { "features", recipe.feature_type } or nil
    lines[#lines + 1] = recipe.name_columns and { "names under", table.concat(recipe.name_columns, ", ") } or nil
    lines[#lines + 1] = { "sha256", recipe.sha256 }
  end
  local known = {}
  for _, line in ipairs(lines) do
    known[#known + 1] = line[2] and line or nil
  end
  output.write(text.table(known) .. "\n" .. sys.read_file(file.path):gsub("[^\n\t]+", text.printable))
end

-- ---- new and check ---------------------------------------------------------

function actions.new(arguments)
  local name = one_name(arguments)
  if not arguments.from and not recipe_files.is_known(name) then
    refuse(("there is no recipe '%s' to copy"):format(text.shown(name, 60)),
      ("Say which: ligase recipe new %s --from RECIPE; ligase recipe list names them"):format(text.shown(name, 60)))
  end
  local path, source = recipe_files.copy(name, arguments.from or name)
  output.write(("made %s, a copy of %s\n"):format(path, source))
  output.write(("Edit it, then: %s\n"):format(recipe_files.advice(name, path)))
end

function actions.check(arguments)
  local files, failed = {}, 0
  for i, name in ipairs(arguments.names) do
    files[i] = recipe_files.find(name)
  end
  if #files == 0 then
    files = recipe_files.all()
  end
  for _, file in ipairs(files) do
    local loaded, reads = errors.try(recipe_files.load, file.path)
    if loaded then
      output.write(("%s: good, reads %s\n"):format(file.name, reads))
    else
      failed = failed + 1
      output.push()
      io.stderr:write(("ligase: %s\n"):format(text.printable(errors.describe(reads))))
    end
  end
  return failed > 0 and 1 or 0
end

--- Runs the command.
---@param arguments table as parsed
---@return integer|nil status
function M.run(arguments)
  if arguments.from and arguments.action ~= "new" then
    refuse("--from belongs to 'recipe new'")
  end
  return actions[arguments.action](arguments)
end

return M
