--- `ligase sql`: one statement, its result printed.
---
--- What may be large is not held in memory: csv and tsv come as COPY writes them, json
--- and jsonl through a cursor. Statements that neither takes (INSERT, SHOW, ...) run as
--- they are.
local errors = require "ligase.base.errors"
local output = require "ligase.cli.output"
local sql_place = require "ligase.store.sql_place"
local text = require "ligase.base.text"

local M = {}

M.description = "Runs one SQL statement. The views measurement_values (one row per feature and sample) and effects "
  .. "(log2 fold change, p, adjusted p) are made for it. In csv and tsv, NULL is an empty field and an empty text is "
  .. '"". Several statements, or files of them: ligase db psql.'
M.surplus = [[The SQL goes into quotes: ligase sql "SELECT ..."]]
M.example = [[
  ligase sql "SELECT feature, sample, value FROM measurement_values LIMIT 5"
  ligase sql --format csv "SELECT * FROM effects WHERE adjusted_p_value < 0.05" > hits.csv
  echo "SELECT count(*) FROM features" | ligase sql -]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("SQL", "The statement, in quotes; - reads it from standard input."):target("statement"):argname("SQL")
  output.add_format(parser)
end

--- SQL that begins with a comment must not be taken for an option.
---@param words string[]
---@return string[]
function M.prepare(words)
  local kept, statement = {}, nil
  for _, word in ipairs(words) do
    if not statement and word:find("^%-%-[^%s=]*%s") then
      statement = word
    else
      kept[#kept + 1] = word
    end
  end
  if statement then
    kept[#kept + 1] = "--"
    kept[#kept + 1] = statement
  end
  return kept
end

-- ---- the statement ---------------------------------------------------------

local function statement_of(word)
  local sql, name = word, "SQL"
  if sql == "-" then
    local read, why = io.read("a")
    if not read then
      errors.raise { kind = "system", code = "read", message = "cannot read standard input: " .. tostring(why) }
    end
    sql, name = read, "(standard input)"
  end
  if not sql:find("[^%s;]") then
    errors.raise { kind = "usage", code = "sql", message = "there is no SQL to run",
      hint = [[Example: ligase sql "SELECT * FROM dataset_overview"]] }
  elseif sql:find("\0", 1, true) or not utf8.len(sql) then
    local _, byte = utf8.len(sql)
    errors.raise { kind = "usage", code = "sql", byte = byte or sql:find("\0", 1, true),
      message = ("the SQL is not UTF-8 text (byte %d)"):format(byte or sql:find("\0", 1, true)),
      hint = "Save it as UTF-8" }
  end
  return sql, name
end

--- The first word after blanks, comments and parentheses, in lower case.
local function first_word(sql)
  local at = 1
  while true do
    local _, stop = sql:find("^[%s(]+", at)
    if not stop then
      _, stop = sql:find("^%-%-[^\n]*", at)
    end
    if not stop then
      _, stop = sql:find("^/%*.-%*/", at)
    end
    if not stop then
      return (sql:match("^%a+", at) or ""):lower()
    end
    at = stop + 1
  end
end

local QUERIES = { select = true, with = true, values = true, table = true }

-- ---- three ways to run it --------------------------------------------------

--- What COPY and cursors refuse runs as it is, and then says itself what is wrong.
local REFUSED = { ["42601"] = true, ["0A000"] = true, ["42P11"] = true }

local COPY = "COPY (\n"
local COPY_AS = {
  csv = "\n) TO STDOUT (FORMAT csv, HEADER)",
  tsv = "\n) TO STDOUT (FORMAT csv, HEADER, DELIMITER E'\\t')",
}
local DECLARE = "DECLARE ligase_rows NO SCROLL CURSOR FOR\n"
local BATCH_BYTES = 4 << 20
local BATCH_MOST = 10000

local function print_copied(conn, copy)
  for chunk in conn:copy_out(copy) do
    output.write(chunk)
  end
end

--- How many rows like these make a batch.
local function batch_size(rows)
  local bytes = 0
  for _, row in ipairs(rows) do
    for _, value in ipairs(row) do
      bytes = bytes + (type(value) == "string" and #value or 0) + 32
    end
  end
  return math.max(1, math.min(BATCH_MOST, BATCH_BYTES * #rows // math.max(1, bytes)))
end

local function print_from_cursor(conn, sql, format)
  conn:transaction(function()
    -- All rows are wanted, not the first few soon.
    conn:query("SET LOCAL cursor_tuple_fraction = 1")
    conn:query(DECLARE .. sql)
    local batch, at = conn:table("FETCH 10 FROM ligase_rows"), 0
    output.print_rows(batch.columns, function()
      if at == #batch and at > 0 then
        batch, at = conn:table(("FETCH %d FROM ligase_rows"):format(batch_size(batch))), 0
      end
      at = at + 1
      return batch[at]
    end, format)
  end)
end

local function print_plain(conn, sql, format)
  local result = conn:table(sql)
  if result.columns and #result.columns > 0 then
    output.print(result, format)
  elseif result.command ~= "" then
    io.stderr:write(result.command or "done", "\n")
  end
end

local function attempt(sql, name, offset, run, ...)
  local done, failure = pcall(run, ...)
  if not done and errors.is(failure, "database") then
    sql_place.locate(failure, sql, name, offset)
    if failure.message == sql_place.SEVERAL then
      failure.hint = "Run them one by one, or all together: ligase db psql -c '...' (or -f FILE)"
    end
  end
  return done, failure
end

local function run_statement(conn, sql, name, format)
  local word = first_word(sql)
  local done, failure
  if word == "copy" and sql:lower():find("to%s+stdout") then
    done, failure = attempt(sql, name, 0, print_copied, conn, sql)
  elseif word == "copy" and sql:lower():find("from%s+stdin") then
    errors.raise { kind = "usage", code = "sql", message = "COPY ... FROM STDIN gets no data here",
      hint = "Use: ligase db psql -c 'COPY ... FROM STDIN' < FILE" }
  elseif QUERIES[word] and COPY_AS[format] then
    done, failure = attempt(sql, name, #COPY, print_copied, conn,
      COPY .. sql:gsub("[;%s]+$", "") .. COPY_AS[format])
  elseif QUERIES[word] and format ~= "table" then
    done, failure = attempt(sql, name, #DECLARE, print_from_cursor, conn, sql, format)
  end
  if not done and (failure == nil or errors.is(failure, "database") and REFUSED[failure.code]) then
    done, failure = attempt(sql, name, 0, print_plain, conn, sql, format)
  end
  for _, notice in ipairs(conn:notices()) do
    io.stderr:write(text.printable_lines(notice), "\n")
  end
  if not done then
    error(failure, 0)
  end
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  context:need_postgres()
  local sql, name = statement_of(arguments.statement)
  -- A private Postgres that is made just now gets its schema; else whatever is there is
  -- looked at as it is.
  local conn = context:is_bare() and context:open() or context:connect()
  run_statement(conn, sql, name, arguments.format)
end

return M
