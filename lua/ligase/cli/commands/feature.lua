--- `ligase feature NAME`: where a feature occurs, with values and effects.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local naming = require "ligase.cli.naming"
local numbers = require "ligase.base.numbers"
local occurrences = require "ligase.store.occurrences"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local pg = require "pg"
local receipts = require "ligase.store.receipts"
local relations = require "ligase.omics.relations"
local sections = require "ligase.cli.sections"
local text = require "ligase.base.text"

local M = {}

M.description = "Says where a feature occurs in the current revisions: dataset, row and the name as it stood, a "
  .. "summary of its values, its effects. It is named by anything that is read as it, by its id or an unambiguous "
  .. "start of that, by its key, or by an unambiguous start of its name. Lipids that say more of the same (PC "
  .. "16:0_18:1 of PC 34:1), or less, are listed apart and not counted."
M.example = [[
  ligase feature "PC 34:1"
  ligase feature cc1a7fe5
  ligase feature "PC 34:1" --type lipid --json]]

M.surplus = [[A name with blanks goes into quotes: ligase feature "PC 34:1"]]

--- Lipids of one sum, or class, that are looked at.
local RELATIVES_MOST = 5000

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("NAME", "The feature."):target("name"):argname("NAME"):convert(naming.utf8_word)
  parser:option("--type", "A feature of this type: lipid, protein, gene, metabolite, or a recipe's own.")
    :target("feature_type"):argname("TYPE")
  parser:option("--limit", "How many datasets, and relatives, are listed, 10 without it."):argname("N")
    :convert(parsing.whole_number("--limit", 1)):default("10")
  parser:flag("--json", "Print one JSON object.")
end

-- ---- what is meant ---------------------------------------------------------

--- Features without repetitions, in the order in which they were found.
local function add_all(list, seen, features)
  for _, feature in ipairs(features) do
    if not seen[feature.key] then
      seen[feature.key] = true
      list[#list + 1] = feature
    end
  end
end

local function refuse_several(word, features)
  local shown = {}
  for i = 1, math.min(#features, 8) do
    shown[i] = ("%s (%s)"):format(text.printable(features[i].name), features[i].feature_type)
  end
  errors.raise { kind = "usage", code = "ambiguous_feature",
    message = ("'%s' may be any of several features"):format(text.printable(word)),
    detail = table.concat(shown, ", ") .. (#features > 8 and ", ..." or ""), hint = "Write more of it" }
end

local function refuse_unknown(conn, word, feature_type)
  local near = receipts.nearest(conn, word)
  errors.raise { kind = "usage", code = "unknown_feature",
    message = ("there is no %s '%s'"):format(feature_type or "feature", text.printable(word)),
    hint = near and ("Did you mean '%s'?"):format(text.printable(near))
      or "How a name would be read says: ligase name TYPE. What there is lists: ligase features" }
end

--- By a start of an id or of a name, or by a cell that was read so once.
local function by_less(conn, word, feature_type)
  for _, features in ipairs { occurrences.by_id(conn, word, feature_type),
    occurrences.by_start(conn, word, feature_type, 9) } do
    if #features > 1 then
      refuse_several(word, features)
    elseif #features == 1 then
      return features
    end
  end
  return occurrences.by_keys(conn, receipts.keys_by_raw_name(conn, word), feature_type)
end

--- The features that a word is read as, beside those that bear it, and the names whose
--- relatives are looked for.
local function find_read(conn, word, feature_type, named)
  local readings = naming.readings(conn, word, feature_type)
  local keys = naming.keys_of(readings)
  keys[#keys + 1] = word:find("^%-?%d+$") and math.tointeger(tonumber(word)) or nil
  local features, seen = {}, {}
  add_all({}, seen, named)
  add_all(features, seen, occurrences.by_keys(conn, keys, feature_type))
  return features, readings
end

-- ---- relatives -------------------------------------------------------------


--- What says more, and what says less, of the same: features with their counts.
local function relatives_of(conn, asked, limit)
  local found = { narrower = {}, broader = {} }
  local sum = asked and (asked.sum or asked.class)
  if not sum then
    return found
  end
  local features = occurrences.by_sum(conn, sum, asked.class ~= nil, RELATIVES_MOST)
  for _, feature in ipairs(features) do
    local relation = relations.relation(asked, feature.name)
    if relation and relation ~= "same" then
      table.insert(found[relation], feature)
    end
  end
  found.cut = #features == RELATIVES_MOST
  local keys = {}
  for _, relation in ipairs { "narrower", "broader" } do
    for i = 1, math.min(limit, #found[relation]) do
      keys[#keys + 1] = found[relation][i].key
    end
  end
  local counts = occurrences.counts(conn, keys)
  for _, relation in ipairs { "narrower", "broader" } do
    local all = found[relation]
    found[relation .. "_count"] = #all
    for i, feature in ipairs(all) do
      local count = counts[feature.key]
      all[i] = i <= limit and { name = feature.name, level = feature.level, id = feature.id,
        key = tostring(feature.key), datasets = count and count.datasets or 0, rows = count and count.rows or 0 } or nil
    end
  end
  return found
end

-- ---- values and effects ----------------------------------------------------

local function list_of(value)
  return sections.given(value) or {}
end

--- Numbers of one row by quantity: those of samples.
local function add_values(groups, row)
  local samples, quantities = list_of(row.sample_names), list_of(row.sample_quantities)
  local units = list_of(row.sample_units)
  local is_long = sections.given(row.sample_text) ~= nil
  for slot, value in ipairs(list_of(row.values)) do
    local quantity = sections.given(quantities[slot])
    if sections.given(samples[slot]) or is_long and quantity then
      local group = groups[quantity or ""]
      if not group then
        group = { quantity = quantity, unit = sections.given(units[slot]), values = {}, cells = 0 }
        groups[quantity or ""], groups[#groups + 1] = group, group
      end
      group.cells = group.cells + 1
      group.values[#group.values + 1] = value ~= pg.null and value or nil
    end
  end
end

--- A dataset's values, one entry for each quantity.
local function values_of(rows)
  local groups, found = {}, {}
  for _, row in ipairs(rows) do
    add_values(groups, row)
  end
  for i, group in ipairs(groups) do
    local summary = numbers.summary(group.values)
    summary.quantity, summary.unit, summary.missing = group.quantity, group.unit, group.cells - summary.n
    found[i] = summary
  end
  return found
end

local function value_at(row, slot)
  local value = slot and list_of(row.values)[slot]
  return value ~= pg.null and value or nil
end

local function effects_of(row)
  local found = {}
  for i, contrast in ipairs(list_of(row.contrasts)) do
    found[i] = { contrast = contrast.name, log2_fold_change = value_at(row, contrast.log2_fold_change),
      p_value = value_at(row, contrast.p_value), adjusted_p_value = value_at(row, contrast.adjusted_p_value) }
  end
  return found
end

--- Rows, which come dataset by dataset, as places.
local function places_of(rows)
  local places, of = {}, {}
  for _, row in ipairs(rows) do
    local place = places[#places]
    if not place or place.dataset_id ~= row.dataset_id then
      place = { dataset = row.dataset, omics_type = row.omics_type, dataset_id = row.dataset_id,
        revision = row.revision, rows = {} }
      places[#places + 1], of[#places + 1] = place, {}
    end
    table.insert(of[#places], row)
    table.insert(place.rows, { row = row.row, raw_name = row.raw_name, effects = json.array(effects_of(row)) })
  end
  for i, place in ipairs(places) do
    place.values = json.array(values_of(of[i]))
  end
  return places
end

-- ---- the report ------------------------------------------------------------

--- Adds what is to be told of features; `meanwhile` is called while Postgres looks for it.
local function add_reports(reports, conn, features, limit, meanwhile)
  for i, found in ipairs(occurrences.places(conn, features, limit, meanwhile)) do
    local feature = features[i]
    reports[#reports + 1] = { type = feature.feature_type, name = feature.name, level = feature.level, id = feature.id,
      key = tostring(feature.key), attributes = feature.attributes, datasets = found.datasets, rows = found.rows,
      directions = { up = found.up, down = found.down, both = found.both },
      places = json.array(places_of(found.first)) }
  end
end

local VALUE_COLUMNS = { { "dataset", "dataset" }, { "omics", "omics_type" }, { "rows", "rows" }, { "row", "row" },
  { "raw name", "raw_name" }, { "quantity", "quantity" }, { "unit", "unit" }, { "values", "n" },
  { "missing", "missing" }, { "mean", "mean" }, { "sd", "sd" }, { "median", "median" }, { "min", "min" },
  { "max", "max" } }

local EFFECT_COLUMNS = { { "dataset", "dataset" }, { "row", "row" }, { "contrast", "contrast" },
  { "log2 fold change", "log2_fold_change" }, { "p", "p_value" }, { "adjusted p", "adjusted_p_value" } }

local RELATIVE_COLUMNS = { { "feature", "name" }, { "level", "level" }, { "datasets", "datasets" }, { "rows", "rows" } }

--- One line for each dataset and quantity; its raw names, each once.
local function value_lines(places)
  local lines = {}
  for _, place in ipairs(places) do
    local raws, met = {}, {}
    for _, row in ipairs(place.rows) do
      local raw = text.shown(sections.or_dash(row.raw_name), 30)
      raws[#raws + 1] = not met[raw] and raw or nil
      met[raw] = true
    end
    for i = 1, math.max(1, #place.values) do
      local values = place.values[i] or {}
      lines[#lines + 1] = { dataset = place.dataset, omics_type = place.omics_type,
        rows = #place.rows > 1 and #place.rows or nil, row = place.rows[1].row, raw_name = table.concat(raws, ", "),
        quantity = values.quantity, unit = values.unit, n = values.n, missing = values.missing ~= 0 and values.missing
          or nil, mean = values.mean, sd = values.sd, median = values.median, min = values.min, max = values.max }
    end
  end
  return lines
end

local function effect_lines(places)
  local lines = {}
  for _, place in ipairs(places) do
    for _, row in ipairs(place.rows) do
      for _, effect in ipairs(row.effects) do
        lines[#lines + 1] = { dataset = place.dataset, row = row.row, contrast = effect.contrast,
          log2_fold_change = effect.log2_fold_change, p_value = effect.p_value,
          adjusted_p_value = effect.adjusted_p_value }
      end
    end
  end
  return lines
end

local function direction_words(directions)
  local known = directions.up + directions.down + directions.both
  if known == 0 then
    return "no direction is known"
  end
  return ("rises in %s, falls in %s%s"):format(text.number(directions.up), text.number(directions.down),
    directions.both > 0 and (", both in %s"):format(text.number(directions.both)) or "")
end

local function tell_feature(report)
  output.write(text.table {
    { report.type, report.name }, { "level", sections.or_dash(report.level) }, { "id", report.id },
    { "key", report.key },
    { "occurs in", ("%s, %s"):format(text.count(report.datasets, "dataset"), text.count(report.rows, "row")) },
    { "direction", direction_words(report.directions) },
  })
  sections.tell("where", value_lines(report.places), VALUE_COLUMNS)
  sections.tell("effects", effect_lines(report.places), EFFECT_COLUMNS)
  sections.tell_more(#report.places, report.datasets, "dataset")
end

local function tell_relatives(related)
  for _, each in ipairs { { "narrower", "says more of the same (not counted above)" },
    { "broader", "says less of the same (not counted above)" } } do
    sections.tell(each[2], related[each[1]], RELATIVE_COLUMNS)
    sections.tell_more(#related[each[1]], related[each[1] .. "_count"] or 0, "feature")
  end
end

--- Those that occur first; the order of their types and names among them.
local function sorted(reports)
  local place = {}
  for i, report in ipairs(reports) do
    place[report] = i
  end
  table.sort(reports, function(a, b)
    if (a.rows > 0) ~= (b.rows > 0) then
      return a.rows > 0
    end
    return place[a] < place[b]
  end)
  return reports
end

--- The name whose relatives are looked for: of the features found, or read, the lipid.
local function asked_of(features)
  for _, each in ipairs(features) do
    local asked = relations.ask(each.feature_type, each.name)
    if asked then
      return asked
    end
  end
end

--- What the word names: reports of the features, and what is related to them.
local function look(conn, word, feature_type, limit)
  local reports, asked = {}, nil
  local named = occurrences.by_name(conn, word, feature_type)
  add_reports(reports, conn, named, limit, function()
    asked = asked_of(named) -- the readers of names are loaded here
  end)
  local read, readings = find_read(conn, word, feature_type, named)
  asked = asked or asked_of(read) or asked_of(readings)
  local related = relatives_of(conn, asked, limit)
  if #named + #read + #related.narrower + #related.broader == 0 then
    read = by_less(conn, word, feature_type)
    if #read == 0 then
      refuse_unknown(conn, word, feature_type)
    end
    related = relatives_of(conn, asked_of(read), limit)
  end
  add_reports(reports, conn, read, limit)
  return sorted(reports), related
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn, word = context:open_existing(), arguments.name
  naming.check_type(conn, arguments.feature_type)
  local reports, related = look(conn, word, arguments.feature_type, arguments.limit)
  if occurrences.lacks_sums(conn) then
    io.stderr:write("ligase: some lipids were stored before their sums were kept, and may be missing among those that "
      .. "say more or less. Fill them in: ligase link --all\n")
  end
  if arguments.json then
    output.write(json.encode({ asked = word, features = json.array(reports), says_more = json.array(related.narrower),
      says_more_count = related.narrower_count or 0, says_less = json.array(related.broader),
      says_less_count = related.broader_count or 0 }, { pretty = true }) .. "\n")
    return
  end
  for i, report in ipairs(reports) do
    output.write(i > 1 and "\n" or "")
    tell_feature(report)
  end
  if #reports == 0 then
    output.write(("'%s' itself is not there\n"):format(text.printable(word)))
  end
  tell_relatives(related)
end

return M
