--- Postgres and Notion set side by side, entity by entity.
---
--- Pages are read as Notion lists them, some at a time, each with its entity as it is then;
--- nothing is held of what is equal. What still lies in the outbox is on its way and no
--- difference. What differs says on which side it was changed since both were last the same:
--- that side is the newer one, and never the one to be repaired without being told.
local is_id = require("ligase.store.entity_finding").is_id
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local mirrors = require "ligase.store.mirrors"
local outbox = require "ligase.store.outbox"
local properties = require "ligase.io.notion.properties"
local values = require "ligase.sync.values"

local M = {}

--- Pages, and entities, that are looked at together.
local PAGES_AT_ONCE, ENTITIES_AT_ONCE = 100, 500

--- Looks at an entity that a relay goes on telling Notion of.
local LOOKS_MOST = 5

---@class ligase.comparison: ligase.reconciliation
---@field policy ligase.entity_policy
---@field started_s number by the server's clock
---@field findings ligase.comparison_finding[]

---@class ligase.comparison_finding: ligase.reconciliation_finding
---@field entity ligase.mirrored_entity|nil
---@field page table|nil as Notion gave it
---@field said table<string, any>|nil what the page says
---@field differences table<string, ligase.property_difference>|nil
---@field sides table<string, "notion"|"postgres"|"both">|nil by property: where it was changed
---@field why "unlinked"|"waits"|"gone"|"stranger"|"notions_own"|nil unlinked: the page carries the entity's id and
--- Postgres does not know it; waits: something that it refers to has no page; gone: the page's entity is gone;
--- stranger: it carries an id that this database never told Notion; notions_own: the page was made in Notion

---@class ligase.comparing
---@field conn table
---@field target ligase.notion_target
---@field kind ligase.entity_kind
---@field result ligase.comparison
---@field owners table<string, string> entities' ids by page, without hyphens
---@field seen table<string, boolean> entities whose page was met
---@field claims table<string, table[]> further pages by the id that they carry
local Comparing = {}
Comparing.__index = Comparing

local function add(self, finding)
  local list, counts = self.result.findings, self.result.counts
  list[#list + 1] = finding
  local counted = finding.finding == "duplicate" and "duplicates" or finding.finding
  counts[counted] = counts[counted] + 1
end

local function count(self, name)
  self.result.counts[name] = self.result.counts[name] + 1
end

local function name_of(entity, page)
  return entity and entity.row and entity.row.name or page and properties.title(page) or nil
end

--- What a page says. Raises when a property is missing: that is no difference of one page.
local function read(self, page)
  self.target:check_page(self.result.entity_type, page, ("%s '%s'"):format(self.kind.name, properties.title(page)))
  return properties.read_all(self.target.client:complete(page))
end

-- ---- an entity and its page ------------------------------------------------

--- Whether Postgres knows a page as that of the entity.
local function is_page_of(entity, page)
  return entity.page_id ~= nil and values.page_key(entity.page_id) == values.page_key(page.id)
end

--- On which side a property was changed since both said what was delivered.
local function side_of(policy, name, difference)
  local property_type = values.type_of(policy, name)
  local delivered = difference.delivered ~= json.null and difference.delivered or nil
  local in_notion = not values.same(property_type, difference.page ~= json.null and difference.page or nil, delivered)
  local in_postgres = not values.same(property_type, difference.wanted ~= json.null and difference.wanted or nil,
    delivered)
  return in_notion and in_postgres and "both" or in_notion and "notion" or "postgres"
end

--- What an entity refers to that has no page, for people: "program 'ALS'".
local function waits_for(self, waiting)
  local first = waiting[1]
  return ("%s '%s'%s"):format(self.target:entity(first.type).kind.name, first.name,
    #waiting > 1 and (" and %d more"):format(#waiting - 1) or "")
end

local function differing(self, entity, page, said, differences, why, waiting)
  local sides, details = {}, { name = name_of(entity, page), why = why, properties = {},
    waits_for = waiting[1] and waits_for(self, waiting) or nil }
  for name, difference in pairs(differences) do
    sides[name] = name == self.result.policy.id_property and "postgres"
      or side_of(self.result.policy, name, difference)
    details.properties[name] = { page = difference.page, wanted = difference.wanted, delivered = difference.delivered,
      changed_in = sides[name] }
  end
  add(self, { finding = "differing", entity_id = entity.id, page_id = page.id, entity = entity, page = page,
    said = said, differences = differences, sides = sides, why = why, details = details })
end

--- Whether the relay told Notion of the entity since then, so that what was read of the page may
--- be older than that.
local function was_told_since(entity, since_s)
  return entity.mirror ~= nil and entity.mirror.delivered_s ~= nil and entity.mirror.delivered_s >= since_s
end

--- In what a page differs, and what the entity refers to that has no page to be named there.
local function differences_of(self, entity, said)
  local wanted, waiting = values.wanted(self.result.policy, entity, self.shown)
  return values.differences(self.result.policy, wanted, said, entity.mirror and entity.mirror.properties), waiting
end

--- Whether what an entity refers to gets its page; who makes it puts the entity into the outbox.
local function is_waiting(self, entity, waiting)
  local ids = {}
  for i, linked in ipairs(waiting) do
    ids[i] = linked.id
  end
  return outbox.is_coming(self.conn, ids)
    or mirrors.read(self.conn, self.kind, { entity.id })[entity.id].is_coming == true
end

--- A page as it is now; nil when it is not there any more.
local function page_now(self, page)
  local looked, now = xpcall(self.target.client.page, errors.explained, self.target.client, page.id)
  if looked then
    return not (now.in_trash or now.archived) and now or nil
  elseif errors.is(now, "notion") and now.status == 404 then
    return nil
  end
  error(now, 0)
end

--- Looks at an entity and its page until what is found cannot come from a delivery in between.
--- False when one of them is gone meanwhile.
local function look(self, one)
  local since_s = self.started_s
  for _ = 1, LOOKS_MOST do
    one.differences, one.waiting = differences_of(self, one.entity, one.said)
    if not (next(one.differences) or one.why) or not was_told_since(one.entity, since_s) then
      break
    end
    since_s = mirrors.now_s(self.conn)
    one.page = page_now(self, one.page)
    one.entity = mirrors.read(self.conn, self.kind, { one.entity.id })[one.entity.id]
    if not one.page or not one.entity.row then
      return false
    end
    one.said = read(self, one.page)
    one.why = one.why and not is_page_of(one.entity, one.page) and one.why or nil
  end
  return true
end

local function compare(self, entity, page, said, why)
  local one = { entity = entity, page = page, said = said, why = why }
  if not look(self, one) then
    self.seen[entity.id] = nil -- what is left of it is met among the entities
    self.result.counts.pages = self.result.counts.pages - (one.page and 0 or 1)
    return
  end
  local is_same = not next(one.differences) and not one.why
  if is_same and not one.waiting[1] then
    count(self, "equal")
  elseif one.entity.is_coming or is_same and is_waiting(self, one.entity, one.waiting) then
    count(self, "on_their_way")
  else
    differing(self, one.entity, one.page, one.said, one.differences, one.why or is_same and "waits" or nil, one.waiting)
  end
end

-- ---- pages -----------------------------------------------------------------

--- The entity that a page belongs to, and whether Postgres knows it as its page.
local function owner_of(self, page, said)
  local owner = self.owners[values.page_key(page.id)]
  if owner then
    return owner, true
  end
  local id = said[self.result.policy.id_property]
  return type(id) == "string" and is_id(id) and id:lower() or nil, false
end

local function take_pages(self, pages)
  local ids, own = {}, {}
  for _, page in ipairs(pages) do
    local said = read(self, page)
    local id, is_own = owner_of(self, page, said)
    if not id then
      add(self, { finding = "extra", page_id = page.id, page = page, said = said, why = "notions_own",
        details = { name = properties.title(page), why = "notions_own" } })
    elseif is_own then
      ids[#ids + 1], own[#own + 1] = id, { id = id, page = page, said = said }
    else
      self.claims[id] = self.claims[id] or {}
      table.insert(self.claims[id], { page = page, said = said })
    end
  end
  local entities = mirrors.read(self.conn, self.kind, ids)
  for _, one in ipairs(own) do
    self.seen[one.id] = true
    if entities[one.id].row then -- else it was deleted since the pages were looked up, and is on its way
      compare(self, entities[one.id], one.page, one.said)
    end
  end
end

local function read_pages(self)
  local pages = {}
  for page in self.target.client:query(self.source.id, { about = self.kind.plural }) do
    if not (page.in_trash or page.archived) then
      pages[#pages + 1] = page
      count(self, "pages")
    end
    if #pages == PAGES_AT_ONCE then
      take_pages(self, pages)
      self.tell(self.result)
      pages = {}
    end
  end
  take_pages(self, pages)
  self.tell(self.result)
end

-- ---- pages that carry an id, and are not known by Postgres ------------------

--- Pages that carry the id of no entity. Only what this database told Notion of can have been
--- deleted here: another id was given while Notion was written first, by another database, or
--- by this one before it was restored from a backup.
local function extra_of_gone(self, entity, claims)
  local why = entity.mirror and "gone" or "stranger"
  for _, claim in ipairs(claims) do
    if entity.is_coming then
      count(self, "on_their_way")
    else
      add(self, { finding = "extra", entity_id = entity.id, page_id = claim.page.id, page = claim.page,
        said = claim.said, entity = entity, why = why,
        details = { name = properties.title(claim.page), why = why } })
    end
  end
end

--- A page more that carries an entity's id, unless the relay put it into the trash meanwhile.
local function duplicate(self, entity, page)
  if was_told_since(entity, self.started_s) and not page_now(self, page) then
    self.result.counts.pages = self.result.counts.pages - 1
    return
  end
  add(self, { finding = "duplicate", entity_id = entity.id, page_id = page.id, page = page, entity = entity,
    details = { name = name_of(entity, page) } })
end

--- The page of those that carry an entity's id which is its own: the one that Postgres knows by
--- now, else the oldest.
local function own_claim(entity, claims)
  for i, claim in ipairs(claims) do
    if is_page_of(entity, claim.page) then
      return i
    end
  end
  return 1
end

local function settle_claims(self, entity, claims)
  if not entity.row then
    return extra_of_gone(self, entity, claims)
  end
  local own
  if not self.seen[entity.id] then
    self.seen[entity.id] = true
    own = own_claim(entity, claims)
    local page = claims[own].page
    compare(self, entity, page, claims[own].said, not is_page_of(entity, page) and "unlinked" or nil)
  end
  for i, claim in ipairs(claims) do
    if i ~= own then
      duplicate(self, entity, claim.page)
    end
  end
end

local function by_creation(a, b)
  if a.page.created_time ~= b.page.created_time then
    return a.page.created_time < b.page.created_time
  end
  return a.page.id < b.page.id
end

local function read_claims(self)
  local ids = {}
  for id, claims in pairs(self.claims) do
    ids[#ids + 1] = id
    table.sort(claims, by_creation)
  end
  table.sort(ids)
  for first = 1, #ids, ENTITIES_AT_ONCE do
    local some = table.move(ids, first, math.min(first + ENTITIES_AT_ONCE - 1, #ids), 1, {})
    local entities = mirrors.read(self.conn, self.kind, some)
    for _, id in ipairs(some) do
      settle_claims(self, entities[id], self.claims[id])
    end
  end
end

-- ---- entities without a page -----------------------------------------------

local function take_missing(self, ids)
  local entities = mirrors.read(self.conn, self.kind, ids)
  for _, id in ipairs(ids) do
    local entity = entities[id]
    if entity.row and (entity.is_coming or was_told_since(entity, self.started_s)) then
      count(self, "on_their_way")
    elseif entity.row then
      add(self, { finding = "missing", entity_id = id, page_id = entity.page_id, entity = entity,
        details = { name = name_of(entity), had_page = entity.page_id ~= nil or nil } })
    end
  end
end

local function read_entities(self)
  local last
  repeat
    local ids = mirrors.ids(self.conn, self.kind, last, ENTITIES_AT_ONCE)
    local without = {}
    for _, id in ipairs(ids) do
      count(self, "entities")
      without[#without + 1] = not self.seen[id] and id or nil
    end
    take_missing(self, without)
    last = ids[#ids]
  until #ids < ENTITIES_AT_ONCE
end

-- ---- a type ----------------------------------------------------------------

local function new_counts()
  return { entities = 0, pages = 0, equal = 0, missing = 0, extra = 0, differing = 0, duplicates = 0, on_their_way = 0,
    fixed = 0 }
end

--- Compares all entities of a type with all pages of their database. Raises "notion" when
--- Notion cannot be read; nothing is written.
---@param conn table outside a transaction
---@param target ligase.notion_target
---@param entity_type string
---@param tell (fun(so_far: ligase.comparison))|nil called now and then
---@return ligase.comparison
function M.compare(conn, target, entity_type, tell)
  local policy = target:entity(entity_type)
  local now = conn:query("SELECT extract(epoch FROM t)::float8 AS s, t::text AS at FROM clock_timestamp() AS t")[1]
  local self = setmetatable({ conn = conn, target = target, kind = policy.kind, source = target:source(entity_type),
    owners = mirrors.ids_of_pages(conn, { policy.kind.name }), seen = {}, claims = {}, started_s = now.s,
    shown = target:shown_types(), tell = tell or function() end,
    result = { entity_type = entity_type, policy = policy, started_at = now.at, started_s = now.s,
      counts = new_counts(),
      findings = {} } }, Comparing)
  read_pages(self)
  read_claims(self)
  read_entities(self)
  return self.result
end

return M
