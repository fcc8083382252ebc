--- `ligase signature load`: files of signatures, one after the other; a bad one is reported and the
--- rest goes on.
local alias_lookup = require "ligase.store.alias_lookup"
local errors = require "ligase.base.errors"
local failing = require "ligase.cli.failing"
local inputs = require "ligase.io.inputs"
local output = require "ligase.cli.output"
local signature_recipe = require "ligase.intake.signature_recipe"
local text = require "ligase.base.text"

local M = {}

local function tell(shown, report, dry_run)
  output.write(("%s: %s%s\n"):format(shown, text.printable(report.headline), dry_run and " (dry run)" or ""))
  for _, line in ipairs(report.outcome ~= "unchanged" and report.lines or {}) do
    output.write(("  %-9s %s\n"):format(line[1], text.printable(line[2])))
  end
  output.push()
end

local function load_file(path, how)
  local input <close> = inputs.open(path)
  tell(input.shown, signature_recipe.load(how.conn, input, how.recipe, how.given, how), how.dry_run)
end

--- Loads files.
---@param context ligase.context
---@param paths string[]
---@param how {recipe: ligase.other_recipe, given: table, command: string, replace: boolean|nil, dry_run: boolean|nil,
--- arguments: table|nil}
---@return integer status 0, or 1 when a file could not be loaded (2: by misuse)
function M.load_all(context, paths, how)
  how.conn = not how.dry_run and failing.open(context) or nil
  how.outbox = context:outbox()
  local aliases <close> = how.conn and alias_lookup.open(how.conn, function()
    return context:open()
  end)
  how.given.aliases = aliases
  local failed, misused = 0, 0
  for _, path in ipairs(paths) do
    local done, failure = xpcall(load_file, errors.explained, path, how)
    if not done then
      failing.as_required(failure, path)
      if failing.is_final(failure) then
        error(failure, 0)
      end
      failed, misused = failed + 1, misused + (failure.kind == "usage" and 1 or 0)
      failing.report(failure)
    end
  end
  if #paths > 1 then
    output.write(("%s: %d done, %d failed\n"):format(text.count(#paths, "file"), #paths - failed, failed))
  end
  return failed == 0 and 0 or failed == misused and 2 or 1
end

return M
