--- `ligase repl`: Lua and SQL by hand.
local M = {}

M.description = "Reads Lua line by line and prints what comes out: rows, frames and tables line up, sql[[...]] asks "
  .. "the database, Tab completes names of Lua, tables, columns, datasets and features, Ctrl-C ends what is running "
  .. "and Ctrl-D the session. .help lists the words and commands. Lines may also come from a file or a pipe."
M.example = [[
  ligase repl
  echo 'datasets"plasma*"' | ligase repl]]

M.takes_nothing = true

--- Declares the command's words: there are none.
function M.configure() end

--- Runs the command.
---@return integer status
function M.run()
  return require("ligase.cli.repl").run()
end

return M
