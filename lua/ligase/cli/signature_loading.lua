--- Loading files of signatures, for `ligase signature load` and for recipes of signatures.
local alias_lookup = require "ligase.store.alias_lookup"
local errors = require "ligase.base.errors"
local inputs = require "ligase.io.inputs"
local output = require "ligase.cli.output"
local signatures = require "ligase.omics.signatures"
local store = require "ligase.store.signatures"
local text = require "ligase.base.text"

local M = {}

--- Signatures of one file that are told one by one.
local TOLD_MOST = 10

local UNMATCHED_SHOWN = 5

local HEADLINES = { created = "new signature", revised = "version %s", replaced = "replaced in version %s",
  unchanged = "unchanged (version %s)" }

local function say(label, ...)
  output.write(("  %-9s %s\n"):format(label, text.printable(string.format(...))))
end

local function tell_unmatched(read)
  local shown = {}
  for i = 1, math.min(#read.unmatched, UNMATCHED_SHOWN) do
    local component = read.unmatched[i]
    shown[i] = ('"%s" (line %d: %s)'):format(text.shown(component.raw, 40), component.line, component.reason)
  end
  if #shown > 0 then
    say("unmatched", "%s kept and matched with nothing: %s%s", text.count(#read.unmatched, "component"),
      table.concat(shown, ", "), #read.unmatched > #shown and ", ..." or "")
  end
end

local function directions_of(signature)
  local up, down = 0, 0
  for _, component in ipairs(signature.components) do
    up, down = up + (component.direction == 1 and 1 or 0), down + (component.direction == -1 and 1 or 0)
  end
  return up + down == 0 and "" or (", %s up, %s down"):format(text.number(up), text.number(down))
end

local function tell_many(read, report)
  local parts = {}
  for _, outcome in ipairs { "created", "revised", "replaced", "unchanged" } do
    local count = report and report.counts[outcome] or 0
    parts[#parts + 1] = count > 0 and ("%s %s"):format(text.number(count), outcome == "created" and "new"
      or outcome == "revised" and "in a new version" or outcome) or nil
  end
  output.write(("%s: %s%s\n"):format(text.printable(read.shown), text.count(read.counts.signatures, "signature"),
    #parts > 0 and " (" .. table.concat(parts, ", ") .. ")" or ""))
end

local function tell(read, report)
  if #read.signatures > TOLD_MOST or #read.signatures == 0 then
    tell_many(read, report)
  end
  for i = 1, #read.signatures <= TOLD_MOST and #read.signatures or 0 do
    local signature = read.signatures[i]
    local words = report and HEADLINES[report.outcomes[i]]:format(signature.version) or "would be loaded (dry run)"
    output.write(("%s: %s, %s%s\n"):format(text.printable(signature.name), words,
      text.count(#signature.components, "component"), directions_of(signature)))
  end
  if report and report.counts.unchanged == #read.signatures then
    return
  end
  say("read", "%s, %s, %s", read.shown, text.bytes(read.bytes), read.format)
  if read.columns then
    local shown = {}
    for role, header in pairs(read.columns) do
      shown[#shown + 1] = ('%s in "%s"'):format(role:gsub("_", " "), text.shown(header, 40))
    end
    table.sort(shown)
    say("columns", "%s", table.concat(shown, "; "))
  end
  tell_unmatched(read)
  for _, doubt in ipairs(read.doubts) do
    say("doubt", "%s", doubt)
  end
end

local function load_file(path, how)
  local input <close> = inputs.open(path)
  local read = signatures.read(input, how.recipe, how.given)
  local report = how.conn and store.load(how.conn, read, { recipe = how.recipe, command = how.command,
    replace = how.replace, outbox = how.outbox, arguments = how.arguments })
  tell(read, report)
end

--- Loads files one by one; a bad one is reported and the rest goes on.
---@param context ligase.context
---@param paths string[]
---@param how {recipe: ligase.signature_recipe, given: table, command: string, replace: boolean|nil,
--- dry_run: boolean|nil, arguments: table|nil}
---@return integer status
function M.load_all(context, paths, how)
  local failing = require "ligase.cli.failing"
  how.outbox = context.config:get "ENABLE_NOTION_SYNC" or context.config:get "ENABLE_DUAL_WRITE"
  how.conn = not how.dry_run and failing.open(context) or nil
  local aliases <close> = how.conn and alias_lookup.open(how.conn, function()
    return context:open()
  end)
  how.given.aliases = aliases
  local failed, misused = 0, 0
  for _, path in ipairs(paths) do
    local done, failure = xpcall(load_file, errors.explained, path, how)
    if not done then
      if failing.is_final(failure) then
        error(failing.as_required(failure, path), 0)
      end
      failed = failed + 1
      misused = misused + (failure.kind == "usage" and 1 or 0)
      failing.report(failing.as_required(failure, path))
    end
  end
  if #paths > 1 then
    output.write(("%s: %d done, %d failed\n"):format(text.count(#paths, "file"), #paths - failed, failed))
  end
  return failed == 0 and 0 or failed == misused and 2 or 1
end

return M
