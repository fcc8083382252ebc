--- The command line: one command per file in ligase.cli.commands, loaded when it is
--- called.
---
--- A command's module has `description`, `example` (lines to type), `configure(parser)`
--- and `run(arguments, context)`, which may return the exit status; `prepare(words)`
--- may rewrite its words before they are parsed. One with `takes_nothing` needs no parser
--- when there are no words.
local errors = require "ligase.base.errors"
local host = require "host"
local output = require "ligase.cli.output"
local text = require "ligase.base.text"

local M = {}

--- Name and summary of each, in the order of the help.
M.COMMANDS = {
  { "ingest", "read omics tables into Postgres" },
  { "inspect", "say what would be understood of files, and how sure that is" },
  { "run", "read files by a recipe of yours" },
  { "worker", "ingest what others queued" },
  { "recipe", "list, show, copy and check recipes" },
  { "program", "make, change, list, show or delete programs" },
  { "experiment", "make, change, list, show or delete experiments" },
  { "compound", "make, change, list, show or delete compounds" },
  { "dataset", "change what is said of a dataset, or delete it" },
  { "datasets", "list the datasets" },
  { "show", "show what is known of one dataset" },
  { "screening", "read results of a screen into its campaign" },
  { "campaign", "screening campaigns: made, changed, listed, shown with plates and hits, deleted" },
  { "import", "take over what a SQLite file or Notion has" },
  { "export", "write a dataset out as the table it was read from, or keep a copy of Notion" },
  { "notion", "compare the Notion databases with what the policy needs of them" },
  { "signature", "load, list, show and delete signatures" },
  { "score", "score datasets by signatures" },
  { "matches", "list which signatures a dataset goes along with, or which datasets a signature" },
  { "name", "read names and say what they were read as" },
  { "names", "read the stored names anew, and move the links of those that are read differently" },
  { "discover", "find sets of features that move together across datasets" },
  { "compare", "set two datasets, or two signatures, side by side" },
  { "link", "link the rows of datasets to features anew" },
  { "features", "list features by the datasets they occur in, and whether they rise or fall" },
  { "feature", "say where a feature occurs, with its values and effects" },
  { "why", "say how the names of a feature, dataset or row were read" },
  { "aliases", "load tables that say which names mean the same" },
  { "sync", "deliver what Notion still has to learn" },
  { "status", "show on one screen what is in the database and how it is" },
  { "doctor", "check the installation and the data's integrity, and say how to repair what is wrong" },
  { "phase", "show the phase of the move out of Notion, with its gates; advance, or go back" },
  { "reconcile", "compare Postgres with Notion, and repair where they differ" },
  { "rehearse", "play the move from Notion to Postgres through, on this machine alone" },
  { "outbox", "list what Notion still has to learn, try it again, or give it up" },
  { "policy", "say what is written where, and which property shows what" },
  { "runs", "list what was done, and what failed" },
  { "rollback", "undo a run, exactly" },
  { "history", "list what became of a dataset, and by whom" },
  { "diff", "set two revisions of a dataset side by side" },
  { "gc", "free the rows of revisions that nobody needs any more" },
  { "sql", "run SQL and print the result" },
  { "repl", "type Lua and SQL by hand, and see what comes out" },
  { "migrate", "bring the database's schema up to date, or take steps back" },
  { "db", "start, stop or look at the private Postgres" },
  { "config", "print every setting, its value and where it came from" },
}

local INTRODUCTION = [[
ligase %s: omics tables into Postgres, exactly and fast.

Usage: ligase COMMAND ...        run a command; ligase COMMAND --help explains it
       ligase FILE.lua ARGS...   run a Lua script, or read files by a recipe
       ligase -e CODE ARGS...    run a piece of Lua
       ligase --version

Commands:
%s
The first command to type:
  ligase ingest FILE.csv
and to look around by hand:
  ligase repl

Without POSTGRES_URL or POSTGRES_HOST, ligase keeps a Postgres of its own in this
folder (.ligase) and starts it when it is needed.
]]

--- Commands that use the database whatever their words say.
local USES_DATABASE = {}
for name in ("ingest run datasets show export names why runs sql sync outbox feature features link matches score "
  .. "discover compare history diff rollback"):gmatch "%a+" do
  USES_DATABASE[name] = true
end

local HELP = { ["--help"] = true, ["-h"] = true, help = true }
local OPTIONS = { "--help", "--version", "-e" }

local function introduction()
  local lines = {}
  for i, command in ipairs(M.COMMANDS) do
    lines[i] = ("  %-10s %s\n"):format(command[1], command[2])
  end
  return INTRODUCTION:format(host.version, table.concat(lines))
end

local function is_file(path)
  local sys = require "sys"
  local found, stat = pcall(sys.stat, path)
  return found and stat and stat.type == "file"
end

local function refuse_unknown(name)
  local names = {}
  for i, command in ipairs(M.COMMANDS) do
    names[i] = command[1]
  end
  local is_option = name:find("^%-") ~= nil
  local near = text.nearest(name, is_option and OPTIONS or names)
  local hint = near and ("Did you mean '%s'?"):format(near)
    or is_file(name) and ("To run the file of that name: ligase ./%s"):format(name)
    or "See: ligase --help"
  errors.raise { kind = "usage", code = "command", hint = hint,
    message = ("there is no %s '%s'"):format(is_option and "option" or "command", text.printable(name)) }
end

local function is_command(name)
  for _, command in ipairs(M.COMMANDS) do
    if command[1] == name then
      return true
    end
  end
  return false
end

local function wants_help(words)
  for _, word in ipairs(words) do
    if word == "--help" or word == "-h" then
      return true
    elseif word == "--" then
      return false
    end
  end
  return false
end

--- Runs one command.
---@param words string[] the command line
---@param recipe? ligase.recipe one that was loaded already, for `run`
---@return integer status
function M.run(words, recipe)
  local name, rest = words[1], table.move(words, 2, #words, 1, {})
  if name == nil then
    io.stderr:write(introduction())
    return 2
  elseif HELP[name] then
    if not words[2] then
      output.write(introduction())
      return 0
    end
    name, rest = words[2], { "--help" }
  elseif name == "--version" or name == "-V" then
    output.write(("ligase %s\n"):format(host.version))
    return 0
  end
  if not is_command(name) then
    refuse_unknown(name)
  end
  local context <close> = require("ligase.cli.context").new(recipe)
  if USES_DATABASE[name] and not wants_help(rest) and not (name == "export" and rest[1] == "notion") then
    context:connect_ahead()
  end
  local command = require("ligase.cli.commands." .. name)
  if command.takes_nothing and #rest == 0 then
    return command.run({}, context) or 0
  end
  local parser = require("ligase.cli.parsing").parser(command, name)
  rest = command.prepare and command.prepare(rest) or rest
  if wants_help(rest) then
    output.write(parser:get_help() .. "\n")
    return 0
  end
  local arguments = parser:parse(rest)
  return command.run(arguments, context) or 0
end

return M
