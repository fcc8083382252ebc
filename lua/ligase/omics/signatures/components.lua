--- From the names in a signature to features: of which type they are, what they are read as,
--- and whether one signature says two things of one feature.
local detect_omics = require "ligase.omics.detect_omics"
local frame = require "frame"
local pipeline = require "ligase.omics.pipeline"
local recipes = require "ligase.omics.recipes"
local refuse = require("ligase.omics.signatures.source").refuse
local text = require "ligase.base.text"

local M = {}

--- The omics type whose recipe reads the names of a feature type: a workspace's own
--- reading holds for signatures too, or they would not meet its datasets.
M.OMICS = { lipid = "lipidomics", gene = "transcriptomics", protein = "proteomics", metabolite = "metabolomics" }

-- ---- types -----------------------------------------------------------------

--- A type is taken with this share of the names, and this lead over the next.
local ENOUGH, AHEAD = 0.3, 1.5

--- Names of one signature file that are looked at for their type.
local LOOKED_AT = 200

local function names_without_type(sets)
  local names = {}
  for _, set in ipairs(sets) do
    for _, component in ipairs(set.components) do
      if not component.feature_type then
        names[#names + 1] = component.raw
        if #names == LOOKED_AT then
          return names
        end
      end
    end
  end
  return names
end

--- What names look like; nil when that is in doubt.
local function guess(names)
  local shares = detect_omics.shares(names)
  local best, second
  for feature_type, omics in pairs(M.OMICS) do
    local share = shares[omics] or 0
    if not best or share > best.share then
      best, second = { feature_type = feature_type, share = share }, best
    elseif not second or share > second.share then
      second = { feature_type = feature_type, share = share }
    end
  end
  return best.share >= ENOUGH and best.share >= AHEAD * second.share and best.feature_type or nil
end

--- Gives each component without a feature type the one that was said, or that the names
--- look like, or that the format is made for.
---@param source ligase.signature_source
---@param sets table[]
---@param said string|nil what a person, the file or the recipe says
---@param usual string|nil what the format is made for
---@param doubts string[]
function M.settle_types(source, sets, said, usual, doubts)
  local names = names_without_type(sets)
  if #names == 0 then
    return
  end
  local chosen = said or guess(names)
  if not chosen and usual then
    chosen = usual
    doubts[#doubts + 1] = ("the names are read as those of %ss, which the format is made for (--feature-type)")
      :format(usual)
  elseif not chosen then
    refuse(source, nil, ("it is not clear of which type the features are: %s, ..."):format(text.shown(names[1], 40)),
      "Say --feature-type with one of: lipid, gene, protein, metabolite; or add a column 'type'", "feature_type")
  elseif not said then
    doubts[#doubts + 1] = ("the names look like those of %ss and are read so (--feature-type)"):format(chosen)
  end
  for _, set in ipairs(sets) do
    for _, component in ipairs(set.components) do
      component.feature_type = component.feature_type or chosen
    end
  end
end

-- ---- features --------------------------------------------------------------

--- Each component's names by type, each once, in order.
local function names_by_type(sets)
  local by_type = {}
  for _, set in ipairs(sets) do
    for _, component in ipairs(set.components) do
      local names = by_type[component.feature_type]
      if not names then
        names = { rows = {}, seen = {} }
        by_type[component.feature_type] = names
      end
      if not names.seen[component.raw] then
        names.seen[component.raw] = true
        names.rows[#names.rows + 1] = { component.raw }
      end
    end
  end
  return by_type
end

--- A resolver that knows nothing yet, so that every name of the file waits in it with what
--- it was read as.
---@param feature_type string
---@param aliases ligase.alias_lookup|nil
---@return ligase.resolver
function M.resolver_for(feature_type, aliases)
  local resolver = pipeline.resolver(recipes.load(M.OMICS[feature_type]))
  if aliases then
    aliases:serve(resolver)
  end
  return resolver
end

--- What was read of each name: {key, reading}; names that nobody understands are taken out of
--- those that wait, because they name no feature.
---@param resolver ligase.resolver from M.resolver_for
---@param rows {[1]: string}[] names
---@return table<string, {key: integer|nil, reading: ligase.reading}> read
---@return ligase.waiting known
function M.read_names(resolver, rows)
  local names <close> = frame.new({ "name" }, rows)
  resolver:resolve(names:text(1))
  local waiting, read = resolver:take(), {}
  local known = { raws = {}, raw_keys = {}, keys = {}, readings = {} }
  for i, raw in ipairs(waiting.raws) do
    local reading = waiting.readings[i]
    local is_understood = not reading.reason
    read[raw] = { key = is_understood and waiting.keys[i] or nil, reading = reading }
    if is_understood then
      local n = #known.raws + 1
      known.raws[n], known.raw_keys[n], known.keys[n] = raw, waiting.raw_keys[i], waiting.keys[i]
      known.readings[n] = reading
    end
  end
  return read, known
end

---@class ligase.linked_names
---@field resolver ligase.resolver
---@field waiting ligase.waiting what has to be in the database before components refer to it

--- Reads all names: each component gets `key`, `rule`, `level`, `aside`, or the `reason` why
--- it is no feature's name.
---@param sets table[]
---@param aliases ligase.alias_lookup|nil
---@return ligase.linked_names[]
function M.link(sets, aliases)
  local linked, read_by_type = {}, {}
  for feature_type, names in pairs(names_by_type(sets)) do
    local resolver = M.resolver_for(feature_type, aliases)
    local read, waiting = M.read_names(resolver, names.rows)
    read_by_type[feature_type] = read
    linked[#linked + 1] = { resolver = resolver, waiting = waiting }
  end
  table.sort(linked, function(a, b)
    return a.resolver.feature_type < b.resolver.feature_type
  end)
  for _, set in ipairs(sets) do
    for _, component in ipairs(set.components) do
      local found = read_by_type[component.feature_type][component.raw]
      local reading = found and found.reading or {}
      component.key = found and found.key
      component.rule, component.level, component.aside = reading.rule or "verbatim", reading.level, reading.aside
      component.name = reading.name or component.raw
      component.reason = not component.key and (reading.reason or "a mark for a missing name") or nil
    end
  end
  return linked
end

-- ---- one thing of one feature ----------------------------------------------

local WAYS = { [1] = "up", [-1] = "down" }

local function way_of(component)
  return WAYS[component.direction or 0] or "no direction"
end

local function refuse_contradiction(source, set, one, other)
  local differ = one.direction ~= other.direction
  refuse(source, other.line, ("%s%s: '%s' has %s here and %s on line %d%s"):format(
    set.name and ("in the signature '%s', "):format(text.shown(set.name, 60)) or "",
    differ and "directions contradict one another" or "weights contradict one another", text.shown(other.raw, 60),
    differ and way_of(other) or ("the weight %.15g"):format(other.weight or 1),
    differ and way_of(one) or ("the weight %.15g"):format(one.weight or 1), one.line,
    one.raw ~= other.raw and (" ('%s')"):format(text.shown(one.raw, 60)) or ""),
    "Keep the line that is right", "contradiction")
end

--- Takes rows that say the same of the same feature again out, and refuses those that say
--- something else. Counts what is left out.
---@param source ligase.signature_source
---@param sets table[]
---@return integer repeated
function M.check(source, sets)
  local repeated = 0
  for _, set in ipairs(sets) do
    local first, kept = {}, {}
    for _, component in ipairs(set.components) do
      local feature = component.feature_type .. "\0" .. (component.key and component.name or "\0" .. component.raw)
      local before = first[feature]
      if not before then
        first[feature] = component
        kept[#kept + 1] = component
      elseif before.direction ~= component.direction or (before.weight or 1) ~= (component.weight or 1) then
        refuse_contradiction(source, set, before, component)
      else
        repeated = repeated + 1
      end
    end
    if #kept == 0 then
      refuse(source, set.line, "the signature has no components", "Give it one feature at least", "empty")
    end
    set.components = kept
  end
  return repeated
end

return M
