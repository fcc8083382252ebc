--- The REPL: lines are read, run and their values shown, until there are no more.
---
--- A session has an environment of its own, in which what was typed keeps its globals; the
--- database is connected to while the first line is being typed. On a terminal a failure or
--- Ctrl-C ends what is running and the session goes on; where lines come from a file or a
--- pipe the session goes on as well, and its status says in the end that something failed.
local connection = require "ligase.connection"
local errors = require "ligase.base.errors"
local evaluation = require "ligase.cli.repl.evaluation"
local history_of = require "ligase.cli.repl.history"
local host = require "host"
local lazy = require "ligase.base.lazy"
local line = require "line"
local output = require "ligase.cli.output"
local reloading = require "ligase.cli.repl.reloading"
local sys = require "sys"
local text = require "ligase.base.text"
local words = require "ligase.words"
local workspace = require "ligase.base.workspace"

local M = {}

local completion = lazy "ligase.cli.repl.completion"
local meta = lazy "ligase.cli.repl.meta"
local showing = lazy "ligase.words.showing"

---@class ligase.session
---@field env table what was typed runs in it
---@field on_terminal boolean
---@field script string[] the inputs that ran, as lines of a script
---@field last_typed string|nil
---@field is_timed boolean
---@field failed boolean something failed
local Session = {}
Session.__index = Session

-- ---- showing ---------------------------------------------------------------

local MORE = "; .page shows all"

--- Shows a value as the session does.
---@param value any
function Session:show(value)
  output.write(showing.text(value, { more = self.on_terminal and MORE or nil }))
end

local function tell(message)
  io.stdout:flush()
  io.stderr:write(message)
  io.stderr:flush()
end

--- Says what went wrong. Who has ended the output ends the session.
local function tell_failure(self, problem)
  if output.is_closed_pipe(problem.failure) or errors.is(problem.failure, "interrupted")
    and (problem.failure.code == "SIGTERM" or not self.on_terminal) then
    error(problem.failure, 0)
  end
  self.failed = true
  tell(evaluation.describe(problem))
end

local function tell_notices()
  local conn = connection.current()
  for _, notice in ipairs(conn and conn:notices() or {}) do
    tell(text.printable_lines(notice) .. "\n")
  end
end

-- ---- running ---------------------------------------------------------------

local function has_word(typed, word)
  return typed:find("%f[%w_]" .. word .. "%f[^%w_]") ~= nil
end

--- What the input is in a script. A return in it must not end the script.
local function script_line(typed, is_expression)
  if is_expression then
    local code = evaluation.expression(typed)
    return ("show(%s%s)"):format(code, code:find("--", 1, true) and "\n" or "")
  elseif has_word(typed, "return") and not has_word(typed, "function") then
    return ("show((function(...)\n%s\nend)())"):format(typed)
  end
  return has_word(typed, "local") and ("do\n%s\nend"):format(typed) or typed
end

local function timed(self, fn, ...)
  local began = sys.monotonic()
  local done, result = evaluation.run(fn, ...)
  if self.is_timed then
    output.write(("(%s)\n"):format(text.duration(sys.monotonic() - began)))
  end
  return done, result
end

--- Runs a chunk and shows its values.
local function run_chunk(self, chunk)
  local done, result = timed(self, function()
    local values = table.pack(chunk())
    if values.n > 0 then
      self.env._ = values[1]
    end
    for i = 1, values.n do
      self:show(values[i])
    end
  end)
  tell_notices()
  if not done then
    tell_failure(self, result)
  end
  return done
end

local function tell_syntax(self, problem)
  self.failed = true
  tell(text.printable(problem) .. "\n")
end

--- Runs code that is complete.
---@param typed string
---@param name string|nil what it is called in messages; a file's begins with @
function Session:evaluate(typed, name)
  self.count = self.count + 1
  local chunk, problem, is_expression
  if name then
    chunk, problem = load(typed, name, "t", self.env)
  else
    chunk, problem, is_expression = evaluation.compile(typed, ("input %d"):format(self.count), self.env)
  end
  if not chunk then
    tell_syntax(self, problem or "the input ends in the middle")
  elseif run_chunk(self, chunk) and not name then
    self.script[#self.script + 1] = script_line(typed, is_expression)
  end
end

--- The value of an expression that belongs to a command.
---@param expression string
---@return any
function Session:value_of(expression)
  local chunk, problem, is_expression = evaluation.compile(expression, "input", self.env)
  if not is_expression then
    errors.raise { kind = "usage", code = "syntax", message = problem or "the expression ends in the middle" }
  end
  return (chunk())
end

local function run_command(self, typed)
  local done, result = evaluation.run(meta.run, self, typed)
  if not done then
    tell_failure(self, { failure = result.failure, lines = {} })
    return false
  end
  return result[1] == true
end

--- Whether a line is a command of ours: a dot and a letter.
local function is_command(typed)
  return typed:find("^%s*%.%a") ~= nil
end

-- ---- reading ---------------------------------------------------------------

local MARKS = { idle = "", ["in transaction"] = "*", failed = "!" }

--- A star in the prompt: a transaction is open; an exclamation mark: it has failed.
local function prompts()
  local conn = connection.current()
  local mark = conn and MARKS[conn:transaction_status()] or ""
  if sys.terminal_width(1) < 40 then
    return mark .. "> ", mark .. ">> "
  end
  return "ligase" .. mark .. "> ", "     " .. (" "):rep(#mark) .. ">> "
end

--- Keeps what was typed, for the arrow keys and the next session.
---@param typed string
function Session:remember(typed)
  self.last_typed = not is_command(typed) and typed or self.last_typed
  if self.on_terminal and self.history:add(typed) then
    self.reader:add(typed)
  end
end

--- Reads until the input is complete: the text, or nil and why there is none.
local function read_input(self)
  local first, further = prompts()
  self.above = ""
  while true do
    local typed, why = self.reader:read(self.above == "" and first or further)
    if not typed then
      if why == "end" and self.above ~= "" then
        return self.above
      end
      return nil, why
    end
    self.above = self.above .. typed
    local chunk, problem = evaluation.compile(self.above, "input", self.env)
    if chunk or problem or is_command(self.above) then
      return self.above
    end
    self.above = self.above .. "\n"
  end
end

--- What the Tab key does: see line.open.
local function complete(self, typed, cursor)
  if not self.completion then
    self.completion, self.beside = completion.new(self.env, meta.names(), self.beside), nil
  end
  local names
  local before, behind = typed:sub(1, cursor - 1), typed:sub(cursor)
  local insert, listed = self.completion:complete(self.above .. before, behind)
  if listed then
    names = completion.listed(listed, sys.terminal_width(1))
  end
  return insert, names
end

-- ---- the session -----------------------------------------------------------

local function look_for_changes(self)
  local done, said = evaluation.run(self.reloading.look, self.reloading)
  if not done then
    tell_failure(self, said)
    return
  end
  for _, message in ipairs(said[1]) do
    tell(message .. "\n")
  end
end

local function open(folder)
  local self = setmetatable({ env = words.environment(), script = {}, count = 0, is_timed = false, failed = false,
    above = "", reloading = reloading.new(folder) }, Session)
  self.reader = line.open(function(typed, cursor)
    return complete(self, typed, cursor)
  end)
  self.on_terminal = self.reader:is_editing()
  local entries
  self.history, entries = history_of.open(folder)
  for _, entry in ipairs(self.on_terminal and entries or {}) do
    self.reader:add(entry)
  end
  return self
end

local function close(self)
  self.reader:close()
  if self.completion then
    self.completion:close()
  end
  if self.beside then
    self.beside:close()
  end
  connection.close()
end

local function loop(self)
  while true do
    look_for_changes(self)
    output.flush()
    local typed, why = read_input(self)
    look_for_changes(self)
    if not typed and why == "end" then
      return
    elseif typed and typed:find("%S") then
      self:remember(typed)
      if not is_command(typed) then
        self:evaluate(typed)
      elseif run_command(self, typed) then
        return
      end
    end
  end
end

--- The server sets itself up while the first line is being typed: one connection for what
--- is typed, and on a terminal one for the Tab key.
local function begin_connections(self)
  connection.begin()
  errors.try(function()
    self.beside = self.on_terminal and connection.begin_beside() or nil
  end)
end

--- Runs a session on standard input.
---@return integer status 1 when lines came from elsewhere than a terminal and something failed
function M.run()
  local self = open(workspace.find())
  begin_connections(self)
  if self.on_terminal then
    output.write(("ligase %s. .help says what there is; Ctrl-D ends\n"):format(host.version))
  end
  local done, failure = xpcall(loop, errors.explained, self)
  close(self)
  if not done then
    error(failure, 0)
  end
  return self.failed and not self.on_terminal and 1 or 0
end

return M
