--- Lipid names of real lists: how many are read, that none becomes another lipid, and that
--- formulas agree with those that other programs give.
local host = require "host"
local lipid = require "ligase.omics.names.lipid"
local support = require "tests.support"
local sys = require "sys"

local NAMES = "names/pygoslin__"

--- The cells of a line of CSV without line breaks in cells.
local function cells_of(line)
  local cells, from = {}, 1
  line = line:gsub("\r$", "")
  while from <= #line + 1 do
    local stop
    if line:sub(from, from) == '"' then
      stop = line:find('"%f[,\0]', from + 1) or #line
      cells[#cells + 1] = line:sub(from + 1, stop - 1):gsub('""', '"')
      stop = stop + 1
    else
      stop = line:find(",", from, true) or #line + 1
      cells[#cells + 1] = line:sub(from, stop - 1)
    end
    from = stop + 1
  end
  return cells
end

--- The rows of a list; the test is skipped where it is absent.
local function rows(name)
  local path = support.need_shared(NAMES .. name)
  local list = {}
  for line in io.lines(path) do
    if line:find "%S" then
      list[#list + 1] = cells_of(line)
    end
  end
  return list
end

local function lines(name)
  local list = {}
  for line in io.lines(support.need_shared(NAMES .. name)) do
    if line:find "%S" then
      list[#list + 1] = line:gsub("\r$", "")
    end
  end
  return list
end

--- A label is written behind the name in these lists: "PGE2[M[2]H4]".
local function without_label(name)
  return (name:gsub("%[M%[2%]H%d+%]$", ""))
end

--- Names of the LIPID MAPS list with a place beyond the chain's end, which the list repeats and we do not:
--- they are read without the places of that chain, with the doubt.
local SLIPS = {
  ["PE(16:0/22:6(54Z,7Z,10Z,12E,16Z,19Z)(14OH))"] = "PE 16:0/22:6;O",
}

describe("the lists of names", function()
  it("have slips that are not repeated", function()
    local met = 0
    for _, row in ipairs(rows "lipid-maps-test__half1.csv") do
      local reading = (row[2] or "") ~= "" and lipid.read(row[1])
      if reading and (SLIPS[row[1]] or (reading.aside or {}).doubt) then
        assert.equal(SLIPS[row[1]], reading.name, row[1])
        assert.matches("in a chain of", reading.aside.doubt, 1, true)
        met = met + 1
      end
    end
    assert.is_true(met <= 1)
  end)

  it("of LIPID MAPS are read to the expected shorthand, none to another lipid", function()
    local expected, exact = 0, 0
    for _, row in ipairs(rows "lipid-maps-test__half1.csv") do
      local raw, wanted = row[1], row[2] or ""
      if wanted ~= "" then
        expected = expected + 1
        local reading = lipid.read(raw)
        if reading.name == wanted then
          exact = exact + 1
        elseif reading.rule ~= "verbatim" then -- then it is the same lipid under another name
          local ours, theirs = lipid.describe(reading.name), lipid.describe(without_label(wanted))
          assert.is_truthy(theirs, wanted)
          assert.equal(theirs.category, ours.category, raw)
          if ours.formula then
            assert.equal(theirs.formula, ours.formula, ("%s: %s, not %s"):format(raw, reading.name, wanted))
          end
        end
      end
    end
    assert.is_true(expected > 5000)
    assert.is_true(exact / expected >= 0.99, ("%d of %d"):format(exact, expected))
  end)

  it("of Goslin and SwissLipids are read", function()
    for _, name in ipairs {
      "swiss-lipids-test__half1.csv", "goslin-test__half1.csv", "goslin-short__half1.csv",
      "swisslipids-names-only__half1.tsv",
    } do
      local list, read = lines(name), 0
      for _, raw in ipairs(list) do
        read = read + (lipid.read(raw).rule ~= "verbatim" and 1 or 0)
      end
      assert.is_true(read / #list >= 0.97, ("%s: %d of %d"):format(name, read, #list))
    end
  end)

  --- (The list's second part, SM(32:0), only leaves the hydroxyl groups unsaid; so do we.)
  it("that are no lipids are refused, each with a reason", function()
    for _, raw in ipairs(lines "lipidnames-invalid.txt") do
      local reading = lipid.read(raw)
      assert.equal("verbatim", reading.rule, raw)
      assert.is_truthy(reading.reason, raw)
    end
  end)

  it("of the shorthand are printed as expected at each level", function()
    local levels = { "full structure", "structure defined", "sn-position", "molecular species", "species" }
    for _, row in ipairs(rows "shorthand-test__half1.csv") do
      local structure = assert(lipid.parse(row[1]))
      for i, level in ipairs(levels) do
        local wanted = row[i]:gsub("%s+$", "")
        assert.equal(wanted, lipid.print(structure, level))
        assert.equal(wanted, lipid.read(wanted).name)
        assert.is_true(lipid.contains(lipid.parse(wanted), structure))
      end
      if (row[6] or "") ~= "" then
        assert.equal(row[6], lipid.describe(row[1]).formula, row[1])
      end
    end
  end)

  it("of fatty acids, systematic ones too, are read to what has the given formula, or not at all", function()
    local function sorted(formula)
      local atoms = {}
      for atom in formula:gmatch "%u%l?%d*" do
        atoms[#atoms + 1] = atom
      end
      table.sort(atoms)
      return table.concat(atoms)
    end
    local list, read = rows "fatty-acids-test__half1.csv", 0
    for _, row in ipairs(list) do
      for _, name in ipairs { row[2], row[4] } do
        local reading = lipid.read(name)
        if reading.rule ~= "verbatim" then
          assert.equal(sorted(row[3]), sorted(lipid.describe(reading.name).formula), name)
          read = read + (name == row[2] and 1 or 0)
        end
      end
    end
    assert.is_true(read / #list > 0.6, ("%d of %d"):format(read, #list))
  end)

  it("have the formulas that their databases give", function()
    for _, name in ipairs { "formulas-lipid-maps__half1.csv", "formulas-swiss-lipids__half1.csv" } do
      local compared = 0
      for _, row in ipairs(rows(name)) do
        local reading = lipid.read(row[1])
        local attributes = lipid.describe(reading.name)
        if not attributes or attributes.formula ~= row[2] then
          error(("%s: %s, not %s"):format(row[1], attributes and attributes.formula, row[2]))
        end
        compared = compared + 1
      end
      assert.is_true(compared > 1000)
    end
  end)
end)

describe("formulas and masses", function()
  --- Names, formulas and masses in a table of features; a cell may hold several names.
  local function compare(path, place_of_name, place_of_formula, least)
    local compared, seen = 0, {}
    for line in io.lines(support.need_shared(path)) do
      local cells = {}
      for cell in (line .. "\t"):gmatch "([^\t]*)\t" do
        cells[#cells + 1] = cell
      end
      for name in (cells[1] == "SML" and cells[place_of_name] or ""):gmatch "[^|]+" do
        local reading = not seen[name] and lipid.read(name)
        seen[name] = true
        local attributes = reading and reading.rule ~= "verbatim" and lipid.describe(reading.name)
        if attributes and attributes.formula then
          assert.equal(cells[place_of_formula], attributes.formula, name)
          compared = compared + 1
        end
      end
    end
    assert.is_true(compared > least, tostring(compared))
  end

  it("are those of MS-DIAL and LDA", function()
    compare("lipidomics/mztabm2mtbls__msdial_5.5.251021GUI_Area_zenodo14263441.mztab", 8, 5, 150)
    compare("lipidomics/mztabm2mtbls__LDA_v2.11.1_MTBLS396.mzTab", 8, 5, 400)
  end)

  it("agree with calculated m/z of precursors", function()
    local proton, compared = 1.00727646688, 0
    for line in io.lines(support.need_shared "lipidomics/pygoslin__lipid-masses.csv") do
      local cells = cells_of(line)
      if cells[4] == "[M-H]1-" then
        local attributes = lipid.describe(lipid.read(cells[2]).name)
        assert.is_true(math.abs(attributes.mass - proton - tonumber(cells[5])) < 0.0005, line)
        compared = compared + 1
      end
    end
    assert.is_true(compared > 20)
  end)
end)

--- Cells of all kinds, each once: whole lines, quoted parts, and what stands between separators.
local function each_cell(path, use)
  local seen = {}
  local function visit(cell)
    if not seen[cell] then
      seen[cell] = true
      use(cell)
    end
  end
  for line in io.lines(path) do
    visit((line:gsub("\r$", "")))
    for quoted in line:gmatch '"([^"]*)"' do
      visit(quoted)
    end
    for part in line:gmatch "[^,;\t\"]+" do
      visit(part)
    end
  end
end

--- "16:0,18:1": all pairs of numbers in the order in which they stand.
local function pairs_of(text)
  local found = {}
  for carbons, double_bonds in text:gmatch "(%d+):(%d+)" do
    found[#found + 1] = carbons .. ":" .. double_bonds
  end
  return table.concat(found, ",")
end

--- What is wrong with a reading, or nil.
local function fault(cell, reading)
  local trimmed = cell:match "^%s*(.-)%s*$"
  if trimmed == "" or reading == nil then
    return not (trimmed == "" and reading == nil) and "a blank cell, or none" or nil
  elseif reading.rule == "verbatim" then
    return (reading.name ~= trimmed or reading.level or reading.aside or not reading.reason) and "not verbatim" or nil
  end
  local again = lipid.read(reading.name)
  if again.name ~= reading.name or again.level ~= reading.level then
    return "not canonical"
  elseif trimmed:find "^[%a%d]+ ?%(?[%d:_/]+%)?$" and not trimmed:find "[%(_/ ]0:0" and not trimmed:find "/0:0" then
    local told = pairs_of(trimmed) -- in a sum of several, they are set aside
    return pairs_of(reading.name) ~= told and pairs_of((reading.aside or {}).detail or "") ~= told and "other chains"
      or nil
  end
  return nil
end

--- Detail in what is written: places of double bonds, groups, R and S, sugars.
local DETAILS = {
  "%f[%w]%d+[EZ]%f[%W]", "%[[RS]%]", "%f[%w]%d+[RS]%f[%W]", "OOH", "OH", "oxo", "Me%f[%W]", "Ep%f[%W]", "CHO%f[%W]",
  "Gal%f[^%l]", "Glc%f[^%l]", "Man%f[^%l]", "NeuGc",
}

--- Detail that is neither in the canonical name nor set aside, or nil.
local function lost_detail(cell, reading)
  local kept = reading.name
  for kind, value in pairs(reading.aside or {}) do
    kept = kept .. " " .. (kind == "isomers" and "[" .. value .. "]" or value)
  end
  for _, pattern in ipairs(DETAILS) do
    for found in cell:gmatch(pattern) do
      if not kept:find(found, 1, true) then
        return found
      end
    end
  end
  return nil
end

describe("the names of real tools and databases", function()
  it("lose nothing that is not set aside #slow", function()
    support.need_shared "names"
    local folder, seen = host.home .. "/../shared/data/names", 0
    for _, file in ipairs(sys.list(folder)) do
      if not file:find("trivial_mediators", 1, true) then -- lists of double bonds beside the names
        each_cell(folder .. "/" .. file, function(cell)
          local reading = lipid.read(cell)
          if reading and reading.rule ~= "verbatim" and reading.rule ~= "lipid.trivial" then
            local lost = lost_detail(cell, reading)
            if lost then
              error(("%s: %q became %q without its %s"):format(file, cell, reading.name, lost))
            end
            seen = seen + 1
          end
        end)
      end
    end
    assert.is_true(seen > 40000, tostring(seen))
  end)

  it("are read canonically or not at all #slow", function()
    support.need_shared "names"
    local seen, read = 0, 0
    local folder = host.home .. "/../shared/data/names"
    for _, file in ipairs(sys.list(folder)) do
      each_cell(folder .. "/" .. file, function(cell)
        local done, reading = pcall(lipid.read, cell)
        local problem = done and fault(cell, reading) or not done and reading
        if problem then
          error(("%s: %q became %q: %s"):format(file, cell, done and reading and reading.name or "", problem))
        end
        seen = seen + 1
        read = read + (reading and reading.rule ~= "verbatim" and 1 or 0)
      end)
    end
    assert.is_true(seen > 50000 and read > 40000, ("%d seen, %d read"):format(seen, read))
  end)

  --- Why a structure at a lower level is not the same lipid, or nil.
  local function contradiction(structure, level)
    local low = lipid.at_level(structure, level)
    if not low then
      return nil
    elseif not lipid.contains(low, structure) then
      return "is not contained"
    elseif level == "class" or level == "category" or lipid.level(structure) == "class" then
      return nil
    end
    local whole, part = lipid.describe(lipid.print(structure)), lipid.describe(lipid.print(low))
    return whole.formula ~= part.formula and "has other atoms" or nil
  end

  it("say the same at every level #slow", function()
    local seen = 0
    local lists = { "lipid-maps-test__half1.csv", "fatty-acids-test__half1.csv", "shorthand-test__half1.csv" }
    for _, name in ipairs(lists) do
      for i, row in ipairs(rows(name)) do
        local structure = i % 3 == 0 and (lipid.parse(row[#row]) or lipid.parse(row[1]))
        for _, level in ipairs(structure and lipid.LEVELS or {}) do
          local problem = contradiction(structure, level)
          if problem then
            error(("%s %s at %s"):format(row[1], problem, level))
          end
          seen = seen + 1
        end
      end
    end
    assert.is_true(seen > 10000, tostring(seen))
  end)

  it("cut short or disturbed are read canonically or refused with a reason #slow", function()
    local list = lines "lipid-maps-test__half1.csv"
    math.randomseed(20201)
    for i = 1, #list, 3 do
      local name = cells_of(list[i])[1]
      local at = math.random(#name)
      for _, changed in ipairs {
        name:sub(1, at), name:sub(at), name:sub(1, at - 1) .. name:sub(at + 1),
        name:sub(1, at) .. string.char(math.random(32, 126)) .. name:sub(at + 1),
      } do
        local reading = lipid.read(changed)
        local problem = fault(changed, reading)
        if problem then
          error(("%q: %s"):format(changed, problem))
        end
        if reading and reading.rule ~= "verbatim" then
          lipid.describe(reading.name)
        end
      end
    end
  end)
end)
