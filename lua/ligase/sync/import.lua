--- What stands in the lab's Notion databases, taken into Postgres: the first time, and again
--- for what was written there meanwhile. Taking up what did not change changes nothing.
---
--- Types come in the order in which they refer to each other, so that relations find their
--- entities. Pages are read and stored some at a time; nothing is written to Notion.
local emptied = require "ligase.sync.emptied"
local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local gone_pages = require "ligase.sync.gone_pages"
local instants = require "ligase.base.instants"
local markdown = require "ligase.io.notion.markdown"
local mirrors = require "ligase.store.mirrors"
local notion = require "ligase.io.notion"
local options_of = require "ligase.base.options"
local properties = require "ligase.io.notion.properties"
local taking = require "ligase.sync.taking"
local values = require "ligase.sync.values"

local M = {}

local PAGES_AT_ONCE = 100

local COMMAND = "import notion"

---@class ligase.notion_import: ligase.taken of one type
---@field entity_type string
---@field pages integer that the database has
---@field skipped integer not changed since they were taken
---@field trashed {id: string, page_id: string, name: string, message: string}[] entities whose page is there no more
---@field deleted integer entities that were deleted with their pages

---@class ligase.importing
---@field conn table
---@field target ligase.notion_target
---@field policy ligase.entity_policy
---@field report ligase.notion_import
local Importing = {}
Importing.__index = Importing

local OPTIONS = { types = { type = "table", required = true }, since = { type = "string" }, all = { type = "boolean" },
  bodies = { type = "boolean", default = true }, delete = { type = "boolean" }, rehearse = { type = "boolean" },
  allow_empty = { type = "boolean" }, tell = { type = "function" }, foresee = { type = "function" } }

local function merge(report, taken)
  for _, name in ipairs { "created", "updated", "unchanged", "bodies" } do
    report[name] = report[name] + taken[name]
  end
  for _, name in ipairs { "conflicts", "problems", "notes" } do
    table.move(taken[name], 1, #taken[name], #report[name] + 1, report[name])
  end
  for i = 1, math.min(#taken.first, taking.NAMED - #report.first) do
    table.insert(report.first, taken.first[i])
  end
  for _, held in ipairs(taken.held) do
    local same = report.held[held.property]
    if same then
      same.pages = same.pages + held.pages
    else
      report.held[held.property] = held
      table.insert(report.held, held)
    end
  end
end

-- ---- pages -----------------------------------------------------------------

--- Whether a page was taken as it is.
local function is_taken(self, page)
  local edited_s = instants.seconds(page.last_edited_time)
  if self.since_s then
    return edited_s < self.since_s - notion.SETTLED_AFTER_S
  end
  local mark = self.marks[values.page_key(page.id)]
  return not self.all and mark ~= nil and edited_s <= mark.edited_s
end

--- A page whose body is not found was listed all the same: it is left out, and not all of them.
local function leave_out(self, page, failure)
  table.insert(self.report.problems, { page_id = page.id, name = properties.title(page), message = failure.message,
    hint = "It was deleted meanwhile, or is not shared with the integration: share it (its menu, Connections), and "
      .. "import again" })
end

--- Reads the bodies of pages.
---@return table[] pages those that have one
---@return table<string, string> bodies by the pages' ids
local function with_bodies(self, pages)
  local client, left, texts = self.target.client, {}, {}
  for _, page in ipairs(pages) do
    local read, tree = xpcall(client.blocks, errors.explained, client, page.id,
      { about = ("the body of '%s'"):format(properties.title(page)) })
    if read then
      left[#left + 1], texts[page.id] = page, markdown.write(tree)
    elseif errors.is(tree, "notion") and tree.status == 404 then
      leave_out(self, page, tree)
    else
      error(tree, 0)
    end
  end
  return left, texts
end

local function take(self, pages)
  local texts
  if self.bodies and not self.rehearse then
    pages, texts = with_bodies(self, pages)
  end
  if #pages > 0 then
    merge(self.report, taking.take(self.conn, self.target, self.policy.type, pages, { command = COMMAND,
      listed_s = self.listed_s, arguments = { entity = self.policy.type }, rehearse = self.rehearse,
      owners = self.owners, emptied = self.emptied, foresee = self.foresee, markdown = texts }))
  end
  self.tell(self.report)
end

local function read_pages(self)
  local pages, source = {}, self.target:source(self.policy.type)
  self.listed_s = mirrors.now_s(self.conn)
  for page in self.target.client:query(source.id, { about = self.policy.kind.plural }) do
    if not (page.in_trash or page.archived) then
      self.report.pages = self.report.pages + 1
      self.listed[values.page_key(page.id)] = true
      if is_taken(self, page) then
        self.report.skipped = self.report.skipped + 1
      else
        pages[#pages + 1] = page
      end
    end
    if #pages == PAGES_AT_ONCE then
      take(self, pages)
      pages = {}
    end
  end
  take(self, pages)
end

-- ---- pages that are gone ---------------------------------------------------

local function delete(self, mark)
  local kind = self.policy.kind
  local done, result = xpcall(entities.change, errors.explained, self.conn, { command = COMMAND,
    arguments = { entity = self.policy.type, deleted = mark.id }, rehearse = self.rehearse }, function(changes)
    changes:delete(kind.name, mark.id)
  end)
  if done then
    self.report.deleted = self.report.deleted + 1
    return nil
  elseif errors.is(result, "usage") then
    return result.message
  end
  error(result, 0)
end

local function look_for_gone(self)
  for _, gone in ipairs(gone_pages.find(self.target, self.policy, self.marks, self.listed)) do
    local is_deletable = gone.is_trashed and self.delete
    local refused = is_deletable and delete(self, gone)
    if not is_deletable or refused then
      local list = self.report.trashed
      list[#list + 1] = { id = gone.id, page_id = gone.page_id, name = gone.name, message = ("its page %s%s"):format(
        gone.fate, refused and "; " .. refused or "") }
    end
  end
end

-- ---- all types -------------------------------------------------------------

local function import_type(conn, target, entity_type, options, owners)
  local report = taking.nothing()
  report.entity_type, report.pages, report.skipped, report.deleted, report.trashed = entity_type, 0, 0, 0, {}
  local policy = target:entity(entity_type)
  local self = setmetatable({ conn = conn, target = target, policy = policy, report = report, owners = owners,
    marks = mirrors.marks(conn, policy.kind), listed = {}, all = options.all, bodies = options.bodies,
    delete = options.delete, rehearse = options.rehearse, since_s = options.since and instants.seconds(options.since),
    emptied = not options.allow_empty and emptied.new(conn, target, entity_type) or nil,
    tell = options.tell or function() end, foresee = options.foresee }, Importing)
  read_pages(self)
  look_for_gone(self)
  return report
end

--- Takes the databases of some types into Postgres. Raises "notion" when Notion cannot be
--- read; what was stored before stays.
---@param conn table outside a transaction
---@param target ligase.notion_target
---@param options {types: string[], since: string|nil, all: boolean|nil, bodies: boolean|nil, delete: boolean|nil,
--- rehearse: boolean|nil, allow_empty: boolean|nil, tell: fun(so_far: ligase.notion_import)|nil,
--- foresee: (fun(entity_type: string, ids: string[]))|nil} types: in the order of
--- the policy; since: only pages edited from then on (UTC, as 2026-05-01T00:00:00Z); all: also those that were taken as
--- they are; bodies: false leaves the pages' texts out; delete: entities whose page lies in the trash are deleted;
--- rehearse: nothing is kept; allow_empty: values are emptied also when most pages lost theirs; foresee: as
--- ligase.sync.taking has it
---@return ligase.notion_import[]
function M.run(conn, target, options)
  options = options_of.check(options, OPTIONS, "import.run")
  if options.since and not instants.seconds(options.since) then
    errors.raise { kind = "usage", code = "option", message = ("'%s' is no time"):format(options.since),
      hint = "Write it as 2026-05-01, or 2026-05-01T08:30:00Z (UTC)" }
  end
  local owners, reports = mirrors.ids_of_pages(conn, { "program", "experiment", "dataset", "signature", "compound",
    "campaign" }), {}
  for i, entity_type in ipairs(options.types) do
    reports[i] = import_type(conn, target, entity_type, options, owners)
  end
  return reports
end

return M
