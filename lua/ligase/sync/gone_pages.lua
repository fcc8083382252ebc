--- Pages of entities that Notion does not list any more: what became of each. One that cannot be
--- read is not taken for one that was deleted.
local errors = require "ligase.base.errors"
local target_of = require "ligase.sync.target"

local M = {}

--- So many pages that are not listed any more are looked at one by one; more of them, and it is
--- the database that changed.
local MOST = 200

---@class ligase.gone_page
---@field id string the entity's
---@field name string the entity's
---@field page_id string
---@field fate string "lies in Notion's trash", "was moved to another database" or "is gone, or not shared any more"
---@field is_trashed boolean it lies in the trash, for certain

--- What became of a page that is not listed any more: nil when it is there all the same.
local function fate_of(target, policy, mark)
  local client = target.client
  local looked, page = xpcall(client.page, errors.explained, client, mark.page_id, { about = mark.name })
  if not looked then
    if errors.is(page, "notion") and page.status == 404 then
      return "is gone, or not shared any more", false
    end
    error(page, 0)
  end
  if page.in_trash or page.archived then
    return "lies in Notion's trash", true
  end
  return target_of.is_elsewhere(target:source(policy.type), page) and "was moved to another database" or nil, false
end

--- The pages of a type that Postgres knows and that were not listed, with what became of them.
--- Raises "notion" when there are so many that the setting most likely names another database.
---@param target ligase.notion_target
---@param policy ligase.entity_policy
---@param marks table<string, {id: string, name: string, page_id: string}> by ligase.store.mirrors.marks, read before
--- the pages were listed
---@param listed table<string, boolean> the pages that Notion lists, by ligase.sync.values.page_key
---@return ligase.gone_page[]
function M.find(target, policy, marks, listed)
  local gone, found = {}, {}
  for page, mark in pairs(marks) do
    gone[#gone + 1] = not listed[page] and mark or nil
  end
  if #gone > MOST then
    errors.raise { kind = "notion", code = "database_changed", outcome = "refused",
      message = ("%d pages of %s are not in their Notion database any more"):format(#gone, policy.kind.plural),
      hint = ("See if %s names the right database"):format(policy.database) }
  end
  table.sort(gone, function(a, b)
    return a.name < b.name or a.name == b.name and a.id < b.id
  end)
  for _, mark in ipairs(gone) do
    local fate, is_trashed = fate_of(target, policy, mark)
    found[#found + 1] = fate and { id = mark.id, name = mark.name, page_id = mark.page_id, fate = fate,
      is_trashed = is_trashed } or nil
  end
  return found
end

return M
