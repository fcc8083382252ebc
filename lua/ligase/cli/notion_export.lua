--- `ligase export notion DIR`: the lab's Notion databases as files.
local access = require "ligase.cli.notion_access"
local errors = require "ligase.base.errors"
local export = require "ligase.io.notion.export"
local failing = require "ligase.cli.failing"
local output = require "ligase.cli.output"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local DRAWN_EVERY_S = 0.2

--- Draws one line on a terminal and takes it away again.
local function progress_line()
  local line = { on = sys.is_terminal(2), drawn_at = 0 }
  function line.at(counts)
    local now = sys.monotonic()
    if line.on and now - line.drawn_at >= DRAWN_EVERY_S then
      line.drawn_at = now
      local said = ("%s: %s fetched, %s unchanged"):format(counts.database, text.number(counts.fetched),
        text.number(counts.unchanged))
      io.stderr:write("\r\27[K", text.truncate(said, sys.terminal_width(2) - 1))
    end
  end
  function line.close()
    if line.drawn_at > 0 then
      io.stderr:write("\r\27[K")
    end
  end
  return line
end

local function tell_one(count)
  if count.is_unreadable then
    output.write(("%s: cannot be read\n"):format(count.database))
    return
  end
  output.write(("%s: %s, %s unchanged%s%s\n"):format(count.database,
    text.count(count.fetched, "page fetched", "pages fetched"), text.number(count.unchanged),
    count.gone > 0 and (", %s gone from Notion and kept here"):format(text.number(count.gone)) or "",
    count.failed > 0 and (", %s failed"):format(text.number(count.failed)) or ""))
end

local function tell(counts)
  for _, count in ipairs(counts) do
    tell_one(count)
  end
end

--- Runs the export and says what was done, also when it ends early.
---@param arguments {folder: string, database: string[]|nil}
---@param context ligase.context
---@return integer status
function M.run(arguments, context)
  local databases = access.databases(context, arguments.database)
  local client = access.client(context)
  local line = progress_line()
  local done, counts, failures = xpcall(export.run, errors.explained, client, arguments.folder, databases,
    { on_page = line.at })
  line.close()
  if not done then
    tell(counts.counts or {})
    error(counts, 0)
  end
  tell(counts)
  for _, failure in ipairs(failures) do
    failing.report(failure)
  end
  return #failures > 0 and 1 or 0
end

return M
