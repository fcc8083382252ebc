--- Runs chosen by recipe, time or tag, shown, undone, and looked at afterwards. Copy it into
--- the recipes/ folder of your workspace and change what it chooses. Without words it does
--- nothing: whoever looks for recipes reads all files here.
---
---   ligase recipes/rollback_example.lua tag=pilot            says what would happen
---   ligase recipes/rollback_example.lua tag=pilot do         does it
---   ligase recipes/rollback_example.lua recipe=lipidomics since=yesterday cascade do
local errors = require "ligase.base.errors"
local ligase = require "ligase"

local wanted, options = { outcome = "done" }, { dry_run = true }
for _, word in ipairs { ... } do
  local name, value = word:match("^(%w+)=(.+)$")
  if name then
    wanted[name] = value            -- recipe, command, tag, batch, since
  elseif word == "do" then
    options.dry_run = nil
  elseif word == "cascade" then
    options.cascade = true          -- also what later runs built on them
  else
    errors.raise { kind = "usage", message = ("'%s' is none of the words of this script"):format(word),
      hint = "Say recipe=, command=, tag=, batch= or since=, then cascade and do" }
  end
end
if next(wanted, next(wanted)) == nil then
  return
end

local runs = {}
for _, run in ipairs(ligase.runs:list(wanted)) do
  -- A comparison wrote nothing, and a change of phase is undone by `ligase phase back`.
  if run.command ~= "reconcile" and not run.command:find "^phase " then
    runs[#runs + 1] = run
  end
end
if #runs == 0 then
  print "no such run counts"
  return
end
for _, run in ipairs(runs) do
  print(run.started_at:sub(1, 19), run.id:sub(1, 13), run.command, run.source)
end

local report = ligase.rollback(runs, options)
for _, effect in ipairs(report.effects) do
  print(("  %s %s: %s %s"):format(effect.what, effect.name, effect.action, effect.detail))
end
if report.rehearsed then
  print "nothing was written; say do to do it"
  return
end

-- What was undone counts no longer, and what undid it is in the journal.
for _, run in ipairs(report.runs) do
  assert(ligase.runs:find(run.id).outcome == "rolled_back")
end
for _, rollback in ipairs(report.rollbacks) do
  assert(ligase.runs:find(rollback.id).rolls_back == rollback.run_id)
end
print(("undid %d runs; to take this back: ligase rollback %s"):format(#report.runs,
  report.batch_id and "--batch " .. report.batch_id or report.rollbacks[1].id))
