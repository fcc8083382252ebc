--- Pages of Notion taken into Postgres: each becomes an entity, or changes the one it is a page
--- of.
---
--- A page belongs to the entity that Postgres knows it for, else to the one whose id it
--- carries, else to the one of its name that has no page yet; else it is a new one. Of an
--- entity that is there, only what was changed in Notion is taken. What was changed on both
--- sides is a conflict: the policy's rule decides, and while Notion is written first, Notion
--- wins.
local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local linkers = require "ligase.store.linkers"
local mirrors = require "ligase.store.mirrors"
local narratives = require "ligase.store.narratives"
local notion = require "ligase.io.notion"
local outbox = require "ligase.store.outbox"
local page_entities = require "ligase.sync.page_entities"
local properties = require "ligase.io.notion.properties"
local target_of = require "ligase.sync.target"
local text = require "ligase.base.text"
local values = require "ligase.sync.values"

local M = {}

--- So many of those that are new or changed are named.
M.NAMED = 5

---@class ligase.taken
---@field created integer
---@field updated integer
---@field unchanged integer
---@field bodies integer narratives that were changed
---@field conflicts {page_id: string, name: string, property: string, page: any, postgres: any}[] left on both sides
---@field problems {page_id: string, name: string, message: string, hint: string|nil}[] pages that were not taken
---@field notes {page_id: string, name: string, message: string}[] what of a page could not be taken
---@field held {property: string, pages: integer, message: string}[] properties whose emptiness was not taken
---@field first string[] the first few that are new or changed, as "program 'ALS'"

---@class ligase.taking
---@field conn table
---@field target ligase.notion_target
---@field policy ligase.entity_policy
---@field rule ligase.policy_rule
---@field taken ligase.taken
local Taking = {}
Taking.__index = Taking

---@class ligase.page_taken
---@field page table
---@field said table<string, any>
---@field name string
---@field read_s number when Notion was asked for it, or before, in seconds since 1970 of the server
---@field entity ligase.mirrored_entity|nil
---@field fields table<string, any>
---@field untaken table<string, boolean> properties that stay as each side has them
---@field held table<string, boolean>|nil properties whose emptiness was not taken; it is to be looked at again
---@field id string|nil of its entity, once it is stored

local function problem(self, one, message, hint)
  local list = self.taken.problems
  list[#list + 1] = { page_id = one.page.id, name = one.name, message = message, hint = hint }
end

-- ---- pages that changed meanwhile --------------------------------------------

--- What a page says. Raises when a property is missing: nothing of it may be taken for empty.
local function read(self, page)
  self.target:check_page(self.policy.type, page, ("%s '%s'"):format(self.policy.kind.name, properties.title(page)))
  return properties.read_all(self.target.client:complete(page))
end

--- What a page says now. False when it is not there any more, or lies in another database.
local function read_again(self, one)
  local client = self.target.client
  local looked, page = xpcall(client.page, errors.explained, client, one.page.id, { about = one.name })
  if not looked and not (errors.is(page, "notion") and page.status == 404) then
    error(page, 0)
  elseif not looked or page.in_trash or page.archived
    or target_of.is_elsewhere(self.target:source(self.policy.type), page) then
    return false
  end
  one.page, one.said = page, read(self, page)
  one.name, one.all = properties.title(page), (values.fields(self.policy, one.said, self.owners))
  return true
end

local function was_told_since(one)
  local mirror = one.entity and one.entity.mirror
  return mirror ~= nil and mirror.delivered_s ~= nil and mirror.delivered_s >= one.read_s
end

--- Reads pages again that the relay wrote after they were read: what they said before would pass
--- for what people wrote. Those that are gone meanwhile are left out.
local function look_again(self, list)
  repeat
    local now_s, is_again, left = mirrors.now_s(self.conn), false, {}
    for _, one in ipairs(list) do
      local is_old = was_told_since(one)
      is_again = is_again or is_old
      one.read_s = is_old and now_s or one.read_s
      if not is_old or read_again(self, one) then
        left[#left + 1] = one
      end
    end
    list = left
    if is_again then
      page_entities.find(self, list)
    end
  until not is_again
  return list
end

--- Whether an entity has another live page: then two pages say they are it.
local function has_other_page(one)
  local entity = one.entity
  return entity and entity.page_id and values.page_key(entity.page_id) ~= values.page_key(one.page.id)
    and not (entity.mirror and entity.mirror.trashed_at)
end

local function refuse_second(self, one)
  local carries_id = page_entities.claimed_id(self.policy, one.said) == one.entity.id
  problem(self, one, ("%s '%s' has another page already (%s)"):format(self.policy.kind.name,
    one.entity.row.name, one.entity.page_id), carries_id
    and ("The page carries its id, as a copy of its page does: empty the property '%s', or put the page into the trash")
      :format(self.policy.id_property) or "Rename one of the two pages, or put one into Notion's trash")
end

-- ---- what is taken ---------------------------------------------------------

local function present(value)
  return value ~= json.null and value or nil
end

--- Whether a property is taken, or why not: "same", "conflict" or "kept".
local function decide(self, one, name, difference, mirror)
  local property_type = values.type_of(self.policy, name)
  local page, wanted = present(difference.page), present(difference.wanted)
  local delivered = present(difference.delivered)
  local in_postgres
  if mirror then
    if values.same(property_type, page, delivered) then
      return "kept" -- it was changed in Postgres, and Notion is yet to learn it
    end
    in_postgres = not values.same(property_type, wanted, delivered)
  else
    in_postgres = not values.same(property_type, wanted, nil)
    if values.same(property_type, page, nil) then
      return "kept"
    end
  end
  if not in_postgres or self.rule.first == "notion" or self.rule.conflict == "notion" then
    return "taken"
  end
  local list = self.taken.conflicts
  list[#list + 1] = { page_id = one.page.id, name = one.name, property = name, page = difference.page,
    postgres = difference.wanted }
  return "conflict"
end

--- Whether a value is held although Notion has none any more: most other pages lost theirs, too.
local function is_held(self, one, name, difference)
  local suspicion = self.emptied and values.same(values.type_of(self.policy, name), present(difference.page), nil)
    and self.emptied:suspicion(name)
  if not suspicion then
    return false
  end
  one.held = one.held or {}
  one.held[name] = true
  for _, held in ipairs(self.taken.held) do
    if held.property == name then
      held.pages = held.pages + 1
      return true
    end
  end
  table.insert(self.taken.held, { property = name, pages = 1, message = suspicion })
  return true
end

--- What is known of the page; nil when all that is known is about another page of the entity.
local function mirror_of(one)
  local mirror = one.entity and one.entity.mirror
  local is_of_page = mirror and mirror.page_id and mirror.delivered_s
    and values.page_key(mirror.page_id) == values.page_key(one.page.id)
  return is_of_page and mirror or nil
end

--- The properties of a page that are taken into the entity that is there.
local function choose(self, one)
  local mirror = mirror_of(one)
  local wanted = values.wanted(self.policy, one.entity)
  local only = {}
  for name, difference in pairs(values.differences(self.policy, wanted, one.said, mirror and mirror.properties)) do
    local property = self.policy.by_name[name]
    if property and values.is_readable(self.policy, property) and one.page.properties[name]
      and decide(self, one, name, difference, mirror) == "taken" and not is_held(self, one, name, difference)
    then
      only[name] = true
    else
      one.untaken[name] = true
    end
  end
  return only
end

--- Of a page that becomes a new entity all is taken but what only shows what ligase reckons.
local function leave_reckoned(self, one)
  for _, property in ipairs(self.policy.properties) do
    one.untaken[property.name] = not values.is_readable(self.policy, property) or nil
  end
end

local function read_fields(self, one)
  one.untaken = {}
  local only = one.entity and choose(self, one) or nil
  if not one.entity then
    leave_reckoned(self, one)
  end
  local unknown
  one.fields, unknown = values.fields(self.policy, one.said, self.owners, only)
  for _, reference in ipairs(unknown) do
    one.untaken[reference.property] = true -- or the relay would take the reference out of the page
    local notes = self.taken.notes
    notes[#notes + 1] = { page_id = one.page.id, name = one.name, message = ("'%s' refers to a page that is no "
      .. "entity's (%s)"):format(reference.property, reference.page_id) }
  end
  for name, value in pairs(one.fields) do
    local field = self.policy.kind.fields[name]
    if value == json.null and field and not one.entity then
      one.fields[name] = nil
    end
  end
  one.fields.id = one.entity and one.entity.id or nil
  one.fields.new_id = one.new_id
  one.fields.notion_page_id = one.page.id
end

-- ---- both sides ------------------------------------------------------------

--- Whether the differences are only values that are held: then there is nothing to tell Notion.
local function is_only_held(one, differences)
  for name in pairs(differences) do
    if not (one.held and one.held[name]) then
      return false
    end
  end
  return true
end

--- What both sides say, as far as they say the same: what was not taken, or left nothing in
--- Postgres, stays people's, and must not be overwritten as if it had been delivered. And what is
--- Notion's own.
local function known_of(self, one, wanted)
  local mirror = mirror_of(one) or { properties = {} }
  local before, seen_before, delivered, seen = mirror.properties, mirror.seen or {}, {}, {}
  for _, name in ipairs(values.names(self.policy)) do
    local said, property_type = one.said[name], values.type_of(self.policy, name)
    if values.same(property_type, said, wanted[name])
      or not one.untaken[name] and not values.same(property_type, wanted[name], nil) then
      delivered[name] = said
    else
      delivered[name] = before[name]
    end
    local is_own = values.is_notions_own(self.policy, name, wanted[name], delivered[name])
    seen[name] = is_own and said or not is_own and seen_before[name] or nil
  end
  return delivered, seen
end

--- What a delivery found changed by people, and still differs.
local function conflicts_left(one, differences)
  local mirror, left = mirror_of(one), {}
  for name, conflict in pairs(mirror and mirror.conflict or {}) do
    left[name] = differences[name] and conflict or nil
  end
  return left
end

--- Both sides are noted as the same where they are. Gives the ids of the entities.
local function settle(self, list)
  local ids = {}
  for i, one in ipairs(list) do
    ids[i] = one.id
    if not self.how.rehearse then
      self.owners[values.page_key(one.page.id)] = one.id
    end
  end
  local now, mirrored = mirrors.read(self.conn, self.policy.kind, ids), (self.target:types())
  self.conn:transaction(function()
    for _, one in ipairs(list) do
      local entity = now[one.id]
      local wanted = values.wanted(self.policy, entity)
      local delivered, seen = known_of(self, one, wanted)
      local differences = values.differences(self.policy, wanted, one.said, delivered)
      local is_equal = not next(differences)
      mirrors.settle(self.conn, entity, { page_id = one.page.id, properties = delivered, seen = seen,
        conflict = conflicts_left(one, differences), sha256 = is_equal and values.sha256(self.policy, wanted) or nil,
        edited_at = not one.held and notion.settled_edit(one.page) or nil })
      if one.entity and values.page_key(one.entity.page_id or "") ~= values.page_key(one.page.id) then
        linkers.tell(self.conn, entity.type, entity.id, mirrored)
      end
      if not is_equal and self.rule.is_mirrored and not is_only_held(one, differences) then
        outbox.tell(self.conn, entity.type, entity.id, "update", json.encode { name = one.name })
      end
    end
  end)
  return ids
end

-- ---- storing ---------------------------------------------------------------

local function store(self, list)
  local kind = self.policy.kind
  return entities.change(self.conn, self.how, function(changes)
    local given = {}
    for i, one in ipairs(list) do
      given[i] = one.fields
    end
    local outcomes, texts = changes:upsert(kind.name, given), {}
    for i, one in ipairs(list) do
      one.id = outcomes[i].id
      if one.markdown then
        texts[#texts + 1] = { entity_id = one.id, page_id = one.page.id, edited_at = one.page.last_edited_time,
          markdown = one.markdown }
      end
    end
    if self.foresee then
      self.foresee(self.policy.type, settle(self, list))
    end
    return { outcomes = outcomes, bodies = narratives.write(self.conn, changes.noted, self.policy.type, texts) }
  end)
end

local function count(self, list, stored)
  local first = self.taken.first
  for i, outcome in ipairs(stored.outcomes) do
    self.taken[outcome.outcome] = self.taken[outcome.outcome] + 1
    if outcome.outcome ~= "unchanged" and #first < M.NAMED then
      first[#first + 1] = ("%s '%s'"):format(self.policy.kind.name, text.shown(list[i].name or "", 40))
    end
  end
  self.taken.bodies = self.taken.bodies + stored.bodies
end

--- Whether a page is still to be stored by itself: one before it may have made its entity.
local function is_alone(self, one)
  if one.entity then
    return true
  end
  page_entities.find(self, { one })
  if has_other_page(one) then
    refuse_second(self, one)
    return false
  elseif one.entity then
    read_fields(self, one)
  end
  return true
end

local UNIQUE_VIOLATION = "23505"

--- Whether what a page says cannot be stored: it is no value of its field, or another entity's.
---@param failure any
---@return boolean
function M.is_refused(failure)
  return errors.is(failure, "usage") or errors.is(failure, "database") and failure.code == UNIQUE_VIOLATION
end

local function store_one(self, one)
  local done, result = xpcall(store, errors.explained, self, { one })
  if done then
    count(self, { one }, result)
  elseif M.is_refused(result) then
    problem(self, one, result.message, result.hint)
  else
    error(result, 0)
  end
  return done
end

--- Stores them together, or when one of them is wrong each by itself.
local function store_all(self, list)
  if #list == 0 then
    return list
  end
  local done, result = xpcall(store, errors.explained, self, list)
  if done then
    count(self, list, result)
    return list
  elseif not M.is_refused(result) then
    error(result, 0)
  end
  local stored = {}
  for _, one in ipairs(list) do
    if is_alone(self, one) and store_one(self, one) then
      stored[#stored + 1] = one
    end
  end
  return stored
end

--- What was taken before anything was.
---@return ligase.taken
function M.nothing()
  return { created = 0, updated = 0, unchanged = 0, bodies = 0, conflicts = {}, problems = {}, notes = {}, held = {},
    first = {} }
end

--- Takes pages of one type into Postgres. Pages that cannot be taken are among the problems,
--- and the others are stored all the same.
---@param conn table outside a transaction
---@param target ligase.notion_target
---@param entity_type string
---@param pages table[] as Notion gives them, all of the type's database
---@param given {command: string, listed_s: number, arguments: table|nil, markdown: table<string, string>|nil,
--- rehearse: boolean|nil, owners: table<string, string>|nil, emptied: ligase.emptied|nil,
--- foresee: (fun(entity_type: string, ids: string[]))|nil} listed_s: when Notion was
--- asked for them, or before, by ligase.store.mirrors.now_s; markdown: bodies by the page's id; rehearse: nothing is
--- kept; owners: entities of all kinds by page (ligase.store.mirrors.ids_of_pages), to which those that are new are
--- added; emptied: holds values of properties that most pages lost; foresee: when it is rehearsed, called with the
--- entities as they would be, in the transaction that is undone then
---@return ligase.taken
function M.take(conn, target, entity_type, pages, given)
  local policy = target:entity(entity_type)
  local self = setmetatable({ conn = conn, target = target, policy = policy, rule = target:rule(entity_type),
    how = { command = given.command, arguments = given.arguments, rehearse = given.rehearse },
    owners = given.owners or mirrors.ids_of_pages(conn, { policy.kind.name, "program", "experiment" }),
    emptied = given.emptied, foresee = given.rehearse and given.foresee or nil,
    taken = M.nothing() }, Taking)
  local list = {}
  for i, page in ipairs(pages) do
    local said = read(self, page)
    list[i] = { page = page, said = said, name = properties.title(page), untaken = {}, read_s = given.listed_s,
      markdown = given.markdown and given.markdown[page.id], all = (values.fields(policy, said, self.owners)) }
  end
  page_entities.find(self, list)
  local kept = {}
  for _, one in ipairs(look_again(self, list)) do
    if has_other_page(one) then
      refuse_second(self, one)
    else
      read_fields(self, one)
      kept[#kept + 1] = one
    end
  end
  local stored = store_all(self, kept)
  if not given.rehearse then
    settle(self, stored)
  end
  return self.taken
end

return M
