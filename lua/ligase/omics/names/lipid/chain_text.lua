--- How the parts of a chain are printed (Liebisch et al. 2020, J Lipid Res 61:1539).
local M = {}

--- Levels of detail of a chain.
M.SUM, M.STRUCTURE, M.FULL = 1, 2, 3

local FULL = M.FULL
local EXTRAS = { "O", "S", "N", "P", "As", "Br", "Cl", "F", "I" }

local function ring_text(ring, level)
  local parts = { "[" }
  if level == FULL and ring.from then
    parts[#parts + 1] = ring.from .. "-" .. ring.to
  end
  parts[#parts + 1] = ("%scy%d:%d"):format(ring.hetero, ring.size, ring.double_bonds)
  if ring.positions then
    local places = {}
    for i, position in ipairs(ring.positions) do
      places[i] = position.at .. (position.geometry or "")
    end
    parts[#parts + 1] = "(" .. table.concat(places, ",") .. ")"
  end
  local inner = M.groups(ring.groups, level)
  return table.concat(parts) .. inner .. "]"
end

local function group_text(group, level)
  if group.ring then
    return ring_text(group.ring, level)
  elseif group.chain then
    return ("%s(%s%s)"):format(group.joint or "", group.acyl and "FA " or "", group.chain.text[level])
  end
  return group.name
end

--- Groups of one kind side by side: "9OH,10OH", or "(OH)2" where their places are not said.
local function bucket_text(bucket, level)
  local parts = {}
  if level == FULL then
    for i, group in ipairs(bucket) do
      parts[i] = (group.at or "") .. group_text(group, level)
    end
  elseif bucket[1].name and #bucket > 1 then
    return ("(%s)%d"):format(bucket[1].name, #bucket)
  else
    for i, group in ipairs(bucket) do
      parts[i] = group_text(group, level)
    end
  end
  return table.concat(parts, ",")
end

local function group_key(group)
  return group.ring and "" or ((group.joint or "") .. (group.chain and "(" or "") .. (group.name or "")):lower()
end

--- ";" and the groups, in one order: rings, then by name, then by place.
---@param list table[] of ligase.lipid.chain.groups
---@param level integer of detail
---@return string
function M.groups(list, level)
  if #list == 0 then
    return ""
  end
  local sorted = table.move(list, 1, #list, 1, {})
  local order = {}
  for i, group in ipairs(sorted) do
    order[group] = i
  end
  table.sort(sorted, function(a, b)
    local key_a, key_b = group_key(a), group_key(b)
    if key_a ~= key_b then
      return key_a < key_b
    elseif (a.at or 0) ~= (b.at or 0) then
      return (a.at or 0) < (b.at or 0)
    end
    return order[a] < order[b]
  end)
  local parts, bucket = {}, {}
  for i, group in ipairs(sorted) do
    bucket[#bucket + 1] = group
    local after = sorted[i + 1]
    if group.ring or not after or group_key(after) ~= group_key(group) then
      parts[#parts + 1] = bucket_text(bucket, level)
      bucket = {}
    end
  end
  return ";" .. table.concat(parts, ";")
end

--- The places of double bonds: "(9Z,12Z)".
---@param positions table[]|nil {at=, geometry=}
---@param level integer of detail
---@return string
function M.positions(positions, level)
  if not positions then
    return ""
  end
  local parts = {}
  for i, position in ipairs(positions) do
    parts[i] = position.at .. (level == FULL and position.geometry or "")
  end
  return "(" .. table.concat(parts, ",") .. ")"
end

--- The groups of a base without the hydroxyl group that its class's rest stands on.
---@param list table[]
---@return table[] others
---@return boolean found
function M.without_first_hydroxyl(list)
  local place
  for i, group in ipairs(list) do
    if group.name == "OH" and (not place or group.at == 1) then
      place = i
    end
  end
  local others = table.move(list, 1, #list, 1, {})
  table.remove(others, place)
  return others, place ~= nil
end

--- ";O2;S" of what is not placed.
---@param extra table<string, integer>
---@return string
function M.extra(extra)
  local parts = {}
  for _, element in ipairs(EXTRAS) do
    local count = extra[element] or 0
    if count > 0 then
      parts[#parts + 1] = ";" .. element .. (count > 1 and count or "")
    end
  end
  return table.concat(parts)
end

return M
