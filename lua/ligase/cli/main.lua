--- The command line: one command per file in ligase.cli.commands.
---
--- A command's module has `summary` (one line), `description`, `example` (lines to
--- type), `configure(parser)` and `run(arguments, context)`.
local argparse = require "argparse"
local errors = require "ligase.base.errors"
local host = require "host"
local text = require "ligase.base.text"

local M = {}

--- In the order of the help.
M.COMMANDS = { "ingest", "run", "datasets", "show", "export", "runs", "sql", "migrate", "db", "config" }

local INTRODUCTION = [[
ligase %s: omics tables into Postgres, exactly and fast.

Usage: ligase COMMAND ...        run a command; ligase COMMAND --help explains it
       ligase FILE.lua ARGS...   run a Lua script
       ligase -e CODE            run a piece of Lua

Commands:
%s
The first command to type:
  ligase ingest FILE.csv

Without POSTGRES_URL or POSTGRES_HOST, ligase keeps a Postgres of its own in this
folder (.ligase) and starts it when it is needed.
]]

local function load_command(name)
  return require("ligase.cli.commands." .. name)
end

local function introduction()
  local lines = {}
  for i, name in ipairs(M.COMMANDS) do
    lines[i] = ("  %-10s %s\n"):format(name, load_command(name).summary)
  end
  return INTRODUCTION:format(host.version, table.concat(lines))
end

local function refuse_unknown(name)
  local near = text.nearest(name, M.COMMANDS)
  local what = name:find("^%-") and "option" or "command"
  errors.raise { kind = "usage", code = "command", message = ("there is no %s '%s'"):format(what, name),
    hint = near and ("Did you mean '%s'?"):format(near) or "See: ligase --help" }
end

local function is_command(name)
  for _, command in ipairs(M.COMMANDS) do
    if command == name then
      return true
    end
  end
  return false
end

--- A parser whose complaints are errors like all others.
local function parser_for(name, command)
  local parser = argparse("ligase " .. name, command.description or command.summary,
    "Example:\n" .. command.example)
  parser:help_max_width(100)
  parser.error = function(_, message)
    errors.raise { kind = "usage", code = "usage", message = (message:gsub("\n", ". ")),
      hint = ("See: ligase %s --help"):format(name) }
  end
  command.configure(parser)
  return parser
end

--- Runs one command.
---@param arguments string[]
---@return integer status
function M.run(arguments)
  local name = arguments[1]
  if name == nil or name == "--help" or name == "-h" or name == "help" and not arguments[2] then
    io.stdout:write(introduction())
    return name == nil and 2 or 0
  elseif name == "--version" or name == "-V" then
    io.stdout:write("ligase ", host.version, "\n")
    return 0
  end
  local rest = table.move(arguments, 2, #arguments, 1, {})
  if name == "help" then
    name, rest = arguments[2], { "--help" }
  end
  if not is_command(name) then
    refuse_unknown(name)
  end
  local command = load_command(name)
  local parsed = parser_for(name, command):parse(rest)
  local context <close> = require("ligase.cli.context").new()
  return command.run(parsed, context) or 0
end

return M
