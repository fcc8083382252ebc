--- The metadata of an mzTab file (lines "MTD"): its items, and what they say of the samples.
---
--- Assays are what was measured; an assay refers to a sample, an ms_run and, in 1.0, to a
--- quantification reagent; study variables group assays.
local M = {}

local function escaped(word)
  return (word:gsub("%W", "%%%0"))
end

--- The items of a parameter "[label, accession, name, value]"; quoted ones may hold commas.
---@param text string|nil
---@return {label: string, accession: string, name: string, value: string}|nil
function M.param(text)
  local inner = text and text:match("^%s*%[(.*)%]%s*$")
  if not inner then
    return nil
  end
  local items, at = {}, 1
  while #items < 4 and at <= #inner do
    local item, after = inner:match('^%s*"([^"]*)"%s*,?()', at)
    if not item and #items < 3 then
      item, after = inner:match("^%s*([^,]-)%s*,()", at)
    end
    if not item then -- the last one may hold commas
      item, after = inner:match("^%s*(.-)%s*$", at), #inner + 1
    end
    items[#items + 1], at = item, after
  end
  return { label = items[1] or "", accession = items[2] or "", name = items[3] or "", value = items[4] or "" }
end

--- What a person calls a value: the name of a parameter, or the text itself.
---@param text string|nil
---@return string|nil nil for none
function M.word(text)
  local param = M.param(text)
  local word = param and (param.value ~= "" and param.name ~= "" and param.name .. ": " .. param.value
    or param.name ~= "" and param.name or param.value) or text
  word = word and word:gsub('^"(.*)"$', "%1")
  return word and word ~= "" and word ~= "null" and word or nil
end

--- The numbers in "assay[1] | assay[2]" or "assay[1],assay[2]".
local function references(text, kind)
  local found = {}
  for number in (text or ""):gmatch(kind .. "%[(%d+)%]") do
    found[#found + 1] = tonumber(number)
  end
  return found
end

--- All items of one thing, such as "sample[2]": under "" its own value, else by what
--- follows the hyphen.
local function items_of(items, thing)
  local found = {}
  local pattern = "^" .. escaped(thing) .. "%-(.+)$"
  for _, item in ipairs(items) do
    if item.key == thing then
      found[""] = item.value
    else
      local name = item.key:match(pattern)
      if name then
        found[name] = item.value
      end
    end
  end
  return found
end

local function number_of_most(items, kind)
  local most = 0
  for _, item in ipairs(items) do
    most = math.max(most, tonumber(item.key:match("^" .. kind .. "%[(%d+)%]")) or 0)
  end
  return most
end

--- Groups by assay: the names of the study variables that it belongs to.
local function groups_by_assay(items, variables)
  local groups = {}
  for i = 1, number_of_most(items, "study_variable") do
    local variable = variables[i]
    for _, assay in ipairs(references(variable.assay_refs, "assay")) do
      groups[assay] = groups[assay] or {}
      table.insert(groups[assay], variable.name)
    end
  end
  return groups
end

local function describe_assay(assay, by_thing, groups)
  local attributes = {}
  for name, value in pairs(assay) do
    if name ~= "" and not name:find("_ref$") then
      attributes[name] = M.word(value)
    end
  end
  local sample = by_thing(assay.sample_ref)
  for name, value in pairs(sample) do
    local plain = name:gsub("%[1%]$", "")
    attributes[plain == "" and "sample" or plain] = M.word(value)
  end
  local run = by_thing((assay.ms_run_ref or ""):match("ms_run%[%d+%]"))
  attributes.ms_run = M.word(run.location)
  attributes.scan_polarity = M.word(run["scan_polarity[1]"])
  attributes.study_variable = groups and table.concat(groups, " | ") or nil
  return attributes
end

--- The name of a file without folders and ending.
local function stem(location)
  local name = M.word(location)
  name = name and name:match("([^/\\]+)$")
  return name and (name:gsub("(.)%.[^.]*$", "%1")) or nil
end

--- What a person calls an assay: its own name, or that of its run's file when it is the
--- only assay of the run.
local function assay_name(assays, i, by_thing)
  local assay = assays[i]
  if M.word(assay[""]) then
    return M.word(assay[""])
  end
  for j, other in ipairs(assays) do
    if j ~= i and other.ms_run_ref == assay.ms_run_ref then
      return nil
    end
  end
  return stem(by_thing((assay.ms_run_ref or ""):match("ms_run%[%d+%]")).location)
end

---@class ligase.mztab_samples
---@field assays table<integer, {name: string, group: string|nil, attributes: table<string, string>}>
---@field variables table<integer, {name: string}>

--- What the metadata say of assays and study variables, by number.
---@param items {key: string, value: string}[] in the file's order
---@return ligase.mztab_samples
function M.samples(items)
  local known = {}
  local function by_thing(thing)
    thing = thing and thing:match("^%s*(.-)%s*$") or ""
    known[thing] = known[thing] or (thing ~= "" and items_of(items, thing) or {})
    return known[thing]
  end
  local variables, assays = {}, {}
  for i = 1, number_of_most(items, "study_variable") do
    local variable = by_thing(("study_variable[%d]"):format(i))
    variables[i] = { assay_refs = variable.assay_refs,
      name = M.word(variable[""]) or M.word(variable.description) or ("study_variable[%d]"):format(i) }
  end
  local groups = groups_by_assay(items, variables)
  local things = {}
  for i = 1, number_of_most(items, "assay") do
    things[i] = by_thing(("assay[%d]"):format(i))
  end
  for i, assay in ipairs(things) do
    local own = groups[i]
    assays[i] = { name = assay_name(things, i, by_thing) or ("assay[%d]"):format(i),
      group = own and table.concat(own, " | "), attributes = describe_assay(assay, by_thing, own) }
  end
  return { assays = assays, variables = variables }
end

return M
