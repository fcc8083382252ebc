--- `ligase campaign`: screening campaigns, by hand, and what their results say.
local entity_command = require "ligase.cli.entity_command"
local json = require "ligase.base.json"
local output = require "ligase.cli.output"
local screening = require "ligase.store.screening"
local text = require "ligase.base.text"

local HITS_SHOWN = 20

--- --positive and the like are members of one field.
local CONTROLS = { "positive", "negative", "blank" }

local function configure(parser)
  for _, role in ipairs(CONTROLS) do
    parser:option("--" .. role, ("Wells (A1, A1:P2, column 23, row A) or names that are %s controls; several by "
      .. "giving it again, or between commas."):format(role)):argname("WELLS"):count("*")
  end
  parser:flag("--hits", "show: all hits, the strongest first.")
  parser:flag("--results", "show: all results, in the order of the file.")
end

local function change_fields(fields, arguments)
  for _, role in ipairs(CONTROLS) do
    if #arguments[role] > 0 then
      if type(fields.controls) ~= "table" then
        fields.controls = {}
      end
      fields.controls[role] = table.concat(arguments[role], ",")
    end
  end
end

local function tell_updated(done, fields)
  if done.revision then
    output.write(("  reckoned anew: revision %d%s\n"):format(done.revision, done.hits and
      (", %s"):format(text.count(done.hits.hits, "hit")) or ", no hits are called"))
  elseif fields.controls and done.outcome == "updated" and done.row.current_revision ~= json.null then
    output.write("  doubt    the results were read with other controls: read their file again\n")
  end
end

local function or_dash(value)
  return (value == nil or value == json.null) and "-" or tostring(value)
end

local function source_shown(revision)
  return or_dash(revision.source) .. (revision.source_count > 1 and (" and %d more"):format(revision.source_count - 1)
    or "")
end

local function show_revisions(revisions, current)
  local rows = {}
  for i, revision in ipairs(revisions) do
    rows[i] = { (revision.revision == current and "* " or "  ") .. revision.revision, revision.created_at,
      text.number(revision.result_count), text.number(revision.value_count), text.number(revision.plate_count),
      or_dash(revision.hit_count), or_dash(revision.direction), or_dash(revision.rule),
      revision.derived_from ~= json.null and ("revision %d reckoned anew"):format(revision.derived_from)
        or source_shown(revision) }
  end
  output.write("\n" .. text.table(rows, { header = { "revision", "made", "results", "values", "plates", "hits",
    "direction", "hit rule", "source" } }))
end

local function current_of(revisions, number)
  for _, revision in ipairs(revisions) do
    if revision.revision == number then
      return revision
    end
  end
end

local function same(a, b)
  return json.encode(a) == json.encode(b)
end

local function show_doubts(revision, row)
  local doubts = table.move(revision.doubts, 1, #revision.doubts, 1, {})
  if not same(revision.controls, row.controls) then
    doubts[#doubts + 1] = "the campaign declares other controls since: read the file again"
  end
  for i, doubt in ipairs(doubts) do
    output.write(("%s  %s\n"):format(i == 1 and "\ndoubts:\n" or "", text.printable(doubt)))
  end
end

local function show_hits(conn, row, revision, arguments)
  if arguments.results then
    output.write "\nresults:\n"
    output.print(screening.results(conn, row.id, revision.revision, false), "table")
  elseif revision.hit_count == json.null then
    output.write "\nno hits are called: no hit rule is declared\n"
  else
    output.write(("\n%s by %s%s\n"):format(text.count(revision.hit_count, "hit"), revision.rule,
      revision.undecided_count > 0 and (", %s left open"):format(text.count(revision.undecided_count, "sample")) or ""))
    if revision.hit_count > 0 then
      output.print(screening.results(conn, row.id, revision.revision, true, not arguments.hits and HITS_SHOWN or nil),
        "table")
    end
  end
end

local function show_more(conn, known, arguments)
  local row = known.row
  local revisions = screening.revisions(conn, row.id)
  if #revisions == 0 then
    output.write("\nno results yet: ligase screening --campaign '" .. text.printable(row.name) .. "' FILE\n")
    return
  end
  show_revisions(revisions, row.current_revision)
  local revision = current_of(revisions, row.current_revision)
  if not revision then
    return
  end
  if revision.plate_count > 0 then
    output.write "\nplates:\n"
    output.print(screening.plates(conn, row.id, revision.revision), "table")
  end
  show_hits(conn, row, revision, arguments)
  show_doubts(revision, row)
end

return entity_command.command("campaign", {
  description = "Makes, changes, lists, shows and deletes screening campaigns. A campaign declares what its results "
    .. "mean: the direction (inhibition or activation), the controls, and the hit rule; without a hit rule nothing is "
    .. "called a hit. When direction or rule change, the results are reckoned anew, as the next revision. show prints "
    .. "the plates with Z' and signal window, and the hits.",
  example = [[
  ligase campaign create screen --direction inhibition --positive 'column 23' --negative DMSO
  ligase campaign update screen --hit-rule 'percent >= 60 and robust_z <= -3'
  ligase campaign update screen --hit-rule none
  ligase campaign show screen --hits
  ligase campaign delete screen --with-data]],
  has_data = true,
  configure = configure, change_fields = change_fields, tell_updated = tell_updated, show_more = show_more,
})
