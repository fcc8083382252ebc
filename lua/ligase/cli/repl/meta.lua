--- The commands of the REPL that are no Lua: a line that begins with a dot.
local connection = require "ligase.connection"
local errors = require "ligase.base.errors"
local output = require "ligase.cli.output"
local showing = require "ligase.words.showing"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

---@class ligase.meta_command
---@field [1] string its name
---@field [2] string its words
---@field [3] string what it does
---@field run fun(session: table, words: string): boolean|nil true ends the session

local SAVED = "-- Saved by ligase repl."
local HEADER = SAVED .. ' Run it with: ligase %s\nlocal _ENV = require("ligase.words").environment()\n\n'

local function usage(message, hint)
  errors.raise { kind = "usage", code = "command", message = message, hint = hint }
end

local function required(words, command, example)
  if words == "" then
    usage(("%s needs a word more"):format(command), "Example: " .. example)
  end
  return words
end

-- ---- other programs --------------------------------------------------------

--- Runs a program that has the terminal for itself: Ctrl-C is its own then.
local function run_program(argv)
  io.stdout:flush()
  sys.on_signal("INT", "ignore")
  local done, result = pcall(sys.run, argv, { stdin = true, stdout = "inherit", stderr = "inherit" })
  sys.on_signal("INT", "default")
  if not done then
    error(result, 0)
  end
  return result
end

local function words_of(command)
  local argv = {}
  for word in command:gmatch "%S+" do
    argv[#argv + 1] = word
  end
  return argv
end

--- Calls fn with a temporary file of this content.
local function with_file(name, content, fn)
  local folder = sys.temp_dir("ligase-repl-")
  local path = folder .. "/" .. name
  local done, result = pcall(function()
    sys.write_file(path, content)
    return fn(path)
  end)
  sys.remove_tree(folder)
  if not done then
    error(result, 0)
  end
  return result
end

local function first_given(...)
  for i = 1, select("#", ...) do
    local name = sys.getenv((select(i, ...)))
    if name and name:find("%S") then
      return name
    end
  end
end

-- ---- the commands ----------------------------------------------------------

local RELATIONS = [[
SELECT c.relname AS name, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' ELSE 'table' END AS kind,
  CASE WHEN c.relkind IN ('r', 'p', 'm') AND c.reltuples >= 0 THEN c.reltuples::int8 END AS "rows, about",
  obj_description(c.oid, 'pg_class') AS comment
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND pg_table_is_visible(c.oid) AND c.relname LIKE $1
ORDER BY c.relkind NOT IN ('v', 'm'), c.relname]]

local COLUMNS = [[
SELECT a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type,
  col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute AS a WHERE a.attrelid = to_regclass(quote_ident($1)) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum]]

local function show_tables(session, words)
  local like = require("ligase.words.lookup").like(words == "" and "*" or words)
  session:show(connection.open():query(RELATIONS, like))
end

local function show_columns(session, words)
  local name = required(words, ".columns", ".columns effects")
  local found = connection.open():query(COLUMNS, name)
  if #found == 0 then
    local names = {}
    for i, row in ipairs(connection.open():query(RELATIONS, "%")) do
      names[i] = row.name
    end
    local near = text.nearest(name, names)
    usage(("there is no table '%s'"):format(text.shown(name, 60)), near and ("Did you mean '%s'?"):format(near)
      or "See them with: .tables")
  end
  session:show(found)
end

local function save(session, words)
  local path = required(words, ".save", ".save hits.lua")
  local found, stat = pcall(sys.stat, path)
  if found and stat and not (stat.type == "file" and sys.read_file(path):sub(1, #SAVED) == SAVED) then
    usage(("there is something else at %s"):format(text.printable(path)), "Choose another name")
  end
  local header = HEADER:format(text.printable(path:match("[^/]*$")))
  sys.write_file(path, header .. table.concat(session.script, "\n") .. "\n")
  local saved = text.count(#session.script, "input")
  output.write(("saved %s in %s\n"):format(saved, text.printable(path)))
end

local function edit(session)
  local editor = first_given("VISUAL", "EDITOR") or "editor"
  local typed = with_file("input.lua", (session.last_typed or "") .. "\n", function(path)
    local argv = words_of(editor)
    argv[#argv + 1] = path
    local result = run_program(argv)
    if result.code ~= 0 then
      usage(("%s ended with a failure: nothing was run"):format(text.printable(argv[1])))
    end
    return sys.read_file(path):gsub("%s+$", "")
  end)
  if typed:find("%S") and typed ~= session.last_typed then
    output.write(text.printable_lines(typed) .. "\n")
    session:remember(typed)
    session:evaluate(typed)
  end
end

local function page(session, words)
  local value = session.env._
  if words ~= "" then
    value = session:value_of(words)
  end
  local shown = showing.text(value, { width = math.huge, most = math.huge })
  if not session.on_terminal then
    output.write(shown)
    return
  end
  with_file("value.txt", shown, function(path)
    local argv = words_of(first_given("PAGER") or "less -S")
    argv[#argv + 1] = path
    run_program(argv)
  end)
end

local function set_time(session, words)
  if words ~= "" and words ~= "on" and words ~= "off" then
    usage((".time cannot be '%s'"):format(text.shown(words, 40)), "It is on or off")
  end
  session.is_timed = words == "on" or words == "" and not session.is_timed
  output.write(("times are %s\n"):format(session.is_timed and "shown" or "not shown"))
end

local function run_file(session, words)
  local path = required(words, ".run", ".run hits.lua")
  session:evaluate(sys.read_file(path):gsub("^#[^\n]*", "", 1), "@" .. path)
end

local function quit()
  return true
end

local INTRODUCTION = "Expressions print their value, which is then _. Assignments make globals of the session."

local WORDS = {
  { "sql[[SELECT ...]]", 'rows of a query; sql("... $1", value)' },
  { 'datasets"plasma*"', 'datasets by name; dataset"NAME" is one of them' },
  { 'features"PC 34*"', "features by name" },
  { 'dataset"NAME":frame()', 'its table: :head() :tail() :plot("x", "y") :hist("x")' },
  { "plot, hist, heat", 'drawings; with { file = "x.png" } a picture, by gnuplot' },
  { 'recipe"lipidomics"', 'a recipe; .read_name "PC 34:1"' },
  { "ligase, csv, frame, pg, json, sys, ...", "" },
}

--- Columns of what is explained; what explains it stands below it on a narrow terminal.
local EXPLAINED, NARROW = 26, 70

--- The commands in the order of the help.
---@type ligase.meta_command[]
M.COMMANDS = {
  { ".help", "", "this" },
  { ".tables", "[PATTERN]", "tables and views", run = show_tables },
  { ".columns", "TABLE", "columns of a table or view", run = show_columns },
  { ".page", "[EXPRESSION]", "the last value, whole, in $PAGER", run = page },
  { ".time", "[on|off]", "how long each input took", run = set_time },
  { ".edit", "", "the last input in $EDITOR, then run", run = edit },
  { ".run", "FILE", "a script, in this session", run = run_file },
  { ".save", "FILE", "the session's inputs as a script", run = save },
  { ".quit", "", "ends the session, as Ctrl-D does", run = quit },
}

local function help_line(explained, explanation, width)
  if width >= NARROW then
    return (("  %-" .. EXPLAINED .. "s %s"):format(explained, explanation):gsub(" +$", "")) .. "\n"
  end
  local below = explanation ~= "" and text.wrapped(explanation, width, "    ") .. "\n" or ""
  return text.wrapped(explained, width, "  ") .. "\n" .. below
end

M.COMMANDS[1].run = function()
  local width = sys.terminal_width(1)
  local lines = { text.wrapped(INTRODUCTION, width, "") .. "\n\n" }
  for _, word in ipairs(WORDS) do
    lines[#lines + 1] = help_line(word[1], word[2], width)
  end
  lines[#lines + 1] = "\n"
  for _, command in ipairs(M.COMMANDS) do
    lines[#lines + 1] = help_line(command[1] .. " " .. command[2], command[3], width)
  end
  output.write(table.concat(lines))
end

--- Names of the commands.
---@return string[]
function M.names()
  local names = {}
  for i, command in ipairs(M.COMMANDS) do
    names[i] = command[1]
  end
  return names
end

--- Runs one. Raises "usage" for a command that is none, with the nearest one.
---@param session table
---@param line string
---@return boolean|nil ends true when the session is over
function M.run(session, line)
  local name, words = line:match("^%s*(%.%S+)%s*(.-)%s*$")
  for _, command in ipairs(M.COMMANDS) do
    if command[1] == name then
      return command.run(session, words)
    end
  end
  local near = text.nearest(name, M.names())
  usage(("there is no command '%s'"):format(text.shown(name, 40)), near and ("Did you mean '%s'?"):format(near)
    or "See: .help")
end

return M
