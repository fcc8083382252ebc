--- What people are told of screening results that were read.
local host = require "host"
local text = require "ligase.base.text"

local M = {}

local null = host.null

local SHOWN_MOST = 4

local function listed(words)
  local shown = {}
  for i = 1, math.min(#words, SHOWN_MOST) do
    shown[i] = text.shown(words[i], 40)
  end
  return table.concat(shown, ", ") .. (#words > SHOWN_MOST and ", ..." or "")
end

--- What was noted of rows while they were read, in the order in which it is told.
local NOTES = {
  { "twice", "wells that stand twice, counted as was asked for" },
  { "no_value", "results without a value" },
  { "not_numeric", "cells that are no numbers, kept as text" },
  { "no_concentration", "concentrations that are not above 0, kept as text" },
  { "without_unit", "cells without a unit of concentration, kept as text (say it in the header, in a column, or "
    .. "--unit nM)" },
  { "unknown_unit", "cells in units that are none of concentration, kept as text" },
  { "dose_without_unit", "concentrations without a unit, kept as text (say it in the header, in a column, or "
    .. "--concentration-unit µM)" },
  { "dose_not_read", "concentrations that are not in mol/L, kept as text" },
  { "unnamed", "wells that name neither a compound nor a role, taken for empty" },
}

local function plate_name(plate)
  return plate.plate and text.shown(plate.plate, 40) or "(without a name)"
end

--- The plates without Z′, grouped by the reason.
local function add_plates(doubts, plates)
  local by_reason, order = {}, {}
  for _, plate in ipairs(plates) do
    if plate.reason then
      local group = by_reason[plate.reason]
      if not group then
        group = {}
        by_reason[plate.reason], order[#order + 1] = group, plate.reason
      end
      group[#group + 1] = plate_name(plate)
    end
  end
  for _, reason in ipairs(order) do
    local names = by_reason[reason]
    doubts[#doubts + 1] = ("no Z' for %s (%s): %s"):format(text.count(#names, "plate"), listed(names), reason)
  end
end

local function add_direction(doubts, plates, campaign)
  local against = {}
  for _, plate in ipairs(plates) do
    if plate.positive.n > 0 and plate.negative.n > 0 and campaign.direction == "inhibition"
      and plate.positive.mean > plate.negative.mean then
      against[#against + 1] = plate_name(plate)
    elseif plate.positive.n > 0 and plate.negative.n > 0 and campaign.direction == "activation"
      and plate.positive.mean < plate.negative.mean then
      against[#against + 1] = plate_name(plate)
    end
  end
  if #against > 0 then
    doubts[#doubts + 1] = ("the positive controls are %s than the negative ones in a campaign of %s (%s): does the "
      .. "signal run the other way, or are the controls exchanged?"):format(campaign.direction == "inhibition"
      and "higher" or "lower", campaign.direction, listed(against))
  end
end

--- What was noted of rows, as it is told.
---@param notes table<string, {count: integer, examples: string[]}>
---@return string[]
function M.note_doubts(notes)
  local doubts = {}
  for _, note in ipairs(NOTES) do
    local found = notes[note[1]]
    if found then
      doubts[#doubts + 1] = ("%s %s: %s%s"):format(text.number(found.count), note[2],
        table.concat(found.examples, ", "), found.count > #found.examples and ", ..." or "")
    end
  end
  return doubts
end

--- What is doubtful about results as they were read now.
---@param results ligase.screening_results
---@param map ligase.control_map
---@param layout ligase.plate_layout|nil
---@return string[]
function M.reading_doubts(results, map, layout)
  local doubts = M.note_doubts(results.notes)
  doubts[#doubts + 1] = layout and layout:doubt()
  for _, unseen in ipairs(map:unseen()) do
    doubts[#doubts + 1] = ("the %s control '%s' occurs nowhere"):format(unseen.role, text.shown(unseen.word, 40))
  end
  return doubts
end

--- What is doubtful about what follows from them, by what the campaign declares.
---@param plates ligase.screening_plate[]
---@param hits {hits: integer, undecided: integer, judged: integer}|nil
---@param campaign table its row
---@return string[]
function M.reckoning_doubts(plates, hits, campaign)
  local doubts = {}
  add_plates(doubts, plates)
  add_direction(doubts, plates, campaign)
  if campaign.direction == null and #plates > 0 then
    doubts[#doubts + 1] = "no percentages: the campaign declares no direction (ligase campaign update NAME --direction "
      .. "inhibition, or activation)"
  end
  if not hits then
    doubts[#doubts + 1] = "no hits are called: the campaign declares no hit rule (ligase campaign update NAME "
      .. "--hit-rule 'percent >= 50')"
  elseif hits.judged == 0 then
    doubts[#doubts + 1] = ("the hit rule '%s' speaks of none of these results"):format(campaign.hit_rule.text)
  elseif hits.undecided > 0 then
    doubts[#doubts + 1] = ("the hit rule leaves %s open: no value, no percentage, or only a bound"):format(
      text.count(hits.undecided, "sample"))
  end
  return doubts
end

-- ---- reports ---------------------------------------------------------------

local function number(value, digits)
  return value and ("%." .. digits .. "f"):format(value) or "-"
end

local function plates_line(plates)
  if #plates == 0 then
    return nil
  elseif #plates <= SHOWN_MOST then
    local shown = {}
    for i, plate in ipairs(plates) do
      shown[i] = ("%s: %s, Z' %s, signal window %s"):format(plate_name(plate), text.count(plate.wells, "well"),
        number(plate.z_prime, 3), number(plate.signal_window, 2))
    end
    return table.concat(shown, "; ")
  end
  local lowest, highest, without = nil, nil, 0
  for _, plate in ipairs(plates) do
    if plate.z_prime then
      lowest, highest = math.min(lowest or plate.z_prime, plate.z_prime), math.max(highest or plate.z_prime,
        plate.z_prime)
    else
      without = without + 1
    end
  end
  return ("%s%s%s"):format(text.count(#plates, "plate"), lowest and (", Z' from %s to %s"):format(number(lowest, 3),
    number(highest, 3)) or "", without > 0 and (", %d without Z'"):format(without) or "")
end

--- How many of the compounds that results name are known.
---@param found {known: integer, made: integer, unknown: string[], ambiguous: string[]}
---@return string|nil
function M.compounds_line(found)
  local total = found.known + found.made + #found.unknown + #found.ambiguous
  if total == 0 then
    return nil
  end
  local parts = { ("%s named: %s known"):format(text.count(total, "compound"), text.number(found.known)) }
  if found.made > 0 then
    parts[#parts + 1] = text.number(found.made) .. " new"
  end
  if #found.unknown > 0 then
    parts[#parts + 1] = ("%s unknown and kept as text (%s; --create makes them)"):format(text.number(#found.unknown),
      listed(found.unknown))
  end
  if #found.ambiguous > 0 then
    parts[#parts + 1] = ("%s may be several and are kept as text (%s)"):format(text.number(#found.ambiguous),
      listed(found.ambiguous))
  end
  return table.concat(parts, ", ")
end

local function columns_line(plan)
  local used, left = {}, {}
  for _, column in ipairs(plan.columns) do
    if column.field then
      used[#used + 1] = ('%s from "%s"'):format(column.field, column.header)
    else
      left[#left + 1] = ('"%s"%s'):format(column.header, column.left and " (beside the raw value)" or "")
    end
  end
  return table.concat(used, ", "), #left > 0 and table.concat(left, ", ") .. ": kept as text" or nil
end

--- How much of a revision was read before.
local function earlier_part(results)
  local files = 0
  for _, source in ipairs(results.sources) do
    files = files + (source.is_earlier and 1 or 0)
  end
  return files > 0 and (", %s of them from %s read before"):format(text.number(results.earlier_count),
    text.count(files, "file")) or ""
end

--- The report of files that were read together, as ligase.cli.other_files prints it.
---@param result table campaign, content, compounds, details, revision, unchanged
---@param outcome "done"|"unchanged"
---@param run_id string
---@return table
function M.of(result, outcome, run_id)
  local content, detail = result.content, result.details[1]
  local results, hits = content.results, content.hits
  local name = text.shown(result.campaign.name, 40)
  local headline = result.unchanged and ("campaign %s: unchanged (revision %d)"):format(name, result.revision)
    or ("campaign %s: revision %d, %s%s"):format(name, result.revision, text.count(results.n, "result"),
      earlier_part(results))
  local lines = {}
  local function say(label, line)
    lines[#lines + 1] = line and { label, line } or nil
  end
  if detail.grids then
    say("grids", listed(detail.grids))
  else
    local used, left = columns_line(detail.plan)
    say("columns", used)
    say("left", left)
  end
  say("layout", result.layout and ("%s: %s"):format(result.layout.shown, text.count(result.layout.count, "well")))
  say("plates", plates_line(content.plates))
  say("linked", M.compounds_line(result.compounds))
  if hits then
    say("hits", ("%s of %s by %s"):format(text.number(hits.hits), text.count(hits.judged, "sample"),
      result.campaign.hit_rule.text))
  end
  for _, doubt in ipairs(content.doubts) do
    say("doubt", doubt)
  end
  for _, doubt in ipairs(content.reckoning_doubts) do
    say("doubt", doubt)
  end
  for _, doubt in ipairs(detail.dialect.doubts) do
    say("doubt", doubt)
  end
  local info = { bytes = content.bytes, sha256 = content.sha256, encoding = detail.info.encoding }
  return { outcome = result.unchanged and "unchanged" or outcome, run_id = run_id, headline = headline, lines = lines,
    info = info, dialect = detail.dialect, revision = result.revision, campaign_id = result.campaign.id,
    plates = content.plates, hits = hits, compounds = result.compounds, doubts = content.doubts,
    reckoning_doubts = content.reckoning_doubts,
    counts = { results = results.n, rows = results.rows } }
end

return M
