--- What a comparison found, repaired on one side.
---
--- A side is repaired where the other one is newer. What was changed on the side that is to
--- be repaired is a conflict: it stays and is shown, unless overwriting was asked for. What
--- Notion has to be told goes through the outbox; only pages that are too many are put into
--- the trash, and pages that lie there are taken out, at once.
local emptied = require "ligase.sync.emptied"
local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local linkers = require "ligase.store.linkers"
local mirrors = require "ligase.store.mirrors"
local outbox = require "ligase.store.outbox"
local taking = require "ligase.sync.taking"
local values = require "ligase.sync.values"

local M = {}

---@class ligase.repair
---@field conn table
---@field target ligase.notion_target
---@field comparison ligase.comparison
---@field overwrite boolean|nil
local Repair = {}
Repair.__index = Repair

local function about(self, finding)
  return ("%s '%s'"):format(self.comparison.policy.kind.name, finding.details.name or finding.entity_id or "")
end

local function fixed(self, finding, note)
  finding.is_fixed, finding.details.note = true, note
  self.comparison.counts.fixed = self.comparison.counts.fixed + 1
end

local function left(finding, note)
  finding.details.note = note
end

local function tell_outbox(self, finding, action)
  outbox.tell(self.conn, finding.entity.type, finding.entity.id, action,
    json.encode { name = finding.details.name, asked = true }, true)
end

-- ---- Notion ----------------------------------------------------------------

--- The page that an entity had: "gone", "elsewhere" (in another database), or out of the trash.
local function fetch_back(self, finding)
  local client = self.target.client
  local looked, page = xpcall(client.page, errors.explained, client, finding.page_id, { about = about(self, finding) })
  if not looked then
    if errors.is(page, "notion") and page.status == 404 then
      return "gone"
    end
    error(page, 0)
  elseif not (page.in_trash or page.archived) then
    return "elsewhere"
  end
  client:restore_page(finding.page_id, { about = about(self, finding) })
  return "restored"
end

local function notion_missing(self, finding)
  local place = finding.page_id and fetch_back(self, finding) or "none"
  if place == "elsewhere" then
    return left(finding, ("its page %s lies in another database: move it back in Notion"):format(finding.page_id))
  end
  self.conn:transaction(function()
    if place == "gone" then
      mirrors.forget(self.conn, finding.entity)
    elseif place == "restored" then
      local mirror = finding.entity.mirror
      mirrors.settle(self.conn, finding.entity, { page_id = finding.page_id,
        properties = mirror and mirror.properties or {}, seen = mirror and mirror.seen })
    end
    tell_outbox(self, finding, place == "restored" and "update" or "create")
  end)
  fixed(self, finding, place == "restored" and "its page was taken out of the trash" or nil)
end

--- The properties that may be written into a side: those that were changed on the other one,
--- or all.
local function writable(finding, side, overwrite)
  local those, others = {}, 0
  for name, changed_in in pairs(finding.sides) do
    if overwrite or changed_in ~= side and changed_in ~= "both" then
      those[name] = true
    else
      others = others + 1
    end
  end
  return those, others
end

--- Whether an entity was changed, or Notion told of it, since it was compared: then nothing that
--- was found of it counts.
local function was_changed(self, finding)
  local policy, before = self.comparison.policy, finding.entity
  local now = mirrors.read(self.conn, policy.kind, { before.id })[before.id]
  local function wanted(entity)
    return values.sha256(policy, (values.wanted(policy, entity)))
  end
  if now.row and not now.is_coming and wanted(now) == wanted(before)
    and (now.mirror and now.mirror.delivered_s) == (before.mirror and before.mirror.delivered_s) then
    return false
  end
  left(finding, "it was changed while both sides were compared: once more")
  return true
end

local function notion_differing(self, finding)
  if was_changed(self, finding) then
    return
  end
  if finding.why == "waits" then
    tell_outbox(self, finding, "update")
    return fixed(self, finding)
  end
  local those, conflicts = writable(finding, "notion", self.overwrite)
  if not next(those) and finding.why ~= "unlinked" then
    return left(finding, "it was changed in Notion: take that into Postgres with --fix postgres, or replace it with "
      .. "--overwrite")
  end
  local mirror = finding.entity.mirror
  local delivered = {}
  for name, value in pairs(mirror and mirror.properties or {}) do
    delivered[name] = value
  end
  for name in pairs(those) do
    delivered[name] = finding.said[name] -- so that the relay finds the page as it expects it
  end
  self.conn:transaction(function()
    mirrors.settle(self.conn, finding.entity, { page_id = finding.page.id, properties = delivered,
      seen = mirror and mirror.seen })
    if finding.why == "unlinked" then
      linkers.tell(self.conn, finding.entity.type, finding.entity.id, (self.target:types()))
    end
    tell_outbox(self, finding, "update")
  end)
  if conflicts == 0 then
    fixed(self, finding)
  else
    left(finding, "what was changed in Notion stays as it is there")
  end
end

local function notion_trash(self, finding)
  self.target.client:trash_page(finding.page_id, { about = about(self, finding) })
  fixed(self, finding, "the page was put into Notion's trash")
end

local function notion_extra(self, finding)
  if finding.why == "gone" then
    return notion_trash(self, finding)
  elseif finding.why == "stranger" then
    return left(finding, "it carries an id that this database never gave to Notion: take it over with --fix postgres, "
      .. "or: ligase import notion")
  end
  left(finding, "take it over with --fix postgres, or: ligase import notion")
end

-- ---- Postgres --------------------------------------------------------------

local function postgres_missing(_, finding)
  left(finding, "make one with --fix notion, or delete the entity")
end

local function postgres_duplicate(_, finding)
  left(finding, "put it into the trash with --fix notion")
end

local function postgres_extra(self, finding)
  if finding.why == "gone" then
    return left(finding, "put the page into the trash with --fix notion")
  end
  local taken = taking.take(self.conn, self.target, self.comparison.entity_type, { finding.page },
    { command = "reconcile", listed_s = self.comparison.started_s })
  if taken.problems[1] then
    left(finding, taken.problems[1].message)
  else
    fixed(self, finding, "taken over")
  end
end

--- The fields that the properties mean, and why some cannot be taken.
local function fields_of(self, finding, those)
  local policy = self.comparison.policy
  for name in pairs(those) do
    local property = policy.by_name[name]
    if not property or not values.is_readable(policy, property) then
      return nil, ("'%s' only shows what Postgres says: write it again with --fix notion --overwrite"):format(name)
    end
  end
  local fields, unknown = values.fields(policy, finding.said, self.owners, those)
  if unknown[1] then
    return nil, ("'%s' refers to a page that is no entity's (%s)"):format(unknown[1].property, unknown[1].page_id)
  end
  return fields
end

local function take_fields(self, finding, those, fields)
  local kind, delivered, mirror = self.comparison.policy.kind, {}, finding.entity.mirror
  fields.id = finding.entity.id
  entities.change(self.conn, { command = "reconcile", arguments = { page = finding.page.id } }, function(changes)
    changes:upsert(kind.name, { fields })
    for _, name in ipairs(values.names(self.comparison.policy)) do
      delivered[name] = those[name] and finding.said[name] or not those[name] and mirror and mirror.properties[name]
        or nil
    end
    mirrors.settle(self.conn, finding.entity, { page_id = finding.page.id, properties = delivered,
      seen = mirror and mirror.seen })
  end)
end

--- A property whose value most pages lost, of those that would be taken.
local function held_of(self, finding, those)
  local policy = self.comparison.policy
  for _, name in ipairs(self.overwrite and {} or values.names(policy)) do
    if those[name] and values.same(values.type_of(policy, name), finding.said[name], nil)
      and self.emptied:suspicion(name) then
      return name
    end
  end
end

local function postgres_differing(self, finding)
  if was_changed(self, finding) then
    return
  end
  if finding.why == "waits" then
    return left(finding, "what it refers to has no page: make it with --fix notion")
  end
  local those, conflicts = writable(finding, "postgres", self.overwrite)
  those[self.comparison.policy.id_property] = nil
  local held = held_of(self, finding, those)
  if held then
    return left(finding, ("'%s' is empty on this page and most others (%s): give Notion its values back with --fix "
      .. "notion --overwrite, or empty Postgres' with --overwrite"):format(held, self.emptied:suspicion(held)))
  end
  if not next(those) then
    return left(finding, "it was changed in Postgres: tell Notion with --fix notion, or take Notion's with --overwrite")
  end
  local fields, problem = fields_of(self, finding, those)
  if not fields then
    return left(finding, problem)
  end
  local done, failure = xpcall(take_fields, errors.explained, self, finding, those, fields)
  if not done and not taking.is_refused(failure) then
    error(failure, 0)
  elseif not done then
    left(finding, failure.message)
  elseif conflicts > 0 then
    left(finding, "what was changed in Postgres stays as it is there")
  else
    fixed(self, finding)
  end
end

-- ---- all of them -----------------------------------------------------------

local REPAIRS = {
  notion = { missing = notion_missing, differing = notion_differing, duplicate = notion_trash, extra = notion_extra },
  postgres = { missing = postgres_missing, differing = postgres_differing, duplicate = postgres_duplicate,
    extra = postgres_extra },
}

--- Repairs what a comparison found, as far as it may be; each finding then says if it is
--- fixed, or why not (details.note).
---@param conn table outside a transaction
---@param target ligase.notion_target
---@param comparison ligase.comparison
---@param given {side: "notion"|"postgres", overwrite: boolean|nil, tell: fun(done: integer, all: integer)|nil} the
--- side that is repaired; overwrite: also where it was changed itself
function M.repair(conn, target, comparison, given)
  local owners = mirrors.ids_of_pages(conn, { "program", "experiment" })
  local self = setmetatable({ conn = conn, target = target, comparison = comparison, overwrite = given.overwrite,
    owners = owners, emptied = emptied.new(conn, target, comparison.entity_type) }, Repair)
  for i, finding in ipairs(comparison.findings) do
    REPAIRS[given.side][finding.finding](self, finding)
    if given.tell then
      given.tell(i, #comparison.findings)
    end
  end
end

return M
