--- What a name says that its canonical name does not: places that are lost at the level of the
--- whole, R and S, an order that has no meaning; and what the canonical name takes from a convention.
local chains = require "ligase.omics.names.lipid.chain"
local structures = require "ligase.omics.names.lipid.structure"

local M = {}

local function is_chain_lost(structure)
  for _, chain in ipairs(structure.chains) do
    if chain and chain.complete > structure.detail then
      return true
    end
  end
  local on_head = structure.head_chain
  return on_head ~= nil and on_head.complete > structure.detail
end

local function is_order_lost(structure)
  local mark = structure.pieces.separator
  return (mark == "/" or mark == "\\") and structure.order ~= "/"
end

--- Whether the head is printed with less than was written of it, as sugars are in a sum.
local function is_head_lost(structure)
  local head = structure.head
  return head.is_less or structures.head_at_own_level(structure) ~= head.full
end

--- Whether the canonical name says less than was written.
---@param structure ligase.lipid.structure as it was made of chains, or without any
---@return boolean
function M.is_lost(structure)
  return structure.pieces ~= nil and (structure.is_merged or is_chain_lost(structure) or is_order_lost(structure)
    or is_head_lost(structure))
end

local function doubt_of(structure)
  for _, chain in ipairs(structure.chains) do
    if chain and chain.doubt then
      return chain.doubt
    end
  end
  return structure.head_chain and structure.head_chain.doubt
end

--- What is to be set aside with a name.
---@param structure ligase.lipid.structure
---@param head_text string|nil the head as it was written
---@return table|nil aside detail: the chains (and the head) as they were written; assumed: what the canonical name
--- takes from a convention; doubt: why something was left out
function M.of(structure, head_text)
  if not structure.pieces then
    return nil
  end
  local aside
  if M.is_lost(structure) then
    local body = table.concat(structure.pieces, structure.pieces.separator)
    local piece = structure.is_merged and structure.head_piece
    aside = { detail = (is_head_lost(structure) or piece) and head_text
      and ("%s%s %s"):format(head_text, piece and ("(FA %s)"):format(piece) or "", body) or body }
    aside.doubt = doubt_of(structure)
  end
  local base = structure.chains[1]
  if base and base.convention and structure.detail == chains.FULL then
    aside = aside or {}
    aside.assumed = base.convention
  end
  return aside
end

return M
