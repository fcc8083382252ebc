--- `ligase gc`: frees the rows of revisions that nobody needs.
local garbage = require "ligase.store.garbage"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local text = require "ligase.base.text"

local M = {}

M.description = "Frees the rows of revisions that nobody needs any more, for good: those beyond the N newest of each "
  .. "dataset, or older than so many days; with both, those that are both. The revision that counts always stays. So "
  .. "do revisions with scores, and the one that undoing a dataset's last change of revision would go back to, unless "
  .. "it is said that these may go too."
M.example = [[
  ligase gc --keep 2 --dry-run
  ligase gc --keep 1 --older-than 90
  ligase gc --older-than 365 --scores --rollbacks]]

local NAMED_MOST = 10

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:option("--keep", "So many of the newest revisions of each dataset stay."):argname("N")
    :convert(parsing.whole_number("--keep", 1))
  parser:option("--older-than", "Only what is older."):argname("DAYS"):convert(parsing.amount("--older-than"))
  parser:flag("--scores", "Also revisions that have scores, with the scores.")
  parser:flag("--rollbacks", "Also what only a rollback would need; what it would undo stays as it is then.")
  parser:flag("--dry-run", "Say what would be freed and write nothing.")
end

local function tell_list(title, list, most)
  for i = 1, math.min(#list, most) do
    local revision = list[i]
    output.write(("  %s %s: %s%s\n"):format(title, revision.name
      and ("%s/%s@%d"):format(revision.omics_type, text.printable(revision.name), revision.revision)
      or ("%s@%d of a dataset that was taken back"):format(revision.dataset_id, revision.revision),
      text.count(revision.rows, "row"), revision.why == "scores" and ", because it has scores (--scores)"
      or revision.why == "rollback" and ", because a rollback would need it (--rollbacks)" or ""))
  end
  if #list > most then
    output.write(("  ... and %s more\n"):format(text.number(#list - most)))
  end
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn = context:open_existing()
  local report = garbage.collect(conn, { keep = arguments.keep, older_than = arguments.older_than,
    scores = arguments.scores, rollbacks = arguments.rollbacks, dry_run = arguments.dry_run })
  local most = arguments.dry_run and math.huge or NAMED_MOST
  tell_list(arguments.dry_run and "would free" or "freed", report.freed, most)
  tell_list("kept", report.kept, most)
  local counts = report.counts
  output.write(("%s %s: %s, %s%s%s\n"):format(arguments.dry_run and "would free" or "freed",
    text.count(counts.revisions, "revision"), text.count(counts.rows, "row"),
    "about " .. text.bytes(report.bytes), counts.scores > 0 and ", " .. text.count(counts.scores, "score") or "",
    counts.alias_rows > 0 and ", " .. text.count(counts.alias_rows, "row") .. " of alias tables" or ""))
  if not arguments.dry_run and counts.rows > 0 then
    output.write("Postgres uses the room again; VACUUM FULL gives it back to the disk\n")
  end
end

return M
