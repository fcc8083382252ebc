--- What commands that write have to do with Notion: options for a dataset's page, and the one
--- line about what Notion could not be told. Nothing of it blocks what was stored.
local errors = require "ligase.base.errors"
local lazy = require "ligase.base.lazy"
local pg = require "pg"
local text = require "ligase.base.text"

local opening = lazy "ligase.sync.opening"
local outbox = lazy "ligase.store.outbox"
local policy_of = lazy "ligase.sync.policy"
local properties = lazy "ligase.io.notion.properties"

local M = {}

--- Changes that have waited for longer wait for a relay that does not run.
local OLD_S = 600

local function page_id(given)
  local id = properties.id(given)
  if not id then
    errors.raise { kind = "usage", code = "value", message = ("--notion-page-id cannot be '%s'"):format(
      text.printable(given)), hint = "Copy the page's link in Notion, or its id of 32 digits" }
  end
  return id
end

--- Adds the options for a dataset's page.
---@param parser table
function M.configure(parser)
  parser:flag("--create-page", "Make a Notion page of the dataset and link it, also while Notion sync is off.")
  parser:option("--notion-page-id", "The Notion page that shows the dataset: its id or link."):argname("ID")
    :convert(page_id)
end

--- Refuses one page for several datasets.
---@param arguments table as parsed
---@param count integer of files
function M.check(arguments, count)
  if arguments.notion_page_id and count > 1 then
    errors.raise { kind = "usage", code = "usage", message = ("--notion-page-id names one page, and there are %s")
      :format(text.count(count, "file")), hint = "Ingest the file by itself" }
  elseif arguments.notion_page_id and arguments.create_page then
    errors.raise { kind = "usage", code = "usage", message = "--notion-page-id names a page, and "
      .. "--create-page makes one", hint = "Give one of them" }
  end
end

local function warn(line)
  io.stderr:write("ligase: Notion sync skipped (error): ", text.printable(line), "\n")
end

--- The databases that changes in these tables need and that no setting names.
local function unset_databases(context, tables)
  local policy, unset = policy_of.load(context.workspace), {}
  for _, entity_type in ipairs(policy_of.TYPES) do
    local entity = tables[entity_type] and policy.entities[entity_type]
    unset[#unset + 1] = entity and not context.config:get(entity.database) and entity.database or nil
  end
  return unset
end

--- What is wrong with the outbox as it stands, in a line; nil when nothing is.
local function trouble(open)
  local waiting = open.ready + open.later
  local is_old = open.oldest_s ~= pg.null and open.oldest_s > OLD_S and open.running == 0
  if open.dead == 0 and open.last_error == pg.null and not is_old then
    return nil
  end
  local parts = { waiting > 0 and text.count(waiting, "change") .. " waiting in the outbox" or nil }
  parts[#parts + 1] = open.dead > 0 and text.count(open.dead, "change") .. " set aside" or nil
  local reason = open.last_error ~= pg.null and "; the last reason: " .. open.last_error or ""
  local line = table.concat(parts, ", ") .. reason
  return line .. (line:find "[.?!]$" and "" or ".") .. " See: ligase outbox; deliver with: ligase sync"
end

--- Says in one line what keeps Notion from being told of changes in these tables, if anything
--- does.
---@param context ligase.context
---@param conn table
---@param tables string[] that were written
function M.warn(context, conn, tables)
  local told = context:outbox()
  local concerned = {}
  for _, tbl in ipairs(tables) do
    concerned[tbl] = told and told[tbl] or nil
  end
  if not next(concerned) then
    return
  end
  local unset = unset_databases(context, concerned)
  if #unset > 0 then
    return warn(("%s is not set; changes wait in the outbox"):format(text.enumerate(unset, "and")))
  end
  local asked, open = errors.try(outbox.open, conn)
  local line = asked and trouble(open)
  if line then
    warn(line)
  end
end

local function deliver_asked(context)
  local conn, line = context:open(), nil
  context:govern(conn)
  local relay = opening.relay(context.config, conn, context:open(), { entities = outbox.asked(conn), patience_s = 1,
    tell = function(event)
      if event.kind ~= "delivered" and event.kind ~= "note" then
        line = event.line
      end
    end })
  relay:run()
  return line or relay:left()
end

--- Ends a command that wrote datasets: pages that were asked for are made now.
---@param context ligase.context
---@param conn table
---@param arguments table as parsed
function M.finish(context, conn, arguments)
  if not arguments.create_page then
    return M.warn(context, conn, { "datasets" })
  end
  local unset = not context.config:get "NOTION_API_KEY" and { "NOTION_API_KEY" }
    or unset_databases(context, { datasets = true })
  if #unset > 0 then
    return warn(("%s is not set; the page waits in the outbox"):format(unset[1]))
  end
  local done, result = errors.try(deliver_asked, context)
  if not done then
    local line = errors.describe(result):match "^[^\n]*"
    warn(line .. (line:find "[.?!]$" and "" or ".") .. " The page waits in the outbox")
  elseif result then
    warn((result:gsub("^Notion sync skipped %(error%): ", "")))
  end
end

return M
