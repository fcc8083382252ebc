--- `ligase why`: how names were read, by feature, dataset or row.
local datasets = require "ligase.store.datasets"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local lazy = require "ligase.base.lazy"
local naming = require "ligase.cli.naming"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local pg = require "pg"
local receipts = require "ligase.store.receipts"
local text = require "ligase.base.text"

local locate = lazy "ligase.omics.locate"

local M = {}

M.description = "Says how names were read, and how a score came about. Of a feature: which raw names were read as it, "
  .. "by which rule, and where they stand; it is named by its canonical name or by any name that is read as it. Of a "
  .. "dataset: its names by rule, those that were not understood, and those that may mean several things. Of a "
  .. "dataset's row, counted from 1: its cell, where that stands, and what it was read as. Of a dataset and a "
  .. "signature: the score, the components, and the rows they were found in."
M.example = [[
  ligase why "PC 34:1"
  ligase why "PC 34:1" --type lipid
  ligase why plasma_lipids
  ligase why plasma_lipids:17 --json
  ligase why treated_vs_control --signature als_core]]

M.surplus = [[A name with blanks goes into quotes: ligase why "PC 34:1"]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("WHAT", "A feature, a dataset, or DATASET:ROW."):target("what"):argname("FEATURE|DATASET[:ROW]")
    :convert(naming.utf8_word)
  parser:option("--type", "A feature of this type: lipid, protein, gene, metabolite, or a recipe's own.")
    :target("feature_type"):argname("TYPE")
  parser:option("--signature", "The dataset's score by this signature."):argname("NAME")
  parser:option("--method", "The score by this method; by concordance without it."):argname("NAME")
  parser:option("--contrast", "The score of this contrast."):argname("NAME")
  parser:option("--limit", "How many of each kind are listed, 10 without it."):argname("N")
    :convert(parsing.whole_number("--limit", 1)):default("10")
  parser:flag("--json", "Print one JSON object.")
end

-- ---- what is meant ---------------------------------------------------------

--- The features that a word may mean: of this name, read so by the present rules, or read
--- so once.
local function features_of(conn, word, feature_type)
  local keys = receipts.keys_by_name(conn, word)
  for _, more in ipairs { naming.keys_of(naming.readings(conn, word, feature_type)),
    receipts.keys_by_raw_name(conn, word) } do
    table.move(more, 1, #more, #keys + 1, keys)
  end
  return receipts.features(conn, keys, feature_type)
end

--- The dataset and the row in DATASET:ROW.
local function split_row(word)
  local name, row = word:match("^(.+):(%d+)$")
  return name, row and (math.tointeger(tonumber(row)) or math.maxinteger)
end

--- A dataset by its full name, or by a start of it; nil when there is none.
local function dataset_of(conn, word, by_start)
  local found, result = pcall(datasets.find, conn, word)
  if found then
    return (result.exact or by_start) and result or nil
  elseif errors.is(result, "usage") and result.code == "dataset" then
    return nil
  elseif errors.is(result, "usage") and not by_start and not datasets.existing(conn, nil, { word })[word] then
    return nil -- several begin like that, and none is called so
  end
  error(result, 0)
end

local function refuse_unknown(conn, word, feature_type)
  local near = receipts.nearest(conn, word)
  errors.raise { kind = "usage", code = "unknown_name",
    message = feature_type and ("there is no %s '%s'"):format(feature_type, text.printable(word))
      or ("there is no dataset and no feature '%s'"):format(text.printable(word)),
    hint = near and ("Did you mean '%s'?"):format(text.printable(near))
      or "Datasets are listed by: ligase datasets. How a name would be read says: ligase name TYPE" }
end

--- What a word means. A full name goes before a row, and that before a start of a name.
---@return {features: table[]|nil, dataset: table|nil, row: integer|nil}
local function find(conn, word, feature_type)
  local exact = not feature_type and dataset_of(conn, word)
  if exact then
    return { dataset = exact }
  end
  local features = features_of(conn, word, feature_type)
  if #features > 0 then
    return { features = features }
  elseif feature_type then
    refuse_unknown(conn, word, feature_type)
  end
  local name, row = split_row(word)
  for _, by_start in ipairs { false, true } do
    local whole = by_start and dataset_of(conn, word, true)
    local of_row = name and not whole and dataset_of(conn, name, by_start)
    if whole or of_row then
      return { dataset = whole or of_row, row = of_row and row or nil }
    end
  end
  refuse_unknown(conn, word)
end

-- ---- words -----------------------------------------------------------------

local function given(value)
  return value ~= nil and value ~= pg.null and value ~= "" and value or nil
end

local function or_dash(value)
  return given(value) and tostring(value) or "-"
end

--- What was set aside, an object or a list, in words.
local function in_words(value)
  if type(value) ~= "table" then
    return or_dash(value)
  end
  local words = {}
  for i, item in ipairs(value) do
    words[i] = in_words(item)
  end
  if #words == 0 then
    for kind, item in pairs(value) do
      words[#words + 1] = ("%s = %s"):format(kind, in_words(item))
    end
    table.sort(words)
  end
  return #words > 0 and table.concat(words, ", ") or "-"
end

local function run_of(row)
  return given(row.run_id) and ("%s (%s)"):format(row.run_id, or_dash(row.command)) or "-"
end

local function section(title, rows, header)
  if #rows > 0 then
    output.write(("\n%s\n%s"):format(title, text.table(rows, { header = header, null = "" })))
  end
end

local function tell_more(listed, count, what)
  if count > listed then
    output.write(("... and %s; --limit N lists more\n"):format(text.count(count - listed, "more " .. what)))
  end
end

--- Columns in which something stands: {title, function of a row}.
local function columns_of(rows, columns)
  local header, kept = {}, {}
  for _, column in ipairs(columns) do
    for _, row in ipairs(rows) do
      if given(column[2](row)) and column[2](row) ~= "-" then
        header[#header + 1], kept[#kept + 1] = column[1], column[2]
        break
      end
    end
  end
  local cells = {}
  for i, row in ipairs(rows) do
    cells[i] = {}
    for j, cell_of in ipairs(kept) do
      cells[i][j] = cell_of(row)
    end
  end
  return cells, header
end

local function field(name)
  return function(row)
    return row[name]
  end
end

local function field_in_words(name)
  return function(row)
    return in_words(row[name])
  end
end

-- ---- one feature -----------------------------------------------------------

local function feature_report(conn, feature, limit)
  local known, count = receipts.names(conn, feature.key, limit)
  for _, name in ipairs(known) do
    name.matching = nil
  end
  return { type = feature.feature_type, name = feature.name, level = feature.level, id = feature.id,
    key = tostring(feature.key), attributes = feature.attributes, first_met = { at = feature.created_at,
    run = feature.run_id, command = feature.command, source = feature.source }, names = json.array(known),
    name_count = count, occurrences = receipts.occurrences(conn, feature.key, limit) }
end

local NAME_COLUMNS = {
  { "raw name", field "raw_name" }, { "rule", field "rule" }, { "level", field "level" },
  { "set aside", field_in_words "aside" }, { "reason", field "reason" }, { "may mean", field_in_words "candidates" },
  { "rows", field "rows" }, { "datasets", field "datasets" }, { "first read", field "read_at" }, { "by run", run_of },
}

local EXAMPLE_COLUMNS = {
  { "dataset", field "dataset" }, { "omics", field "omics_type" }, { "revision", field "revision" },
  { "row", field "row" }, { "rows", field "rows" }, { "raw name", field "raw_name" }, { "file", field "file" },
}

local function tell_feature(report)
  local found = report.occurrences
  local lines = { { report.type, report.name }, { "level", or_dash(report.level) } }
  if next(report.attributes) then
    lines[#lines + 1] = { "known", in_words(report.attributes) }
  end
  lines[#lines + 1] = { "id", report.id }
  lines[#lines + 1] = { "first met", ("%s by run %s"):format(report.first_met.at,
    run_of { run_id = report.first_met.run, command = report.first_met.command }) }
  lines[#lines + 1] = { "occurs in", ("%s, %s%s"):format(text.count(found.datasets, "dataset"),
    text.count(found.rows, "row"), found.earlier_rows > 0
      and (", and in %s of earlier revisions"):format(text.count(found.earlier_rows, "row")) or "") }
  output.write(text.table(lines))
  section("read from", columns_of(report.names, NAME_COLUMNS))
  tell_more(#report.names, report.name_count, "name")
  section("for example", columns_of(found.examples, EXAMPLE_COLUMNS))
  tell_more(#found.examples, found.datasets, "dataset")
end

--- Those that occur come first: a name may have been read otherwise once.
local function why_features(conn, features, limit, as_json)
  local reports, place = {}, {}
  for i, feature in ipairs(features) do
    reports[i] = feature_report(conn, feature, limit)
    place[reports[i]] = i
  end
  table.sort(reports, function(a, b)
    local more, fewer = a.occurrences.rows > 0, b.occurrences.rows > 0
    if more ~= fewer then
      return more
    end
    return place[a] < place[b]
  end)
  for i = 1, as_json and 0 or #reports do
    output.write(i > 1 and "\n" or "")
    tell_feature(reports[i])
  end
  return { features = json.array(reports) }
end

-- ---- one dataset -----------------------------------------------------------

local function revision_of(conn, dataset)
  local revision = datasets.revision(conn, dataset)
  return revision, { dataset = dataset.name, omics_type = dataset.omics_type, id = dataset.id,
    revision = revision.revision, file = revision.source, recipe = revision.recipe,
    recipe_sha256 = revision.recipe_sha256, run = revision.run_id, stored_at = revision.created_at }
end

local function tell_revision(report, more)
  local rows = {
    { "dataset", ("%s (%s), revision %d"):format(report.dataset, report.omics_type, report.revision) },
    { "file", or_dash(report.file) },
    { "recipe", or_dash(report.recipe) },
    { "stored", ("%s by run %s"):format(report.stored_at, or_dash(report.run)) },
  }
  output.write(text.table(table.move(more, 1, #more, #rows + 1, rows)))
end

local COUNTED = {
  { "understood", "%s understood" }, { "not_understood", "%s not understood" }, { "ambiguous", "%s ambiguous" },
  { "names_without_receipt", "%s without a receipt" },
}

local function names_line(counts)
  local parts = {}
  for _, kind in ipairs(COUNTED) do
    if counts[kind[1]] > 0 then
      parts[#parts + 1] = kind[2]:format(text.number(counts[kind[1]]))
    end
  end
  return ("%s different, in %s%s"):format(text.number(counts.names), text.count(counts.rows, "row"),
    #parts > 0 and ": " .. table.concat(parts, ", ") or "")
end

local RULE_COLUMNS = { { "rule", field "rule" }, { "level", field "level" }, { "names", field "names" },
  { "rows", field "rows" } }

local REASON_COLUMNS = {
  { "reason", function(row) return or_dash(row.reason) end }, { "names", field "names" }, { "rows", field "rows" },
  { "first row", field "row" }, { "for example", field_in_words "examples" },
}

local AMBIGUOUS_COLUMNS = { { "name", field "raw_name" }, { "may mean", field_in_words "candidates" },
  { "reason", field "reason" }, { "rows", field "rows" }, { "first row", field "row" } }

local ASIDE_COLUMNS = { { "kind", field "kind" }, { "names", field "names" }, { "rows", field "rows" },
  { "for example", field_in_words "examples" } }

local function tell_summary(report)
  local counts, more = report.counts, { { "names", names_line(report.counts) },
    { "features", text.number(report.counts.features) } }
  if counts.rows_without_name > 0 then
    more[#more + 1] = { "no name", text.count(counts.rows_without_name, "row") }
  end
  if counts.rows_not_linked > 0 then
    more[#more + 1] = { "not linked", text.count(counts.rows_not_linked, "row") }
  end
  tell_revision(report, more)
  section("read by", columns_of(report.rules, RULE_COLUMNS))
  section("not understood", columns_of(report.reasons, REASON_COLUMNS))
  tell_more(#report.reasons, report.reason_count, "reason")
  section("ambiguous", columns_of(report.ambiguous, AMBIGUOUS_COLUMNS))
  tell_more(#report.ambiguous, counts.ambiguous, "name")
  section("set aside", columns_of(report.aside, ASIDE_COLUMNS))
end

local function without_matching(rows)
  local count = rows[1] and rows[1].matching or 0
  for _, row in ipairs(rows) do
    row.matching = nil
  end
  return json.array(rows), count
end

local function why_dataset(conn, dataset, limit, as_json)
  local _, report = revision_of(conn, dataset)
  local summary = receipts.summary(conn, dataset.id, report.revision, limit)
  report.counts, report.rules, report.aside = summary.counts, json.array(summary.rules), json.array(summary.aside)
  report.reasons, report.reason_count = without_matching(summary.reasons)
  report.ambiguous = without_matching(summary.ambiguous)
  if not as_json then
    tell_summary(report)
  end
  return report
end

-- ---- one row ---------------------------------------------------------------

local function name_column(revision)
  for _, column in ipairs(revision.columns) do
    if column.role == "feature" then
      return column
    end
  end
  return { name = pg.null, position = pg.null }
end

local function line_of(revision, row, column)
  if not given(revision.source) or not given(revision.source_sha256) or not given(column.position) then
    return nil
  end
  return locate.line { path = revision.source, sha256 = revision.source_sha256, findings = revision.dialect,
    ordinal = row.ordinal, position = column.position, cell = given(row.raw_name) }
end

local function read_as(report)
  if given(report.feature) then
    return ("%s (%s)"):format(report.feature, report.type)
  end
  return given(report.raw_name) and "-, it is not linked to a feature" or "-, the cell is empty"
end

local function tell_row(report)
  local more = {
    { "row", tostring(report.row) },
    { "line", report.line and tostring(report.line) or ("-" .. (report.line_unknown and ", " .. report.line_unknown
      or "")) },
    { "column", ("%s (column %s)"):format(or_dash(report.column), or_dash(report.position)) },
    { "cell", or_dash(report.raw_name) }, { "read as", read_as(report) }, { "rule", or_dash(report.rule) },
    { "level", or_dash(report.level) }, { "set aside", in_words(report.aside) },
  }
  if given(report.reason) then
    more[#more + 1] = { "reason", report.reason }
  end
  if given(report.candidates) then
    more[#more + 1] = { "may mean", in_words(report.candidates) }
  end
  if given(report.first_read_at) then
    more[#more + 1] = { "first read", ("%s by run %s"):format(report.first_read_at, or_dash(report.first_read_by)) }
  end
  tell_revision(report, more)
end

local function refuse_row(dataset, revision, row)
  errors.raise { kind = "usage", code = "row",
    message = ("dataset '%s' has no row %d"):format(text.printable(dataset.name), row),
    hint = ("Its rows are counted from 1 to %d"):format(revision.row_count) }
end

local function why_row(conn, dataset, ordinal, as_json)
  local revision, report = revision_of(conn, dataset)
  local row = receipts.row(conn, dataset.id, revision.revision, ordinal)
  if not row then
    refuse_row(dataset, revision, ordinal)
  end
  local column = name_column(revision)
  local line, unknown = line_of(revision, row, column)
  report.row, report.line, report.column, report.position = row.ordinal, line, column.name, column.position
  report.raw_name, report.feature, report.type, report.feature_id = row.raw_name, row.feature, row.feature_type,
    row.feature_id
  report.rule, report.level, report.aside, report.reason = row.rule, row.level, row.aside, row.reason
  report.candidates, report.first_read_at, report.first_read_by = row.candidates, row.read_at, row.run_id
  if not as_json then
    report.line_unknown = unknown
    tell_row(report)
  end
  return report
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn = context:open_existing()
  if arguments.signature then
    return require("ligase.cli.why_score").run(conn, datasets.find(conn, arguments.what), arguments)
  end
  naming.check_type(conn, arguments.feature_type)
  local meant = find(conn, arguments.what, arguments.feature_type)
  local report
  if meant.features then
    report = why_features(conn, meant.features, arguments.limit, arguments.json)
  elseif meant.row then
    report = why_row(conn, meant.dataset, meant.row, arguments.json)
  else
    report = why_dataset(conn, meant.dataset, arguments.limit, arguments.json)
  end
  if arguments.json then
    report.line = report.row and (report.line or pg.null) or nil
    output.write(json.encode(report, { pretty = true }) .. "\n")
  end
end

return M
