--- Metabolomics Workbench mwTab, as JSON.
---
--- The same sections as in the text, as members of one object; the values are the items of
--- "Data" in the section whose name ends in _DATA, one object per metabolite. A JSON text
--- cannot be read as a stream: it is held in memory, and may have 64 MiB.
local errors = require "ligase.base.errors"
local formats = require "ligase.omics.formats"
local json = require "ligase.base.json"
local lpeg = require "lpeg"
local mwtab_samples = require "ligase.omics.mwtab_samples"
local sections = require "ligase.io.sections"

local BYTES_MOST = 64 << 20
local TABLES = { "MS_METABOLITE_DATA", "NMR_METABOLITE_DATA", "NMR_BINNED_DATA" }
local FETCH_AGAIN = "Fetch the analysis again, or its text form"
--- Kept apart from what is kept of the other sections.
local VALUES = "Data"

-- ---- the order of members --------------------------------------------------

local P, S = lpeg.P, lpeg.S
local space = S " \t\r\n" ^ 0
local string_token = P '"' * ((1 - S '"\\') + P "\\" * 1) ^ 0 * '"'
local scalar = string_token + (1 - S '",{}[] \t\r\n:') ^ 1
local value = P { "value",
  value = scalar + lpeg.V "object" + lpeg.V "array",
  object = "{" * space * (lpeg.V "member" * (space * "," * space * lpeg.V "member") ^ 0) ^ -1 * space * "}",
  member = string_token * space * ":" * space * lpeg.V "value",
  array = "[" * space * (lpeg.V "value" * (space * "," * space * lpeg.V "value") ^ 0) ^ -1 * space * "]",
}
local member = lpeg.C(string_token) * space * ":" * space * lpeg.Cp() * value
local members = P "{" * space * lpeg.Ct((lpeg.Ct(member) * (space * "," * space * lpeg.Ct(member)) ^ 0) ^ -1)

--- The names of an object's members in the text's order, and where their values begin.
---@return {name: string, at: integer}[]
local function members_at(text, at)
  local found = {}
  local matched = members:match(text, at)
  for i, pair in ipairs(matched or {}) do
    found[i] = { name = json.decode("[" .. pair[1] .. "]")[1], at = pair[2] }
  end
  return found
end

local function value_at(list, name)
  for _, item in ipairs(list) do
    if item.name == name then
      return item.at
    end
  end
  return nil
end

--- The members of the first item of the table, which are the columns in order.
local function first_columns(text, section)
  lpeg.setmaxstack(2000) -- as deep as json.decode goes
  local start = text:find("%S")
  local at = value_at(members_at(text, start), section)
  at = at and value_at(members_at(text, at), VALUES)
  local item = at and text:match("^%[%s*(){", at)
  local names = {}
  for i, found in ipairs(item and members_at(text, item) or {}) do
    names[i] = found.name
  end
  return names
end

-- ---- cells -----------------------------------------------------------------

local function cell_of(from, given, name, index)
  if given == nil then
    from:doubt('item %d of the table has no "%s"; the cell is stored empty', index, name)
    return ""
  elseif given == json.null then
    return "null"
  elseif type(given) == "table" or type(given) == "boolean" then
    from:refuse { code = "cell", line = false,
      message = ('item %d of the table: "%s" is neither text nor number'):format(index, name),
      hint = FETCH_AGAIN }
  end
  return type(given) == "string" and given or json.encode(given)
end

--- One line of the copy. Cells with tabs, line ends or quotes are quoted.
local function line_of(cells)
  for i, cell in ipairs(cells) do
    if cell:find('["\t\r\n]') then
      cells[i] = '"' .. cell:gsub('"', '""') .. '"'
    end
  end
  return table.concat(cells, "\t")
end

local function check_item(from, item, known, index)
  if type(item) ~= "table" or json.is_array(item) then
    from:refuse { code = "item", line = false, message = ("item %d of the table is no object"):format(index),
      hint = FETCH_AGAIN }
  end
  for name in pairs(item) do
    if not known[name] then
      from:refuse { code = "ragged", line = false,
        message = ('item %d of the table has "%s", which the first one has not'):format(index, name),
        hint = FETCH_AGAIN }
    end
  end
end

local function copy_table(from, data, columns)
  local known = {}
  for _, name in ipairs(columns) do
    known[name] = true
  end
  from.quoted = true
  from:keep(line_of(table.move(columns, 1, #columns, 1, {})), 1)
  for index, item in ipairs(data) do
    check_item(from, item, known, index)
    local cells = {}
    for i, name in ipairs(columns) do
      cells[i] = cell_of(from, item[name], name, index)
    end
    from:keep(line_of(cells), index + 1)
  end
end

-- ---- samples ---------------------------------------------------------------

--- Members of an object as a list in the order of their names.
local function named(object)
  local found = {}
  for name, given in pairs(type(object) == "table" and object or {}) do
    found[#found + 1] = { name = name, value = type(given) == "string" and given or json.encode(given) }
  end
  table.sort(found, function(a, b)
    return a.name < b.name
  end)
  return found
end

local function samples_of(from, about)
  local samples = {}
  local list = about.SUBJECT_SAMPLE_FACTORS
  for index, item in ipairs(type(list) == "table" and list or {}) do
    local name = type(item) == "table" and item["Sample ID"]
    if type(name) == "string" then
      mwtab_samples.add(samples, name, item["Subject ID"], named(item.Factors), named(item["Additional sample data"]))
    else
      from:doubt("item %d of SUBJECT_SAMPLE_FACTORS has no Sample ID", index)
    end
  end
  return samples
end

-- ---- the file --------------------------------------------------------------

--- The whole text, and no more than is allowed.
local function whole_text(from)
  local parts, bytes = {}, 0
  for line in from:lines() do
    parts[#parts + 1], bytes = line, bytes + #line + 1
    if bytes > BYTES_MOST then
      from:refuse { code = "json_size", line = false,
        message = ("the JSON is larger than %d MiB"):format(BYTES_MOST >> 20),
        hint = "Fetch the analysis as text (mwTab), which is read as a stream" }
    end
  end
  return table.concat(parts, "\n")
end

local function find_table(from, about)
  for _, name in ipairs(TABLES) do
    local section = about[name]
    if type(section) == "table" and json.is_array(section[VALUES]) and #section[VALUES] > 0 then
      return name, section
    end
  end
  local results = (type(about.MS) == "table" and about.MS or {}).MS_RESULTS_FILE
  from:refuse { code = "no_table", line = false,
    message = results and "the values are not in this file but in another: " .. json.encode(results)
      or "the file has no table of values (Data in MS_METABOLITE_DATA, ...)",
    hint = "Fetch the analysis again, with its data" }
end

local function read(from)
  local text = whole_text(from)
  local done, about = errors.try(json.decode, text, { max_bytes = BYTES_MOST, file = from.file })
  if not done then
    about.hint = about.hint or FETCH_AGAIN
    error(about, 0)
  end
  local name, section = find_table(from, about)
  local columns = first_columns(text, name)
  copy_table(from, section[VALUES], columns)
  section[VALUES] = nil
  local samples = samples_of(from, about)
  mwtab_samples.check(from, { header = columns, samples = samples })
  local unit = type(section.Units) == "string" and section.Units or nil
  about.table, about.samples = name, mwtab_samples.by_name(samples)
  return { about = about, samples = samples, unit = unit }
end

local mwtab = sections.format(read)

return formats.register {
  name = "mwtab_json", title = "Metabolomics Workbench mwTab (JSON)",
  source = "Metabolomics Workbench REST service, mwTab as JSON (metabolomicsworkbench.org/tools/mw_rest.php)",
  omics = { "metabolomics", "lipidomics" },
  recognise = function(look)
    if look.head:find("^%s*{%s*\"METABOLOMICS WORKBENCH\"%s*:") then
      return 1, "its first member is METABOLOMICS WORKBENCH"
    end
    return nil
  end,
  place = mwtab.place,
  about = mwtab.about,
  columns = function(_, look)
    local found = mwtab.found(look)
    return mwtab_samples.roles(found.header, found.samples, found.unit)
  end,
}
