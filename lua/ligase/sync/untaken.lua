--- What Notion says and Postgres does not: pages that are no entity's yet, and entities whose page
--- is gone. Nothing is changed by looking.
local gone_pages = require "ligase.sync.gone_pages"
local mirrors = require "ligase.store.mirrors"
local properties = require "ligase.io.notion.properties"
local values = require "ligase.sync.values"

local M = {}

---@class ligase.untaken
---@field pages integer that Notion has
---@field without integer of these without an entity
---@field first string|nil such a page, for people
---@field gone integer entities whose page is gone
---@field first_gone ligase.gone_page|nil
---@field kind_name string|nil of that one

local function look_at(conn, target, entity_type, found)
  local policy, listed = target:entity(entity_type), {}
  local kind = policy.kind
  local marks = mirrors.marks(conn, kind)
  local owners = mirrors.ids_of_pages(conn, { kind.name })
  for page in target.client:query(target:source(entity_type).id, { about = kind.plural }) do
    if not (page.in_trash or page.archived) then
      local key = values.page_key(page.id)
      listed[key], found.pages = true, found.pages + 1
      if not owners[key] then
        found.without = found.without + 1
        found.first = found.first or ("%s '%s'"):format(kind.name, properties.title(page) or "")
      end
    end
  end
  local gone = gone_pages.find(target, policy, marks, listed)
  found.gone = found.gone + #gone
  if gone[1] and not found.first_gone then
    found.first_gone, found.kind_name = gone[1], kind.name
  end
end

--- Looks at all pages of the databases that are set. Raises "notion" when Notion cannot be read.
---@param conn table outside a transaction
---@param target ligase.notion_target
---@return ligase.untaken
function M.look(conn, target)
  local found = { pages = 0, without = 0, gone = 0 }
  local _, configured = target:types()
  for _, entity_type in ipairs(configured) do
    look_at(conn, target, entity_type, found)
  end
  return found
end

return M
