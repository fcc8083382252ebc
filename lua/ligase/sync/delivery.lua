--- One entity's page made to say what Postgres says: created, changed, put into the trash or
--- taken out of it. What is delivered is the entity as it is now, whatever the outbox row
--- says has happened.
---
--- Notion has no idempotency keys. That a page is about to be made is therefore written down
--- and committed before it is asked for; when it is not known what became of it, the page is
--- looked for by the property that carries ligase's id before another one is made.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local mirrors = require "ligase.store.mirrors"
local notion = require "ligase.io.notion"
local outbox = require "ligase.store.outbox"
local page_owners = require "ligase.store.page_owners"
local properties = require "ligase.io.notion.properties"
local values = require "ligase.sync.values"

local M = {}

---@class ligase.delivered
---@field entity ligase.mirrored_entity
---@field told table|nil what is to be settled by ligase.store.mirrors; nil when nothing is to be noted
---@field outcome "created"|"adopted"|"updated"|"unchanged"|"trashed"|"restored"|"kept"|"waits"
---@field waiting ligase.linked_entity[]|nil what it waits for
---@field conflicts table<string, ligase.property_difference>|nil
---@field kept table<string, string>|nil of the conflicts, those that are not taken after all, and why
---@field notes string[] what a person should know

---@class ligase.delivery
---@field target ligase.notion_target
---@field conn table
---@field claim ligase.outbox_claim
---@field entity ligase.mirrored_entity
---@field policy ligase.entity_policy
---@field rule ligase.policy_rule
---@field about string the entity, for messages
local Delivery = {}
Delivery.__index = Delivery

local function is_in_trash(page)
  return page.in_trash == true or page.archived == true
end

local function name_of(row, payload)
  local name = row and (row.code ~= json.null and row.code or row.name) or payload.name
  return type(name) == "string" and name or nil
end

local function is_missing(failure)
  return errors.is(failure, "notion") and failure.status == 404
end

--- Whether a failure says that the page lies in the trash.
local function says_trash(failure)
  return errors.is(failure, "notion") and failure.status == 400
    and (failure.message:find("archived", 1, true) or failure.message:find("in the trash", 1, true)) ~= nil
end

--- Values as a page takes them.
local function written(self, said)
  local made = {}
  for name, value in pairs(said) do
    local done, result = xpcall(properties.write, errors.explained, values.type_of(self.policy, name), value, name)
    if not done then
      result.message = errors.is(result, "notion") and ("%s: %s"):format(self.about, result.message) or result.message
      error(result, 0)
    end
    made[name] = result
  end
  return made
end

local function report(self, outcome, told, extra)
  local made = { entity = self.entity, outcome = outcome, told = told, notes = self.notes }
  for name, value in pairs(extra or {}) do
    made[name] = value
  end
  return made
end

--- The values of a page, all references included.
local function read(self, page)
  self.target:check_page(self.entity.type, page, self.about)
  self.target.client:complete(page, { about = self.about })
  return properties.read_all(page)
end

--- Notion does not find the page of an entity that this one refers to: that page is the matter,
--- or all of its database.
local function blame_linked(self, failure, linked)
  local kind = self.target:entity(linked.type).kind
  self.target:forget(linked.type)
  local shared, problem = errors.try(self.target.source, self.target, linked.type)
  if not shared and is_missing(problem) then
    failure.entity_type = self.entity.type
    failure.hint = ("The database of %s is not shared with the integration any more: share it (its menu, Connections)")
      :format(kind.plural)
    return
  end
  failure.final = true
  failure.hint = ("It refers to the page of %s '%s': share that page with the integration, or let a new one be made: "
    .. "ligase %s update '%s' --notion-page ''; then: ligase outbox --retry all"):format(kind.name, linked.name,
    kind.name, linked.name)
end

--- Says which of the pages that an entity refers to Notion does not find, when it is one of
--- them that is missing and not the entity's own page or database.
local function name_missing(self, failure)
  if not is_missing(failure) then
    return
  end
  local message = failure.message:gsub("%-", ""):lower()
  for _, links in pairs(self.entity.links) do
    for _, linked in ipairs(links) do
      if linked.page_id and message:find((linked.page_id:gsub("%-", ""):lower()), 1, true) then
        return blame_linked(self, failure, linked)
      end
    end
  end
end

-- ---- pages that carry the id -----------------------------------------------

--- The page of those that carry the entity's id which counts: the oldest. Others, which a lost
--- answer left behind, go into the trash.
local function adopt(self, pages)
  for i = 2, #pages do
    self.target.client:trash_page(pages[i].id, { about = self.about })
    self.notes[#self.notes + 1] = ("%s: a second page of it was put into Notion's trash (%s)"):format(self.about,
      pages[i].id)
  end
  return pages[1]
end

--- Its page among those that carry its id. One that is another entity's by now (people copy pages,
--- and link them) is left alone.
local function find(self)
  local pages, ids, own = self.target:pages_of(self.entity.type, self.entity.id, self.about), {}, {}
  for i, page in ipairs(pages) do
    ids[i] = page.id
  end
  local owners = page_owners.find(self.conn, ids)
  for _, page in ipairs(pages) do
    local owner = owners[page.id]
    own[#own + 1] = (not owner or owner.id == self.entity.id) and page or nil
  end
  return adopt(self, own)
end

-- ---- changing a page -------------------------------------------------------

local function settled(self, page_id, plan, wanted, page)
  local says = {}
  for _, name in ipairs(values.names(self.policy)) do
    local conflict = plan.conflicts[name]
    if conflict and self.rule.conflict == "show" then
      says[name] = plan.baseline[name] -- the conflict lasts until both sides say the same
    elseif conflict and self.rule.conflict == "notion" then
      says[name] = conflict.page
    else
      says[name] = wanted[name]
    end
  end
  local is_shown = self.rule.conflict == "show"
  local has_conflict = next(plan.conflicts) ~= nil
  return { page_id = page_id, properties = says, edited_at = page and notion.settled_edit(page),
    sha256 = not (has_conflict and self.rule.conflict ~= "postgres") and values.sha256(self.policy, wanted) or nil,
    conflict = is_shown and plan.conflicts or nil, seen = plan.seen }
end

local function refuse_trashed(self, page_id)
  errors.raise { kind = "notion", code = "archived", outcome = "refused", about = self.about, final = true,
    message = ("cannot update the page of %s in Notion: it lies in the trash, where somebody put it (GET /v1/pages/%s)")
      :format(self.about, page_id), hint = "Restore the page in Notion, then: ligase outbox --retry all" }
end

--- The page as it is, out of the trash where ligase put it.
local function look(self, page_id)
  local page = self.target.client:page(page_id, { about = self.about })
  if is_in_trash(page) then
    if not (self.entity.mirror and self.entity.mirror.trashed_at) then
      refuse_trashed(self, page_id)
    end
    page = self.target.client:restore_page(page_id, { about = self.about })
    self.was_restored = true
  end
  return page
end

--- Notes in the outbox what people wrote and is about to be overwritten, whole, so that it can be
--- found again.
local function keep_overwritten(self, plan)
  local overwritten = {}
  for name, conflict in pairs(plan.conflicts) do
    overwritten[name] = plan.write[name] ~= nil and conflict.page or nil
  end
  for name, said in pairs(plan.replaced) do
    overwritten[name] = said
  end
  if next(overwritten) then
    outbox.add(self.conn, self.claim, json.encode { overwritten = overwritten })
  end
end

--- What is written is noted before: a change whose answer was lost must not pass for one that
--- people made.
local function write(self, page_id, plan)
  local made = written(self, plan.write)
  keep_overwritten(self, plan)
  mirrors.intend_change(self.conn, self.entity, page_id, plan.baseline, plan.write)
  local done, result = xpcall(self.target.client.update_page, errors.explained, self.target.client, page_id,
    { properties = made, about = self.about })
  if not done and says_trash(result) then
    refuse_trashed(self, page_id)
  elseif not done then
    name_missing(self, result)
    error(result, 0)
  end
  return result
end

--- Says what people wrote where Postgres had no value so far, and has one now.
local function tell_replaced(self, plan)
  for _, name in ipairs(values.names(self.policy)) do
    if plan.replaced[name] ~= nil then
      self.notes[#self.notes + 1] = ("%s: '%s' said %s in Notion, and says %s now, which Postgres knows since")
        :format(self.about, name, values.shown(plan.replaced[name]), values.shown(plan.write[name]))
    end
  end
end

--- Makes a page that is there say what it should.
local function change(self, page_id, wanted, delivered, page)
  local is_looked_at = page ~= nil
  page = page or look(self, page_id)
  local mirror = self.entity.mirror or {}
  local plan = values.plan(self.policy, wanted, read(self, page), { delivered = delivered,
    intended = mirror.intended, seen = mirror.seen }, self.rule.conflict ~= "postgres")
  if not plan.is_empty then
    page = write(self, page_id, plan)
    tell_replaced(self, plan)
  end
  local outcome = is_looked_at and "adopted" or self.was_restored and "restored"
    or not plan.is_empty and "updated" or next(plan.conflicts) and "kept" or "unchanged"
  return report(self, outcome, settled(self, page_id, plan, wanted, page), {
    conflicts = next(plan.conflicts) and plan.conflicts or nil })
end

local change_known

--- The page cannot be found: it is gone for good, or nobody may see the database. One that ligase
--- knew may have been replaced; one that a person has linked since is what that person meant.
local function replace_missing(self, wanted, failure, was_known)
  self.target:forget(self.entity.type)
  self.target:source(self.entity.type) -- raises what is wrong with the database itself
  local page = was_known and find(self)
  if not page then
    failure.final, failure.code = true, "page_missing"
    failure.hint = ("The page is gone, or no longer shared: share it with the integration, or let a new one be made: "
      .. "ligase %s update '%s' --notion-page ''; then: ligase outbox --retry all"):format(self.policy.kind.name,
      name_of(self.entity.row, {}))
    error(failure, 0)
  end
  return change(self, page.id, wanted, {}, page)
end

change_known = function(self, wanted)
  local mirror, page_id = self.entity.mirror, self.entity.page_id
  local is_same_page = mirror and mirror.page_id == page_id
  local delivered = is_same_page and mirror.properties or {}
  local is_told = is_same_page and not mirror.trashed_at and mirror.properties_sha256 ~= nil
    and mirror.properties_sha256 == values.sha256(self.policy, wanted)
  if is_told then
    return report(self, "unchanged", nil)
  end
  local done, result = xpcall(change, errors.explained, self, page_id, wanted, delivered)
  if done then
    return result
  elseif is_missing(result) and not result.final then
    return replace_missing(self, wanted, result, is_same_page)
  end
  error(result, 0)
end

-- ---- making a page ---------------------------------------------------------

local function created(self, page_id, wanted, page)
  return report(self, "created", { page_id = page_id, properties = wanted,
    sha256 = values.sha256(self.policy, wanted), edited_at = page and notion.settled_edit(page) })
end

local function create(self, wanted)
  local source = self.target:source(self.entity.type)
  local made = written(self, wanted)
  mirrors.intend(self.conn, self.entity, wanted)
  local done, result = xpcall(self.target.client.create_page, errors.explained, self.target.client,
    { data_source = source.id, properties = made, about = self.about })
  if done then
    return created(self, result.id, wanted, result)
  elseif errors.is(result, "notion") and result.committed_resource_id then
    return created(self, result.committed_resource_id, wanted)
  elseif errors.is(result, "notion") and result.outcome ~= "unknown" then
    mirrors.clear_intent(self.conn, self.entity)
    name_missing(self, result)
  end
  error(result, 0)
end

local function create_or_adopt(self, wanted)
  local mirror = self.entity.mirror
  if mirror and mirror.intent_at then
    local page = find(self)
    if page then
      return change(self, page.id, wanted, mirror.properties, page)
    end
  end
  return create(self, wanted)
end

-- ---- an entity that is gone ------------------------------------------------

local function trash(self, page_id)
  local done, result = xpcall(self.target.client.trash_page, errors.explained, self.target.client, page_id,
    { about = self.about })
  if not done and not is_missing(result) and not says_trash(result) then
    error(result, 0)
  end
end

--- A page that was asked for without an answer is looked for. One that the entity had before it was
--- unlinked is left as it is.
local function remove(self, payload)
  local mirror = self.entity.mirror or { properties = {} }
  local page_id = not mirror.trashed_at and (mirror.page_id or payload.page_id) or nil
  if not page_id and mirror.intent_at and not mirror.delivered_s then
    local page = find(self)
    page_id = page and page.id
  end
  if not page_id then
    return report(self, "unchanged", mirror.intent_at and { properties = mirror.properties, trashed = true } or nil)
  end
  trash(self, page_id)
  return report(self, "trashed", { page_id = page_id, properties = mirror.properties, trashed = true })
end

-- ---- one entity ------------------------------------------------------------

--- What an entity is called in messages: "dataset plasma".
---@param entity_policy ligase.entity_policy
---@param entity ligase.mirrored_entity
---@param payload table the outbox row's
---@return string
function M.about(entity_policy, entity, payload)
  local name = name_of(entity.row, payload)
  return ("%s %s"):format(entity_policy.kind.name, name and ("'%s'"):format(name) or entity.id)
end

--- Delivers one entity as it is. Raises "notion" when that cannot be done; then nothing is to
--- be settled. Errors with `final` will not go away by trying again.
---@param target ligase.notion_target
---@param conn table
---@param entity ligase.mirrored_entity
---@param claim ligase.outbox_claim
---@return ligase.delivered
function M.deliver(target, conn, entity, claim)
  local policy = target:entity(entity.type)
  local self = setmetatable({ target = target, conn = conn, claim = claim, entity = entity, policy = policy,
    rule = target:rule(entity.type), about = M.about(policy, entity, claim.payload), notes = {} }, Delivery)
  if not entity.row then
    return remove(self, claim.payload)
  end
  local wanted, waiting = values.wanted(policy, entity, target:shown_types())
  if #waiting > 0 then
    return report(self, "waits", nil, { waiting = waiting })
  elseif entity.page_id then
    return change_known(self, wanted)
  end
  return create_or_adopt(self, wanted)
end

return M
