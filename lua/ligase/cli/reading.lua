--- The options that say how files are to be read, for the commands that read some.
local dialect = require "ligase.io.dialect"
local errors = require "ligase.base.errors"
local parsing = require "ligase.cli.parsing"
local samples = require "ligase.omics.samples"

local M = {}

--- Adds the options.
---@param parser table
function M.configure(parser)
  parser:option("--format", "The file's format, such as maxquant, instead of detection."):argname("NAME")
  parser:option("--samples", "A table with one row per sample: group, timepoint, dose, ...")
    :argname("FILE")
  M.configure_dialect(parser, "A column's role: feature, sample, statistic, annotation, sample_name, value, or a "
    .. "statistic's name (p_value, ...). May be given again.")
end

--- Adds those that say how a table is written.
---@param parser table
---@param roles string what --set is for
function M.configure_dialect(parser, roles)
  parser:option("--set", roles):argname("COLUMN=ROLE"):count("*")
  parser:option("--separator", "comma, tab, semicolon, bar, space or the character itself."):argname("CHAR")
    :convert(parsing.character("--separator", dialect.SEPARATOR_WORDS))
  parser:option("--quote", "The quote mark, or none."):argname("CHAR")
    :convert(parsing.character("--quote", { none = false }))
  parser:option("--encoding", "utf-8, utf-16le, latin1, ..."):argname("NAME")
  parser:option("--decimal", "The decimal mark, . or the comma."):argname("CHAR")
    :convert(parsing.one_of("--decimal", { ".", "," }))
  parser:option("--comment", "Lines that begin with it are skipped."):argname("CHAR")
    :convert(parsing.character("--comment", {}))
  parser:option("--skip-lines", "Lines before the header."):argname("N")
    :convert(parsing.whole_number("--skip-lines", 0))
  parser:flag("--no-header", "The file has no header line: its columns are called V1, V2, ...")
  parser:option("--max-columns", "The widest row that is read, 10,000 without it."):argname("N")
    :convert(parsing.whole_number("--max-columns", 1))
  parser:option("--max-field", "The longest cell that is read, in bytes; 1,048,576 without it."):argname("BYTES")
    :convert(parsing.whole_number("--max-field", 1))
  parser:option("--missing", "Texts that stand for a missing value, separated by commas."):argname("MARKS")
end

local function dialect_answers(arguments)
  local missing, header
  if arguments.missing then
    missing = { "" }
    for mark in arguments.missing:gmatch("[^,]+") do
      missing[#missing + 1] = mark
    end
  end
  if arguments.no_header then
    header = false
  end
  return {
    separator = arguments.separator, quote = arguments.quote, encoding = arguments.encoding,
    decimal = arguments.decimal, comment = arguments.comment, skip_lines = arguments.skip_lines, missing = missing,
    column_limit = arguments.max_columns, field_bytes = arguments.max_field, header = header,
  }
end

local function roles_set(pairs_given)
  local set = {}
  for _, pair in ipairs(pairs_given) do
    local column, role = pair:match("^(.*)=([^=]+)$")
    if not column then
      errors.raise { kind = "usage", code = "set", message = ("--set %s says no role"):format(pair),
        hint = "Write --set COLUMN=ROLE, for example --set 'Lipid ID=feature'" }
    end
    set[column] = role
  end
  return set
end

--- What the options of configure_dialect say.
---@param arguments table as parsed
---@return {dialect: table, set: table<string, string>}
function M.dialect_of(arguments)
  return { dialect = dialect_answers(arguments), set = roles_set(arguments.set) }
end

--- What the options say, as ligase.intake.ingest takes it.
---@param arguments table as parsed
---@return {dialect: table, set: table, format: string|nil, samples: ligase.sample_table|nil}
function M.options_of(arguments)
  return { dialect = dialect_answers(arguments), set = roles_set(arguments.set), format = arguments.format,
    samples = arguments.samples and samples.read(arguments.samples) or nil }
end

return M
